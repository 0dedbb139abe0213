//! No token, password or key reaches stdout, stderr, logs at the most verbose level, or the disk.

use std::fs;

use crate::support::git::{HttpGit, git};
use crate::support::infra::Stage;
use crate::support::registry::{PASSWORD, USER};
use crate::support::scripted::{Scripted, json};
use crate::support::tagalong::run;

const GIT_TOKEN: &str = "git-token-93451";
const BEARER: &str = "bearer-token-77120";

#[test]
fn nothing_secret_is_ever_printed_or_stored() {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    git(&stage.origin.path, &["config", "http.receivepack", "true"]);
    // A registry that issues a token and then fails in every way that repeats what it was sent.
    let tokens = Scripted::start(|_| json(200, serde_json::json!({ "token": BEARER }), &[]));
    let realm = format!("Bearer realm=\"http://{}/token\"", tokens.host());
    let registry = Scripted::start(move |request| match request.authorization.as_deref() {
        Some(sent) => json(500, serde_json::json!({ "errors": [{ "message": sent }] }), &[("X-Echo", sent)]),
        None => json(401, serde_json::json!({}), &[("WWW-Authenticate", &realm)]),
    });
    let auth = stage.home().join("auth.json");
    let text = serde_json::json!({ "auths": { registry.host(): { "username": USER, "password": PASSWORD } } });
    fs::write(&auth, text.to_string()).expect("written");
    let token = stage.home().join("token");
    fs::write(&token, GIT_TOKEN).expect("written");
    let good = HttpGit::start(stage.home(), Some(GIT_TOKEN));
    let bad = HttpGit::start(stage.home(), Some("another"));
    let policies = format!(
        "registries: [{{ host: \"{0}\", plainHttp: true, credentialsFile: {1} }}]\npolicies:\n- images: [\"{0}/**\"]\n  tags: {{ sha: {{}} }}\n",
        registry.host(),
        auth.display()
    );
    stage
        .origin
        .commit("an image of that registry", &[("b.yaml", &format!("image: {}/org/b:aaaaaa1\n", registry.host()))]);
    let with_user = good.url("infra.git").replace("http://", &format!("http://ada:{GIT_TOKEN}@"));
    let urls = [
        format!("git: {{ url: \"{}\", https: {{ tokenFile: {} }} }}\n", good.url("infra.git"), token.display()),
        format!("git: {{ url: \"{}\", https: {{ tokenFile: {} }} }}\n", bad.url("infra.git"), token.display()),
        format!("git: {{ url: \"{with_user}\" }}\n"),
        format!("git: {{ url: \"{with_user}/nowhere\" }}\n"),
        format!("git: {{ url: \"https://ada:{GIT_TOKEN}@ no host/\" }}\n"),
    ];
    let mut seen = String::new();
    for (n, url) in urls.iter().enumerate() {
        let config = stage.home().join(format!("config-{n}.yaml"));
        fs::write(&config, format!("{url}{policies}")).expect("written");
        let config = config.display().to_string();
        for command in ["sync", "check", "images"] {
            let run = run(stage.home(), &[command, "--config", &config, "--log-level", "trace"]);
            seen.push_str(&format!("{run:?}"));
        }
    }
    assert!(!registry.asked().is_empty() && !tokens.asked().is_empty(), "the secrets were used");
    let encoded = "cHVsbGVyOm9wZW4tc2VzYW1lLTc";
    for secret in [GIT_TOKEN, BEARER, PASSWORD, encoded] {
        let at = seen.find(secret).map(|at| seen[at.saturating_sub(300)..(at + 60).min(seen.len())].to_owned());
        assert_eq!(at, None, "{secret} was printed");
    }
    for entry in walkdir::WalkDir::new(stage.home().join(".cache")) {
        let entry = entry.expect("readable");
        let name = entry.path().display().to_string();
        let bytes = if entry.file_type().is_file() { fs::read(entry.path()).expect("bytes") } else { Vec::new() };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        for secret in [GIT_TOKEN, BEARER, PASSWORD, encoded] {
            assert!(!text.contains(secret) && !name.contains(secret), "{secret} is in {name}");
        }
    }
}
