//! The section `sources`.

use std::time::Duration;

use crate::config::reader::Section;
use crate::forge::config::UnknownForge;
use crate::repo::source::SourceConfig;
use crate::secret::SafeUrl;

use super::github_app::{self, GitHubApp, with_identity};
use super::transport::{check_identity, https, ssh};

/// An entry, as far as it can be read without other sections.
#[derive(Debug)]
pub struct Source {
    config: SourceConfig,
    app: Option<GitHubApp>,
}

impl Source {
    /// Completes the entry.
    pub fn settle(self, timeout: Duration) -> Result<SourceConfig, UnknownForge> {
        let Source { config, app } = self;
        let issuer = app.map(|app| app.settle(&config.url, &config.https, timeout)).transpose()?;
        Ok(SourceConfig { https: with_identity(config.https, issuer.as_ref()), ..config })
    }
}

/// Reads the list.
pub fn read(sections: Vec<Section<'_>>) -> Vec<Source> {
    let sources = sections.into_iter().filter_map(|mut section| {
        let url = section.parsed::<SafeUrl>("url");
        if section.lacks("url") {
            section.error("`url` is required: a repository, or the common prefix of several");
        }
        let instead_of = section.parsed("insteadOf");
        let ssh = section.section("ssh").map(ssh).unwrap_or_default();
        let https = section.section("https").map(https).unwrap_or_default();
        let app = section.section("githubApp").and_then(github_app::read);
        check_identity(&section, app.as_ref(), &https);
        section.finish();
        Some(Source { config: SourceConfig { url: url?, instead_of, ssh, https }, app })
    });
    sources.collect()
}
