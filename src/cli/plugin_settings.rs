//! A command line made of `PLUGIN_*` variables, which are how Woodpecker CI passes the settings of a plugin.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use clap::{Arg, ArgAction, Command, CommandFactory, Parser};
use tempfile::TempDir;

use crate::secret::Secret;
use crate::text::nearest;

use super::command_line::Cli;
use super::error::CliError;

/// The prefix that CI adds to the name of a setting.
const PREFIX: &str = "PLUGIN_";
/// The setting that names the command.
const COMMAND: &str = "command";
/// The suffix of flags that take a file; without it, the setting is the content of the file.
const FILE: &str = "_file";

/// A command line made of settings, and the private files that it refers to.
pub struct Prepared {
    /// The command line.
    pub cli: Cli,
    /// The folder of those files, which is deleted on drop.
    pub files: TempDir,
}

/// Makes a command line of `PLUGIN_*` variables. Empty ones are ignored: CI passes them for secrets that it withholds.
pub fn prepare(variables: impl Iterator<Item = (OsString, OsString)>) -> Result<Prepared, CliError> {
    let mut settings: BTreeMap<String, Secret<String>> = variables
        .filter_map(|(name, value)| {
            let name = name.to_str()?.strip_prefix(PREFIX)?.to_ascii_lowercase();
            let value = value.into_string().ok().filter(|value| !value.is_empty())?;
            Some((name, Secret::new(value)))
        })
        .collect();
    let names = settings.remove(COMMAND).map_or_else(|| "set".to_owned(), |names| names.expose().clone());
    let mut root = Cli::command();
    // This makes flags that all commands share part of each.
    root.build();
    let command = find(&root, &names)?;
    let only_us = Permissions::from_mode(0o700);
    let files =
        tempfile::Builder::new().prefix("tagalong-").permissions(only_us).tempdir().map_err(|source| {
            CliError::File { doing: "create a private folder in", path: std::env::temp_dir(), source }
        })?;
    let mut line: Vec<String> =
        std::iter::once("tagalong").chain(names.split_whitespace()).map(str::to_owned).collect();
    let mut positional = Vec::new();
    for (name, value) in &settings {
        let (argument, is_content) = argument(command, name)?;
        let values = match argument.get_action() {
            ArgAction::Count => match value.expose().parse::<u8>() {
                Ok(times) => vec![None; times.into()],
                Err(_) => return Err(wrong(name, format!("expected a number, found `{}`", value.expose()))),
            },
            ArgAction::SetTrue => match value.expose().as_str() {
                "true" => vec![None],
                "false" => Vec::new(),
                other => return Err(wrong(name, format!("expected true or false, found `{other}`"))),
            },
            _ if is_content => vec![Some(write(files.path(), name, value)?)],
            ArgAction::Append => list(value.expose()).into_iter().map(Some).collect(),
            _ => vec![Some(value.expose().clone())],
        };
        match argument.get_long() {
            None => positional.push((argument.get_index(), values.into_iter().flatten().collect::<Vec<_>>())),
            Some(long) => line.extend(values.into_iter().map(|value| match value {
                Some(value) => format!("--{long}={value}"),
                None => format!("--{long}"),
            })),
        }
    }
    // Settings come by name, positional arguments by position.
    positional.sort_by_key(|(index, _)| *index);
    line.push("--".to_owned());
    line.extend(positional.into_iter().flat_map(|(_, values)| values));
    let cli = Cli::try_parse_from(line).map_err(|error| CliError::Settings(message(&error)))?;
    Ok(Prepared { cli, files })
}

/// Finds the command with a name such as `set` or `secrets verify`.
fn find<'c>(root: &'c Command, names: &str) -> Result<&'c Command, CliError> {
    let mut at = root;
    for name in names.split_whitespace() {
        let inner = at.find_subcommand(name).filter(|command| command.get_name() != "plugin");
        at = inner.ok_or_else(|| {
            let known = at.get_subcommands().map(Command::get_name).filter(|name| !matches!(*name, "plugin" | "help"));
            wrong(
                COMMAND,
                format!("unknown command `{names}`; expected one of {}", known.collect::<Vec<_>>().join(", ")),
            )
        })?;
    }
    Ok(at)
}

/// Finds the argument of a setting, and whether the setting is the content of the file that the argument takes.
fn argument<'c>(command: &'c Command, setting: &str) -> Result<(&'c Arg, bool), CliError> {
    let all = || command.get_arguments().filter(|argument| !matches!(argument.get_id().as_str(), "help" | "version"));
    let by_name = |name: &str| all().find(|argument| name_of(argument) == name);
    if let Some(argument) = by_name(setting) {
        return Ok((argument, false));
    }
    if let Some(argument) = by_name(&format!("{setting}{FILE}")) {
        return Ok((argument, true));
    }
    let known: Vec<String> = all().map(name_of).collect();
    let hint = match nearest(known.iter().map(String::as_str), setting) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("expected one of {}", known.join(", ")),
    };
    Err(wrong(setting, format!("`{}` has no such setting; {hint}", command.get_name())))
}

/// Returns the name of the setting for an argument.
fn name_of(argument: &Arg) -> String {
    argument.get_long().map_or_else(|| argument.get_id().to_string(), |long| long.replace('-', "_"))
}

/// Splits a list, which is separated by commas or is JSON; commas within braces are part of a pattern.
fn list(text: &str) -> Vec<String> {
    if let Ok(items) = serde_json::from_str(text) {
        return items;
    }
    let mut depth = 0;
    let items = text.split(|c: char| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    items.map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// Writes content to a private file, with the final newline that keys need, and returns its path.
fn write(folder: &Path, name: &str, content: &Secret<String>) -> Result<String, CliError> {
    let path = folder.join(name);
    let text = content.expose();
    let written = File::create(&path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        if text.ends_with('\n') { Ok(()) } else { file.write_all(b"\n") }
    });
    written.map_err(|source| CliError::File { doing: "write", path: path.clone(), source })?;
    Ok(path.display().to_string())
}

fn wrong(setting: &str, reason: String) -> CliError {
    CliError::Setting { name: format!("{PREFIX}{}", setting.to_ascii_uppercase()), reason }
}

/// Returns the parser's message, without usage and hints about flags.
fn message(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"));
    let kept: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    kept.join(" ").trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(settings: &[(&str, &str)]) -> Result<Prepared, CliError> {
        prepare(settings.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))))
    }

    /// The command line as it was understood.
    #[track_caller]
    fn line(settings: &[(&str, &str)]) -> String {
        format!("{:?}", prepared(settings).unwrap_or_else(|error| panic!("{error}")).cli)
    }

    #[track_caller]
    fn refused(settings: &[(&str, &str)]) -> String {
        match prepared(settings) {
            Ok(prepared) => panic!("{:?}", prepared.cli),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn settings_are_flags() {
        let found = line(&[
            ("PLUGIN_IMAGES", "ghcr.io/org/app:1a2b3c4, ghcr.io/org/worker:1a2b3c4"),
            ("PLUGIN_GIT_URL", "/srv/infra.git"),
            ("PLUGIN_PATH", "apps/{a,b}/**,clusters"),
            ("PLUGIN_DRY_RUN", "true"),
            ("PLUGIN_ALLOW_DOWNGRADE", "false"),
            ("PLUGIN_WAIT_IMAGE", "2m"),
            ("PLUGIN_LOG_LEVEL", "debug"),
            ("PLUGIN_BRANCH", ""),
            ("CI_COMMIT_SHA", "1a2b3c4"),
        ]);
        for part in [
            "Set(",
            r#"images: ["ghcr.io/org/app:1a2b3c4", "ghcr.io/org/worker:1a2b3c4"]"#,
            r#"git_url: Some("/srv/infra.git")"#,
            r#"paths: ["apps/{a,b}/**", "clusters"]"#,
            "dry_run: true",
            "allow_downgrade: false",
            "wait_image: Some(120s)",
            r#"log_level: Some("debug")"#,
            "branch: None",
        ] {
            assert!(found.contains(part), "{part} is not in {found}");
        }
        let found = line(&[("PLUGIN_IMAGES", r#"["a/b:1", "c/d:2"]"#), ("PLUGIN_GIT_URL", "/srv/infra.git")]);
        assert!(found.contains(r#"images: ["a/b:1", "c/d:2"]"#), "{found}");
        assert!(line(&[("PLUGIN_COMMAND", "secrets verify"), ("PLUGIN_DIR", ".")]).contains("Verify("));
        let found = line(&[("PLUGIN_COMMAND", "promote"), ("PLUGIN_RELEASE", "a/b:1"), ("PLUGIN_STAGE", "live")]);
        assert!(found.contains(r#"stage: Name("live"), release: Some("a/b:1")"#), "{found}");
    }

    #[test]
    fn files_are_given_by_content_and_kept_private() {
        let settings = [("PLUGIN_IMAGES", "nginx:1.27"), ("PLUGIN_SSH_KEY", "hunter2"), ("PLUGIN_GIT_URL", "/srv/x")];
        let prepared = prepared(&settings).expect("a command line");
        let file = prepared.files.path().join("ssh_key");
        assert!(format!("{:?}", prepared.cli).contains(&format!("ssh_key_file: Some({file:?})")), "{:?}", prepared.cli);
        assert_eq!(std::fs::read_to_string(&file).expect("there"), "hunter2\n");
        let mode = std::fs::metadata(prepared.files.path()).expect("a folder").permissions().mode();
        assert_eq!(mode & 0o077, 0, "others can look in");
        let folder = prepared.files.path().to_owned();
        drop(prepared);
        assert!(!folder.exists());
        let named = line(&[("PLUGIN_IMAGES", "nginx:1.27"), ("PLUGIN_SSH_KEY_FILE", "/run/key")]);
        assert!(named.contains(r#"ssh_key_file: Some("/run/key")"#), "{named}");
    }

    #[test]
    fn what_is_no_setting_is_refused() {
        let image = ("PLUGIN_IMAGES", "nginx:1.27");
        assert_eq!(
            refused(&[image, ("PLUGIN_GITURL", "x")]),
            "PLUGIN_GITURL: `set` has no such setting; did you mean `git_url`?"
        );
        assert!(refused(&[image, ("PLUGIN_FLAVOUR", "x")]).contains("expected one of images, dir, "));
        assert!(refused(&[image, ("PLUGIN_DRY_RUN", "yes")]).contains("expected true or false, found `yes`"));
        assert!(
            refused(&[("PLUGIN_COMMAND", "plugin")])
                .contains("unknown command `plugin`; expected one of run, sync, set")
        );
        assert!(refused(&[("PLUGIN_COMMAND", "sett")]).contains("unknown command `sett`"));
        assert!(refused(&[]).contains("required"), "{}", refused(&[]));
        let found = refused(&[image, ("PLUGIN_WAIT_IMAGE", "soon")]);
        assert!(
            found.contains("`soon` is not a valid duration") && !found.contains("Usage") && !found.contains("--help"),
            "{found}"
        );
    }
}
