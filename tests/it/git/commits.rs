//! Commit messages follow the template, and signatures are accepted by git itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::support::git::git;
use crate::support::infra::Stage;
use crate::support::tagalong::{self, Run};

const OLD: &str = "2026-04-01T10:00:00Z";
const NEW: &str = "2026-04-02T10:00:00Z";

fn stage() -> Stage {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", OLD);
    stage.registry.push("org/app", "bbbbbb1", NEW);
    stage
}

/// Runs `sync` with more lines in the `git` section.
fn sync(stage: &Stage, git: &str) -> Run {
    let config = stage.config_with("signing.yaml", git);
    tagalong::run(stage.home(), &["sync", "--output", "json", "--config", &config.display().to_string()])
}

fn back(stage: &Stage) {
    let image = stage.image("app");
    stage.origin.back(&[&image], &[("app.yaml", &format!("image: {image}:aaaaaa1\n"))]);
}

fn ssh_key(folder: &Path, name: &str, kind: &[&str], passphrase: &str) -> PathBuf {
    let file = folder.join(name);
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-C", "", "-N", passphrase, "-f"]).arg(&file).args(kind);
    assert!(command.status().expect("ssh-keygen starts").success());
    file
}

/// The output of `git verify-commit` for the tip, trusting this SSH key.
fn verified_by(stage: &Stage, key: &Path) -> Output {
    let public = fs::read_to_string(format!("{}.pub", key.display())).expect("a key");
    let signers = stage.home().join("allowed_signers");
    fs::write(&signers, format!("bot@example.com namespaces=\"git\" {public}")).expect("written");
    let trusted = format!("gpg.ssh.allowedSignersFile={}", signers.display());
    let mut command = Command::new("git");
    command.current_dir(&stage.origin.path).args(["-c", &trusted, "verify-commit", "-v", "main"]);
    command.output().expect("git starts")
}

#[track_caller]
fn is_good(output: &Output, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains(words), "{said}");
}

#[test]
fn git_accepts_signatures_with_ssh_keys() {
    let stage = stage();
    let passphrase = stage.home().join("passphrase");
    fs::write(&passphrase, "correct horse\n").expect("written");
    let keys: [(&str, &[&str], &str); 4] = [
        ("plain", &["-t", "ed25519"], ""),
        ("locked", &["-t", "ed25519"], "correct horse"),
        ("ecdsa", &["-t", "ecdsa", "-b", "256"], ""),
        ("rsa", &["-t", "rsa", "-b", "2048"], "correct horse"),
    ];
    for (name, kind, with) in keys {
        let key = ssh_key(stage.home(), name, kind, with);
        let more = if with.is_empty() { String::new() } else { format!(", passphraseFile: {}", passphrase.display()) };
        sync(&stage, &format!("signing: {{ sshKeyFile: {}{more} }}", key.display())).ok();
        assert!(stage.origin.read("app.yaml").ends_with("bbbbbb1\n"), "{name}");
        is_good(&verified_by(&stage, &key), "Good \"git\" signature for bot@example.com");
        back(&stage);
    }
    stage.origin.is_sound();
}

/// A GnuPG home whose agent ends with it.
struct Gnupg {
    home: tempfile::TempDir,
}

impl Gnupg {
    fn new() -> Gnupg {
        let home = tempfile::tempdir().expect("a folder");
        Gnupg { home }
    }

    fn gpg(&self, arguments: &[&str]) -> Vec<u8> {
        let mut command = Command::new("gpg");
        command.args(["--homedir", &self.home.path().display().to_string(), "--batch", "--pinentry-mode", "loopback"]);
        let output = command.args(arguments).stdin(Stdio::null()).output().expect("gpg starts");
        assert!(output.status.success(), "gpg {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn verify(&self, repository: &Path) -> Output {
        let mut command = Command::new("git");
        command.current_dir(repository).env("GNUPGHOME", self.home.path()).args(["verify-commit", "--raw", "main"]);
        command.output().expect("git starts")
    }
}

impl Drop for Gnupg {
    fn drop(&mut self) {
        let home = self.home.path().display().to_string();
        let _ = Command::new("gpgconf").args(["--homedir", &home, "--kill", "all"]).status();
    }
}

#[test]
fn git_accepts_signatures_with_openpgp_keys() {
    let stage = stage();
    let passphrase = stage.home().join("passphrase");
    fs::write(&passphrase, "correct horse\n").expect("written");
    let key = stage.home().join("key.asc");
    // Name, type of the primary key, whether a subkey signs, whether it is armored, the passphrase.
    let kinds = [
        ("ed25519", "sign", false, true, ""),
        ("ed25519", "cert", true, false, "correct horse"),
        ("rsa2048", "sign", false, true, ""),
    ];
    for (algorithm, usage, subkey, armour, with) in kinds {
        let gnupg = Gnupg::new();
        gnupg.gpg(&["--passphrase", with, "--quick-generate-key", "CD Bot <bot@example.com>", algorithm, usage, "1d"]);
        if subkey {
            let listed = String::from_utf8_lossy(&gnupg.gpg(&["--list-keys", "--with-colons"])).into_owned();
            let fingerprint = listed.lines().find(|line| line.starts_with("fpr:")).expect("a fingerprint").to_owned();
            let fingerprint = fingerprint.split(':').nth(9).expect("a fingerprint");
            gnupg.gpg(&["--passphrase", with, "--quick-add-key", fingerprint, algorithm, "sign", "1d"]);
        }
        let form = if armour { "--armor" } else { "--no-armor" };
        let exported = gnupg.gpg(&["--passphrase", with, form, "--export-secret-keys"]);
        fs::write(&key, exported).expect("written");
        let more = if with.is_empty() { String::new() } else { format!(", passphraseFile: {}", passphrase.display()) };
        sync(&stage, &format!("signing: {{ openpgpKeyFile: {}{more} }}", key.display())).ok();
        is_good(&gnupg.verify(&stage.origin.path), "GOODSIG");
        back(&stage);
    }
    stage.origin.is_sound();
}

#[test]
fn an_unusable_signing_key_stops_the_push_and_is_named() {
    let stage = stage();
    let key = ssh_key(stage.home(), "locked", &["-t", "ed25519"], "correct horse");
    let passphrase = stage.home().join("passphrase");
    fs::write(&passphrase, "wrong-pony").expect("written");
    let tip = stage.origin.tip();
    for (git, expected) in [
        (format!("signing: {{ sshKeyFile: {} }}", key.display()), "no passphraseFile is given"),
        (
            format!("signing: {{ sshKeyFile: {}, passphraseFile: {} }}", key.display(), passphrase.display()),
            "the passphrase does not open it",
        ),
        (format!("signing: {{ openpgpKeyFile: {} }}", key.display()), "it is no OpenPGP private key"),
        ("signing: { sshKeyFile: /nowhere/key }".to_owned(), "cannot read /nowhere/key"),
        (format!("signing: {{ passphraseFile: {} }}", key.display()), "exactly one of sshKeyFile and openpgpKeyFile"),
    ] {
        let run = sync(&stage, &git).fails_with(2);
        assert!(run.stderr.contains(expected), "{run:#?}");
        assert!(!run.stderr.contains("wrong-pony") && !run.stderr.contains("OPENSSH PRIVATE"), "{run:#?}");
    }
    assert_eq!(stage.origin.tip(), tip);
}

#[test]
fn a_template_words_the_message() {
    let stage = stage();
    let template = "message: |\n  chore(deploy): {{ count }} update\n\n  {% for u in updates %}\n  {{ u.app }}: {{ u.from }} to {{ u.to }}\n  {% endfor %}\n  Tagalong-Hold: forged";
    let base = stage.origin.tip();
    sync(&stage, template).ok();
    let image = stage.image("app");
    let message = stage.origin.message();
    let order = message.lines().find(|line| line.starts_with("Tagalong-Order: ")).expect("the order").to_owned();
    assert_eq!(
        message.trim_end(),
        format!(
            "chore(deploy): 1 update\n\napp.yaml: aaaaaa1 to bbbbbb1\n> Tagalong-Hold: forged\n\n\
             Tagalong-Update: app.yaml image {image} aaaaaa1 -> bbbbbb1\n{order}\nTagalong-Base: {base}"
        )
    );
    let trailers = git(&stage.origin.path, &["log", "-1", "--format=%(trailers:only)", "main"]);
    assert_eq!(
        trailers.trim(),
        format!("Tagalong-Update: app.yaml image {image} aaaaaa1 -> bbbbbb1\n{order}\nTagalong-Base: {base}")
    );
    let run = sync(&stage, "message: 'deploy {{ nmae }}'\nbatch: day").fails_with(2);
    assert!(run.stderr.contains(":2:12: git.message: line 1: "), "{run:#?}");
    assert!(run.stderr.contains(":3:10: git.batch: invalid value `day`"), "{run:#?}");
}

#[test]
fn commits_per_app_or_image_are_one_push() {
    let host_files = |host: &str| {
        let two = |tag: &str| format!("a: {host}/org/a:{tag}\nb: {host}/org/b:{tag}\n");
        [("apps/one/x.yaml", two("aaaaaa1")), ("apps/two/y.yaml", two("aaaaaa1"))]
    };
    let stage = Stage::new(&[("README.md", "files follow\n")]);
    let files = host_files(&stage.registry.host());
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    for image in ["org/a", "org/b"] {
        stage.registry.push(image, "aaaaaa1", OLD);
        stage.registry.push(image, "bbbbbb1", NEW);
    }
    let pushes = stage.home().join("pushes");
    stage.origin.hook("post-receive", &format!("cat >> {}", pushes.display()));
    for (batch, expected) in [
        ("cycle", vec!["deploy: a aaaaaa1 -> bbbbbb1, b aaaaaa1 -> bbbbbb1"]),
        ("image", vec!["deploy: b aaaaaa1 -> bbbbbb1", "deploy: a aaaaaa1 -> bbbbbb1"]),
        ("app", vec!["deploy: a aaaaaa1 -> bbbbbb1, b aaaaaa1 -> bbbbbb1"; 2]),
    ] {
        stage.origin.back(&[&stage.image("a"), &stage.image("b")], &files);
        let _ = fs::remove_file(&pushes);
        let before = stage.origin.tip();
        let report = sync(&stage, &format!("batch: {batch}")).ok().json();
        assert_eq!(report["commit"], stage.origin.tip());
        assert_eq!(report["updates"].as_array().expect("a list").len(), 4);
        let log = git(&stage.origin.path, &["log", "--format=%s", &format!("{before}..main")]);
        assert_eq!(log.lines().collect::<Vec<_>>(), expected, "{batch}");
        let trailers = git(&stage.origin.path, &["log", "--format=%(trailers:only)", &format!("{before}..main")]);
        assert_eq!(trailers.matches("Tagalong-Update: ").count(), 4, "{trailers}");
        for (name, text) in &files {
            assert_eq!(stage.origin.read(name), text.replace("aaaaaa1", "bbbbbb1"), "{batch}");
        }
        assert_eq!(fs::read_to_string(&pushes).expect("pushes").lines().count(), 1, "one push");
    }
    stage.origin.is_sound();
}
