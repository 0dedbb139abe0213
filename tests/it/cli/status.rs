//! `status` and `explain` show the state of images and the reasons for it, without changing anything.

use crate::support::infra::Stage;

fn stage() -> Stage {
    let app = "spec:\n  containers:\n  - name: app\n    image: HOST/org/app:aaaaaa1\n";
    let stage = Stage::new(&[
        ("base/kustomization.yaml", "resources: [app.yaml]\n"),
        ("base/app.yaml", app),
        ("prod/kustomization.yaml", "resources: [../base]\nimages:\n- name: HOST/org/app\n  newTag: aaaaaa1\n"),
        ("other.yaml", "image: HOST/org/other:aaaaaa1\n"),
        ("foreign.yaml", "image: HOST/else/thing:1.0\n"),
    ]);
    for (hour, tag) in ["aaaaaa1", "bbbbbb2", "latest", "20260401"].into_iter().enumerate() {
        stage.registry.push("org/app", tag, &format!("2026-04-01T{hour:02}:00:00Z"));
    }
    stage.registry.push("org/other", "aaaaaa1", "2026-04-01T00:00:00Z");
    stage
}

#[test]
fn status_shows_holds_with_time_person_and_reason() {
    let stage = stage();
    let image = stage.image("app");
    let status = || stage.tagalong(&["status", "--output", "json"]).ok().json();
    let tip = stage.origin.tip();
    let first = status();
    assert_eq!(first.as_array().expect("a list").len(), 2, "what no policy governs is left out: {first:#}");
    assert_eq!((&first[0]["image"], &first[0]["state"]), (&image.as_str().into(), &"updating".into()));
    assert_eq!(first[0]["candidate"], "bbbbbb2");
    let current = &first[0]["current"];
    assert_eq!(current.as_array().expect("a list").len(), 1, "the base decides nothing: {first:#}");
    assert_eq!((&current[0]["file"], &current[0]["tag"]), (&"prod/kustomization.yaml".into(), &"aaaaaa1".into()));
    assert_eq!((&first[1]["state"], &first[1]["candidate"]), (&"up-to-date".into(), &serde_json::Value::Null));
    assert_eq!(stage.origin.tip(), tip);

    stage.tagalong(&["sync"]).ok();
    stage.tagalong(&["rollback", &image, "--reason", "errors at checkout", "--actor", "Bob"]).ok();
    let rollback = stage.origin.tip();
    stage.tagalong(&["hold", &stage.image("other"), "--reason", "change freeze", "--actor", "Ada"]).ok();
    let held = status();
    assert_eq!((&held[0]["state"], &held[0]["candidate"]), (&"held".into(), &"bbbbbb2".into()));
    let hold = &held[0]["holds"][0];
    assert_eq!((&hold["tag"], &hold["by"]), (&"bbbbbb2".into(), &"Bob".into()));
    assert_eq!((&hold["reason"], &hold["commit"]), (&"errors at checkout".into(), &rollback.as_str().into()));
    assert!(hold["since"].as_str().expect("a time").ends_with('Z'), "{hold:#}");
    assert_eq!((&held[1]["state"], &held[1]["holds"][0]["tag"]), (&"held".into(), &serde_json::Value::Null));
    let text = stage.tagalong(&["status"]).ok().stdout;
    assert!(text.starts_with("IMAGE "), "{text}");
    assert!(text.contains(&format!("held: {image}:bbbbbb2 since ")), "{text}");
    assert!(text.contains(&format!(" by Bob: errors at checkout (commit {})", &rollback[..7])), "{text}");
}

#[test]
fn explain_shows_every_step_of_a_decision() {
    let stage = stage();
    let image = stage.image("app");
    let story = stage.tagalong(&["explain", &image, "--output", "json"]).ok().json();
    assert_eq!(story["policy"]["name"], format!("{}/org/*", stage.registry.host()));
    let files: Vec<_> = story["fields"].as_array().expect("a list").iter().map(|field| &field["file"]).collect();
    assert_eq!(files, ["base/app.yaml", "prod/kustomization.yaml"]);
    assert_eq!(story["fields"][0]["shadowedBy"], "prod/kustomization.yaml");
    assert_eq!(story["fields"][1]["movesTo"], "bbbbbb2");
    let tags: Vec<_> = story["tags"].as_array().expect("a list").iter().map(|tag| &tag["tag"]).collect();
    assert_eq!(tags, ["bbbbbb2", "aaaaaa1"]);
    assert_eq!(story["tags"][0]["order"], "2026-04-01T01:00:00Z");
    let dropped = story["dropped"].as_array().expect("a list");
    let rule = |tag: &str| dropped.iter().find(|dropped| dropped["tag"] == tag).expect("dropped")["rule"].to_string();
    assert!(rule("latest").contains("does not name a commit") && rule("20260401").contains("digits only"), "{story:#}");
    assert_eq!((&story["gates"][0]["version"], &story["gates"][0]["passed"]), (&"bbbbbb2".into(), &true.into()));

    stage.tagalong(&["sync"]).ok();
    stage.tagalong(&["rollback", &image, "--reason", "errors", "--actor", "Bob"]).ok();
    let text = stage.tagalong(&["explain", &image]).ok().stdout;
    for expected in [
        "base/app.yaml:4  spec.containers[0].image holds aaaaaa1, overridden by prod/kustomization.yaml\n",
        "tags that name a commit, the newest by `order: built`\n",
        "\nmatching tags, newest first\n  bbbbbb2  2026-04-01T01:00:00Z\n  aaaaaa1  2026-04-01T00:00:00Z\n",
        "  latest does not name a commit (7 to 64 hexadecimal digits)\n",
        &format!("  held: {image}:bbbbbb2 since "),
        "  base/app.yaml:4 stays: overridden by prod/kustomization.yaml\n",
        "  prod/kustomization.yaml:4 stays at aaaaaa1: held: bbbbbb2 has been held since ",
    ] {
        assert!(text.contains(expected), "`{expected}` is missing in\n{text}");
    }
}

#[test]
fn explain_reports_images_without_a_policy_or_a_field() {
    let stage = stage();
    let foreign = format!("{}/else/thing", stage.registry.host());
    let text = stage.tagalong(&["explain", &foreign]).ok().stdout;
    assert!(text.contains("none: no pattern under `policies` matches this image"), "{text}");
    assert!(text.contains("foreign.yaml:1 stays at 1.0: no policy governs it"), "{text}");
    let unknown = stage.tagalong(&["explain", &stage.image("ap")]).fails_with(2);
    assert!(unknown.stderr.contains("similar images: ") && unknown.stderr.contains(&stage.image("app")));
    let gone = stage.image("other");
    stage.origin.commit("gone", &[("gone.yaml", &format!("image: {}:aaaaaa1\n", stage.image("gone")))]);
    let text = stage.tagalong(&["explain", &stage.image("gone")]).ok().stdout;
    assert!(text.contains("\nregistry\n") && !text.contains(&gone), "{text}");
}
