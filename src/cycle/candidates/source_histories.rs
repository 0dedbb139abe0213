//! The histories of source repositories for one round. Each is fetched once, however many images come from it.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::plan::findings::NoFindings;
use crate::policy::first_parent_history::FirstParentHistory;
use crate::repo::source::{SourceError, Sources, Wanted, lineage};
use crate::secret::SafeUrl;

type Slot = Arc<tokio::sync::Mutex<Option<Result<Arc<FirstParentHistory>, NoFindings>>>>;

/// The histories that have been fetched so far.
pub struct SourceHistories<'s> {
    sources: &'s Sources,
    slots: Mutex<HashMap<(String, String), Slot>>,
}

impl SourceHistories<'_> {
    /// Makes an empty collection.
    pub fn new(sources: &Sources) -> SourceHistories<'_> {
        SourceHistories { sources, slots: Mutex::default() }
    }

    /// Returns the first-parent history of a branch, with more commits than `enough_is_more_than` if there are more.
    pub async fn get(
        &self,
        source: &SafeUrl,
        branch: &str,
        enough_is_more_than: usize,
    ) -> Result<Arc<FirstParentHistory>, NoFindings> {
        let config = self.sources.config(source, branch).map_err(|error| NoFindings::from(&error))?;
        let key = (config.url.expose().to_owned(), branch.to_owned());
        let slot = Arc::clone(self.slots.lock().entry(key).or_default());
        let mut history = slot.lock().await;
        let wanted = match &*history {
            None => Wanted::AtHand,
            Some(Ok(known)) if known.len() <= enough_is_more_than && !known.is_whole() => Wanted::More,
            Some(known) => return known.clone(),
        };
        let fetched = tokio::task::spawn_blocking(move || lineage(config, wanted)).await;
        let result = match fetched {
            Ok(Ok(lineage)) => Ok(Arc::new(lineage)),
            Ok(Err(error)) => Err(NoFindings::from(&SourceError::Repo(error))),
            Err(stopped) => Err(NoFindings::Failed(stopped.to_string())),
        };
        *history = Some(result.clone());
        result
    }
}

impl From<&SourceError> for NoFindings {
    fn from(error: &SourceError) -> NoFindings {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        match error {
            SourceError::NotAllowed { .. } | SourceError::Branch(_) => NoFindings::Absent(error.to_string()),
            SourceError::NoCacheDir { .. } | SourceError::Repo(_) => NoFindings::Failed(format!("{error}{cause}")),
        }
    }
}
