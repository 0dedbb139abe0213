//! Options that several commands share.

use std::path::PathBuf;

use clap::Args;

use crate::config::overrides::Overrides;

use super::output::Format;

/// The heading of these options in help texts, which many commands share.
const CONNECTION: &str = "Connection options";

/// The repository, and the location of its clone.
#[derive(Debug, Clone, Default, Args)]
pub struct GitArguments {
    /// Configuration file (tagalong.yaml)
    #[arg(long, help_heading = CONNECTION, env = "TAGALONG_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Infrastructure repository: https://…, ssh://…, user@host:path, or a local path [config: git.url]
    #[arg(long, help_heading = CONNECTION, value_name = "URL")]
    pub git_url: Option<String>,

    /// Branch to read and write [config: git.branch, else main]
    #[arg(long, help_heading = CONNECTION, value_name = "BRANCH")]
    pub branch: Option<String>,

    /// Folder for clones and caches, which is safe to delete [default: $XDG_CACHE_HOME/tagalong, else ~/.cache/tagalong]
    #[arg(long, help_heading = CONNECTION, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,

    /// Only these files, relative to the root; ** is supported, and a folder means everything below it; repeatable
    /// [config: git.paths]
    #[arg(long = "path", help_heading = CONNECTION, value_name = "GLOB")]
    pub paths: Vec<String>,

    /// Files with credentials.
    #[command(flatten)]
    pub credentials: CredentialArguments,
}

/// Files with credentials, for machines without a configuration file, such as CI.
#[derive(Debug, Clone, Default, Args)]
pub struct CredentialArguments {
    /// Private key for SSH [config: git.ssh.keyFile, else the SSH agent]
    #[arg(long, help_heading = "Credentials", value_name = "FILE")]
    pub ssh_key_file: Option<PathBuf>,

    /// Trusted host keys [config: git.ssh.knownHostsFile, else ~/.ssh/known_hosts]
    #[arg(long, help_heading = "Credentials", value_name = "FILE")]
    pub known_hosts_file: Option<PathBuf>,

    /// Password or token for HTTPS [config: git.https.tokenFile]
    #[arg(long, help_heading = "Credentials", value_name = "FILE")]
    pub git_token_file: Option<PathBuf>,

    /// User name to go with the token; most forges accept any [config: git.https.username]
    #[arg(long, help_heading = "Credentials", value_name = "NAME")]
    pub git_username: Option<String>,

    /// Docker config file for registries that have none of their own [default: $REGISTRY_AUTH_FILE, else Docker's]
    #[arg(long, help_heading = "Credentials", value_name = "FILE")]
    pub registry_auth_file: Option<PathBuf>,
}

impl GitArguments {
    /// Returns the overrides of the configuration.
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
            signing_key_file: None,
        }
    }
}

/// Age identities in addition to those in the places that sops knows.
#[derive(Debug, Clone, Default, Args)]
pub struct KeyArguments {
    /// File with age identities or an SSH private key, or a folder of *.agekey files; repeatable [also: SOPS_AGE_KEY,
    /// SOPS_AGE_KEY_FILE, SOPS_AGE_SSH_PRIVATE_KEY_FILE, the user's sops age key file]
    #[arg(long = "age-key-file", value_name = "FILE")]
    pub age_key_files: Vec<PathBuf>,
}

/// The person or system that requests something.
#[derive(Debug, Clone, Default, Args)]
pub struct ActorArguments {
    /// Person or system that requests this, recorded in the commit
    #[arg(long, env = "TAGALONG_ACTOR", value_name = "NAME")]
    pub actor: Option<String>,
}

impl ActorArguments {
    /// Returns the given name, else the one reported by the CI system or the shell.
    pub fn name(&self) -> Option<String> {
        let known = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let given = self.actor.clone().filter(|name| !name.trim().is_empty());
        given.or_else(|| ACTOR_VARIABLES.iter().find_map(known))
    }
}

/// The variables in which CI systems (Gitea and GitHub Actions, GitLab, Woodpecker) and shells name the user.
const ACTOR_VARIABLES: [&str; 5] =
    ["GITHUB_ACTOR", "GITLAB_USER_LOGIN", "CI_PIPELINE_AUTHOR", "CI_COMMIT_AUTHOR", "USER"];

/// Parses a reason, which has to say something.
pub fn reason(text: &str) -> Result<String, String> {
    let reason = text.trim();
    if reason.is_empty() { Err("the reason is empty; the commit records it".to_owned()) } else { Ok(reason.to_owned()) }
}

/// The output format.
#[derive(Debug, Clone, Copy, Args)]
pub struct OutputArguments {
    /// Output format
    #[arg(short, long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub output: Format,
}
