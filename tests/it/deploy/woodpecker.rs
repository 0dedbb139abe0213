//! The pipelines of `deploy/ci` for Woodpecker, whose steps are plugins.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::pipeline::plugin_variables;
use crate::support::tagalong::{self, Run};

use super::pipelines::{OLDEST, World};

/// Runs a step with more variables, as the plugin gets them.
fn run(world: &World, step: &Value, more: &[(&str, &str)]) -> Run {
    let secrets = BTreeMap::from([
        ("deploy_key", fs::read_to_string(world.sshd.key()).expect("a key").trim_end().to_owned()),
        ("known_hosts", fs::read_to_string(world.sshd.known_hosts()).expect("hosts")),
        ("registry_auth", world.docker_config()),
    ]);
    let mut command = tagalong::command(world.folder.path());
    command.arg("plugin").env("SSL_CERT_FILE", world.registry.ca_file()).env("CI_COMMIT_SHA", &world.new);
    // Variables of a pipeline that was started by hand reach every step, but not in place of its settings.
    command.env("TMPDIR", world.folder.path()).envs(more.iter().copied());
    for (name, value) in plugin_variables(&step["settings"], &secrets) {
        // Woodpecker expands its variables before it starts a step.
        let value = value.replace("${CI_COMMIT_SHA}", &world.new).replace("${CI_PIPELINE_AUTHOR}", "ada");
        assert!(!value.contains("${"), "{value} is not known");
        command.env(name, value);
    }
    tagalong::finished(command.output().expect("the program starts"))
}

fn step(pipeline: &Value, name: &str) -> Value {
    let steps = pipeline["steps"].as_array().expect("steps");
    steps.iter().find(|step| step["name"] == name).expect("a step").clone()
}

#[test]
fn the_plugin_deploys() {
    let world = World::new();
    world.registry.push("org/shop", &world.new, "2026-04-02T10:00:00Z");
    let pipeline = world.pipeline("woodpecker.yaml");
    let (build, deploy) = (step(&pipeline, "build"), step(&pipeline, "deploy"));
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let (repository, tag) = (text(&build["settings"]["repo"]), text(&build["settings"]["tags"]));
    assert_eq!(format!("{repository}:{tag}"), deploy["settings"]["images"][0]);
    let dry = run(&world, &deploy, &[("PLUGIN_DRY_RUN", "true")]).ok();
    let line = format!("+      - image: {}/org/shop:{} # what runs", world.registry.host(), world.new);
    assert!(dry.stdout.contains(&line), "{}", dry.stdout);
    assert_eq!(world.deployed("shop"), OLDEST);
    let deployed = run(&world, &deploy, &[("PLUGIN_OUTPUT", "json")]).ok().json();
    assert_eq!((world.deployed("shop"), deployed["commit"].as_str()), (world.new.clone(), Some(&*world.origin.tip())));
    assert!(world.origin.message().contains("Tagalong-Actor: ada\n"), "{}", world.origin.message());

    let typo = run(&world, &deploy, &[("PLUGIN_GIT_ULR", "x")]).fails_with(2);
    assert!(
        typo.stderr.contains("PLUGIN_GIT_ULR: `set` has no such setting; expected one of images, dir"),
        "{}",
        typo.stderr
    );
    let keys = fs::read_dir(world.folder.path())
        .expect("a folder")
        .filter(|entry| entry.as_ref().expect("an entry").file_name().to_string_lossy().starts_with("tagalong-"));
    assert_eq!(keys.count(), 0, "the files with credentials are gone");
}

#[test]
fn buttons_promote_and_roll_back() {
    let world = World::new();
    world.registry.push("org/shop", &world.new, "2026-04-02T10:00:00Z");
    let stages = "stages:\n- { name: beta, paths: ['apps/shop/app.yaml'] }\n\
        - { name: live, paths: ['apps/shop/live.yaml'], from: beta }\n";
    let live = world.origin.read("apps/shop/app.yaml");
    world.origin.commit("Add a stage", &[("tagalong.yaml", stages), ("apps/shop/live.yaml", &live)]);
    let live = || world.origin.read("apps/shop/live.yaml");
    run(&world, &step(&world.pipeline("woodpecker.yaml"), "deploy"), &[]).ok();
    assert_eq!(world.deployed("shop"), world.new);

    let image = format!("{}/org/shop", world.registry.host());
    let buttons = world.pipeline("woodpecker-buttons.yaml");
    let (promote, roll_back) = (step(&buttons, "promote"), step(&buttons, "rollback"));
    for (name, step) in [("promote", &promote), ("rollback", &roll_back)] {
        assert_eq!(step["when"][0]["evaluate"], format!("BUTTON == \"{name}\""));
    }
    // Whoever presses a button cannot name somebody else, nor another repository.
    let hostile = [("PLUGIN_ACTOR", "bob"), ("PLUGIN_GIT_URL", "/nowhere"), ("PLUGIN_REASON", "--force: \"$(id)\"")];
    run(&world, &promote, &[&hostile[..], &[("PLUGIN_STAGE", "live"), ("PLUGIN_RELEASE", &image)]].concat()).ok();
    assert!(live().contains(&world.new), "{}", live());
    let message = world.origin.message();
    assert!(message.contains("Tagalong-Actor: ada\nTagalong-Reason: --force: \"$(id)\""), "{message}");

    let missing = run(&world, &roll_back, &[("PLUGIN_IMAGE", &image)]).fails_with(2);
    assert!(missing.stderr.contains("--reason"), "{}", missing.stderr);
    let stage = [("PLUGIN_IMAGE", &*image), ("PLUGIN_STAGE", "live"), ("PLUGIN_REASON", "errors")];
    run(&world, &roll_back, &stage).ok();
    assert!(live().contains(OLDEST) && world.deployed("shop") == world.new, "{}", live());
}

#[test]
fn the_recipe_names_the_plugin_that_has_to_be_privileged() {
    // A linter of Woodpecker's rejects the pipeline, and the server runs its build without privileges, unless this is said.
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("deploy/ci/woodpecker.yaml")).expect("a pipeline");
    let image = text.lines().find_map(|line| line.trim().strip_prefix("image: woodpeckerci/")).expect("the plugin");
    let recipe = fs::read_to_string(root.join("docs/recipes/woodpecker.md")).expect("a recipe");
    for line in ["WOODPECKER_PLUGINS_PRIVILEGED=", "woodpecker-cli lint --plugins-privileged "] {
        assert!(recipe.contains(&format!("{line}woodpeckerci/{image}")), "the recipe lacks {line} with {image}");
    }
}
