//! The house stands in layers: a module imports only from layers below its own. Proved from the source text.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Every top-level module and its layer.
const LAYERS: [(&str, u8); 23] = [
    ("fault", 0),
    ("image", 0),
    ("path", 0),
    ("platform", 0),
    ("secret", 0),
    ("manifest", 1),
    ("plan", 1),
    ("policy", 1),
    ("sops", 1),
    ("yaml", 1),
    ("cluster", 2),
    ("forge", 2),
    ("http", 2),
    ("keys", 2),
    ("notify", 2),
    ("registry", 2),
    ("repo", 2),
    ("cycle", 3),
    ("agent", 4),
    ("cli", 4),
    ("config", 4),
    ("demo", 4),
    ("telemetry", 4),
];

/// Who may import whom within a layer.
const SIBLINGS: [(&str, &str); 17] = [
    ("manifest", "yaml"),
    ("sops", "yaml"),
    ("plan", "manifest"),
    ("plan", "policy"),
    ("plan", "sops"),
    ("plan", "yaml"),
    ("registry", "http"),
    ("repo", "http"),
    ("notify", "http"),
    ("forge", "http"),
    ("cluster", "http"),
    ("config", "agent"),
    ("cli", "agent"),
    ("cli", "config"),
    ("cli", "demo"),
    ("cli", "telemetry"),
    ("demo", "config"),
];

/// What pure code may not touch: runtimes, the network, files, the environment, the clock.
const IMPURE: [&str; 9] = [
    "tokio",
    "reqwest",
    "git2",
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "std::time::Instant",
    "std::time::SystemTime",
];

#[test]
fn imports_run_downward() {
    let mut offences = Vec::new();
    for (path, text) in sources() {
        offences.extend(offences_of(&path, &text));
    }
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

#[test]
fn folders_say_what_they_hold() {
    for (path, text) in sources() {
        assert!(text.starts_with("//! "), "{path}: the first line says what it is for");
        let Some(folder) = path.strip_suffix("/mod.rs") else { continue };
        for name in children(folder) {
            let mentions = [format!("[`{name}`]"), format!("`{name}`")];
            let header: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
            let header = header.join("\n");
            assert!(mentions.iter().any(|m| header.contains(m)), "{path}: the header does not list {name}");
            assert!(text.contains(&format!("mod {name};")), "{path}: {name} is not part of the crate");
        }
    }
}

#[test]
fn the_checker_can_fail() {
    let offends = |path: &str, text: &str| !offences_of(path, text).is_empty();
    assert!(offends("plan/decide.rs", "use crate::registry::client::Client;"));
    assert!(offends("plan/decide.rs", "fn f() { crate::repo::push::x() }"));
    assert!(offends("yaml/scan.rs", "use crate::{image::Tag, manifest::find};"));
    assert!(offends("yaml/scan.rs", "use super::super::manifest::find;"));
    assert!(offends("policy/rule.rs", "use std::fs;"));
    assert!(offends("policy/rule.rs", "let now = std::time::Instant::now();"));
    assert!(offends("attic/x.rs", "// nothing"));
    assert!(offends("cli/run.rs", "pub use crate::fault::Fault;"));
    assert!(!offends("plan/decide.rs", "use crate::{image::Tag, manifest::find, policy::rule};"));
    assert!(!offends("plan/decide.rs", "// crate::registry is not imported\nlet text = \"crate::registry\";"));
    assert!(!offends("plan/decide.rs", "use super::skip::Reason;"));
    assert!(!offends("policy/rule.rs", "#[cfg(test)]\nmod tests { use std::fs; }"));
}

/// All sources below `src`, by their path from there.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut open = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).expect("below src").display().to_string();
                found.push((name, fs::read_to_string(&path).expect("text")));
            }
        }
    }
    found.sort();
    found
}

/// The modules in a folder of `src`.
fn children(folder: &str) -> BTreeSet<String> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder);
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let stems = entries.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()));
    stems.filter(|stem| stem != "mod").collect()
}

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

fn offences_of(path: &str, text: &str) -> Vec<String> {
    if matches!(path, "lib.rs" | "main.rs") {
        return Vec::new();
    }
    let module = path.split(['/', '.']).next().unwrap_or_default();
    let Some(own) = layer(module) else { return vec![format!("{path}: {module} stands in no layer")] };
    let mut offences = Vec::new();
    let code = code_of(text);
    for (number, line) in code.lines().enumerate() {
        let at = format!("{path}:{}", number + 1);
        if line.trim_start().starts_with("pub use ") {
            offences.push(format!("{at}: re-exports hide who depends on whom"));
        }
        if own == 1 {
            let impure = IMPURE
                .iter()
                .find(|name| line.contains(&format!("{name}::")) || line.contains(&format!("use {name};")));
            offences.extend(impure.map(|name| format!("{at}: pure code uses {name}")));
        }
    }
    for (number, imported) in imports(&code) {
        let at = format!("{path}:{number}");
        match layer(&imported) {
            _ if imported == module => {}
            None => offences.push(format!("{at}: {imported} stands in no layer")),
            Some(other) if other < own => {}
            Some(other) if other == own && SIBLINGS.contains(&(module, imported.as_str())) => {}
            Some(0) if own == 0 && imported == "fault" => {}
            Some(_) => offences.push(format!("{at}: {module} imports {imported}, which is not below it")),
        }
    }
    offences
}

/// The source without comments, strings and test modules; lines keep their numbers.
fn code_of(text: &str) -> String {
    let body = text.split("#[cfg(test)]").next().unwrap_or_default();
    let mut code = String::new();
    for line in body.lines() {
        let mut in_string = false;
        let mut previous = ' ';
        let mut kept = String::new();
        for c in line.chars() {
            if !in_string && c == '/' && previous == '/' {
                kept.pop();
                break;
            }
            if c == '"' && previous != '\\' && previous != '\'' {
                in_string = !in_string;
            } else if !in_string {
                kept.push(c);
            }
            previous = if previous == '\\' && c == '\\' { ' ' } else { c };
        }
        code.push_str(&kept);
        code.push('\n');
    }
    code
}

/// The top-level modules that code names, with the lines where it does.
fn imports(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for marker in ["crate::", "super::super::"] {
        for (at, _) in code.match_indices(marker) {
            let line = code[..at].matches('\n').count() + 1;
            let rest = &code[at + marker.len()..];
            let name = |text: &str| {
                text.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default().to_owned()
            };
            match rest.strip_prefix('{') {
                Some(group) => found.extend(first_names(group).into_iter().map(|text| (line, name(&text)))),
                None => found.push((line, name(rest))),
            }
        }
    }
    found
}

/// The first names of a group `a::b, c::{d, e}}`.
fn first_names(group: &str) -> Vec<String> {
    let mut depth = 1;
    let mut names = vec![String::new()];
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => names.push(String::new()),
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if let Some(last) = names.last_mut().filter(|_| c != ',') {
            last.push(c);
        }
    }
    names.into_iter().filter(|name| !name.trim().is_empty()).collect()
}
