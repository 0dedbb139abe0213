//! The order of tags by the history of the branch that their images are built from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use crate::image::{Repository, Tag, Version};
use crate::plan::candidates::Candidates;
use crate::plan::findings::NoFindings;
use crate::policy::dates::is_ahead;
use crate::policy::first_parent_history::{FirstParentHistory, Lookup};
use crate::policy::likely_newest::likely_newest_first;
use crate::policy::order::{HistoryPosition, SourceBranch, Standing};
use crate::policy::seen::{Position, Seen};
use crate::policy::tags::ShaForm;
use crate::registry::client::Client;
use crate::registry::error::RegistryError;
use crate::registry::manifest::SourceLabels;
use crate::secret::SafeUrl;
use crate::text;

use super::builds;
use super::source_histories::SourceHistories;

/// The number of images that are queried at a time.
const IMAGES: usize = 8;
/// The number of images that are queried for their source before it is assumed that none names it.
const MAX_SOURCE_QUERIES: usize = 5;

/// The inputs for ordering the tags of one repository by commit.
pub struct CommitOrder<'p> {
    /// The client that queries labels.
    pub registry: &'p Client,
    /// The images.
    pub repository: &'p Repository,
    /// The branch.
    pub branch: &'p SourceBranch,
    /// The form of tags, which decides where they name a commit.
    pub form: &'p ShaForm,
    /// The histories.
    pub histories: &'p SourceHistories<'p>,
    /// The current time.
    pub now: Timestamp,
}

/// The commit of a tag.
#[derive(Debug, Clone)]
enum Commit {
    /// Its SHA, full or abbreviated.
    Sha(String),
    /// The image exists but does not name its commit.
    Unlabelled,
    /// The registry does not have the image.
    Gone,
}

impl CommitOrder<'_> {
    /// Determines the positions of matching tags and of current ones. Adds notes about tags that are ignored to
    /// `notes`.
    pub async fn place(
        &self,
        fitting: Vec<Tag>,
        current: Vec<Tag>,
        notes: &mut Vec<String>,
    ) -> Result<Candidates, NoFindings> {
        let source = self.source(&fitting, &current).await?;
        let all: BTreeSet<Tag> = fitting.iter().chain(&current).cloned().collect();
        let mut commits = self.commits(all).await?;
        let mut enough_is_more_than = 0;
        loop {
            let history = self.histories.get(&source, &self.branch.branch, enough_is_more_than).await?;
            self.disambiguate(&mut commits, &history).await?;
            if let Some(candidates) = self.placed(&commits, &history, &fitting, &current).await? {
                notes.extend(self.ambiguous(&commits, &history));
                return Ok(candidates);
            }
            if history.is_whole() || history.len() <= enough_is_more_than {
                return Err(NoFindings::Absent(self.none_placed(&source, &commits, &history, &fitting)));
            }
            enough_is_more_than = history.len();
        }
    }

    /// Returns the candidates by a history, or `None` if it does not reach back far enough.
    async fn placed(
        &self,
        commits: &BTreeMap<Tag, Commit>,
        history: &FirstParentHistory,
        fitting: &[Tag],
        current: &[Tag],
    ) -> Result<Option<Candidates>, RegistryError> {
        let place = |tag: &Tag| match commits.get(tag).map(|commit| found(history, commit)) {
            Some(Lookup::At(place)) => Some(place),
            _ => None,
        };
        let mut newest_first: Vec<(HistoryPosition, &Tag)> =
            fitting.iter().filter_map(|tag| Some((place(tag)?, tag))).collect();
        newest_first.sort_by(|a, b| b.cmp(a));
        if newest_first.is_empty() {
            return Ok(None);
        }
        let seen = |tag: &Tag| Seen::new(tag.clone(), place(tag).map(Standing::Commit));
        let mut candidates = Candidates { seen: fitting.iter().map(seen).collect(), ..Candidates::default() };
        for tag in current {
            let age = match (place(tag), commits.get(tag)) {
                (Some(place), _) => Position::Known(Standing::Commit(place)),
                (None, Some(Commit::Gone) | None) => Position::Gone,
                (None, Some(_)) => match self.created(tag).await {
                    Ok(Some(created)) => {
                        Position::Known(Standing::Commit(self.place_by_age(created, &newest_first).await?))
                    }
                    Ok(None) => Position::Unknown,
                    Err(error) if error.is_not_found() => Position::Gone,
                    Err(error) if error.concerns_image() => Position::Unknown,
                    Err(error) => return Err(error),
                },
            };
            // A commit outside of the available history may be older than it. If its image is older than the newest
            // tag's, that makes no difference; otherwise more history is needed.
            let is_sure = match &age {
                Position::Known(Standing::Commit(at)) => place(tag).is_some() || *at < newest_first[0].0,
                _ => false,
            };
            if !is_sure && !history.is_whole() {
                return Ok(None);
            }
            candidates.current.insert(tag.clone(), builds::current(age));
        }
        Ok(Some(candidates))
    }

    /// Returns the position of an image whose commit is not on the branch, as after a force push or when a person
    /// deployed another branch: after every image that was not built after it.
    async fn place_by_age(
        &self,
        created: Timestamp,
        newest_first: &[(HistoryPosition, &Tag)],
    ) -> Result<HistoryPosition, RegistryError> {
        for (place, tag) in newest_first {
            match self.created(tag).await {
                Ok(Some(other)) if other > created => {}
                Ok(_) => return Ok(place.just_after()),
                Err(error) if error.concerns_image() => return Ok(place.just_after()),
                Err(error) => return Err(error),
            }
        }
        Ok(HistoryPosition::BEFORE_ALL)
    }

    async fn created(&self, tag: &Tag) -> Result<Option<Timestamp>, RegistryError> {
        let built = self.registry.image(self.repository, &version(tag)).await?.created;
        Ok(built.filter(|built| !is_ahead(*built, self.now)))
    }

    /// Returns the source repository: the policy's, or else the one that the images name.
    async fn source(&self, fitting: &[Tag], current: &[Tag]) -> Result<SafeUrl, NoFindings> {
        if let Some(source) = &self.branch.source {
            return Ok(source.clone());
        }
        let likely = current.iter().cloned().chain(likely_newest_first(fitting.to_vec()));
        for tag in likely.take(MAX_SOURCE_QUERIES) {
            let Some(source) = self.source_labels(&tag).await?.and_then(|source_labels| source_labels.source) else {
                continue;
            };
            return source.parse().map_err(|error| {
                NoFindings::Absent(format!("{tag} names an invalid source, {}: {error}", printable(&source)))
            });
        }
        let detail = "no image names its source (org.opencontainers.image.source); \
                      set it in the policy: sha: { order: commit, source: URL }";
        Err(NoFindings::Absent(detail.to_owned()))
    }

    /// Returns the commits of tags: from their names, or else from their images.
    async fn commits(&self, tags: BTreeSet<Tag>) -> Result<BTreeMap<Tag, Commit>, RegistryError> {
        let queries = tags.into_iter().map(|tag| async move {
            let commit = match self.form.commit(&tag) {
                Some(sha) => Commit::Sha(sha.to_owned()),
                None => self.revision(&tag).await?,
            };
            Ok((tag, commit))
        });
        let queries: Vec<_> = queries.collect();
        stream::iter(queries).buffer_unordered(IMAGES).collect::<Vec<_>>().await.into_iter().collect()
    }

    /// Resolves tags that are too short to name a single commit, from their images.
    async fn disambiguate(
        &self,
        commits: &mut BTreeMap<Tag, Commit>,
        history: &FirstParentHistory,
    ) -> Result<(), RegistryError> {
        for (tag, commit) in commits.iter_mut() {
            if let (Lookup::Ambiguous(several), Commit::Sha(short)) = (found(history, commit), commit.clone())
                && let Commit::Sha(whole) = self.revision(tag).await?
                && whole.starts_with(&short)
                && several.contains(&whole)
            {
                *commit = Commit::Sha(whole);
            }
        }
        Ok(())
    }

    async fn revision(&self, tag: &Tag) -> Result<Commit, RegistryError> {
        let is_sha = |text: &String| (7..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
        Ok(match self.source_labels(tag).await? {
            None => Commit::Gone,
            Some(SourceLabels { revision: Some(text), .. }) if is_sha(&text) => Commit::Sha(text.to_ascii_lowercase()),
            Some(_) => Commit::Unlabelled,
        })
    }

    /// Returns the source labels of an image, or `None` if the registry does not have it. A broken image has no labels.
    async fn source_labels(&self, tag: &Tag) -> Result<Option<SourceLabels>, RegistryError> {
        match self.registry.source_labels(self.repository, &version(tag)).await {
            Ok(labels) => Ok(Some(labels)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) if error.concerns_image() => Ok(Some(SourceLabels::default())),
            Err(error) => Err(error),
        }
    }

    fn ambiguous(&self, commits: &BTreeMap<Tag, Commit>, history: &FirstParentHistory) -> Vec<String> {
        let notes = commits.iter().filter_map(|(tag, commit)| match found(history, commit) {
            Lookup::Ambiguous(several) => Some(format!(
                "{}:{tag} is ignored: it could be any of the commits {}; use longer tags, or label images with \
                 org.opencontainers.image.revision",
                self.repository,
                several.iter().map(|id| id.chars().take(12).collect::<String>()).collect::<Vec<_>>().join(", ")
            )),
            _ => None,
        });
        notes.collect()
    }

    fn none_placed(
        &self,
        source: &SafeUrl,
        commits: &BTreeMap<Tag, Commit>,
        history: &Arc<FirstParentHistory>,
        fitting: &[Tag],
    ) -> String {
        let why = |tag: &Tag| {
            let why = match commits.get(tag).map(|commit| (commit, found(history, commit))) {
                Some((_, Lookup::Ambiguous(_))) => "could be any of several commits",
                Some((Commit::Unlabelled, _)) => "does not name its commit (org.opencontainers.image.revision)",
                Some((Commit::Gone, _)) | None => "is not in the registry",
                Some(_) => "belongs to a commit that is not on the branch",
            };
            format!("{tag} {why}")
        };
        let examples: Vec<String> = fitting.iter().take(3).map(why).collect();
        format!(
            "none of {} tags belongs to a commit in the history of {} of {source}: {}",
            fitting.len(),
            self.branch.branch,
            examples.join("; ")
        )
    }
}

fn found(history: &FirstParentHistory, commit: &Commit) -> Lookup {
    match commit {
        Commit::Sha(sha) => history.find(sha),
        Commit::Unlabelled | Commit::Gone => Lookup::Nowhere,
    }
}

fn version(tag: &Tag) -> Version {
    Version::from(tag.clone())
}

/// Makes a text from an image printable: it may contain anything, even a password.
fn printable(text: &str) -> String {
    let shown = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
    shown.chars().filter(|c| !text::is_active(*c)).take(80).collect()
}
