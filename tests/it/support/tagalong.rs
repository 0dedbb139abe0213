//! The program under test.

use std::path::Path;
use std::process::{Command, Output};

use super::schemas;

/// The result of a run of the program.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// Panics unless the program succeeded.
    #[track_caller]
    pub fn ok(self) -> Run {
        assert_eq!(self.code, 0, "{self:#?}");
        self
    }

    /// Panics unless the program exited with a code and an error in the documented form.
    #[track_caller]
    pub fn fails_with(self, code: i32) -> Run {
        assert_eq!(self.code, code, "{self:#?}");
        assert!(self.stderr.lines().any(|line| line.starts_with("error: ")), "{self:#?}");
        let said: Vec<&str> = self.stderr.lines().filter_map(|line| Some(line.split_once(": ")?.1)).collect();
        assert!(said.windows(2).all(|pair| pair[0] != pair[1]), "two lines say the same: {self:#?}");
        self
    }

    /// stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// The program with a clean environment: it reads and writes nothing of the user's.
pub fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tagalong"));
    command.env_clear().env("HOME", home).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// Runs the program to its end.
#[track_caller]
pub fn run<S: AsRef<std::ffi::OsStr>>(home: &Path, arguments: &[S]) -> Run {
    complete(command(home).args(arguments))
}

/// Runs a command of the program to its end. If it prints JSON, that has to be as documented.
#[track_caller]
pub fn complete(command: &mut Command) -> Run {
    let run = finished(command.output().expect("the program starts"));
    let arguments: Vec<String> = command.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect();
    schemas::check(&arguments, &run.stdout);
    run
}

/// A finished process as a [`Run`].
pub fn finished(output: Output) -> Run {
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
