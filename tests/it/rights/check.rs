//! `tagalong check` tries what an update needs, and changes nothing.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::cluster::Cluster;
use crate::support::git::{Origin, git};
use crate::support::infra::Stage;
use crate::support::scripted::{self, Scripted};
use crate::support::tagalong::{self, Run};

fn stage() -> Stage {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", "2026-04-01T10:00:00Z");
    stage
}

/// `check` with a configuration that has more sections.
fn check(stage: &Stage, more: &str, environment: &[(&str, &str)]) -> Run {
    let file = stage.home().join("more.yaml");
    let text = fs::read_to_string(stage.config()).expect("there");
    fs::write(&file, format!("{text}{more}")).expect("written");
    let mut command = tagalong::command(stage.home());
    command.args(["check", "--output", "json", "--config"]).arg(file).envs(environment.iter().copied());
    tagalong::finished(command.output().expect("it starts"))
}

/// The rows of a kind: target, whether it is fine, detail and help.
fn rows(run: &Run, check: &str) -> Vec<(String, bool, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = run.json().as_array().expect("rows").clone();
    let rows = rows.iter().filter(|row| row["check"] == check);
    rows.map(|row| {
        let words = format!("{} {}", text(&row["detail"]), text(&row["help"]));
        (text(&row["target"]), row["ok"] == true, words)
    })
    .collect()
}

/// Everything that a push could change.
fn state(origin: &Origin) -> String {
    git(&origin.path, &["for-each-ref"]) + &git(&origin.path, &["count-objects", "-v"])
}

#[test]
fn the_right_to_push_is_tried_without_a_push() {
    let stage = stage();
    let ran = stage.home().join("ran");
    for hook in ["pre-receive", "update", "post-receive", "post-update", "reference-transaction"] {
        stage.origin.hook(hook, &format!("echo {hook} >> {}; exit 1", ran.display()));
    }
    let before = state(&stage.origin);
    let run = check(&stage, "", &[]);
    assert_eq!(run.code, 0, "{run:#?}");
    let push = rows(&run, "push");
    assert!(matches!(&push[..], [(_, true, words)] if words.contains("rules for branches and hooks")), "{push:#?}");
    assert_eq!(state(&stage.origin), before);
    assert!(!ran.exists(), "a hook ran");
    let text = stage.tagalong(&["check"]).ok().stdout;
    assert!(text.contains("(needed to commit updates to main)"), "{text}");
}

#[test]
fn a_local_repository_has_to_be_writable() {
    let stage = stage();
    let path = stage.origin.path.display().to_string();
    let checked = |capabilities: &str| {
        // Root may write everywhere, unless that capability is taken away.
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set", capabilities, "--inh-caps", "-all", "--"]);
        command.arg(env!("CARGO_BIN_EXE_tagalong")).args(["check", "--output", "json", "--git-url", &path, "--config"]);
        command.arg(stage.config()).env_clear().env("HOME", stage.home());
        tagalong::finished(
            command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).output().expect("it starts"),
        )
    };
    let before = state(&stage.origin);
    assert_eq!(checked("+all").code, 0);
    assert_eq!(state(&stage.origin), before);
    let heads = stage.origin.path.join("refs/heads");
    let mode =
        |mode: &str| assert!(Command::new("chmod").arg(mode).arg(&heads).status().expect("chmod starts").success());
    mode("555");
    let run = checked("-dac_override");
    mode("755");
    let push = rows(&run, "push");
    assert!(matches!(&push[..], [(_, false, words)] if words.contains("refs/heads: Permission denied")), "{run:#?}");
    assert_eq!(run.code, 1, "{run:#?}");
}

#[test]
fn each_repository_of_a_registry_is_tried() {
    let stage = stage();
    let registry = Scripted::start(|asked| {
        let error = |status, code: &str| scripted::json(status, json!({ "errors": [{ "code": code }] }), &[]);
        match asked.target.split('?').next().unwrap_or_default() {
            "/v2/" => scripted::json(200, json!({}), &[]),
            "/v2/org/secret/tags/list" => error(403, "DENIED"),
            "/v2/org/new/tags/list" => error(404, "NAME_UNKNOWN"),
            _ => scripted::json(200, json!({ "name": "org/x", "tags": ["aaaaaa1"] }), &[]),
        }
    });
    let host = registry.host();
    let mut files: Vec<(String, String)> =
        ["secret", "new"].map(|name| (format!("{name}.yaml"), name.to_owned())).into();
    files.extend((0..30).map(|n| (format!("fine-{n}.yaml"), format!("fine-{n}"))));
    let files: Vec<(String, String)> =
        files.into_iter().map(|(file, name)| (file, format!("image: {host}/org/{name}:aaaaaa1\n"))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (file.as_str(), text.as_str())).collect();
    stage.origin.commit("images of another registry", &files);
    let text = fs::read_to_string(stage.config()).expect("there");
    let text = text.replacen("registries:\n", &format!("registries:\n- {{ host: \"{host}\", plainHttp: true }}\n"), 1);
    let policy = format!("policies:\n- {{ images: [\"{host}/**\"], tags: {{ sha: {{ order: built }} }} }}\n");
    fs::write(stage.config(), text.replacen("policies:\n", &policy, 1)).expect("written");
    let run = check(&stage, "", &[]);
    assert_eq!(run.code, 5, "{run:#?}");
    let rows = rows(&run, "images");
    let of = |target: &str| rows.iter().find(|row| row.0 == target).unwrap_or_else(|| panic!("{rows:#?}")).clone();
    assert!(of(&host).1 && of(&host).2.contains("30 repositories can be read"), "{rows:#?}");
    assert!(of(&stage.registry.host()).2.contains("1 repository can be read"), "{rows:#?}");
    let secret = of(&format!("{host}/org/secret"));
    assert!(!secret.1 && secret.2.contains("requires credentials"), "{secret:?}");
    // It may be waiting for its first image.
    let new = of(&format!("{host}/org/new"));
    assert!(new.1 && new.2.contains("the registry has no such repository") && new.2.contains("credentials"), "{new:?}");
    assert!(registry.asked().iter().all(|asked| asked.method == "GET"));
}

#[test]
fn the_secrets_of_webhooks_and_channels_are_read() {
    let stage = stage();
    let file = |name: &str, text: &str| {
        let file = stage.home().join(name);
        fs::write(&file, text).expect("written");
        file.display().to_string()
    };
    let (good, blank, empty) = (file("good", "s3same\n"), file("blank", "s3same \n"), file("empty", "\n"));
    let (url, no_url) = (file("url", "https://127.0.0.1:1/T0/sesame\n"), file("no-url", "sesame\n"));
    let webhooks = |secret: &str| {
        let text = fs::read_to_string(stage.config()).expect("there");
        let start = format!("agent: {{ webhooks: [{{ kind: gitea, secretFile: {secret} }}], ");
        let config = stage.home().join("webhooks.yaml");
        fs::write(&config, text.replace("agent: { ", &start)).expect("written");
        tagalong::run(stage.home(), &["check", "--output", "json", "--config", &config.display().to_string()])
    };
    assert!(matches!(&rows(&webhooks(&good), "webhook")[..], [(_, true, words)] if words.contains("can be read")));
    let run = webhooks(&blank);
    assert!(
        matches!(&rows(&run, "webhook")[..], [(_, true, words)] if words.contains("blanks at its ends")),
        "{run:#?}"
    );
    for secret in [&empty, "/nowhere"] {
        let run = webhooks(secret);
        assert_eq!(run.code, 2, "{run:#?}");
        assert!(matches!(&rows(&run, "webhook")[..], [(_, false, _)]), "{run:#?}");
    }
    let channels = format!(
        "notify:\n- slack: {{ urlFile: {url} }}\n- discord: {{ urlFile: {no_url} }}\n- webhook: {{ urlFile: {url}, secretFile: {empty} }}\n"
    );
    let run = check(&stage, &channels, &[]);
    assert_eq!(run.code, 2, "{run:#?}");
    let channels = rows(&run, "notify");
    assert!(channels[0].1 && channels[0].2.contains("cannot be tried without sending one"), "{channels:#?}");
    assert!(!channels[1].1 && channels[1].2.contains("not a valid http or https URL"), "{channels:#?}");
    assert!(!channels[2].1 && channels[2].2.contains("is empty"), "{channels:#?}");
    assert!(!run.stdout.contains("sesame") && !run.stdout.contains("s3same"), "{run:#?}");
}

#[test]
fn the_kubernetes_api_is_asked_for_each_right() {
    let stage = stage();
    let cluster = Cluster::start();
    let section =
        "cluster:\n  leaderElection: {}\n  flux: { gitRepository: { namespace: flux-system, name: infra } }\n";
    let run = check(&stage, section, &[]);
    assert_eq!(run.code, 0, "{run:#?}");
    let untried = rows(&run, "cluster");
    assert!(matches!(&untried[..], [(_, true, words)] if words.contains("not tried")), "{untried:#?}");
    cluster.forbid("patch gitrepositories");
    let kubeconfig = cluster.kubeconfig(stage.home()).display().to_string();
    let run = check(&stage, section, &[("KUBECONFIG", &kubeconfig)]);
    assert_eq!(run.code, 5, "{run:#?}");
    let rows = rows(&run, "cluster");
    let failed: Vec<_> = rows.iter().filter(|row| !row.1).collect();
    assert_eq!((rows.len(), failed.len()), (7, 1), "{rows:#?}");
    assert_eq!(failed[0].0, "annotate the GitRepository flux-system/infra");
    assert!(failed[0].2.contains("resources: [gitrepositories], resourceNames: [infra], verbs: [patch]"), "{rows:#?}");
    // Nothing else was asked for, and no object exists.
    assert!(cluster.asked().iter().all(|asked| asked.ends_with("/selfsubjectaccessreviews")), "{:?}", cluster.asked());
}
