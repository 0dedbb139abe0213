//! The steps of the demo about stages. The clock is the real one, so the soak time and the freeze take some seconds.

use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, LineEnding, PrivateKey};

use crate::clock;
use crate::cycle::operations::approve::{Approve, Opinion};
use crate::cycle::operations::terms::Attribution;
use crate::cycle::replay;
use crate::cycle::report::Report;
use crate::cycle::stages::status::{CellStatus, NextStatus};

use super::error::DemoError;
use super::infrastructure::{self, TAGS};
use super::sandbox::{Contents, Sandbox};
use super::screen::Screen;

/// The files of one app in two stages.
const FILES: [(&str, &str); 2] = [
    ("beta/worker.yaml", "image: HOST/acme/worker:TAG   # beta\n"),
    ("live/worker.yaml", "image: HOST/acme/worker:TAG   # live\n"),
];

const CALENDAR: &str = "freezes.ics";

const STAGES: &str = "\
stages:
  - name: beta
    paths: [\"beta/**\"]
  - name: live
    paths: [\"live/**\"]
    from: beta
    soak: 5s
    windows: [no-freeze]
    approval: { need: 1, by: signature }
windows:
  - { name: no-freeze, timeZone: UTC, calendar: freezes.ics, calendarMeans: closed }
";

/// How long the freeze lasts.
const FREEZE: SignedDuration = SignedDuration::from_secs(10);
/// The most cycles until something that only needs time has to have happened.
const CYCLES: usize = 30;

/// A sandbox, and the key of a person who may approve.
struct Scene {
    sandbox: Sandbox,
    key_file: PathBuf,
}

/// Plays the demo about stages. With `keep`, its temporary folder stays.
///
/// # Errors
/// A step fails, or cannot be printed.
pub async fn play<E: From<DemoError>>(keep: bool, screen: &Screen<'_, E>) -> Result<(), E> {
    let scene = Scene::create().await.map_err(E::from)?;
    introduce(&scene, screen)?;
    soak(&scene, screen).await?;
    freeze(&scene, screen).await?;
    approve(&scene, screen).await?;
    promote(&scene, screen).await?;
    audit(&scene, screen).await?;
    screen.heading("What to try next")?;
    (screen.print)(NEXT_STEPS)?;
    if keep {
        (screen.print)(&format!("\nThe repository is kept in {}.\n", scene.sandbox.keep().display()))?;
    }
    Ok(())
}

impl Scene {
    async fn create() -> Result<Scene, DemoError> {
        let key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519)?;
        let public = key.public_key().to_openssh()?;
        let configuration = format!("{STAGES}trust:\n  approvers: ['ada@example.com {public}']\n");
        let calendar = calendar(None);
        let files = [FILES[0], FILES[1], (CALENDAR, calendar.as_str())];
        let sandbox = Sandbox::create(Contents { files: &files, configuration: &configuration }).await?;
        let key_file = sandbox.keep_file("ada", &key.to_openssh(LineEnding::LF)?)?;
        Ok(Scene { sandbox, key_file })
    }

    /// Runs cycles until the release that comes next no longer waits for a gate, and returns the last report.
    async fn pass(&self, gate: &str) -> Result<Report, DemoError> {
        for _ in 0..CYCLES {
            let report = self.sandbox.cycle().await?;
            let next = next(&report);
            let Some(wait) = next.and_then(|next| next.waits.iter().find(|wait| wait.gate == gate)) else {
                return Ok(report);
            };
            let until = wait.until.map_or(Duration::ZERO, |until| {
                Duration::try_from(until.duration_since(clock::now())).unwrap_or_default()
            });
            tokio::time::sleep(until.min(Duration::from_secs(1)) + Duration::from_millis(50)).await;
        }
        Err(DemoError::Unexpected(format!("the release still waits ({gate})")))
    }
}

fn introduce<E: From<DemoError>>(scene: &Scene, screen: &Screen<'_, E>) -> Result<(), E> {
    screen.heading("1. Two stages")?;
    let path = scene.sandbox.repository();
    (screen.print)(&format!(
        "The repository {} has an app in two stages. Beta follows the registry; live takes what has\nproven itself in \
         beta:\n\n{STAGES}",
        path.display()
    ))
}

async fn soak<E: From<DemoError>>(scene: &Scene, screen: &Screen<'_, E>) -> Result<(), E> {
    screen.heading("2. CI pushes a build: it enters beta, and soaks")?;
    scene.sandbox.push_builds(1);
    let report = scene.sandbox.cycle().await.map_err(E::from)?;
    (screen.diff)(&report.changes)?;
    let report = scene.sandbox.cycle().await.map_err(E::from)?;
    (screen.print)(&board(&report))?;
    let report = scene.pass("soak").await.map_err(E::from)?;
    (screen.print)(&format!("\nFive seconds later:\n{}", board(&report)))
}

async fn freeze<E: From<DemoError>>(scene: &Scene, screen: &Screen<'_, E>) -> Result<(), E> {
    screen.heading("3. Somebody freezes releases")?;
    let calendar = calendar(clock::now().checked_add(FREEZE).ok());
    let path = scene.sandbox.repository();
    infrastructure::commit_by_a_person(&path, CALENDAR, &calendar, "Freeze releases for the demo\n")
        .map_err(|error| E::from(error.into()))?;
    let seconds = FREEZE.as_secs();
    (screen.print)(&format!("Ada commits a calendar with an event that ends in {seconds} seconds.\n"))?;
    let report = scene.sandbox.cycle().await.map_err(E::from)?;
    (screen.print)(&board(&report))
}

async fn approve<E: From<DemoError>>(scene: &Scene, screen: &Screen<'_, E>) -> Result<(), E> {
    screen.heading("4. Ada approves the release, with a signed commit that changes no file")?;
    let stage = "live".parse().map_err(|_| E::from(DemoError::Unexpected("there is no stage live".to_owned())))?;
    let by = Attribution { actor: Some("ada".to_owned()), reason: Some("tested in beta".to_owned()) };
    let approve = Approve { opinion: Opinion::Approve, stage, release: None, by };
    scene.sandbox.run_as(&scene.key_file, &approve).await.map_err(E::from)?;
    (screen.print)(&newest(scene)?)?;
    let report = scene.sandbox.cycle().await.map_err(E::from)?;
    (screen.print)(&format!("\n{}", board(&report)))
}

async fn promote<E: From<DemoError>>(scene: &Scene, screen: &Screen<'_, E>) -> Result<(), E> {
    screen.heading("5. The window opens, and the release enters live")?;
    let report = scene.pass("window").await.map_err(E::from)?;
    (screen.diff)(&report.changes)?;
    let message = newest(scene)?;
    if !message.contains("Tagalong-Promote: ") {
        return Err(DemoError::Unexpected("the release was not promoted".to_owned()).into());
    }
    (screen.print)(&format!("\nThe commit has the proof in its trailers:\n\n{message}"))
}

async fn audit<E: From<DemoError>>(scene: &Scene, screen: &Screen<'_, E>) -> Result<(), E> {
    screen.heading("6. What moved without proof?")?;
    let audit = || replay::audit(scene.sandbox.engine(), None).map_err(|error| E::from(error.into()));
    let found = audit()?.found;
    (screen.print)(&format!("An audit of the history finds {} of {} moves.\n", found.unproved.len(), found.moves))?;
    let host = scene.sandbox.registry.host();
    let text = format!("image: {host}/acme/worker:{}   # live\n", TAGS[2]);
    infrastructure::commit_by_a_person(&scene.sandbox.repository(), "live/worker.yaml", &text, "Hotfix\n")
        .map_err(|error| E::from(error.into()))?;
    (screen.print)(&format!("Then Ada writes {} into live by hand, which the next audit finds:\n\n", TAGS[2]))?;
    for unproved in audit()?.found.unproved {
        let lacks: String = unproved.lacks.iter().map(|lack| format!("  lacks {lack}\n")).collect();
        let to = unproved.entry.to.unwrap_or_default();
        (screen.print)(&format!("live: {to} by {}\n{lacks}", unproved.entry.actor))?;
    }
    Ok(())
}

/// Returns a calendar with a freeze that ends at a time. Another one each New Year keeps the calendar from running out.
fn calendar(freeze_ends: Option<Timestamp>) -> String {
    let time = |at: Timestamp| at.strftime("%Y%m%dT%H%M%SZ").to_string();
    let event = |id: &str, lines: String| {
        format!(
            "BEGIN:VEVENT\r\nUID:{id}\r\nDTSTAMP:20260101T000000Z\r\n{lines}SUMMARY:Release freeze\r\nEND:VEVENT\r\n"
        )
    };
    let now = freeze_ends.map(|ends| {
        let lines = format!("DTSTART:{}\r\nDTEND:{}\r\n", time(ends - SignedDuration::from_hours(1)), time(ends));
        event("now", lines)
    });
    let yearly = "DTSTART;VALUE=DATE:20260101\r\nRRULE:FREQ=YEARLY\r\n".to_owned();
    let events = format!("{}{}", event("new-year", yearly), now.unwrap_or_default());
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//tagalong//demo//EN\r\n{events}END:VCALENDAR\r\n")
}

/// Returns what comes next in live.
fn next(report: &Report) -> Option<&NextStatus> {
    let live = report.stages.board.iter().find(|cell| cell.stage.as_str() == "live");
    live.and_then(|cell| cell.next.as_ref())
}

/// Returns a line for each stage, and one for each condition that is missing.
fn board(report: &Report) -> String {
    let line = |cell: &CellStatus| {
        let next = cell.next.as_ref().map_or_else(String::new, |next| format!(", next: {}", next.short()));
        let waits = cell.next.iter().flat_map(|next| &next.waits).map(|wait| format!("      {}\n", wait.detail));
        format!("  {:5} {}{next}\n", cell.stage.as_str(), cell.version()) + &waits.collect::<String>()
    };
    report.stages.board.iter().map(line).collect()
}

fn newest<E: From<DemoError>>(scene: &Scene) -> Result<String, E> {
    let message = infrastructure::message(&scene.sandbox.repository()).map_err(|error| E::from(error.into()))?;
    Ok(message.trim_end().lines().map(|line| format!("    {line}\n")).collect())
}

const NEXT_STEPS: &str = "  \
  tagalong stages --config FILE    see what each of your stages holds, and what comes next
  tagalong audit --config FILE     see what moved in your repository without proof
";
