//! A gated plan to commits: one, or a chain with one for each app or image, which is pushed as a whole.

use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::edit::FollowRefs;
use crate::plan::batch::Batch;
use crate::plan::gate::{ChangeError, GatedPlan};
use crate::plan::template::Template;
use crate::repo::clone::{BareClone, CommitId};
use crate::repo::error::RepoError;

use super::report::FileChange;

/// What commits look like.
#[derive(Debug, Clone, Default)]
pub struct Style {
    /// The words of their messages.
    pub message: Template,
    /// Which updates share one.
    pub batch: Batch,
}

/// Writes the commits on top of `tip` and gives the last one. `changes` are the files as the whole plan leaves them.
pub fn write(
    clone: &BareClone,
    tip: CommitId,
    gated: &GatedPlan,
    changes: &[FileChange],
    follow: FollowRefs,
    style: &Style,
) -> Result<CommitId, RepoError> {
    let mut head = tip;
    let (mut written, mut open) = (BTreeSet::new(), BTreeSet::new());
    for key in style.batch.keys(gated) {
        open.insert(key);
        let news = gated.part(|update| open.contains(&style.batch.key(update)));
        let so_far = gated.part(|update| {
            let key = style.batch.key(update);
            written.contains(&key) || open.contains(&key)
        });
        // What can only be edited together, such as two images on one anchor, waits for its companion.
        let Ok(files) = edited(&news, &so_far, changes, follow) else { continue };
        match clone.commit(head, &files, &style.message.message(news.updates())) {
            Ok(commit) => {
                head = commit;
                written.append(&mut open);
            }
            // An edit before this one has brought its field along.
            Err(RepoError::NothingChanged) if head != tip => {}
            Err(error) => return Err(error),
        }
    }
    if head == tip { Err(RepoError::NothingChanged) } else { Ok(head) }
}

/// The files that `news` touches, with all edits of `so_far`: places are those of the tip, so every edit starts there.
fn edited(
    news: &GatedPlan,
    so_far: &GatedPlan,
    changes: &[FileChange],
    follow: FollowRefs,
) -> Result<BTreeMap<String, Vec<u8>>, ChangeError> {
    let files = news.files();
    let touched = changes.iter().filter(|change| files.contains(change.file.as_str()));
    touched.map(|change| Ok((change.file.clone(), so_far.edited(&change.file, &change.before, follow)?))).collect()
}
