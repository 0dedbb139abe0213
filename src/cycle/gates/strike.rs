//! Lets policies with a fallback choose another tag than one that a gate found to be broken or unproven.

use std::collections::BTreeSet;

use crate::cycle::context::Context;
use crate::cycle::operations::terms::Terms;
use crate::image::Repository;
use crate::plan::decide::Update;
use crate::plan::fallback;
use crate::plan::gate::wanted;

/// Removes such tags from the candidates of policies with a fallback. Returns the images for which another tag may be
/// chosen now.
pub async fn strike(updates: &[Update], context: &mut Context<'_>) -> BTreeSet<Repository> {
    let falls_back = |update: &&Update| {
        context.state.verifications.get(&wanted(update)).and_then(fallback::flaw).is_some()
            && context.config.policies.rule_for(&update.field.repository).is_some_and(|rule| rule.fallback)
    };
    if context.terms != Terms::Policies {
        return BTreeSet::new();
    }
    let flawed: BTreeSet<Repository> =
        updates.iter().filter(falls_back).map(|update| update.field.repository.clone()).collect();
    context.scan_all_tags(&flawed).await;
    let Context { state, config, .. } = context;
    let struck = fallback::strike(&mut state.findings, updates, &state.verifications, &config.policies);
    let images = struck.iter().map(|skipped| skipped.image.clone()).collect();
    state.broken.extend(struck);
    images
}
