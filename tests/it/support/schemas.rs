//! The schemas of JSON output in `docs/schemas`, held against everything that the program prints in tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

/// The folder of the schemas.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas")
}

/// The schemas by the names of their files.
static ALL: LazyLock<BTreeMap<String, Validator>> = LazyLock::new(|| {
    let files = fs::read_dir(folder()).expect("a folder").map(|entry| entry.expect("an entry").path());
    let files = files.filter(|file| file.extension().is_some_and(|extension| extension == "json"));
    let schema = |file: PathBuf| {
        let text = fs::read_to_string(&file).expect("text");
        let schema: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let validator =
            jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        (file.file_stem().expect("a name").to_str().expect("text").to_owned(), validator)
    };
    files.map(schema).collect()
});

/// The names of all schemas.
pub fn names() -> BTreeSet<String> {
    ALL.keys().cloned().collect()
}

/// Returns the name of the schema for the output of a command, such as `["secrets", "verify"]`. What follows the command
/// makes no difference.
pub fn of<S: AsRef<str>>(command: &[S]) -> Option<String> {
    let word = |index: usize| command.get(index).map_or("", AsRef::as_ref);
    let name = match (word(0), word(1)) {
        ("secrets", inner) => format!("secrets-{inner}"),
        ("trust", inner) => format!("trust-{inner}"),
        ("images", "verify") => "images-verify".to_owned(),
        ("sync" | "set" | "rollback" | "hold" | "resume", _)
        | ("approve" | "disapprove" | "acknowledge" | "promote", _) => "report".to_owned(),
        (name, _) => name.to_owned(),
    };
    ALL.contains_key(&name).then_some(name)
}

/// Panics unless the output of a command, if it is JSON, is what its schema describes. Returns the schema's name.
#[track_caller]
pub fn check(arguments: &[String], stdout: &str) -> Option<String> {
    let is_json =
        |pair: &[String]| matches!(pair, [flag, value] if (flag == "--output" || flag == "-o") && value == "json");
    if stdout.is_empty() || !arguments.windows(2).any(is_json) {
        return None;
    }
    let name = of(arguments).unwrap_or_else(|| panic!("there is no schema for {arguments:?}"));
    let value: Value = serde_json::from_str(stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"));
    let errors: Vec<String> =
        ALL[&name].iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "docs/schemas/{name}.json does not describe this: {errors:#?}\n{value:#}");
    Some(name)
}
