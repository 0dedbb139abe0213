//! `set --dir` changes what it was asked to change and not a byte more.
//!
//! Each folder in `fixtures/edits` has `before`, `after` and `case.yaml` with `set` (the references) and optionally
//! `flags` and `exit`. Without `after`, nothing may change.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use serde::Deserialize;

use crate::support::tagalong::run;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    set: Vec<String>,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    exit: i32,
    /// Text that stderr must contain.
    #[serde(default)]
    says: Option<String>,
}

#[test]
fn every_fixture_matches() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/edits");
    let mut cases: Vec<_> =
        fs::read_dir(&root).expect("fixtures").map(|entry| entry.expect("an entry").path()).collect();
    cases.sort();
    assert!(cases.len() >= 60, "{} cases", cases.len());
    let wrong: Vec<String> = cases.iter().filter_map(|case| check(case).err()).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn links_are_not_followed_and_modes_are_kept() {
    let work = tempfile::tempdir().expect("a folder");
    let at = |name: &str| work.path().join(name);
    let text = "image: acme/app:v1\n";
    fs::create_dir_all(at("infra")).expect("a folder");
    for file in ["infra/app.yaml", "outside.yaml"] {
        fs::write(at(file), text).expect("written");
    }
    fs::set_permissions(at("infra/app.yaml"), fs::Permissions::from_mode(0o750)).expect("a mode");
    symlink("../outside.yaml", at("infra/link.yaml")).expect("a link");
    symlink("..", at("infra/folder")).expect("a link");
    let dir = at("infra").display().to_string();
    run(work.path(), &["set", "acme/app:v2", "--dir", &dir]).ok();
    assert_eq!(fs::read_to_string(at("infra/app.yaml")).expect("read"), "image: acme/app:v2\n");
    assert_eq!(fs::read_to_string(at("outside.yaml")).expect("read"), text);
    let mode = fs::metadata(at("infra/app.yaml")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o750);
    assert!(fs::symlink_metadata(at("infra/link.yaml")).expect("there").is_symlink());
}

fn check(folder: &Path) -> Result<(), String> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text = fs::read_to_string(folder.join("case.yaml")).map_err(|error| format!("{name}: {error}"))?;
    let case: Case = serde_saphyr::from_str(&text).map_err(|error| format!("{name}: {error}"))?;
    let before = files(&folder.join("before"));
    let expected = if folder.join("after").exists() { files(&folder.join("after")) } else { before.clone() };
    let work = tempfile::tempdir().expect("a folder");
    for (file, bytes) in &before {
        let target = work.path().join(file);
        fs::create_dir_all(target.parent().expect("a parent")).expect("a folder");
        fs::write(target, bytes).expect("written");
    }
    let dir = work.path().display().to_string();
    let mut arguments = vec!["set", "--dir", &dir];
    arguments.extend(case.set.iter().chain(&case.flags).map(String::as_str));
    // Twice: a field that already has the reference is left alone.
    for round in ["first", "second"] {
        let run = run(work.path(), &arguments);
        if run.code != case.exit {
            return Err(format!("{name}: {round} run: exit {} instead of {}: {}", run.code, case.exit, run.stderr));
        }
        if let Some(words) = case.says.as_ref().filter(|words| !run.stderr.contains(words.as_str())) {
            return Err(format!("{name}: {round} run does not say `{words}`: {}", run.stderr));
        }
        let after = files(work.path());
        for (file, bytes) in &expected {
            let actual = after.get(file).cloned().unwrap_or_default();
            if actual != *bytes {
                let shown = String::from_utf8_lossy(&actual).into_owned();
                return Err(format!("{name}: {round} run: {file} came out as\n{shown}"));
            }
        }
        if after.len() != expected.len() {
            return Err(format!("{name}: {round} run: {} files instead of {}", after.len(), expected.len()));
        }
    }
    Ok(())
}

fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(root).expect("below").display().to_string();
                found.insert(name, fs::read(&path).expect("bytes"));
            }
        }
    }
    found
}
