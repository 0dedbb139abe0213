//! The distribution of a cycle's updates to commits.

use super::gate::{GatedPlan, GatedUpdate};
use super::template::app;

/// The updates that share a commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Batch {
    /// All updates of a cycle.
    #[default]
    Cycle,
    /// The updates of one app, that is, of one folder.
    App,
    /// The updates of one image.
    Image,
}

impl Batch {
    /// Returns a key that is the same for updates that share a commit.
    pub fn key(self, update: &GatedUpdate) -> String {
        // A promotion is a commit of its own, so that it can be taken back on its own.
        if let Some(promotion) = update.promotion() {
            return format!("promotion {} {}", promotion.stage, promotion.group);
        }
        match self {
            Batch::Cycle => String::new(),
            Batch::App => app(&update.file).to_owned(),
            Batch::Image => update.field.repository.to_string(),
        }
    }

    /// Returns the keys of a plan, in the order of its updates.
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
