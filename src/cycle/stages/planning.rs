//! Plans promotions: a function of the tip, its history, and the evidence.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::block_in_place;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::history::moves::{FieldHistory, Followed};
use crate::cycle::schedules;
use crate::plan::decide::{Plan, Update, WantedDigest};
use crate::plan::order_record::OrderedBy;
use crate::plan::skip::{Reason, Skipped};
use crate::stage::board::{self, Cell, Facts, Next};
use crate::stage::candidate::{Gate, Outlook, Stay, Wait};
use crate::stage::check::CheckState;
use crate::stage::definition::{Check, Stage};
use crate::stage::group::groups;
use crate::stage::name::Name;
use crate::stage::promotion::{Entry, Evidence};
use crate::stage::release::Release;
use crate::window::schedule::{Schedule, State};

use super::status::CellStatus;

/// Adds the promotions that nothing keeps back to a plan, and what the other releases wait for.
pub async fn plan(context: &mut Context<'_>, plan: &mut Plan) -> Result<(), CycleError> {
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
    let schedules = block_in_place(|| schedules::of(context.tip, &stages))?;
    let named = block_in_place(|| context.memory.holds(context.tip, &mut context.history))?.named;
    let hold_on = |_: &Name, release: &Release| {
        let mut holds = release.images().keys().filter_map(|image| named.on(image, &release.version_of(image)?));
        holds.next().map(ToString::to_string)
    };
    let facts = Facts {
        hold_on: &hold_on,
        check: &|check: &Check, _: &Stay| CheckState::Unknown { detail: format!("{check} is not supported yet") },
        window: &|name: &Name| window(&schedules, name, context.now),
        approval: &|stage: &Stage, _: &Release| approval(stage),
        now: context.now,
    };
    let outlooks: Vec<Option<Outlook>> = cells.iter().map(|cell| cell.outlook(&cells, &facts)).collect();
    let mut statuses = Vec::with_capacity(cells.len());
    for (cell, outlook) in cells.iter().zip(&outlooks) {
        let next = outlook.as_ref().and_then(|outlook| cell.next(outlook, &facts));
        statuses.push(CellStatus::of(cell, next.as_ref()));
        match outlook {
            Some(outlook) => enter(cell, outlook, next.as_ref(), context, plan),
            None => together(cell, plan),
        }
    }
    plan.updates.sort_by(|a, b| (&a.file, a.field.place).cmp(&(&b.file, b.field.place)));
    let warnings = schedules.iter().filter_map(|schedule| schedule.state_at(context.now).warning);
    warnings.collect::<Vec<_>>().into_iter().for_each(|warning| context.note(warning));
    context.board = statuses;
    Ok(())
}

/// Returns the moves of the fields of all stages. Only commits since the last cycle are read.
fn history(context: &mut Context<'_>) -> Result<Arc<FieldHistory>, CycleError> {
    let Context { config, inventory, tip, memory, now, .. } = context;
    let wants = |file: &str| config.stages.of(file).is_some();
    let followed = Followed { field_rules: &config.field_rules, inventory, wants: &wants };
    let known = memory.with(|memory| memory.moves.take());
    let history = Arc::new(FieldHistory::read(tip, followed, known, *now)?);
    memory.with(|memory| memory.moves = Some(Arc::clone(&history)));
    Ok(history)
}

fn window(schedules: &[Schedule], name: &Name, now: jiff::Timestamp) -> State {
    let schedule = schedules.iter().find(|schedule| schedule.name() == name.as_str());
    let unknown = || State { closed_by: Some("it is not defined".to_owned()), opened_by: None, until: None, warning: None };
    schedule.map_or_else(unknown, |schedule| schedule.state_at(now))
}

fn approval(stage: &Stage) -> Result<Vec<Evidence>, Wait> {
    match &stage.approval {
        None => Ok(Vec::new()),
        Some(approval) => {
            let detail = format!("0 of {} approvals by {}", approval.need, approval.by.name());
            Err(Wait { gate: Gate::Approval, detail, until: None })
        }
    }
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
        if field.version.tag == version.tag && field.version.digest.as_ref().is_none_or(|own| Some(own) == version.digest.as_ref()) {
            skip(held, Reason::UpToDate, format!("holds {} already", next.release.short()));
            continue;
        }
        match (&entry, next.waits.first()) {
            (Some(entry), _) => {
                let pins = context.config.policies.rule_for(&field.repository).is_some_and(|rule| rule.pin || rule.track);
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

/// Lets the fields of a release in a stage that follows the registry move together.
fn together(cell: &Cell<'_>, plan: &mut Plan) {
    let entry = Arc::new(Entry { stage: cell.stage.name.clone(), group: cell.group.name.clone(), promotion: None });
    let fields: BTreeMap<(&str, &str), ()> =
        cell.fields.iter().map(|located| ((located.file.as_str(), located.field.path.as_str()), ())).collect();
    for update in &mut plan.updates {
        if fields.contains_key(&(update.file.as_str(), update.field.path.as_str())) {
            update.entry = Some(Arc::clone(&entry));
        }
    }
}
