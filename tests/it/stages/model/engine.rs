//! What tagalong makes of a history: its plan, and its audit.

use std::collections::HashMap;

use jiff::Timestamp;
use tagalong::cycle::history::moves::arrivals;
use tagalong::image::Version;
use tagalong::manifest::inventory::{Inventory, Located};
use tagalong::plan::approvals::StageOrders;
use tagalong::plan::audit;
use tagalong::plan::broken_glass::OrderCommit;
use tagalong::plan::hold::{Change, CommitRecord, NamedHolds, by_history};
use tagalong::stage::board::{self, Facts};
use tagalong::stage::candidate::{Gate, Stay, Wait};
use tagalong::stage::check::CheckState;
use tagalong::stage::definition::{Check, Stage, Tags};
use tagalong::stage::group::groups;
use tagalong::stage::name::Name;
use tagalong::stage::promotion::{APPROVAL, Evidence};
use tagalong::stage::release::Release;
use tagalong::stage::timeline::FieldMove;
use tagalong::window::schedule::State;

use std::sync::Arc;

use super::world::{Kind, Planned, World, is_closed, version};

/// The moves, newest first, as a process reads them that has never seen the branch before.
fn moves(world: &World) -> Vec<FieldMove> {
    let times = arrivals(world.commits.iter().map(|commit| commit.claimed), None, world.now);
    let mut moves = Vec::new();
    for (commit, when) in world.commits.iter().zip(times).rev() {
        moves.extend(commit.moves.iter().cloned().map(|mut moved| {
            moved.at.when = when;
            moved
        }));
    }
    moves
}

fn records(world: &World) -> Vec<Arc<CommitRecord>> {
    world.commits.iter().rev().map(|commit| Arc::clone(&commit.record)).collect()
}

fn inventory(world: &World) -> Inventory {
    let mut inventory = Inventory::default();
    inventory.fields = world
        .places
        .iter()
        .zip(world.tip())
        .map(|(place, number)| {
            let mut located: Located = place.located.clone();
            located.field.version = version(*number);
            located
        })
        .collect();
    inventory
}

struct Known<'w> {
    world: &'w World,
    holds: NamedHolds,
    orders: StageOrders,
}

impl Facts for Known<'_> {
    fn hold_on(&self, _stage: &Name, release: &Release) -> Option<String> {
        let hold = |image| self.holds.on(image, &release.version_of(image)?);
        release.images().keys().find_map(hold).map(ToString::to_string)
    }

    fn check(&self, _check: &Check, stay: &Stay) -> CheckState {
        let commit = usize::from_str_radix(&stay.since.commit, 16).expect("an ID");
        match self.world.checks.get(&(number(&stay.stage), commit)) {
            Some(true) => CheckState::Passed { url: None },
            Some(false) => CheckState::Failed { detail: "red".to_owned() },
            None => CheckState::Waiting { detail: "not yet".to_owned() },
        }
    }

    fn window(&self, _name: &Name) -> State {
        let closed_by = is_closed(self.world.now).then(|| "closed".to_owned());
        State { closed_by, opened_by: None, until: None, warning: None }
    }

    fn approval(&self, stage: &Stage, release: &Release) -> Result<Vec<Evidence>, Wait> {
        let Some(approval) = &stage.approval else { return Ok(Vec::new()) };
        let id = release.id();
        let given = self.orders.approvals_of(&stage.name, &id).map(|given| Evidence {
            kind: APPROVAL.to_owned(),
            detail: format!("{} by signature", given.by.who),
            url: None,
        });
        let given: Vec<Evidence> = given.collect();
        let wait = Wait { gate: Gate::Approval, detail: "not enough".to_owned(), until: None };
        if given.len() >= approval.need as usize { Ok(given) } else { Err(wait) }
    }

    fn now(&self) -> Timestamp {
        self.world.now
    }
}

fn number(stage: &Name) -> usize {
    stage.as_str().trim_start_matches('s').parse().expect("a number")
}

/// What the agent would push.
pub fn plan(world: &World) -> Vec<Planned> {
    let (moves, records, inventory) = (moves(world), records(world), inventory(world));
    let known =
        Known { world, holds: NamedHolds::after(&[], &records), orders: StageOrders::default().after(&records) };
    let is_held = |place: usize, to: &Version| {
        let located = &world.places[place].located;
        known.holds.on(&located.field.repository, to).is_some()
            || by_history(&changes(world, located), &records, &located.field.repository, to).is_some()
    };
    let mut planned = deployments(world);
    let groups = groups(&world.stages, &inventory);
    let cells = board::cells(&world.stages, &groups, &inventory, &moves);
    for cell in &cells {
        let outlook = cell.outlook(&cells, &known);
        let next = outlook.and_then(|outlook| cell.next(&outlook, &known));
        let Some(promotion) = next.and_then(|next| cell.promotion(&next)) else { continue };
        let stage = number(&cell.stage.name);
        let mut images = Vec::new();
        let mut versions = Vec::new();
        for image in 0..world.images {
            let build = promotion.release.images().get(world.repository(image));
            let tag = build.and_then(|build| build.tag.as_ref());
            if let Some(tag) = tag {
                images.push(image);
                versions.push(tag.as_str()[1..].parse().expect("a number"));
            }
        }
        let of = |place: &usize| {
            versions[images.iter().position(|image| *image == world.places[*place].image).expect("in it")]
        };
        let changes = world.places_in(stage, &images).into_iter().map(|place| (place, of(&place))).collect();
        let mut trailers = format!("Tagalong-Promote: {}\n", promotion.trailer());
        promotion.evidence.iter().for_each(|evidence| trailers.push_str(&format!("{}\n", evidence.trailer())));
        let approvals = promotion.evidence.iter().filter(|evidence| evidence.kind == APPROVAL).count();
        planned.push(Planned { kind: Kind::Promotion { stage, images, versions, approvals }, changes, trailers });
    }
    // A release moves whole or not at all.
    planned.retain(|commit| {
        let mut moved = commit.changes.iter().filter(|(place, to)| world.tip()[*place] != *to).peekable();
        moved.peek().is_some() && !moved.any(|(place, to)| is_held(*place, &version(*to)))
    });
    planned
}

fn changes(world: &World, located: &Located) -> Vec<Change> {
    let mut changes = Vec::new();
    for commit in world.commits.iter().rev() {
        for moved in commit.moves.iter().filter(|moved| moved.file == located.file) {
            changes.push(Change {
                record: Arc::clone(&commit.record),
                file: moved.file.clone(),
                path: moved.path.clone(),
                from: moved.from.clone(),
                to: moved.to.clone(),
            });
        }
    }
    changes
}

/// The newest builds, for the first stage.
fn deployments(world: &World) -> Vec<Planned> {
    let mut planned = Vec::new();
    for images in world.groups() {
        let newest = |image: usize| {
            let whole = |number: &&u8| {
                world.tags != Some(Tags::Same) || world.registry.iter().all(|builds| builds.contains(number))
            };
            world.registry[image].iter().rev().find(whole).copied().unwrap_or(1)
        };
        let places = world.places_in(0, &images);
        let changes: Vec<(usize, u8)> =
            places.into_iter().map(|place| (place, newest(world.places[place].image))).collect();
        if changes.iter().all(|(place, to)| world.tip()[*place] <= *to) {
            planned.push(Planned { kind: Kind::Deploy, changes, trailers: String::new() });
        }
    }
    planned
}

/// The moves that the audit finds, by commit and file, oldest first.
pub fn audit(world: &World) -> Vec<(usize, String)> {
    let (moves, records, inventory) = (moves(world), records(world), inventory(world));
    let orders = records.iter().filter(|record| !record.trailers.stage_orders.is_empty());
    let orders: Vec<OrderCommit> =
        orders.map(|record| OrderCommit { ago: record.ago, record: Arc::clone(record) }).collect();
    let records: HashMap<String, Arc<CommitRecord>> =
        records.iter().map(|record| (record.commit.clone(), Arc::clone(record))).collect();
    let evidence = audit::Evidence {
        stages: &world.stages,
        fields: &inventory.fields,
        moves: &moves,
        records: &records,
        orders: &orders,
        closed: &|_, at| is_closed(at.when).then(|| "closed".to_owned()),
    };
    let found = audit::audit(&evidence, None).unproved;
    let place =
        |found: audit::Unproved| (usize::from_str_radix(&found.entry.commit, 16).expect("an ID"), found.entry.file);
    let mut found: Vec<(usize, String)> = found.into_iter().map(place).collect();
    found.sort();
    found
}
