//! Whatever kustomize renders as a Secret in plaintext is reported and keeps its image back; what it does not is left
//! alone. `fixtures/plaintext-secrets` has a folder for each way, with the verdict of the real kustomize, which is asked
//! again where it is installed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::support::git::Origin;
use crate::support::infra::Stage;
use crate::support::tagalong::run;
use crate::support::yaml;

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: app\nspec:\n  template:\n    spec:\n      containers:\n      - name: app\n        image: HOST/org/app:aaaaaa1\n";

/// A way to deploy a Secret, or something like it.
struct Case {
    name: String,
    /// The kustomization that is built. `generate` before it means that Flux generates one.
    build: String,
    /// True if kustomize renders a Secret in plaintext.
    is_plaintext: bool,
}

impl Case {
    fn folder(&self) -> PathBuf {
        fixtures().join(&self.name).join("tree")
    }

    /// Writes the files of the case, with an app that has an image of a registry.
    fn write(&self, to: &Path, host: &str) {
        copy(&self.folder(), to);
        let generated = to.join("deploy/app/deployment.yaml");
        let file = if generated.exists() { generated } else { to.join("app/deployment.yaml") };
        fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        fs::write(file, DEPLOYMENT.replace("HOST", host)).expect("written");
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/plaintext-secrets")
}

fn cases() -> Vec<Case> {
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.expect("a folder");
        let case = yaml::file(&entry.path().join("case.yaml"));
        let text = |key: &str| case[key].as_str().expect("text").to_owned();
        let is_plaintext = match text("renders").as_str() {
            "plaintext" => true,
            "nothing" => false,
            other => panic!("{}: {other}", entry.path().display()),
        };
        Case { name: entry.file_name().into_string().expect("UTF-8"), build: text("build"), is_plaintext }
    };
    let mut cases: Vec<Case> = fs::read_dir(fixtures()).expect("fixtures").map(read).collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(cases.len() > 150 && cases.iter().filter(|case| !case.is_plaintext).count() > 30, "{}", cases.len());
    cases
}

/// Copies a folder, with symbolic links as they are.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().expect("a type");
        if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(source).expect("a link"), target).expect("linked");
        } else if kind.is_dir() {
            copy(&source, &target);
        } else {
            fs::copy(source, target).expect("copied");
        }
    }
}

fn kustomize(folder: &Path, arguments: &[&str]) -> Option<String> {
    let program = std::env::var("TAGALONG_TEST_KUSTOMIZE").unwrap_or_else(|_| "kustomize".to_owned());
    let output = Command::new(program).current_dir(folder).args(arguments).output().ok()?;
    assert!(output.status.success(), "{}: {}", folder.display(), String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("UTF-8"))
}

/// Returns whether a rendered object is a Secret with the secret of the fixtures, as it is or in base64.
fn reveals(object: &str) -> bool {
    let has_line = |wanted: &str| object.lines().any(|line| line == wanted);
    let decoded = |word: &str| STANDARD.decode(word).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let mut words = object.split_whitespace();
    has_line("apiVersion: v1")
        && has_line("kind: Secret")
        && words.any(|word| word.contains("hunter2") || decoded(word).is_ok_and(|text| text.contains("hunter2")))
}

#[test]
fn the_real_kustomize_agrees_with_the_fixtures() {
    let folder = tempfile::tempdir().expect("a folder");
    if kustomize(folder.path(), &["version"]).is_none() {
        // It is in no package of Debian; the fixtures have its verdicts.
        return;
    }
    for case in cases() {
        let tree = folder.path().join(&case.name);
        case.write(&tree, "registry.example.com");
        let (build, generate) = match case.build.strip_prefix("generate ") {
            Some(build) => (build, true),
            None => (case.build.as_str(), false),
        };
        let target = tree.join(build);
        if generate {
            kustomize(&target, &["create", "--autodetect", "--recursive"]);
        }
        let rendered = kustomize(&target, &["build", "--load-restrictor", "LoadRestrictionsNone", "."]).expect("there");
        let found = rendered.split("\n---\n").any(reveals);
        assert_eq!(found, case.is_plaintext, "{}:\n{rendered}", case.name);
    }
}

/// The statuses that say that something is wrong, with their reasons, by case.
fn complaints(found: &Value) -> BTreeMap<String, Vec<String>> {
    let mut complaints: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in found["files"].as_array().expect("files") {
        let text = |key: &str| row[key].as_str().unwrap_or_default();
        if matches!(text("status"), "plaintext" | "unverified" | "failed") {
            let case = text("file").split('/').nth(1).expect("a case").to_owned();
            complaints.entry(case).or_default().push(format!(
                "{}: {}: {}",
                text("file"),
                text("status"),
                text("reason")
            ));
        }
    }
    complaints
}

/// Checks that there are complaints about exactly the cases in plaintext.
#[track_caller]
fn check(complaints: &BTreeMap<String, Vec<String>>) {
    let passed: Vec<String> = cases()
        .iter()
        .filter(|case| case.is_plaintext && !complaints.contains_key(&case.name))
        .map(|case| case.name.clone())
        .collect();
    let alarms: Vec<&Vec<String>> =
        cases().iter().filter(|case| !case.is_plaintext).filter_map(|case| complaints.get(&case.name)).collect();
    assert!(passed.is_empty() && alarms.is_empty(), "passed: {passed:#?}, false alarms: {alarms:#?}");
}

/// A tree with all cases.
fn tree(folder: &Path, host: &str) {
    cases().iter().for_each(|case| case.write(&folder.join("cases").join(&case.name), host));
}

#[test]
fn every_way_is_found_in_files_and_in_git() {
    let folder = tempfile::tempdir().expect("a folder");
    let work = folder.path().join("work");
    tree(&work, "registry.example.com");
    let dir = work.display().to_string();
    let in_files = run(folder.path(), &["secrets", "verify", "--dir", &dir, "--output", "json"]);
    assert!(!format!("{in_files:?}").contains("hunter2"), "a value was printed");
    assert_eq!(in_files.code, 3);
    check(&complaints(&in_files.json()));

    let origin = Origin::create(&folder.path().join("infra.git"), &[]);
    origin.commit_folder("all cases", &work);
    let url = origin.path.display().to_string();
    let in_git = run(folder.path(), &["secrets", "verify", "--git-url", &url, "--output", "json"]);
    assert_eq!(in_git.json(), in_files.json(), "{}", in_git.stderr);
}

#[test]
fn no_image_moves_along_with_a_secret_in_plaintext() {
    let stage = Stage::new(&[]);
    stage.registry.push("org/app", "aaaaaa1", "2026-04-01T10:00:00Z");
    stage.registry.push("org/app", "aaaaaa2", "2026-04-02T10:00:00Z");
    let work = stage.home().join("work");
    tree(&work, &stage.registry.host());
    stage.origin.commit_folder("all cases", &work);
    let config = stage.config().display().to_string();
    let synced = run(stage.home(), &["sync", "--output", "json", "--config", &config]);
    assert!(!format!("{synced:?}").contains("hunter2"), "a value was printed");
    let report = synced.json();
    let case = |row: &Value| row["file"].as_str().expect("a file").split('/').nth(1).expect("a case").to_owned();
    let moved: BTreeSet<String> = report["updates"].as_array().expect("updates").iter().map(case).collect();
    let wanted: BTreeSet<String> =
        cases().into_iter().filter(|case| !case.is_plaintext).map(|case| case.name).collect();
    assert_eq!(moved, wanted, "{:#}", report["skipped"]);
}
