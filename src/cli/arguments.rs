//! Options that several commands share.

use std::path::PathBuf;

use clap::Args;

use crate::config::overrides::Overrides;

use super::output::Format;

/// Which repository, and where its clone lives.
#[derive(Debug, Clone, Default, Args)]
pub struct GitArguments {
    /// The configuration file, tagalong.yaml
    #[arg(long, env = "TAGALONG_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The infrastructure repository: https://…, ssh://…, user@host:path, or a path [config: git.url]
    #[arg(long, value_name = "URL")]
    pub git_url: Option<String>,

    /// The branch that is read and written [config: git.branch, else main]
    #[arg(long, value_name = "BRANCH")]
    pub branch: Option<String>,

    /// Where clones and caches live; deleting it loses nothing [default: $XDG_CACHE_HOME/tagalong, else ~/.cache/tagalong]
    #[arg(long, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,

    /// Only these files, relative to the root; ** is allowed, a folder means all below it; repeatable [config: git.paths]
    #[arg(long = "path", value_name = "GLOB")]
    pub paths: Vec<String>,

    /// Files with credentials.
    #[command(flatten)]
    pub credentials: CredentialArguments,
}

/// Files with credentials, for machines without a configuration file, such as CI.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Credentials")]
pub struct CredentialArguments {
    /// The private key for ssh [config: git.ssh.keyFile, else the ssh agent]
    #[arg(long, value_name = "FILE")]
    pub ssh_key_file: Option<PathBuf>,

    /// The host keys that are trusted [config: git.ssh.knownHostsFile, else ~/.ssh/known_hosts]
    #[arg(long, value_name = "FILE")]
    pub known_hosts_file: Option<PathBuf>,

    /// The password or token for https [config: git.https.tokenFile]
    #[arg(long, value_name = "FILE")]
    pub git_token_file: Option<PathBuf>,

    /// The user beside the token; most forges take any [config: git.https.username]
    #[arg(long, value_name = "NAME")]
    pub git_username: Option<String>,

    /// A Docker config file for registries without one of their own [default: $REGISTRY_AUTH_FILE, else Docker's]
    #[arg(long, value_name = "FILE")]
    pub registry_auth_file: Option<PathBuf>,
}

impl GitArguments {
    /// What they say about configuration.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            file: self.config.clone(),
            git_url: self.git_url.clone(),
            branch: self.branch.clone(),
            cache_dir: self.cache_dir.clone(),
            paths: self.paths.clone(),
            age_key_files: Vec::new(),
            ssh_key_file: self.credentials.ssh_key_file.clone(),
            known_hosts_file: self.credentials.known_hosts_file.clone(),
            git_token_file: self.credentials.git_token_file.clone(),
            git_username: self.credentials.git_username.clone(),
            registry_auth_file: self.credentials.registry_auth_file.clone(),
        }
    }
}

/// Age identities in addition to those in the places that sops knows.
#[derive(Debug, Clone, Default, Args)]
pub struct KeyArguments {
    /// A file with age identities or an SSH private key, or a folder of *.agekey files; repeatable [also: SOPS_AGE_KEY,
    /// SOPS_AGE_KEY_FILE, SOPS_AGE_SSH_PRIVATE_KEY_FILE, the user's sops age key file]
    #[arg(long = "age-key-file", value_name = "FILE")]
    pub age_key_files: Vec<PathBuf>,
}

/// Who asks for something.
#[derive(Debug, Clone, Default, Args)]
pub struct ActorArguments {
    /// Who asks; stands in the commit
    #[arg(long, env = "TAGALONG_ACTOR", value_name = "NAME")]
    pub actor: Option<String>,
}

impl ActorArguments {
    /// Who it is: as given, else as the CI system or the shell says.
    pub fn name(&self) -> Option<String> {
        let known = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
        self.actor.clone().or_else(|| ACTOR_VARIABLES.iter().find_map(known))
    }
}

/// Where CI systems (Gitea and GitHub Actions, GitLab, Woodpecker) and shells say on whose behalf they run.
const ACTOR_VARIABLES: [&str; 5] =
    ["GITHUB_ACTOR", "GITLAB_USER_LOGIN", "CI_PIPELINE_AUTHOR", "CI_COMMIT_AUTHOR", "USER"];

/// How results are printed.
#[derive(Debug, Clone, Copy, Args)]
pub struct OutputArguments {
    /// How results are printed to stdout
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub output: Format,
}
