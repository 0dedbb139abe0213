//! An account of what stages held, from the states of all commits, that shares nothing with the engine.

use jiff::{SignedDuration, Timestamp};
use tagalong::stage::definition::From;

use super::world::{Kind, Planned, World, hours, is_closed};

/// A time in which a stage held the same versions of some images.
struct Run {
    versions: Vec<u8>,
    start: usize,
    end: Option<usize>,
}

/// The times in which the fields of a stage agreed, oldest first.
fn runs(world: &World, stage: usize, images: &[usize]) -> Vec<Run> {
    let held = |state: &Vec<u8>| -> Option<Vec<u8>> {
        let of = |image: &usize| {
            let numbers: Vec<u8> = world.places_in(stage, &[*image]).into_iter().map(|place| state[place]).collect();
            numbers.iter().all(|number| *number == numbers[0]).then_some(numbers[0])
        };
        images.iter().map(of).collect()
    };
    let mut runs: Vec<(Option<Vec<u8>>, usize)> = Vec::new();
    for (index, state) in world.states.iter().enumerate() {
        let now = held(state);
        if runs.last().is_none_or(|(last, _)| *last != now) {
            runs.push((now, index));
        }
    }
    let ends = runs.iter().skip(1).map(|(_, start)| Some(*start)).chain([None]).collect::<Vec<_>>();
    let whole =
        runs.into_iter().zip(ends).filter_map(|((versions, start), end)| Some(Run { versions: versions?, start, end }));
    whole.collect()
}

/// When a commit arrived at the latest, as far as clocks can be trusted.
fn latest(world: &World, commit: usize) -> Timestamp {
    let claimed = world.commits[..=commit].iter().map(|commit| commit.claimed);
    claimed.max().expect("a commit").min(world.now)
}

fn earliest(world: &World, commit: usize) -> Timestamp {
    world.commits[commit].claimed.min(latest(world, commit))
}

fn before(world: &World, stage: usize) -> (Vec<usize>, bool) {
    let names = |from: &From| from.names().iter().map(|name| name.as_str()[1..].parse().expect("a number")).collect();
    match &world.stages.stages[stage].from {
        Some(from @ From::All(_)) => (names(from), true),
        Some(from @ From::Any(_)) => (names(from), false),
        None => (Vec::new(), false),
    }
}

fn soak(world: &World, stage: usize) -> SignedDuration {
    hours((world.stages.stages[stage].soak.as_secs() / 3600) as i64)
}

/// Whether a release was proved in a stage for the next one.
fn is_proved(world: &World, stage: usize, next: usize, images: &[usize], versions: &[u8]) -> bool {
    let mut is_newest = true;
    for run in runs(world, stage, images).iter().rev().filter(|run| run.versions == versions && run.start > 0) {
        if run.end.is_some_and(|end| world.commits[end].kind.takes_back()) {
            return false;
        }
        let until = run.end.map_or(world.now, |end| earliest(world, end));
        let has_soaked = until.duration_since(latest(world, run.start)).max(hours(0)) >= soak(world, next);
        let has_passed =
            world.stages.stages[next].checks.is_empty() || world.checks.get(&(stage, run.start)) == Some(&true);
        if has_soaked && has_passed {
            return true;
        }
        if is_newest && run.end.is_none() {
            return false;
        }
        is_newest = false;
    }
    false
}

/// Whether a release was taken back in a stage before this one.
fn was_taken_back_before(world: &World, stage: usize, images: &[usize], versions: &[u8]) -> bool {
    before(world, stage).0.into_iter().any(|stage| {
        let runs = runs(world, stage, images);
        let last = runs.iter().rev().find(|run| run.versions == versions);
        last.and_then(|run| run.end).is_some_and(|end| world.commits[end].kind.takes_back())
            || was_taken_back_before(world, stage, images, versions)
    })
}

/// Returns what is wrong with a commit that the agent is about to push.
pub fn check(world: &World, planned: &Planned) -> Result<(), String> {
    let Kind::Promotion { stage, images, versions, .. } = &planned.kind else { return Ok(()) };
    let what = |what: &str| Err(format!("{what}: s{stage} {images:?} {versions:?}\n{}", told(world)));
    if !world.groups().contains(images) {
        return what("not whole");
    }
    let own = &world.stages.stages[*stage];
    let (upstream, all) = before(world, *stage);
    let proved = |from: &usize| {
        is_proved(world, *from, *stage, images, versions) && !was_taken_back_before(world, *from, images, versions)
    };
    if !(if all { upstream.iter().all(proved) } else { upstream.iter().any(proved) }) {
        return what("not proved");
    }
    let id = world.release(images, versions).id().to_string();
    let approvals = world.approved.get(&(*stage, id)).map_or(0, |who| who.len());
    if own.approval.as_ref().is_some_and(|approval| approvals < approval.need as usize) {
        return what("not approved");
    }
    if !own.windows.is_empty() && is_closed(world.now) {
        return what("not in a window");
    }
    let is_held = |(image, number): &(usize, Option<u8>)| {
        let place = images.iter().position(|own| own == image);
        place.is_some_and(|place| number.is_none_or(|number| number == versions[place]))
    };
    if world.holds.iter().any(is_held) {
        return what("held");
    }
    let places = world.places_in(*stage, images);
    let mut after = world.tip().to_vec();
    planned.changes.iter().for_each(|(place, to)| after[*place] = *to);
    let wanted =
        |place: &usize| versions[images.iter().position(|own| *own == world.places[*place].image).expect("own")];
    if !places.iter().all(|place| after[*place] == wanted(place)) || planned.changes.len() != places.len() {
        return what("a part only");
    }
    order(world, *stage, images, versions, &upstream).map_or(Ok(()), what)
}

/// Returns how a promotion would go back, or come twice.
fn order(world: &World, stage: usize, images: &[usize], versions: &[u8], upstream: &[usize]) -> Option<&'static str> {
    let arrival = |versions: &[u8]| {
        let runs = upstream.iter().flat_map(|from| runs(world, *from, images));
        runs.filter(|run| run.versions == versions).map(|run| run.start).min()
    };
    let own = runs(world, stage, images);
    let arrived = arrival(versions)?;
    if let Some(current) = own.last().filter(|run| run.end.is_none()) {
        if current.versions == versions {
            return Some("twice in a row");
        }
        let than = arrival(&current.versions).unwrap_or(current.start);
        if arrived <= than {
            return Some("back");
        }
    }
    let last = own.iter().rev().find(|run| run.versions == versions)?;
    let end = last.end?;
    let moved_on = !world.commits[end].kind.takes_back();
    let goes_past = |kind: &Kind| kind.takes_back() || kind.is_glass();
    if moved_on && own.iter().any(|run| run.start > end && goes_past(&world.commits[run.start].kind)) {
        // Somebody went back past it, which says nothing about it.
        return None;
    }
    let is_resumed = world.resumed.iter().any(|(image, number, at)| {
        let place = images.iter().position(|own| own == image);
        *at > end && place.is_some_and(|place| number.is_none_or(|number| number == versions[place]))
    });
    let was_promoted = matches!(world.commits[last.start].kind, Kind::Promotion { .. });
    (was_promoted && !is_resumed && !world.commits[end].kind.is_glass()).then_some("twice")
}

/// The moves that lack something, by commit and file, oldest first.
pub fn unproved(world: &World) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for index in 1..world.commits.len() {
        for (place, (old, new)) in world.states[index - 1].iter().zip(&world.states[index]).enumerate() {
            let of = &world.places[place];
            let fields = world.places_in(of.stage, &[of.image]);
            let was_here = fields.iter().any(|field| world.states[..index].iter().any(|state| state[*field] == *new));
            if old != new && of.stage > 0 && !was_here && lacks(world, index, place, *new) {
                found.push((index, of.located.file.clone()));
            }
        }
    }
    found.sort();
    found
}

fn lacks(world: &World, index: usize, place: usize, number: u8) -> bool {
    let stage = &world.stages.stages[world.places[place].stage];
    let kind = &world.commits[index].kind;
    if let Kind::Glass { stage, who, is_signed } = kind {
        let acknowledges = |later: &Kind| matches!(later, Kind::Acknowledge { stage: of, who: by } if of == stage && by != who && *by != "eve");
        if !world.commits[index..].iter().any(|commit| acknowledges(&commit.kind)) {
            return true;
        }
        return !is_signed;
    }
    let (upstream, all) = before(world, world.places[place].stage);
    let soaked = |from: &usize| has_soaked(world, *from, index, place, number);
    let is_promotion = matches!(kind, Kind::Promotion { .. });
    let approvals = if let Kind::Promotion { approvals, .. } = kind { *approvals } else { 0 };
    !(if all { upstream.iter().all(soaked) } else { upstream.iter().any(soaked) })
        || (!stage.checks.is_empty() && !is_promotion)
        || (!stage.windows.is_empty() && is_closed(latest(world, index)))
        || stage.approval.as_ref().is_some_and(|approval| approvals < approval.need as usize)
}

/// Whether a field of the same image held a version in a stage for long enough before a commit.
fn has_soaked(world: &World, from: usize, index: usize, place: usize, number: u8) -> bool {
    let soak = soak(world, world.places[place].stage);
    world.places_in(from, &[world.places[place].image]).into_iter().any(|field| {
        let holds = |state: usize| world.states[state][field] == number;
        let starts = (0..index).filter(|state| holds(*state) && (*state == 0 || !holds(*state - 1)));
        let mut lasted = starts.map(|start| {
            if start == 0 {
                return SignedDuration::MAX;
            }
            let end = (start..index).find(|state| !holds(*state)).unwrap_or(index);
            earliest(world, end).duration_since(latest(world, start))
        });
        lasted.any(|lasted| lasted >= soak)
    })
}

/// The history, for failures.
fn told(world: &World) -> String {
    let line = |(index, commit): (usize, &super::world::Commit)| {
        format!("{index} {} {:?} {:?}\n", commit.claimed, commit.kind, world.states[index])
    };
    world.commits.iter().enumerate().map(line).collect()
}
