//! What was undone stays undone, by whomever and however, until there is something newer or the hold is released.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::support;
use crate::support::agent::Agent;
use crate::support::git::git;
use crate::support::infra::Stage;
use crate::support::process::wait_until;
use crate::support::tagalong::{Run, command};

const FILE: &str = "apps/app/deployment.yaml";

fn deployment(tag: &str) -> String {
    format!("kind: Deployment\nspec:\n  containers:\n  - name: app\n    image: HOST/org/app:{tag}\n")
}

/// An app at `aaaaaa1`; that and the given tags are in the registry, each built an hour after the previous one.
fn stage(tags: &[&str]) -> Stage {
    let stage = Stage::new(&[(FILE, &deployment("aaaaaa1"))]);
    for (hour, tag) in ["aaaaaa1"].iter().chain(tags).enumerate() {
        push(&stage, tag, hour);
    }
    stage
}

fn push(stage: &Stage, tag: &str, hour: usize) {
    stage.registry.push("org/app", tag, &format!("2026-04-01T{hour:02}:00:00Z"));
}

fn tag(stage: &Stage) -> String {
    let text = stage.origin.read(FILE);
    text.lines()
        .find_map(|line| line.trim().strip_prefix("image: ")?.rsplit(':').next().map(str::to_owned))
        .expect("a tag")
}

/// A person's clone, at the tip.
fn person(stage: &Stage) -> PathBuf {
    let work = stage.home().join("person");
    if !work.exists() {
        git(stage.home(), &["clone", "--quiet", "infra.git", "person"]);
    }
    git(&work, &["fetch", "--quiet"]);
    git(&work, &["reset", "--quiet", "--hard", "origin/main"]);
    work
}

fn revert(stage: &Stage) {
    let work = person(stage);
    git(&work, &["revert", "--no-edit", "HEAD"]);
    git(&work, &["push", "--quiet", "origin", "HEAD:main"]);
}

fn edit(stage: &Stage, tag: &str) {
    stage.origin.commit("by hand", &[(FILE, &deployment(tag).replace("HOST", &stage.registry.host()))]);
}

#[track_caller]
fn syncs_to(stage: &Stage, expected: &str) -> serde_json::Value {
    let report = stage.tagalong(&["sync", "--output", "json"]).ok().json();
    assert_eq!(tag(stage), expected, "{report:#}");
    report
}

#[track_caller]
fn is_held(stage: &Stage, expected: &str, held: &str) {
    let report = syncs_to(stage, expected);
    assert_eq!(report["commit"], serde_json::Value::Null);
    let skipped = &report["skipped"][0];
    assert_eq!((&skipped["reason"], &skipped["tag"]), (&"held".into(), &held.into()), "{report:#}");
}

/// Runs the program with a cache of its own, like a new replica.
fn elsewhere(stage: &Stage, name: &str, arguments: &[&str]) -> Run {
    let cache = stage.home().join(name).display().to_string();
    stage.tagalong(&[arguments, &["--cache-dir", &cache]].concat())
}

fn trailers(stage: &Stage) -> Vec<String> {
    let trailers = git(&stage.origin.path, &["log", "-1", "--format=%(trailers)", "main"]);
    trailers.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn a_reverted_tag_waits_for_a_newer_one() {
    let stage = stage(&["bbbbbb2"]);
    syncs_to(&stage, "bbbbbb2");
    revert(&stage);
    is_held(&stage, "aaaaaa1", "bbbbbb2");
    let report = elsewhere(&stage, "new", &["sync", "--output", "json"]).ok().json();
    assert_eq!(report["skipped"][0]["reason"], "held", "a new replica with an empty disk: {report:#}");
    let detail = report["skipped"][0]["detail"].as_str().expect("a text");
    assert!(detail.contains("by Ada (Revert \"deploy: app aaaaaa1 -> bbbbbb2\""), "{detail}");

    // A late CI job is refused too, unless forced.
    let image = format!("{}:bbbbbb2", stage.image("app"));
    let refused = stage.tagalong(&["set", &image]).fails_with(3);
    assert!(refused.stderr.contains("bbbbbb2 has been held since"), "{refused:#?}");
    assert!(refused.stderr.contains("help: pass --force"), "{refused:#?}");
    assert_eq!(tag(&stage), "aaaaaa1");

    push(&stage, "cccccc3", 5);
    syncs_to(&stage, "cccccc3");
    syncs_to(&stage, "cccccc3");
    let run = stage.tagalong(&["set", &image, "--force"]);
    assert!(run.code == 2 && run.stderr.contains("--reason <TEXT>"), "{run:#?}");
    stage.tagalong(&["set", &image, "--force", "--allow-downgrade", "--reason", "it was not to blame"]).ok();
    let message = stage.origin.message();
    for kind in ["downgrade ", "force "] {
        assert_eq!(message.matches(&format!("\nTagalong-Forced: {kind}")).count(), 1, "{message}");
    }
    assert_eq!(tag(&stage), "bbbbbb2");
    is_held(&stage, "bbbbbb2", "cccccc3");
    stage.origin.is_sound();
}

#[test]
fn a_held_tag_missing_in_the_registry_does_not_let_in_an_older_one() {
    let stage = stage(&["bbbbbb2"]);
    let lost = stage.registry.push("org/app", "cccccc3", "2026-04-01T05:00:00Z");
    syncs_to(&stage, "cccccc3");
    revert(&stage);
    is_held(&stage, "aaaaaa1", "cccccc3");
    stage.registry.delete("org/app", &lost);
    is_held(&stage, "aaaaaa1", "bbbbbb2");
    let report = elsewhere(&stage, "new", &["sync", "--output", "json"]).ok().json();
    let detail = report["skipped"][0]["detail"].as_str().expect("a text");
    assert!(detail.starts_with("cccccc3 has been held since"), "{detail}");
    assert!(detail.ends_with("; bbbbbb2 is not known to be newer"), "{detail}");
    // People can override it.
    let resume = ["resume", &stage.image("app"), "--reason", "it was not the build"];
    stage.tagalong(&resume).ok();
    syncs_to(&stage, "bbbbbb2");

    // Anything built after the lost tag was deployed is newer.
    let lost = stage.registry.push("org/app", "cccccc4", "2026-04-01T06:00:00Z");
    syncs_to(&stage, "cccccc4");
    revert(&stage);
    stage.registry.delete("org/app", &lost);
    stage.registry.push("org/app", "ddddddd5", &jiff::Timestamp::now().to_string());
    syncs_to(&stage, "ddddddd5");
}

#[test]
fn edits_by_hand_and_reverts_of_reverts_count_by_their_effect() {
    let stage = stage(&["bbbbbb2"]);
    syncs_to(&stage, "bbbbbb2");
    edit(&stage, "aaaaaa1");
    is_held(&stage, "aaaaaa1", "bbbbbb2");
    revert(&stage);
    assert_eq!(tag(&stage), "bbbbbb2");
    syncs_to(&stage, "bbbbbb2");
    // A person's choice alone is not a hold: the bot never set the tag that was undone here.
    push(&stage, "cccccc3", 5);
    edit(&stage, "cccccc3");
    edit(&stage, "bbbbbb2");
    syncs_to(&stage, "cccccc3");
}

#[test]
fn rollback_goes_back_step_by_step() {
    let stage = stage(&["bbbbbb2"]);
    let image = stage.image("app");
    syncs_to(&stage, "bbbbbb2");
    push(&stage, "cccccc3", 5);
    syncs_to(&stage, "cccccc3");
    let dry = stage.tagalong(&["rollback", &image, "--reason", "x", "--dry-run"]).ok();
    assert!(dry.stdout.contains("+    image: ") && dry.stdout.contains(":bbbbbb2\n"), "{dry:#?}");
    assert_eq!(tag(&stage), "cccccc3");

    let base = stage.origin.tip();
    let run = stage.tagalong(&["rollback", &image, "--reason", "errors at checkout", "--actor", "Bob B"]).ok();
    assert_eq!(run.stdout.trim(), stage.origin.tip());
    assert_eq!(tag(&stage), "bbbbbb2");
    assert_eq!(stage.origin.subjects()[0], "rollback: app cccccc3 -> bbbbbb2");
    assert_eq!(
        trailers(&stage),
        [
            format!("Tagalong-Update: {FILE} spec.containers[0].image {image} cccccc3 -> bbbbbb2"),
            format!("Tagalong-Rollback: {image} cccccc3 -> bbbbbb2"),
            "Tagalong-Actor: Bob B".to_owned(),
            "Tagalong-Reason: errors at checkout".to_owned(),
            format!("Tagalong-Base: {base}"),
        ]
    );
    is_held(&stage, "bbbbbb2", "cccccc3");
    let held = stage.tagalong(&["sync", "--output", "json"]).ok().json();
    let detail = held["skipped"][0]["detail"].as_str().expect("a text").to_owned();
    assert!(detail.contains("by Bob B (errors at checkout"), "{detail}");

    stage.tagalong(&["rollback", &image, "--reason", "that too"]).ok();
    assert_eq!(tag(&stage), "aaaaaa1");
    is_held(&stage, "aaaaaa1", "cccccc3");
    let nothing = stage.tagalong(&["rollback", &image, "--reason", "further"]).fails_with(2);
    assert!(
        nothing.stderr.contains("no earlier value of spec.containers[0].image is known, apart from aaaaaa1"),
        "{nothing:#?}"
    );
    stage.tagalong(&["rollback", &image, "--to", "bbbbbb2", "--reason", "that was good"]).ok();
    assert_eq!(tag(&stage), "bbbbbb2");

    stage.tagalong(&["resume", &image, "--reason", "mended"]).ok();
    assert_eq!(stage.origin.subjects()[0], "resume: app");
    syncs_to(&stage, "cccccc3");
    stage.origin.is_sound();
}

#[test]
fn a_rollback_that_would_break_something_is_refused() {
    let stage = stage(&["bbbbbb2"]);
    let image = stage.image("app");
    syncs_to(&stage, "bbbbbb2");
    let tip = stage.origin.tip();
    let unknown = stage.tagalong(&["rollback", &stage.image("ap"), "--reason", "x"]).fails_with(2);
    assert!(unknown.stderr.contains(&format!("similar images: {image}")), "{unknown:#?}");
    stage.tagalong(&["rollback", &format!("{image}:bbbbbb2"), "--reason", "x"]).fails_with(2);
    stage.tagalong(&["rollback", &image, "--to", "a b", "--reason", "x"]).fails_with(2);
    stage.tagalong(&["rollback", &image]).fails_with(2);
    let gone = stage.tagalong(&["rollback", &image, "--to", "ddddddd", "--reason", "x"]).fails_with(3);
    assert!(gone.stderr.contains("ddddddd"), "{gone:#?}");
    assert_eq!(stage.origin.tip(), tip);
}

#[test]
fn a_hold_by_name_lasts_until_it_is_resumed() {
    let stage = stage(&[]);
    let image = stage.image("app");
    let tree = git(&stage.origin.path, &["rev-parse", "main^{tree}"]);
    let base = stage.origin.tip();
    let run = stage.tagalong(&["hold", &image, "--reason", "change freeze", "--actor", "Bob"]).ok();
    assert_eq!(run.stdout.trim(), stage.origin.tip());
    assert_eq!(git(&stage.origin.path, &["rev-parse", "main^{tree}"]), tree);
    assert_eq!(
        trailers(&stage),
        [
            format!("Tagalong-Hold: {image}"),
            "Tagalong-Actor: Bob".to_owned(),
            "Tagalong-Reason: change freeze".to_owned(),
            format!("Tagalong-Base: {base}"),
        ]
    );
    assert_eq!(stage.tagalong(&["hold", &image, "--reason", "again"]).ok().stdout, "up to date\n");
    push(&stage, "bbbbbb2", 5);
    is_held(&stage, "aaaaaa1", "bbbbbb2");
    stage.tagalong(&["set", &format!("{image}:bbbbbb2")]).fails_with(3);
    stage.tagalong(&["resume", &image, "--reason", "over"]).ok();
    syncs_to(&stage, "bbbbbb2");
    assert_eq!(stage.tagalong(&["resume", &image, "--reason", "again"]).ok().stdout, "up to date\n");

    // Only one tag.
    push(&stage, "cccccc3", 6);
    stage.tagalong(&["hold", &format!("{image}:cccccc3"), "--reason", "leaks"]).ok();
    assert_eq!(stage.origin.subjects()[0], "hold: app cccccc3");
    is_held(&stage, "bbbbbb2", "cccccc3");
    push(&stage, "dddddd4", 7);
    syncs_to(&stage, "dddddd4");
    stage.tagalong(&["hold", &stage.image("other"), "--reason", "x"]).fails_with(2);
    stage.origin.is_sound();
}

/// Makes a commit that changes no file, like the button of Gitea 1.26 that reverts one (its `CherryPick`): the message of
/// that commit is repeated as a whole.
fn press_revert(stage: &Stage, commit: &str) -> String {
    let message = git(&stage.origin.path, &["log", "-1", "--format=%B", commit]);
    commit_nothing(stage, &format!("revert {commit}\n\nrevert {message}"))
}

fn commit_nothing(stage: &Stage, message: &str) -> String {
    let work = person(stage);
    git(&work, &["commit", "--quiet", "--allow-empty", "-m", message]);
    git(&work, &["push", "--quiet", "origin", "HEAD:main"]);
    stage.origin.tip()
}

#[test]
fn reverting_an_order_by_the_button_of_a_forge_undoes_it() {
    let stage = stage(&["bbbbbb2"]);
    let image = stage.image("app");
    // The cached clone begins at each tip; a new replica reads all of history.
    let is_held = |expected: bool, why: &str| {
        for cache in [None, Some(format!("new-{why}"))] {
            let dry = ["sync", "--dry-run", "--output", "json"];
            let run = cache.map_or_else(|| stage.tagalong(&dry), |cache| elsewhere(&stage, &cache, &dry));
            let report = run.ok().json();
            assert_eq!(report["skipped"][0]["reason"] == "held", expected, "{why}: {report:#}");
        }
    };
    stage.tagalong(&["hold", &image, "--reason", "change freeze"]).ok();
    let hold = stage.origin.tip();
    is_held(true, "held");
    let lifted = press_revert(&stage, &hold);
    is_held(false, "lifted");
    let restored = press_revert(&stage, &lifted);
    is_held(true, "restored");
    press_revert(&stage, &restored);
    is_held(false, "lifted again");
    // Others than the hold itself lift nothing.
    stage.tagalong(&["hold", &image, "--reason", "another freeze"]).ok();
    let second = stage.origin.tip();
    press_revert(&stage, &hold);
    commit_nothing(&stage, "revert 0123456789abcdef0123456789abcdef01234567");
    is_held(true, "not that hold");
    // `git revert` words it differently.
    let quoted = format!("Revert \"hold: app\"\n\nThis reverts commit {second}.\n\nTagalong-Hold: {image}\n");
    commit_nothing(&stage, &quoted);
    is_held(false, "reverted by git");
    // A reverted resumption restores what it ended, be it a hold by name or by history.
    stage.tagalong(&["hold", &image, "--reason", "third freeze"]).ok();
    stage.tagalong(&["resume", &image, "--reason", "over"]).ok();
    let resumption = stage.origin.tip();
    is_held(false, "resumed");
    let again = press_revert(&stage, &resumption);
    is_held(true, "not resumed after all");
    press_revert(&stage, &again);
    syncs_to(&stage, "bbbbbb2");
    revert(&stage);
    stage.tagalong(&["resume", &image, "--reason", "mended"]).ok();
    is_held(false, "mended");
    press_revert(&stage, &stage.origin.tip());
    is_held(true, "not mended");
    stage.origin.is_sound();
}

#[test]
fn a_revert_that_changes_a_file_is_no_order() {
    let stage = stage(&["bbbbbb2"]);
    stage.tagalong(&["hold", &stage.image("app"), "--reason", "change freeze"]).ok();
    let message = format!("revert {}\n\nrevert hold: app\n", stage.origin.tip());
    stage.origin.commit(&message, &[("README", "hello\n")]);
    is_held(&stage, "aaaaaa1", "bbbbbb2");
}

#[test]
fn a_hold_outlives_the_history_in_the_clone() {
    let stage = stage(&[]);
    stage.origin.commit("another app", &[("apps/other/a.yaml", &format!("image: {}:aaaaaa1\n", stage.image("other")))]);
    stage.registry.push("org/other", "aaaaaa1", "2026-04-01T00:00:00Z");
    let config = stage.config_with("shallow.yaml", "depth: 4");
    let shallow = |name: &str| {
        let cache = stage.home().join(name);
        let arguments = [
            "sync",
            "--output",
            "json",
            "--config",
            config.to_str().expect("text"),
            "--cache-dir",
            cache.to_str().expect("text"),
        ];
        support::tagalong::run(stage.home(), &arguments).ok().json()
    };
    stage.tagalong(&["hold", &stage.image("app"), "--reason", "change freeze", "--actor", "Bob"]).ok();
    let held_since = stage.origin.tip();
    for n in 0..6 {
        stage.origin.commit(&format!("unrelated {n}"), &[("README", &format!("{n}\n"))]);
    }
    push(&stage, "bbbbbb2", 5);
    // Nothing in the clone mentions it, so more history is fetched.
    assert_eq!(shallow("one")["skipped"][0]["reason"], "held");
    // One of our commits repeats it, so the next cycle need not look further.
    stage.registry.push("org/other", "bbbbbb2", "2026-04-02T00:00:00Z");
    let report = shallow("two");
    assert_eq!(report["updates"][0]["to"], "bbbbbb2", "{report:#}");
    let told = trailers(&stage).into_iter().find(|line| line.starts_with("Tagalong-Held: ")).expect("told again");
    assert!(told.starts_with(&format!("Tagalong-Held: {} ", stage.image("app"))), "{told}");
    assert!(told.ends_with(&format!(" {held_since} Bob change freeze")), "{told}");
    let report = shallow("three");
    let skipped = report["skipped"].as_array().expect("a list").iter().find(|skipped| skipped["reason"] == "held");
    assert!(skipped.expect("held")["detail"].as_str().expect("a text").contains("by Bob (change freeze"), "{report:#}");
    let shallow_file = support::git::clone_in(&stage.home().join("three")).join("shallow");
    assert!(shallow_file.exists(), "no more history was brought over");
    // A copy of that commit elsewhere says nothing about the holds there.
    let work = person(&stage);
    let copied = stage.origin.tip();
    stage.tagalong(&["resume", &stage.image("app"), "--reason", "over"]).ok();
    git(&work, &["fetch", "--quiet"]);
    git(&work, &["reset", "--quiet", "--hard", "origin/main"]);
    git(&work, &["cherry-pick", "--allow-empty", "--keep-redundant-commits", &copied]);
    git(&work, &["push", "--quiet", "origin", "HEAD:main"]);
    assert_eq!(shallow("four")["updates"][0]["to"], "bbbbbb2");
}

#[test]
fn rewritten_history_gives_the_same_holds() {
    for how in ["rebase", "squash"] {
        let stage = stage(&["bbbbbb2"]);
        syncs_to(&stage, "bbbbbb2");
        revert(&stage);
        let work = person(&stage);
        match how {
            "rebase" => {
                git(&work, &["commit", "--quiet", "--amend", "-m", "back to what worked"]);
                git(&work, &["rebase", "--quiet", "--root", "--force-rebase", "HEAD"]);
            }
            _ => {
                let messages = git(&work, &["log", "--reverse", "--format=%B", "HEAD~2..HEAD"]);
                git(&work, &["reset", "--quiet", "--soft", "HEAD~2"]);
                git(&work, &["commit", "--quiet", "--allow-empty", "-m", &format!("squashed\n\n{messages}")]);
            }
        }
        git(&work, &["push", "--quiet", "--force", "origin", "HEAD:main"]);
        is_held(&stage, "aaaaaa1", "bbbbbb2");
    }
}

#[test]
fn a_file_that_was_moved_keeps_its_history() {
    let stage = stage(&["bbbbbb2"]);
    syncs_to(&stage, "bbbbbb2");
    revert(&stage);
    let work = person(&stage);
    git(&work, &["mv", "apps", "services"]);
    git(&work, &["commit", "--quiet", "-m", "tidied up"]);
    git(&work, &["push", "--quiet", "origin", "HEAD:main"]);
    let report = stage.tagalong(&["sync", "--output", "json"]).ok().json();
    assert_eq!(report["skipped"][0]["reason"], "held", "{report:#}");
    let back = stage.tagalong(&["rollback", &stage.image("app"), "--reason", "x"]).fails_with(2);
    assert!(back.stderr.contains("services/app/deployment.yaml"), "{back:#?}");
}

#[test]
fn a_rebuilt_tag_is_held_by_its_digest() {
    let stage = stage(&[]);
    let text = std::fs::read_to_string(stage.config()).expect("there");
    let (sha, track) = ("tags: { sha: { order: built } }", "track: digest");
    std::fs::write(stage.config(), text.replace(sha, track)).expect("written");
    let before = syncs_to(&stage, &tag_with_digest(&stage));
    assert_ne!(before["commit"], serde_json::Value::Null);
    let first = tag(&stage);
    push(&stage, "aaaaaa1", 6);
    stage.tagalong(&["sync"]).ok();
    assert_ne!(tag(&stage), first);
    revert(&stage);
    assert_eq!(tag(&stage), first);
    let report = syncs_to(&stage, &first);
    assert_eq!(report["skipped"][0]["reason"], "held", "{report:#}");
    push(&stage, "aaaaaa1", 7);
    stage.tagalong(&["sync"]).ok();
    assert_ne!(tag(&stage), first, "what is newer goes out");
}

/// The last part of the image field once its digest is followed: the hex digits of the digest.
fn tag_with_digest(stage: &Stage) -> String {
    let run = stage.tagalong(&["sync", "--dry-run", "--output", "json"]).ok().json();
    let digest = run["updates"][0]["digest"].as_str().expect("a digest").to_owned();
    digest.trim_start_matches("sha256:").to_owned()
}

#[test]
fn each_overlay_has_a_history_of_its_own() {
    let entry = |tag: &str| format!("resources: [../base]\nimages:\n- name: HOST/org/app\n  newTag: {tag}\n");
    let stage = Stage::new(&[
        ("base/kustomization.yaml", "resources: [app.yaml]\n"),
        ("base/app.yaml", &deployment("aaaaaa1")),
        ("prod/kustomization.yaml", &entry("aaaaaa1")),
        ("test/kustomization.yaml", &entry("aaaaaa1")),
    ]);
    push(&stage, "aaaaaa1", 0);
    push(&stage, "bbbbbb2", 1);
    stage.tagalong(&["sync"]).ok();
    stage.tagalong(&["rollback", &stage.image("app"), "--path", "prod", "--reason", "x"]).ok();
    let report = stage.tagalong(&["sync", "--output", "json"]).ok().json();
    assert_eq!(report["commit"], serde_json::Value::Null, "{report:#}");
    assert!(stage.origin.read("prod/kustomization.yaml").contains("newTag: aaaaaa1"));
    assert!(stage.origin.read("test/kustomization.yaml").contains("newTag: bbbbbb2"));
    let reasons: Vec<&str> =
        report["skipped"].as_array().expect("a list").iter().filter_map(|s| s["reason"].as_str()).collect();
    assert_eq!(reasons, ["up-to-date", "held"], "test, then prod");
}

#[test]
fn the_agent_respects_a_rollback_that_happens_while_it_runs() {
    let stage = stage(&["bbbbbb2"]);
    let config = stage.config().display().to_string();
    let mut agent = command(stage.home());
    let log = std::fs::File::create(stage.home().join("agent.log")).expect("a file");
    let agent = agent.args(["run", "--config", &config]).stderr(log).stdout(Stdio::null()).spawn().expect("the agent");
    let agent = Ended(agent);
    let said = |words: &str| std::fs::read_to_string(stage.home().join("agent.log")).expect("a log").contains(words);
    wait_until("the first update", || tag(&stage) == "bbbbbb2");
    revert(&stage);
    wait_until("the hold", || said("bbbbbb2 has been held"));
    assert_eq!(tag(&stage), "aaaaaa1");
    push(&stage, "cccccc3", 5);
    wait_until("the newer one", || tag(&stage) == "cccccc3");
    revert(&stage);
    wait_until("the second hold", || said("cccccc3 has been held"));
    drop(agent);
    is_held(&stage, "aaaaaa1", "cccccc3");
    let agent_again = command(stage.home()).args(["sync", "--config", &config]).output().expect("a run");
    assert!(agent_again.status.success());
    assert_eq!(tag(&stage), "aaaaaa1");
    assert_linear(&stage.origin.path);
}

#[test]
fn the_first_cycle_after_a_rollback_reports_the_hold() {
    let stage = stage(&["bbbbbb2"]);
    let agent = Agent::start(stage.home(), &stage.config());
    wait_until("the first update", || tag(&stage) == "bbbbbb2");
    stage.tagalong(&["rollback", &stage.image("app"), "--reason", "errors at checkout"]).ok();
    let rollback = stage.origin.tip();
    agent.wait_for(&format!("\"head\":\"{rollback}\""));
    let log = agent.log();
    assert!(log.contains("bbbbbb2 has been held since"), "{log}");
    assert!(!log.contains("no-candidate"), "{log}");
    assert_eq!(stage.origin.tip(), rollback);

    // Only a tag that was looked up in the registry is reported as gone.
    edit(&stage, "ddddddd");
    let edited = stage.origin.tip();
    agent.wait_for(&format!("\"head\":\"{edited}\""));
    let log = agent.log();
    assert!(log.contains("is newer than ddddddd: the registry does not have it"), "{log}");
    assert!(!log.contains("was not queried"), "{log}");
}

fn assert_linear(path: &Path) {
    assert_eq!(git(path, &["rev-list", "--merges", "main"]), "");
}

/// A process that is killed when this value is dropped.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
