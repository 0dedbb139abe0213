//! What Flux and Argo CD report about what a commit deployed, asked about once per cycle.

use ::tagalong::cluster::api::Cluster as Api;
use ::tagalong::cluster::config::{Argocd, Config, Flux, ObjectRef};
use ::tagalong::cluster::rollout::ImageChange;
use ::tagalong::cycle::evidence::heard::Heard;
use ::tagalong::cycle::evidence::question::{Finding, Question};
use ::tagalong::cycle::evidence::sources::Evidence;
use ::tagalong::fault::Explain;
use ::tagalong::stage::definition::Check;
use serde_json::{Value, json};

use super::scene::{COMMIT, OTHER, wait};
use crate::support::cluster::{APPLICATIONS, Cluster, Fault, KUSTOMIZATIONS};

const EARLIER: &str = "0000000000000000000000000000000000000000";
/// The commit that replaced what `COMMIT` deployed.
const NEXT: &str = "5555555555555555555555555555555555555555";
const READY: (&str, &str, &str) = ("True", "ReconciliationSucceeded", "Applied revision");

struct Scene {
    cluster: Cluster,
    evidence: Evidence,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new(argocd: Argocd) -> Scene {
        let (cluster, folder) = (Cluster::start(), tempfile::tempdir().expect("a folder"));
        let source = ObjectRef { namespace: "flux-system".to_owned(), name: "infra".to_owned() };
        let namespaces = vec!["flux-system".parse().expect("a name")];
        let flux = Flux { source, namespaces, receiver: None, timeout: std::time::Duration::from_secs(60) };
        let settings = Config { flux: Some(flux), argocd: Some(argocd), ..Config::default() };
        let text = std::fs::read_to_string(cluster.kubeconfig(folder.path())).expect("there");
        let file = serde_json::from_str(&text).expect("a kubeconfig");
        let api = wait(Api::in_kubeconfig(file)).expect("an API");
        Scene { cluster, evidence: Evidence::new(None, settings).with_cluster(api), _folder: folder }
    }

    fn application(&self, name: &str, labels: Value, path: &str, at: &str, health: &str) {
        let object = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": { "name": name, "namespace": "argocd", "labels": labels },
            "spec": { "project": "default", "source": { "repoURL": "https://git.example.com/infra.git", "path": path } },
            "status": {
                "sync": { "status": "Synced", "revision": at, "comparedTo": { "source": { "path": path } } },
                "health": { "status": health, "lastTransitionTime": "2026-11-26T10:00:00Z" },
                "resources": [{ "kind": "Deployment", "name": name }],
            },
        });
        self.cluster.put(&format!("{APPLICATIONS}/{name}"), object);
    }

    /// What is found in a cycle of its own, and the requests.
    fn cycle(&self, questions: &[Question]) -> (Vec<Finding>, Vec<String>) {
        let before = self.cluster.asked().len();
        // Later commits contain earlier ones: all start with a digit that says which is later.
        let contains = |later: &str, earlier: &str| later.len() == 40 && later[..1] > earlier[..1];
        let answers = wait(self.evidence.answer(questions, &mut Heard::default(), &contains));
        let findings = answers.into_iter().flat_map(|findings| findings.into_values()).collect();
        (findings, self.cluster.asked().split_off(before))
    }
}

fn all() -> Argocd {
    Argocd {
        namespace: "argocd".parse().expect("a name"),
        names: Vec::new(),
        selector: None,
        timeout: std::time::Duration::from_secs(60),
    }
}

fn question(check: Check, file: &str) -> Question {
    // As in a tree without kustomizations.
    let deployed_from = file.match_indices('/').map(|(at, _)| file[..at].to_owned()).collect();
    let change = ImageChange { file: file.to_owned(), deployed_from, ..ImageChange::default() };
    Question {
        commit: COMMIT.to_owned(),
        later: Vec::new(),
        until: None,
        changes: vec![change],
        checks: vec![check],
        confirms: false,
    }
}

#[test]
fn flux_is_asked_once_for_everything_and_not_again_once_it_is_ready() {
    let scene = Scene::new(all());
    scene.cluster.kustomize("beta", "./apps/beta", READY, EARLIER, EARLIER);
    scene.cluster.kustomize("live", "./apps/live", ("False", "BuildFailed", "no such file"), EARLIER, COMMIT);
    let questions = ["apps/beta/x.yaml", "apps/live/x.yaml"].map(|file| question(Check::FluxReady, file));
    let (found, asked) = scene.cycle(&questions);
    assert!(matches!(&found[0], Finding::Waiting { detail } if detail.contains(EARLIER)), "{found:?}");
    let words = "flux-system/live: BuildFailed: no such file";
    assert!(matches!(&found[1], Finding::Failed { detail, .. } if detail == words), "{found:?}");
    assert_eq!(asked, [format!("GET {KUSTOMIZATIONS}")]);
    for name in ["beta", "live"] {
        scene.cluster.kustomize(name, &format!("./apps/{name}"), READY, OTHER, OTHER);
    }
    assert!(scene.cycle(&questions).0.iter().all(Finding::has_passed), "a later commit counts");
    // Whatever becomes of them afterwards.
    scene.cluster.kustomize("beta", "./apps/beta", ("False", "BuildFailed", "oops"), OTHER, NEXT);
    let (found, asked) = scene.cycle(&questions);
    assert!(found.iter().all(Finding::has_passed) && asked.is_empty(), "{asked:?}");
}

#[test]
fn what_replaced_the_release_proves_nothing_about_it() {
    let scene = Scene::new(all());
    scene.cluster.kustomize("beta", "./apps", READY, NEXT, NEXT);
    scene.application("shop", json!({}), "apps", NEXT, "Healthy");
    for check in [Check::FluxReady, Check::ArgocdHealthy] {
        let still = question(check.clone(), "apps/x.yaml");
        let replaced = Question { until: Some(NEXT.to_owned()), ..still.clone() };
        let (found, _) = scene.cycle(std::slice::from_ref(&replaced));
        assert!(matches!(&found[0], Finding::Waiting { detail } if detail.contains(NEXT)), "{found:?}");
        let (found, _) = scene.cycle(std::slice::from_ref(&still));
        assert!(found[0].has_passed(), "{found:?}");
    }
}

#[test]
fn argo_cd_is_asked_once_about_the_selected_applications() {
    let scene = Scene::new(Argocd { selector: Some("team=shop".to_owned()), ..all() });
    let team = |name: &str| json!({ "team": name });
    scene.application("shop-beta", team("shop"), "apps/beta", COMMIT, "Healthy");
    scene.application("shop-live", team("shop"), "apps/live", COMMIT, "Progressing");
    scene.application("other", team("other"), "apps", EARLIER, "Degraded");
    let questions = ["apps/beta/x.yaml", "apps/live/x.yaml"].map(|file| question(Check::ArgocdHealthy, file));
    let (found, asked) = scene.cycle(&questions);
    assert!(matches!(&found[0], Finding::Passed { detail, .. } if detail == "shop-beta is Healthy"), "{found:?}");
    assert!(matches!(&found[1], Finding::Waiting { detail } if detail == "shop-live is Progressing"), "{found:?}");
    assert_eq!(asked, [format!("GET {APPLICATIONS}")]);

    let names = vec!["other".parse().expect("a name")];
    let by_name = Scene::new(Argocd { names, ..all() });
    by_name.application("shop-beta", team("shop"), "apps/beta", COMMIT, "Healthy");
    by_name.application("other", team("other"), "apps", COMMIT, "Degraded");
    let (found, _) = by_name.cycle(&questions[..1]);
    assert!(matches!(&found[0], Finding::Failed { detail, .. } if detail == "other is Degraded"), "{found:?}");
}

#[test]
fn a_cluster_that_refuses_is_no_verdict_and_the_rule_is_named() {
    for (check, path, rule) in
        [(Check::FluxReady, KUSTOMIZATIONS, "kustomizations"), (Check::ArgocdHealthy, APPLICATIONS, "applications")]
    {
        let scene = Scene::new(all());
        scene.cluster.kustomize("beta", "./apps", READY, COMMIT, COMMIT);
        scene.application("shop", json!({}), "apps", COMMIT, "Healthy");
        let questions = [question(check.clone(), "apps/x.yaml"), question(check, "apps/y.yaml")];
        scene.cluster.trouble("GET", path, Fault::Status(403), 1);
        let (found, asked) = scene.cycle(&questions);
        assert_eq!(asked.len(), 1);
        for finding in &found {
            let Finding::Unknown { fault } = finding else { panic!("{finding:?}") };
            let help = fault.help().unwrap_or_default();
            assert!(help.contains(rule) && help.contains("role.yaml"), "{help}");
        }
        scene.cluster.trouble("GET", path, Fault::Status(500), 1);
        assert!(matches!(scene.cycle(&questions).0[0], Finding::Unknown { .. }));
        assert!(scene.cycle(&questions).0.iter().all(Finding::has_passed));
    }
}
