//! Objects that were not written to their end, as a crash of the machine leaves them. libgit2 reads them in an endless
//! loop.

use std::fs;

use crate::support::agent::Agent;
use crate::support::git::{clone_in, cut, git, loose_objects};
use crate::support::infra::Stage;
use crate::support::process::wait_until;
use crate::support::tagalong;

const OLD: &str = "2026-04-01T10:00:00Z";
const NEW: &str = "2026-04-02T10:00:00Z";

fn stage() -> Stage {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", OLD);
    stage.registry.push("org/app", "bbbbbb1", NEW);
    stage
}

#[test]
fn a_clone_with_an_incomplete_object_is_replaced() {
    let stage = stage();
    stage.tagalong(&["sync"]).ok();
    let clone = clone_in(&stage.home().join(".cache/tagalong"));
    let objects = loose_objects(&clone);
    // Those of the commit: a blob, a tree, the commit itself.
    assert_eq!(objects.len(), 3);
    objects.iter().for_each(|object| drop(cut(object)));
    stage.registry.push("org/app", "cccccc1", "2026-04-03T10:00:00Z");
    let run = stage.tagalong(&["sync"]).ok();
    assert!(run.stderr.contains("the local clone has an incomplete object; cloning again"), "{run:#?}");
    assert!(stage.origin.read("app.yaml").ends_with("cccccc1\n"));
    stage.origin.is_sound();
}

#[test]
fn an_object_that_is_cut_off_while_the_agent_runs_is_noticed_by_the_next_cycle() {
    let stage = stage();
    let agent = Agent::start(stage.home(), &stage.config());
    wait_until("the first is deployed", || stage.origin.read("app.yaml").ends_with("bbbbbb1\n"));
    let objects = loose_objects(&clone_in(&stage.home().join(".cache/tagalong")));
    // One of the objects of the pushed commit, which a running cycle has read already.
    let commit = objects.iter().find(|object| {
        let id = stage.origin.tip();
        object.ends_with(format!("{}/{}", &id[..2], &id[2..]))
    });
    cut(commit.expect("the commit"));
    agent.wait_for("the local clone has an incomplete object; cloning again");
    stage.registry.push("org/app", "cccccc1", "2026-04-03T10:00:00Z");
    wait_until("the next is deployed", || stage.origin.read("app.yaml").ends_with("cccccc1\n"));
    assert_eq!(agent.stop().0, 0);
    stage.origin.is_sound();
}

/// A repository on this machine is read in place, so its damage shows only when git hangs.
#[test]
fn commands_and_the_agent_end_when_git_hangs_and_the_clone_is_replaced_afterwards() {
    let stage = stage();
    let config = stage.home().join("local.yaml");
    let text = fs::read_to_string(stage.config()).expect("there");
    let rest = &text[text.find("registries:").expect("a section")..];
    fs::write(&config, format!("git: {{ url: {}, timeout: 1s }}\n{rest}", stage.origin.path.display()))
        .expect("written");
    let config_text = config.display().to_string();
    let sync = || tagalong::run(stage.home(), &["sync", "--config", &config_text]);
    sync().ok();
    stage.registry.push("org/app", "cccccc1", "2026-04-03T10:00:00Z");
    stage.origin.commit("a note", &[("note.yaml", &"image: none # a note\n".repeat(100))]);
    let blob = git(&stage.origin.path, &["rev-parse", "main:note.yaml"]);
    let object = stage.origin.path.join("objects").join(&blob[..2]).join(blob[2..].trim());
    let whole = cut(&object);
    let run = sync().fails_with(1);
    assert!(run.stderr.contains("error: git hangs in the clone"), "{run:#?}");
    assert!(run.stderr.contains("help: the clone is replaced at the next start"), "{run:#?}");
    let mut agent = Agent::start(stage.home(), &config);
    agent.wait_for("git did not return from the local clone; cloning again");
    agent.wait_for("git hangs in the clone");
    assert_eq!(agent.code(), 1);
    fs::write(&object, whole).expect("written");
    let run = sync().ok();
    assert!(run.stderr.contains("git did not return from the local clone; cloning again"), "{run:#?}");
    assert!(stage.origin.read("app.yaml").ends_with("cccccc1\n"));
    assert!(!sync().ok().stderr.contains("cloning again"));
}
