//! Releases move from one stage to the next, with a real registry, sshd and git.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::scene::why;
use crate::support::clock;
use crate::support::git::git;
use crate::support::infra::Stage;
use crate::support::scripted::{Scripted, forward};
use crate::support::tagalong::{self, Run, complete};

const OLD: &str = "2026-04-01T10:00:00Z";
const NEW: &str = "2026-04-02T10:00:00Z";
const NEWER: &str = "2026-04-03T10:00:00Z";

const FILES: [(&str, &str); 3] = [
    ("beta/app.yaml", "image: HOST/org/app:aaaaaa1\n"),
    ("paper/app.yaml", "image: HOST/org/app:aaaaaa1\n"),
    ("live/app.yaml", "image: HOST/org/app:aaaaaa1\n"),
];

/// Three stages without conditions.
pub const PLAIN: &str = "stages:\n- { name: beta, paths: ['beta/**'] }\n- { name: paper, paths: ['paper/**'], from: beta }\n\
    - { name: live, paths: ['live/**'], from: paper }\n";

/// Runs a command with these stages, and with the clock ahead by some hours if there is a clock that can be.
pub fn at(stage: &Stage, stages: &str, hours: i64, arguments: &[&str]) -> Run {
    let (file, library) = (stage.home().join("staged.yaml"), stage.home().join("clock.so"));
    let text = fs::read_to_string(stage.config()).expect("there");
    fs::write(&file, format!("{text}{stages}")).expect("written");
    let mut command = tagalong::command(stage.home());
    command.args(arguments).arg("--config").arg(&file);
    if hours != 0 {
        set_clock(&library, hours);
        clock::preload(&mut command, &library, &library.with_extension("offset"));
    }
    complete(&mut command)
}

fn set_clock(library: &Path, hours: i64) {
    assert!(library.exists() || clock::build(library), "a C compiler is required");
    fs::write(library.with_extension("offset"), (hours * 3600).to_string()).expect("written");
}

pub fn sync(stage: &Stage, stages: &str, hours: i64) -> Run {
    at(stage, stages, hours, &["sync", "--output", "json"])
}

/// The tags of the image in the three stages.
pub fn held(stage: &Stage) -> String {
    let tag = |name: &str| {
        let text = stage.origin.read(&format!("{name}/app.yaml"));
        text.trim().rsplit(':').next().expect("a tag").to_owned()
    };
    ["beta", "paper", "live"].map(tag).join(" ")
}

pub fn with_images() -> Stage {
    let stage = Stage::new(&FILES);
    stage.registry.push("org/app", "aaaaaa1", OLD);
    stage.registry.push("org/app", "aaaaaa2", NEW);
    stage
}

#[test]
fn a_release_passes_one_stage_after_another() {
    let stage = with_images();
    sync(&stage, PLAIN, 0).ok();
    assert_eq!(held(&stage), "aaaaaa2 aaaaaa1 aaaaaa1", "only the first stage follows the registry");
    sync(&stage, PLAIN, 0).ok();
    assert_eq!(held(&stage), "aaaaaa2 aaaaaa2 aaaaaa1");
    let message = stage.origin.message();
    let head = git(&stage.origin.path, &["rev-parse", "main^"]);
    let digest = stage.registry.push("org/app", "aaaaaa2", NEW);
    let line = format!("{}@{digest}\n", stage.image("app"));
    let id = tagalong_id(&line);
    for expected in [
        "promote: app aaaaaa2 to paper\n".to_owned(),
        format!("Tagalong-Promote: paper <- beta {} aaaaaa2 ({id})\n", stage.image("app")),
        format!(" since {}\n", head.trim()),
        format!("Tagalong-Order: {}:aaaaaa2@{digest} promotion", stage.image("app")),
    ] {
        assert!(message.contains(&expected), "{expected}\n{message}");
    }
    sync(&stage, PLAIN, 0).ok();
    assert_eq!(held(&stage), "aaaaaa2 aaaaaa2 aaaaaa2");
    let done = sync(&stage, PLAIN, 0).ok();
    assert_eq!((done.json()["commit"].clone(), why(&done, "live").0.as_str()), (Value::Null, "up-to-date"));
}

/// The ID of a release, as `sha256sum` computes it.
fn tagalong_id(lines: &str) -> String {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), lines).expect("written");
    let output = std::process::Command::new("sha256sum").arg(file.path()).output().expect("it runs");
    String::from_utf8_lossy(&output.stdout).split(' ').next().expect("a hash").to_owned()
}

#[test]
fn a_release_soaks_and_a_fast_stage_starves_nobody() {
    let stages = "stages:\n- { name: beta, paths: ['beta/**'] }\n- { name: paper, paths: ['paper/**'], from: beta, soak: 2h }\n\
        - { name: live, paths: ['live/**'], from: paper, soak: 1h }\n";
    let stage = with_images();
    sync(&stage, stages, 0).ok();
    let early = sync(&stage, stages, 1).ok();
    let (reason, detail) = why(&early, "paper");
    assert_eq!((held(&stage).as_str(), reason.as_str()), ("aaaaaa2 aaaaaa1 aaaaaa1", "soaking"));
    assert!(detail.contains("soaking in beta until "), "{detail}");
    let board = at(&stage, stages, 1, &["stages", "--output", "json"]).ok().json();
    let next = &board[1]["next"];
    assert_eq!((&board[1]["stage"], &board[1]["tag"]), (&Value::from("paper"), &Value::from("aaaaaa1")));
    assert_eq!((&next["tag"], &next["waits"][0]["gate"]), (&Value::from("aaaaaa2"), &Value::from("soak")));
    assert!(next["waits"][0]["until"].is_string() && next["id"].as_str().expect("an ID").len() == 64, "{board:#}");
    // A newer one arrives after the first has soaked, and before anybody looked.
    stage.registry.push("org/app", "aaaaaa3", NEWER);
    sync(&stage, stages, 3).ok();
    assert_eq!(held(&stage), "aaaaaa3 aaaaaa2 aaaaaa1");
    let text = at(&stage, stages, 3, &["stages"]).ok().stdout;
    assert!(text.contains("RELEASE") && text.contains("aaaaaa3") && text.contains("soaking in beta until"), "{text}");
}

#[test]
fn what_was_reverted_does_not_flow_on() {
    let stage = with_images();
    sync(&stage, PLAIN, 0).ok();
    // Somebody reverts it before the next cycle promotes it.
    let text = FILES[0].1.replace("HOST", &stage.registry.host());
    stage.origin.commit("Revert \"deploy: app aaaaaa1 -> aaaaaa2\"", &[("beta/app.yaml", &text)]);
    let run = sync(&stage, PLAIN, 0).ok();
    assert_eq!(held(&stage), "aaaaaa1 aaaaaa1 aaaaaa1", "{run:#?}");
    assert_eq!(why(&run, "paper").0, "held", "{run:#?}");
}

#[test]
fn a_rebuilt_tag_is_not_the_image_that_soaked() {
    let stage = with_images();
    sync(&stage, PLAIN, 0).ok();
    stage.registry.push("org/app", "aaaaaa2", NEWER);
    let run = sync(&stage, PLAIN, 0);
    let (reason, detail) = why(&run, "paper");
    assert_eq!((held(&stage).as_str(), reason.as_str()), ("aaaaaa2 aaaaaa1 aaaaaa1", "blocked-image"));
    assert!(detail.starts_with("aaaaaa2 is not the image that soaked in beta"), "{detail}");
    assert_eq!(run.code, 3, "{run:#?}");
}

#[test]
fn a_closed_window_keeps_a_release_back_until_it_opens() {
    // Closed at all times but the hour in a day and a half from now.
    let stages = format!(
        "{PLAIN}  windows: [quiet]\nwindows:\n- {{ name: quiet, timeZone: UTC, closed: [{{ days: mon-sun }}] }}\n"
    )
    .replace("from: paper }", "from: paper, windows: [quiet] }")
    .replace("  windows: [quiet]\nwindows", "windows");
    let stage = with_images();
    (0..3).for_each(|_| drop(sync(&stage, &stages, 0).ok()));
    let run = sync(&stage, &stages, 0).ok();
    let (reason, detail) = why(&run, "live");
    assert_eq!((held(&stage).as_str(), reason.as_str()), ("aaaaaa2 aaaaaa2 aaaaaa1", "window"), "{run:#?}");
    assert!(detail.contains("the window quiet is closed"), "{detail}");
}

#[test]
fn stages_add_no_request_to_a_cycle_in_which_nothing_waits() {
    let stage = with_images();
    let (behind, count) = (stage.registry.host(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    let front = Scripted::start(move |request| {
        counted.fetch_add(1, Ordering::SeqCst);
        forward(&behind, request)
    });
    let host = front.host();
    let files = FILES.map(|(file, _)| (file, format!("image: {host}/org/app:aaaaaa1\n")));
    stage.origin.commit("behind the front", &files.each_ref().map(|(file, text)| (*file, text.as_str())));
    let git = stage.sshd.config(&stage.origin);
    let sync = |name: &str, stages: &str| {
        let file = stage.home().join(name);
        let text = format!(
            "{git}registries: [{{ host: '{host}', plainHttp: true }}]\n\
             policies: [{{ images: ['{host}/org/*'], tags: {{ sha: {{}} }} }}]\n{stages}"
        );
        fs::write(&file, text).expect("written");
        let before = count.load(Ordering::SeqCst);
        let run = tagalong::run(stage.home(), &["sync", "--output", "json", "--config", &file.display().to_string()]);
        (run.ok().json()["commit"].is_null(), count.load(Ordering::SeqCst) - before)
    };
    (0..3).for_each(|_| assert!(sync("staged.yaml", PLAIN).1 > 0));
    assert_eq!(held(&stage), "aaaaaa2 aaaaaa2 aaaaaa2");
    let without = sync("plain.yaml", "");
    assert_eq!((without.0, sync("staged.yaml", PLAIN)), (true, without));
}
