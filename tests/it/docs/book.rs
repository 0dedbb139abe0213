//! The documentation as a book: its table of contents, its reference of commands, and the code in it.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::CommandFactory;
use serde_json::Value;
use tagalong::cli::command_line::Cli;

use crate::support;
use crate::support::browser::{Browser, Manner};
use crate::support::yaml;

use super::pages::{blocks, documents};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

#[test]
fn the_table_of_contents_lists_every_page_once() {
    let summary = fs::read_to_string(docs().join("SUMMARY.md")).expect("text");
    let listed: Vec<String> =
        summary.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned).collect();
    let unique: BTreeSet<String> = listed.iter().cloned().collect();
    assert_eq!(listed.len(), unique.len(), "a page is listed twice");
    let relative = |path: &Path| path.strip_prefix(docs()).ok().map(|path| path.display().to_string());
    let pages = documents().into_iter().filter_map(|(path, _)| relative(&path)).filter(|name| name != "SUMMARY.md");
    assert_eq!(unique, pages.collect());
    for (path, text) in documents() {
        let name = relative(&path).filter(|name| listed.contains(name));
        assert!(name.is_none() || text.starts_with("# "), "{} does not begin with its title", path.display());
    }
}

/// Writes the reference again if `TAGALONG_TEST_UPDATE` is set.
#[test]
fn the_reference_of_commands_is_what_the_program_prints() {
    let file = docs().join("reference/cli.md");
    let made = reference();
    if std::env::var_os("TAGALONG_TEST_UPDATE").is_some() {
        fs::write(&file, &made).expect("written");
    }
    let written = fs::read_to_string(&file).expect("text");
    assert!(written == made, "run TAGALONG_TEST_UPDATE=1 cargo test --test it docs::book");
}

fn reference() -> String {
    let mut root = Cli::command();
    root.build();
    let mut text = "# Commands\n\nThe help of every command, as `tagalong help COMMAND` prints it.\n".to_owned();
    describe(&mut root, &mut text);
    text
}

/// Adds a command and those below it.
fn describe(command: &mut clap::Command, text: &mut String) {
    let name = command.get_bin_name().unwrap_or("tagalong").to_owned();
    // A width of its own, so that the text is the same on every terminal.
    let help = command.clone().term_width(100).render_long_help().to_string();
    let lines: String = help.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    text.push_str(&format!("\n## {name}\n\n```text\n{}\n```\n", lines.trim_end()));
    for below in command.get_subcommands_mut().filter(|below| !below.is_hide_set() && below.get_name() != "help") {
        describe(below, text);
    }
}

#[test]
fn shell_snippets_have_valid_syntax() {
    let mut count = 0;
    for (file, text) in documents() {
        for block in blocks(&text, "sh") {
            count += 1;
            let mut shell = Command::new("bash");
            shell.args(["--posix", "-n"]).stdin(Stdio::piped()).stderr(Stdio::piped());
            let mut shell = shell.spawn().expect("bash");
            shell.stdin.take().expect("its input").write_all(block.as_bytes()).expect("written");
            let ended = shell.wait_with_output().expect("its end");
            let said = String::from_utf8_lossy(&ended.stderr);
            assert!(ended.status.success() && said.is_empty(), "{}:\n{block}\n{said}", file.display());
        }
    }
    assert!(count >= 30, "only {count} snippets were found");
}

#[test]
fn yaml_and_json_snippets_parse() {
    let mut count = 0;
    for (file, text) in documents() {
        for block in blocks(&text, "yaml") {
            assert!(!yaml::documents(&block).is_empty(), "{}:\n{block}", file.display());
            count += 1;
        }
        for block in blocks(&text, "json") {
            let parsed = serde_json::from_str::<Value>(&block);
            assert!(parsed.is_ok(), "{}: {parsed:?}\n{block}", file.display());
            count += 1;
        }
    }
    assert!(count >= 30, "only {count} snippets were found");
}

#[test]
fn mdbook_builds_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = tempfile::tempdir().expect("a folder");
    let run = Command::new("mdbook").arg("build").arg(root).arg("--dest-dir").arg(built.path()).output();
    let Ok(run) = run else { return support::skipped("mdbook is not here") };
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && !said.contains("WARN"), "{said}");
    assert!(built.path().join("introduction.html").exists(), "{said}");
    links_lead_somewhere(root, built.path());
}

/// Follows the links of some pages in a browser: to pages of the book, and to files of the repository at the forge.
fn links_lead_somewhere(root: &Path, built: &Path) {
    let home = tempfile::tempdir().expect("a folder");
    let Some(browser) = Browser::start(home.path(), Manner { has_scripts: true, is_dark: false }) else {
        return support::skipped("there is no driver of Chromium on this machine");
    };
    let forge = "https://gitea.d-ma.be/mathias/tagalong/src/branch/main/";
    let here = format!("file://{}/", built.display());
    let mut at_forge = 0;
    for page in ["development.html", "recipes/woodpecker.html", "getting-started/one-command.html"] {
        browser.open(&format!("{here}{page}"));
        let links = browser.evaluate("return [...document.querySelectorAll('main a[href]')].map(link => link.href);");
        for link in links.as_array().expect("links").iter().filter_map(|link| link.as_str()) {
            let path = link.split('#').next().unwrap_or_default();
            if let Some(file) = path.strip_prefix(forge) {
                at_forge += 1;
                assert!(root.join(file).exists(), "{page} links to {link}");
            } else if let Some(file) = path.strip_prefix(&here) {
                assert!(built.join(file).exists(), "{page} links to {link}");
            }
        }
    }
    assert!(at_forge > 40, "{at_forge}");
}
