//! The section `sources`.

use crate::config::reader::Section;
use crate::repo::source::SourceConfig;
use crate::secret::SafeUrl;

use super::transport::{https, ssh};

/// Reads the list.
pub fn read(sections: Vec<Section<'_>>) -> Vec<SourceConfig> {
    let sources = sections.into_iter().filter_map(|mut section| {
        let url = section.parsed::<SafeUrl>("url");
        if section.lacks("url") {
            section.error("`url` is required: a repository, or the common prefix of several");
        }
        let instead_of = section.parsed("insteadOf");
        let ssh = section.section("ssh").map(ssh).unwrap_or_default();
        let https = section.section("https").map(https).unwrap_or_default();
        section.finish();
        Some(SourceConfig { url: url?, instead_of, ssh, https })
    });
    sources.collect()
}
