//! With `trust.signers`, only signed commits are obeyed; git agrees on which those are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::git::{git, make_key};
use crate::support::infra::Stage;
use crate::support::tagalong::{self, Run};

pub const FILE: &str = "app.yaml";

/// An app at `aaaaaa1` with `bbbbbb2` in the registry, and the bot's key.
pub fn stage() -> Stage {
    let stage = Stage::new(&[(FILE, "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", "2026-04-01T00:00:00Z");
    stage.registry.push("org/app", "bbbbbb2", "2026-04-01T01:00:00Z");
    make_key(&stage.home().join("bot"), &["-t", "ed25519"]);
    stage
}

pub fn public(key: &Path) -> String {
    let file = fs::read_to_string(format!("{}.pub", key.display())).expect("a key");
    file.trim().to_owned()
}

/// Writes a configuration that signs with the bot's key and has these entries under `trust.signers`.
pub fn config(stage: &Stage, signers: &[String]) -> PathBuf {
    let signing = format!("signing: {{ sshKeyFile: {} }}", stage.home().join("bot").display());
    let file = stage.config_with("signed.yaml", &signing);
    let entries: String = signers.iter().map(|entry| format!("  - {}\n", serde_json::json!(entry))).collect();
    let text = fs::read_to_string(&file).expect("there");
    fs::write(&file, format!("{text}trust:\n  signers:\n{entries}")).expect("written");
    file
}

pub fn run(stage: &Stage, config: &Path, arguments: &[&str]) -> Run {
    let cache = stage.home().join("cache").display().to_string();
    let _ = fs::remove_dir_all(&cache);
    let config = config.display().to_string();
    tagalong::run(stage.home(), &[arguments, &["--config", &config, "--cache-dir", &cache]].concat())
}

pub fn sync(stage: &Stage, config: &Path) -> serde_json::Value {
    run(stage, config, &["sync", "--output", "json"]).ok().json()
}

pub fn bot(stage: &Stage) -> String {
    format!("bot@example.com namespaces=\"git\" {}", public(&stage.home().join("bot")))
}

#[test]
fn orders_count_if_they_are_signed_and_reverts_in_any_case() {
    let stage = stage();
    let config = config(&stage, &[bot(&stage)]);
    let image = stage.image("app");
    // A hold that nobody signed.
    stage.origin.commit(&format!("hold\n\nTagalong-Hold: {image}\n"), &[]);
    assert_eq!(sync(&stage, &config)["updates"][0]["to"], "bbbbbb2");
    // A revert needs no signature: the content of the tree says it.
    stage.origin.commit("Revert", &[(FILE, &format!("image: {image}:aaaaaa1\n"))]);
    let held = |report: &serde_json::Value| report["skipped"][0]["reason"] == "held";
    assert!(held(&sync(&stage, &config)));
    // What releases it does, be it an order, a record, or a list of all holds.
    stage.origin.commit(&format!("resume\n\nTagalong-Resume: {image}\n"), &[]);
    assert!(held(&sync(&stage, &config)));
    run(&stage, &config, &["resume", &image, "--reason", "mended"]).ok();
    assert_eq!(sync(&stage, &config)["updates"][0]["to"], "bbbbbb2");
    let record = format!("deploy\n\nTagalong-Update: {FILE} image {image} bbbbbb2 -> aaaaaa1\n");
    stage.origin.commit(&record, &[(FILE, &format!("image: {image}:aaaaaa1\n"))]);
    assert!(held(&sync(&stage, &config)), "it would look as if the bot had moved on");
    run(&stage, &config, &["resume", &image, "--reason", "mended"]).ok();
    run(&stage, &config, &["hold", &image, "--reason", "freeze"]).ok();
    let base = stage.origin.tip();
    stage.origin.commit(&format!("x\n\nTagalong-Resume: acme/other\nTagalong-Base: {base}\n"), &[]);
    assert!(held(&sync(&stage, &config)));
    // What an earlier run learned does not outlive a change of the signers.
    let cached = |config: &Path| {
        let arguments = ["sync", "--output", "json", "--config", &config.display().to_string()];
        tagalong::run(stage.home(), &arguments).ok().json()
    };
    assert!(held(&cached(&config)));
    assert_eq!(cached(&stage.config())["updates"][0]["to"], "bbbbbb2", "anybody's base counts here");
}

#[test]
fn a_revert_that_nobody_signed_undoes_no_order() {
    let stage = stage();
    let config = config(&stage, &[bot(&stage)]);
    let image = stage.image("app");
    run(&stage, &config, &["hold", &image, "--reason", "freeze"]).ok();
    let message = format!("revert {}\n\nrevert {}", stage.origin.tip(), stage.origin.message());
    stage.origin.commit(&message, &[]);
    assert_eq!(sync(&stage, &config)["skipped"][0]["reason"], "held");
    // Where everybody's orders count, it lifts the hold.
    let report = run(&stage, &stage.config(), &["sync", "--output", "json"]).ok().json();
    assert_eq!(report["updates"][0]["to"], "bbbbbb2");
}

#[test]
fn an_unsigned_squash_of_our_own_commit_is_held_back_when_it_is_reverted() {
    let stage = stage();
    let config = config(&stage, &[bot(&stage)]);
    let base = stage.origin.tip();
    assert_eq!(sync(&stage, &config)["updates"][0]["to"], "bbbbbb2");
    let message = stage.origin.message();
    git(&stage.origin.path, &["update-ref", "refs/heads/main", &base]);
    let content = |tag: &str| format!("image: {}:{tag}\n", stage.image("app"));
    stage.origin.commit(&message, &[(FILE, &content("bbbbbb2"))]);
    stage.origin.commit("Revert", &[(FILE, &content("aaaaaa1"))]);
    assert_eq!(sync(&stage, &config)["skipped"][0]["reason"], "held");
}

/// A person's clone, whose commits are signed in many ways.
pub struct Person<'s> {
    stage: &'s Stage,
    pub work: PathBuf,
}

impl<'s> Person<'s> {
    pub fn new(stage: &'s Stage) -> Person<'s> {
        git(stage.home(), &["clone", "--quiet", "infra.git", "person"]);
        Person { stage, work: stage.home().join("person") }
    }

    /// Deploys a tag by a commit made with more options of git, and pushes it.
    pub fn deploy(&self, tag: &str, options: &[&str]) {
        fs::write(self.work.join(FILE), format!("image: {}:{tag}\n", self.stage.image("app"))).expect("written");
        git(&self.work, &[options, &["commit", "--quiet", "--all", "-m", &format!("move to {tag}")]].concat());
        git(&self.work, &["push", "--quiet", "origin", "HEAD:main"]);
    }

    /// Holds a tag by a commit made with more options of git, and pushes it.
    fn hold(&self, tag: &str, options: &[&str]) {
        let message = format!("hold\n\nTagalong-Hold: {}:{tag}\n", self.stage.image("app"));
        git(&self.work, &[options, &["commit", "--quiet", "--allow-empty", "-m", &message]].concat());
        git(&self.work, &["push", "--quiet", "origin", "HEAD:main"]);
    }

    fn hold_with_ssh(&self, tag: &str, key: &Path) {
        let key = format!("user.signingKey={}", key.display());
        self.hold(tag, &["-c", "gpg.format=ssh", "-c", &key, "-c", "commit.gpgSign=true"]);
    }
}

/// A GnuPG home with a key whose subkey signs, a script that calls gpg with it, and its certificate.
pub fn gnupg(home: &Path, algorithm: &str) -> (PathBuf, String) {
    fs::create_dir_all(home).expect("a folder");
    let program = home.join("gpg");
    let script = format!(
        "#!/bin/sh\nexec gpg --homedir {} --batch --pinentry-mode loopback --passphrase '' \"$@\"\n",
        home.display()
    );
    fs::write(&program, script).expect("written");
    assert!(Command::new("chmod").arg("700").arg(home).arg(&program).status().expect("chmod starts").success());
    let gpg = |arguments: &[&str]| {
        let output = Command::new(&program).args(arguments).stdin(Stdio::null()).output().expect("gpg starts");
        assert!(output.status.success(), "gpg {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    gpg(&["--quick-generate-key", "Ada <ada@example.com>", algorithm, "cert", "1d"]);
    let listed = gpg(&["--list-keys", "--with-colons"]);
    let fingerprint = listed.lines().find_map(|line| line.strip_prefix("fpr:")).expect("a fingerprint");
    let fingerprint = fingerprint.split(':').nth(8).expect("a fingerprint");
    gpg(&["--quick-add-key", fingerprint, algorithm, "sign", "1d"]);
    let certificate = gpg(&["--armor", "--export"]);
    (program, certificate)
}

/// The tags held by name, as `status` reports them.
fn held(stage: &Stage, config: &Path) -> BTreeSet<String> {
    let status = run(stage, config, &["status", "--output", "json"]).ok().json();
    let holds = status[0]["holds"].as_array().expect("a list").clone();
    holds.iter().map(|hold| hold["tag"].as_str().expect("a tag").to_owned()).collect()
}

#[test]
fn git_and_tagalong_agree_on_who_signed() {
    let stage = stage();
    let person = Person::new(&stage);
    let kinds: [(&str, &[&str]); 6] = [
        ("ed25519", &["-t", "ed25519"]),
        ("ecdsa256", &["-t", "ecdsa", "-b", "256"]),
        ("ecdsa384", &["-t", "ecdsa", "-b", "384"]),
        ("ecdsa521", &["-t", "ecdsa", "-b", "521"]),
        ("rsa", &["-t", "rsa", "-b", "2048"]),
        ("stranger", &["-t", "ed25519"]),
    ];
    let mut lines = vec!["# people".to_owned(), bot(&stage)];
    let key = |name: &str| stage.home().join(name);
    for (name, options) in kinds {
        make_key(&key(name), options);
        if name != "stranger" {
            lines.push(format!("ada@example.com,*@acme.example {} {name}", public(&key(name))));
        }
    }
    let limited = [
        ("file", "namespaces=\"file\""),
        ("listed", "namespaces=\"file,git\""),
        ("pattern", "namespaces=\"g*\""),
        ("expired", "valid-before=\"20200101\""),
        ("early", "valid-after=\"20990101Z\""),
        ("current", "valid-after=\"20200101\",valid-before=\"20990101000000Z\""),
    ];
    for (name, options) in limited {
        make_key(&key(name), &["-t", "ed25519"]);
        lines.push(format!("ada@example.com {options} {}", public(&key(name))));
    }
    let file = stage.home().join("allowed_signers");
    fs::write(&file, lines.join("\n")).expect("written");
    let (ed25519, certificate) = gnupg(&key("gnupg-ed25519"), "ed25519");
    let (rsa, rsa_certificate) = gnupg(&key("gnupg-rsa"), "rsa2048");
    let (stranger, _) = gnupg(&key("gnupg-stranger"), "ed25519");
    fs::write(key("rsa.asc"), rsa_certificate).expect("written");

    for (name, _) in kinds.iter().map(|(name, _)| (*name, "")).chain(limited) {
        person.hold_with_ssh(name, &key(name));
    }
    for (name, program) in [("pgp-ed25519", &ed25519), ("pgp-rsa", &rsa), ("pgp-stranger", &stranger)] {
        let program = format!("gpg.program={}", program.display());
        let user = "user.signingKey=ada@example.com";
        person.hold(name, &["-c", &program, "-c", user, "-c", "commit.gpgSign=true"]);
    }
    person.hold("unsigned", &[]);
    // A signature of another commit.
    let signed = git(&person.work, &["log", "--format=%H", "--fixed-strings", "--grep=app:ed25519"]);
    let signed = git(&person.work, &["cat-file", "commit", signed.trim()]);
    let (parent, _) = signed.split_once("\nauthor").expect("a header");
    let head = git(&person.work, &["rev-parse", "HEAD^{tree}", "HEAD"]);
    let head = format!("tree {}", head.trim().replace('\n', "\nparent "));
    fs::write(key("tampered"), signed.replace(parent, &head).replace("app:ed25519", "app:tampered")).expect("written");
    let tampered = git(&person.work, &["hash-object", "-t", "commit", "-w", &key("tampered").display().to_string()]);
    git(&person.work, &["push", "--quiet", "origin", &format!("{}:main", tampered.trim())]);

    let certified = [&ed25519, &rsa];
    let trusted = format!("gpg.ssh.allowedSignersFile={}", file.display());
    let mut expected = BTreeSet::new();
    for commit in git(&stage.origin.path, &["rev-list", "main"]).lines() {
        let message = git(&stage.origin.path, &["log", "-1", "--format=%B", commit]);
        let Some(tag) = message.lines().find_map(|line| line.strip_prefix("Tagalong-Hold: ")?.rsplit(':').next())
        else {
            continue;
        };
        let verifies = |program: &Path| {
            let program = format!("gpg.program={}", program.display());
            let mut command = Command::new("git");
            command.current_dir(&stage.origin.path).args(["-c", &trusted, "-c", &program, "verify-commit", commit]);
            command.output().expect("git starts").status.success()
        };
        if certified.iter().any(|program| verifies(program)) {
            expected.insert(tag.to_owned());
        }
    }
    assert!(expected.contains("rsa") && expected.contains("pgp-rsa") && expected.contains("current"), "{expected:?}");
    assert_eq!(expected.len(), 10, "{expected:?}");
    let signers = [file.display().to_string(), certificate, key("rsa.asc").display().to_string()];
    let config = config(&stage, &signers);
    assert_eq!(held(&stage, &config), expected);
    // All of them, where anyone is obeyed.
    assert_eq!(held(&stage, &stage.config()).len(), 17);
    [ed25519, rsa, stranger].iter().for_each(|program| end_agents(program));
}

/// Ends what GnuPG has started for a home.
pub fn end_agents(program: &Path) {
    let home = program.parent().expect("a folder").display().to_string();
    let _ = Command::new("gpgconf").args(["--homedir", &home, "--kill", "all"]).status();
}

#[test]
fn commits_that_would_not_count_are_not_made() {
    let stage = stage();
    make_key(&stage.home().join("other"), &["-t", "ed25519"]);
    let other = format!("* {}", public(&stage.home().join("other")));
    let tip = stage.origin.tip();
    let row = |config: &Path| {
        let run = run(&stage, config, &["check", "--output", "json"]);
        let rows = run.json();
        let row = rows.as_array().expect("rows").iter().find(|row| row["check"] == "signers").expect("a row").clone();
        (run.code, row)
    };
    let stranger = config(&stage, std::slice::from_ref(&other));
    let (code, found) = row(&stranger);
    assert!(code == 2 && found["detail"].as_str().expect("text").contains("would not count"), "{found:#}");
    for arguments in [&["sync"][..], &["hold", &stage.image("app"), "--reason", "x"]] {
        let refused = run(&stage, &stranger, arguments).fails_with(2);
        assert!(refused.stderr.contains("none of trust.signers accepts them"), "{refused:#?}");
    }
    // The same without a key at all.
    let text = fs::read_to_string(&stranger).expect("there");
    let unsigned = stage.home().join("unsigned.yaml");
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("signing:")).collect();
    fs::write(&unsigned, lines.join("\n")).expect("written");
    assert_eq!(row(&unsigned).0, 2);
    let refused = run(&stage, &unsigned, &["sync"]).fails_with(2);
    assert!(refused.stderr.contains("trust.signers is set, and git.signing is not"), "{refused:#?}");
    assert_eq!(stage.origin.tip(), tip);
    let (code, found) = row(&config(&stage, &[other, bot(&stage)]));
    assert_eq!((code, &found["detail"]), (0, &"2 keys, one of which signs own commits".into()), "{found:#}");
}

#[test]
fn signers_that_cannot_be_used_are_named() {
    let stage = stage();
    let key = public(&stage.home().join("bot"));
    let file = stage.home().join("signers");
    fs::write(&file, format!("* {key}\n* colour=\"red\" {key}\n")).expect("written");
    for (entry, expected) in [
        (key.clone(), "trust.signers: line 1: who may sign is missing before `ssh-ed25519`"),
        ("* ssh-ed25519 nonsense".to_owned(), "is not followed by a valid key"),
        (String::new(), "an entry must not be empty"),
        (file.display().to_string(), "line 2: unknown option `colour`"),
        ("/nowhere/signers".to_owned(), "cannot read /nowhere/signers"),
        (stage.home().join("bot").display().to_string(), "cannot use the signers in"),
    ] {
        let refused = run(&stage, &config(&stage, &[entry]), &["sync"]).fails_with(2);
        assert!(refused.stderr.contains(expected), "{refused:#?}");
    }
    // Nobody who can only push says whom to trust.
    stage.origin.commit("policies", &[("tagalong.yaml", &format!("trust: {{ signers: ['* {key}'] }}\n"))]);
    let refused = stage.tagalong(&["sync"]).fails_with(2);
    assert!(
        refused
            .stderr
            .contains("trust: only `policies`, `fields`, `embedded`, `stages`, `releases` and `windows` are allowed"),
        "{refused:#?}"
    );
}
