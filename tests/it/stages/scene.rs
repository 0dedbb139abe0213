//! Stages on a clock that tests set: a registry, a git server, and people with keys.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::civil::Weekday;
use jiff::{Timestamp, Zoned};
use serde_json::Value;

use crate::support::agent::Agent;
use crate::support::clock;
use crate::support::git::make_key;
use crate::support::infra::Stage;
use crate::support::tagalong::{self, Run, complete};

/// An image in two stages.
pub struct Scene {
    pub stage: Stage,
    /// The lines of the configuration about stages.
    pub stages: String,
    now: Timestamp,
}

impl Scene {
    /// Makes it at the current time. Ada may approve, Carl may break glass, and Eve may do neither.
    pub fn new(stages: &str) -> Scene {
        let image = "image: HOST/org/app:aaaaaa1\n";
        let stage = Stage::new(&[("beta/app.yaml", image), ("live/app.yaml", image)]);
        stage.registry.push("org/app", "aaaaaa1", "2026-04-01T10:00:00Z");
        for name in ["ada", "carl", "eve"] {
            make_key(&stage.home().join(name), &["-t", "ed25519"]);
        }
        let library = stage.home().join("clock.so");
        assert!(clock::build(&library), "a C compiler is required");
        Scene { stage, stages: stages.to_owned(), now: Timestamp::now() }
    }

    /// Sets the clock to a time in New York, on a Wednesday or some days after it. The clock only goes forward.
    pub fn set_clock(&mut self, days: i64, time: &str) {
        let here = Zoned::now().in_tz("America/New_York").expect("a zone");
        let wednesday = here.nth_weekday(2, Weekday::Wednesday).expect("a day");
        let day = wednesday.date().checked_add(jiff::Span::new().days(days)).expect("a day");
        let local = day.to_datetime(time.parse().expect("a time"));
        let at = local.in_tz("America/New_York").expect("a zone").timestamp();
        assert!(at > self.now, "the clock only goes forward");
        self.now = at;
        self.move_clock();
    }

    /// Moves the clock of all programs under test, running ones included.
    fn move_clock(&self) {
        let ahead = self.now.as_second() - Timestamp::now().as_second();
        replace(&self.stage.home().join("offset"), &ahead.max(0).to_string());
    }

    /// The time of the clock.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    fn config(&self) -> PathBuf {
        let text = fs::read_to_string(self.stage.config()).expect("there");
        let line = |name: &str| {
            let key = fs::read_to_string(self.stage.home().join(format!("{name}.pub"))).expect("a key");
            format!("{name}@example.com {}", key.trim())
        };
        let trust = format!("trust:\n  approvers: ['{}']\n  breakGlass: ['{}']\n", line("ada"), line("carl"));
        let file = self.stage.home().join("staged.yaml");
        replace(&file, &format!("{text}{}{trust}", self.stages));
        file
    }

    /// Runs a command at the time of the clock.
    pub fn run(&self, arguments: &[&str]) -> Run {
        self.move_clock();
        complete(&mut self.command(arguments))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = tagalong::command(self.stage.home());
        command.args(arguments).arg("--config").arg(self.config());
        clock::preload(&mut command, &self.stage.home().join("clock.so"), &self.stage.home().join("offset"));
        command
    }

    /// Starts the agent, which follows the clock.
    pub fn agent(&self) -> Agent {
        self.move_clock();
        Agent::spawn(self.command(&["run", "--log-format", "json"]))
    }

    /// Runs a command as a person who signs with their key.
    pub fn run_as(&self, name: &str, arguments: &[&str]) -> Run {
        let key = self.stage.home().join(name).display().to_string();
        self.run(&[arguments, &["--actor", name, "--reason", "it has to be", "--signing-key-file", &key]].concat())
    }

    pub fn sync(&self) -> Run {
        self.run(&["sync", "--output", "json"])
    }

    /// The tag in a stage.
    pub fn held(&self, name: &str) -> String {
        let text = self.stage.origin.read(&format!("{name}/app.yaml"));
        text.trim().rsplit(':').next().expect("a tag").to_owned()
    }

    /// Commits a tag to a stage as a person with an editor.
    pub fn edit(&self, name: &str, tag: &str) {
        let text = format!("image: {}:{tag}\n", self.stage.image("app"));
        self.stage.origin.commit("by hand", &[(&format!("{name}/app.yaml"), &text)]);
    }

    /// What the moves without proof lack, with the tag that they moved to.
    pub fn unproved(&self) -> Vec<(String, Vec<String>)> {
        let run = self.run(&["audit", "--output", "json"]);
        let audit: Value = run.json();
        let found: Vec<(String, Vec<String>)> =
            audit["unproved"].as_array().expect("a list").iter().map(lacks).collect();
        assert_eq!(run.code, if found.is_empty() { 0 } else { 3 }, "{run:#?}");
        found
    }
}

/// Writes a file that other processes may be reading.
fn replace(file: &Path, text: &str) {
    let new = tempfile::NamedTempFile::new_in(file.parent().expect("a folder")).expect("a file");
    fs::write(new.path(), text).expect("written");
    new.persist(file).expect("renamed");
}

fn lacks(entry: &Value) -> (String, Vec<String>) {
    let lacks = entry["lacks"].as_array().expect("a list").iter();
    let lacks = lacks.map(|lack| lack.as_str().expect("a text").to_owned()).collect();
    (entry["to"].as_str().expect("a tag").to_owned(), lacks)
}

/// Why the field of a stage stays.
pub fn why(run: &Run, name: &str) -> (String, String) {
    let skipped = run.json()["skipped"].as_array().expect("a list").clone();
    let own = skipped.iter().find(|skipped| skipped["stage"] == name).unwrap_or_else(|| panic!("{run:#?}"));
    let text = |key: &str| own[key].as_str().expect("a text").to_owned();
    (text("reason"), text("detail"))
}
