//! Makes commits from a gated plan: one, or a chain with one for each app or image, which is pushed as a whole.

use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::chart_lock;
use crate::manifest::edit::FollowRefs;
use crate::manifest::field_rules::FieldRules;
use crate::plan::batch::Batch;
use crate::plan::gate::{ChangeError, GatedPlan};
use crate::plan::message::Purpose;
use crate::plan::proposal::belongs_to;
use crate::plan::template::Template;
use crate::repo::clone::CommitId;
use crate::repo::error::RepoError;

use crate::cycle::report::FileChange;
use crate::cycle::secrets::verify::Secrets;
use crate::cycle::tip::Tip;

/// The style of commits and pull requests.
#[derive(Debug, Clone, Default)]
pub struct Style {
    /// The template of commit messages.
    pub message: Template,
    /// The template of titles of pull requests.
    pub title: Template,
    /// The updates that share a commit.
    pub batch: Batch,
}

/// The contents of a cycle's commits.
#[derive(Debug, Clone, Copy)]
pub struct Edits<'e> {
    /// The updates.
    pub gated: &'e GatedPlan,
    /// The files before and after all updates.
    pub changes: &'e [FileChange],
    /// Determines whether the refs of remote bases are updated too.
    pub follow: FollowRefs,
    /// The rules for what is an image field.
    pub field_rules: &'e FieldRules,
    /// The verifier that updates message authentication codes.
    pub secrets: &'e Secrets,
    /// The purpose of the commits.
    pub purpose: &'e Purpose,
}

/// Writes the commits on top of `tip` and returns the last one. Without updates, it is an empty commit with a message.
pub fn write(tip: &Tip, edits: Edits<'_>, style: &Style) -> Result<CommitId, RepoError> {
    let (clone, tip) = (&tip.clone, tip.commit);
    let message =
        |gated: &GatedPlan, base: CommitId| style.message.message(gated.updates(), edits.purpose, &base.to_string());
    if edits.gated.is_empty() {
        return clone.remark(tip, &message(edits.gated, tip));
    }
    let mut head = tip;
    let (mut written, mut open) = (BTreeSet::new(), BTreeSet::new());
    for key in style.batch.keys(edits.gated) {
        open.insert(key);
        let news = edits.gated.part(|update| open.contains(&style.batch.key(update)));
        let so_far = edits.gated.part(|update| {
            let key = style.batch.key(update);
            written.contains(&key) || open.contains(&key)
        });
        // Updates that can only be made together, such as two images on one anchor, wait for the other one.
        let Ok(files) = edits.made(&news, &so_far) else { continue };
        match clone.commit(head, &files, &message(&news, head)) {
            Ok(commit) => {
                head = commit;
                written.append(&mut open);
            }
            // An earlier edit has already changed this field.
            Err(RepoError::NothingChanged) if head != tip => {}
            Err(error) => return Err(error),
        }
    }
    if head == tip { Err(RepoError::NothingChanged) } else { Ok(head) }
}

/// Returns whether the branch for proposals has exactly these changes on this tip.
pub fn are_proposed(tip: &Tip, proposed: Option<CommitId>, changes: &[FileChange]) -> Result<bool, RepoError> {
    let Some(proposed) = proposed else { return Ok(false) };
    let changes: BTreeMap<String, Vec<u8>> =
        changes.iter().map(|change| (change.file.clone(), change.after.clone())).collect();
    tip.clone.proposes(proposed, tip.commit, &changes)
}

/// Returns whether the branch of a stage, as it is, promotes exactly this on this tip. It stays while others change other
/// files, because approvals are for its head.
pub fn are_merged_by(
    tip: &Tip,
    proposed: Option<CommitId>,
    gated: &GatedPlan,
    changes: &[FileChange],
) -> Result<bool, RepoError> {
    let Some(head) = proposed.filter(|head| !tip.clone.contains(tip.commit, *head)) else { return Ok(false) };
    let files = changes.iter().map(|change| (change.file.clone(), change.after.clone())).collect();
    let updates = gated.updates();
    let commits = tip.clone.beyond(tip.commit, head)?;
    let are_own = commits.iter().all(|commit| commit.parents.len() == 1 && belongs_to(&commit.message, updates));
    Ok(are_own && commits.len() <= changes.len() && tip.clone.merges_to(tip.commit, head, &files)?)
}

impl Edits<'_> {
    /// Returns the files that `news` changes, with all edits of `so_far`. Positions refer to the tip, so every edit
    /// starts there. If these are all edits, the files are those that were already made and verified.
    fn made(&self, news: &GatedPlan, so_far: &GatedPlan) -> Result<BTreeMap<String, Vec<u8>>, ChangeError> {
        let files = news.files();
        // A lock file changes with its chart.
        let chart = |change: &FileChange| chart_lock::chart_of(&change.file);
        let is_touched = |change: &FileChange| match chart(change) {
            Some(chart) => files.contains(chart.as_str()),
            None => files.contains(change.file.as_str()),
        };
        let touched = self.changes.iter().filter(|change| is_touched(change));
        if so_far.updates().len() == self.gated.updates().len() {
            return Ok(touched.map(|change| (change.file.clone(), change.after.clone())).collect());
        }
        let edited = |change: &FileChange| {
            let update_mac = |before: &[u8], after: &[u8]| self.secrets.update_mac(before, after);
            let edited = |change: &FileChange| {
                so_far.edited(&change.file, &change.before, self.follow, self.field_rules, Some(&update_mac))
            };
            let chart = chart(change).and_then(|chart| self.changes.iter().find(|change| change.file == chart));
            let bytes = match chart {
                Some(chart) => chart_lock::follow(&chart.before, &edited(chart)?, &change.before)
                    .unwrap_or_else(|| change.before.clone()),
                None => edited(change)?,
            };
            Ok((change.file.clone(), bytes))
        };
        touched.map(edited).collect()
    }
}
