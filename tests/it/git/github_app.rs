//! A GitHub App in place of tokens: access tokens for git, pull requests and commit statuses, each for one repository and one
//! use, renewed in time, replaced when they are refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use crate::support::agent::Agent;
use crate::support::git::{HttpGit, Origin, git};
use crate::support::github::{APP, GitHub, INSTALLATION, make_key, openssl, trust};
use crate::support::infra::Stage;
use crate::support::process::wait_until;
use crate::support::scripted::{self, Scripted};
use crate::support::tagalong::{Run, run};

/// An image that can be updated, git over http, and GitHub.
struct Scene {
    stage: Stage,
    http: Arc<HttpGit>,
    github: GitHub,
}

impl Scene {
    fn new() -> Scene {
        let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
        stage.registry.push("org/app", "aaaaaa1", "2026-04-01T10:00:00Z");
        git(&stage.origin.path, &["config", "http.receivepack", "true"]);
        // The owner of all repositories.
        std::os::unix::fs::symlink(stage.home(), stage.home().join("acme")).expect("a link");
        let http = Arc::new(HttpGit::start(stage.home(), Some("nobody has this")));
        let github = GitHub::start(stage.home(), &http);
        Scene { stage, http, github }
    }

    /// Writes a configuration with these lines in its `git` section, and more sections.
    fn config(&self, lines: &str, more: &str) -> PathBuf {
        let text = fs::read_to_string(self.stage.config()).expect("there");
        let rest = &text[text.find("registries:").expect("a section")..];
        let lines: String = lines.lines().map(|line| format!("  {line}\n")).collect();
        let file = self.stage.home().join("app.yaml");
        let url = self.http.url("acme/infra.git");
        fs::write(&file, format!("git:\n  url: {url}\n{lines}{rest}{more}")).expect("written");
        file
    }

    fn run(&self, arguments: &[&str], config: &Path) -> Run {
        let config = config.display().to_string();
        let run = run(self.stage.home(), &[arguments, &["--config", &config]].concat());
        self.shows_no_secret(&format!("{run:?}"));
        run
    }

    fn shows_no_secret(&self, text: &str) {
        let state = self.github.state();
        let tokens = state.issued.iter().map(|issued| issued.token.as_str());
        for secret in tokens.chain(state.signed.iter().map(String::as_str)) {
            assert!(!text.contains(secret), "{secret} was printed: {text}");
        }
    }

    fn push(&self, tag: &str, day: u32) {
        self.stage.registry.push("org/app", tag, &format!("2026-04-{day:02}T10:00:00Z"));
    }

    fn deploys(&self, tag: &str) {
        wait_until(tag, || self.stage.origin.read("app.yaml").ends_with(&format!("{tag}\n")));
    }
}

/// The row of `check`: whether it is fine, its detail and its help.
fn row(run: &Run, check: &str) -> (bool, String) {
    let rows = run.json();
    let found = rows.as_array().expect("rows").iter().find(|row| row["check"] == check);
    let row = found.unwrap_or_else(|| panic!("{check}: {rows:#}"));
    (
        row["ok"] == true,
        format!("{} {}", row["detail"].as_str().expect("text"), row["help"].as_str().unwrap_or_default()),
    )
}

#[test]
fn an_app_proposes_updates_with_tokens_for_one_repository_and_one_use() {
    let scene = Scene::new();
    scene.push("bbbbbb1", 2);
    let lines = format!(
        "{}\npushBranch: tagalong/updates\npullRequest: {{ forge: github, url: '{}', labels: [deploy] }}",
        scene.github.section(),
        scene.github.api()
    );
    let config = scene.config(&lines, "");
    scene.run(&["sync"], &config).ok();
    assert!(git(&scene.stage.origin.path, &["show", "tagalong/updates:app.yaml"]).ends_with("bbbbbb1\n"));
    let pulls = scene.github.state().forge.pulls.clone();
    assert_eq!((pulls.len(), &pulls[0].labels, &pulls[0].state), (1, &vec!["deploy".to_owned()], &"open"));
    let mut issued = scene.github.issued();
    issued.sort();
    assert_eq!(issued, ["infra contents=write", "infra pull_requests=write"]);

    // The same key in PKCS#8, and an installation that is not looked up.
    let pkcs8 = scene.stage.home().join("pkcs8.pem");
    let (from, to) = (scene.github.key.display().to_string(), pkcs8.display().to_string());
    openssl(&["pkcs8", "-topk8", "-nocrypt", "-in", &from, "-out", &to]);
    let lines = lines.replace(&from, &to).replace("appId:", &format!("installationId: {INSTALLATION}, appId:"));
    let before = scene.github.asked().len();
    let run = scene.run(&["check", "--output", "json"], &scene.config(&lines, ""));
    assert_eq!(run.code, 0, "{run:#?}");
    assert!(row(&run, "git").1.contains("; access as the GitHub App 4711"), "{run:#?}");
    assert!(row(&run, "forge").1.contains("; access as the GitHub App 4711"), "{run:#?}");
    let asked = scene.github.asked().split_off(before);
    assert!(asked.iter().all(|asked| !asked.target.ends_with("/installation")), "{asked:#?}");
}

#[test]
fn an_app_sets_commit_statuses() {
    let scene = Scene::new();
    scene.push("bbbbbb1", 2);
    let app = format!("appId: '{APP}', privateKeyFile: {}", scene.github.key.display());
    let status = format!("server: '{}', repository: acme/infra, githubApp: {{ {app} }}", scene.github.api());
    let config = scene.config(&scene.github.section(), &format!("notify:\n- github: {{ {status} }}\n"));
    let run = scene.run(&["check", "--output", "json"], &config);
    assert!(row(&run, "notify").1.starts_with("may set commit statuses"), "{run:#?}");
    let agent = Agent::start(scene.stage.home(), &config);
    scene.deploys("bbbbbb1");
    wait_until("a status", || !scene.github.state().statuses.is_empty());
    assert_eq!(scene.github.state().statuses, [(scene.stage.origin.tip(), "success".to_owned())]);
    assert!(scene.github.issued().contains(&"infra statuses=write".to_owned()), "{:?}", scene.github.issued());
    // The next delivery finds out that the token was revoked.
    scene.github.revoke("statuses");
    scene.push("cccccc1", 3);
    wait_until("a status of the second", || scene.github.state().statuses.len() == 2);
    let (code, log) = agent.stop();
    assert_eq!(code, 0, "{log}");
    scene.shows_no_secret(&log);
}

#[test]
fn a_revoked_token_for_pull_requests_is_replaced() {
    let scene = Scene::new();
    scene.push("bbbbbb1", 2);
    let lines = format!(
        "{}\npushBranch: tagalong/updates\npullRequest: {{ forge: github, url: '{}' }}",
        scene.github.section(),
        scene.github.api()
    );
    let agent = Agent::start(scene.stage.home(), &scene.config(&lines, ""));
    let is_proposed = |tag: &str| scene.github.state().forge.pulls.first().is_some_and(|pull| pull.text.contains(tag));
    wait_until("a proposal", || is_proposed("bbbbbb1"));
    scene.github.revoke("pull_requests");
    scene.push("cccccc1", 3);
    wait_until("a new proposal", || is_proposed("cccccc1"));
    let (_, log) = agent.stop();
    assert!(!log.contains("Bad credentials"), "{log}");
    scene.shows_no_secret(&log);
}

#[test]
fn the_app_signs_in_at_no_other_server() {
    let scene = Scene::new();
    let elsewhere = Scripted::start(|_| {
        scripted::json(200, json!({ "id": 1, "token": "t", "expires_at": "2099-01-01T00:00:00Z" }), &[])
    });
    let target = format!("http://{}/api/v3/x", elsewhere.host());
    let moved = Scripted::start(move |_| scripted::json(302, json!({}), &[("Location", &target)]));
    let section = scene.github.section().replace(&scene.github.api(), &format!("http://{}/api/v3", moved.host()));
    let run = scene.run(&["sync"], &scene.config(&section, "")).fails_with(5);
    assert!(run.stderr.contains("it is from another server"), "{run:#?}");
    assert!(moved.asked()[0].authorization.is_some());
    assert!(elsewhere.asked().iter().all(|asked| asked.authorization.is_none()), "{:#?}", elsewhere.asked());
}

#[test]
fn tokens_are_kept_renewed_in_time_and_replaced_when_they_are_refused() {
    let scene = Scene::new();
    let config = scene.config(&scene.github.section(), "");
    let agent = Agent::start(scene.stage.home(), &config);
    wait_until("three cycles", || agent.cycles() >= 3);
    assert_eq!(scene.github.issued(), ["infra contents=write"]);

    // The server no longer knows the token that was believed good. The cycle notices, and succeeds.
    scene.github.state().lifetime = 8;
    // Its clock is ahead of ours, so that the token seems to live longer.
    scene.github.state().ahead = 300;
    scene.http.set_token("it was revoked");
    scene.push("bbbbbb1", 2);
    scene.deploys("bbbbbb1");
    assert_eq!(scene.github.issued().len(), 2);

    // The new one is valid for a few seconds, and replaced before they have passed.
    wait_until("a renewal", || scene.github.issued().len() >= 4);
    scene.github.state().lifetime = 3600;

    // Another private key, and the old one is gone.
    let other = scene.stage.home().join("other.pem");
    make_key(&other);
    trust(&other);
    fs::rename(other.with_extension("pub"), scene.github.key.with_extension("pub")).expect("renamed");
    fs::rename(&other, &scene.github.key).expect("renamed");
    let before = scene.github.issued().len();
    wait_until("a token by the new key", || scene.github.issued().len() > before);
    scene.push("cccccc1", 3);
    scene.deploys("cccccc1");
    let (_, log) = agent.stop();
    assert!(!log.contains("cycle failed"), "{log}");
    scene.shows_no_secret(&log);
}

#[test]
fn a_new_token_that_is_refused_too_ends_the_operation() {
    let scene = Scene::new();
    scene.github.state().is_git_told = false;
    let run = scene.run(&["sync"], &scene.config(&scene.github.section(), "")).fails_with(5);
    assert!(run.stderr.contains("refused the credentials: the access token of the GitHub App 4711"), "{run:#?}");
    assert_eq!(scene.github.issued().len(), 2);
}

#[test]
fn every_way_to_be_refused_names_its_step_and_its_remedy() {
    let scene = Scene::new();
    let section = scene.github.section();
    let refused = |section: &str, code: i32, words: &[&str]| {
        let run = scene.run(&["sync"], &scene.config(section, "")).fails_with(code);
        for words in words {
            assert!(run.stderr.contains(words), "`{words}` is missing: {run:#?}");
        }
    };
    scene.github.state().repositories.clear();
    let words = ["the GitHub App 4711 is not installed on acme/infra at 127.0.0.1", "help: install the app"];
    refused(&section, 5, &words);
    let known = section.replace("appId:", &format!("installationId: {INSTALLATION}, appId:"));
    refused(&known, 5, &["is not installed on acme/infra", "There is at least one repository"]);
    scene.github.state().repositories.push("acme/infra".to_owned());

    let wrong = section.replace("appId:", "installationId: 7, appId:");
    refused(&wrong, 5, &["the GitHub App 4711 has no installation 7", "help: remove githubApp.installationId"]);
    scene.github.state().is_suspended = true;
    refused(&section, 5, &["the installation 90210 of the GitHub App 4711", "is suspended", "help: an owner"]);
    scene.github.state().is_suspended = false;
    scene.github.state().permissions.insert("contents".to_owned(), "read".to_owned());
    let words = ["lacks a permission on acme/infra", ": contents: write", "help: give the app"];
    refused(&section, 5, &words);
    scene.github.state().permissions.insert("contents".to_owned(), "write".to_owned());

    let words = ["rejected the GitHub App 4712", "Integration not found", "help: check that the key"];
    refused(&section.replace("4711", "4712"), 5, &words);
    let other = scene.stage.home().join("other.pem");
    make_key(&other);
    let by_other = section.replace(&scene.github.key.display().to_string(), &other.display().to_string());
    refused(&by_other, 5, &["A JSON web token could not be decoded", "help: check that the key"]);
    scene.github.state().ahead = -900;
    let words = ["claim ('iat')", "help: set the clock of this machine; it is 900 s ahead of GitHub's"];
    refused(&section, 5, &words);
    scene.github.state().ahead = 900;
    refused(&section, 5, &["claim ('exp')", "help: set the clock of this machine; it is 900 s behind GitHub's"]);
    scene.github.state().ahead = 0;

    fs::write(&other, "sesame").expect("written");
    refused(&by_other, 2, &["as the private key of the GitHub App 4711", "no unencrypted private key in PEM format"]);
    fs::remove_file(&other).expect("removed");
    refused(&by_other, 2, &["cannot read", "other.pem for the GitHub App 4711"]);
    scene.github.state().refusal = Some((503, json!({ "message": "No server is available" })));
    let words = ["responded with 503 when asked for the installation for acme/infra: No server is available"];
    refused(&section, 5, &words);
    let nobody = section.replace(&scene.github.api(), "http://127.0.0.1:9/api/v3");
    refused(&nobody, 5, &["cannot reach 127.0.0.1:9 to get the installation for acme/infra"]);
    refused(&section.replace(&scene.github.api(), "http://git.example.com"), 2, &["in clear text"]);
}

#[test]
fn a_missing_permission_for_pull_requests_and_statuses_is_found_by_check() {
    let scene = Scene::new();
    scene.github.state().permissions = [("contents".to_owned(), "write".to_owned())].into();
    let api = scene.github.api();
    let lines = format!(
        "{}\npushBranch: tagalong/updates\npullRequest: {{ forge: github, url: '{api}' }}",
        scene.github.section()
    );
    let app = format!("appId: {APP}, privateKeyFile: {}", scene.github.key.display());
    let notify = format!("notify:\n- github: {{ server: '{api}', repository: acme/infra, githubApp: {{ {app} }} }}\n");
    let run = scene.run(&["check", "--output", "json"], &scene.config(&lines, &notify));
    assert_eq!((run.code, row(&run, "git").0, row(&run, "push").0), (5, true, true), "{run:#?}");
    let (ok, words) = row(&run, "forge");
    assert!(!ok && words.contains("pull_requests: write") && words.contains("give the app"), "{words}");
    let (ok, words) = row(&run, "notify");
    assert!(!ok && words.contains("statuses: write"), "{words}");
}

#[test]
fn sources_get_tokens_that_can_only_read_and_public_ones_need_none() {
    let scene = Scene::new();
    let source = Origin::create(&scene.stage.home().join("shop.git"), &[("readme", "first\n")]);
    let policy = format!(
        "- images: [other]\n  tags: {{ sha: {{ order: commit, source: '{}' }} }}\n",
        scene.http.url("acme/shop.git")
    );
    let config = scene.config(&scene.github.section(), "");
    let text = fs::read_to_string(&config).expect("there").replace("policies:\n", &format!("policies:\n{policy}"));
    fs::write(&config, text).expect("written");
    // The app is not installed on it, and it is not public either.
    let run = scene.run(&["check", "--output", "json"], &config);
    let (ok, words) = row(&run, "source");
    assert!(!ok && words.contains("is not installed on acme/shop"), "{words}");
    scene.github.state().repositories.push("acme/shop".to_owned());
    let run = scene.run(&["check", "--output", "json"], &config);
    assert!(row(&run, "source").1.contains(&source.tip()), "{run:#?}");
    assert!(scene.github.issued().contains(&"shop contents=read".to_owned()), "{:?}", scene.github.issued());
    // Another server, without the app but with everything public.
    let public = HttpGit::start(scene.stage.home(), None);
    scene.github.state().repositories.retain(|name| name != "acme/shop");
    let text = fs::read_to_string(&config).expect("there");
    let entry = format!("sources:\n- {{ url: '{}', {} }}\n", public.url("acme"), scene.github.section());
    fs::write(&config, text.replace(&scene.http.url("acme/shop.git"), &public.url("acme/shop.git")) + &entry)
        .expect("written");
    let run = scene.run(&["check", "--output", "json"], &config);
    assert!(row(&run, "source").1.contains(&source.tip()), "{run:#?}");
}

#[test]
fn what_does_not_fit_together_is_reported_at_once() {
    let scene = Scene::new();
    let refused = |lines: &str, words: &str| {
        let run = scene.run(&["check"], &scene.config(lines, "")).fails_with(2);
        assert!(run.stderr.contains(words), "`{words}` is missing: {run:#?}");
    };
    let section = scene.github.section();
    refused("githubApp: { appId: 4711 }", "git.githubApp: `appId` and `privateKeyFile` are required");
    refused("githubApp: { appId: a/b, privateKeyFile: /k }", "expected the ID of a GitHub App");
    refused("githubApp: { appId: 4711, privateKey: /k }", "unknown key; did you mean `privateKeyFile`?");
    refused(&format!("{section}\nhttps: {{ tokenFile: /t }}"), "replace `https.tokenFile`");
    let gitlab = format!("{section}\npushBranch: b\npullRequest: {{ forge: gitlab, url: '{}' }}", scene.github.api());
    refused(&gitlab, "the identity under `git` is not known to this kind of forge");
    refused("pushBranch: b\npullRequest: { forge: github }", "`tokenFile` is required");
    // A flag names a token for once.
    let token = scene.stage.home().join("token");
    fs::write(&token, "by hand").expect("written");
    scene.http.set_token("by hand");
    let token = token.display().to_string();
    scene.run(&["sync", "--git-token-file", &token], &scene.config(&section, "")).ok();
    assert_eq!(scene.github.asked().len(), 0);
}
