//! The board: what each stage holds of each release, and what may enter it next.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::manifest::inventory::{Inventory, Located};
use crate::window::schedule;

use super::arrival::Upstream;
use super::candidate::{self, Gate, Outlook, Soaked, Stay, Wait};
use super::check::CheckState;
use super::definition::{Check, From, Stage};
use super::group::Group;
use super::name::Name;
use super::promotion::{Evidence, Promotion};
use super::release::Release;
use super::stages::Stages;
use super::timeline::{FieldMove, Held, Tenure, tenures};

/// The images of a release in a stage.
#[derive(Debug)]
pub struct Cell<'b> {
    /// The stage.
    pub stage: &'b Stage,
    /// The images that are released together.
    pub group: &'b Group,
    /// Their fields in the stage.
    pub fields: Vec<&'b Located>,
    /// What the stage has held of them, newest first.
    pub tenures: Vec<Tenure>,
}

/// What may enter a stage next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// The release.
    pub release: Release,
    /// What it waits for; nothing if it can be promoted now.
    pub waits: Vec<Wait>,
    /// What proves it so far.
    pub evidence: Vec<Evidence>,
    /// The stages before in which it is proven.
    pub from: Vec<Name>,
}

/// The evidence that is not in the history of the fields.
pub trait Facts {
    /// Returns the reason if a release was rolled back or is held in a stage.
    fn hold_on(&self, stage: &Name, release: &Release) -> Option<String>;
    /// Returns the state of a check on the commit that began a stay.
    fn check(&self, check: &Check, stay: &Stay) -> CheckState;
    /// Returns the state of a window.
    fn window(&self, name: &Name) -> schedule::State;
    /// Returns what approves that a release enters a stage, or what is missing.
    fn approval(&self, stage: &Stage, release: &Release) -> Result<Vec<Evidence>, Wait>;
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

/// Returns the cells that have fields, in the order of stages and groups.
pub fn cells<'b>(
    stages: &'b Stages,
    groups: &'b [Group],
    inventory: &'b Inventory,
    moves: &[FieldMove],
) -> Vec<Cell<'b>> {
    let mut cells = Vec::new();
    for stage in &stages.stages {
        let in_stage = |moved: &&FieldMove| stages.of(&moved.file).is_some_and(|own| own.name == stage.name);
        let of_stage: Vec<&FieldMove> = moves.iter().filter(in_stage).collect();
        for group in groups {
            let fields = group.fields_in(stage, stages, inventory);
            if fields.is_empty() {
                continue;
            }
            let moves: Vec<&FieldMove> =
                of_stage.iter().filter(|moved| group.images.contains(&moved.image)).copied().collect();
            let tenures = tenures(&fields, &moves);
            cells.push(Cell { stage, group, fields, tenures });
        }
    }
    cells
}

impl Cell<'_> {
    /// Returns what the stage holds now.
    pub fn held(&self) -> Option<&Tenure> {
        self.tenures.first()
    }

    /// Returns the releases that may enter the stage, judged by the history of the stages before. `None` if it follows the
    /// registry.
    pub fn outlook(&self, cells: &[Cell<'_>], facts: &dyn Facts) -> Option<Outlook> {
        let from = self.stage.from.as_ref()?;
        let upstream = |name: &Name| {
            let cell = cells.iter().find(|cell| cell.stage.name == *name && cell.group == self.group);
            let absent = || vec![Tenure { held: Held::Nothing, since: None, end: None }];
            Upstream { stage: name.clone(), tenures: cell.map_or_else(absent, |cell| cell.tenures.clone()) }
        };
        let upstream: Vec<Upstream> = from.names().iter().map(upstream).collect();
        let mut outlook = candidate::outlook(
            self.stage,
            &self.tenures,
            &upstream,
            &|stage, release| facts.hold_on(stage, release).or_else(|| self.taken_back_before(stage, release, cells)),
            facts.now(),
        );
        if upstream.iter().all(|upstream| upstream.tenures.iter().all(|tenure| tenure.held == Held::Nothing)) {
            let names: Vec<&str> = from.names().iter().map(Name::as_str).collect();
            let detail =
                format!("{} has no field in {}, so nothing can be promoted", self.group.name, names.join(", "));
            outlook.unusable.push(Wait { gate: Gate::Image, detail, until: None });
        }
        Some(outlook)
    }

    /// Returns what may enter the stage next, with everything that it waits for.
    ///
    /// That is the newest release that soaked, passed its checks and is approved. If none is, it is the newest one that
    /// only lacks an approval, and then the newest one of all: a stage before that moves fast starves nobody, and neither
    /// does a newer release that nobody has approved.
    pub fn next(&self, outlook: &Outlook, facts: &dyn Facts) -> Option<Next> {
        let mut best: Option<(u8, Next)> = None;
        for soaked in &outlook.soaked {
            let (rank, next) = self.judge(soaked, facts);
            if best.as_ref().is_none_or(|(other, _)| rank < *other) {
                best = Some((rank, next));
            }
            if rank == 0 {
                break;
            }
        }
        let waiting = || {
            let (release, wait) = outlook.waiting.first()?;
            Some(Next { release: release.clone(), waits: vec![wait.clone()], evidence: Vec::new(), from: Vec::new() })
        };
        let mut next = best.map(|(_, next)| next).or_else(waiting)?;
        next.waits.extend(self.windows(facts));
        Some(next)
    }

    /// Returns the promotion of a release that waits for nothing.
    pub fn promotion(&self, next: &Next) -> Option<Promotion> {
        let Next { release, waits, evidence, from } = next;
        waits.is_empty().then(|| Promotion {
            stage: self.stage.name.clone(),
            from: from.clone(),
            group: self.group.name.clone(),
            release: release.clone(),
            fields: self.fields.len(),
            evidence: evidence.clone(),
        })
    }

    /// Judges a release that was long enough in the stages before: 0 if nothing is missing but a window, 1 if only an
    /// approval is missing.
    fn judge(&self, soaked: &Soaked, facts: &dyn Facts) -> (u8, Next) {
        let mut next = Next {
            release: soaked.release.clone(),
            waits: Vec::new(),
            evidence: soaked.stays.iter().map(soak).collect(),
            from: soaked.stays.iter().map(|stay| stay.stage.clone()).collect(),
        };
        let checks = soaked.stays.iter().flat_map(|stay| self.stage.checks.iter().map(move |check| (check, stay)));
        for (check, stay) in checks {
            match check_evidence(check, facts.check(check, stay)) {
                Ok(evidence) => next.evidence.push(evidence),
                Err(wait) => next.waits.push(wait),
            }
        }
        let is_proven = next.waits.is_empty();
        match facts.approval(self.stage, &soaked.release) {
            Ok(evidence) => next.evidence.extend(evidence),
            Err(wait) => next.waits.push(wait),
        }
        (
            if next.waits.is_empty() {
                0
            } else if is_proven {
                1
            } else {
                2
            },
            next,
        )
    }

    /// Returns where a release was taken back among the stages before another one. What turned out to be bad there goes no
    /// further, even if it has reached the next stage by then.
    fn taken_back_before(&self, stage: &Name, release: &Release, cells: &[Cell<'_>]) -> Option<String> {
        let before = |name: &Name| {
            let stage = cells.iter().map(|cell| cell.stage).find(|stage| stage.name == *name);
            stage.and_then(|stage| stage.from.as_ref()).map_or(&[][..], From::names)
        };
        let released = Held::Release(release.clone());
        let mut open: Vec<&Name> = before(stage).iter().collect();
        let mut seen = BTreeSet::new();
        while let Some(name) = open.pop() {
            if !seen.insert(name) {
                continue;
            }
            open.extend(before(name));
            let same = |tenure: &&Tenure| tenure.held.agrees_with(&released);
            let cell = cells.iter().find(|cell| cell.stage.name == *name && cell.group == self.group);
            let last = cell.and_then(|cell| cell.tenures.iter().find(same));
            if last.and_then(|tenure| tenure.end.as_ref()).is_some_and(|end| end.takes_back) {
                return Some(format!("{} was taken back in {name}", release.short()));
            }
        }
        None
    }

    fn windows(&self, facts: &dyn Facts) -> Vec<Wait> {
        self.stage.windows.iter().filter_map(|name| closed(name, &facts.window(name))).collect()
    }
}

/// Returns what a promotion waits for if a window is closed.
pub fn closed(name: &Name, state: &schedule::State) -> Option<Wait> {
    let rule = state.closed_by.as_ref()?;
    let detail = match state.until {
        Some(until) => format!("the window {name} is closed ({rule}) until {until}"),
        None => format!("the window {name} is closed: {rule}"),
    };
    Some(Wait { gate: Gate::Window, detail, until: state.until })
}

fn soak(stay: &Stay) -> Evidence {
    let minutes = SignedDuration::from_mins(stay.lasted.as_mins());
    let lasted = if minutes.is_zero() { SignedDuration::from_secs(stay.lasted.as_secs()) } else { minutes };
    let detail = format!("{} since {}", format!("{lasted:#}").replace(' ', ""), stay.since.commit);
    Evidence { kind: "soak".to_owned(), detail, url: None }
}

fn check_evidence(check: &Check, state: CheckState) -> Result<Evidence, Wait> {
    let wait_for = |detail: String| Wait { gate: Gate::Check, detail, until: None };
    let wait = |detail: String| Err(wait_for(detail));
    match state {
        CheckState::Passed { url } => {
            Ok(Evidence { kind: "check".to_owned(), detail: format!("{check} success"), url })
        }
        CheckState::Failed { detail } => {
            Err(Wait { gate: Gate::FailedCheck, ..wait_for(format!("{check} failed: {detail}")) })
        }
        CheckState::Waiting { detail } => wait(format!("{check}: {detail}")),
        CheckState::Unknown { detail } => wait(format!("{check} could not be queried: {detail}")),
    }
}
