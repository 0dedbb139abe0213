//! From a new tag in the registry to a pushed commit.

use crate::support;
use crate::support::infra::Stage;
use crate::support::tagalong;

const DEPLOYMENT: &str = "\
kind: Deployment
spec:
  template:
    spec:
      containers:
      - name: app   # the one and only
        image: \"HOST/org/app:ffffff1\"
";

const OLD: &str = "2026-04-01T10:00:00Z";
const NEW: &str = "2026-04-02T10:00:00Z";

#[test]
fn the_image_built_last_is_deployed_once() {
    let stage = Stage::new(&[("apps/app/deployment.yaml", DEPLOYMENT)]);
    stage.registry.push("org/app", "ffffff1", OLD);
    // Smaller in any alphabetical order, and built later.
    let digest = stage.registry.push("org/app", "000000a", NEW);
    stage.registry.push("org/app", "latest", "2026-05-01T10:00:00Z");

    let base = stage.origin.tip();
    let report = stage.tagalong(&["sync", "--output", "json"]).ok().json();
    let tip = stage.origin.tip();
    assert_eq!(report["head"], tip);
    assert_eq!(report["commit"], tip);
    assert_eq!(report["attempts"], 1);
    let image = stage.image("app");
    let update = &report["updates"][0];
    assert_eq!(update["file"], "apps/app/deployment.yaml");
    assert_eq!(update["path"], "spec.template.spec.containers[0].image");
    assert_eq!(
        (&update["image"], &update["from"], &update["to"]),
        (&image.as_str().into(), &"ffffff1".into(), &"000000a".into())
    );
    assert_eq!(update["digest"], digest);
    let expected = DEPLOYMENT.replace("HOST", &stage.registry.host()).replace("ffffff1", "000000a");
    assert_eq!(stage.origin.read("apps/app/deployment.yaml"), expected);
    assert_eq!(
        stage.origin.message().trim_end(),
        format!(
            "deploy: app ffffff1 -> 000000a\n\n\
             Tagalong-Update: apps/app/deployment.yaml spec.template.spec.containers[0].image {image} ffffff1 -> 000000a\n\
             Tagalong-Order: {image}:000000a@{digest} built built={NEW}\n\
             Tagalong-Base: {base}"
        )
    );

    let second = stage.tagalong(&["sync", "--output", "json"]).ok().json();
    assert_eq!(second["commit"], serde_json::Value::Null);
    assert_eq!(second["skipped"][0]["reason"], "up-to-date");
    assert_eq!(stage.origin.tip(), tip);
    assert_eq!(stage.origin.subjects().len(), 2);
    stage.origin.is_sound();
}

#[test]
fn indexes_are_ordered_by_their_platforms_and_attestations_do_not_count() {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push_index("org/app", "aaaaaa1", NEW);
    stage.registry.push_index("org/app", "bbbbbb1", OLD);
    let report = stage.tagalong(&["sync", "--output", "json"]).ok().json();
    assert_eq!(report["commit"], serde_json::Value::Null, "{report:#}");
    stage.registry.push_index("org/app", "cccccc1", "2026-04-03T10:00:00Z");
    let report = stage.tagalong(&["sync", "--output", "json"]).ok().json();
    assert_eq!(report["updates"][0]["to"], "cccccc1", "{report:#}");
}

#[test]
fn nothing_moves_back_when_the_deployed_tag_is_gone() {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    let deployed = stage.registry.push("org/app", "aaaaaa1", NEW);
    stage.registry.push("org/app", "bbbbbb1", OLD);
    stage.registry.delete("org/app", &deployed);
    let report = stage.tagalong(&["sync", "--output", "json"]).ok().json();
    assert_eq!(report["commit"], serde_json::Value::Null);
    assert_eq!(report["skipped"][0]["reason"], "no-candidate");
    let detail = report["skipped"][0]["detail"].as_str().expect("text");
    assert!(detail.contains("is newer than aaaaaa1:") && detail.contains("tagalong set"), "{detail}");
}

#[test]
fn an_image_without_tags_does_not_affect_others() {
    let stage =
        Stage::new(&[("a.yaml", "image: HOST/org/a:aaaaaa1\n"), ("b.yaml", "image: HOST/org/never-pushed:aaaaaa1\n")]);
    stage.registry.push("org/a", "aaaaaa1", OLD);
    stage.registry.push("org/a", "aaaaaa2", NEW);
    let report = stage.tagalong(&["sync", "--output", "json"]).ok().json();
    assert_eq!(report["updates"][0]["to"], "aaaaaa2");
    assert_eq!(report["skipped"][0]["reason"], "no-candidate");
    assert!(report["skipped"][0]["detail"].as_str().expect("text").contains("no such repository"));
    assert!(stage.origin.read("a.yaml").ends_with("aaaaaa2\n"));
}

#[test]
fn a_registry_outage_is_reported_and_does_not_affect_others() {
    let gone = support::process::free_port();
    let dead = format!("image: 127.0.0.1:{gone}/org/b:aaaaaa1\n");
    let stage = Stage::new(&[
        ("tagalong.yaml", &format!("policies:\n- images: [\"127.0.0.1:{gone}/org/*\"]\n  tags: {{ sha: {{}} }}\n")),
        ("a.yaml", "image: HOST/org/a:aaaaaa1\n"),
        ("b.yaml", &dead),
    ]);
    stage.registry.push("org/a", "aaaaaa1", OLD);
    stage.registry.push("org/a", "aaaaaa2", NEW);
    let config = stage.config();
    let more = format!("registries:\n- {{ host: \"127.0.0.1:{gone}\", plainHttp: true }}\n");
    let text = std::fs::read_to_string(&config).expect("there").replace("registries:\n", &more);
    std::fs::write(&config, text).expect("written");
    let run = tagalong::run(stage.home(), &["sync", "--output", "json", "--config", &config.display().to_string()]);
    assert_eq!(run.code, 5, "{run:#?}");
    let report = run.json();
    assert_eq!(report["updates"][0]["to"], "aaaaaa2", "{report:#}");
    assert_eq!(report["skipped"][0]["reason"], "registry-error");
    assert!(report["skipped"][0]["detail"].as_str().expect("text").contains(&format!("127.0.0.1:{gone}")));
}

#[test]
fn policies_in_the_repository_apply_and_a_dry_run_writes_nothing() {
    let stage = Stage::new(&[
        ("tagalong.yaml", "policies:\n- images: [\"HOST/team/*\"]\n  tags: { semver: '^1' }\n  pin: digest\n"),
        ("app.yaml", "image: HOST/team/app:1.9.0\n"),
    ]);
    for tag in ["1.9.0", "1.10.0", "2.0.0"] {
        stage.registry.push("team/app", tag, OLD);
    }
    let before = stage.origin.tip();
    let dry = stage.tagalong(&["sync", "--dry-run"]).ok();
    assert!(dry.stdout.contains("\n+image: ") && dry.stdout.contains("team/app:1.10.0@sha256:"), "{dry:#?}");
    assert_eq!(stage.origin.tip(), before);
    stage.tagalong(&["sync"]).ok();
    assert!(stage.origin.read("app.yaml").contains("team/app:1.10.0@sha256:"));
    // The tag is already the newest; the policy also asks for its digest.
    let unpinned = format!("image: {}/team/app:1.10.0\n", stage.registry.host());
    stage.origin.commit("another one, not pinned", &[("other.yaml", &unpinned)]);
    stage.tagalong(&["sync"]).ok();
    assert!(stage.origin.read("other.yaml").contains("team/app:1.10.0@sha256:"));
    // A person who removes the digest does so on purpose.
    stage.origin.commit("unpinned by hand", &[("other.yaml", &unpinned)]);
    let report = stage.tagalong(&["sync", "--output", "json"]).ok().json();
    assert_eq!(stage.origin.read("other.yaml"), unpinned);
    let held = report["skipped"].as_array().expect("a list").iter().find(|skipped| skipped["reason"] == "held");
    assert_eq!(held.expect("held")["tag"], "1.10.0", "{report:#}");
}

#[test]
fn the_agent_runs_until_it_is_asked_to_stop() {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", OLD);
    let config = stage.config();
    let agent = tagalong::command(stage.home())
        .args(["run", "--log-format", "json", "--config"])
        .arg(&config)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the agent starts");
    stage.registry.push("org/app", "aaaaaa2", NEW);
    support::process::wait_until("the agent deploys", || stage.origin.read("app.yaml").ends_with("aaaaaa2\n"));
    let id = agent.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().expect("kill starts").success());
    let end = tagalong::finished(agent.wait_with_output().expect("it ends"));
    assert_eq!(end.code, 0, "{end:#?}");
    let last = end.stderr.lines().last().expect("a log");
    let last: serde_json::Value = serde_json::from_str(last).expect("JSON");
    assert_eq!(last["message"], "the agent has stopped", "{end:#?}");
}

#[test]
fn an_agent_asked_to_stop_during_a_push_finishes_the_cycle() {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", OLD);
    stage.registry.push("org/app", "aaaaaa2", NEW);
    let begun = stage.home().join("begun");
    let told = stage.home().join("told");
    // The server accepts the push only after the agent has been asked to stop.
    // It also ends when the folder is gone.
    let hook = format!(
        "touch {begun}; while [ -e {begun} ] && [ ! -e {told} ]; do sleep 0.05; done; exit 0",
        begun = begun.display(),
        told = told.display()
    );
    stage.origin.hook("pre-receive", &hook);
    let config = stage.config();
    let agent = tagalong::command(stage.home())
        .args(["run", "--config"])
        .arg(&config)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the agent starts");
    support::process::wait_until("the push is under way", || begun.exists());
    let id = agent.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().expect("kill starts").success());
    std::fs::write(&told, "").expect("written");
    let end = tagalong::finished(agent.wait_with_output().expect("it ends"));
    assert_eq!(end.code, 0, "{end:#?}");
    assert!(end.stderr.contains("cycle finished") && end.stderr.contains("the agent has stopped"), "{end:#?}");
    assert!(stage.origin.read("app.yaml").ends_with("aaaaaa2\n"));
}

#[test]
fn images_that_share_a_value_move_together_or_not_at_all() {
    let shared =
        "app: {repository: HOST/org/app, tag: &sha aaaaaa1}\nworker: {repository: HOST/org/worker, tag: *sha}\n";
    let stage = Stage::new(&[("values.yaml", shared)]);
    for image in ["org/app", "org/worker"] {
        stage.registry.push(image, "aaaaaa1", OLD);
    }
    stage.registry.push("org/app", "bbbbbb1", NEW);
    let report = stage.tagalong(&["sync", "--output", "json"]).ok().json();
    assert_eq!(report["commit"], serde_json::Value::Null, "{report:#}");
    let detail = report["skipped"][0]["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(" through an anchor, and "), "{report:#}");
    // `set` is no different: the worker would run an image that does not exist.
    stage.tagalong(&["set", &format!("{}:bbbbbb1", stage.image("app"))]);
    assert!(stage.origin.read("values.yaml").contains("&sha aaaaaa1"));

    stage.registry.push("org/worker", "bbbbbb1", NEW);
    let run = stage.tagalong(&["sync", "--output", "json"]).ok();
    assert_eq!(run.json()["updates"].as_array().map(Vec::len), Some(2), "{}", run.stdout);
    assert!(run.stderr.contains("worker.tag moves along"), "{}", run.stderr);
    assert!(stage.origin.read("values.yaml").contains("&sha bbbbbb1"));
}

#[test]
fn fields_named_by_markers_and_rules_are_followed() {
    let flux = "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {name: app}\nspec: {image: HOST/org/app}\n---\napiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: {name: app}\nspec: {imageRepositoryRef: {name: app}}\n";
    let stage = Stage::new(&[
        (
            "tagalong.yaml",
            "fields:\n- {file: chart/values.yaml, path: \"apps.*.version\", image: \"{registry}/{1}\"}\n",
        ),
        ("chart/values.yaml", "registry: HOST/org\napps:\n  app: {version: aaaaaa1}\n"),
        ("own.yaml", "version: aaaaaa1 # tagalong: image=HOST/org/app\n"),
        ("flux.yaml", "version: aaaaaa1 # {\"$imagepolicy\": \"flux-system:app:tag\"}\n"),
        ("policy.yaml", flux),
        ("else.yaml", "version: aaaaaa1\n"),
    ]);
    stage.registry.push("org/app", "aaaaaa1", OLD);
    stage.registry.push("org/app", "bbbbbb1", NEW);
    let report = stage.tagalong(&["sync", "--output", "json"]).ok().json();
    let files: Vec<&str> =
        report["updates"].as_array().expect("updates").iter().filter_map(|u| u["file"].as_str()).collect();
    assert_eq!(files, ["chart/values.yaml", "flux.yaml", "own.yaml"]);
    assert_eq!(stage.origin.read("else.yaml"), "version: aaaaaa1\n");
    let shapes = stage.tagalong(&["images", "--output", "json"]).ok().json();
    assert!(
        shapes.as_array().expect("rows").iter().all(|row| row["shape"] == "marker" && row["tag"] == "bbbbbb1"),
        "{shapes:#}"
    );
    assert_eq!(stage.tagalong(&["sync", "--output", "json"]).ok().json()["commit"], serde_json::Value::Null);
}
