//! Git servers that refuse a key or a token, each in its own words.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::agent::Agent;
use crate::support::git::{HttpGit, git};
use crate::support::infra::Stage;
use crate::support::process::wait_until;
use crate::support::scripted::{self, Scripted};
use crate::support::tagalong::{Run, run};

fn stage() -> Stage {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", "2026-04-01T10:00:00Z");
    stage.registry.push("org/app", "bbbbbb1", "2026-04-02T10:00:00Z");
    stage
}

/// Refuses a service over ssh with a message. Like Gitea, sends a newline first.
fn refuse(stage: &Stage, service: &str, message: &str) {
    let file = stage.home().join("refusal");
    fs::write(&file, message).expect("written");
    stage.sshd.force(&format!(
        "case \"$SSH_ORIGINAL_COMMAND\" in\n{service}*) echo; cat {} >&2; exit 1;;\n*) eval \"$SSH_ORIGINAL_COMMAND\";;\nesac",
        file.display()
    ));
}

/// A row of `check`.
fn row(run: &Run, check: &str) -> Value {
    let rows = run.json();
    rows.as_array()
        .expect("rows")
        .iter()
        .find(|row| row["check"] == check)
        .unwrap_or_else(|| panic!("{run:#?}"))
        .clone()
}

#[track_caller]
fn is_missing_right(run: &Run, words: &str) {
    let run = Run { code: run.code, stdout: String::new(), stderr: run.stderr.clone() }.fails_with(5);
    let error = run.stderr.lines().find(|line| line.starts_with("error: ")).expect("an error");
    assert!(error.contains("refused the credentials for pushing: ") && error.ends_with(words), "{run:#?}");
    assert!(run.stderr.contains("help: ") && run.stderr.contains("write access"), "{run:#?}");
}

#[test]
fn a_key_that_may_only_read_is_refused_in_the_words_of_each_forge() {
    let stage = stage();
    for (message, words) in [
        (
            "\nerror:\nerror: Deploy Key: 3:readonly is not authorized to write to org/infra.\nerror:\n",
            "for pushing: Deploy Key: 3:readonly is not authorized to write to org/infra.",
        ),
        ("ERROR: The key you are authenticating with has been marked as read only.\n", "marked as read only."),
        (
            "remote: \nremote: ========\nremote: \nremote: ERROR: This deploy key does not have write access to this \
             project.\nremote: \nremote: ========\nremote: \n",
            "for pushing: This deploy key does not have write access to this project.",
        ),
        ("FATAL: W any infra ci DENIED by fallthru\n(or you mis-spelled the reponame)\n", "mis-spelled the reponame)"),
    ] {
        refuse(&stage, "git-receive-pack", message);
        is_missing_right(&stage.tagalong(&["sync"]), words);
        let checked = stage.tagalong(&["check", "--output", "json"]);
        assert_eq!((checked.code, &row(&checked, "git")["ok"]), (5, &true.into()), "{checked:#?}");
        let push = row(&checked, "push");
        assert_eq!((&push["ok"], &push["purpose"]), (&false.into(), &"commit updates to main".into()), "{push:#}");
        assert!(push["detail"].as_str().expect("text").ends_with(words), "{push:#}");
    }
    assert!(stage.origin.read("app.yaml").ends_with("aaaaaa1\n"));
}

#[test]
fn a_repository_that_is_hidden_or_missing_is_told_as_such() {
    let stage = stage();
    let config = |path: &str| {
        let text = fs::read_to_string(stage.config()).expect("there");
        let file = stage.home().join("wrong.yaml");
        fs::write(&file, text.replace("/infra.git", path)).expect("written");
        file.display().to_string()
    };
    // What git itself says, over both transports.
    let run = run(stage.home(), &["sync", "--config", &config("/infar.git")]).fails_with(5);
    assert!(run.stderr.contains("error: no such repository: ssh://"), "{run:#?}");
    assert!(run.stderr.contains("does not appear to be a git repository"), "{run:#?}");
    let http = HttpGit::start(stage.home(), None);
    let run = on(&stage, &http, "infar.git", "").fails_with(5);
    assert!(run.stderr.contains("error: no such repository: http://"), "{run:#?}");
    for (message, words) in [
        ("ERROR: Repository not found.\n", "no such repository: "),
        ("error:\nerror: Cannot find repository: org/infra\nerror:\n", ": Cannot find repository: org/infra\n"),
        ("Gitea: Unauthorized\n", "refused the credentials for reading: Gitea: Unauthorized\n"),
    ] {
        refuse(&stage, "git-upload-pack", message);
        let run = stage.tagalong(&["sync"]).fails_with(5);
        assert!(run.stderr.contains(words) && !run.stderr.contains("cannot reach"), "{run:#?}");
    }
}

#[test]
fn a_server_in_trouble_is_not_taken_for_a_missing_right() {
    let stage = stage();
    refuse(&stage, "git-upload-pack", "the pigeons are resting\nuntil noon\n");
    let run = stage.tagalong(&["sync"]).fails_with(5);
    assert!(run.stderr.contains("error: cannot reach"), "{run:#?}");
    assert!(run.stderr.contains("the pigeons are resting / until noon"), "{run:#?}");
    // Once the server has begun, its words are about something else.
    stage.sshd.force("printf 00; echo 'error: permission denied on disk 7' >&2; exit 1");
    let run = stage.tagalong(&["sync"]).fails_with(5);
    assert!(run.stderr.contains("error: cannot reach") && run.stderr.contains("disk 7"), "{run:#?}");
}

#[test]
fn the_hook_of_a_forge_tells_readers_from_protected_branches() {
    let stage = stage();
    let hook = |line: &str| {
        let script = format!("echo 'error:' >&2; echo 'error: {line}' >&2; echo 'error:' >&2; exit 1");
        stage.origin.hook("pre-receive", &script);
    };
    // Gitea lets readers push proposals, so only its hook refuses.
    hook("User permission denied for writing.");
    is_missing_right(&stage.tagalong(&["sync"]), "pre-receive hook declined: User permission denied for writing.");
    hook("Not allowed to push to protected branch main");
    let run = stage.tagalong(&["sync"]).fails_with(1);
    assert!(
        run.stderr.contains("refused the push to main: pre-receive hook declined: Not allowed to push"),
        "{run:#?}"
    );
    assert!(!run.stderr.contains("error: /") && !run.stderr.contains("/ error:"), "{run:#?}");
}

/// Runs `sync` on a repository over http.
fn on(stage: &Stage, http: &HttpGit, name: &str, https: &str) -> Run {
    let config = http_config(stage, http, name, https);
    run(stage.home(), &["sync", "--config", &config.display().to_string()])
}

fn http_config(stage: &Stage, http: &HttpGit, name: &str, https: &str) -> PathBuf {
    let text = fs::read_to_string(stage.config()).expect("there");
    let rest = &text[text.find("registries:").expect("a section")..];
    let file = stage.home().join("http.yaml");
    fs::write(&file, format!("git:\n  url: {}\n{https}{rest}", http.url(name))).expect("written");
    file
}

#[test]
fn a_token_that_may_only_read_is_refused_in_the_words_of_each_forge() {
    let stage = stage();
    let token = stage.home().join("token");
    fs::write(&token, "t0ken").expect("written");
    let https = format!("  https: {{ tokenFile: {} }}\n", token.display());
    // git itself, with its own words for it: none.
    git(&stage.origin.path, &["config", "http.receivepack", "false"]);
    let http = HttpGit::start(stage.home(), Some("t0ken"));
    is_missing_right(&on(&stage, &http, "infra.git", &https), "for pushing: 403 Forbidden");
    git(&stage.origin.path, &["config", "http.receivepack", "true"]);
    for message in [
        // Gitea, GitHub, GitLab
        "User permission denied for writing.",
        "Write access to repository not granted.",
        "You are not allowed to push code to this project.",
    ] {
        http.refuse("git-receive-pack", 403, message);
        is_missing_right(&on(&stage, &http, "infra.git", &https), message);
    }
    http.refuse("git-receive-pack", 403, "This repo is archived. You can view files and clone it.");
    let run = on(&stage, &http, "infra.git", &https).fails_with(1);
    assert!(run.stderr.contains("accepts no pushes: This repo is archived."), "{run:#?}");
    // The service may be refused only when the push itself arrives.
    http.refuse("/git-receive-pack", 403, "User permission denied for writing.");
    is_missing_right(&on(&stage, &http, "infra.git", &https), "User permission denied for writing.");
    http.refuse("git-receive-pack", 401, "HTTP Basic: Access denied. The token is improperly scoped.");
    let run = on(&stage, &http, "infra.git", &https).fails_with(5);
    assert!(
        run.stderr.contains("refused the credentials: the token from ") && run.stderr.contains("scoped."),
        "{run:#?}"
    );
    assert!(!run.stderr.contains("t0ken"), "{run:#?}");
}

#[test]
fn a_push_without_credentials_names_the_missing_one() {
    let stage = stage();
    let http = HttpGit::start(stage.home(), None);
    for status in [401, 403] {
        http.refuse("git-receive-pack", status, "");
        let run = on(&stage, &http, "infra.git", "").fails_with(5);
        assert!(run.stderr.contains("requires credentials for pushing, and none are configured"), "{run:#?}");
        assert!(run.stderr.contains("help: set git.https.tokenFile"), "{run:#?}");
    }
}

#[test]
fn the_agent_reports_a_missing_right_after_its_first_cycle() {
    let stage = stage();
    refuse(&stage, "git-receive-pack", "error:\nerror: Deploy Key: 3:ci is not authorized to write to org/infra.\n");
    let server = Scripted::start(|_| scripted::json(200, json!({}), &[]));
    let url = stage.home().join("url");
    fs::write(&url, format!("http://{}/hook", server.host())).expect("written");
    let text = fs::read_to_string(stage.config()).expect("there").replace("interval: 200ms", "interval: 1h");
    let config = stage.home().join("agent.yaml");
    let channel = format!("notify:\n- webhook: {{ urlFile: {} }}\n", url.display());
    fs::write(&config, text + &channel).expect("written");
    let agent = Agent::start(stage.home(), &config);
    wait_until("people are notified", || !server.asked().is_empty());
    let event: Value = serde_json::from_str(&server.asked()[0].body).expect("JSON");
    assert_eq!(event["kind"], "failed", "{event:#}");
    assert!(event["title"].as_str().expect("text").contains("refused the credentials for pushing"), "{event:#}");
    assert!(event["detail"].as_str().expect("text").contains("Enable Write Access"), "{event:#}");
    // The next cycle is an hour away.
    agent.wait_for_metric("tagalong_cycles_total{result=\"denied\"} 1");
    assert_eq!(agent.stop().0, 0);
}
