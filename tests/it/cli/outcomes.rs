//! Commands that change something say what they changed, what is held now, and how to go on; scripts get the same as ever.

use crate::support::infra::Stage;

fn stage() -> Stage {
    let stage =
        Stage::new(&[("a/app.yaml", "image: HOST/org/app:aaaaaa1\n"), ("b/app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", "2026-04-01T10:00:00Z");
    stage
}

#[test]
fn people_are_told_what_changed_and_how_to_go_on() {
    let stage = stage();
    let image = stage.image("app");
    let idle = stage.tagalong(&["sync"]).ok();
    assert_eq!(idle.stdout, "up to date: 1 image\n");
    assert_eq!(stage.tagalong(&["sync", "--dry-run"]).ok().stdout, "up to date: 1 image\n");

    stage.registry.push("org/app", "bbbbbb2", "2026-04-02T10:00:00Z");
    let synced = stage.tagalong(&["sync"]).ok();
    assert!(
        synced.stdout.contains("aaaaaa1 -> bbbbbb2") && synced.stdout.ends_with(&format!("{}\n", stage.origin.tip()))
    );

    let dry = stage.tagalong(&["rollback", &image, "--reason", "errors", "--dry-run"]).ok();
    assert!(dry.stdout.starts_with("--- a/") && dry.stderr.contains("nothing was written"), "{dry:#?}");
    assert!(!dry.stderr.contains("held now"), "{dry:#?}");
    let back = stage.tagalong(&["rollback", &image, "--reason", "errors"]).ok();
    assert_eq!(back.stdout, format!("{}\n", stage.origin.tip()), "scripts read the commit alone");
    for line in [
        format!("rolled back {image}: bbbbbb2 -> aaaaaa1 in a/app.yaml, b/app.yaml"),
        format!("held now: {image}:bbbbbb2, until a newer tag appears"),
        format!("to deploy it again: tagalong resume {image}:bbbbbb2 --reason TEXT"),
    ] {
        assert!(back.stderr.contains(&line), "{line}: {back:#?}");
    }
    let kept = stage.tagalong(&["sync"]).ok();
    assert!(kept.stdout.ends_with("nothing to commit: 1 held\n"), "{kept:#?}");

    let resumed = stage.tagalong(&["resume", &format!("{image}:bbbbbb2"), "--reason", "mended"]).ok();
    assert_eq!(resumed.stdout, format!("{}\n", stage.origin.tip()));
    assert!(resumed.stderr.contains(&format!("resumed: {image}:bbbbbb2, from the next cycle on")), "{resumed:#?}");

    let held = stage.tagalong(&["hold", &image, "--reason", "freeze", "--actor", "Ada"]).ok();
    assert!(held.stderr.contains(&format!("held now: {image}: freeze")), "{held:#?}");
    assert!(held.stderr.contains(&format!("to go on: tagalong resume {image} --reason TEXT")), "{held:#?}");
    let again = stage.tagalong(&["hold", &format!("{image}:bbbbbb2"), "--reason", "leaks"]).ok();
    assert!(
        again.stdout == "up to date\n" && again.stderr.contains(&format!("also held: {image} since ")),
        "{again:#?}"
    );

    let quiet = stage.tagalong(&["resume", &image, "--reason", "over", "--quiet"]).ok();
    assert_eq!((quiet.stdout, quiet.stderr.as_str()), (format!("{}\n", stage.origin.tip()), ""));
    let set = stage.tagalong(&["set", &format!("{image}:bbbbbb2")]).ok();
    assert_eq!(set.stdout, format!("{}\n", stage.origin.tip()));
    assert!(set.stderr.contains(&format!("set {image}: aaaaaa1 -> bbbbbb2 in a/app.yaml, b/app.yaml")), "{set:#?}");
}

#[test]
fn a_mistyped_tag_and_an_empty_reason_are_refused() {
    let stage = stage();
    let (tip, image) = (stage.origin.tip(), stage.image("app"));
    stage.registry.push("org/app", "release-2026.11", "2026-04-02T10:00:00Z");
    let unknown = stage.tagalong(&["hold", &format!("{image}:release-2026.12"), "--reason", "leaks"]).fails_with(2);
    assert!(unknown.stderr.contains("the registry has no such image, and no field holds it"), "{unknown:#?}");
    assert!(unknown.stderr.contains("did you mean `release-2026.11`?"), "{unknown:#?}");
    for command in ["hold", "resume", "rollback"] {
        for reason in ["", "  "] {
            let refused = stage.tagalong(&[command, &image, "--reason", reason]).fails_with(2);
            assert!(refused.stderr.contains("the reason is empty"), "{command}: {refused:#?}");
        }
    }
    assert_eq!(stage.origin.tip(), tip);
    // What is deployed can be held even if the registry has lost it.
    stage.origin.commit("lost", &[("c.yaml", &format!("image: {image}:cccccc3\n"))]);
    stage.tagalong(&["hold", &format!("{image}:cccccc3"), "--reason", "leaks"]).ok();
}
