//! Whatever goes wrong, no secret value, key, password, token or passphrase leaves the process: not through stdout,
//! stderr, logs at the most verbose level, commits, or files on disk.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::support;
use crate::support::agent::Agent;
use crate::support::git::{HttpGit, clone_in, git};
use crate::support::infra::Stage;
use crate::support::registry::{Kind, PASSWORD, USER};
use crate::support::sops::{Sops, new_key};
use crate::support::tagalong::{finished, run};

const VALUE: &str = "canary-of-a-secret-value-5521";
const IN_CLEAR: &str = "canary-in-clear-text-9043";
const STALE: &str = "canary-of-a-stale-password-3318";
const TOKEN: &str = "canary-of-a-git-token-7702";
const PASSPHRASE: &str = "canary-of-a-passphrase-1186";
const WEBHOOK: &str = "canary-of-a-webhook-secret-4419";
const RULE: &str = "encrypted_regex: ^(data|stringData|password|pin)$";

/// The secrets, in every form they could show up in.
fn forms(secrets: &[&str]) -> BTreeSet<String> {
    let mut forms = BTreeSet::new();
    for secret in secrets {
        forms.insert((*secret).to_owned());
        for user in ["", &format!("{USER}:"), "ada:"] {
            // The whole in base64, and its inner part at any alignment in longer text.
            let encoded = STANDARD.encode(format!("{user}{secret}"));
            forms.insert(encoded.trim_end_matches('=').to_owned());
        }
        forms.insert(secret.bytes().map(|byte| format!("{byte:02x}")).collect());
    }
    forms
}

#[track_caller]
fn holds_none(what: &str, text: &str, forms: &BTreeSet<String>) {
    for form in forms {
        let at = text.find(form.as_str());
        let around = at.map(|at| String::from_utf8_lossy(&text.as_bytes()[at.saturating_sub(200)..at]).into_owned());
        assert_eq!(around, None, "{what} holds {form}");
    }
}

/// Every object of a repository as text.
fn objects(repository: &Path) -> String {
    let mut command = Command::new("git");
    command.current_dir(repository).args(["cat-file", "--batch", "--batch-all-objects"]);
    let output = command.output().expect("git starts");
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn docker_config(host: &str, password: &str) -> String {
    json!({ "auths": { host: { "auth": STANDARD.encode(format!("{USER}:{password}")) } } }).to_string()
}

/// Everything an agent says and shows while it gets webhooks, sends notifications to a secret URL, and is given an
/// invalid configuration.
fn agent(home: &Path, config: &Path) -> String {
    let nowhere = format!("http://127.0.0.1:9/{WEBHOOK}");
    fs::write(home.join("webhook"), WEBHOOK).expect("written");
    fs::write(home.join("nowhere"), nowhere).expect("written");
    let (webhook, nowhere) = (home.join("webhook").display().to_string(), home.join("nowhere").display().to_string());
    let good = fs::read_to_string(config).expect("there");
    let text = format!(
        "{good}agent:\n  interval: 1h\n  listen: 127.0.0.1:0\n  webhooks: [{{ kind: generic, secretFile: {webhook} }}]\n\
         notify: [{{ webhook: {{ urlFile: {nowhere}, tokenFile: {webhook} }} }}]\n"
    );
    fs::write(config, &text).expect("written");
    let mut command = support::tagalong::command(home);
    command.args(["run", "--log-level", "trace", "--log-format", "json", "--config"]).arg(config);
    let agent = Agent::spawn(command);
    agent.wait_for("cycle finished");
    let mut seen = String::new();
    for secret in [WEBHOOK, TOKEN] {
        let credential = format!("Authorization: Bearer {secret}\r\n");
        let body = format!("{{ \"images\": {WEBHOOK}");
        seen.push_str(&format!("{:?}", agent.ask("POST", "/webhooks/generic", &credential, &body)));
    }
    fs::write(config, format!("{text}{WEBHOOK}: [")).expect("written");
    agent.signal("HUP");
    agent.wait_for("the new configuration is invalid");
    for page in ["/", "/metrics", "/healthz", "/readyz"] {
        seen.push_str(&format!("{:?}", agent.get(page)));
    }
    seen + &agent.stop().1
}

#[test]
fn no_command_reveals_a_secret() {
    let stage = Stage::with_registry(Kind::Htpasswd, &[("README.md", "x\n")]);
    git(&stage.origin.path, &["config", "http.receivepack", "true"]);
    let host = stage.registry.host();
    let sops = Sops::new();
    let (_, other_identity) = new_key();
    let sealed = |text: &str| String::from_utf8(sops.encrypt("s.yaml", text, RULE)).expect("text");
    let secret =
        |name: &str, values: &str| format!("apiVersion: v1\nkind: Secret\nmetadata: {{ name: {name} }}\n{values}");
    let value = secret("db", &format!("stringData:\n    password: {VALUE}\n    pin: 5521\n"));
    let pull = |password: &str| {
        secret("pull", &format!("data:\n    .dockerconfigjson: {}\n", STANDARD.encode(docker_config(&host, password))))
    };
    let deployment = |app: &str| {
        format!(
            "kind: Deployment\nmetadata: {{ name: {app} }}\nspec: {{ template: {{ spec: {{ imagePullSecrets: [{{ name: pull }}], containers: [{{ image: '{host}/org/{app}:aaaaaa1' }}] }} }} }}\n"
        )
    };
    let release = format!(
        "kind: HelmRelease\nmetadata:\n    name: r\nspec:\n    values:\n        image:\n            repository: {host}/org/r\n            tag: aaaaaa1\n        password: {VALUE}\n"
    );
    let good = sealed(&value);
    let (password, pin) = (
        good.lines().find_map(|line| line.trim().strip_prefix("password: ")).expect("a value"),
        good.lines().find_map(|line| line.trim().strip_prefix("pin: ")).expect("a value"),
    );
    let swapped = good.replace(password, "*").replace(pin, password).replace('*', pin);
    let files = [
        ("good/app.yaml", deployment("good")),
        ("good/secret.yaml", good.clone()),
        ("good/pull.yaml", sealed(&pull(PASSWORD))),
        ("stale/app.yaml", deployment("stale")),
        ("stale/pull.yaml", sealed(&pull(STALE))),
        ("broken/app.yaml", deployment("broken")),
        ("broken/secret.yaml", good.replace("name: db", "name: other")),
        ("broken/swapped.yaml", swapped),
        ("broken/later.yaml", good.replace("lastmodified: \"2", "lastmodified: \"1")),
        ("broken/cut.yaml", good[..good.len() / 2].to_owned()),
        ("broken/half.yaml", good.replace(password, VALUE)),
        ("clear/app.yaml", deployment("clear")),
        ("clear/secret.yaml", secret("c", &format!("stringData: {{ password: {IN_CLEAR} }}\n"))),
        ("clear/odd.yaml", secret("c", &format!("stringData: {{ password: [{IN_CLEAR} }}\n"))),
        (
            "clear/kustomization.yaml",
            format!(
                "secretGenerator:\n- {{ name: g, literals: [a={IN_CLEAR}], envs: [g.env] }}\nresources: [app.yaml, secret.yaml]\n"
            ),
        ),
        ("clear/g.env", format!("A={IN_CLEAR}\n")),
        ("release/r.yaml", sealed(&release)),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    stage.origin.commit("a tree with everything wrong in it", &files);
    for app in ["good", "stale", "broken", "clear", "r"] {
        stage.registry.push(&format!("org/{app}"), "aaaaaa1", "2026-04-01T10:00:00Z");
        stage.registry.push(&format!("org/{app}"), "aaaaaa2", "2026-04-02T10:00:00Z");
    }

    let home = stage.home();
    let write = |name: &str, text: &str| {
        fs::write(home.join(name), text).expect("written");
        home.join(name).display().to_string()
    };
    let (key, wrong_key) = (write("age.agekey", &sops.identity), write("other.agekey", &other_identity));
    let bad_key = write("bad.agekey", &format!("{}X\n", sops.identity));
    let (token, auth) = (write("token", TOKEN), write("auth.json", &docker_config(&host, PASSWORD)));
    let (stale_auth, bad_auth) =
        (write("stale.json", &docker_config(&host, STALE)), write("bad.json", &format!("{{ {PASSWORD}")));
    let passphrase = write("passphrase", PASSPHRASE);
    let made = Command::new("ssh-keygen")
        .current_dir(home)
        .args(["-q", "-t", "ed25519", "-N", PASSPHRASE, "-f", "signing"])
        .status();
    assert!(made.expect("ssh-keygen starts").success());
    let (served, refusing) = (HttpGit::start(home, Some(TOKEN)), HttpGit::start(home, Some("another")));
    let config = |name: &str, git: &HttpGit, key: &str, auth: &str, passphrase: &str| {
        let text = format!(
            "git:\n  url: {}\n  https: {{ tokenFile: {token} }}\n  signing: {{ sshKeyFile: {}, passphraseFile: {passphrase} }}\n\
             registries: [{{ host: '{host}', plainHttp: true, credentialsFile: {auth} }}]\n\
             policies: [{{ images: ['{host}/org/*'], tags: {{ sha: {{ order: built }} }} }}]\n\
             secrets: {{ ageKeyFiles: [{key}], pullSecrets: probe }}\n",
            git.url("infra.git"),
            home.join("signing").display()
        );
        write(name, &text)
    };
    let configs = [
        config("wrong-key.yaml", &served, &wrong_key, &auth, &passphrase),
        config("bad-key.yaml", &served, &bad_key, &auth, &passphrase),
        config("bad-git.yaml", &refusing, &key, &auth, &passphrase),
        config("bad-auth.yaml", &served, &key, &bad_auth, &passphrase),
        config("stale-auth.yaml", &served, &key, &stale_auth, &passphrase),
        config("wrong-passphrase.yaml", &served, &key, &auth, &token),
        config("right.yaml", &served, &key, &auth, &passphrase),
    ];
    let work = home.join("work");
    git(home, &["clone", "-q", &stage.origin.path.display().to_string(), "work"]);
    fs::write(work.join(".sops.yaml"), format!("creation_rules: [{{ age: '{}' }}]\n", sops.recipient))
        .expect("written");
    let dir = work.display().to_string();

    let mut seen = String::new();
    let mut formats = ["text", "json"].into_iter().cycle();
    let mut say = |args: &[&str]| {
        let format = formats.next().unwrap_or("text");
        let more = ["--log-level", "trace", "--log-format", format, "--output", format];
        seen.push_str(&format!("{:?}\n", run(home, &[args, &more].concat())));
    };
    let (good_image, bad_image) =
        (format!("{}:aaaaaa2", stage.image("good")), format!("{}:aaaaaa2", stage.image("broken")));
    for config in &configs {
        let asked: [&[&str]; 13] = [
            &["secrets", "verify"],
            &["check"],
            &["images"],
            &["images", "verify"],
            &["set", &bad_image],
            &["set", &good_image],
            &["sync"],
            &["rollback", &stage.image("good"), "--reason", "errors"],
            &["secrets", "rotate", "--path", "good/**"],
            &["status"],
            &["explain", &stage.image("broken")],
            &["hold", &stage.image("stale"), "--reason", "errors"],
            &["resume", &stage.image("stale"), "--reason", "errors"],
        ];
        for args in asked {
            say(&[args, &["--config", config]].concat());
        }
    }
    for file in [&key, &wrong_key, &bad_key] {
        for command in ["verify", "rotate"] {
            say(&["secrets", command, "--dir", &dir, "--age-key-file", file]);
        }
        for auth in [&auth, &bad_auth] {
            let name = ["--registry", &host, "--name", "pull", "--namespace", "x", "--docker-config", auth];
            say(&[&["secrets", "pull-secret", "--dir", &dir, "--file", "new.yaml", "--age-key-file", file], &name[..]]
                .concat());
            say(&[&["secrets", "pull-secret", "--dir", &dir], &name[..]].concat());
        }
    }
    say(&["set", &format!("{}:aaaaaa9", stage.image("r")), "--dir", &dir, "--dry-run"]);
    let mut by_environment = support::tagalong::command(home);
    by_environment.env("SOPS_AGE_KEY", &other_identity).args([
        "secrets",
        "verify",
        "--dir",
        &dir,
        "--log-level",
        "trace",
    ]);
    seen.push_str(&format!("{:?}", finished(by_environment.output().expect("the program starts"))));
    seen.push_str(&agent(home, Path::new(&config("agent.yaml", &served, &key, &auth, &passphrase))));

    let (key_body, other_body) = (&sops.identity[15..], &other_identity[15..]);
    let signing = fs::read_to_string(home.join("signing")).expect("a key");
    let signing_line = signing.lines().nth(1).expect("a line");
    let secrets = [VALUE, STALE, TOKEN, PASSPHRASE, PASSWORD, WEBHOOK, key_body, other_body, signing_line];
    let forms_of_all = forms(&[&secrets[..], &[IN_CLEAR]].concat());
    holds_none("the output", &seen, &forms_of_all);
    // Everything that should succeed did, and everything that should fail did; otherwise this would prove nothing.
    for words in [
        "does not decrypt",
        "MAC does not match",
        "was moved here",
        "it is encrypted to",
        "was rejected",
        "not a valid age identity",
        "it is not valid JSON",
    ] {
        assert!(seen.contains(words), "nothing went wrong by: {words}");
    }
    assert!(stage.origin.read("good/app.yaml").contains("aaaaaa1"), "rolled back");
    assert!(stage.origin.subjects().iter().any(|subject| subject.starts_with("secrets: new data keys")), "rotated");
    // The only value that was in plaintext from the start is in the repository, of course.
    let kept = forms(&[&secrets[..]].concat());
    let half = |text: String| text.replace(&good.replace(password, VALUE), "");
    holds_none("the repository", &half(objects(&stage.origin.path)), &kept);
    holds_none("the clone", &half(objects(&clone_in(&home.join(".cache/tagalong")))), &kept);
    for entry in walkdir::WalkDir::new(home.join(".cache")) {
        let entry = entry.expect("readable");
        let name = entry.path().display().to_string();
        let bytes = if entry.file_type().is_file() { fs::read(entry.path()).expect("bytes") } else { Vec::new() };
        holds_none(&name, &format!("{name} {}", String::from_utf8_lossy(&bytes)), &forms_of_all);
    }
    holds_none("the written pull secret", &fs::read_to_string(work.join("new.yaml")).expect("text"), &forms_of_all);
}
