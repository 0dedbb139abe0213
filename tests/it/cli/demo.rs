//! The demo shows the whole loop, and help is easy to find.

use crate::support;
use crate::support::tagalong::run;

#[test]
fn the_demo_deploys_loses_a_race_and_wins_the_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let demo = run(folder.path(), &["demo"]).ok();
    for words in
        ["-      tag: f3a9c1e", "+      tag: 1b7d20a", "pushes nothing", "won at attempt 2", "What to try next"]
    {
        assert!(demo.stdout.contains(words), "{words}: {demo:#?}");
    }
    assert!(!demo.stdout.contains('\u{1b}'), "no colours where no terminal is");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "nothing is left in the home");
}

#[test]
fn the_demo_about_stages_promotes_and_audits() {
    let folder = tempfile::tempdir().expect("a folder");
    let demo = run(folder.path(), &["demo", "--stages"]).ok();
    let mut rest = demo.stdout.as_str();
    for words in [
        "soaking in beta until",
        "0 of 1 approvals by signature",
        "the window no-freeze is closed (Release freeze (freezes.ics))",
        "Tagalong-Approve: live ",
        "+image: ",
        "Tagalong-Promote: live <- beta ",
        "Tagalong-Approved: ada@example.com by signature",
        "finds 0 of 1 moves",
        "lacks upstream: 07c4e5b was not in beta",
    ] {
        let found = rest.find(words).unwrap_or_else(|| panic!("{words} is missing or out of order: {demo:#?}"));
        rest = &rest[found..];
    }
}

#[test]
fn the_demo_needs_no_certificate_authorities() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("none.pem");
    std::fs::write(&empty, "").expect("written");
    let mut command = support::tagalong::command(folder.path());
    command.arg("demo").env("SSL_CERT_FILE", &empty).env("SSL_CERT_DIR", folder.path());
    support::tagalong::finished(command.output().expect("it starts")).ok();
}

#[test]
fn help_goes_to_stdout_and_missing_arguments_are_explained() {
    let folder = tempfile::tempdir().expect("a folder");
    for command in ["run", "sync", "set", "images", "check", "demo"] {
        let help = run(folder.path(), &[command, "--help"]).ok();
        assert!(help.stdout.contains("Usage: tagalong") && help.stdout.contains("Example"), "{help:#?}");
    }
    assert!(run(folder.path(), &["--version"]).ok().stdout.starts_with("tagalong "));
    let none = run::<&str>(folder.path(), &[]);
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("Usage:"), "{none:#?}");
}
