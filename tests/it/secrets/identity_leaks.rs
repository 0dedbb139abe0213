//! No secret of git, of forges, of registries and of channels is in anything that the agent shows, in whatever encoding, while
//! all libraries log all they can.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::json;

use crate::support::agent::Agent;
use crate::support::forge::{Forge, Kind, TOKEN};
use crate::support::git::{HttpGit, git};
use crate::support::github::GitHub;
use crate::support::infra::Stage;
use crate::support::process::wait_until;
use crate::support::registry::{self, PASSWORD, USER};
use crate::support::scripted::{self, Scripted};
use crate::support::tagalong;

/// The pages and the documents of the agent's server.
const PAGES: [&str; 7] = ["/", "/status", "/metrics", "/stages", "/timeline", "/healthz", "/readyz"];

/// A stage whose registry requires a password, and the secrets that are used in it.
struct Scene {
    stage: Stage,
    secrets: BTreeSet<String>,
    /// All that was shown.
    shown: String,
}

impl Scene {
    fn new() -> Scene {
        let stage = Stage::with_registry(registry::Kind::Htpasswd, &[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/example");
        let file = fs::read_to_string(example.join("secrets/webhook.yaml")).expect("a SOPS file");
        stage.origin.commit("a secret", &[("webhook.yaml", &file)]);
        let age = fs::read_to_string(example.join("throwaway.agekey")).expect("a key");
        let age = age.lines().find(|line| line.starts_with("AGE-SECRET-KEY")).expect("a key").to_owned();
        stage.registry.push("org/app", "aaaaaa1", "2026-04-01T10:00:00Z");
        git(&stage.origin.path, &["config", "http.receivepack", "true"]);
        std::os::unix::fs::symlink(stage.home(), stage.home().join("acme")).expect("a link");
        Scene { stage, secrets: BTreeSet::from([PASSWORD.to_owned(), age]), shown: String::new() }
    }

    /// Writes a secret to a file, and returns the path.
    fn secret(&mut self, name: &str, value: &str) -> String {
        let file = self.stage.home().join(name);
        fs::write(&file, format!("{value}\n")).expect("written");
        self.secrets.insert(value.to_owned());
        file.display().to_string()
    }

    /// The lines of a private key are secrets.
    fn key(&mut self, file: &Path) {
        let text = fs::read_to_string(file).expect("a key");
        // The first lines are the same for all keys of a kind.
        self.secrets
            .extend(text.lines().skip(3).filter(|line| line.len() > 40 && !line.starts_with('-')).map(str::to_owned));
    }

    /// Runs an agent with a `git` section until an image is deployed, looks at all it shows, and lets `check` and `sync` run.
    fn run(&mut self, git: &str, more: &str, tag: &str, day: u32, is_done: impl Fn() -> bool) {
        let host = self.stage.registry.host();
        let webhook = self.secret("webhook", "webhook-sesame-85");
        let age = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/example/throwaway.agekey");
        let auth = json!({ "auths": { &host: { "username": USER, "password": PASSWORD } } });
        fs::write(self.stage.home().join("auth.json"), auth.to_string()).expect("written");
        let text = format!(
            "git:\n{git}registries:\n- {{ host: \"{host}\", plainHttp: true, credentialsFile: {} }}\npolicies:\n- images: [\"{host}/org/*\"]\n  tags: {{ sha: {{ order: built }} }}\nagent: {{ interval: 200ms, listen: \"127.0.0.1:0\", webhooks: [{{ kind: gitea, secretFile: {webhook} }}] }}\nsecrets: {{ ageKeyFiles: [{age}], gate: warn }}\n{more}",
            self.stage.home().join("auth.json").display()
        );
        let config = self.stage.home().join("all.yaml");
        fs::write(&config, text).expect("written");
        self.stage.registry.push("org/app", tag, &format!("2026-04-{day:02}T10:00:00Z"));
        let mut command = tagalong::command(self.stage.home());
        command.args(["run", "--log-format", "json", "--log-level", "trace", "--config"]).arg(&config);
        let agent = Agent::spawn(command);
        wait_until(tag, is_done);
        let cycles = agent.cycles();
        wait_until("another cycle", || agent.cycles() > cycles);
        for page in PAGES {
            let page = agent.get(page);
            self.shown.push_str(&format!("{}{}", page.headers, page.body));
        }
        let (_, log) = agent.stop();
        assert!(log.contains("TRACE") && log.contains("hyper"), "libraries log in detail");
        self.shown.push_str(&log);
        let config = config.display().to_string();
        for command in ["check", "sync", "status", "history"] {
            for format in ["text", "json"] {
                let run = tagalong::run(
                    self.stage.home(),
                    &[command, "--output", format, "--log-level", "trace", "--config", &config],
                );
                self.shown.push_str(&format!("{}{}", run.stdout, run.stderr));
            }
        }
    }

    /// Panics if a secret was shown in any encoding.
    fn shows_nothing(&self) {
        for secret in &self.secrets {
            for form in forms(secret) {
                let at = self.shown.find(&form);
                let around = at.map(|at| {
                    let text = self.shown.as_bytes();
                    String::from_utf8_lossy(&text[at.saturating_sub(300)..(at + 100).min(text.len())]).into_owned()
                });
                assert_eq!(around, None, "{secret} was shown as {form}");
            }
        }
    }
}

/// A text as it is, in hexadecimal, in the encodings of URLs, and in Base64 after any number of other bytes.
fn forms(secret: &str) -> BTreeSet<String> {
    let percent: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let debug = format!("{:?}", secret.as_bytes());
    let mut forms = BTreeSet::from([secret.to_owned(), percent, hex, debug.trim_matches(['[', ']']).to_owned()]);
    for before in 0..3 {
        let bytes = [&b"xxx"[..before], secret.as_bytes()].concat();
        for text in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            // Characters with bits of other bytes are left out.
            let (from, until) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
            forms.insert(text[from..until].to_owned());
        }
    }
    forms
}

#[test]
fn an_app_and_all_channels_show_no_secret() {
    let mut scene = Scene::new();
    let http = Arc::new(HttpGit::start(scene.stage.home(), Some("nobody has this")));
    let github = GitHub::start(scene.stage.home(), &http);
    scene.key(&github.key);
    let channel = Scripted::start(|_| scripted::json(200, json!({}), &[]));
    let url = scene.secret("url", &format!("http://{}/T0/hook-sesame-81", channel.host()));
    scene.secrets.insert("hook-sesame-81".to_owned());
    let (bearer, hmac) = (scene.secret("bearer", "bearer+sesame/82"), scene.secret("hmac", "hmac-sesame-83"));
    let matrix = scene.secret("matrix", "matrix-sesame-84");
    let app = format!("appId: 4711, privateKeyFile: {}", github.key.display());
    let git = format!("  url: {}\n  {}\n", http.url("acme/infra.git"), github.section());
    let more = format!(
        "notify:\n- github: {{ server: '{}', repository: acme/infra, githubApp: {{ {app} }} }}\n- slack: {{ urlFile: {url} }}\n- webhook: {{ urlFile: {url}, tokenFile: {bearer}, secretFile: {hmac} }}\n- matrix: {{ server: 'http://{}', room: '!r:m', tokenFile: {matrix} }}\n",
        github.api(),
        channel.host()
    );
    scene.run(&git, &more, "bbbbbb1", 2, || !github.state().statuses.is_empty() && channel.asked().len() >= 3);
    let proposals = format!("  pushBranch: proposals\n  pullRequest: {{ forge: github, url: '{}' }}\n", github.api());
    scene.run(&(git + &proposals), &more, "cccccc1", 3, || !github.state().forge.pulls.is_empty());
    let state = github.state();
    assert!(state.issued.len() >= 3 && !state.signed.is_empty());
    scene.secrets.extend(state.issued.iter().map(|issued| issued.token.clone()));
    scene.secrets.extend(state.signed.iter().cloned());
    // The signature alone is a secret, too.
    scene.secrets.extend(state.signed.iter().filter_map(|signed| Some(signed.rsplit_once('.')?.1.to_owned())));
    drop(state);
    scene.shows_nothing();
}

#[test]
fn keys_passphrases_and_tokens_of_git_and_forges_are_not_shown() {
    let mut scene = Scene::new();
    let passphrase = scene.secret("passphrase", "passphrase-sesame-91");
    let key = scene.stage.home().join("locked");
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-C", "", "-N", "passphrase-sesame-91", "-f"]).arg(&key);
    assert!(command.status().expect("ssh-keygen starts").success());
    scene.key(&key);
    scene.stage.sshd.admit_only(&key);
    let forge = Forge::start(Kind::Gitea, "acme/infra");
    let token = scene.secret("forge-token", TOKEN);
    let ssh = format!(
        "  url: {}\n  ssh: {{ keyFile: {key}, passphraseFile: {passphrase}, knownHostsFile: {} }}\n  signing: {{ sshKeyFile: {key}, passphraseFile: {passphrase} }}\n",
        scene.stage.sshd.url(&scene.stage.origin),
        scene.stage.sshd.known_hosts().display(),
        key = key.display()
    );
    let (path, host) = (scene.stage.origin.path.clone(), scene.stage.registry.host());
    let has = |branch: &str, tag: &str| {
        let output = Command::new("git").current_dir(&path).args(["show", &format!("{branch}:app.yaml")]).output();
        String::from_utf8_lossy(&output.expect("git starts").stdout) == format!("image: {host}/org/app:{tag}\n")
    };
    scene.run(&ssh, "", "bbbbbb1", 2, || has("main", "bbbbbb1"));
    let git_token = scene.secret("git-token", "git+token/sesame-92");
    let http = HttpGit::start(scene.stage.home(), Some("git+token/sesame-92"));
    let https = format!(
        "  url: {}\n  https: {{ tokenFile: {git_token} }}\n  pushBranch: proposals\n  pullRequest: {{ forge: gitea, url: '{}', tokenFile: {token} }}\n",
        http.url("acme/infra.git"),
        forge.url()
    );
    scene.run(&https, "", "cccccc1", 3, || has("proposals", "cccccc1") && !forge.state().pulls.is_empty());
    scene.shows_nothing();
}
