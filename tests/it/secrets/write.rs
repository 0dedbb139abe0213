//! Secrets written by tagalong are like those of sops: sops decrypts them, and they follow the same `.sops.yaml`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support;
use crate::support::infra::Stage;
use crate::support::sops::{Sops, new_key};
use crate::support::tagalong::run;

const SECRET: &str =
    "# by hand\napiVersion: v1\nkind: Secret\nmetadata:\n    name: db\nstringData:\n    password: hunter2\n";
const FLUX: &str = "encrypted_regex: ^(data|stringData)$";

/// A folder with an identity where sops finds it, a Docker config file, and a tree `infra`.
struct Desk {
    sops: Sops,
    home: tempfile::TempDir,
}

impl Desk {
    fn new() -> Desk {
        let desk = Desk { sops: Sops::new(), home: tempfile::tempdir().expect("a folder") };
        desk.write(".config/sops/age/keys.txt", &desk.sops.identity);
        // "me:open-sesame" and "other:hunter2"
        let auths = json!({ "auths": { "ghcr.io": { "auth": "bWU6b3Blbi1zZXNhbWU=" }, "r.io": { "auth": "b3RoZXI6aHVudGVyMg==" } } });
        desk.write(".docker/config.json", &auths.to_string());
        fs::create_dir(desk.at("infra")).expect("a folder");
        desk
    }

    fn at(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.at(path).parent().expect("a folder")).expect("a folder");
        fs::write(self.at(path), text).expect("written");
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).expect("text")
    }

    fn rules(&self, recipients: &[&str], rule: &str) -> String {
        format!("creation_rules:\n  - age: {}\n    {rule}\n", recipients.join(","))
    }

    /// Runs `secrets pull-secret` for ghcr.io.
    fn pull_secret(&self, more: &[&str]) -> support::tagalong::Run {
        let dir = self.at("infra").display().to_string();
        let usual =
            ["secrets", "pull-secret", "--registry", "ghcr.io", "--name", "ghcr", "--namespace", "shop", "--dir", &dir];
        let run = run(self.home.path(), &[&usual, more].concat());
        for secret in ["open-sesame", "bWU6b3Blbi1zZXNhbWU", "hunter2"] {
            assert!(!format!("{run:?}").contains(secret), "{run:#?}");
        }
        run
    }

    /// The contents of a pull secret, decrypted by sops.
    fn opened(&self, text: &str) -> (String, Value) {
        let plain = String::from_utf8(self.sops.decrypt("x.yaml", text, &[]).expect("sops decrypts it")).expect("text");
        let (head, value) = plain.split_once(".dockerconfigjson: ").expect("a value");
        use base64::Engine;
        let bytes = base64::engine::general_purpose::STANDARD.decode(value.trim()).expect("base64");
        (head.to_owned(), serde_json::from_slice(&bytes).expect("JSON"))
    }
}

#[test]
fn a_pull_secret_has_one_registry_and_follows_the_rules() {
    let desk = Desk::new();
    desk.write("infra/.sops.yaml", &desk.rules(&[&desk.sops.recipient], FLUX));
    desk.pull_secret(&["--file", "apps/shop/ghcr.yaml"]).ok();
    let written = desk.read("infra/apps/shop/ghcr.yaml");
    let (head, config) = desk.opened(&written);
    assert_eq!(
        head,
        "apiVersion: v1\nkind: Secret\nmetadata:\n    name: ghcr\n    namespace: shop\ntype: kubernetes.io/dockerconfigjson\ndata:\n    "
    );
    let entry = json!({ "username": "me", "password": "open-sesame", "auth": "bWU6b3Blbi1zZXNhbWU=" });
    assert_eq!(config, json!({ "auths": { "ghcr.io": entry } }));
    // Doing the same again changes nothing; another password does.
    let again = desk.pull_secret(&["--file", "apps/shop/ghcr.yaml", "--output", "json"]).ok().json();
    assert_eq!((&again["changed"], &again["file"]), (&json!(false), &json!("apps/shop/ghcr.yaml")));
    assert_eq!(desk.read("infra/apps/shop/ghcr.yaml"), written);
    let other = desk.at("other.json").display().to_string();
    // "me:open-sesame-2"
    desk.write("other.json", r#"{"auths":{"https://ghcr.io/v2/":{"auth":"bWU6b3Blbi1zZXNhbWUtMg=="}}}"#);
    let args = ["--file", "apps/shop/ghcr.yaml", "--docker-config", &other];
    let diff = desk.pull_secret(&[&args[..], &["--dry-run"]].concat()).ok();
    assert!(diff.stdout.contains("+  .dockerconfigjson: ENC[AES256_GCM,"), "{diff:#?}");
    assert_eq!(desk.read("infra/apps/shop/ghcr.yaml"), written);
    desk.pull_secret(&args).ok();
    assert_eq!(desk.opened(&desk.read("infra/apps/shop/ghcr.yaml")).1["auths"]["ghcr.io"]["password"], "open-sesame-2");
    // Printed; a rule in a parent folder applies, and one that does not say which values to encrypt encrypts those of
    // Secrets.
    desk.write(".sops.yaml", &desk.rules(&[&desk.sops.recipient], "path_regex: ^infra/ghcr"));
    fs::remove_file(desk.at("infra/.sops.yaml")).expect("there");
    let printed = desk.pull_secret(&[]).ok();
    assert_eq!(desk.opened(&printed.stdout).0, head);
    let verified = run(desk.home.path(), &["secrets", "verify", "--dir", &desk.at("infra").display().to_string()]).ok();
    assert!(verified.stdout.contains("1 ok, 0 not ok"), "{verified:#?}");
}

#[test]
fn an_unusable_pull_secret_is_not_written() {
    let desk = Desk::new();
    let fails = |more: &[&str], code: i32, words: &str| {
        let run = desk.pull_secret(&[&["--file", "a.yaml"], more].concat()).fails_with(code);
        assert!(run.stderr.contains(words) && run.stderr.contains("help: "), "{words}: {run:#?}");
        assert!(!desk.at("infra/a.yaml").exists(), "{words}");
    };
    fails(&[], 2, "a.yaml: no creation rule");
    desk.write("infra/.sops.yaml", &desk.rules(&[&desk.sops.recipient], "path_regex: ("));
    fails(&[], 2, "cannot use .sops.yaml");
    desk.write("infra/.sops.yaml", &desk.rules(&[&desk.sops.recipient], "encrypted_regex: ^password$"));
    fails(&[], 2, "the credential would not be encrypted");
    desk.write("infra/.sops.yaml", &desk.rules(&[&desk.sops.recipient], "unencrypted_suffix: _plain"));
    fails(&[], 2, "the kind and name of the Secret would be encrypted");
    desk.write(
        "infra/.sops.yaml",
        &desk.rules(&[&desk.sops.recipient], "pgp: FBC7B9E2A4F9289AC0C1D4843D16CEE4A27381B4"),
    );
    fails(&[], 3, "pgp FBC7B9E2A4F9289AC0C1D4843D16CEE4A27381B4, which is not supported");
    desk.write("infra/.sops.yaml", &desk.rules(&[&desk.sops.recipient], FLUX));
    desk.write("empty.json", "{}");
    let empty = desk.at("empty.json").display().to_string();
    fails(&["--docker-config", &empty], 2, "no credential for ghcr.io in ");
    // "me" without a password is an entry with a refresh token.
    desk.write("empty.json", r#"{"auths":{"ghcr.io":{"auth":"PHRva2VuPjo=","identitytoken":"open-sesame"}}}"#);
    fails(&["--docker-config", &empty], 2, "refresh token");
    desk.write("infra/other.yaml", SECRET);
    let occupied = desk.pull_secret(&["--file", "other.yaml"]).fails_with(2);
    assert!(occupied.stderr.contains("other.yaml exists already"), "{occupied:#?}");
    assert_eq!(desk.read("infra/other.yaml"), SECRET);
}

fn rotate(desk: &Desk, more: &[&str]) -> support::tagalong::Run {
    let dir = desk.at("infra").display().to_string();
    let run = run(desk.home.path(), &[&["secrets", "rotate", "--dir", &dir], more].concat());
    assert!(!format!("{run:?}").contains("hunter2"), "{run:#?}");
    run
}

fn data_key(text: &str) -> &str {
    text.split("enc: ").nth(1).expect("a key")
}

#[test]
fn rotated_files_have_new_keys_for_the_recipients_of_the_rules() {
    let desk = Desk::new();
    let (joined, joined_identity) = new_key();
    let (left, left_identity) = new_key();
    let old = desk.rules(&[&desk.sops.recipient, &left], FLUX);
    let secret = String::from_utf8(desk.sops.encrypt_by("s.yaml", SECRET, &old)).expect("text");
    let env = String::from_utf8(desk.sops.encrypt_by(
        "s.env",
        "A=hunter2\n# b\n",
        &old.replace(FLUX, "mac_only_encrypted: true"),
    ))
    .expect("text");
    desk.write("infra/apps/s.yaml", &secret);
    desk.write("infra/s.env", &env);
    desk.write("infra/plain.yaml", "a: 1\n");
    desk.write("infra/.sops.yaml", &desk.rules(&[&desk.sops.recipient, &joined], FLUX));
    let diff = rotate(&desk, &["--dry-run"]).ok();
    assert!(
        diff.stdout.contains("--- a/apps/s.yaml") && diff.stdout.contains(&format!("+        - recipient: {joined}")),
        "{diff:#?}"
    );
    assert_eq!(desk.read("infra/apps/s.yaml"), secret);
    let part = rotate(&desk, &["--path", "*.env", "--output", "json"]).ok().json();
    assert_eq!((&part["rotated"], &part["failed"], &part["commit"]), (&json!(1), &json!(0), &Value::Null));
    assert_eq!(desk.read("infra/apps/s.yaml"), secret);
    let done = rotate(&desk, &["--output", "json"]).ok().json();
    let row =
        json!({ "file": "apps/s.yaml", "status": "rotated", "reason": null, "added": [joined], "removed": [left] });
    assert_eq!(done["files"][0], row, "{done:#}");
    assert_eq!(done["files"][1]["added"], json!([]), "it was brought there before");
    let (new, new_env) = (desk.read("infra/apps/s.yaml"), desk.read("infra/s.env"));
    assert_ne!(data_key(&new), data_key(&secret));
    let clear = |text: &str| text.lines().take(5).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(clear(&new), clear(&secret));
    for identity in [&desk.sops.identity, &joined_identity] {
        let with = |name: &str, text: &str| {
            desk.sops.write(name, text);
            let output = desk.sops.run_as(identity, &["decrypt", name]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).expect("text")
        };
        assert_eq!(with("s.yaml", &new), SECRET);
        assert_eq!(with("s.env", &new_env), "A=hunter2\n# b\n");
    }
    desk.sops.write("s.yaml", &new);
    assert!(!desk.sops.run_as(&left_identity, &["decrypt", "s.yaml"]).status.success());
    // And tagalong verifies what sops rotates.
    desk.sops.write(".sops.yaml", desk.read("infra/.sops.yaml"));
    assert!(desk.sops.run(&["rotate", "-i", "s.yaml"]).status.success());
    desk.write("infra/apps/s.yaml", &fs::read_to_string(desk.sops.path("s.yaml")).expect("text"));
    run(desk.home.path(), &["secrets", "verify", "--dir", &desk.at("infra").display().to_string()]).ok();
}

#[test]
fn if_one_file_cannot_be_rotated_none_is() {
    let desk = Desk::new();
    let rules = desk.rules(&[&desk.sops.recipient], FLUX);
    let secret = String::from_utf8(desk.sops.encrypt_by("s.yaml", SECRET, &rules)).expect("text");
    desk.write("infra/good.yaml", &secret);
    desk.write("infra/broken.yaml", &secret.replace("name: db", "name: other"));
    let check = |words: &str| {
        let run = rotate(&desk, &[]);
        assert_eq!((run.code, run.stdout.contains("nothing was changed")), (3, true), "{run:#?}");
        assert!(run.stdout.contains(words), "{words}: {run:#?}");
        assert_eq!(desk.read("infra/good.yaml"), secret);
    };
    check("failed  broken.yaml: its MAC does not match");
    // A cloud key service, in the file or required by the rules, is neither dropped nor ignored.
    let pgp = "    pgp:\n        - created_at: \"2026-11-21T08:00:00Z\"\n          enc: x\n          fp: FBC7B9E2\n    lastmodified";
    desk.write("infra/broken.yaml", &secret.replacen("    lastmodified", pgp, 1));
    check("failed  broken.yaml: it should be encrypted to pgp FBC7B9E2, which is not supported");
    desk.write("infra/broken.yaml", &secret);
    let by_rule = format!("creation_rules:\n- path_regex: broken\n  kms: arn:x\n  age: {}\n", desk.sops.recipient);
    desk.write("infra/.sops.yaml", &by_rule);
    check("failed  broken.yaml: it should be encrypted to kms arn:x, which is not supported");
    desk.write("infra/.sops.yaml", "creation_rules:\n- path_regex: (\n");
    check("failed  broken.yaml: .sops.yaml cannot be used: rule 1: ");
    fs::remove_file(desk.at(".config/sops/age/keys.txt")).expect("there");
    fs::remove_file(desk.at("infra/.sops.yaml")).expect("there");
    check(&format!(
        "failed  broken.yaml: there is no age identity to decrypt it with; it is encrypted to {}",
        desk.sops.recipient
    ));
}

fn key_file(home: &Path, sops: &Sops) -> String {
    let file = home.join("age.agekey");
    fs::write(&file, &sops.identity).expect("written");
    file.display().to_string()
}

#[test]
fn a_rotation_on_git_is_one_commit() {
    let sops = Sops::new();
    let secret = String::from_utf8(sops.encrypt("s.yaml", SECRET, FLUX)).expect("text");
    let stage = Stage::new(&[("a/s.yaml", &secret), ("b/s.yaml", &secret), ("README.md", "x\n")]);
    let key = key_file(stage.home(), &sops);
    let args = ["secrets", "rotate", "--age-key-file", &key, "--output", "json"];
    let before = stage.origin.tip();
    let dry = stage.tagalong(&[&args[..], &["--dry-run"]].concat()).ok().json();
    assert_eq!((&dry["rotated"], &dry["commit"]), (&json!(2), &Value::Null));
    assert_eq!(stage.origin.tip(), before);
    let done = stage.tagalong(&args).ok().json();
    assert_eq!(done["commit"], json!(stage.origin.tip()), "{done:#}");
    let log = support::git::git(&stage.origin.path, &["log", "-2", "--format=%s %b %H", "--name-only"]);
    assert!(log.starts_with("secrets: new data keys for 2 files") && log.contains(&before), "{log}");
    for file in ["a/s.yaml", "b/s.yaml"] {
        let now = stage.origin.read(file);
        assert_ne!(data_key(&now), data_key(&secret));
        assert_eq!(sops.decrypt("s.yaml", &now, &[]).expect("sops decrypts it"), SECRET.as_bytes());
    }
    let refused = stage.tagalong(&["secrets", "rotate", "--output", "json"]);
    assert_eq!((refused.code, &refused.json()["failed"]), (3, &json!(2)));
}
