//! What a file held before is read from history, and history that is not here is brought over.

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use support::git::{Origin, Sshd, git};
use tagalong::repo::clone::{BareClone, CommitId};
use tagalong::repo::config::{Config, Https, Person, Ssh};
use tagalong::repo::history::{Revision, Step};

fn open(cache: &Path, sshd: &Sshd, origin: &Origin, depth: u32) -> (BareClone, CommitId) {
    let person = Person { name: "bot".to_owned(), email: "bot@example.com".to_owned() };
    let config = Config {
        url: sshd.url(origin).parse().expect("a URL"),
        branch: "main".parse().expect("a branch"),
        cache_dir: cache.to_owned(),
        depth,
        timeout: Duration::from_secs(20),
        ssh: Ssh { key_file: Some(sshd.key()), known_hosts_file: sshd.known_hosts(), ..Ssh::default() },
        https: Https::default(),
        author: person.clone(),
        committer: person,
        signing: None,
    };
    BareClone::open(config).expect("a clone").fetch().expect("fetched")
}

/// The revisions of `app.yaml`, and whether the walk ended for want of more.
fn walk(clone: &BareClone, tip: CommitId) -> (Vec<Revision>, bool) {
    let paths = BTreeSet::from(["app.yaml".to_owned()]);
    let steps: Vec<Step> = clone.history(tip, &paths).expect("a walk").map(|step| step.expect("a step")).collect();
    let is_cut = steps.iter().any(|step| matches!(step, Step::Cut(_)));
    let revisions = steps.into_iter().filter_map(|step| match step {
        Step::Revision(revision) => Some(revision),
        Step::Cut(_) => None,
    });
    (revisions.collect(), is_cut)
}

fn text(clone: &BareClone, blob: Option<tagalong::repo::tree::BlobId>) -> Option<String> {
    let read = |_: usize, bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    blob.map(|id| clone.read_blobs(&[id], read).expect("a blob").remove(0))
}

#[test]
fn every_change_of_a_file_is_found_and_missing_history_is_brought_over() {
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
    // Of ten commits five are about the file; the last of the ten is where history is cut off.
    let subjects: Vec<&str> = some.iter().map(|revision| revision.message.trim()).collect();
    assert_eq!(subjects, ["app 29", "app 28", "app 27", "app 26"]);

    assert!(clone.deepen().expect("deepened"));
    let (all, is_cut) = walk(&clone, tip);
    assert!(!is_cut);
    assert_eq!(all.len(), 30);
    for (n, revision) in (0..30).rev().zip(&all) {
        assert_eq!(revision.message.trim(), format!("app {n}"));
        let [change] = revision.changes.as_slice() else { panic!("{revision:?}") };
        assert_eq!(text(&clone, change.after), Some(format!("{n}\n")));
        assert_eq!(text(&clone, change.before), (n > 0).then(|| format!("{}\n", n - 1)));
    }
    assert!(!clone.deepen().expect("asked"), "there is no more");

    // And the clone goes on from there.
    origin.commit("app 30", &[("app.yaml", "30\n")]);
    let (clone, tip) = clone.fetch().expect("fetched");
    assert_eq!(walk(&clone, tip).0.len(), 31);
}

#[test]
fn what_a_merge_took_over_is_told_where_it_was_changed() {
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
    let (revisions, is_cut) = walk(&clone, tip);
    let subjects: Vec<&str> = revisions.iter().map(|revision| revision.message.trim()).collect();
    assert_eq!((subjects, is_cut), (vec!["away", "on the side", "the first files"], false));
    assert_eq!(revisions[0].changes[0].after, None);
}
