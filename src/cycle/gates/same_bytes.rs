//! Requires that the image that would be promoted is the one that was proven in the stage before. A tag may point to
//! something else by now.

use futures_util::FutureExt;

use crate::cycle::context::Context;
use crate::cycle::operations::terms::Terms;
use crate::plan::decide::Update;
use crate::plan::gate::{Verification, Verifications, wanted};
use crate::plan::skip::Reason;

use super::gate::{Gate, Verdict, Verdicts};

/// Requires that tags still are the images that were proven.
pub struct SameBytes;

impl Gate for SameBytes {
    fn name(&self) -> &'static str {
        "same-bytes"
    }

    fn applies_to(&self, terms: Terms) -> bool {
        terms.promotes()
    }

    fn judge<'g>(&'g self, updates: &'g [Update], context: &'g mut Context<'_>) -> Verdicts<'g> {
        let verdicts = updates.iter().map(|update| verdict(update, &context.state.verifications)).collect();
        std::future::ready(Ok(verdicts)).boxed_local()
    }
}

fn verdict(update: &Update, verifications: &Verifications) -> Verdict {
    let promotion = update.entry.as_ref().and_then(|entry| entry.promotion.as_ref());
    let Some((promotion, build)) =
        promotion.and_then(|promotion| Some((promotion, promotion.release.images().get(&update.field.repository)?)))
    else {
        return Verdict::Pass;
    };
    match verifications.get(&wanted(update)) {
        Some(Verification::Complete { digest, .. }) if *digest != build.digest => {
            let (image, from) = (&update.field.repository, promotion.from.iter().map(|name| name.as_str()));
            let tag = update.tag.as_ref().map(ToString::to_string).unwrap_or_default();
            let from = from.collect::<Vec<_>>().join(" and ");
            let detail = format!(
                "{tag} is not the image that soaked in {from}: {image}:{tag} was {} there and is {digest} now",
                build.digest
            );
            Verdict::keep(Reason::BlockedImage, detail)
        }
        _ => Verdict::Pass,
    }
}
