//! `action.yml` and the workflow of releases.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::git::Origin;
use crate::support::registry::{Kind, Registry};
use crate::support::tagalong::{Run, finished};
use crate::support::{self, yaml};

const OLD: &str = "1111111111111111111111111111111111111111";
const NEW: &str = "2222222222222222222222222222222222222222";
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A folder with a release, as the download pages of forges have it.
fn release(folder: &Path) {
    let folder = folder.join(format!("v{VERSION}"));
    fs::create_dir_all(&folder).expect("a folder");
    let name = format!("tagalong-{VERSION}-{}-unknown-linux-gnu", std::env::consts::ARCH);
    fs::copy(env!("CARGO_BIN_EXE_tagalong"), folder.join(&name)).expect("a binary");
    let sums = Command::new("sha256sum").arg(&name).current_dir(&folder).output().expect("sha256sum starts");
    fs::write(folder.join("SHA256SUMS"), sums.stdout).expect("written");
}

/// Runs the steps of the action with inputs, as a runner does.
fn act(folder: &Path, inputs: &[(&str, &str)]) -> Vec<Run> {
    let action = yaml::file(&root().join("action.yml"));
    let defaults = action["inputs"].as_object().expect("inputs").iter();
    let mut values: BTreeMap<&str, &str> =
        defaults.map(|(name, input)| (name.as_str(), input["default"].as_str().expect("a default"))).collect();
    for (name, value) in inputs {
        assert!(values.insert(name, value).is_some(), "there is no input {name}");
    }
    let [temp, home] = ["temp", "home"].map(|name| folder.join(name));
    [&temp, &home].into_iter().for_each(|folder| fs::create_dir_all(folder).expect("a folder"));
    let mut runs: Vec<Run> = Vec::new();
    for step in action["runs"]["steps"].as_array().expect("steps") {
        if runs.iter().any(|run| run.code != 0) {
            break;
        }
        let added = fs::read_to_string(folder.join("path")).unwrap_or_default().lines().collect::<Vec<_>>().join(":");
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"].as_str().expect("a script")]);
        command.env_clear().current_dir(folder).env("HOME", &home).env("RUNNER_TEMP", &temp);
        command.env("PATH", format!("{added}:/usr/bin:/bin")).env("GITHUB_PATH", folder.join("path"));
        command.env("GITHUB_OUTPUT", folder.join("output"));
        for (name, value) in step["env"].as_object().expect("an environment") {
            let input = value.as_str().and_then(|text| text.strip_prefix("${{ inputs.")?.strip_suffix(" }}"));
            let value = values[input.unwrap_or_else(|| panic!("{value} is not an input"))];
            command.env(name, if value == "${{ github.actor }}" { "octocat" } else { value });
        }
        runs.push(finished(command.output().expect("bash starts")));
    }
    runs
}

#[test]
fn the_action_installs_a_release_and_deploys() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Registry::start(&folder.path().join("registry"), Kind::Plain);
    for (tag, created) in [(OLD, "2026-04-01T10:00:00Z"), (NEW, "2026-04-02T10:00:00Z")] {
        registry.push("org/shop", tag, created);
    }
    let image = format!("{}/org/shop", registry.host());
    let deployment = format!("kind: Pod\nspec:\n  containers:\n  - image: {image}:{OLD}\n");
    let origin = Origin::create(&folder.path().join("infra.git"), &[("app.yaml", &deployment)]);
    let config = folder.path().join("tagalong.yaml");
    fs::write(&config, format!("registries:\n- {{ host: \"{}\", plainHttp: true }}\n", registry.host()))
        .expect("written");
    release(&folder.path().join("releases"));
    let (wanted, url) = (format!("{image}:{NEW}\n"), origin.path.display().to_string());
    let releases = format!("file://{}", folder.path().join("releases").display());
    let settings = format!("config={}\nreason=it's \"new\" $(touch pwned)\n", config.display());
    let inputs = [("images", &*wanted), ("git-url", &url), ("download-url", &releases), ("settings", &settings)];

    let runs = act(folder.path(), &inputs);
    assert_eq!(runs.len(), 2, "{runs:?}");
    assert_eq!(runs[1].code, 0, "{:?}", runs[1]);
    assert!(origin.read("app.yaml").contains(NEW), "{}", origin.read("app.yaml"));
    let output = fs::read_to_string(folder.path().join("output")).expect("an output");
    let sha = output.lines().nth(1).expect("a value").to_owned();
    assert_eq!(sha, origin.tip());
    assert!(origin.message().contains("$(touch pwned)"), "{}", origin.message());
    assert!(origin.message().contains("Tagalong-Actor: octocat\n"), "{}", origin.message());
    assert!(!folder.path().join("pwned").exists());

    let again = act(folder.path(), &inputs);
    assert_eq!((again[1].code, again[1].stderr.trim()), (0, "up to date"), "{again:?}");
    // Who it was can be said otherwise, by the input or by a setting.
    let forced = format!("{settings}force=true\n");
    for more in
        [[("actor", "ada"), ("settings", &forced)], [("actor", ""), ("settings", &format!("{forced}actor=ada\n"))]]
    {
        origin.commit("back", &[("app.yaml", &deployment)]);
        let named = act(folder.path(), &[&inputs[..], &more].concat());
        assert_eq!(named[1].code, 0, "{named:?}");
        assert!(origin.message().contains("Tagalong-Actor: ada\n"), "{}", origin.message());
    }
    let wrong = act(folder.path(), &[&inputs[..], &[("sha256", &"0".repeat(64))]].concat());
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert!(wrong[0].code != 0 && wrong[0].stderr.contains("did NOT match"), "{wrong:?}");
    let refused = act(folder.path(), &[&inputs[..2], &[("version", ""), ("settings", "no-such-flag=1")]].concat());
    assert!(refused[1].code == 2 && refused[1].stderr.contains("PLUGIN_NO_SUCH_FLAG"), "{refused:?}");
}

#[test]
fn the_version_is_the_same_everywhere() {
    let action = yaml::file(&root().join("action.yml"));
    assert_eq!(action["inputs"]["version"]["default"], VERSION);
    let chart = yaml::file(&root().join("deploy/chart/Chart.yaml"));
    assert_eq!((&chart["version"], &chart["appVersion"]), (&Value::from(VERSION), &Value::from(VERSION)));
}

#[test]
fn releases_of_several_machines_are_collected_only_if_their_checksums_match() {
    let folder = tempfile::tempdir().expect("a folder");
    let from = folder.path().join("from");
    for arch in ["x86_64", "aarch64"] {
        let machine = from.join(format!("binaries-{arch}"));
        fs::create_dir_all(&machine).expect("a folder");
        fs::write(machine.join(format!("tagalong-{VERSION}-{arch}-unknown-linux-gnu")), arch).expect("written");
        let sums = Command::new("bash").args(["-c", "sha256sum -- * > SHA256SUMS"]).current_dir(&machine).status();
        assert!(sums.expect("bash starts").success());
    }
    let collect = |to: &str| {
        let mut command = Command::new(root().join(".ci/collect"));
        finished(command.arg(&from).arg(folder.path().join(to)).output().expect("it starts"))
    };
    let run = collect("release");
    assert_eq!((run.code, run.stdout.lines().count()), (0, 2), "{run:?}");
    let release = folder.path().join("release");
    let check = Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(release).output();
    assert!(check.expect("sha256sum starts").status.success());
    fs::write(from.join("binaries-x86_64").join(format!("tagalong-{VERSION}-x86_64-unknown-linux-gnu")), "other")
        .expect("written");
    assert_ne!(collect("again").code, 0);
}

#[test]
fn linters_accept_the_workflow_of_releases_and_the_scripts() {
    let workflow = root().join(".github/workflows/release.yaml");
    match Command::new("actionlint").arg(&workflow).output() {
        Ok(run) => assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout)),
        Err(_) => support::skipped("actionlint is not here"),
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut scripts =
        [".ci/build-static", ".ci/collect", ".ci/release", ".ci/run", "test"].map(|name| root().join(name)).to_vec();
    for (number, step) in
        yaml::file(&root().join("action.yml"))["runs"]["steps"].as_array().expect("steps").iter().enumerate()
    {
        let script = folder.path().join(number.to_string());
        fs::write(&script, format!("#!/bin/bash\n{}", step["run"].as_str().expect("a script"))).expect("written");
        scripts.push(script);
    }
    match Command::new("shellcheck").args(["--severity", "warning"]).args(&scripts).output() {
        Ok(run) => assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout)),
        Err(_) => support::skipped("shellcheck is not here"),
    }
}
