//! Earlier contents of a file are read from history, and history that is missing in the clone is fetched.

use std::path::Path;
use std::time::Duration;

use tagalong::repo::clone::{BareClone, CommitId};
use tagalong::repo::config::{Config, Https, Person, Ssh};
use tagalong::repo::fetch::Deepened;
use tagalong::repo::history::{Change, Logged};
use tagalong::repo::tree::{BlobId, Content};

use crate::support::git::{Origin, Sshd, git};

fn open(cache: &Path, sshd: &Sshd, origin: &Origin, depth: u32) -> (BareClone, CommitId) {
    let person = Person { name: "bot".to_owned(), email: "bot@example.com".to_owned() };
    let config = Config {
        url: sshd.url(origin).parse().expect("a URL"),
        branch: "main".parse().expect("a branch"),
        push_branch: None,
        push_options: Vec::new(),
        cache_dir: cache.to_owned(),
        depth,
        history_limit: 0,
        timeout: Duration::from_secs(20),
        ssh: Ssh { key_file: Some(sshd.key()), known_hosts_file: sshd.known_hosts(), ..Ssh::default() },
        https: Https::default(),
        author: person.clone(),
        committer: person,
        signing: None,
        trust: Default::default(),
        metrics: Default::default(),
    };
    BareClone::open(config).expect("a clone").fetch().expect("fetched")
}

/// The commits that changed `app.yaml`, and whether the walk ended at the boundary of the clone.
fn walk(clone: &BareClone, tip: CommitId) -> (Vec<(Logged, Change)>, bool) {
    let mut path = "app.yaml".to_owned();
    let mut changes = Vec::new();
    for logged in clone.history(tip).expect("a walk").flat_map(|group| group.expect("commits")) {
        if logged.is_cut {
            return (changes, true);
        }
        if let Some(change) = clone.change(logged.id, &path).expect("a look") {
            path = change.before.as_ref().map_or(path, |(before, _)| before.clone());
            changes.push((logged, change));
        }
    }
    (changes, false)
}

fn subjects(changes: &[(Logged, Change)]) -> Vec<&str> {
    changes.iter().map(|(logged, _)| logged.message.trim()).collect()
}

fn text(clone: &BareClone, blob: Option<BlobId>) -> Option<String> {
    let read = |_: usize, content: Content<'_>| match content {
        Content::Bytes(bytes) => String::from_utf8(bytes.to_vec()).expect("text"),
        Content::TooLarge(size) => panic!("{size} bytes"),
    };
    blob.map(|id| clone.read_blobs(&[id], read).expect("a blob").remove(0))
}

#[test]
fn every_change_of_a_file_is_found_and_missing_history_is_fetched() {
    let folder = tempfile::tempdir().expect("a folder");
    let origin = Origin::create(&folder.path().join("infra.git"), &[("other.yaml", "x\n")]);
    for n in 0..30 {
        origin.commit(&format!("app {n}"), &[("app.yaml", &format!("{n}\n"))]);
        origin.commit(&format!("other {n}"), &[("other.yaml", &format!("{n}\n"))]);
    }
    let sshd = Sshd::start(&folder.path().join("sshd"));
    let (mut clone, tip) = open(&folder.path().join("cache"), &sshd, &origin, 10);

    let (some, is_cut) = walk(&clone, tip);
    assert!(is_cut);
    // Five of ten commits change the file; the last of the ten is where history is cut off.
    assert_eq!(subjects(&some), ["app 29", "app 28", "app 27", "app 26"]);

    assert_eq!(clone.deepen().expect("deepened"), Deepened::More);
    let (all, is_cut) = walk(&clone, tip);
    assert!(!is_cut);
    assert_eq!(all.len(), 30);
    for (n, (logged, change)) in (0..30).rev().zip(&all) {
        assert_eq!(logged.message.trim(), format!("app {n}"));
        assert_eq!(text(&clone, change.after), Some(format!("{n}\n")));
        let before = change.before.as_ref().map(|(_, blob)| *blob);
        assert_eq!(text(&clone, before), (n > 0).then(|| format!("{}\n", n - 1)));
    }
    assert_eq!(clone.deepen().expect("asked"), Deepened::NoMore);

    // And the clone can still be used.
    origin.commit("app 30", &[("app.yaml", "30\n")]);
    let (clone, tip) = clone.fetch().expect("fetched");
    assert_eq!(walk(&clone, tip).0.len(), 31);
}

#[test]
fn a_change_that_a_merge_brought_in_is_found_where_it_was_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let origin = Origin::create(&folder.path().join("infra.git"), &[("app.yaml", "1\n"), ("other.yaml", "1\n")]);
    let work = folder.path().join("work");
    git(folder.path(), &["clone", "--quiet", "infra.git", "work"]);
    let commit = |file: &str, content: &str, message: &str| {
        std::fs::write(work.join(file), content).expect("written");
        git(&work, &["add", "."]);
        git(&work, &["commit", "--quiet", "-m", message]);
    };
    git(&work, &["checkout", "--quiet", "-b", "side"]);
    commit("app.yaml", "2\n", "on the side");
    git(&work, &["checkout", "--quiet", "main"]);
    commit("other.yaml", "2\n", "meanwhile");
    git(&work, &["merge", "--quiet", "--no-edit", "--no-ff", "side"]);
    git(&work, &["rm", "--quiet", "app.yaml"]);
    git(&work, &["commit", "--quiet", "-m", "away"]);
    git(&work, &["push", "--quiet", "origin", "main"]);
    let sshd = Sshd::start(&folder.path().join("sshd"));
    let (clone, tip) = open(&folder.path().join("cache"), &sshd, &origin, 0);
    let (changes, is_cut) = walk(&clone, tip);
    assert_eq!((subjects(&changes), is_cut), (vec!["away", "on the side", "the first files"], false));
    assert_eq!(changes[0].1.after, None);
}

#[test]
fn a_moved_file_is_followed_to_its_old_path() {
    let folder = tempfile::tempdir().expect("a folder");
    let origin = Origin::create(&folder.path().join("infra.git"), &[("apps/old/app.yaml", "1\n2\n3\n4\n")]);
    origin.commit("edited", &[("apps/old/app.yaml", "1\n2\n3\n5\n")]);
    let work = folder.path().join("work");
    git(folder.path(), &["clone", "--quiet", "infra.git", "work"]);
    git(&work, &["mv", "apps/old/app.yaml", "app.yaml"]);
    std::fs::write(work.join("app.yaml"), "1\n2\n3\n6\n").expect("written");
    git(&work, &["commit", "--quiet", "-a", "-m", "moved and edited"]);
    git(&work, &["push", "--quiet", "origin", "main"]);
    let sshd = Sshd::start(&folder.path().join("sshd"));
    let (clone, tip) = open(&folder.path().join("cache"), &sshd, &origin, 0);
    let (changes, _) = walk(&clone, tip);
    assert_eq!(subjects(&changes), ["moved and edited", "edited", "the first files"]);
    assert_eq!(changes[0].1.before.as_ref().map(|(path, _)| path.as_str()), Some("apps/old/app.yaml"));
}

#[test]
fn parents_are_reported_even_if_they_are_not_in_the_clone() {
    let folder = tempfile::tempdir().expect("a folder");
    let origin = Origin::create(&folder.path().join("infra.git"), &[("app.yaml", "x\n")]);
    let parent = origin.tip();
    origin.commit("next", &[("app.yaml", "y\n")]);
    let sshd = Sshd::start(&folder.path().join("sshd"));
    let (clone, tip) = open(&folder.path().join("cache"), &sshd, &origin, 1);
    let all: Vec<Logged> = clone.history(tip).expect("a walk").flat_map(|group| group.expect("one")).collect();
    let [only] = all.as_slice() else { panic!("{all:?}") };
    assert!(only.is_cut);
    assert_eq!(only.parents.iter().map(ToString::to_string).collect::<Vec<_>>(), [parent]);
}
