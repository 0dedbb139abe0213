//! Nothing that comes from outside acts on a terminal, forges a line, or hides in one: names of files and fields, authors
//! and messages of commits, tags' metadata, and what servers answer.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::agent::Agent;
use crate::support::git::git;
use crate::support::infra::Stage;
use crate::support::scripted::Scripted;
use crate::support::tagalong;

/// Sets a title, clears the screen, begins a line of its own, turns the direction of text around, and is invisible.
const HOSTILE: &str = "\u{1b}]0;pwned\u{7}\u{1b}[2J\nforged line\r\u{9b}31m\u{202e}\u{2066}\u{200b}";

fn stage() -> (Stage, Scripted, PathBuf) {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    for (hour, tag) in ["aaaaaa1", "bbbbbb2"].into_iter().enumerate() {
        stage.registry.push("org/app", tag, &format!("2026-04-01T{hour:02}:00:00Z"));
    }
    let message = serde_json::json!({ "errors": [{ "code": "DENIED", "message": HOSTILE }] }).to_string();
    let evil = Scripted::start(move |asked| match asked.target.as_str() {
        "/v2/" => Some((200, Vec::new(), b"{}".to_vec())),
        _ => {
            let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
            Some((403, headers, message.clone().into_bytes()))
        }
    });
    let host = evil.host();
    let text = fs::read_to_string(stage.config()).expect("there");
    let text = text.replacen("registries:\n", &format!("registries:\n- {{ host: \"{host}\", plainHttp: true }}\n"), 1);
    let policy = format!("policies:\n- {{ images: [\"{host}/*\"], tags: {{ sha: {{ order: built }} }} }}\n");
    let config = stage.home().join("hostile.yaml");
    fs::write(&config, text.replacen("policies:\n", &policy, 1)).expect("written");
    let key = serde_json::to_string(HOSTILE).expect("JSON");
    let files = [
        ("evil.yaml".to_owned(), format!("image: {host}/org/evil:aaaaaa1\n")),
        (format!("apps/{HOSTILE}.yaml"), format!("{key}:\n  image: {}:aaaaaa1\n", stage.image("app"))),
        (format!("other/broken-{HOSTILE}.yaml"), format!("image: {}:aaaaaa1\n  {key}: [\n", stage.image("app"))),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    stage.origin.commit("hostile files", &files);
    (stage, evil, config)
}

/// Takes the updates back by a commit whose author and subject are hostile.
fn revert(stage: &Stage) {
    let tree = git(&stage.origin.path, &["rev-parse", "main~1^{tree}"]);
    let who = format!("A{}da <ada@example.com> 1790000000 +0000", HOSTILE.replace('\n', ""));
    let subject = HOSTILE.replace('\n', " ");
    let commit = format!(
        "tree {}\nparent {}\nauthor {who}\ncommitter {who}\n\nRevert {subject}\n",
        tree.trim(),
        stage.origin.tip()
    );
    let mut child = Command::new("git")
        .current_dir(&stage.origin.path)
        .args(["hash-object", "-t", "commit", "-w", "--stdin", "--literally"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git starts");
    child.stdin.take().expect("a pipe").write_all(commit.as_bytes()).expect("written");
    let id = String::from_utf8(child.wait_with_output().expect("it ends").stdout).expect("text");
    git(&stage.origin.path, &["update-ref", "refs/heads/main", id.trim()]);
}

#[track_caller]
fn is_clean(what: &str, text: &str) {
    let acts = |c: char| c != '\n' && (c.is_control() || HOSTILE.contains(c) && !c.is_ascii());
    let found: Vec<char> = text.chars().filter(|c| acts(*c)).collect();
    assert!(found.is_empty(), "{what}: {found:?} in {text:?}");
    assert!(!text.lines().any(|line| line.trim_start().starts_with("forged line")), "{what}: {text}");
}

#[test]
fn no_command_prints_what_acts() {
    let (stage, _evil, config) = stage();
    let image = stage.image("app");
    let run = |arguments: &[&str]| {
        let config = config.display().to_string();
        let run = tagalong::run(stage.home(), &[arguments, &["--config", &config]].concat());
        is_clean(&format!("{arguments:?}"), &format!("{}\n{}", run.stdout, run.stderr));
        run
    };
    for arguments in [&["images"][..], &["status"], &["explain", &image], &["check"], &["secrets", "verify"]] {
        run(arguments);
    }
    // The diff is exact, so that it can be applied; only a terminal gets it escaped.
    let config_file = config.display().to_string();
    let diff = tagalong::run(stage.home(), &["sync", "--dry-run", "--config", &config_file]);
    assert!(diff.stdout.contains("+image: ") && diff.stdout.contains("bbbbbb2"), "{diff:#?}");
    is_clean("names in a diff", &diff.stdout.lines().filter(|line| line.starts_with("+++")).collect::<String>());
    let synced = run(&["sync"]);
    assert!(stage.origin.read("app.yaml").ends_with("bbbbbb2\n"), "{synced:#?}");
    assert!(synced.stdout.contains(r"apps/\u{1b}]0;pwned\u{7}"), "{synced:#?}");
    is_clean("the commit", &stage.origin.message());
    revert(&stage);
    let status = run(&["status"]);
    assert!(status.stdout.contains("held: ") && status.stdout.contains("pwned"), "{status:#?}");
    run(&["explain", &image]);
    run(&["rollback", &image, "--reason", HOSTILE, "--actor", HOSTILE]);
    run(&["hold", &image, "--reason", HOSTILE, "--actor", HOSTILE]);
    is_clean("the message of a hold", &stage.origin.message());
    run(&["status"]);
    run(&["images", "verify"]);
    // What is too long is cut.
    let long = "x".repeat(100_000);
    run(&["resume", &image, "--reason", &long]);
    let resumed = stage.origin.message();
    assert!(resumed.starts_with("resume: app") && resumed.len() < 4_000, "{}", resumed.len());
}

#[test]
fn the_log_of_the_agent_is_one_line_for_each_event() {
    let (stage, _evil, config) = stage();
    let mut command = tagalong::command(stage.home());
    command.args(["run", "--config"]).arg(&config);
    let agent = Agent::spawn(command);
    agent.wait_for("updated");
    agent.wait_for("cycle finished");
    revert(&stage);
    agent.wait_for("reason=\"held\"");
    let log = agent.log();
    is_clean("the log", &log);
    for line in log.lines() {
        let (time, rest) = line.split_once(' ').expect("words");
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{line}");
        assert!(["INFO", "WARN", "ERROR"].contains(&rest.trim_start().split(' ').next().expect("a level")), "{line}");
    }
    agent.stop();
}
