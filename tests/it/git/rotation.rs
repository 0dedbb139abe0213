//! What is mounted from Secrets is replaced while the agent runs, like the kubelet does it: all files of a volume at once.
//! The private key of a GitHub App is in `github_app`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::agent::Agent;
use crate::support::certificates;
use crate::support::forge::{Forge, Kind, TOKEN};
use crate::support::git::{HttpGit, git};
use crate::support::infra::Stage;
use crate::support::mount::Mount;
use crate::support::process::wait_until;

/// An image that has moved often enough to tell each rotation by its tag.
struct Scene {
    stage: Stage,
}

impl Scene {
    fn new() -> Scene {
        let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
        stage.registry.push("org/app", "aaaaaa1", "2026-04-01T10:00:00Z");
        git(&stage.origin.path, &["config", "http.receivepack", "true"]);
        Scene { stage }
    }

    fn start(&self, section: &str) -> Agent {
        let text = fs::read_to_string(self.stage.config()).expect("there");
        let rest = &text[text.find("registries:").expect("a section")..];
        let file = self.stage.home().join("own.yaml");
        fs::write(&file, format!("{section}{rest}")).expect("written");
        Agent::start(self.stage.home(), &file)
    }

    /// Waits until a new image has been deployed to a branch.
    fn deploys(&self, tag: &str, day: u32, branch: &str) {
        self.stage.registry.push("org/app", tag, &format!("2026-04-{day:02}T10:00:00Z"));
        let shown = || {
            let output = Command::new("git")
                .current_dir(&self.stage.origin.path)
                .args(["show", &format!("{branch}:app.yaml")])
                .output();
            String::from_utf8_lossy(&output.expect("git starts").stdout).into_owned()
        };
        wait_until(tag, || shown().ends_with(&format!("{tag}\n")));
    }
}

/// Generates a key with a passphrase, and returns its file.
fn locked_key(folder: &Path, name: &str, passphrase: &str) -> PathBuf {
    let file = folder.join(name);
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-C", "", "-N", passphrase, "-f"]).arg(&file);
    assert!(command.status().expect("ssh-keygen starts").success());
    file
}

#[test]
fn ssh_keys_passphrases_and_known_hosts_are_replaced_while_the_agent_runs() {
    let scene = Scene::new();
    let Scene { stage } = &scene;
    let read = |path: &Path| fs::read_to_string(path).expect("there");
    let (first, second) = (locked_key(stage.home(), "first", "horse"), locked_key(stage.home(), "second", "staple"));
    stage.sshd.admit_only(&first);
    let hosts = read(&stage.sshd.known_hosts());
    // Another key for the same host.
    let other = hosts.split(' ').next().expect("a host").to_owned();
    let other = format!("{other} {}", fs::read_to_string(format!("{}.pub", first.display())).expect("a key"));
    let files = |key: &Path, passphrase: &str, hosts: &str| {
        [("identity", read(key)), ("passphrase", passphrase.to_owned()), ("known_hosts", hosts.to_owned())]
    };
    let replace = |volume: &mut Mount, files: &[(&str, String)]| {
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        volume.swap(&files);
    };
    let begin = files(&first, "horse", &hosts);
    let begin: Vec<(&str, &str)> = begin.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let mut volume = Mount::new(&stage.home().join("git-secret"), &begin);
    let section = format!(
        "git:\n  url: {}\n  ssh: {{ keyFile: {}, passphraseFile: {}, knownHostsFile: {} }}\n",
        stage.sshd.url(&stage.origin),
        volume.path("identity").display(),
        volume.path("passphrase").display(),
        volume.path("known_hosts").display()
    );
    let agent = scene.start(&section);
    scene.deploys("bbbbbb1", 2, "main");
    // Key and passphrase fit together at any time, so no cycle fails.
    stage.sshd.admit(&second);
    replace(&mut volume, &files(&second, "staple", &hosts));
    let before = stage.sshd.handshakes();
    wait_until("a connection with the new key", || stage.sshd.handshakes() > before);
    stage.sshd.admit_only(&second);
    scene.deploys("cccccc1", 3, "main");
    assert!(!agent.log().contains("cycle failed"), "{}", agent.log());
    // The connection that is kept does not outlive the trust in its host.
    replace(&mut volume, &files(&second, "staple", &other));
    agent.wait_for("is NOT the one in");
    replace(&mut volume, &files(&second, "staple", &hosts));
    scene.deploys("dddddd1", 4, "main");
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn tokens_and_authorities_are_replaced_while_the_agent_runs() {
    let scene = Scene::new();
    let Scene { stage } = &scene;
    let (right, wrong) = (stage.home().join("right"), stage.home().join("wrong"));
    for folder in [&right, &wrong] {
        fs::create_dir(folder).expect("a folder");
        certificates::make(folder);
    }
    let https = HttpGit::start_tls(stage.home(), Some("first"), &right);
    let forge = Forge::start(Kind::Gitea, "acme/infra");
    let authority = |folder: &Path| fs::read_to_string(folder.join("ca.pem")).expect("there");
    let mut volume = Mount::new(
        &stage.home().join("git-secret"),
        &[("token", "first"), ("forge", "an old token"), ("ca.pem", &authority(&wrong))],
    );
    std::os::unix::fs::symlink(stage.home(), stage.home().join("acme")).expect("a link");
    let section = format!(
        "git:\n  url: {}\n  https: {{ tokenFile: {}, caFile: {} }}\n  pushBranch: proposals\n  pullRequest: {{ forge: gitea, url: '{}', tokenFile: {} }}\n",
        https.url("acme/infra.git"),
        volume.path("token").display(),
        volume.path("ca.pem").display(),
        forge.url(),
        volume.path("forge").display(),
    );
    let agent = scene.start(&section);
    agent.wait_for("certificate that is not trusted");
    volume.swap(&[("token", "first"), ("forge", "an old token"), ("ca.pem", &authority(&right))]);
    stage.registry.push("org/app", "bbbbbb1", "2026-04-02T10:00:00Z");
    agent.wait_for("rejected the token from");
    assert!(forge.state().pulls.is_empty());
    volume.swap(&[("token", "first"), ("forge", TOKEN), ("ca.pem", &authority(&right))]);
    scene.deploys("bbbbbb1", 2, "proposals");
    scene.deploys("cccccc1", 3, "proposals");
    wait_until("a pull request", || !forge.state().pulls.is_empty());
    https.set_token("first\nsecond");
    volume.swap(&[("token", "second"), ("forge", TOKEN), ("ca.pem", &authority(&right))]);
    let cycles = agent.cycles();
    wait_until("cycles with the new token", || agent.cycles() >= cycles + 2);
    https.set_token("second");
    scene.deploys("dddddd1", 4, "proposals");
    // Connections that are kept do not outlive the trust in their server.
    volume.swap(&[("token", "second"), ("forge", TOKEN), ("ca.pem", &authority(&wrong))]);
    let before = agent.log().matches("certificate that is not trusted").count();
    stage.registry.push("org/app", "eeeeee1", "2026-04-05T10:00:00Z");
    wait_until("no trust", || agent.log().matches("certificate that is not trusted").count() > before);
    assert_eq!(agent.stop().0, 0);
}
