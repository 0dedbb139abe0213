//! The section `git.pullRequest`.

use crate::forge::config::{Config, UnknownForge};
use crate::identity::issuer::Issuer;
use crate::plan::template::Template;
use crate::repo;

use crate::config::reader::Section;
use crate::config::values::template;

use super::forge::{ForgeAccess, PRODUCTS, token_file};

/// The section, as far as it can be read without knowing the repository.
#[derive(Debug)]
pub struct PullRequest {
    access: ForgeAccess,
    labels: Vec<String>,
}

/// Reads the section, and apart from it the template of the title. With an identity of `git`, no token is required.
pub fn read(mut section: Section<'_>, has_identity: bool) -> (Option<PullRequest>, Option<Template>) {
    let (kind, url) = (section.choice("forge", &PRODUCTS), section.parsed("url"));
    let token_file = token_file(&mut section, has_identity);
    let title = section.parsed_with("title", template);
    let labels = section.each_with("labels", |text| {
        if text.trim().is_empty() || text.contains(',') {
            return Err("a label must not be empty or contain commas".to_owned());
        }
        Ok(text.to_owned())
    });
    section.finish();
    let access = token_file.map(|token_file| ForgeAccess { kind, url, token_file });
    (access.map(|access| PullRequest { access, labels }), title)
}

impl PullRequest {
    /// Completes the section for a repository; `None` if no pull requests are configured.
    pub fn settle(self, repo: &repo::config::Config, issuer: Option<&Issuer>) -> Result<Option<Config>, UnknownForge> {
        if repo.push_branch.is_none() {
            return Ok(None);
        }
        let config = self.access.settle(repo, issuer)?;
        if !self.labels.is_empty() && !config.kind.has_labels() {
            return Err(UnknownForge::Labels);
        }
        Ok(Some(Config { labels: self.labels, ..config }))
    }
}
