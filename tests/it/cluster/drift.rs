//! Pods that run something else than the repository says are reported once they do so for some time, and nothing else is.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::agent::Agent;
use crate::support::cluster::{Cluster, Fault, TOKEN};
use crate::support::infra::Stage;
use crate::support::process::wait_until;
use crate::support::prometheus;
use crate::support::scripted::{self, Scripted};
use crate::support::tagalong;

const OLD: &str = "2026-04-01T10:00:00Z";
const NEW: &str = "2026-04-02T10:00:00Z";

const APPS: &str = "/api/v1/namespaces/apps/pods";
const WEB: &str = "/api/v1/namespaces/web/pods";

/// Apps with a field each, a cluster, and a channel that gets all events.
struct Scene {
    stage: Stage,
    cluster: Cluster,
    channel: Scripted,
}

impl Scene {
    fn new(files: &[(&str, &str)]) -> Scene {
        let channel = Scripted::start(|_| scripted::json(200, json!({}), &[]));
        Scene { stage: Stage::new(files), cluster: Cluster::start(), channel }
    }

    /// An agent that looks at the pods of two namespaces after each cycle; a drift has to last for `settle`.
    fn agent(&self, settle: &str) -> Agent {
        let text = fs::read_to_string(self.stage.config()).expect("there");
        let url = self.file("url", &format!("http://{}/news\n", self.channel.host()));
        let text = format!(
            "{text}notify:\n- webhook: {{ urlFile: {} }}\ncluster:\n  flux: {{ gitRepository: {{ name: infra }}, timeout: {settle} }}\n  \
             pods: {{ namespaces: [apps, web], interval: 100ms }}\n",
            url.display()
        );
        let mut command = tagalong::command(self.stage.home());
        command.args(["run", "--log-format", "json", "--config"]).arg(self.file("pods.yaml", &text));
        command.env("KUBECONFIG", self.cluster.kubeconfig(self.stage.home()));
        Agent::spawn(command)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.stage.home().join(name);
        fs::write(&file, text).expect("written");
        file
    }

    /// A pod of an app that asks for an image of the registry, and runs one by its digest.
    fn pod(&self, app: &str, image: &str, digest: &str) {
        self.cluster.pod("apps", app, self.images(image, digest), |_| {});
    }

    fn images(&self, image: &str, digest: &str) -> (&'static str, &'static str) {
        // Tests end soon.
        let leaked = |text: String| -> &'static str { text.leak() };
        let image = self.stage.image(image);
        let name = image.rsplit_once([':', '@']).expect("a version").0.trim_end_matches("@sha256").to_owned();
        (leaked(image), leaked(format!("{name}@{digest}")))
    }

    /// The events of a kind that the channel got.
    fn told(&self, kind: &str) -> Vec<Value> {
        let bodies =
            self.channel.asked().into_iter().filter_map(|asked| serde_json::from_str::<Value>(&asked.body).ok());
        bodies.filter(|body| body["kind"] == kind).collect()
    }

    fn wait_for_word(&self, kind: &str, count: usize) -> Value {
        wait_until(&format!("{kind} is told"), || self.told(kind).len() >= count);
        self.told(kind).pop().expect("told")
    }

    /// Waits for several more looks at the pods.
    fn wait_for_looks(&self, more: usize) {
        let before = self.cluster.queries(WEB).len();
        wait_until("the pods are looked at", || self.cluster.queries(WEB).len() >= before + more);
    }
}

/// The titles of events.
fn titles(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["title"].as_str().expect("a title")).collect()
}

fn series(agent: &Agent, name: &str) -> Vec<String> {
    let metrics = agent.get("/metrics").body;
    metrics.lines().filter(|line| line.starts_with(&format!("{name}{{"))).map(str::to_owned).collect()
}

#[test]
fn pods_with_another_tag_are_reported_once_and_so_is_their_end() {
    let scene = Scene::new(&[
        ("apps/app/x.yaml", "image: HOST/org/app:aaaaaa1\n"),
        ("apps/live/x.yaml", "image: HOST/org/app:aaaaaa2\n"),
    ]);
    let old = scene.stage.registry.push("org/app", "aaaaaa1", OLD);
    let new = scene.stage.registry.push("org/app", "aaaaaa2", OLD);
    // Both overlays have their pods, and the images of others are none of our business.
    scene.pod("app", "app:aaaaaa1", &old);
    scene.pod("live", "app:aaaaaa2", &new);
    scene.cluster.pod("apps", "redis", ("redis:7", &format!("redis@{old}")), |_| {});
    // Neither a pod that ends nor one that is not ready counts.
    let other = scene.images("app:bbbbbb1", &old);
    scene.cluster.pod("apps", "ending", other, |pod| pod["metadata"]["deletionTimestamp"] = json!(OLD));
    scene.cluster.pod("apps", "starting", other, |pod| pod["status"]["conditions"][1]["status"] = json!("False"));
    // By `kubectl set image`; on the last page of several.
    scene.pod("till", "app:bbbbbb1", &old);
    scene.cluster.set_page(2);
    let agent = scene.agent("500ms");
    let word = scene.wait_for_word("drifted", 1);
    let title = "Deployment till in apps runs bbbbbb1, but the repository says aaaaaa1, aaaaaa2";
    assert_eq!((&word["title"], &word["detail"]), (&title.into(), &"container main, pods: 1".into()), "{word}");
    assert_eq!(word["image"], scene.stage.image("app").as_str());
    let labels = format!("namespace=\"apps\",image=\"{}\"", scene.stage.image("app"));
    agent.wait_for_metric(&format!("tagalong_drifted_pods{{{labels}}} 1"));
    prometheus::check(&agent);
    let page = agent.get("/").body;
    assert!(
        page.contains(">drifted<") && page.contains("<code>apps/Deployment till</code>, container <code>main</code>"),
        "{page}"
    );
    assert!(scene.cluster.queries(APPS).iter().any(|query| query.contains("limit=250&continue=4")), "{page}");
    scene.wait_for_looks(5);
    assert_eq!((scene.told("drifted").len(), agent.log().matches("drifted: pods run").count()), (1, 1));

    scene.pod("till", "app:aaaaaa1", &old);
    let word = scene.wait_for_word("recovered", 1);
    assert_eq!(word["title"], "Deployment till in apps runs what the repository says again");
    wait_until("no pod has drifted", || series(&agent, "tagalong_drifted_pods").is_empty());
    assert!(!agent.get("/").body.contains(">drifted<"));
    let (code, log) = agent.stop();
    assert!(code == 0 && log.contains("no longer drifted") && !log.contains(TOKEN), "{log}");
}

#[test]
fn every_digest_of_a_tag_is_right_and_one_that_it_had_before_is_drift() {
    let scene = Scene::new(&[
        ("apps/app/x.yaml", "image: HOST/org/app:aaaaaa1\n"),
        ("apps/many/x.yaml", "image: HOST/org/many:aaaaaa1\n"),
        ("apps/pinned/kustomization.yaml", "images: [{ name: HOST/org/pinned, newTag: aaaaaa1, digest: 'DIGEST' }]\n"),
    ]);
    let registry = &scene.stage.registry;
    let before = registry.push("org/app", "aaaaaa1", OLD);
    let now = registry.push("org/app", "aaaaaa1", NEW);
    let index = registry.push_index("org/many", "aaaaaa1", OLD);
    let platform = registry.platforms("org/many", "aaaaaa1").remove(1);
    let pinned = registry.push("org/pinned", "aaaaaa1", OLD);
    let replaced = registry.push("org/pinned", "aaaaaa1", NEW);
    let file = scene.stage.origin.read("apps/pinned/kustomization.yaml").replace("DIGEST", &pinned);
    scene.stage.origin.commit("pin it", &[("apps/pinned/kustomization.yaml", &file)]);
    // The digest of the tag, of the index, and of its manifest for one platform, from a mirror too.
    scene.pod("now", "app:aaaaaa1", &now);
    scene.pod("index", "many:aaaaaa1", &index);
    scene.pod("platform", "many:aaaaaa1", &platform);
    let (image, _) = scene.images("many:aaaaaa1", &index);
    scene.cluster.pod("apps", "mirror", (image, &format!("mirror.example.com/many@{platform}")), |_| {});
    // Not pulled by a digest, or by one that a mirror made up: nothing is known to be wrong.
    scene.cluster.pod("apps", "loaded", (image, &format!("sha256:{}", "1".repeat(64))), |_| {});
    scene.cluster.pod(
        "apps",
        "unknown",
        (image, &format!("mirror.example.com/many@sha256:{}", "1".repeat(64))),
        |_| {},
    );
    // A webhook has replaced the tag by its digest.
    scene.pod("resolved", &format!("many@{index}"), &index);
    scene.pod("pinned", &format!("pinned:aaaaaa1@{pinned}"), &pinned);
    // The tag was moved after the pod had started.
    scene.pod("before", "app:aaaaaa1", &before);
    // The tag is that of the repository, and the digest is not.
    scene.pod("replaced", "pinned:aaaaaa1", &replaced);
    let agent = scene.agent("500ms");
    scene.wait_for_word("drifted", 2);
    scene.wait_for_looks(3);
    let told = scene.told("drifted");
    let short = |digest: &str| digest[..19].to_owned();
    let expected = [
        format!(
            "Deployment before in apps runs aaaaaa1@{}, but the repository says aaaaaa1, which is {} in the registry",
            short(&before),
            short(&now)
        ),
        format!(
            "Deployment replaced in apps runs aaaaaa1@{}, but the repository says aaaaaa1@{}",
            short(&replaced),
            short(&pinned)
        ),
    ];
    assert_eq!(titles(&told), expected, "{}", agent.log());
    // It is restarted, and pulls the tag again.
    scene.pod("before", "app:aaaaaa1", &now);
    assert_eq!(
        scene.wait_for_word("recovered", 1)["title"],
        "Deployment before in apps runs what the repository says again"
    );
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn a_rollout_within_the_time_limit_does_not_count() {
    let scene = Scene::new(&[("apps/app/x.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    let old = scene.stage.registry.push("org/app", "aaaaaa1", OLD);
    scene.pod("app", "app:aaaaaa1", &old);
    let agent = scene.agent("1h");
    scene.wait_for_looks(2);
    let new = scene.stage.registry.push("org/app", "aaaaaa2", NEW);
    wait_until("it is deployed", || scene.stage.origin.read("apps/app/x.yaml").ends_with("aaaaaa2\n"));
    // The pods are older than the commit for many looks.
    scene.wait_for_looks(8);
    scene.pod("app", "app:aaaaaa2", &new);
    scene.wait_for_looks(3);
    assert_eq!((series(&agent, "tagalong_drifted_pods"), scene.told("drifted")), (vec![], vec![]));
    assert_eq!(scene.told("recovered"), [Value::Null; 0]);
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn a_namespace_that_may_not_be_read_is_reported_once_with_the_rule_to_add() {
    let scene = Scene::new(&[("apps/app/x.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    let old = scene.stage.registry.push("org/app", "aaaaaa1", OLD);
    scene.pod("till", "app:bbbbbb1", &old);
    scene.cluster.trouble("GET", WEB, Fault::Status(403), usize::MAX);
    let agent = scene.agent("200ms");
    agent.wait_for("resources: [pods], verbs: [list] } in the namespace web, as in deploy/pods-access/role.yaml");
    // The other namespace is looked at all the same, and cycles go on.
    scene.wait_for_word("drifted", 1);
    agent.wait_for_metric("tagalong_pods_unread_namespaces 1");
    assert!(agent.get("/").body.contains("The pods cannot be compared with the repository in web"));
    // While its own namespace cannot be read, the drift neither ends nor begins again.
    scene.cluster.trouble("GET", APPS, Fault::Status(403), 3);
    scene.wait_for_looks(6);
    assert_eq!((scene.told("drifted").len(), scene.told("recovered").len()), (1, 0));
    let log = agent.log();
    assert_eq!(log.matches("in the namespace web, as in deploy/pods-access").count(), 1, "{log}");
    assert_eq!(log.matches("failed with status").count(), 0, "{log}");
    scene.cluster.heal();
    agent.wait_for_metric("tagalong_pods_unread_namespaces 0");
    agent.wait_for("the pods can be compared with the repository again");
    assert!(!agent.get("/").body.contains("cannot be compared"));
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn a_list_of_pods_without_end_is_given_up() {
    let scene = Scene::new(&[("apps/app/x.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    let old = scene.stage.registry.push("org/app", "aaaaaa1", OLD);
    scene.pod("till", "app:bbbbbb1", &old);
    scene.cluster.set_endless(true);
    let agent = scene.agent("200ms");
    agent.wait_for("it has more than 400 pages");
    scene.cluster.set_endless(false);
    scene.wait_for_word("drifted", 1);
    assert_eq!(agent.stop().0, 0);
}
