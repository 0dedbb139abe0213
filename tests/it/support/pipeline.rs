//! CI pipelines, run step by step like a runner does.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::tagalong::{Run, finished};

/// A stub for the tool that builds images: it records what it was asked to build from which Dockerfile, and who can read
/// the credentials that it would push with.
const BUILDER: &str = r#"#!/bin/sh
for word in "$@"; do
    case "$word" in
    type=image,*) echo "$word" >> "$RUNNER_TEMP/built" ;;
    esac
done
cat Dockerfile >> "$RUNNER_TEMP/dockerfiles"
stat --format=%a "$DOCKER_CONFIG/.." "$DOCKER_CONFIG" "$DOCKER_CONFIG/config.json" >> "$RUNNER_TEMP/modes"
"#;

/// A machine that runs jobs of Gitea and GitHub Actions directly, without docker and Node.js.
pub struct Runner {
    folder: PathBuf,
    variables: BTreeMap<String, String>,
}

impl Runner {
    /// A fresh machine below `folder`, with `secrets`, `vars` and variables such as GITHUB_SHA.
    pub fn new(folder: &Path, variables: &[(&str, &str)]) -> Runner {
        for name in ["home", "temp", "tools", "work"] {
            fs::create_dir_all(folder.join(name)).expect("a folder");
        }
        let builder = folder.join("tools/buildctl");
        fs::write(&builder, BUILDER).expect("written");
        fs::set_permissions(&builder, fs::Permissions::from_mode(0o755)).expect("a mode");
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Runner { folder: folder.to_owned(), variables }
    }

    /// Sets a variable or the value of a `${{ … }}` expression.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// The path of the checked-out repository.
    pub fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    /// The value of a variable.
    pub fn variable(&self, name: &str) -> &str {
        self.variables.get(name).unwrap_or_else(|| panic!("{name} is not set"))
    }

    /// The path of the home folder of the runner's user.
    pub fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    /// The variables that steps have set for the following ones.
    pub fn exported(&self) -> BTreeMap<String, String> {
        let text = fs::read_to_string(self.folder.join("temp/env")).unwrap_or_default();
        let pairs = text.lines().map(|line| line.split_once('=').expect("a variable"));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The lines that the stub for a tool has recorded under a name.
    pub fn recorded(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.folder.join("temp").join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The images that were built.
    pub fn built(&self) -> Vec<String> {
        let lines = self.recorded("built").into_iter();
        lines.filter_map(|line| Some(line.split_once("name=")?.1.split(',').next()?.to_owned())).collect()
    }

    /// Every remaining file with its text.
    pub fn left(&self) -> Vec<(PathBuf, String)> {
        let mut open = vec![self.folder.join("home"), self.folder.join("temp")];
        let mut found = Vec::new();
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                match fs::read(&path) {
                    _ if path.is_dir() => open.push(path),
                    Ok(bytes) => found.push((path, String::from_utf8_lossy(&bytes).into_owned())),
                    Err(_) => {}
                }
            }
        }
        found
    }

    /// Runs the steps of a job. After one fails, only those that always run do; `uses` is called for actions. Returns
    /// the names of the steps that ran.
    pub fn job(&self, workflow: &Value, job: &str, mut uses: impl FnMut(&Runner, &str, &Value)) -> Vec<(String, Run)> {
        let mut ran: Vec<(String, Run)> = Vec::new();
        for step in workflow["jobs"][job]["steps"].as_array().expect("steps") {
            let failed = ran.iter().any(|(_, run)| run.code != 0);
            if failed && step["if"] != "always()" {
                continue;
            }
            if let Some(action) = step["uses"].as_str() {
                uses(self, action, &self.filled(&step["with"], workflow));
                continue;
            }
            let script = step["run"].as_str().unwrap_or_else(|| panic!("{step} does nothing"));
            let name = step["name"].as_str().unwrap_or_else(|| panic!("{step} has no name"));
            ran.push((name.to_owned(), self.script(script, [&workflow["env"], &step["env"]], workflow)));
        }
        ran
    }

    fn script(&self, script: &str, environments: [&Value; 2], workflow: &Value) -> Run {
        let (temp, paths) = (self.folder.join("temp"), self.folder.join("temp/path"));
        let added = fs::read_to_string(&paths).unwrap_or_default().lines().collect::<Vec<_>>().join(":");
        let path = format!("{added}:{}:/usr/bin:/bin", self.folder.join("tools").display());
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]).current_dir(self.work());
        command.env_clear().env("PATH", path).env("HOME", self.folder.join("home"));
        command.env("RUNNER_TEMP", &temp).env("GITHUB_PATH", &paths);
        for (name, value) in self.variables.iter().filter(|(name, _)| !name.contains('.')) {
            command.env(name, value);
        }
        command.env("GITHUB_ENV", temp.join("env"));
        let [of_workflow, of_step] = environments.map(|environment| self.filled(environment, workflow));
        for (name, value) in of_workflow.as_object().into_iter().flatten() {
            command.env(name, value.as_str().expect("text"));
        }
        command.envs(self.exported());
        for (name, value) in of_step.as_object().into_iter().flatten() {
            command.env(name, value.as_str().expect("text"));
        }
        finished(command.output().expect("bash starts"))
    }

    /// A value with every `${{ … }}` expanded. Panics on an unknown one.
    fn filled(&self, value: &Value, workflow: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text, workflow)),
            Value::Object(map) => {
                Value::Object(map.iter().map(|(key, value)| (key.clone(), self.filled(value, workflow))).collect())
            }
            other => other.clone(),
        }
    }

    fn text(&self, text: &str, workflow: &Value) -> String {
        let Some((before, rest)) = text.split_once("${{") else { return text.to_owned() };
        let (name, after) = rest.split_once("}}").expect("an end");
        let value = match name.trim() {
            name if name.starts_with("env.") => workflow["env"][&name[4..]].as_str().map(str::to_owned),
            "github.sha" => self.variables.get("GITHUB_SHA").cloned(),
            name => self.variables.get(name).cloned(),
        };
        let value = value.unwrap_or_else(|| panic!("{} is not set", name.trim()));
        format!("{before}{value}{}", self.text(after, workflow))
    }
}

/// The variables that Woodpecker passes to a plugin for its settings: names in upper case, lists joined with commas,
/// secrets by value.
pub fn plugin_variables(settings: &Value, secrets: &BTreeMap<&str, String>) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Bool(flag) => flag.to_string(),
        Value::Object(map) => {
            let name = map["from_secret"].as_str().expect("a secret");
            secrets.get(name).unwrap_or_else(|| panic!("there is no secret {name}")).clone()
        }
        other => panic!("{other}"),
    };
    let all = settings.as_object().expect("settings").iter();
    all.map(|(name, value)| {
        let value = match value {
            Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
            other => text(other),
        };
        (format!("PLUGIN_{}", name.to_ascii_uppercase().replace(['-', '.'], "_")), value)
    })
    .collect()
}
