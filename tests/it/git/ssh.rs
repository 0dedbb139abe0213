//! ssh servers and users of every make: certificates, servers with RSA keys alone, and connections that are kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::agent::Agent;
use crate::support::git::{Origin, Sshd, git, make_key};
use crate::support::infra::Stage;
use crate::support::process::{Server, wait_until};
use crate::support::tagalong::{self, Run};

const HOST_KEY: &[&str] = &["-t", "ed25519"];

/// A repository and an ssh server for it, as each test wants it.
struct Scene {
    folder: tempfile::TempDir,
    origin: Origin,
    sshd: Sshd,
}

impl Scene {
    fn new(host_key: &[&str], more: impl FnOnce(&Path) -> String) -> Scene {
        let folder = tempfile::tempdir().expect("a folder");
        let origin = Origin::create(&folder.path().join("infra.git"), &[("a.yaml", "a: 1\n")]);
        let sshd = Sshd::start_with(&folder.path().join("sshd"), host_key, more);
        Scene { folder, origin, sshd }
    }

    /// `check` with the section `git`, after some words of it were replaced.
    fn check(&self, replaced: &[(&str, &str)], environment: &[(&str, &str)]) -> (Run, String) {
        let mut text = self.sshd.config(&self.origin);
        for (from, to) in replaced {
            assert!(text.contains(from), "{from} is not in {text}");
            text = text.replace(from, to);
        }
        let file = self.folder.path().join("tagalong.yaml");
        fs::write(&file, text).expect("written");
        let mut command = tagalong::command(self.folder.path());
        command.args(["check", "--output", "json", "--config"]).arg(file).envs(environment.iter().copied());
        let run = tagalong::finished(command.output().expect("it starts"));
        let rows = run.json();
        let row = rows.as_array().expect("rows").iter().find(|row| row["check"] == "git").expect("a row").clone();
        (run, row["detail"].as_str().expect("text").to_owned())
    }

    #[track_caller]
    fn is_let_in(&self, replaced: &[(&str, &str)], environment: &[(&str, &str)]) {
        let (run, _) = self.check(replaced, environment);
        assert_eq!(run.code, 0, "{run:#?}");
    }

    #[track_caller]
    fn fails_with(&self, words: &str, replaced: &[(&str, &str)]) {
        let (run, detail) = self.check(replaced, &[]);
        assert!(run.code == 5 && detail.contains(words), "{run:#?}");
    }
}

/// Signs a public key with an authority (options of ssh-keygen).
fn sign(authority: &Path, key: &Path, options: &[&str]) -> PathBuf {
    let mut command = Command::new("ssh-keygen");
    command.arg("-q").arg("-s").arg(authority).args(["-I", "test"]).args(options);
    assert!(command.arg(format!("{}.pub", key.display())).status().expect("ssh-keygen starts").success());
    PathBuf::from(format!("{}-cert.pub", key.display()))
}

fn user() -> String {
    let user = Command::new("id").arg("-un").output().expect("id starts");
    String::from_utf8_lossy(&user.stdout).trim().to_owned()
}

fn public(key: &Path) -> String {
    fs::read_to_string(format!("{}.pub", key.display())).expect("a key")
}

#[test]
fn servers_with_a_single_kind_of_key_are_known_by_it() {
    for kind in [&["-t", "rsa", "-b", "2048"][..], &["-t", "ecdsa", "-b", "384"]] {
        Scene::new(kind, |_| String::new()).is_let_in(&[], &[]);
    }
}

#[test]
fn a_server_with_several_keys_shows_the_one_that_is_on_file() {
    let kinds: [(&str, &[&str]); 3] = [
        ("rsa", &["-t", "rsa", "-b", "2048"]),
        ("ecdsa256", &["-t", "ecdsa", "-b", "256"]),
        ("ecdsa521", &["-t", "ecdsa", "-b", "521"]),
    ];
    for (name, kind) in kinds {
        let more = |folder: &Path| {
            make_key(&folder.join(name), kind);
            format!("HostKey {}/{name}\n", folder.display())
        };
        let scene = Scene::new(HOST_KEY, more);
        let key = public(&scene.folder.path().join("sshd").join(name));
        fs::write(scene.sshd.known_hosts(), format!("[127.0.0.1]:{} {key}", scene.sshd.port())).expect("written");
        scene.is_let_in(&[], &[]);
    }
}

#[test]
fn a_revoked_key_is_refused_whatever_else_trusts_it() {
    let scene = Scene::new(HOST_KEY, |_| String::new());
    let host = public(&scene.folder.path().join("sshd/host"));
    let fingerprint = Command::new("ssh-keygen").arg("-lf").arg(scene.folder.path().join("sshd/host.pub")).output();
    let fingerprint = String::from_utf8_lossy(&fingerprint.expect("it starts").stdout).into_owned();
    let fingerprint = fingerprint.split(' ').nth(1).expect("a fingerprint");
    let pinned = format!("ssh: {{ hostFingerprints: [\"{fingerprint}\"], ");
    let known = format!("[127.0.0.1]:{} {host}", scene.sshd.port());
    for names in ["*", "127.0.0.1", "10.0.0.1,127.0.0.?"] {
        let revoked = format!("@revoked {names} {host}");
        for lines in [revoked.clone(), format!("{known}{revoked}"), format!("{revoked}{known}")] {
            fs::write(scene.sshd.known_hosts(), &lines).expect("written");
            scene.fails_with("is revoked", &[("ssh: { ", &pinned)]);
            scene.fails_with("is revoked", &[]);
        }
    }
    fs::write(scene.sshd.known_hosts(), format!("@revoked 10.0.0.1 {host}")).expect("written");
    scene.is_let_in(&[("ssh: { ", &pinned)], &[]);
}

#[test]
fn banners_and_the_refs_of_pull_requests_do_no_harm() {
    let more = |folder: &Path| {
        fs::write(folder.join("banner"), "Welcome!\r\nEverything is logged.\n".repeat(100)).expect("written");
        format!("Banner {}/banner\n", folder.display())
    };
    let scene = Scene::new(HOST_KEY, more);
    let tip = scene.origin.tip();
    for pull in 1..=50 {
        git(&scene.origin.path, &["update-ref", &format!("refs/pull/{pull}/head"), &tip]);
    }
    git(&scene.origin.path, &["config", "transfer.hideRefs", "refs/pull/7"]);
    scene.is_let_in(&[], &[]);
}

#[test]
fn certificates_of_users_open_ssh() {
    let more = |folder: &Path| {
        make_key(&folder.join("authority"), &["-t", "ed25519"]);
        format!("TrustedUserCAKeys {}/authority.pub\n", folder.display())
    };
    let scene = Scene::new(HOST_KEY, more);
    let authority = scene.folder.path().join("sshd/authority");
    let usual = format!("keyFile: {}", scene.sshd.key().display());
    for (name, options) in [("ed25519", &["-t", "ed25519"][..]), ("rsa", &["-t", "rsa", "-b", "2048"])] {
        let key = scene.folder.path().join(name);
        make_key(&key, options);
        let key_file = format!("keyFile: {}", key.display());
        scene.fails_with("refused the credentials", &[(&usual, &key_file)]);
        let certificate = sign(&authority, &key, &["-n", &user()]);
        scene.is_let_in(&[(&usual, &key_file)], &[]);

        let socket = scene.folder.path().join(format!("agent-{name}"));
        let _agent =
            Server::start("ssh-agent", |command| command.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()));
        wait_until("the agent listens", || socket.exists());
        let add = Command::new("ssh-add").arg("-q").arg(&key).env("SSH_AUTH_SOCK", &socket).status();
        assert!(add.expect("ssh-add starts").success());
        scene.is_let_in(&[(&format!("{usual}, "), "")], &[("SSH_AUTH_SOCK", &socket.display().to_string())]);
        fs::write(&certificate, "nonsense").expect("written");
        let (run, detail) = scene.check(&[(&usual, &key_file)], &[]);
        assert!(run.code == 2 && detail.contains("cannot use the key"), "{run:#?}");
    }
}

#[test]
fn certificates_of_hosts_are_good_for_their_names_and_their_time() {
    let more = |folder: &Path| {
        make_key(&folder.join("authority"), &["-t", "ed25519"]);
        sign(&folder.join("authority"), &folder.join("host"), &["-h", "-n", "git.example.com,127.0.0.1"]);
        format!("HostCertificate {}/host-cert.pub\n", folder.display())
    };
    let scene = Scene::new(HOST_KEY, more);
    let folder = scene.folder.path().join("sshd");
    let (authority, host) = (public(&folder.join("authority")), public(&folder.join("host")));
    let known = |lines: &str| fs::write(scene.sshd.known_hosts(), lines).expect("written");
    known(&format!("@cert-authority 127.0.0.* {authority}"));
    scene.is_let_in(&[], &[]);
    // Another authority vouches for nothing; nor does one for other hosts, nor one that is a mere key.
    for lines in [
        format!("@cert-authority * {}", public(&folder.join("other"))),
        format!("@cert-authority *.example.com {authority}"),
        format!("* {authority}"),
    ] {
        known(&lines);
        let (run, detail) = scene.check(&[], &[]);
        assert!(run.code == 5 && detail.contains("the host key of"), "{lines}: {run:#?}");
    }
    // What is revoked is not trusted, whoever vouches for it or pins it.
    let fingerprint = Command::new("ssh-keygen").arg("-lf").arg(folder.join("host.pub")).output().expect("it starts");
    let fingerprint = String::from_utf8_lossy(&fingerprint.stdout).split(' ').nth(1).expect("a fingerprint").to_owned();
    let pinned = format!("ssh: {{ hostFingerprints: [\"{fingerprint}\"], ");
    known("");
    scene.is_let_in(&[("ssh: { ", &pinned)], &[]);
    known(&format!("@cert-authority * {authority}@revoked * {host}"));
    scene.fails_with("is revoked", &[("ssh: { ", &pinned)]);
    known(&format!("@cert-authority * {authority}@revoked * {authority}"));
    scene.fails_with("is not known", &[]);
    // The server reads its certificate when it starts; so these have servers of their own.
    for options in [
        &["-h", "-n", "git.example.com"][..],
        &["-h", "-n", "127.0.0.1", "-V", "20200101:20200201"],
        &["-n", "127.0.0.1"],
    ] {
        let more = |folder: &Path| {
            make_key(&folder.join("authority"), &["-t", "ed25519"]);
            sign(&folder.join("authority"), &folder.join("host"), options);
            format!("HostCertificate {}/host-cert.pub\n", folder.display())
        };
        let scene = Scene::new(HOST_KEY, more);
        let authority = public(&scene.folder.path().join("sshd/authority"));
        fs::write(scene.sshd.known_hosts(), format!("@cert-authority * {authority}")).expect("written");
        scene.fails_with("is not known", &[]);
    }
}

fn stage() -> Stage {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", "2026-04-01T10:00:00Z");
    stage.registry.push("org/app", "bbbbbb1", "2026-04-02T10:00:00Z");
    stage
}

#[test]
fn one_cycle_makes_one_connection() {
    let stage = stage();
    stage.tagalong(&["sync"]).ok();
    assert!(stage.origin.read("app.yaml").ends_with("bbbbbb1\n"));
    assert_eq!(stage.sshd.handshakes(), 1);
}

#[test]
fn an_agent_keeps_its_connection() {
    let stage = stage();
    let key = stage.home().join("key");
    fs::copy(stage.sshd.key(), &key).expect("copied");
    let text = fs::read_to_string(stage.config()).expect("there");
    let config = stage.home().join("own.yaml");
    let own = text.replace(&stage.sshd.key().display().to_string(), &key.display().to_string());
    fs::write(&config, own).expect("written");
    let agent = Agent::start(stage.home(), &config);
    let deployed = |tag: &str| stage.origin.read("app.yaml").ends_with(&format!("{tag}\n"));
    wait_until("the first is deployed", || deployed("bbbbbb1"));
    stage.registry.push("org/app", "cccccc1", "2026-04-03T10:00:00Z");
    wait_until("the second is deployed", || deployed("cccccc1"));
    stage.origin.commit("a change by someone else", &[("notes.md", "x\n")]);
    stage.registry.push("org/app", "dddddd1", "2026-04-04T10:00:00Z");
    wait_until("the third is deployed", || deployed("dddddd1"));
    assert_eq!(stage.sshd.handshakes(), 1);
    // Another key is another connection, though the old one would still do.
    stage.sshd.admit(&stage.sshd.other_key());
    fs::copy(stage.sshd.other_key(), &key).expect("copied");
    wait_until("the new key is shown", || stage.sshd.handshakes() == 2);
    agent.stop();
}
