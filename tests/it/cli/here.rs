//! The folder that a command runs in: its tagalong.yaml, and its checkout.

use std::path::Path;

use crate::support::git::git;
use crate::support::tagalong::{Run, command, complete};

const APP: &str = "image: ghcr.io/acme/app:1.0.0\n";

fn run_in(folder: &Path, home: &Path, arguments: &[&str]) -> Run {
    complete(command(home).current_dir(folder).args(arguments))
}

/// A checkout with one commit on a branch.
fn checkout(folder: &Path, branch: &str, files: &[(&str, &str)]) {
    git(folder, &["init", "--quiet", &format!("--initial-branch={branch}"), "."]);
    for (name, text) in files {
        let file = folder.join(name);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("created");
        std::fs::write(file, text).expect("written");
    }
    git(folder, &["add", "."]);
    git(folder, &["commit", "--quiet", "--message", "the first files"]);
}

#[test]
fn a_checkout_is_found_from_any_folder_in_it() {
    let (home, work) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    checkout(work.path(), "trunk", &[("apps/app.yaml", APP)]);
    for (folder, url) in [("", "."), ("apps", "."), ("apps", ".."), ("", "./apps")] {
        let run = run_in(&work.path().join(folder), home.path(), &["images", "--git-url", url, "--output", "json"]);
        assert_eq!(run.ok().json()[0]["file"], "apps/app.yaml", "{folder} {url}");
    }
    let run = run_in(home.path(), home.path(), &["images", "--git-url", "."]).fails_with(2);
    assert!(run.stderr.contains("--git-url: `.` is not in a git repository"), "{run:#?}");
}

#[test]
fn the_configuration_of_the_folder_is_read() {
    let (home, work) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let policy = "policies:\n- { images: ['ghcr.io/acme/*'], tags: { semver: '*' } }\n";
    checkout(work.path(), "main", &[("app.yaml", APP)]);
    let images = |arguments: &[&str]| {
        run_in(work.path(), home.path(), &[&["images", "--output", "json", "--git-url", "."], arguments].concat())
    };
    assert!(images(&[]).ok().json()[0]["policy"].is_null());
    std::fs::write(work.path().join("tagalong.yaml"), policy).expect("written");
    assert_eq!(images(&[]).ok().json()[0]["policy"], "ghcr.io/acme/*");
    let other = home.path().join("other.yaml");
    std::fs::write(&other, "").expect("written");
    let named = images(&["--config", &other.display().to_string()]);
    assert!(named.ok().json()[0]["policy"].is_null(), "a named file counts, and no other");
    std::fs::write(work.path().join("tagalong.yaml"), "policy: []\n").expect("written");
    assert!(images(&[]).fails_with(2).stderr.contains("tagalong.yaml:1:1: policy: unknown key"));
}

#[test]
fn the_file_that_is_read_may_be_committed_with_its_connections() {
    let (home, work) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let config = "git: { author: { name: A, email: a@example.com } }\npolicies:\n- { images: ['ghcr.io/acme/*'], tags: { semver: '*' } }\n";
    checkout(work.path(), "main", &[("app.yaml", APP), ("tagalong.yaml", config)]);
    for place in [["--git-url", "."], ["--dir", "."]] {
        let arguments = [&["images", "--output", "json"][..], &place].concat();
        assert_eq!(
            run_in(work.path(), home.path(), &arguments).ok().json()[0]["policy"],
            "ghcr.io/acme/*",
            "{place:?}"
        );
    }
    std::fs::write(home.path().join("other.yaml"), "").expect("written");
    let other = home.path().join("other.yaml").display().to_string();
    let run = run_in(work.path(), home.path(), &["images", "--git-url", ".", "--config", &other]).fails_with(2);
    assert!(run.stderr.contains("connections and credentials belong in the agent's own file"), "{run:#?}");
}
