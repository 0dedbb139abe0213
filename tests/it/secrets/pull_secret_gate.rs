//! No image is deployed that its pods could not pull: a useless pull secret in the repository is reported first.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::infra::Stage;
use crate::support::registry::{Kind, PASSWORD, USER};
use crate::support::scripted::{Scripted, forward};
use crate::support::sops::Sops;
use crate::support::tagalong::run;

const RULE: &str = "encrypted_regex: ^(data|stringData)$";

/// A Docker config file with one entry.
fn auths(host: &str, password: &str) -> String {
    json!({ "auths": { host: { "auth": STANDARD.encode(format!("{USER}:{password}")) } } }).to_string()
}

/// A plaintext pull secret.
fn pull_secret(namespace: &str, docker_config: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{ name: pull{namespace} }}\ntype: kubernetes.io/dockerconfigjson\ndata:\n    .dockerconfigjson: {}\n",
        STANDARD.encode(docker_config)
    )
}

fn deployment(app: &str, namespace: &str, pod: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: {app}{namespace} }}\nspec:\n  template:\n    spec:\n      {pod}\n      containers:\n      - image: HOST/org/{app}:aaaaaa1\n"
    )
}

struct Test {
    stage: Stage,
    sops: Sops,
}

impl Test {
    /// A registry that requires a password, which the agent knows.
    fn new() -> Test {
        let stage = Stage::with_registry(Kind::Htpasswd, &[("README.md", "x\n")]);
        let auth = auths(&stage.registry.host(), PASSWORD);
        std::fs::create_dir(stage.home().join(".docker")).expect("a folder");
        std::fs::write(stage.home().join(".docker/config.json"), auth).expect("written");
        let sops = Sops::new();
        std::fs::write(stage.home().join("age.agekey"), &sops.identity).expect("written");
        Test { stage, sops }
    }

    fn sealed(&self, text: &str) -> String {
        String::from_utf8(self.sops.encrypt("s.yaml", text, RULE)).expect("text")
    }

    /// Commits files, and pushes two images of each app.
    fn commit(&self, apps: &[&str], files: &[(&str, String)]) {
        let host = self.stage.registry.host();
        let files: Vec<(&str, String)> =
            files.iter().map(|(name, text)| (*name, text.replace("HOST", &host))).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        self.stage.origin.commit("apps", &files);
        for app in apps {
            self.stage.registry.push(&format!("org/{app}"), "aaaaaa1", "2026-04-01T10:00:00Z");
            self.stage.registry.push(&format!("org/{app}"), "aaaaaa2", "2026-04-02T10:00:00Z");
        }
    }

    fn config(&self, secrets: &str) -> String {
        let text = std::fs::read_to_string(self.stage.config()).expect("there");
        let file = self.stage.home().join("with-secrets.yaml");
        std::fs::write(&file, format!("{text}secrets: {{ {secrets} }}\n")).expect("written");
        file.display().to_string()
    }

    /// The apps that moved, and the reasons for those that were kept back.
    fn sync(&self, secrets: &str) -> (Vec<String>, Vec<(String, String)>) {
        let run = run(self.stage.home(), &["sync", "--output", "json", "--config", &self.config(secrets)]);
        assert!(!format!("{run:?}").contains(PASSWORD), "{run:#?}");
        let report: Value = run.json();
        let name = |image: &Value| image.as_str().expect("a name").rsplit('/').next().expect("a name").to_owned();
        let updates = report["updates"].as_array().expect("updates").iter();
        let skipped = report["skipped"].as_array().expect("skipped").iter();
        let skipped = skipped.filter(|skipped| skipped["reason"] == "blocked-secret");
        let why = |skipped: &Value| (name(&skipped["image"]), skipped["detail"].as_str().expect("text").to_owned());
        (updates.map(|update| name(&update["image"])).collect(), skipped.map(why).collect())
    }

    fn with_key(&self) -> String {
        format!("ageKeyFiles: [{}]", self.stage.home().join("age.agekey").display())
    }
}

const USES: &str = "imagePullSecrets: [{ name: pull }]";

#[test]
fn pull_secrets_must_have_an_entry_for_the_registry() {
    let test = Test::new();
    let host = test.stage.registry.host();
    let good = test.sealed(&pull_secret("", &auths(&host, PASSWORD)));
    let other = test.sealed(&pull_secret("", &auths("other.example.com", "x")));
    let generated =
        String::from_utf8(test.sops.encrypt("pull.json", auths("other.example.com", "x"), "mac_only_encrypted: true"))
            .expect("text");
    let account =
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: { name: runner }\nimagePullSecrets: [{ name: pull }]\n";
    let list = |files: &str, app: &str| {
        format!("resources: [{files}]\nimages:\n- {{ name: HOST/org/{app}, newTag: aaaaaa1 }}\n")
    };
    test.commit(
        &["good", "other", "outside", "account", "made", "far", "opaque", "open"],
        &[
            ("good/app.yaml", deployment("good", "", USES)),
            ("good/pull.yaml", good),
            // Through a kustomization whose entry moves.
            ("other/kustomization.yaml", list("app.yaml, pull.yaml", "other")),
            ("other/app.yaml", deployment("other", "", USES)),
            ("other/pull.yaml", other.clone()),
            // Created by someone else in the cluster.
            ("outside/app.yaml", deployment("outside", "", USES)),
            ("account/app.yaml", deployment("account", "", "serviceAccountName: runner")),
            ("account/account.yaml", account.to_owned()),
            ("account/pull.yaml", other.clone()),
            ("made/kustomization.yaml", format!("{}secretGenerator:\n- {{ name: pull, type: kubernetes.io/dockerconfigjson, files: [.dockerconfigjson=pull.json] }}\n", list("app.yaml", "made"))),
            ("made/app.yaml", deployment("made", "", USES)),
            ("made/pull.json", generated),
            // In the namespace, but deployed by another kustomization.
            ("far/app.yaml", deployment("far", ", namespace: shop", USES)),
            ("namespaces/shop/pull.yaml", test.sealed(&pull_secret(", namespace: shop", &auths("other.example.com", "x")))),
            ("opaque/app.yaml", deployment("opaque", "", USES)),
            ("opaque/pull.yaml", test.sealed("apiVersion: v1\nkind: Secret\nmetadata: { name: pull }\nstringData: { a: b }\n")),
            ("open/app.yaml", deployment("open", "", "restartPolicy: Always")),
        ],
    );
    // Without an identity nothing is known, so nothing is blocked.
    let dry =
        run(test.stage.home(), &["sync", "--dry-run", "--output", "json", "--config", &test.config("gate: block")]);
    assert_eq!(dry.json()["updates"].as_array().expect("updates").len(), 8, "{dry:#?}");

    let (moved, held) = test.sync(&test.with_key());
    assert_eq!(moved, ["good", "open", "outside"], "{held:#?}");
    let expect = [
        (
            "account",
            "Deployment account: the pull secret pull (account/pull.yaml, document 0) has no entry for HOST, only for other.example.com",
        ),
        (
            "far",
            "Deployment far: the pull secret pull (namespaces/shop/pull.yaml, document 0) has no entry for HOST, only for other.example.com",
        ),
        (
            "made",
            "Deployment made: the pull secret pull (made/kustomization.yaml), from made/pull.json, has no entry for HOST, only for other.example.com",
        ),
        (
            "opaque",
            "Deployment opaque: the pull secret pull (opaque/pull.yaml, document 0) has no .dockerconfigjson, so it is not a pull secret",
        ),
        (
            "other",
            "Deployment other: the pull secret pull (other/pull.yaml, document 0) has no entry for HOST, only for other.example.com",
        ),
    ];
    let expect: Vec<(String, String)> =
        expect.iter().map(|(app, why)| ((*app).to_owned(), why.replace("HOST", &host))).collect();
    assert_eq!(held, expect);

    // `set` is refused as well, unless the gate is opened deliberately.
    let image = format!("{}:aaaaaa2", test.stage.image("far"));
    let refused = run(test.stage.home(), &["set", &image, "--config", &test.config(&test.with_key())]).fails_with(3);
    assert!(refused.stderr.contains("has no entry for"), "{refused:#?}");
    let warned =
        run(test.stage.home(), &["set", &image, "--config", &test.config(&format!("{}, gate: warn", test.with_key()))])
            .ok();
    assert!(warned.stderr.contains("has no entry for"), "{warned:#?}");
    let (moved, held) = test.sync(&format!("{}, pullSecrets: off", test.with_key()));
    assert_eq!((moved.len(), held.len()), (4, 0), "{moved:?} {held:?}");
}

#[test]
fn probe_tries_the_entry_on_the_registry() {
    let test = Test::new();
    let host = test.stage.registry.host();
    let (good, stale) = (auths(&host, PASSWORD), auths(&host, "of-last-year"));
    test.commit(
        &["good", "stale", "both"],
        &[
            ("good/app.yaml", deployment("good", "", USES)),
            ("good/pull.yaml", test.sealed(&pull_secret("", &good))),
            ("stale/app.yaml", deployment("stale", "", USES)),
            ("stale/pull.yaml", test.sealed(&pull_secret("", &stale))),
            // A kubelet tries all of its secrets.
            ("both/app.yaml", deployment("both", "", "imagePullSecrets: [{ name: pull }, { name: pull-2 }]")),
            ("both/pull.yaml", test.sealed(&pull_secret("", &stale))),
            ("both/pull-2.yaml", test.sealed(&pull_secret("-2", &good))),
        ],
    );
    let dry =
        run(test.stage.home(), &["sync", "--dry-run", "--output", "json", "--config", &test.config(&test.with_key())]);
    assert_eq!(dry.json()["updates"].as_array().expect("updates").len(), 3, "an entry is there: {dry:#?}");
    let (moved, held) = test.sync(&format!("{}, pullSecrets: probe", test.with_key()));
    assert_eq!(moved, ["both", "good"]);
    let (app, why) = &held[0];
    assert!(
        app == "stale" && why.contains("the pull secret pull (stale/pull.yaml, document 0) was rejected: "),
        "{held:?}"
    );
    assert!(!why.contains("of-last-year"), "{why}");
}

#[test]
fn pull_secrets_that_cannot_be_tested_are_reported_once_for_all_pods() {
    let stage = Stage::new(&[("README.md", "x\n")]);
    let basic = |password: &str| format!("Basic {}", STANDARD.encode(format!("{USER}:{password}")));
    let (known, host) = (basic(PASSWORD), stage.registry.host());
    // The registry fails for the pull secret only, as one that checks users elsewhere does.
    let front = Scripted::start(move |asked| match asked.authorization.as_deref() {
        None => Some((401, vec![("WWW-Authenticate".to_owned(), "Basic realm=\"r\"".to_owned())], Vec::new())),
        Some(given) if given == known => forward(&host, asked),
        Some(_) => Some((500, Vec::new(), Vec::new())),
    });
    std::fs::create_dir(stage.home().join(".docker")).expect("a folder");
    let auth = auths(&front.host(), PASSWORD);
    std::fs::write(stage.home().join(".docker/config.json"), auth).expect("written");
    let sops = Sops::new();
    std::fs::write(stage.home().join("age.agekey"), &sops.identity).expect("written");
    let sealed = sops.encrypt("s.yaml", pull_secret("", &auths(&front.host(), "another")), RULE);

    let names: Vec<String> = (1..=7).map(|number| format!("apps/{number}.yaml")).collect();
    let list = "resources: [1.yaml, 2.yaml, 3.yaml, 4.yaml, 5.yaml, 6.yaml, 7.yaml, pull.yaml]\n";
    let app = deployment("app", "", USES).replace("HOST", &front.host());
    let sealed = String::from_utf8(sealed).expect("text");
    let mut files: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &*app)).collect();
    files.extend([("apps/kustomization.yaml", list), ("apps/pull.yaml", &sealed)]);
    stage.origin.commit("apps", &files);
    stage.registry.push("org/app", "aaaaaa1", "2026-04-01T10:00:00Z");
    stage.registry.push("org/app", "aaaaaa2", "2026-04-02T10:00:00Z");

    let text = std::fs::read_to_string(stage.config()).expect("there").replace(&stage.registry.host(), &front.host());
    let key = stage.home().join("age.agekey").display().to_string();
    let config = stage.home().join("front.yaml");
    std::fs::write(&config, format!("{text}secrets: {{ ageKeyFiles: [{key}], pullSecrets: probe }}\n"))
        .expect("written");
    let run = run(stage.home(), &["sync", "--output", "json", "--config", &config.display().to_string()]).ok();
    assert_eq!(run.json()["updates"].as_array().expect("updates").len(), 7, "{run:#?}");
    let lines: Vec<&str> = run.stderr.lines().filter(|line| line.contains("could not be tested")).collect();
    assert!(lines.len() == 1 && lines[0].contains("the pull secrets of 7 pods"), "{lines:#?}\n{run:#?}");
}
