//! `tagalong trust update`, with repositories that python-tuf made (`fixtures/tuf`).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::support::scripted::{Answer, Scripted};
use crate::support::tagalong::{Run, run};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tuf")
}

/// A server that has one of the repositories, or whatever else a function says.
pub struct Mirror {
    server: Scripted,
    repository: Arc<Mutex<String>>,
    home: tempfile::TempDir,
}

impl Mirror {
    pub fn start() -> Mirror {
        let repository: Arc<Mutex<String>> = Arc::default();
        let own = Arc::clone(&repository);
        let server = Scripted::start(move |asked| {
            let repository = own.lock().expect("unpoisoned").clone();
            let name = asked.target.strip_prefix("/some/where/").expect("below the address");
            answer(&repository, name)
        });
        Mirror { server, repository, home: tempfile::tempdir().expect("a folder") }
    }

    /// The file that is written.
    fn file(&self) -> PathBuf {
        self.home.path().join("trusted_root.json")
    }

    /// Runs the command while the server has a repository.
    pub fn update(&self, repository: &str, more: &[&str]) -> Run {
        repository.clone_into(&mut self.repository.lock().expect("unpoisoned"));
        let (file, root) = (self.file().display().to_string(), fixtures().join("1.root.json").display().to_string());
        let mirror = format!("http://{}/some/where", self.server.host());
        let mut arguments = vec!["trust", "update", "--file", &file, "--mirror", &mirror];
        if !more.contains(&"--root") {
            arguments.extend(["--root", &root]);
        }
        run(self.home.path(), &[&arguments, more].concat())
    }

    fn forget(&self) {
        let _ = fs::remove_dir_all(self.home.path().join(".cache"));
    }
}

fn answer(repository: &str, name: &str) -> Answer {
    match (repository, fs::read(fixtures().join(repository).join(name))) {
        ("down", _) => Some((503, Vec::new(), Vec::new())),
        ("endless", _) if name == "timestamp.json" => Some((200, Vec::new(), vec![b' '; 1 << 20])),
        (_, Ok(bytes)) => Some((200, Vec::new(), bytes)),
        (_, Err(_)) => Some((404, Vec::new(), Vec::new())),
    }
}

fn target(repository: &str) -> Vec<u8> {
    let folder = fs::read_dir(fixtures().join(repository).join("targets")).expect("a folder");
    let only = folder.map(|entry| entry.expect("an entry").path()).next().expect("a target");
    fs::read(only).expect("a target")
}

fn urls(updated: &Value, key: &str) -> Vec<(String, String)> {
    let text = |entry: &Value, key: &str| entry[key].as_str().expect("a text").to_owned();
    let entries = updated[key].as_array().expect("a list").iter();
    entries.map(|entry| (text(entry, "kind"), text(entry, "url"))).collect()
}

#[test]
fn the_trusted_root_is_replaced_by_a_newer_one_and_the_difference_shown() {
    let mirror = Mirror::start();
    let first = mirror.update("first", &["--output", "json"]).ok().json();
    assert_eq!(fs::read(mirror.file()).expect("written"), target("first"));
    let added = urls(&first, "added");
    assert!(added.contains(&("log".to_owned(), "https://rekor.sigstore.dev".to_owned())), "{added:?}");
    assert_eq!((&first["isChanged"], &first["rootVersion"]), (&true.into(), &1.into()));

    let again = mirror.update("first", &[]).ok();
    assert!(again.stdout.contains(" is up to date, confirmed until 2126-01-01T00:00:00Z"), "{again:#?}");
    let second = mirror.update("second", &["--output", "json"]).ok().json();
    assert_eq!(fs::read(mirror.file()).expect("written"), target("second"));
    assert_eq!((urls(&second, "added"), &second["rootVersion"]), (vec![], &2.into()));
    assert_eq!(urls(&second, "removed"), [("certificate-log".to_owned(), "https://ctfe.sigstore.dev/test".to_owned())]);
    assert_eq!(urls(&second, "limited"), [("log".to_owned(), "https://rekor.sigstore.dev".to_owned())]);
    fs::write(mirror.file(), target("first")).expect("written");
    let text = mirror.update("second", &[]).ok().stdout;
    assert!(text.contains("removed  certificate log https://ctfe.sigstore.dev/test (key "), "{text}");
    assert!(text.contains(", since 2021-01-12, until 2026-01-01)"), "{text}");
    assert!(text.ends_with(" was written: 2 changes, confirmed until 2126-01-01T00:00:00Z\n"), "{text}");

    // Whoever distributes older metadata than before is noticed, and what was there stays.
    let older = mirror.update("first", &[]).fails_with(3);
    assert!(older.stderr.contains("rollback detected for timestamp"), "{older:#?}");
    assert_eq!(fs::read(mirror.file()).expect("there"), target("second"));
}

#[test]
fn metadata_that_is_not_trusted_is_refused_and_the_file_stays() {
    let mirror = Mirror::start();
    fs::write(mirror.file(), "as it was").expect("written");
    for (repository, code, expected) in [
        ("expired", 3, "timestamp metadata expired at 2020-01-01"),
        ("forged", 3, "threshold not met for role timestamp: 0/1"),
        ("usurped", 3, "threshold not met for role root: 1/2"),
        ("swapped", 3, "integrity check failed"),
        ("nonsense", 3, "names neither a certificate authority nor a transparency log"),
        ("down", 5, "the response is 503"),
        ("nowhere", 5, "timestamp.json not found"),
        ("endless", 5, "larger than 16384 bytes"),
    ] {
        let refused = mirror.update(repository, &[]).fails_with(code);
        assert!(
            refused.stderr.contains(expected) && refused.stderr.contains("http://127.0.0.1"),
            "{repository}: {refused:#?}"
        );
        assert_eq!(fs::read_to_string(mirror.file()).expect("there"), "as it was", "{repository}");
        mirror.forget();
    }
    // The root of another instance vouches for nothing here.
    let file = mirror.file().display().to_string();
    let url = format!("http://{}/some/where", mirror.server.host());
    "first".clone_into(&mut mirror.repository.lock().expect("unpoisoned"));
    let other = run(mirror.home.path(), &["trust", "update", "--file", &file, "--mirror", &url]).fails_with(3);
    assert!(other.stderr.contains("threshold not met for role timestamp"), "{other:#?}");
    let invalid = mirror.update("first", &["--root", &file]).fails_with(2);
    assert!(invalid.stderr.contains("the root metadata to begin with is invalid"), "{invalid:#?}");
    let address = run(mirror.home.path(), &["trust", "update", "--mirror", "file:///srv/tuf"]).fails_with(2);
    assert!(address.stderr.contains("write an address such as"), "{address:#?}");
}
