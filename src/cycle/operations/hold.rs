//! Puts an image or one version of it on hold, by a commit that changes no file.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio::task::block_in_place;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::tip::Tip;
use crate::image::Tag;
use crate::manifest::edit::FollowRefs;
use crate::manifest::inventory::Inventory;
use crate::manifest::paths::PathFilter;
use crate::plan::decide::Plan;
use crate::plan::message::{Act, Purpose};
use crate::plan::trailer::Target;
use crate::plan::tree_config::TreeConfig;
use crate::text::nearest;

use super::operation::{Operation, Planned};
use super::request;
use super::terms::{Attribution, Terms};

/// Puts an image or one version of it on hold.
#[derive(Debug, Clone)]
pub struct Hold {
    /// The image, or one version of it.
    pub target: Target,
    /// The person or job that requested it, and the reason.
    pub by: Attribution,
}

impl Operation for Hold {
    fn terms(&self) -> Terms {
        Terms::ByName { respects_holds: false }
    }

    fn inventory(&self, tip: &Tip, config: &TreeConfig, paths: &PathFilter) -> Result<Arc<Inventory>, CycleError> {
        request::inventory_of(&self.target.image, tip, config, paths)
    }

    fn plan<'o>(&'o self, context: &'o mut Context<'_>) -> Planned<'o> {
        let plan = async move {
            self.check(context).await?;
            let purpose = block_in_place(|| self.purpose(context))?;
            Ok((Plan::default(), purpose))
        };
        plan.boxed_local()
    }

    fn follow_refs(&self) -> FollowRefs {
        FollowRefs::No
    }
}

impl Hold {
    /// Checks that the version is one that can be held: a mistyped one would hold nothing. If the registry cannot tell,
    /// it is held.
    async fn check(&self, context: &mut Context<'_>) -> Result<(), CycleError> {
        let Target { image, version } = &self.target;
        let mut fields = context.inventory.fields.iter().map(|located| &located.field);
        if version.is_empty() || fields.any(|field| field.repository == *image && field.holds(version)) {
            return Ok(());
        }
        let registry = &context.services.registry;
        match registry.digest(image, version).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => {
                let tags = registry.tags(image).await.unwrap_or_default();
                let near = version.tag.as_ref().and_then(|tag| nearest(tags.iter().map(Tag::as_str), tag.as_str()));
                Err(CycleError::UnknownVersion { target: self.target.clone(), near: near.map(str::to_owned) })
            }
            Err(error) => {
                context.note(format!("{}: it is unknown whether there is such an image: {error}", self.target));
                Ok(())
            }
        }
    }

    fn purpose(&self, context: &mut Context<'_>) -> Result<Purpose, CycleError> {
        let image = &self.target.image;
        let before = context.history.named(context.tip)?.all().iter().find(|hold| {
            hold.target.image == *image
                && (hold.target.version.is_empty() || hold.target.version == self.target.version)
        });
        let act = match before.map(|hold| format!("{image}: {hold}")) {
            Some(note) => {
                context.note(note);
                Act::Deploy
            }
            None => Act::Hold(self.target.clone()),
        };
        Ok(request::purpose(act, &self.by))
    }
}
