//! The JSON output of every command is as its schema in `docs/schemas` describes it.

use std::collections::BTreeSet;
use std::fs;

use crate::stages::scene::Scene;
use crate::support::schemas;
use crate::support::sops::Sops;
use crate::support::tagalong::{Run, run};
use crate::trust::update::Mirror;

const STAGES: &str = "stages:\n- { name: beta, paths: ['beta/**'] }\n\
    - { name: live, paths: ['live/**'], from: beta, soak: 1h, windows: [market], approval: { by: signature } }\n\
    windows:\n- name: market\n  timeZone: America/New_York\n  closed: [{ days: mon-fri, from: '09:30', to: '16:00' }]\n";

/// Notes which schema the output of a run was held against.
fn note(proved: &mut BTreeSet<String>, arguments: &[&str], run: &Run) {
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    proved.insert(schemas::check(&arguments, &run.stdout).unwrap_or_else(|| panic!("{arguments:?} printed {run:#?}")));
}

#[test]
fn every_schema_is_proved_by_an_output() {
    let mut proved = BTreeSet::new();
    let mut scene = Scene::new(STAGES);
    scene.stage.registry.push("org/app", "aaaaaa2", "2026-04-02T10:00:00Z");
    scene.set_clock(0, "10:00");
    let image = scene.stage.image("app");
    let version = format!("{image}:aaaaaa2");
    for arguments in [
        &["sync", "-o", "json"][..],
        &["images", "-o", "json"],
        &["images", "verify", "-o", "json"],
        &["status", "-o", "json"],
        &["status", &image, "-o", "json"],
        &["explain", &image, "-o", "json"],
        &["stages", "-o", "json"],
        &["history", "-o", "json"],
        &["audit", "-o", "json"],
        &["windows", "--next", "2", "-o", "json"],
        &["check", "-o", "json"],
        &["hold", &version, "--reason", "it leaks", "-o", "json"],
        &["secrets", "verify", "-o", "json"],
    ] {
        let run = scene.run(arguments);
        note(&mut proved, arguments, &run);
    }

    let (sops, home) = (Sops::new(), tempfile::tempdir().expect("a folder"));
    let at = |name: &str| home.path().join(name);
    fs::create_dir_all(at("infra")).expect("a folder");
    fs::write(at("keys.txt"), &sops.identity).expect("written");
    fs::write(at("config.json"), r#"{ "auths": { "ghcr.io": { "auth": "bWU6b3Blbi1zZXNhbWU=" } } }"#).expect("written");
    let rules = format!("creation_rules:\n- age: {}\n", sops.recipient);
    fs::write(at("infra/.sops.yaml"), rules).expect("written");
    let (infra, key, config) = (at("infra"), at("keys.txt"), at("config.json"));
    let (infra, key, config) =
        (infra.to_str().expect("text"), key.to_str().expect("text"), config.to_str().expect("text"));
    let credential = ["secrets", "pull-secret", "--registry", "ghcr.io", "--name", "ghcr", "--namespace", "shop"];
    let written = ["--docker-config", config, "--file", "ghcr.yaml", "--dir", infra, "-o", "json"];
    for arguments in [
        &[&credential[..], &written].concat()[..],
        &["secrets", "verify", "--dir", infra, "--age-key-file", key, "-o", "json"],
        &["secrets", "rotate", "--dir", infra, "--age-key-file", key, "-o", "json"],
        &["init", "--git-url", &scene.stage.origin.path.display().to_string(), "--offline", "--dry-run", "-o", "json"],
    ] {
        note(&mut proved, arguments, &run(home.path(), arguments).ok());
    }
    let arguments = ["trust", "update", "-o", "json"];
    note(&mut proved, &arguments, &Mirror::start().update("first", &arguments[2..]).ok());
    assert_eq!(proved, schemas::names());
}
