//! Nothing is deployed along with a secret that does not decrypt: the update waits, says why, and goes out once the
//! secret is fixed.

use serde_json::{Value, json};

use crate::support;
use crate::support::infra::Stage;
use crate::support::sops::Sops;

const OLD: &str = "2026-04-01T10:00:00Z";
const NEW: &str = "2026-04-02T10:00:00Z";

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  password: hunter2\n";

/// A stage in which app `a` has a secret and app `b` is next to it.
fn stage(secret: &str) -> Stage {
    let app =
        |name: &str| format!("resources: [secret.yaml]\nimages:\n- {{ name: HOST/org/{name}, newTag: aaaaaa1 }}\n");
    let stage = Stage::new(&[
        ("apps/kustomization.yaml", "resources: [a, b]\n"),
        ("apps/a/kustomization.yaml", &app("a")),
        ("apps/a/secret.yaml", secret),
        ("apps/b/kustomization.yaml", &app("b").replace("resources: [secret.yaml]\n", "")),
    ]);
    for name in ["org/a", "org/b"] {
        stage.registry.push(name, "aaaaaa1", OLD);
        stage.registry.push(name, "aaaaaa2", NEW);
    }
    stage
}

/// The configuration with a `secrets` section.
fn config(stage: &Stage, secrets: &str) -> String {
    let text = std::fs::read_to_string(stage.config()).expect("there");
    let file = stage.home().join("with-secrets.yaml");
    std::fs::write(&file, format!("{text}secrets: {{ {secrets} }}\n")).expect("written");
    file.display().to_string()
}

fn sync(stage: &Stage, config: &str) -> (i32, Value) {
    let run = support::tagalong::run(stage.home(), &["sync", "--output", "json", "--config", config]);
    assert!(!format!("{run:?}").contains("hunter2"), "{run:#?}");
    (run.code, run.json())
}

#[test]
fn a_broken_secret_blocks_only_its_app_until_it_is_fixed() {
    let sops = Sops::new();
    let good = sops.encrypt("secret.yaml", SECRET, "encrypted_regex: ^(data|stringData)$");
    let good = String::from_utf8(good).expect("text");
    let broken = good.replace("name: db", "name: other");
    let stage = stage(&broken);
    let key = stage.home().join("age.agekey");
    std::fs::write(&key, &sops.identity).expect("written");
    let config = config(&stage, &format!("ageKeyFiles: [{}]", key.display()));
    let (code, report) = sync(&stage, &config);
    assert_eq!(code, 3, "{report:#}");
    assert_eq!(report["updates"].as_array().expect("updates").len(), 1, "{report:#}");
    assert_eq!(report["updates"][0]["file"], "apps/b/kustomization.yaml");
    let skipped = &report["skipped"][0];
    assert_eq!((&skipped["reason"], &skipped["tag"]), (&json!("blocked-secret"), &json!("aaaaaa2")), "{report:#}");
    let detail = skipped["detail"].as_str().expect("text");
    assert!(detail.contains("apps/a/secret.yaml, document 0: ") && detail.contains("MAC"), "{detail}");
    assert!(stage.origin.read("apps/a/kustomization.yaml").contains("aaaaaa1"));

    // `set` cannot bypass it.
    let image = format!("{}:aaaaaa2", stage.image("a"));
    let asked = support::tagalong::run(stage.home(), &["set", &image, "--config", &config]).fails_with(3);
    assert!(asked.stderr.contains("apps/a/secret.yaml"), "{asked:#?}");

    stage.origin.commit("mend the secret", &[("apps/a/secret.yaml", &good)]);
    let (code, report) = sync(&stage, &config);
    assert_eq!((code, report["updates"][0]["file"].as_str()), (0, Some("apps/a/kustomization.yaml")), "{report:#}");
    assert!(stage.origin.read("apps/a/kustomization.yaml").contains("aaaaaa2"));
}

#[test]
fn without_an_identity_structure_is_checked_and_the_gate_can_be_opened() {
    let sops = Sops::new();
    let encrypted = sops.encrypt("secret.yaml", SECRET, "encrypted_regex: ^(data|stringData)$");
    let sealed = stage(&String::from_utf8(encrypted).expect("text"));
    let (code, report) = sync(&sealed, &config(&sealed, "gate: block"));
    assert_eq!((code, report["updates"].as_array().expect("updates").len()), (0, 2), "{report:#}");

    let clear = stage(SECRET);
    let (code, report) = sync(&clear, &config(&clear, "gate: block"));
    assert_eq!((code, report["updates"].as_array().expect("updates").len()), (3, 1), "{report:#}");
    let detail = report["skipped"][0]["detail"].as_str().expect("text");
    assert!(detail.contains("apps/a/secret.yaml, document 0: plaintext in a Secret: stringData.password"), "{detail}");
    let warned = support::tagalong::run(clear.home(), &["sync", "--config", &config(&clear, "gate: warn")]).ok();
    assert!(warned.stderr.contains("stringData.password") && warned.stdout.contains("aaaaaa2"), "{warned:#?}");

    let off = stage(SECRET);
    let (code, report) = sync(&off, &config(&off, "gate: off"));
    assert_eq!((code, report["updates"].as_array().expect("updates").len()), (0, 2), "{report:#}");
}
