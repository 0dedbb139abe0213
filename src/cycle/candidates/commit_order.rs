//! Where tags stand in the history of the branch that their images are built from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use crate::image::{Repository, Tag, Version};
use crate::plan::candidates::Candidates;
use crate::plan::findings::NoFindings;
use crate::policy::first_parent_history::{FirstParentHistory, Lookup};
use crate::policy::likely_newest::likely_newest_first;
use crate::policy::order::{HistoryPosition, SourceBranch, Standing};
use crate::policy::seen::{Position, Seen};
use crate::policy::tags::ShaForm;
use crate::registry::client::Client;
use crate::registry::error::RegistryError;
use crate::registry::manifest::SourceLabels;
use crate::secret::SafeUrl;

use super::builds;
use super::source_histories::SourceHistories;

/// How many images are asked for at a time.
const IMAGES: usize = 8;
/// How many images are asked for the repository that they come from, before it is taken that none says so.
const ASKED_FOR_SOURCE: usize = 5;

/// The commit_order of one repository's tags under way.
pub struct CommitOrder<'p> {
    /// Where images are asked for what their tags do not say.
    pub registry: &'p Client,
    /// The images.
    pub repository: &'p Repository,
    /// The branch.
    pub branch: &'p SourceBranch,
    /// Which tags name commits, and where in them.
    pub form: &'p ShaForm,
    /// The histories.
    pub histories: &'p SourceHistories<'p>,
}

/// The commit of a tag.
#[derive(Debug, Clone)]
enum Commit {
    /// Its SHA, whole or shortened.
    Sha(String),
    /// The image is there, and does not say.
    Unsaid,
    /// The registry does not have the image.
    Gone,
}

impl CommitOrder<'_> {
    /// Places the tags that fit, and those that fields hold. `notes` takes what there is to say besides.
    pub async fn place(
        &self,
        fitting: Vec<Tag>,
        held: Vec<Tag>,
        notes: &mut Vec<String>,
    ) -> Result<Candidates, NoFindings> {
        let source = self.source(&fitting, &held).await?;
        let all: BTreeSet<Tag> = fitting.iter().chain(&held).cloned().collect();
        let mut commits = self.commits(all).await?;
        let mut enough_is_more_than = 0;
        loop {
            let lineage = self.histories.get(&source, &self.branch.branch, enough_is_more_than).await?;
            self.tell_apart(&mut commits, &lineage).await?;
            if let Some(candidates) = self.placed(&commits, &lineage, &fitting, &held).await? {
                notes.extend(self.ambiguous(&commits, &lineage));
                return Ok(candidates);
            }
            if lineage.is_whole() || lineage.len() <= enough_is_more_than {
                return Err(NoFindings::Absent(self.none_placed(&source, &commits, &lineage, &fitting)));
            }
            enough_is_more_than = lineage.len();
        }
    }

    /// The standings by a history; `None` when it does not depth back far enough to tell.
    async fn placed(
        &self,
        commits: &BTreeMap<Tag, Commit>,
        lineage: &FirstParentHistory,
        fitting: &[Tag],
        held: &[Tag],
    ) -> Result<Option<Candidates>, RegistryError> {
        let place = |tag: &Tag| match commits.get(tag).map(|commit| found(lineage, commit)) {
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
        for tag in held {
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
            // What is not in the part of the history that is at hand may be older than it. Where its image is older than
            // that of the newest tag this makes no difference; else more has to be known.
            let is_sure = match &age {
                Position::Known(Standing::Commit(at)) => place(tag).is_some() || *at < newest_first[0].0,
                _ => false,
            };
            if !is_sure && !lineage.is_whole() {
                return Ok(None);
            }
            candidates.held.insert(tag.clone(), builds::held(age));
        }
        Ok(Some(candidates))
    }

    /// Where an image stands whose commit is not on the branch, as after a force push or where a person deployed another
    /// branch: after every image that was not built after it.
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
        Ok(self.registry.image(self.repository, &version(tag)).await?.created)
    }

    /// The source repository: the policy's, else what the images say.
    async fn source(&self, fitting: &[Tag], held: &[Tag]) -> Result<SafeUrl, NoFindings> {
        if let Some(source) = &self.branch.source {
            return Ok(source.clone());
        }
        let likely = held.iter().cloned().chain(likely_newest_first(fitting.to_vec()));
        for tag in likely.take(ASKED_FOR_SOURCE) {
            let Some(said) = self.source_labels(&tag).await?.and_then(|source_labels| source_labels.source) else {
                continue;
            };
            return said.parse().map_err(|error| {
                NoFindings::Absent(format!("{tag} says that its source is {}: {error}", printable(&said)))
            });
        }
        let detail = "no image says where its source is (org.opencontainers.image.source); \
                      say it in the policy: sha: { order: commit, source: URL }";
        Err(NoFindings::Absent(detail.to_owned()))
    }

    /// The commits of tags: from their names, else from their images.
    async fn commits(&self, tags: BTreeSet<Tag>) -> Result<BTreeMap<Tag, Commit>, RegistryError> {
        let asks = tags.into_iter().map(|tag| async move {
            let commit = match self.form.commit(&tag) {
                Some(sha) => Commit::Sha(sha.to_owned()),
                None => self.revision(&tag).await?,
            };
            Ok((tag, commit))
        });
        let asks: Vec<_> = asks.collect();
        stream::iter(asks).buffer_unordered(IMAGES).collect::<Vec<_>>().await.into_iter().collect()
    }

    /// Asks the images of tags that are too short to name one commit.
    async fn tell_apart(
        &self,
        commits: &mut BTreeMap<Tag, Commit>,
        lineage: &FirstParentHistory,
    ) -> Result<(), RegistryError> {
        for (tag, commit) in commits.iter_mut() {
            if let (Lookup::Ambiguous(several), Commit::Sha(short)) = (found(lineage, commit), commit.clone())
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
            Some(_) => Commit::Unsaid,
        })
    }

    /// Where an image says that it comes from; `None` when the registry does not have it. A broken one says nothing.
    async fn source_labels(&self, tag: &Tag) -> Result<Option<SourceLabels>, RegistryError> {
        match self.registry.source_labels(self.repository, &version(tag)).await {
            Ok(said) => Ok(Some(said)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) if error.concerns_image() => Ok(Some(SourceLabels::default())),
            Err(error) => Err(error),
        }
    }

    fn ambiguous(&self, commits: &BTreeMap<Tag, Commit>, lineage: &FirstParentHistory) -> Vec<String> {
        let said = commits.iter().filter_map(|(tag, commit)| match found(lineage, commit) {
            Lookup::Ambiguous(several) => Some(format!(
                "{}:{tag} is left out: it may be any of the commits {}; use longer tags, or label images with \
                 org.opencontainers.image.revision",
                self.repository,
                several.iter().map(|id| id.chars().take(12).collect::<String>()).collect::<Vec<_>>().join(", ")
            )),
            _ => None,
        });
        said.collect()
    }

    fn none_placed(
        &self,
        source: &SafeUrl,
        commits: &BTreeMap<Tag, Commit>,
        lineage: &Arc<FirstParentHistory>,
        fitting: &[Tag],
    ) -> String {
        let why = |tag: &Tag| {
            let why = match commits.get(tag).map(|commit| (commit, found(lineage, commit))) {
                Some((_, Lookup::Ambiguous(_))) => "may be any of several commits",
                Some((Commit::Unsaid, _)) => "does not say its commit (org.opencontainers.image.revision)",
                Some((Commit::Gone, _)) | None => "is not in the registry",
                Some(_) => "is of a commit that is not on the branch",
            };
            format!("{tag} {why}")
        };
        let examples: Vec<String> = fitting.iter().take(3).map(why).collect();
        format!(
            "none of {} tags is of a commit in the history of {} of {source}: {}",
            fitting.len(),
            self.branch.branch,
            examples.join("; ")
        )
    }
}

fn found(lineage: &FirstParentHistory, commit: &Commit) -> Lookup {
    match commit {
        Commit::Sha(sha) => lineage.find(sha),
        Commit::Unsaid | Commit::Gone => Lookup::Nowhere,
    }
}

fn version(tag: &Tag) -> Version {
    Version::from(tag.clone())
}

/// Words of an image, which may be anything and may hold a password.
fn printable(text: &str) -> String {
    let shown = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
    shown.chars().filter(|c| !c.is_control()).take(80).collect()
}
