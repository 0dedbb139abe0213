//! `tagalong secrets pull-secret`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use getrandom::SysRng;
use rand_core::UnwrapErr;
use serde::Serialize;
use tokio::task::block_in_place;

use crate::cli::arguments::{KeyArguments, OutputArguments};
use crate::cli::connect;
use crate::cli::error::CliError;
use crate::cli::folder::Folder;
use crate::cli::output::{self, Format};
use crate::clock;
use crate::config::load::Config;
use crate::config::overrides::Overrides;
use crate::cycle::error::CycleError;
use crate::cycle::report::FileChange;
use crate::image::Repository;
use crate::manifest::pull_secret::{KEY, Name, PullSecret, encoded};
use crate::registry::credentials;
use crate::secret::Secret;
use crate::sops::encrypt::{self, Recipe};
use crate::sops::envelope::{self, Detected};
use crate::sops::format;
use crate::sops::keyring::Keyring;
use crate::sops::open;
use crate::sops::plaintext::Plaintext;
use crate::sops::rulebook::{BrokenRules, RuleBook};
use crate::sops::rules::CreationRule;
use crate::sops::selection::Selection;

use super::error::SecretsError;

/// Write an encrypted pull secret for a registry
///
/// Creates a Secret of type kubernetes.io/dockerconfigjson with the credential of one registry and no other, taken from a
/// Docker config file (credential helpers are supported), and encrypts it by the creation rule of the nearest .sops.yaml
/// that matches its file. If that rule does not select values, those below data and stringData are encrypted, as Flux expects.
/// Nothing is ever written in plaintext.
///
/// With --file, the Secret is written to that file, where it replaces a Secret of the same name; the file is left unchanged
/// if an available identity shows that it already contains the same credential. Without --file, the Secret is printed,
/// encrypted by the rule that matches NAME.yaml.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tagalong secrets pull-secret --registry ghcr.io --name ghcr --namespace shop --file apps/shop/ghcr.yaml\n  tagalong secrets pull-secret --registry registry.example.com --name pull --namespace shop --docker-config auth.json | kubectl diff -f -"
)]
pub struct Arguments {
    /// Registry, as written in image names
    #[arg(long, value_name = "HOST")]
    registry: String,

    /// Name of the Secret
    #[arg(long, value_name = "NAME")]
    name: Name,

    /// Namespace of the Secret
    #[arg(long, value_name = "NS")]
    namespace: Name,

    /// Docker config file that contains the credential [default: registries[].credentialsFile of the configuration, else
    /// REGISTRY_AUTH_FILE, else $DOCKER_CONFIG/config.json, else ~/.docker/config.json]
    #[arg(long, value_name = "FILE")]
    docker_config: Option<PathBuf>,

    /// File to write, relative to --dir
    #[arg(long, value_name = "FILE")]
    file: Option<String>,

    /// Folder that --file is relative to
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,

    /// Print the diff that would be written, without changing anything
    #[arg(long, requires = "file")]
    dry_run: bool,

    /// Configuration file (tagalong.yaml)
    #[arg(long, env = "TAGALONG_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    keys: KeyArguments,

    #[command(flatten)]
    output: OutputArguments,
}

/// The result, in the format that scripts rely on.
#[derive(Debug, Serialize)]
struct Written<'w> {
    registry: &'w str,
    name: &'w str,
    namespace: &'w str,
    /// The file; null if the manifest is printed instead.
    file: Option<&'w str>,
    changed: bool,
    recipients: Vec<String>,
    /// The encrypted manifest, if there is no file.
    manifest: Option<String>,
}

/// Writes the Secret.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    block_in_place(|| write(&arguments))
}

fn write(arguments: &Arguments) -> Result<ExitCode, CliError> {
    let overrides = Overrides {
        file: arguments.config.clone(),
        age_key_files: arguments.keys.age_key_files.clone(),
        ..Overrides::default()
    };
    let config = connect::configuration_from(&overrides)?;
    let folder = Folder::open(&arguments.dir)?;
    let default = format!("{}.yaml", arguments.name.as_str());
    let file = match &arguments.file {
        Some(file) => inside(file)?,
        None => default,
    };
    let secret = PullSecret { namespace: arguments.namespace.clone(), name: arguments.name.clone() };
    let docker_config = docker_config(arguments, &config)?;
    let book = folder.rules_above(&file)?;
    let rule = rule_of(&book, &file)?;
    let recipe = recipe(rule, &file)?;
    let recipients = recipe.recipients.groups.concat();
    let before = arguments.file.as_ref().map(|_| folder.read_if_there(&file)).transpose()?.flatten();
    if let Some(before) = &before {
        if !secret.is_in(before) {
            let (namespace, name) = (secret.namespace.as_str().to_owned(), secret.name.as_str().to_owned());
            return Err(SecretsError::Occupied { file, namespace, name }.into());
        }
        let keyring = config.secrets.keys.keyring().map_err(CycleError::from)?;
        if holds(before, &docker_config, rule, &keyring) {
            return print(arguments, &recipients, &[], None);
        }
    }
    let now = clock::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let manifest = secret.manifest(&docker_config);
    let encrypted =
        encrypt::encrypt(manifest.expose().as_bytes(), format::Format::Yaml, &recipe, &now, &mut UnwrapErr(SysRng))
            .map_err(|source| SecretsError::Sops { file: file.clone(), source })?;
    if arguments.file.is_none() {
        return print(arguments, &recipients, &[], Some(String::from_utf8_lossy(&encrypted).into_owned()));
    }
    if !arguments.dry_run {
        folder.write(&file, &encrypted)?;
    }
    // The old file may contain plaintext, so it is not shown.
    print(arguments, &recipients, &[FileChange { file, before: Vec::new(), after: encrypted }], None)
}

fn print(
    arguments: &Arguments,
    recipients: &[String],
    changes: &[FileChange],
    manifest: Option<String>,
) -> Result<ExitCode, CliError> {
    match (arguments.output.output, manifest) {
        (Format::Json, manifest) => output::print_json(&Written {
            registry: &arguments.registry,
            name: arguments.name.as_str(),
            namespace: arguments.namespace.as_str(),
            file: arguments.file.as_deref(),
            changed: !changes.is_empty(),
            recipients: recipients.to_vec(),
            manifest,
        })?,
        (Format::Text, Some(manifest)) => output::print(&manifest)?,
        (Format::Text, None) if arguments.dry_run && !changes.is_empty() => output::print(&output::diff(changes))?,
        (Format::Text, None) => {
            let written = |change: &FileChange| format!("{}: written\n", output::safe(&change.file));
            output::print(&changes.first().map_or("up to date\n".to_owned(), written))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Normalizes a path, which must be below the folder.
fn inside(file: &str) -> Result<String, CliError> {
    let parts: Vec<&str> = file.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let refused = |reason: &str| CliError::Flag { flag: "--file", reason: format!("`{file}` {reason}") };
    if file.starts_with('/') || parts.is_empty() || parts.contains(&"..") {
        return Err(refused("is not a path below --dir"));
    }
    if format::Format::from_path(file) != format::Format::Yaml {
        return Err(refused("does not end in .yaml"));
    }
    Ok(parts.join("/"))
}

/// Returns a Docker config file with the credential of the registry alone.
fn docker_config(arguments: &Arguments, config: &Config) -> Result<Secret<String>, CliError> {
    let host = host(&arguments.registry)?;
    let file = arguments.docker_config.as_deref().or(config.registry.credentials_file_of(&host));
    let found = file.map(|file| credentials::look_up(file, &host, "")).transpose()?.flatten();
    let none = || SecretsError::NoCredential { host: host.clone(), file: file.map(ToOwned::to_owned) };
    let credential = found.ok_or_else(none)?;
    let written = credentials::written(&host, &credential);
    Ok(written.ok_or_else(|| SecretsError::RefreshToken { host: host.clone() })?)
}

/// Parses a registry, as written in image names.
fn host(text: &str) -> Result<String, CliError> {
    let repository = format!("{text}/any/image").parse::<Repository>().ok();
    let host = repository.filter(|repository| repository.path() == "any/image").map(|found| found.host().to_owned());
    host.ok_or_else(|| {
        let reason = format!("`{text}` is not a registry host; use HOST or HOST:PORT, as in image names");
        CliError::Flag { flag: "--registry", reason }
    })
}

fn rule_of<'b>(book: &'b RuleBook, file: &str) -> Result<&'b CreationRule, SecretsError> {
    let broken = |BrokenRules { file, error }: BrokenRules<'_>| SecretsError::Rules { file, source: error.clone() };
    let found = book.rules_for(file).map_err(broken)?;
    let rule = found.and_then(|(rules, path)| rules.rule_for(&path));
    rule.ok_or_else(|| SecretsError::NoRule { file: file.to_owned() })
}

/// Derives from a rule how the Secret is encrypted: its value has to be, and its kind and name have to stay readable.
fn recipe(rule: &CreationRule, file: &str) -> Result<Recipe, SecretsError> {
    let refused = |source| SecretsError::Sops { file: file.to_owned(), source };
    let recipients = rule.recipients().map_err(refused)?;
    let selection = if rule.selection.is_default() { Selection::of_secrets() } else { rule.selection.clone() };
    let selects = |path: &[&str]| {
        let path: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
        let comments = vec![Vec::new(); path.len()];
        selection.selects(&path, &comments, false)
    };
    let wrong = |what| SecretsError::Selection { file: file.to_owned(), what };
    if !selects(&["data", KEY]) {
        return Err(wrong("the credential would not be encrypted"));
    }
    if selects(&["kind"]) || selects(&["metadata", "name"]) {
        return Err(wrong("the kind and name of the Secret would be encrypted"));
    }
    Ok(Recipe { recipients, selection, mac_only_encrypted: rule.mac_only_encrypted })
}

/// Whether an encrypted Secret already contains a Docker config file, for the recipients of the rule.
fn holds(bytes: &[u8], docker_config: &Secret<String>, rule: &CreationRule, keyring: &Keyring) -> bool {
    let Some(Ok(envelope)) = envelope::detect(bytes).map(Detected::into_envelope) else { return false };
    if rule.difference(&envelope.metadata).is_some() {
        return false;
    }
    let revealed = keyring.open(&envelope.metadata).and_then(|key| open::decrypt_values(&envelope, &key));
    let expected = Plaintext::text(encoded(docker_config).expose().as_str());
    let is_value = |place: &str| place == format!("data[\"{KEY}\"]");
    revealed.is_ok_and(|values| values.iter().any(|value| is_value(&value.place) && value.plain == expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_named_as_images_name_them() {
        assert_eq!(host("ghcr.io").expect("a host"), "ghcr.io");
        assert_eq!(host("127.0.0.1:5000").expect("a host"), "127.0.0.1:5000");
        assert_eq!(host("index.docker.io").expect("a host"), "docker.io");
        for text in ["", "ghcr", "ghcr.io/acme", "https://ghcr.io", "a b"] {
            assert!(host(text).is_err(), "{text}");
        }
    }

    #[test]
    fn files_stand_below_the_folder() {
        assert_eq!(inside("./apps//a.yaml").expect("inside"), "apps/a.yaml");
        for text in ["", "/etc/a.yaml", "../a.yaml", "a/../../b.yaml", "a.json", "a"] {
            assert!(inside(text).is_err(), "{text}");
        }
    }
}
