//! Many writers on one branch: nothing is lost, nothing is overwritten.

use std::path::Path;

use crate::support;
use crate::support::infra::Stage;
use crate::support::tagalong::{self, Run};

const WRITERS: usize = 20;

fn file(n: usize) -> String {
    format!("apps/service-{n}/deployment.yaml")
}

fn deployment(n: usize, tag: &str) -> String {
    format!("kind: Deployment\nspec:\n  containers:\n  - name: main # {n}\n    image: HOST/org/service-{n}:{tag}\n")
}

fn stage() -> Stage {
    let files: Vec<(String, String)> = (0..WRITERS).map(|n| (file(n), deployment(n, "aaaaaa0"))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let stage = Stage::new(&files);
    for n in 0..WRITERS {
        stage.registry.push(&format!("org/service-{n}"), "bbbbbb1", "2026-04-01T10:00:00Z");
    }
    stage
}

/// Runs one `set` process; each writer has a cache of its own, as on a machine of its own.
fn set(stage: &Stage, n: usize) -> Run {
    let cache = stage.home().join(format!("cache-{n}")).display().to_string();
    stage.tagalong(&[
        "set",
        &format!("{}:bbbbbb1", stage.image(&format!("service-{n}"))),
        "--cache-dir",
        &cache,
        "--output",
        "json",
    ])
}

/// Starts all writers at the same time; all must succeed.
#[expect(clippy::print_stdout, reason = "the figures are to be seen with --nocapture")]
fn all_at_once(stage: &Stage) {
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..WRITERS).map(|n| scope.spawn(move || set(stage, n))).collect();
        let attempts = |run: Run| run.ok().json()["attempts"].as_u64().expect("a number");
        let attempts: Vec<u64> = runs.into_iter().map(|run| attempts(run.join().expect("a run"))).collect();
        println!("pushes tried by each writer: {attempts:?}");
    });
}

fn every_field_is_right(stage: &Stage) {
    for n in 0..WRITERS {
        let expected = deployment(n, "bbbbbb1").replace("HOST", &stage.registry.host());
        assert_eq!(stage.origin.read(&file(n)), expected);
    }
    stage.origin.is_sound();
}

#[test]
fn twenty_processes_at_once_make_twenty_commits() {
    let stage = stage();
    all_at_once(&stage);
    assert_eq!(stage.origin.subjects().len(), WRITERS + 1);
    every_field_is_right(&stage);
}

#[test]
fn a_person_who_commits_after_every_push_loses_nothing() {
    let stage = stage();
    stage.origin.hook("post-receive", &format!("{BY_A_PERSON}; git update-ref refs/heads/main $(by_a_person)"));
    all_at_once(&stage);
    let subjects = stage.origin.subjects();
    assert_eq!(subjects.iter().filter(|subject| *subject == "by a person").count(), WRITERS);
    assert_eq!(subjects.len(), 2 * WRITERS + 1);
    every_field_is_right(&stage);
}

/// Adds someone else's commit to the branch and prints its ID.
const BY_A_PERSON: &str = "by_a_person() { \
    export GIT_AUTHOR_NAME=Ada GIT_AUTHOR_EMAIL=a@example.com GIT_COMMITTER_NAME=Ada GIT_COMMITTER_EMAIL=a@example.com; \
    git commit-tree -p main -m 'by a person' 'main^{tree}'; }";

#[test]
fn processes_that_share_a_cache_wait_for_each_other() {
    let stage = stage();
    std::thread::scope(|scope| {
        for n in 0..4 {
            let stage = &stage;
            scope.spawn(move || {
                stage.tagalong(&["set", &format!("{}:bbbbbb1", stage.image(&format!("service-{n}")))]).ok();
            });
        }
    });
    assert_eq!(stage.origin.subjects().len(), 5);
    stage.origin.is_sound();
}

#[test]
fn a_branch_that_never_stops_moving_exits_with_4() {
    let stage = stage();
    // Every push finds that the branch has just moved.
    let moved = "unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES; cat >/dev/null";
    stage.origin.hook("pre-receive", &format!("{BY_A_PERSON}; {moved}; git update-ref refs/heads/main $(by_a_person)"));
    let config = stage.config();
    let text = std::fs::read_to_string(&config).expect("there").replace("git:\n", "git:\n  attempts: 3\n");
    std::fs::write(&config, text).expect("written");
    let run = tagalong::run(
        stage.home(),
        &["set", &format!("{}:bbbbbb1", stage.image("service-0")), "--config", &config.display().to_string()],
    );
    let run = run.fails_with(4);
    assert!(run.stderr.contains("another push came first every time (attempts: 3)"), "{run:#?}");
    assert!(stage.origin.read(&file(0)).contains("aaaaaa0"));
}

#[test]
fn killing_the_process_leaves_the_branch_before_or_after_and_the_next_cycle_works() {
    let stage = stage();
    let config = stage.config().display().to_string();
    let before = deployment(0, "aaaaaa0").replace("HOST", &stage.registry.host());
    let after = deployment(0, "bbbbbb1").replace("HOST", &stage.registry.host());
    let image = format!("{}:bbbbbb1", stage.image("service-0"));
    let mut landed = 0;
    for step in 0..24u64 {
        let cache = stage.home().join("killed");
        // Half of the runs start with no clone at all.
        if step % 2 == 0 {
            let _ = std::fs::remove_dir_all(&cache);
        }
        let mut child = tagalong::command(stage.home())
            .args(["set", &image, "--config", &config, "--cache-dir", &cache.display().to_string()])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("it starts");
        std::thread::sleep(std::time::Duration::from_millis(step * 25));
        child.kill().expect("killed");
        child.wait().expect("ended");
        let now = stage.origin.read(&file(0));
        assert!(now == before || now == after, "{now}");
        landed += usize::from(now == after);
        if now == after {
            let name = image.rsplit_once(':').expect("a tag").0;
            stage.origin.back(&[name], &[(&file(0), &before)]);
        }
        clear_ref_locks(&stage.origin.path);
    }
    let cache = stage.home().join("killed").display().to_string();
    stage.tagalong(&["set", &image, "--cache-dir", &cache]).ok();
    assert_eq!(stage.origin.read(&file(0)), after);
    stage.origin.is_sound();
    assert!(landed < 24, "no run was killed in time");
}

/// Waits for the server's own process, which may still be running after the client was killed; its locks go with it.
fn clear_ref_locks(origin: &Path) {
    let lock = origin.join("refs/heads/main.lock");
    support::process::wait_until("the server is done", || !lock.exists());
}
