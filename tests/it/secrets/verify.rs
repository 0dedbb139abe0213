//! `secrets verify` finds what sops would reject and what should not be in plaintext, and reports where, without the
//! values.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tagalong::cycle::secrets::verify::{PullSecrets, Secrets, Strictness};
use tagalong::cycle::tip::Tip;
use tagalong::cycle::tree::cache::TreeCache;
use tagalong::keys::KeySources;
use tagalong::manifest::paths::PathFilter;
use tagalong::repo::clone::BareClone;
use tagalong::repo::config::{Config, Https, Person, Ssh};
use tagalong::sops::audit::FileStatus;

use crate::support::git::Origin;
use crate::support::sops::{Sops, new_key};
use crate::support::tagalong::{Run, command, finished, run};

const SECRET: &str =
    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  password: hunter2\n  user: me\n";

/// A repository with one file of each kind; returns the files by name.
fn repository(sops: &Sops, other: &str) -> Vec<(&'static str, String)> {
    let rules = format!(
        "creation_rules:\n- {{ path_regex: 'apps/.*secret.*\\.yaml$', encrypted_regex: '^(data|stringData)$', age: {} }}\n",
        sops.recipient
    );
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    let encrypted = text(sops.encrypt("secret.yaml", SECRET, "encrypted_regex: ^(data|stringData)$"));
    let value = encrypted.lines().find(|line| line.contains("user:")).expect("a line");
    let user = value.split_once(": ").expect("a value").1;
    let foreign = format!("creation_rules:\n- {{ age: {other}, encrypted_regex: '^(data|stringData)$' }}\n");
    vec![
        ("apps/a/anything.yml", encrypted.clone()),
        ("apps/a/values.env", text(sops.encrypt("values.env", "A=hunter2\n", ""))),
        ("apps/b/secret.yaml", encrypted.replace(user, "me")),
        ("apps/c/secret.yaml", encrypted.replace("name: db", "name: other")),
        ("apps/d/secret.yaml", text(sops.encrypt_by("secret.yaml", SECRET, &foreign))),
        ("apps/e/list.yaml", format!("a: 1\n---\n{SECRET}")),
        ("apps/f/secrets.yaml", "stringData:\n  password: hunter2\n".to_owned()),
        (
            "apps/g/kustomization.yaml",
            "secretGenerator:\n- { name: a, literals: [p=hunter2], envs: [clear.env], files: [../a/values.env] }\n"
                .to_owned(),
        ),
        ("apps/g/clear.env", "P=hunter2\n".to_owned()),
        ("apps/h/deployment.yaml", "kind: Deployment\nmetadata: { name: sops }\n".to_owned()),
        ("apps/h/template.yaml", "kind: Secret\ndata:\n  {{ toYaml .Values }}\n".to_owned()),
        (".sops.yaml", rules),
    ]
}

/// `status file document` of each row.
fn shown(found: &Value) -> Vec<String> {
    let row = |row: &Value| {
        format!("{} {} {}", row["status"].as_str().expect("text"), row["file"].as_str().expect("text"), row["document"])
    };
    found["files"].as_array().expect("files").iter().map(row).collect()
}

const EXPECTED: [&str; 9] = [
    "ok apps/a/anything.yml 0",
    "ok apps/a/values.env 0",
    "plaintext apps/b/secret.yaml 0",
    "failed apps/c/secret.yaml 0",
    "no-key apps/d/secret.yaml 0",
    "wrong-recipients apps/d/secret.yaml 0",
    "plaintext apps/e/list.yaml 1",
    "plaintext apps/f/secrets.yaml 0",
    "plaintext apps/g/clear.env 0",
];

/// Checks that the output contains no secret.
#[track_caller]
fn discreet(run: Run, identity: &str) -> Run {
    let all = format!("{run:?}");
    assert!(!all.contains("hunter2") && !all.contains(&identity[15..]), "{run:#?}");
    run
}

fn write(folder: &Path, files: &[(&str, String)]) {
    for (name, text) in files {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        fs::write(file, text).expect("written");
    }
}

#[test]
fn every_kind_of_mistake_is_found_in_files_and_in_git() {
    let sops = Sops::new();
    let files = repository(&sops, &new_key().0);
    let home = tempfile::tempdir().expect("a folder");
    let dir = home.path().join("work");
    write(&dir, &files);
    fs::create_dir(home.path().join("keys")).expect("a folder");
    fs::write(home.path().join("keys/age.agekey"), &sops.identity).expect("written");
    let (dir, keys) = (dir.display().to_string(), home.path().join("keys").display().to_string());
    let arguments = ["secrets", "verify", "--dir", &dir, "--age-key-file", &keys, "--output", "json"];
    let found = discreet(run(home.path(), &arguments), &sops.identity);
    assert_eq!(found.code, 3, "{found:#?}");
    let json = found.json();
    let rows = shown(&json);
    assert_eq!(rows[..9], EXPECTED, "{json:#}");
    assert_eq!(rows[9..], ["plaintext apps/g/kustomization.yaml 0"], "{json:#}");
    assert_eq!((&json["ok"], &json["failed"], &json["plaintext"]), (&json!(2), &json!(1), &json!(5)));
    assert_eq!(
        json["files"][0],
        json!({
            "file": "apps/a/anything.yml", "document": 0, "status": "ok", "format": "yaml", "reason": null,
            "recipients": [sops.recipient],
        })
    );
    let reason = |at: usize| json["files"][at]["reason"].as_str().expect("a reason").to_owned();
    assert!(reason(2).contains("stringData.user"), "{}", reason(2));
    assert!(reason(3).contains("MAC"), "{}", reason(3));
    assert!(reason(5).contains(&sops.recipient), "{}", reason(5));
    assert!(reason(6).contains("stringData.password and 1 more"), "{}", reason(6));
    assert!(reason(8).contains("apps/g/kustomization.yaml"), "{}", reason(8));

    let all: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let origin = Origin::create(&home.path().join("infra.git"), &all);
    let url = origin.path.display().to_string();
    let mut in_git = command(home.path());
    in_git.args(["secrets", "verify", "--git-url", &url, "--output", "json"]).env("SOPS_AGE_KEY", &sops.identity);
    let in_git = discreet(finished(in_git.output().expect("starts")), &sops.identity);
    assert_eq!((in_git.code, in_git.json()), (3, json), "{}", in_git.stderr);

    let only = ["secrets", "verify", "--dir", &dir, "--age-key-file", &keys, "--path", "apps/a"];
    let good = discreet(run(home.path(), &only), &sops.identity).ok();
    assert!(good.stdout.ends_with("2 ok, 0 not ok\n"), "{good:#?}");
}

#[test]
fn without_a_key_the_rest_is_still_found() {
    let sops = Sops::new();
    let home = tempfile::tempdir().expect("a folder");
    write(home.path(), &repository(&sops, &new_key().0));
    let dir = home.path().display().to_string();
    let json = run(home.path(), &["secrets", "verify", "--dir", &dir, "--output", "json"]).json();
    let rows = shown(&json);
    assert_eq!(rows[0], "no-key apps/a/anything.yml 0");
    assert!(rows.contains(&"plaintext apps/b/secret.yaml 0".to_owned()), "{rows:?}");
    assert!(rows.contains(&"wrong-recipients apps/d/secret.yaml 0".to_owned()), "{rows:?}");
}

#[test]
fn unreadable_files_are_errors_that_name_them() {
    let home = tempfile::tempdir().expect("a folder");
    let dir = home.path().display().to_string();
    let keys = home.path().join("keys.txt");
    let named = ["secrets", "verify", "--dir", &dir, "--age-key-file", &keys.display().to_string()];
    assert!(run(home.path(), &named).fails_with(2).stderr.contains("keys.txt"));
    fs::write(&keys, "# mine\nAGE-SECRET-KEY-1TYPO\n").expect("written");
    let wrong = run(home.path(), &named).fails_with(2);
    assert!(wrong.stderr.contains("keys.txt: line 2: ") && !wrong.stderr.contains("TYPO"), "{wrong:#?}");
    let gone = ["secrets", "verify", "--dir", &dir, "--path", "apps/gone.yaml"];
    assert!(run(home.path(), &gone).fails_with(2).stderr.contains("apps/gone.yaml"));
    assert!(run(home.path(), &["secrets", "verify"]).fails_with(2).stderr.contains("--git-url"));
}

#[test]
fn rules_in_parent_folders_apply() {
    let sops = Sops::new();
    let (other, _) = new_key();
    let home = tempfile::tempdir().expect("a folder");
    let secret =
        String::from_utf8(sops.encrypt("s.yaml", SECRET, "encrypted_regex: ^(data|stringData)$")).expect("text");
    let rules = |path: &str| {
        format!("creation_rules:\n- {{ path_regex: '{path}', age: {other} }}\n- {{ age: {} }}\n", sops.recipient)
    };
    write(home.path(), &[("infra/apps/s.yaml", secret), (".config/sops/age/keys.txt", sops.identity.clone())]);
    let status = |dir: &str, rules: &str| {
        write(home.path(), &[(".sops.yaml", rules.to_owned())]);
        let dir = home.path().join(dir).display().to_string();
        let found = run(home.path(), &["secrets", "verify", "--output", "json", "--dir", &dir]).json();
        found["files"][0]["status"].as_str().expect("a file").to_owned()
    };
    // Patterns match the path relative to the rules.
    assert_eq!(status("infra", &rules("^apps/")), "ok");
    assert_eq!(status("infra", &rules("^infra/apps/")), "wrong-recipients");
    assert_eq!(status("infra/apps", &rules("^infra/apps/s")), "wrong-recipients");
    write(home.path(), &[("infra/.sops.yaml", "creation_rules: []\n".to_owned())]);
    assert_eq!(status("infra", &rules("^infra/apps/")), "ok", "the nearest rules count");
    let dir = home.path().join("infra/apps").display().to_string();
    write(home.path(), &[("infra/.sops.yaml", "creation_rules: [{ path_regex: '(' }]\n".to_owned())]);
    let broken = run(home.path(), &["secrets", "verify", "--dir", &dir]).fails_with(2);
    assert!(broken.stderr.contains("error: cannot use ") && broken.stderr.contains("infra/.sops.yaml"), "{broken:#?}");
}

#[test]
fn verdicts_are_cached() {
    let sops = Sops::new();
    let secret =
        String::from_utf8(sops.encrypt("s.yaml", SECRET, "encrypted_regex: ^(data|stringData)$")).expect("text");
    let folder = tempfile::tempdir().expect("a folder");
    let files: Vec<(String, &str)> = (0..5).map(|n| (format!("apps/{n}/s.yaml"), secret.as_str())).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    let origin = Origin::create(&folder.path().join("infra.git"), &files);
    let person = Person { name: "a".to_owned(), email: "a@example.com".to_owned() };
    let config = Config {
        url: origin.path.display().to_string().parse().expect("a URL"),
        branch: "main".parse().expect("a branch"),
        push_branch: None,
        push_options: Vec::new(),
        cache_dir: folder.path().join("cache"),
        depth: 0,
        history_limit: 0,
        timeout: Duration::from_secs(30),
        ssh: Ssh::default(),
        https: Https::default(),
        author: person.clone(),
        committer: person,
        signing: None,
        trust: Default::default(),
        metrics: Default::default(),
    };
    let environment = |name: &str| (name == "SOPS_AGE_KEY").then(|| sops.identity.clone());
    let secrets = Secrets::new(KeySources::new(&environment, &[]), Strictness::Block, PullSecrets::Check);
    let trees = Arc::new(TreeCache::new(PathFilter::default()));
    let judged = || {
        let count = AtomicUsize::new(0);
        let tip = BareClone::open(config.clone()).and_then(|clone| Tip::fetch(clone, &trees)).expect("a clone");
        let counted = |_, _| {
            count.fetch_add(1, Ordering::Relaxed);
        };
        let verdicts = secrets.verify(&tip, &counted).expect("judged");
        (count.into_inner(), verdicts.iter().filter(|verdict| verdict.status == FileStatus::Ok).count())
    };
    assert_eq!(judged(), (5, 5));
    assert_eq!(judged(), (0, 5));
    let broken = secret.replace("name: db", "name: other");
    origin.commit("one is broken, one is new", &[("apps/0/s.yaml", &broken), ("apps/6/s.yaml", &secret)]);
    assert_eq!(judged(), (2, 5));
    // Other rules, other verdicts.
    origin.commit("rules", &[("apps/.sops.yaml", &format!("creation_rules: [{{ age: {} }}]\n", sops.recipient))]);
    assert_eq!(judged(), (7, 5));
    assert_eq!(judged(), (0, 5));
}
