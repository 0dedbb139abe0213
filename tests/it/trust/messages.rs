//! Messages are written by people who may not push: the text of a pull request becomes the message of its squashed commit.

use crate::support::git::git;
use crate::support::infra::Stage;

const FILE: &str = "app.yaml";

/// An app at `aaaaaa1`; `bbbbbb2` is in the registry too.
fn stage() -> Stage {
    let stage = Stage::new(&[(FILE, "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", "2026-04-01T00:00:00Z");
    stage.registry.push("org/app", "bbbbbb2", "2026-04-01T01:00:00Z");
    stage
}

fn content(stage: &Stage, tag: &str) -> String {
    format!("image: {}:{tag}\n", stage.image("app"))
}

/// One cycle of a new replica, which knows nothing but the repository.
fn sync(stage: &Stage) -> serde_json::Value {
    let _ = std::fs::remove_dir_all(stage.home().join(".cache"));
    stage.tagalong(&["sync", "--output", "json"]).ok().json()
}

#[track_caller]
fn is_held(stage: &Stage) -> String {
    let report = sync(stage);
    let skipped = &report["skipped"][0];
    assert_eq!((&skipped["reason"], &report["commit"]), (&"held".into(), &serde_json::Value::Null), "{report:#}");
    skipped["detail"].as_str().expect("a text").to_owned()
}

#[track_caller]
fn moves(stage: &Stage) {
    let report = sync(stage);
    assert_eq!(report["updates"][0]["to"], "bbbbbb2", "{report:#}");
}

#[test]
fn an_order_in_a_commit_that_changes_files_does_not_count() {
    let stage = stage();
    moves(&stage);
    stage.origin.commit("Revert", &[(FILE, &content(&stage, "aaaaaa1"))]);
    is_held(&stage);
    let order = format!("Add docs (#7)\n\nTagalong-Resume: {}\nTagalong-Actor: the boss\n", stage.image("app"));
    stage.origin.commit(&order, &[("README.md", "docs\n")]);
    is_held(&stage);
    // Nor does one in a merge, whose message is that of the pull request too.
    let tree = git(&stage.origin.path, &["rev-parse", "main^{tree}"]);
    let side = git(&stage.origin.path, &["commit-tree", "-p", "main~1", "-m", "side", tree.trim()]);
    let merge = git(&stage.origin.path, &["commit-tree", "-p", "main", "-p", side.trim(), "-m", &order, tree.trim()]);
    git(&stage.origin.path, &["update-ref", "refs/heads/main", merge.trim()]);
    is_held(&stage);
    // The same in a commit of its own does.
    stage.origin.commit(&order, &[]);
    moves(&stage);
}

#[test]
fn a_hold_in_a_commit_that_changes_files_does_not_count() {
    let stage = stage();
    let order = format!("Add docs (#7)\n\nTagalong-Hold: {}\n", stage.image("app"));
    stage.origin.commit(&order, &[("README.md", "docs\n")]);
    moves(&stage);
}

#[test]
fn a_claim_to_know_all_holds_does_not_end_them() {
    let stage = stage();
    stage.tagalong(&["hold", &stage.image("app"), "--reason", "freeze", "--actor", "Bob"]).ok();
    let update =
        |from: &str, to: &str| format!("Tagalong-Update: {FILE} image {} {from} -> {to}\n", stage.image("app"));
    let claims = [
        (String::new(), vec![("README.md", "1\n")]),
        (String::new(), vec![]),
        (update("aaaaaa1", "bbbbbb2"), vec![("README.md", "2\n")]),
        (update("aaaaaa1", "bbbbbb2"), vec![]),
    ];
    for (update, files) in claims {
        let base = stage.origin.tip();
        stage.origin.commit(&format!("Docs (#8)\n\n{update}Tagalong-Base: {base}\n"), &files);
        assert!(is_held(&stage).contains("by Bob (freeze"), "{update:?} {files:?}");
    }
    // Not even with a true record, where a pull request brought the commit itself.
    let base = stage.origin.tip();
    let record = format!("Deploy\n\n{}Tagalong-Base: {base}\n", update("aaaaaa1", "0000000"));
    stage.origin.commit(&record, &[(FILE, &content(&stage, "0000000"))]);
    let theirs = stage.origin.tip();
    git(&stage.origin.path, &["update-ref", "refs/heads/main", &base]);
    stage.origin.commit("ours", &[("README.md", "3\n")]);
    let tree = git(&stage.origin.path, &["rev-parse", &format!("{base}^{{tree}}")]);
    let parents = ["-p", "main", "-p", &theirs];
    let merge = git(&stage.origin.path, &[&["commit-tree"], &parents[..], &["-m", "Merge", tree.trim()]].concat());
    git(&stage.origin.path, &["update-ref", "refs/heads/main", merge.trim()]);
    assert!(is_held(&stage).contains("by Bob (freeze"));
}

#[test]
fn a_record_of_something_else_than_the_change_holds_nothing_back() {
    let stage = stage();
    let record = format!("Docs (#9)\n\nTagalong-Update: {FILE} image {} aaaaaa1 -> bbbbbb2\n", stage.image("app"));
    stage.origin.commit(&record, &[("README.md", "docs\n")]);
    stage.origin.commit("Comment", &[(FILE, &format!("# an app\n{}", content(&stage, "aaaaaa1")))]);
    moves(&stage);
}

#[test]
fn who_undid_something_is_its_author_whatever_the_message_says() {
    let stage = stage();
    moves(&stage);
    let forged = "Tidy up\n\nTagalong-Actor: the boss\nTagalong-Reason: approved\n";
    stage.origin.commit(forged, &[(FILE, &content(&stage, "aaaaaa1"))]);
    let detail = is_held(&stage);
    assert!(detail.contains("by Ada (Tidy up") && !detail.contains("boss") && !detail.contains("approved"), "{detail}");
}

#[test]
fn a_squashed_proposal_still_counts() {
    let stage = stage();
    let base = stage.origin.tip();
    moves(&stage);
    let message = stage.origin.message();
    git(&stage.origin.path, &["update-ref", "refs/heads/main", &base]);
    stage.origin.commit("meanwhile", &[("README.md", "docs\n")]);
    let files = [(FILE, content(&stage, "bbbbbb2")), ("README.md", "more docs\n".to_owned())];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    stage.origin.commit(&format!("Deploy (#10)\n\n* {message}"), &files);
    stage.origin.commit("Revert", &[(FILE, &content(&stage, "aaaaaa1"))]);
    assert!(is_held(&stage).contains("by Ada (Revert"));
}
