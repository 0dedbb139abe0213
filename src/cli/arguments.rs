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

/// How results are printed.
#[derive(Debug, Clone, Copy, Args)]
pub struct OutputArguments {
    /// How results are printed to stdout
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub output: Format,
}
