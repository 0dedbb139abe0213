//! Completions, man pages, help topics and the options that every command takes.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::skipped;
use crate::support::tagalong::{command, complete, run};

fn exists(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Runs a program with a text on its stdin.
fn fed(program: &str, arguments: &[&str], text: &str) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    child.stdin.take().expect("stdin").write_all(text.as_bytes()).expect("written");
    child.wait_with_output().expect("it ends")
}

#[test]
fn shells_accept_their_completions() {
    let home = tempfile::tempdir().expect("a folder");
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = run(home.path(), &["completion", shell]).ok().stdout;
        assert!(script.contains("secrets") && script.contains("age-key-file"), "{shell}");
        if shell == "powershell" {
            continue;
        }
        if !exists(shell) {
            skipped(&format!("there is no {shell} here to read its completion"));
            continue;
        }
        let file = home.path().join(shell);
        fs::write(&file, script).expect("written");
        let read = Command::new(shell).arg("-n").arg(&file).output().expect("it starts");
        assert!(read.status.success() && read.stderr.is_empty(), "{shell}: {read:?}");
    }
    let unknown = run(home.path(), &["completion", "tcsh"]).fails_with(2);
    assert!(unknown.stderr.contains("[possible values: bash, zsh, fish, powershell]"), "{unknown:#?}");
}

/// What a real bash completes at the end of a line.
fn completed(home: &Path, line: &str) -> Vec<String> {
    let script = run(home, &["completion", "bash"]).ok().stdout;
    let words: Vec<String> = line.split(' ').map(|word| format!("'{word}'")).collect();
    let ask = format!(
        "{script}\nCOMP_WORDS=({})\nCOMP_CWORD={}\n_tagalong tagalong {} {}\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        words.join(" "),
        words.len() - 1,
        words[words.len() - 1],
        words[words.len() - 2]
    );
    let answer = fed("bash", &["--norc"], &ask);
    assert!(answer.status.success(), "{answer:?}");
    String::from_utf8(answer.stdout).expect("text").lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_and_options() {
    let home = tempfile::tempdir().expect("a folder");
    assert_eq!(completed(home.path(), "tagalong se"), ["set", "secrets"]);
    assert_eq!(completed(home.path(), "tagalong secrets ver"), ["verify"]);
    assert_eq!(completed(home.path(), "tagalong status --wat"), ["--watch"]);
    assert_eq!(completed(home.path(), "tagalong sync --output "), ["text", "json"]);
}

#[test]
fn there_is_a_valid_man_page_for_every_command() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("share/man/man1");
    let written = run(home.path(), &["man", folder.to_str().expect("text")]).ok();
    let mut pages: Vec<String> = fs::read_dir(&folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .collect();
    pages.sort();
    assert!(pages.len() > 25 && written.stderr.contains(&format!("wrote {} pages", pages.len())), "{written:#?}");
    for expected in ["tagalong.1", "tagalong-status.1", "tagalong-secrets-pull-secret.1", "tagalong-images-verify.1"] {
        assert!(pages.iter().any(|page| page == expected), "{expected} is not in {pages:?}");
    }
    if !exists("man") {
        skipped("there is no man here to show the pages");
        return;
    }
    for page in &pages {
        let file = folder.join(page);
        // `--warnings` reports whatever groff does not understand.
        let mut man = Command::new("man");
        man.args(["--warnings", "--local-file"])
            .arg(&file)
            .env("MANPAGER", "cat")
            .env("MANWIDTH", "80")
            .env("LC_ALL", "C.UTF-8");
        let shown = man.output().expect("man starts");
        let text = String::from_utf8_lossy(&shown.stdout);
        assert!(
            shown.status.success() && shown.stderr.is_empty(),
            "{page}: {}",
            String::from_utf8_lossy(&shown.stderr)
        );
        assert!(text.contains("SYNOPSIS") && text.contains("OPTIONS"), "{page}: {text}");
    }
    let root = fs::read_to_string(folder.join("tagalong.1")).expect("text");
    assert!(root.contains("EXIT CODES") && root.contains("SOPS_AGE_KEY_FILE"), "{root}");
}

#[test]
fn help_knows_commands_and_topics() {
    let home = tempfile::tempdir().expect("a folder");
    let help = |words: &[&str]| run(home.path(), &[&["help"], words].concat());
    let own = run(home.path(), &["secrets", "verify", "--help"]).ok().stdout;
    assert_eq!(help(&["secrets", "verify"]).ok().stdout, own);
    assert!(
        own.contains("Connection options:") && own.contains("Global options:") && own.contains("Credentials:"),
        "{own}"
    );
    assert!(help(&[]).ok().stdout.contains("tagalong help exit-codes"));
    assert!(help(&["exit-codes"]).ok().stdout.contains("the smallest from 2 on wins"));
    assert!(help(&["environment"]).ok().stdout.contains("TAGALONG_CONFIG"));
    let unknown = help(&["exit-code"]).fails_with(2);
    assert!(unknown.stderr.contains("help: did you mean `exit-codes`?"), "{unknown:#?}");
    let unknown = help(&["secrets", "verfy"]).fails_with(2);
    assert!(unknown.stderr.contains("help: did you mean `verify`?"), "{unknown:#?}");
}

#[test]
fn the_log_is_as_quiet_or_as_verbose_as_it_should_be() {
    let home = tempfile::tempdir().expect("a folder");
    let work = home.path().join("work");
    fs::create_dir(&work).expect("a folder");
    fs::write(work.join("broken.yaml"), "a: [\n").expect("written");
    let images = |more: &[&str]| {
        run(home.path(), &[&["images", "--dir", work.to_str().expect("text")], more].concat()).ok().stderr
    };
    assert!(images(&[]).contains("WARN") && images(&[]).contains("broken.yaml"));
    assert_eq!(images(&["-q"]), "");
    assert_eq!(images(&["--quiet", "--log-level", "trace"]), "");
    assert!(images(&["-vv", "--log-level", "off"]).contains("broken.yaml"));
    run(home.path(), &["images", "--dir", ".", "-q", "-v"]).fails_with(2);
    let set = |more: &[&str]| {
        fs::write(work.join("app.yaml"), "image: nginx:1.26\n").expect("written");
        let mut command = command(home.path());
        complete(command.args(["set", "nginx:1.27", "--dir"]).arg(&work).args(more)).ok()
    };
    let usual = set(&[]);
    assert!(usual.stderr.contains("WARN") && usual.stdout.contains("1.26 -> 1.27"), "{usual:#?}");
    let quiet = set(&["-q"]);
    assert!(quiet.stderr.is_empty() && quiet.stdout == usual.stdout, "{quiet:#?}");
    assert!(!set(&["-o", "json"]).stderr.contains("->"));
}

#[test]
fn colors_are_used_where_they_are_wanted() {
    let home = tempfile::tempdir().expect("a folder");
    let has_colors = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = command(home.path());
        let run = complete(command.args(arguments).envs(variables.iter().copied()));
        format!("{}{}", run.stdout, run.stderr).contains('\x1b')
    };
    for arguments in [&["status"][..], &["set", "nginx"], &["frobnicate"], &["help"]] {
        assert!(!has_colors(arguments, &[]), "{arguments:?}: there is no terminal");
        assert!(has_colors(&[arguments, &["--color", "always"]].concat(), &[("NO_COLOR", "1")]), "{arguments:?}");
        assert!(has_colors(arguments, &[("CLICOLOR_FORCE", "1")]), "{arguments:?}");
        assert!(!has_colors(&[arguments, &["--color=never"]].concat(), &[("CLICOLOR_FORCE", "1")]), "{arguments:?}");
    }
}
