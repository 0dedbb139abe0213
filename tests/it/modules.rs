//! Every file of the test crates is compiled. The compiler ignores a file without a `mod` line, so its tests would seem
//! to pass without ever running.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The sources below a folder that are not reachable from its `main.rs`, as relative paths.
fn forgotten(root: &Path) -> Vec<String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![(root.join("main.rs"), root.to_owned())];
    while let Some((file, children)) = open.pop() {
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for name in text.lines().filter_map(module) {
            let folder = children.join(name);
            let beside = children.join(format!("{name}.rs"));
            let found = [beside, folder.join("mod.rs")].into_iter().find(|file| file.is_file());
            open.extend(found.map(|file| (file, folder)));
        }
        reached.insert(file);
    }
    let sources = sources(root);
    sources.difference(&reached).map(|file| file.strip_prefix(root).expect("below it").display().to_string()).collect()
}

/// The module in another file that a line declares.
fn module(line: &str) -> Option<&str> {
    let rest = line.trim_start();
    let rest = rest.strip_prefix("pub ").unwrap_or(rest);
    rest.strip_prefix("mod ")?.strip_suffix(';')
}

/// All Rust files below a folder.
fn sources(root: &Path) -> BTreeSet<PathBuf> {
    let files = walkdir::WalkDir::new(root).into_iter().map(|entry| entry.expect("readable").into_path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

#[test]
fn no_file_is_forgotten() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    for name in ["it", "soak"] {
        assert_eq!(forgotten(&tests.join(name)), [""; 0], "no `mod` line leads to these files of tests/{name}");
    }
}

#[test]
fn a_forgotten_file_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        fs::write(file, text).expect("written");
    };
    write("main.rs", "mod git;\npub mod holds;\n// mod forgotten;\n");
    write("holds.rs", "");
    write("git/mod.rs", "mod auth;\n");
    write("git/auth.rs", "mod keys;\n");
    write("git/auth/keys.rs", "");
    assert_eq!(forgotten(folder.path()), [""; 0]);
    write("forgotten.rs", "");
    write("git/races.rs", "");
    assert_eq!(forgotten(folder.path()), ["forgotten.rs", "git/races.rs"]);
}

#[test]
fn there_is_one_crate_for_each_purpose() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let entries = fs::read_dir(tests).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let names: BTreeSet<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    let expected = ["fuzz.rs", "it", "layers.rs", "soak"].map(str::to_owned);
    assert_eq!(names, BTreeSet::from(expected), "each crate is linked with everything again; add a module to tests/it");
}
