//! Keys and tokens of every kind are read from their files when they are used; and a silent server times out.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support;
use crate::support::git::{HttpGit, git};
use crate::support::infra::Stage;
use crate::support::process::{Server, wait_until};
use crate::support::proxy::ConnectProxy;
use crate::support::tagalong::{self, Run};

fn stage() -> Stage {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", "2026-04-01T10:00:00Z");
    git(&stage.origin.path, &["config", "http.receivepack", "true"]);
    stage
}

/// Writes a configuration with this `git` section and returns its path.
fn config(stage: &Stage, git: &str) -> PathBuf {
    let text = fs::read_to_string(stage.config()).expect("there");
    let rest = &text[text.find("registries:").expect("a section")..];
    let file = stage.home().join("own.yaml");
    fs::write(&file, format!("{git}{rest}")).expect("written");
    file
}

/// Runs `check` with a `git` section: it connects, authenticates, and reads the branch.
fn check(stage: &Stage, git: &str, environment: &[(&str, &str)]) -> Run {
    let mut command = tagalong::command(stage.home());
    command.args(["check", "--output", "json", "--config"]).arg(config(stage, git)).envs(environment.iter().copied());
    tagalong::complete(&mut command)
}

/// The output of `check` about the git server.
fn said(run: &Run) -> String {
    let rows = run.json();
    let row = rows.as_array().expect("rows").iter().find(|row| row["check"] == "git").expect("a row").clone();
    format!("{} {}", row["detail"].as_str().expect("text"), row["help"].as_str().unwrap_or_default())
}

fn ssh_key(folder: &Path, name: &str, options: &[&str], passphrase: &str) -> PathBuf {
    let file = folder.join(name);
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-C", "", "-N", passphrase, "-f"]).arg(&file).args(options);
    assert!(command.status().expect("ssh-keygen starts").success());
    file
}

#[test]
fn keys_of_every_type_work_over_ssh() {
    let stage = stage();
    let usual = stage.sshd.config(&stage.origin);
    let passphrase = stage.home().join("passphrase");
    fs::write(&passphrase, "correct horse\n").expect("written");
    let kinds: [(&str, &[&str]); 7] = [
        ("ed25519", &["-t", "ed25519"]),
        ("ecdsa-256", &["-t", "ecdsa", "-b", "256"]),
        ("ecdsa-521-pem", &["-t", "ecdsa", "-b", "521", "-m", "PEM"]),
        ("ecdsa-384-pkcs8", &["-t", "ecdsa", "-b", "384", "-m", "PKCS8"]),
        ("rsa", &["-t", "rsa", "-b", "3072"]),
        ("rsa-pem", &["-t", "rsa", "-b", "2048", "-m", "PEM"]),
        ("rsa-pkcs8", &["-t", "rsa", "-b", "2048", "-m", "PKCS8"]),
    ];
    for (name, options) in kinds {
        for with in ["", "correct horse"] {
            let key = ssh_key(stage.home(), &format!("{name}{}", with.len()), options, with);
            stage.sshd.admit(&key);
            let line = match with {
                "" => format!("keyFile: {}", key.display()),
                _ => format!("keyFile: {}, passphraseFile: {}", key.display(), passphrase.display()),
            };
            let section = usual.replace(&format!("keyFile: {}", stage.sshd.key().display()), &line);
            let run = check(&stage, &section, &[]);
            assert_eq!(run.code, 0, "{name}, passphrase {with:?}: {run:#?}");
            if !with.is_empty() && matches!(name, "ed25519" | "ecdsa-384-pkcs8" | "rsa-pem") {
                let bare = usual.replace(&stage.sshd.key().display().to_string(), &key.display().to_string());
                let run = check(&stage, &bare, &[]);
                assert_eq!(run.code, 2, "{name}: {run:#?}");
                assert!(said(&run).contains("no passphraseFile is given"), "{run:#?}");
                let wrong = section.replace("/passphrase,", "/wrong,");
                fs::write(stage.home().join("wrong"), "battery staple").expect("written");
                let run = check(&stage, &wrong, &[]);
                assert_eq!(run.code, 2, "{name}: {run:#?}");
                assert!(said(&run).contains("the passphrase does not open it"), "{run:#?}");
            }
        }
    }
}

#[test]
fn an_ssh_agent_is_used_when_no_key_is_given() {
    let stage = stage();
    let usual = stage.sshd.config(&stage.origin);
    let section = usual.replace(&format!("keyFile: {}, ", stage.sshd.key().display()), "");
    let socket = stage.home().join("agent");
    let _agent = Server::start("ssh-agent", |command| command.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()));
    wait_until("the agent listens", || socket.exists());
    let socket = socket.display().to_string();
    let environment = [("SSH_AUTH_SOCK", socket.as_str())];
    let add = |key: &Path| {
        let added = Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &socket).status();
        assert!(added.expect("ssh-add starts").success());
    };
    add(&stage.sshd.other_key());
    let run = check(&stage, &section, &environment);
    assert!(run.code == 5 && said(&run).contains("the keys of the ssh agent"), "{run:#?}");
    // The right one comes after the wrong one.
    add(&stage.sshd.key());
    let run = check(&stage, &section, &environment);
    assert_eq!(run.code, 0, "{run:#?}");
    let run = check(&stage, &section, &[]);
    assert!(run.code == 5 && said(&run).contains("no ssh.keyFile is set"), "{run:#?}");
}

#[test]
fn hosts_are_trusted_by_hashed_lines_several_keys_or_pinned_fingerprints() {
    let stage = stage();
    let usual = stage.sshd.config(&stage.origin);
    let known = stage.sshd.known_hosts();
    let line = fs::read_to_string(&known).expect("a line");
    let name = line.split(' ').next().expect("a name").to_owned();
    let rsa = ssh_key(stage.home(), "rsa", &["-t", "rsa", "-b", "2048"], "");
    let other = |key: &Path| format!("{name} {}", fs::read_to_string(format!("{}.pub", key.display())).expect("a key"));
    // An old key of the same type, one of another type, and the valid one.
    fs::write(&known, format!("{}{}{line}", other(&stage.sshd.other_key()), other(&rsa))).expect("written");
    assert_eq!(check(&stage, &usual, &[]).code, 0);
    let hashed = Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(&known).status();
    assert!(hashed.expect("ssh-keygen starts").success());
    assert!(!fs::read_to_string(&known).expect("lines").contains("127.0.0.1"));
    assert_eq!(check(&stage, &usual, &[]).code, 0);

    fs::write(&known, "").expect("written");
    let run = check(&stage, &usual, &[]);
    let words = said(&run);
    assert!(run.code == 5 && words.contains("hostFingerprints"), "{run:#?}");
    let fingerprint = words.split_whitespace().find(|word| word.starts_with("SHA256:")).expect("a fingerprint");
    let pinned = |list: &str| usual.replace("ssh: {", &format!("ssh: {{ hostFingerprints: [{list}],"));
    assert_eq!(check(&stage, &pinned(&format!("\"{fingerprint}\"")), &[]).code, 0);
    let wrong = "\"SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU\"";
    assert_eq!(check(&stage, &pinned(wrong), &[]).code, 5);
    let run = check(&stage, &pinned("MD5"), &[]).fails_with(2);
    assert!(run.stderr.contains("`MD5` is not a fingerprint"), "{run:#?}");
}

#[test]
fn https_supports_a_private_authority_a_password_and_a_proxy() {
    let stage = stage();
    support::certificates::make(stage.home());
    let https = HttpGit::start_tls(stage.home(), Some("ada:pass word"), stage.home());
    let password = stage.home().join("password");
    fs::write(&password, "pass word\n").expect("written");
    let section = |more: &str| {
        let url = https.url("infra.git");
        format!("git:\n  url: {url}\n  https: {{ username: ada, tokenFile: {}{more} }}\n", password.display())
    };
    let with_file = |name: &str| section(&format!(", caFile: {}", stage.home().join(name).display()));
    let run = check(&stage, &section(""), &[]);
    assert!(run.code == 5 && said(&run).contains("certificate"), "{run:#?}");
    let run = check(&stage, &with_file("ca.pem"), &[]);
    assert_eq!(run.code, 0, "{run:#?}");
    let run = check(&stage, &with_file("ca.pem").replace("username: ada", "username: eve"), &[]);
    assert!(run.code == 5 && said(&run).contains("refused the credentials"), "{run:#?}");
    let run = check(&stage, &with_file("password"), &[]);
    assert!(run.code == 2 && said(&run).contains("contains no certificate authorities"), "{run:#?}");
    let run = check(&stage, &with_file("gone.pem"), &[]);
    assert!(run.code == 2 && said(&run).contains("cannot read"), "{run:#?}");

    let proxy = ConnectProxy::start();
    let address = format!("http://127.0.0.1:{}", proxy.port);
    let run = check(&stage, &with_file("ca.pem"), &[("HTTPS_PROXY", &address)]);
    assert_eq!(run.code, 0, "{run:#?}");
    let host = https.url("infra.git").split('/').nth(2).expect("a host").to_owned();
    assert!(proxy.asked().contains(&host), "{:?}", proxy.asked());
    let before = proxy.asked().len();
    let run = check(&stage, &with_file("ca.pem"), &[("HTTPS_PROXY", &address), ("NO_PROXY", "localhost")]);
    assert_eq!((run.code, proxy.asked().len()), (0, before), "{run:#?}");
}

/// An agent that is killed when this value is dropped.
struct Agent(Child);

impl Agent {
    fn start(stage: &Stage, config: &Path, log: &Path) -> Agent {
        let log = fs::File::create(log).expect("a log");
        let mut command = tagalong::command(stage.home());
        Agent(command.args(["run", "--config"]).arg(config).stderr(log).spawn().expect("it starts"))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_rotated_key_or_token_needs_no_restart() {
    let stage = stage();
    let log = stage.home().join("log");
    let deployed = |tag: &str| stage.origin.read("app.yaml").ends_with(&format!("{tag}\n"));
    let refused = || fs::read_to_string(&log).expect("a log").contains("refused the credentials");
    let signing = ssh_key(stage.home(), "signing", &["-t", "ed25519"], "");
    let signer = || git(&stage.origin.path, &["cat-file", "commit", "main"]);

    let key = stage.home().join("key");
    fs::copy(stage.sshd.key(), &key).expect("copied");
    let section =
        stage.sshd.config(&stage.origin).replace(&stage.sshd.key().display().to_string(), &key.display().to_string())
            + &format!("  signing: {{ sshKeyFile: {} }}\n", signing.display());
    let agent = Agent::start(&stage, &config(&stage, &section), &log);
    stage.registry.push("org/app", "bbbbbb1", "2026-04-02T10:00:00Z");
    wait_until("the first is deployed", || deployed("bbbbbb1"));
    let by_first_key = signer();
    // The connection with the old key goes as soon as the file holds another one.
    fs::copy(stage.sshd.other_key(), &key).expect("copied");
    wait_until("the new key is not admitted yet", refused);
    stage.sshd.admit_only(&stage.sshd.other_key());
    let other = ssh_key(stage.home(), "other-signing", &["-t", "ed25519"], "");
    fs::copy(&other, &signing).expect("copied");
    stage.registry.push("org/app", "cccccc1", "2026-04-03T10:00:00Z");
    wait_until("the second is deployed", || deployed("cccccc1"));
    drop(agent);
    let block = |commit: &str| commit.lines().skip_while(|line| !line.starts_with("gpgsig")).nth(1).map(str::to_owned);
    // The first line of a signature has the public key.
    assert!(block(&signer()).is_some() && block(&signer()) != block(&by_first_key));

    let token = stage.home().join("token");
    fs::write(&token, "first").expect("written");
    let http = HttpGit::start(stage.home(), Some("first"));
    let section = format!("git:\n  url: {}\n  https: {{ tokenFile: {} }}\n", http.url("infra.git"), token.display());
    let _agent = Agent::start(&stage, &config(&stage, &section), &log);
    stage.registry.push("org/app", "dddddd1", "2026-04-04T10:00:00Z");
    wait_until("the third is deployed", || deployed("dddddd1"));
    http.set_token("second");
    wait_until("the old token is refused", refused);
    fs::write(&token, "second").expect("written");
    stage.registry.push("org/app", "eeeeee1", "2026-04-05T10:00:00Z");
    wait_until("the fourth is deployed", || deployed("eeeeee1"));
    stage.origin.is_sound();
}

#[test]
fn a_silent_server_times_out() {
    let stage = stage();
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let key = stage.sshd.key();
    for url in ["ssh://git@127.0.0.1", "http://127.0.0.1", "https://127.0.0.1"] {
        let ssh =
            if url.starts_with("ssh") { format!("  ssh: {{ keyFile: {} }}\n", key.display()) } else { String::new() };
        let section = format!("git:\n  url: {url}:{port}/infra.git\n  timeout: 500ms\n{ssh}");
        let begun = Instant::now();
        let run = check(&stage, &section, &[]);
        assert_eq!(run.code, 5, "{url}: {run:#?}");
        assert!(said(&run).contains("cannot reach"), "{run:#?}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{url}: {:?}", begun.elapsed());
    }
}
