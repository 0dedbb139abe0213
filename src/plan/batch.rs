//! How the updates of a cycle are dealt out to commits.

use super::gate::{GatedPlan, GatedUpdate};
use super::template::app;

/// Which updates share a commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Batch {
    /// All of a cycle.
    #[default]
    Cycle,
    /// Those of one app: of one folder.
    App,
    /// Those of one image.
    Image,
}

impl Batch {
    /// Equal for updates that share a commit.
    pub fn key(self, update: &GatedUpdate) -> String {
        match self {
            Batch::Cycle => String::new(),
            Batch::App => app(&update.file).to_owned(),
            Batch::Image => update.field.repository.to_string(),
        }
    }

    /// The keys of a plan, in the order in which its updates stand.
    pub fn keys(self, plan: &GatedPlan) -> Vec<String> {
        let mut keys = Vec::new();
        for update in plan.updates() {
            let key = self.key(update);
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }
}
