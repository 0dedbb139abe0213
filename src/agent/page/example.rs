//! A state of the agent with something of everything, for tests of what shows it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::agent::board::StageBoard;
use crate::agent::link::CommitLink;
use crate::agent::listing::Listing;
use crate::agent::query::{Query, QueryError, Sizes};
use crate::agent::row::Row;
use crate::agent::snapshot::{Snapshot, SnapshotStore};
use crate::agent::status::{Done, Failed, Move, Notes, Rollout};
use crate::cluster::election::Leadership;
use crate::cluster::rollout::Product;
use crate::cycle::move_log::MoveLog;
use crate::cycle::stage_gates::{ExplainedStage, GateState, StageGate};
use crate::cycle::stages::report::{Concerns, StageReport};
use crate::cycle::stages::status::{CellStatus, NextStatus, WaitStatus};
use crate::cycle::status::{FieldVersion, HoldStatus, ImageStatus, State, StatusReason};
use crate::image::Tag;
use crate::plan::broken_glass::BrokenGlass;
use crate::plan::history_entry::{ActorProof, HistoryEntry, MoveAct};
use crate::plan::skip::Reason;
use crate::stage::promotion::Evidence;

use super::View;

/// The commit of everything that moved.
pub const COMMIT: &str = "c0ffee0c0ffee0c0ffee0c0ffee0c0ffee0c0ffe";

/// The time at which the pages are shown.
pub fn now() -> Timestamp {
    "2026-11-27T12:00:00Z".parse().expect("a time")
}

fn ago(minutes: i64) -> Timestamp {
    now() - SignedDuration::from_mins(minutes)
}

fn tag(text: &str) -> Tag {
    text.parse().expect("a tag")
}

/// An image with a reason for its state, and a field in each of the files.
pub fn row(image: &str, state: State, candidate: Option<&str>, detail: &str, files: &[&str]) -> Row {
    let place = |file: &&str| FieldVersion {
        file: (*file).to_owned(),
        path: "images[0].newTag".to_owned(),
        tag: Some(tag("1a2b3c4d5e6f1a2b3c4d5e6f1a2b3c4d5e6f1a2b")),
        digest: None,
        stage: None,
        line: 7,
    };
    let reason = match state {
        State::Kept(reason) => reason,
        _ => Reason::UpToDate,
    };
    let status = ImageStatus {
        image: image.parse().expect("an image"),
        policy: "ghcr.io/acme/*".to_owned(),
        state,
        candidate: candidate.map(tag),
        current: files.iter().map(place).collect(),
        reasons: vec![StatusReason { field: None, reason, tag: None, detail: detail.to_owned() }],
        holds: vec![HoldStatus {
            tag: Some(tag("0badf00d")),
            digest: None,
            since: ago(90),
            by: "Ada <ada@example.com>".to_owned(),
            reason: "slow".to_owned(),
            commit: Some(COMMIT.to_owned()),
            pull_request: None,
        }],
        source: Some("https://git.example.com/acme/app".to_owned()),
    };
    Row { status, since: ago(200), commit: Some(COMMIT.to_owned()) }
}

/// A state of the agent with something of everything.
pub fn snapshot() -> Snapshot {
    let mut snapshot = Arc::unwrap_or_clone(SnapshotStore::default().snapshot());
    let url = "https://user:hunter2@git.example.com/org/infra.git".parse().expect("a URL");
    snapshot.started = ago(600);
    snapshot.commit_link = CommitLink::of(&url);
    snapshot.repository = Some((url, "main".to_owned()));
    snapshot.is_suspended = true;
    snapshot.rejected_config = Some((ago(3), "tagalong.yaml:3:1: <img src=x>".to_owned()));
    snapshot.leadership = Leadership::Unknown { reason: Some("the API does not answer".to_owned()) };
    snapshot.watched = [Product::Flux].into();
    snapshot.status.failed = Some(Failed {
        number: 8,
        at: ago(1),
        consecutive: 3,
        error: "cannot reach \"git\"".to_owned(),
        cause: Some("connection refused".to_owned()),
        help: Some("check the network".to_owned()),
    });
    snapshot.status.done = Some(Done { number: 5, at: ago(4), seconds: 0.42, head: COMMIT.to_owned() });
    let rows = vec![
        row("ghcr.io/acme/shop", State::UpToDate, None, "holds the newest tag", &["apps/shop/kustomization.yaml"]),
        row(
            "ghcr.io/acme/till",
            State::Kept(Reason::BlockedSecret),
            Some("5d6e7f8"),
            "<script>alert(1)</script>",
            &["a.yaml", "b.yaml"],
        ),
        row("ghcr.io/acme/cart", State::Kept(Reason::Held), Some("5d6e7f8"), "held by Ada", &["cart.yaml"]),
    ];
    snapshot.status.images = Arc::new(Listing::new(rows));
    snapshot.status.moves.push_front(Move {
        at: ago(10),
        image: "ghcr.io/acme/shop".parse().expect("an image"),
        from: None,
        to: "1a2b3c4d5e6f".to_owned(),
        file: "apps/shop/kustomization.yaml".to_owned(),
        commit: COMMIT.to_owned(),
    });
    let rollout = Rollout {
        outcome: "failed",
        detail: Some("BuildFailed: <b>".to_owned()),
        kustomization: Some("flux-system/apps".to_owned()),
        application: None,
        commit: COMMIT.to_owned(),
        to: "1a2b3c4d5e6f".to_owned(),
        at: ago(9),
        seconds: 3.4,
    };
    snapshot.status.rollouts = Arc::new([("ghcr.io/acme/shop".to_owned(), vec![rollout])].into());
    snapshot.status.stages = Arc::new(stages());
    snapshot.status.notes = Notes { first: vec!["charts/x.yaml is not valid YAML".to_owned()], more: 4312 };
    snapshot.history = Some(Arc::new(MoveLog::example(history())));
    snapshot
}

/// Two stages, in which an approval is missing, a check has failed, and the glass was broken.
fn stages() -> StageBoard {
    let name = |text: &str| text.parse().expect("a name");
    let next = |gate: &str, detail: &str, has_failed| {
        let wait = WaitStatus { gate: gate.to_owned(), detail: detail.to_owned(), until: None, has_failed };
        let soak = WaitStatus {
            gate: "soak".to_owned(),
            detail: "soaking in beta until 14:30".to_owned(),
            until: Some(ago(-150)),
            has_failed: false,
        };
        Some(NextStatus { tag: Some(tag("5d6e7f8")), id: None, waits: vec![wait, soak], evidence: Vec::new() })
    };
    let board = vec![
        CellStatus::example(name("beta"), "ghcr.io/acme/shop", None),
        CellStatus::example(name("beta"), "till", None),
        CellStatus::example(name("live"), "ghcr.io/acme/shop", next("check", "e2e failed: <i>", true)),
        CellStatus::example(name("live"), "till", next("approval", "0 of 1 approvals by signature for 5d6e7f8", false)),
    ];
    let gate = |result| StageGate {
        gate: "soak".to_owned(),
        result,
        detail: "<u>".to_owned(),
        url: Some("https://ci.example.com/1".to_owned()),
        until: Some(ago(-60)),
    };
    let explained = board.iter().map(|cell| ExplainedStage {
        stage: cell.stage.clone(),
        release: cell.release.clone(),
        tag: cell.tag.clone(),
        since: cell.since,
        next: cell.next.as_ref().map(NextStatus::short),
        gates: [GateState::Passed, GateState::Waiting, GateState::Later].map(gate).into(),
    });
    let glass = BrokenGlass {
        stage: name("live"),
        who: "carl".to_owned(),
        skipped: vec!["windows".to_owned()],
        reason: "outage".to_owned(),
        commit: COMMIT.to_owned(),
        when: ago(500),
    };
    let concerns = Concerns { broken_glass: vec![glass], incomplete: vec!["shop 1.2: cart is missing".to_owned()] };
    StageBoard::new(StageReport { explained: explained.collect(), board, concerns, ..StageReport::default() })
}

/// A move of an image, so many minutes ago.
pub fn moved(minutes: i64, image: &str, from: &str, to: &str, act: MoveAct) -> HistoryEntry {
    HistoryEntry {
        at: ago(minutes),
        commit: format!("{minutes:07}{}", &COMMIT[..33]),
        stage: None,
        file: format!("apps/{image}.yaml"),
        path: "image".to_owned(),
        image: image.parse().expect("an image"),
        from: Some(from.to_owned()),
        to: Some(to.to_owned()),
        digest: None,
        built: Some(ago(minutes + 12)),
        actor: "Ada <ada@example.com>".to_owned(),
        actor_proof: ActorProof::Claimed,
        signature: None,
        act,
        reason: Some("because <em>".to_owned()),
        evidence: vec![Evidence {
            kind: "check".to_owned(),
            detail: "e2e succeeded".to_owned(),
            url: Some("https://ci.example.com/2".to_owned()),
        }],
    }
}

/// Moves of an image over months, one of which was taken back.
fn history() -> Vec<HistoryEntry> {
    let shop = "ghcr.io/acme/shop";
    let mut moves = vec![
        moved(10, shop, "aaaaaa8", "1a2b3c4d5e6f", MoveAct::Deploy),
        moved(3000, shop, "aaaaaa9", "aaaaaa8", MoveAct::Rollback),
        moved(3060, shop, "aaaaaa8", "aaaaaa9", MoveAct::Deploy),
    ];
    moves.extend((0..30).map(|n| {
        let minutes = 5000 + n * 4000;
        moved(minutes, shop, &format!("bbbb{n:03}"), &format!("bbbb{:03}", n - 1).replace('-', "c"), MoveAct::Deploy)
    }));
    moves
}

/// A state with so many images; every seventh is blocked.
pub fn crowd(count: usize) -> Snapshot {
    let image = |number: usize| {
        let state = if number.is_multiple_of(7) { State::Kept(Reason::BlockedImage) } else { State::UpToDate };
        let name = format!("ghcr.io/acme/app-{number:05}");
        row(&name, state, None, "the registry does not have it", &["apps/app/kustomization.yaml"])
    };
    let rows: Vec<Row> = (0..count).map(image).collect();
    let mut snapshot = snapshot();
    snapshot.status.images = Arc::new(Listing::new(rows));
    snapshot
}

/// A page of the agent.
#[derive(Debug, Clone, Copy)]
pub enum Page {
    Overview,
    Stages,
    Timeline,
    Image,
}

/// Renders a page with what an address asks for; the query of an image is its name.
pub fn shown(page: Page, snapshot: &Snapshot, query: &str) -> String {
    let parse = |sizes: Sizes| -> Result<Query, QueryError> { Query::parse(Some(query), sizes) };
    let view = View::new(snapshot, now(), 0);
    let page = match page {
        Page::Overview => super::overview(&view, &parse(super::images::SIZES)),
        Page::Stages => super::stages(&view, &parse(super::stages::SIZES)),
        Page::Timeline => super::timeline(&view, &parse(super::timeline::SIZES)),
        Page::Image => super::image(&View::new(snapshot, now(), 3), query).unwrap_or_else(|unknown| unknown),
    };
    page.into_string()
}
