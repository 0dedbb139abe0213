//! The section `git.pullRequest`.

use std::path::PathBuf;

use crate::forge::config::{ApiBase, Config, Kind, UnknownForge};
use crate::plan::template::Template;
use crate::repo;

use crate::config::reader::Section;
use crate::config::values::template;

/// The section, as far as it can be read without knowing the repository.
#[derive(Debug)]
pub struct PullRequest {
    forge: Option<Kind>,
    url: Option<ApiBase>,
    token_file: PathBuf,
    labels: Vec<String>,
}

/// Reads the section, and apart from it the template of the title.
pub fn read(mut section: Section<'_>) -> (Option<PullRequest>, Option<Template>) {
    let products = [("gitea", Kind::Gitea), ("github", Kind::GitHub), ("gitlab", Kind::GitLab)];
    let (forge, url) = (section.choice("forge", &products), section.parsed("url"));
    let token_file = section.path("tokenFile");
    let title = section.parsed_with("title", template);
    let labels = section.each_with("labels", |text| {
        if text.trim().is_empty() || text.contains(',') {
            return Err("a label must not be empty or contain commas".to_owned());
        }
        Ok(text.to_owned())
    });
    if section.lacks("tokenFile") {
        section.error("`tokenFile` is required: a file with an access token for the forge");
    }
    section.finish();
    (token_file.map(|token_file| PullRequest { forge, url, token_file, labels }), title)
}

impl PullRequest {
    /// Completes the section for a repository; `None` if no pull requests are configured.
    pub fn settle(self, repo: &repo::config::Config) -> Result<Option<Config>, UnknownForge> {
        let Some(head) = &repo.push_branch else { return Ok(None) };
        let kind = self.forge.map_or_else(|| Kind::of(&repo.url), Ok)?;
        Ok(Some(Config {
            kind,
            api: self.url.map_or_else(|| ApiBase::of(kind, &repo.url), |url| Ok(url.completed(kind)))?,
            repository: kind.repository(&repo.url)?,
            head: head.to_string(),
            base: repo.branch.to_string(),
            token_file: self.token_file,
            labels: self.labels,
            timeout: repo.timeout,
        }))
    }
}
