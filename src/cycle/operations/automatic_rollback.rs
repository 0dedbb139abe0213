//! Takes back a commit that the cluster could not apply.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::task::block_in_place;

use crate::cluster::rollout::LastApplied;
use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::history::recent;
use crate::cycle::tip::Tip;
use crate::image::{Reference, Repository, Version};
use crate::manifest::inventory::{Inventory, Located};
use crate::manifest::paths::PathFilter;
use crate::manifest::prefilter::Prefilter;
use crate::plan::automatic_rollback::{Facts, Refusal, refusal, target};
use crate::plan::decide::Plan;
use crate::plan::gate::wanted;
use crate::plan::message::{Act, Purpose};
use crate::plan::rollback;
use crate::plan::trailer::Trailers;
use crate::plan::tree_config::TreeConfig;
use crate::repo::clone::CommitId;
use crate::repo::error::RepoError;

use super::operation::{Operation, Planned};
use super::request;
use super::terms::{Attribution, Terms};

/// Takes back a commit that the cluster could not apply, if what it replaced is known to have worked.
#[derive(Debug, Clone)]
pub struct AutomaticRollback {
    /// The commit.
    pub commit: CommitId,
    /// The files and images of the commit that the failing object deploys.
    pub changes: BTreeSet<(String, Repository)>,
    /// The last commit that this object has applied, if that is known and it was not failing already.
    pub last_applied: Option<LastApplied>,
    /// The name under which it is recorded, and the reason.
    pub by: Attribution,
}

/// The fields that go back, each with its version.
type Targets<'i> = Vec<(&'i Located, Version)>;

impl Operation for AutomaticRollback {
    fn terms(&self) -> Terms {
        Terms::ByName { respects_holds: false }
    }

    fn inventory(&self, tip: &Tip, config: &TreeConfig, _paths: &PathFilter) -> Result<Arc<Inventory>, CycleError> {
        let images = self.changes.iter().map(|(_, image)| image);
        Ok(tip.inventory(&config.field_rules, &Prefilter::from_images(images))?)
    }

    fn plan<'o>(&'o self, context: &'o mut Context<'_>) -> Planned<'o> {
        self.plan_on(context).boxed_local()
    }
}

impl AutomaticRollback {
    async fn plan_on(&self, context: &mut Context<'_>) -> Result<(Plan, Purpose), CycleError> {
        let inventory = Arc::clone(&context.inventory);
        let plan = match block_in_place(|| self.targets(context, &inventory))? {
            Ok(targets) => rollback::plan(&inventory, targets),
            Err(refusal) => {
                tracing::warn!(commit = %self.commit, reason = %refusal, "a commit that could not be applied is not taken back");
                Plan::default()
            }
        };
        let references: Vec<Reference> =
            plan.updates.iter().map(wanted).map(|(repository, version)| Reference { repository, version }).collect();
        request::verify(&references, context).await?;
        Ok((plan, request::purpose(Act::RollBack, &self.by)))
    }

    /// Returns the fields that go back, or the reason why none does.
    fn targets<'i>(
        &self,
        context: &mut Context<'_>,
        inventory: &'i Inventory,
    ) -> Result<Result<Targets<'i>, Refusal>, RepoError> {
        let tip = context.tip.commit;
        if !context.tip.clone.contains(tip, self.commit) {
            return Ok(Err(Refusal::NotDeployed));
        }
        let Some((record, parent)) = recent::recorded(&context.tip.clone, self.commit)? else {
            return Ok(Err(Refusal::UnknownHealth));
        };
        if let Some(refusal) = self.refusal(context.tip, inventory, &record.trailers, parent)? {
            return Ok(Err(refusal));
        }
        let mut targets = Vec::new();
        for moved in &record.trailers.moves {
            if !self.changes.contains(&(moved.file.clone(), moved.image.clone())) {
                continue;
            }
            let is_moved = |located: &&Located| {
                (&located.file, &located.field.path, &located.field.repository)
                    == (&moved.file, &moved.path, &moved.image)
                    && located.shadowed_by.is_none()
            };
            let Some(located) = inventory.fields.iter().find(is_moved) else { continue };
            let previous = context.history.previous(context.tip, &located.file, &located.field)?;
            match target(moved, &located.field.version, || previous) {
                Ok(version) => targets.extend(version.map(|version| (located, version))),
                Err(refusal) => return Ok(Err(refusal)),
            }
        }
        Ok(if targets.is_empty() { Err(Refusal::NotDeployed) } else { Ok(targets) })
    }

    fn refusal(
        &self,
        tip: &Tip,
        inventory: &Inventory,
        trailers: &Trailers,
        parent: CommitId,
    ) -> Result<Option<Refusal>, RepoError> {
        let applied = self.last_applied.as_ref().and_then(|applied| Some((applied, applied.commit.parse().ok()?)));
        let applied = applied.filter(|(_, commit)| tip.clone.contains(parent, *commit));
        let Some((LastApplied { folders, .. }, last)) = applied else {
            let facts = Facts { trailers, has_worked: false, changed_before: None, changed_since: None };
            return Ok(refusal(facts));
        };
        let deploys = |file: &String| {
            self.changes.iter().any(|(changed, _)| changed == file)
                || !inventory.deployed_from(file).folders.is_disjoint(folders)
        };
        let mut before = tip.clone.changed_files(last, parent)?.into_iter().find(deploys);
        if before.is_none() {
            before = self.moved_and_back(tip, last, parent)?;
        }
        let since = tip.clone.changed_files(self.commit, tip.commit)?.into_iter().find(deploys);
        Ok(refusal(Facts {
            trailers,
            has_worked: true,
            changed_before: before.as_deref(),
            changed_since: since.as_deref(),
        }))
    }

    /// Returns a file of the commit that others changed after the last applied commit, even if it has the same content
    /// again: a rollback that failed as well proves that the version before does not work.
    fn moved_and_back(&self, tip: &Tip, last: CommitId, parent: CommitId) -> Result<Option<String>, RepoError> {
        for logged in tip.clone.beyond(last, parent)? {
            for (file, _) in &self.changes {
                if tip.clone.change(logged.id, file)?.is_some() {
                    return Ok(Some(file.clone()));
                }
            }
        }
        Ok(None)
    }
}
