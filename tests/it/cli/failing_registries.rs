//! If a registry could not be queried, the exit code says so, and the message says why.

use std::path::PathBuf;

use crate::support::infra::Stage;
use crate::support::registry::Kind;
use crate::support::tagalong::run;

/// A port at which nothing listens.
const NOBODY: &str = "127.0.0.1:9";

/// A stage with more images on a host that is down than requests it takes to consider it down.
fn stage() -> (Stage, PathBuf) {
    let lost: String = (0..9).map(|n| format!("image: {NOBODY}/org/app{n}:aaaaaa1\n---\n")).collect();
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n"), ("lost.yaml", &lost)]);
    stage.registry.push("org/app", "aaaaaa1", "2026-04-01T10:00:00Z");
    let text = std::fs::read_to_string(stage.config()).expect("there");
    let more = format!(
        "- {{ host: '{NOBODY}', plainHttp: true }}\npolicies:\n- images: ['{NOBODY}/org/*']\n  tags: {{ sha: {{ order: built }} }}\n"
    );
    let file = stage.home().join("lost.yaml");
    std::fs::write(&file, text.replacen("policies:\n", &more, 1)).expect("written");
    (stage, file)
}

#[test]
fn the_exit_code_is_5_and_every_image_has_the_cause() {
    let (stage, config) = stage();
    let config = config.display().to_string();
    let all = run(stage.home(), &["status", "-o", "json", "--config", &config]);
    assert_eq!(all.code, 5, "{all:#?}");
    let all = all.json();
    let lost: Vec<_> =
        all.as_array().expect("a list").iter().filter(|image| image["state"] == "registry-error").collect();
    assert_eq!(lost.len(), 9, "{all:#}");
    for image in lost {
        let detail = image["reasons"][0]["detail"].as_str().expect("text");
        assert!(detail.contains("Connection refused"), "{detail}");
    }
    let explain = |image: &str| run(stage.home(), &["explain", image, "--config", &config]);
    let lost = explain(&format!("{NOBODY}/org/app3"));
    assert!(lost.code == 5 && lost.stdout.contains("Connection refused"), "{lost:#?}");
    explain(&stage.image("app")).ok();
    run(stage.home(), &["status", &stage.image("app"), "--config", &config]).ok();
    assert_eq!(run(stage.home(), &["sync", "--config", &config]).code, 5);
}

#[test]
fn plain_http_is_suggested_where_it_is_that() {
    let (stage, _) = stage();
    let text = std::fs::read_to_string(stage.config()).expect("there").replace(", plainHttp: true", "");
    let file = stage.home().join("tls.yaml");
    std::fs::write(&file, text).expect("written");
    let config = file.display().to_string();
    let status = run(stage.home(), &["status", "--config", &config]);
    assert!(
        status.code == 5 && status.stdout.contains("does not speak TLS, so it probably serves plain HTTP"),
        "{status:#?}"
    );
    let set =
        run(stage.home(), &["set", &format!("{}:aaaaaa2", stage.image("app")), "--config", &config]).fails_with(5);
    let help = format!("set `plainHttp: true` in the entry of {} under `registries`", stage.registry.host());
    assert!(set.stderr.contains(&help), "{set:#?}");
}

#[test]
fn the_files_that_should_have_a_credential_are_named() {
    let stage = Stage::with_registry(Kind::Htpasswd, &[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    let set = || stage.tagalong(&["set", &format!("{}:aaaaaa2", stage.image("app"))]).fails_with(5);
    let none = set();
    assert!(none.stderr.contains("requires credentials, but no Docker config file is there"), "{none:#?}");
    assert!(
        none.stderr.contains("REGISTRY_AUTH_FILE, $DOCKER_CONFIG/config.json and ~/.docker/config.json"),
        "{none:#?}"
    );
    let file = stage.home().join(".docker/config.json");
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    std::fs::write(&file, r#"{ "auths": { "ghcr.io": { "auth": "bWU6b3Blbi1zZXNhbWU=" } } }"#).expect("written");
    let lacking = set();
    assert!(
        lacking.stderr.contains(&format!("requires credentials, and {} has none for it", file.display())),
        "{lacking:#?}"
    );
    assert!(lacking.stderr.contains(&format!("docker login {}", stage.registry.host())), "{lacking:#?}");
}
