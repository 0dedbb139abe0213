//! The section `sources`.

use std::time::Duration;

use crate::config::reader::Section;
use crate::identity::environment::Environment;
use crate::repo::source::SourceConfig;
use crate::secret::SafeUrl;

use super::identity::{self, IdentityKeys, Unusable, with_identity};
use super::transport::{https, ssh};

/// An entry, as far as it can be read without other sections.
#[derive(Debug)]
pub struct Source {
    config: SourceConfig,
    identity: Option<IdentityKeys>,
}

impl Source {
    /// Completes the entry.
    pub fn settle(self, timeout: Duration, environment: &Environment) -> Result<SourceConfig, Unusable> {
        let Source { config, identity } = self;
        let issuer = identity.map(|keys| keys.settle(&config.url, &config.https, timeout, environment)).transpose()?;
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
        let identity = identity::read(&mut section, &https);
        section.finish();
        Some(Source { config: SourceConfig { url: url?, instead_of, ssh, https }, identity })
    });
    sources.collect()
}
