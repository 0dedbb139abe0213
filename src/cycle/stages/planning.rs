//! Plans promotions: a function of the tip, its history, and the evidence.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::block_in_place;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::history::moves::{FieldHistory, Followed, Scope};
use crate::cycle::operations::terms::Terms;
use crate::image::{Reference, Repository, Tag};
use crate::plan::broken_glass;
use crate::plan::decide::{Plan, Update, WantedDigest};
use crate::plan::order_record::OrderedBy;
use crate::plan::skip::{Reason, Skipped};
use crate::plan::trailer::agree;
use crate::plan::tree_config::{TreeConfig, policy_of};
use crate::stage::board::{self, Cell, Next};
use crate::stage::candidate::{Gate, Outlook, Wait};
use crate::stage::definition::{ApprovalBy, Stage, Tags};
use crate::stage::group::groups;
use crate::stage::name::Name;
use crate::stage::promotion::Entry;
use crate::stage::release::Release;
use crate::stage::release_name::{self, KnownRelease};

use super::known::Known;
use super::reviews;
use super::status::CellStatus;
use super::unrecorded::{self, Unrecorded};

/// The promotions that a person requested.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'w> {
    /// The stage.
    pub stage: &'w Name,
    /// The release or image, if not all.
    pub name: Option<&'w str>,
}

/// Adds the promotions that nothing keeps back to a plan, and what the other releases wait for. Without `wanted`, these are
/// those of all stages.
pub async fn plan(context: &mut Context<'_>, plan: &mut Plan, wanted: Option<Wanted<'_>>) -> Result<(), CycleError> {
    if context.config.stages.is_empty() {
        return Ok(());
    }
    let history = block_in_place(|| history(context))?;
    if let Some(horizon) = &history.horizon {
        context.note(horizon.note());
    }
    let (stages, inventory) = (context.config.stages.clone(), Arc::clone(&context.inventory));
    let groups = groups(&stages, &inventory);
    let cells = board::cells(&stages, &groups, &inventory, &history.moves);
    let mut known = block_in_place(|| Known::of(context))?;
    let outlook = |cell: &Cell<'_>| {
        let mut outlook = cell.outlook(&cells, &known)?;
        wanted.iter().for_each(|wanted| wanted.narrow(cell, &mut outlook));
        Some(outlook)
    };
    let outlooks: Vec<Option<Outlook>> = cells.iter().map(outlook).collect();
    known.checks.query(context, &cells, &outlooks, &|_, _| true, false).await;
    reviews::query(context, &cells, &outlooks).await?;
    known.pull_requests = context.state.stage_pull_requests.clone();
    // What is about to be promoted has to pass once more: a check may have turned since it was queried first.
    let ready = next(&cells, &outlooks, &known);
    let is_ready = |index: usize, release: &Release| {
        ready[index].as_ref().is_some_and(|next| next.waits.is_empty() && next.release == *release)
    };
    known.checks.query(context, &cells, &outlooks, &is_ready, true).await;
    (context.proposes, context.unrecorded) = Default::default();
    let mut statuses = Vec::with_capacity(cells.len());
    for ((cell, outlook), next) in cells.iter().zip(&outlooks).zip(next(&cells, &outlooks, &known)) {
        statuses.push(CellStatus::of(cell, next.as_ref()));
        context.unrecorded.extend(unrecorded::of(cell, &history));
        if is_proposed(cell, next.as_ref(), &known) {
            context.proposes.insert(cell.stage.name.clone());
        }
        if wanted.is_some_and(|wanted| *wanted.stage != cell.stage.name) {
            continue;
        }
        match outlook {
            Some(outlook) => enter(cell, outlook, next.as_ref(), context, plan),
            None => together(cell, &context.config, plan),
        }
    }
    plan.updates.sort_by(|a, b| (&a.file, a.field.place).cmp(&(&b.file, b.field.place)));
    let broken = broken_glass::unacknowledged(&history.moves, &history.records, &history.orders, &stages);
    broken.iter().for_each(|glass| context.note(glass.to_string()));
    context.concerns.broken_glass = broken;
    known.warnings().into_iter().for_each(|warning| context.note(warning));
    context.board = statuses;
    Ok(())
}

/// Returns whether what may enter a stage is proposed in a pull request, or has been.
fn is_proposed(cell: &Cell<'_>, next: Option<&Next>, known: &Known) -> bool {
    let Some(found) = known.pull_requests.get(&cell.stage.name).filter(|found| found.unknown.is_none()) else {
        return false;
    };
    let is_due = |wait: &Wait| matches!(wait.gate, Gate::Approval | Gate::Window);
    let by = cell.stage.approval.as_ref().map(|approval| approval.by);
    next.is_some_and(|next| next.waits.iter().all(is_due)) || found.all.open.is_some() && by == Some(ApprovalBy::Merge)
}

/// Returns the promotions whose approvals are not in history yet.
pub fn unrecorded(context: &mut Context<'_>) -> Result<Vec<Unrecorded>, CycleError> {
    let history = history(context)?;
    let Context { config, inventory, .. } = context;
    let groups = groups(&config.stages, inventory);
    let cells = board::cells(&config.stages, &groups, inventory, &history.moves);
    Ok(cells.iter().filter_map(|cell| unrecorded::of(cell, &history)).collect())
}

/// Returns the releases that the stages before a stage have held.
pub fn releases_before(stage: &Name, context: &mut Context<'_>) -> Result<Vec<KnownRelease>, CycleError> {
    let history = history(context)?;
    let Context { config, inventory, .. } = context;
    let Some(from) = config.stages.named(stage).and_then(|stage| stage.from.as_ref()) else { return Ok(Vec::new()) };
    let groups = groups(&config.stages, inventory);
    let cells = board::cells(&config.stages, &groups, inventory, &history.moves);
    let before = cells.iter().filter(|cell| from.names().contains(&cell.stage.name));
    let held = before.flat_map(|cell| &cell.tenures).filter_map(|tenure| tenure.held.release());
    Ok(held.map(|release| KnownRelease { id: release.id(), tag: release.tag().cloned() }).collect())
}

impl Wanted<'_> {
    /// Keeps the releases that are wanted.
    fn narrow(&self, cell: &Cell<'_>, outlook: &mut Outlook) {
        let Some(name) = self.name.filter(|_| cell.stage.name == *self.stage) else { return };
        let is_wanted = |release: &Release| names(name, cell, release);
        outlook.soaked.retain(|soaked| is_wanted(&soaked.release));
        outlook.waiting.retain(|(release, _)| is_wanted(release));
    }
}

/// Returns whether a name is that of a release: its ID or the start of it, its tag, its group, or an image of it with or
/// without a tag.
fn names(name: &str, cell: &Cell<'_>, release: &Release) -> bool {
    let known = KnownRelease { id: release.id(), tag: release.tag().cloned() };
    let is_image = || {
        let Ok(Reference { repository, version }) = name.parse() else { return false };
        let held = release.version_of(&repository);
        held.is_some_and(|held| version.is_empty() || agree(&version, &held))
    };
    cell.group.name == name
        || release_name::find(name, &[known]).is_ok_and(|found| found.id == release.id())
        || is_image()
}

/// Returns the moves of the fields of all stages. Only commits since the last cycle are read.
fn history(context: &mut Context<'_>) -> Result<Arc<FieldHistory>, CycleError> {
    let Context { config, inventory, tip, memory, now, .. } = context;
    let wants = |file: &str| config.stages.of(file).is_some();
    let followed = Followed { field_rules: &config.field_rules, inventory, wants: &wants };
    let paths = config.stages.stages.iter().map(|stage| stage.paths.patterns().map(str::to_owned).collect());
    let scope = Scope { paths: paths.collect(), field_rules: config.field_rules.clone() };
    let known = memory.with(|memory| memory.moves.take()).filter(|(known, _)| *known == scope);
    let history = Arc::new(FieldHistory::read(tip, followed, known.map(|(_, history)| history), *now)?);
    memory.with(|memory| memory.moves = Some((scope, Arc::clone(&history))));
    Ok(history)
}

/// Returns what may enter each cell next.
fn next(cells: &[Cell<'_>], outlooks: &[Option<Outlook>], known: &Known) -> Vec<Option<Next>> {
    cells.iter().zip(outlooks).map(|(cell, outlook)| cell.next(outlook.as_ref()?, known)).collect()
}

/// Plans what enters a stage that other stages come before.
fn enter(cell: &Cell<'_>, outlook: &Outlook, next: Option<&Next>, context: &Context<'_>, plan: &mut Plan) {
    let mut entry = None;
    if let Some(promotion) = next.and_then(|next| cell.promotion(next)) {
        entry = Some(Arc::new(Entry {
            stage: cell.stage.name.clone(),
            group: cell.group.name.clone(),
            promotion: Some(promotion),
        }));
    }
    for located in &cell.fields {
        let field = &located.field;
        let mut skip = |tag, reason, detail| {
            plan.skipped.insert(Skipped::field(&located.file, field, tag, reason, detail));
        };
        let held = field.version.tag.clone();
        let Some(next) = next else {
            match outlook.unusable.first() {
                Some(wait) => skip(held, Reason::NoCandidate, wait.detail.clone()),
                None => skip(held, Reason::UpToDate, format!("no newer release is in {}", before(cell.stage))),
            }
            continue;
        };
        let Some(version) = next.release.version_of(&field.repository) else {
            let detail = format!("{} is not in {}, so it stays", field.repository, before(cell.stage));
            skip(held, Reason::NoCandidate, detail);
            continue;
        };
        if field.version.tag == version.tag
            && field.version.digest.as_ref().is_none_or(|own| Some(own) == version.digest.as_ref())
        {
            skip(held, Reason::UpToDate, format!("holds {} already", next.release.short()));
            continue;
        }
        let is_by_forge = cell.stage.approval.as_ref().is_some_and(|approval| approval.by != ApprovalBy::Signature);
        if entry.is_some() && is_by_forge && context.terms != Terms::Proposal {
            let detail = format!("{} is approved, and its pull request is merged next", next.release.short());
            skip(version.tag, Reason::Approval, detail);
            continue;
        }
        match (&entry, next.waits.first()) {
            (Some(entry), _) => {
                let pins =
                    context.config.policies.rule_for(&field.repository).is_some_and(|rule| rule.pin || rule.track);
                let digest = match version.digest {
                    Some(digest) if pins || field.version.digest.is_some() => WantedDigest::Exactly(digest),
                    _ => WantedDigest::Without,
                };
                let (ordered_by, entry) = (OrderedBy::Promotion, Some(Arc::clone(entry)));
                plan.updates.push(Update { ordered_by, entry, ..Update::new(located, version.tag, digest) });
            }
            (None, Some(wait)) => skip(version.tag, Reason::from(wait.gate), details(&next.waits)),
            (None, None) => {}
        }
    }
}

/// Returns what a release waits for in one text.
fn details(waits: &[Wait]) -> String {
    waits.iter().map(|wait| wait.detail.as_str()).collect::<Vec<_>>().join("; ")
}

/// Returns the stages before a stage as a text.
fn before(stage: &Stage) -> String {
    let names = stage.from.iter().flat_map(|from| from.names());
    names.map(Name::as_str).collect::<Vec<_>>().join(" or ")
}

/// Lets the fields of a release in a stage that follows the registry move together. If its images choose different tags,
/// because their builds are not in the same order, none moves.
fn together(cell: &Cell<'_>, config: &TreeConfig, plan: &mut Plan) {
    let entry = Arc::new(Entry { stage: cell.stage.name.clone(), group: cell.group.name.clone(), promotion: None });
    let is_own = |update: &Update| {
        cell.fields.iter().any(|located| located.file == update.file && located.field.path == update.field.path)
    };
    let mut targets: BTreeMap<Option<&Tag>, &Repository> = BTreeMap::new();
    for located in cell.fields.iter().filter(|located| policy_of(&located.field, &config.policies).is_some()) {
        let field = &located.field;
        let update = plan.updates.iter().find(|update| update.file == located.file && update.field.path == field.path);
        let tag = update.map_or(field.version.tag.as_ref(), |update| update.tag.as_ref());
        targets.entry(tag).or_insert(&field.repository);
    }
    let rule = config.stages.releases.iter().find(|rule| rule.name.as_str() == cell.group.name);
    if rule.is_some_and(|rule| rule.tags == Tags::Same) && targets.len() > 1 {
        let each = targets.iter().map(|(tag, image)| format!("{image} {}", tag.map_or("without a tag", Tag::as_str)));
        let detail = format!("its images would not have the same tag: {}", each.collect::<Vec<_>>().join(", "));
        let apart: Vec<Update> = plan.updates.extract_if(.., |update| is_own(update)).collect();
        for update in apart {
            let skipped = Skipped::field(&update.file, &update.field, update.tag, Reason::Incomplete, detail.clone());
            plan.skipped.insert(skipped);
        }
        return;
    }
    for update in plan.updates.iter_mut().filter(|update| is_own(update)) {
        update.entry = Some(Arc::clone(&entry));
    }
}
