//! The result of an operation on a tip: the updates to write, and the fields that stay, with the reasons.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::manifest::chart_lock;
use crate::manifest::edit::FollowRefs;
use crate::manifest::field_rules::FieldRules;
use crate::plan::gate::GatedPlan;
use crate::plan::message::{Act, Purpose};
use crate::plan::skip::{Reason, Skipped};
use crate::plan::trailer::Hold;
use crate::stage::name::Name;

use super::error::CycleError;
use super::report::FileChange;
use super::secrets::verify::Secrets;
use super::stage_gates;
use super::stages::report::{Concerns, Promoted, StageReport};
use super::stages::status::CellStatus;
use super::stages::unrecorded::Unrecorded;
use super::status::{self, ImageStatus, Inputs};
use super::tip::Tip;

/// The result of an operation on a tip.
pub struct Decision {
    /// The updates that passed all gates.
    pub gated: GatedPlan,
    /// The fields that stay.
    pub skipped: Vec<Skipped>,
    /// Notes for people.
    pub notes: Vec<String>,
    /// Determines whether the refs of remote bases are updated too.
    pub follow: FollowRefs,
    /// The rules for what is an image field.
    pub field_rules: FieldRules,
    /// The purpose of the commit.
    pub purpose: Purpose,
    /// The inputs for the status of images.
    pub inputs: Inputs,
    /// What the stages hold, and what comes next.
    pub board: Vec<CellStatus>,
    /// What people should look at in the stages.
    pub concerns: Concerns,
    /// The stages whose promotions are proposed in pull requests.
    pub proposes: BTreeSet<Name>,
    /// The promotions whose approvals are not in history yet.
    pub unrecorded: Vec<Unrecorded>,
}

impl Decision {
    /// Returns whether there is nothing to commit.
    pub fn is_idle(&self) -> bool {
        self.gated.is_empty() && matches!(self.purpose.act, Act::Deploy | Act::RollBack)
    }

    /// Returns the state of each image that a policy governs.
    pub fn statuses(&self) -> Vec<ImageStatus> {
        status::of_images(&self.inputs, &self.gated, &self.skipped)
    }

    /// Returns the holds by name, except those that this ends.
    pub fn remaining_holds(&self) -> Vec<Hold> {
        let is_ended = |hold: &&Hold| matches!(&self.purpose.act, Act::Resume(target) if target.covers(&hold.target));
        self.inputs.named.all().iter().filter(|hold| !is_ended(hold)).cloned().collect()
    }

    /// Returns what was found out about stages.
    pub fn stages(&self) -> StageReport {
        let promoted = Promoted::of(&self.gated);
        let explained = stage_gates::explain(&self.board, &self.inputs.config.stages, |_| true);
        StageReport { board: self.board.clone(), promoted, concerns: self.concerns.clone(), explained }
    }

    /// Makes the new bytes of all files. The fields of a file that cannot be edited stay; if a person requested the
    /// operation, that is an error.
    pub fn edit(&mut self, tip: &Tip, secrets: &Secrets, is_by_name: bool) -> Result<Arc<[FileChange]>, CycleError> {
        let files: Vec<String> = self.gated.files().into_iter().map(str::to_owned).collect();
        let mut changes = Vec::new();
        let update_mac = |before: &[u8], after: &[u8]| secrets.update_mac(before, after);
        for file in files {
            let before = tip.file(&file)?.unwrap_or_default();
            match self.gated.edited(&file, &before, self.follow, &self.field_rules, Some(&update_mac)) {
                Ok(after) => {
                    let change = FileChange { file, before, after };
                    changes.extend(lock_change(tip, &change)?);
                    changes.push(change);
                }
                Err(error) if is_by_name => return Err(error.into()),
                Err(error) => {
                    let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                    tracing::debug!(%file, %error, %why, "a file could not be edited; its fields stay");
                    for update in self.gated.drop_file(&file) {
                        let (tag, detail) = (update.to.tag.clone(), format!("{error}: {why}"));
                        let skipped = Skipped::field(&update.file, &update.field, tag, Reason::NoCandidate, detail);
                        self.skipped.push(skipped);
                    }
                    changes.retain(|change: &FileChange| self.gated.files().contains(change.file.as_str()));
                }
            }
        }
        Ok(changes.into())
    }
}

/// Returns the change to the lock file of a chart that follows from one to the chart.
fn lock_change(tip: &Tip, chart: &FileChange) -> Result<Option<FileChange>, CycleError> {
    let Some(file) = chart_lock::lock_of(&chart.file) else { return Ok(None) };
    let Some(before) = tip.file(&file)? else { return Ok(None) };
    let after = chart_lock::follow(&chart.before, &chart.after, &before);
    Ok(after.map(|after| FileChange { file, before, after }))
}
