//! What a task comes to on a tip, before the gates.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::task::block_in_place;

use crate::image::{Reference, Repository, Version};
use crate::manifest::edit::FollowRefs;
use crate::manifest::inventory::Inventory;
use crate::manifest::prefilter::Prefilter;
use crate::plan::back;
use crate::plan::decide::{self, Asked, Plan, RequestError};
use crate::plan::gate::wanted;
use crate::plan::intent::Intent;
use crate::plan::message::{Act, Occasion};
use crate::policy::rule::PolicySet;
use crate::repo::clone::{BareClone, CommitId};

use super::engine::{Engine, Hosts};
use super::error::CycleError;
use super::follow::{self, Learned};
use super::past::Past;
use super::proof::{self, Direction};
use super::propose::Heard;
use super::read_back::{Horizon, Reach};
use super::task::{Note, Pause, Request, Rollback, Task};
use super::tree::REPOSITORY_FILE;

/// What a task comes to.
pub struct Intended {
    /// What shall change.
    pub plan: Plan,
    /// The tree that it was planned on.
    pub inventory: Arc<Inventory>,
    /// What the configuration asks of it.
    pub intent: Intent,
    /// What a person should know besides.
    pub notes: Vec<String>,
    /// Whether remote bases follow.
    pub follow: FollowRefs,
    /// What the commit is for.
    pub occasion: Occasion,
}

/// The fields of some images, and what there is to say about the tree.
struct Stock {
    inventory: Arc<Inventory>,
    notes: Vec<String>,
}

impl Engine {
    /// What a task comes to on a tip.
    pub(super) async fn intend(
        &self,
        clone: &mut BareClone,
        tip: CommitId,
        task: &Task<'_>,
        learned: &mut Learned,
    ) -> Result<Intended, CycleError> {
        let hosts = if task.is_by_name() { Hosts::Any } else { Hosts::Allowed };
        let intent = block_in_place(|| self.intent(clone, tip, hosts))?;
        match task {
            Task::Follow => {
                let inventory = block_in_place(|| self.look(clone, tip, &intent, &intent.prefilter()))?;
                self.follow(clone, tip, intent, inventory, learned).await
            }
            Task::FollowOne(image) => {
                let (stock, ()) =
                    block_in_place(|| self.stock(clone, tip, &intent, [*image], |stock| known(stock, image)))?;
                self.follow(clone, tip, intent, stock.inventory, learned).await
            }
            Task::Set(request) => self.set(clone, tip, intent, request, learned).await,
            Task::RollBack(rollback) => self.roll_back(clone, tip, intent, rollback, learned).await,
            Task::Hold(pause) => block_in_place(|| self.hold(clone, tip, intent, pause)),
            Task::Resume(pause) => {
                let heard = self.heard(learned).await?.clone();
                block_in_place(|| self.resume(clone, tip, intent, pause, heard))
            }
        }
    }

    async fn follow(
        &self,
        clone: &mut BareClone,
        tip: CommitId,
        intent: Intent,
        inventory: Arc<Inventory>,
        learned: &mut Learned,
    ) -> Result<Intended, CycleError> {
        let openable = block_in_place(|| self.secrets.openable(clone, tip, &inventory))?;
        let mut notes = inventory.notes(&self.paths)?;
        if intent.policies.rules.is_empty() {
            notes.push("no policy is configured, so no image is followed".to_owned());
        }
        if !self.kept.begin(clone.file(tip, REPOSITORY_FILE)?) {
            // Policies have changed since what is known was looked at.
            learned.surveys.clear();
        }
        let mut past = Past::new(clone, tip, &intent.field_rules);
        let registries = (&self.registry, &self.sources, &self.kept);
        let mut plan = follow::plan(learned, registries, &inventory, &intent.policies, &openable, &mut past).await?;
        // The forge is asked only where its answer matters.
        if !plan.updates.is_empty() {
            let heard = self.heard(learned).await?;
            notes.extend(heard.stale.clone());
            past.add_closed(heard.closed.clone());
            block_in_place(|| past.keep_back(&mut plan, &intent.policies, &learned.surveys, &learned.proofs))?;
        }
        notes.extend(learned.notes.iter().map(|note| &note.text).chain(&learned.progress).cloned());
        Ok(Intended { plan, inventory, intent, notes, follow: FollowRefs::Yes, occasion: Occasion::default() })
    }

    async fn set(
        &self,
        clone: &mut BareClone,
        tip: CommitId,
        intent: Intent,
        request: &Request,
        learned: &mut Learned,
    ) -> Result<Intended, CycleError> {
        let images = request.wanted.iter().map(|wanted| &wanted.repository);
        let plan = |stock: &Stock| -> Result<Asked, CycleError> {
            let openable = self.secrets.openable(clone, tip, &stock.inventory)?;
            Ok(decide::as_asked(&stock.inventory, &request.wanted, &self.paths, &openable)?)
        };
        let (stock, Asked { mut plan, notes }) = block_in_place(|| self.stock(clone, tip, &intent, images, plan))?;
        let policies = &intent.policies;
        self.prove(learned, &request.wanted, &plan, policies).await?;
        let directions = proof::directions(&learned.proofs, &self.registry, &plan).await?;
        for (update, direction) in plan.updates.iter_mut().zip(directions) {
            match direction {
                Direction::Back if !request.allow_downgrade => {
                    return Err(CycleError::Downgrade {
                        image: update.field.repository.clone(),
                        held: update.field.version.to_string(),
                        to: wanted(update).1.to_string(),
                        file: update.file.clone(),
                    });
                }
                Direction::Forward => {}
                // What is left on purpose is not to come back by itself.
                Direction::Back | Direction::Unknown => update.goes_back = request.allow_downgrade,
            }
        }
        if !request.force {
            let mut past = Past::new(clone, tip, &intent.field_rules);
            for update in &plan.updates {
                if let Some(hold) = block_in_place(|| past.hold(update, &learned.proofs))? {
                    let (image, file) = (update.field.repository.clone(), update.file.clone());
                    return Err(CycleError::Held { image, file, hold: Box::new(hold) });
                }
            }
        }
        let notes = [stock.notes, notes].concat();
        let occasion = occasion(Act::Deploy, &request.note);
        Ok(Intended { plan, inventory: stock.inventory, intent, notes, follow: request.follow, occasion })
    }

    async fn roll_back(
        &self,
        clone: &mut BareClone,
        tip: CommitId,
        intent: Intent,
        rollback: &Rollback,
        learned: &mut Learned,
    ) -> Result<Intended, CycleError> {
        let image = &rollback.image;
        let fields = |stock: &Stock| Ok(back::fields(&stock.inventory, image, &self.paths)?.len());
        let (mut stock, _) = block_in_place(|| self.stock(clone, tip, &intent, [image], fields))?;
        let openable = block_in_place(|| self.secrets.openable(clone, tip, &stock.inventory))?;
        let mut targets = Vec::new();
        let mut nowhere = None;
        let mut past = Past::new(clone, tip, &intent.field_rules);
        for located in back::fields(&stock.inventory, image, &self.paths)? {
            let before = match &rollback.to {
                Some(tag) => Some(Version::from(tag.clone())),
                None => block_in_place(|| past.previous(&located.file, &located.field))?,
            };
            match before {
                Some(version) => targets.push((located, version)),
                None => {
                    let (file, path) = (located.file.clone(), located.field.path.clone());
                    let error = RequestError::NothingBefore { file, path, held: located.field.version.clone() };
                    stock.notes.push(error.to_string());
                    nowhere = Some(error);
                }
            }
        }
        stock.notes.extend(past.horizon().map(Horizon::note));
        if let (true, Some(error)) = (targets.is_empty(), nowhere) {
            stock.notes.iter().for_each(|note| tracing::warn!("{note}"));
            return Err(error.into());
        }
        let plan = back::plan(&stock.inventory, targets, &openable)?;
        let references: Vec<Reference> = plan
            .updates
            .iter()
            .map(|update| Reference { repository: image.clone(), version: wanted(update).1 })
            .collect();
        self.prove(learned, &references, &plan, &intent.policies).await?;
        let occasion = occasion(Act::RollBack, &rollback.note);
        let Stock { inventory, notes } = stock;
        Ok(Intended { plan, inventory, intent, notes, follow: FollowRefs::Yes, occasion })
    }

    fn hold(
        &self,
        clone: &mut BareClone,
        tip: CommitId,
        intent: Intent,
        pause: &Pause,
    ) -> Result<Intended, CycleError> {
        let image = &pause.target.image;
        let (mut stock, ()) = self.stock(clone, tip, &intent, [image], |stock| known(stock, image))?;
        let mut past = Past::new(clone, tip, &intent.field_rules);
        let before = past.named()?.all().iter().find(|hold| {
            hold.target.image == *image
                && (hold.target.version.is_empty() || hold.target.version == pause.target.version)
        });
        let act = match before {
            Some(hold) => {
                stock.notes.push(format!("{image}: {hold}"));
                Act::Deploy
            }
            None => Act::Hold(pause.target.clone()),
        };
        Ok(said(stock, intent, occasion(act, &pause.note)))
    }

    fn resume(
        &self,
        clone: &mut BareClone,
        tip: CommitId,
        intent: Intent,
        pause: &Pause,
        heard: Heard,
    ) -> Result<Intended, CycleError> {
        let image = &pause.target.image;
        let (mut stock, ()) = self.stock(clone, tip, &intent, [image], |stock| known(stock, image))?;
        let mut past = Past::new(clone, tip, &intent.field_rules);
        stock.notes.extend(heard.stale);
        past.add_closed(heard.closed);
        let mut is_held = past.named()?.all().iter().any(|hold| pause.target.covers(&hold.target));
        is_held |= past.held_by_closing(image)?.iter().any(|hold| pause.target.covers(&hold.target));
        let fields = stock.inventory.fields.iter().filter(|located| located.field.repository == *image);
        for reach in [Reach::Usual, Reach::Everything] {
            for located in fields.clone().filter(|_| !is_held).collect::<Vec<_>>() {
                let holds = past.held_by_history(&located.file, &located.field, reach)?;
                is_held |= holds.iter().any(|hold| pause.target.covers(&hold.target));
            }
        }
        let act = match is_held {
            true => Act::Resume(pause.target.clone()),
            false => {
                stock.notes.push(format!("{}: nothing of it is held", pause.target));
                Act::Deploy
            }
        };
        Ok(said(stock, intent, occasion(act, &pause.note)))
    }

    /// Proves what was asked for by name.
    async fn prove(
        &self,
        learned: &mut Learned,
        references: &[Reference],
        plan: &Plan,
        policies: &PolicySet,
    ) -> Result<(), CycleError> {
        if learned.proofs.is_empty() {
            learned.proofs = proof::requested(&self.registry, &learned.audit, references, policies).await?;
        }
        proof::complete(learned, &self.registry, plan, &PolicySet::default(), Timestamp::now()).await;
        Ok(())
    }

    /// The fields of some images, with what is made of them. Where they have none, all of the tree is looked at: which
    /// names come closest, only that can tell.
    fn stock<'n, T>(
        &self,
        clone: &BareClone,
        tip: CommitId,
        intent: &Intent,
        images: impl IntoIterator<Item = &'n Repository>,
        make: impl Fn(&Stock) -> Result<T, CycleError>,
    ) -> Result<(Stock, T), CycleError> {
        let look = |prefilter: &Prefilter| -> Result<(Stock, Result<T, CycleError>), CycleError> {
            let inventory = self.look(clone, tip, intent, prefilter)?;
            let stock = Stock { notes: inventory.notes(&self.paths)?, inventory };
            let made = make(&stock);
            Ok((stock, made))
        };
        let (stock, made) = match look(&Prefilter::of_images(images.into_iter()))? {
            (_, Err(CycleError::Request(RequestError::NoField { .. }))) => {
                let (stock, made) = look(&Prefilter::Everything)?;
                if made.is_err() {
                    stock.notes.iter().for_each(|note| tracing::warn!("{note}"));
                }
                (stock, made)
            }
            other => other,
        };
        Ok((stock, made?))
    }
}

/// That an image is known in a tree, overridden or not.
fn known(stock: &Stock, image: &Repository) -> Result<(), CycleError> {
    Ok(back::known(&stock.inventory, image)?)
}

/// A commit that moves nothing.
fn said(stock: Stock, intent: Intent, occasion: Occasion) -> Intended {
    let Stock { inventory, notes } = stock;
    Intended { plan: Plan::default(), inventory, intent, notes, follow: FollowRefs::No, occasion }
}

fn occasion(act: Act, note: &Note) -> Occasion {
    Occasion { act, actor: note.actor.clone(), reason: note.reason.clone(), held: Vec::new() }
}
