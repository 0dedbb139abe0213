//! Options that several commands share.

use std::path::PathBuf;

use clap::Args;

use crate::config::load::Overrides;

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
        }
    }
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
        self.actor.clone().or_else(|| ACTOR_VARIABLES.iter().find_map(|name| known(&name)))
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
