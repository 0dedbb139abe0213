//! Several tags of one build are one candidate: a field keeps its form, and an index takes precedence over its
//! platforms.

use serde_json::Value;

use crate::support::infra::Stage;
use crate::support::skopeo::Layout;
use crate::support::tagalong::run;

const OLD: &str = "2026-04-01T10:00:00Z";
const NEW: &str = "2026-04-02T10:00:00Z";

/// Two commits, short and full.
const A: &str = "aaaaaaa";
const B: &str = "bbbbbbb";
const WHOLE_A: &str = "aaaaaaa1aaaaaaa1aaaaaaa1aaaaaaa1aaaaaaa1";
const WHOLE_B: &str = "bbbbbbb1bbbbbbb1bbbbbbb1bbbbbbb1bbbbbbb1";

/// An app in several files, each with a tag.
fn stage(tags: &[&str]) -> Stage {
    let files: Vec<(String, String)> =
        tags.iter().map(|tag| (format!("{tag}.yaml"), format!("image: HOST/org/app:{tag}\n"))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    Stage::new(&files)
}

/// The contents of a file.
fn tag(stage: &Stage, file: &str) -> String {
    let text = stage.origin.read(&format!("{file}.yaml"));
    text.trim_end().rsplit(':').next().expect("a tag").to_owned()
}

fn sync(stage: &Stage) -> Value {
    stage.tagalong(&["sync", "--output", "json"]).ok().json()
}

/// Panics if anything moves; returns reasons and details.
#[track_caller]
fn stays(stage: &Stage) -> Vec<(String, String)> {
    let report = sync(stage);
    assert_eq!(report["commit"], Value::Null, "{report:#}");
    let text = |skipped: &Value, key: &str| skipped[key].as_str().expect("a text").to_owned();
    let skipped = report["skipped"].as_array().expect("a list").iter();
    skipped.map(|skipped| (text(skipped, "reason"), text(skipped, "detail"))).collect()
}

#[track_caller]
fn is_up_to_date(stage: &Stage) {
    let all = stays(stage);
    assert!(all.iter().all(|(reason, _)| reason == "up-to-date"), "{all:?}");
}

/// Pushes an image for a commit like a pipeline: under a short SHA, a full one, and one with its branch.
fn push_names(stage: &Stage, short: &str, whole: &str, created: &str) {
    stage.registry.push("org/app", whole, created);
    stage.registry.tag("org/app", whole, short);
    stage.registry.tag("org/app", whole, &format!("main-{short}"));
}

#[test]
fn a_field_keeps_the_form_of_its_tag() {
    let stage = stage(&[A, WHOLE_A, "main-aaaaaaa", "latest"]);
    push_names(&stage, A, WHOLE_A, OLD);
    stage.registry.tag("org/app", A, "latest");
    push_names(&stage, B, WHOLE_B, NEW);
    let report = sync(&stage);
    assert_eq!(report["updates"].as_array().map(Vec::len), Some(4), "{report:#}");
    for (file, expected) in [(A, B), (WHOLE_A, WHOLE_B), ("main-aaaaaaa", "main-bbbbbbb"), ("latest", WHOLE_B)] {
        assert_eq!(tag(&stage, file), expected);
    }
    is_up_to_date(&stage);
    let text = stage.tagalong(&["explain", &stage.image("app")]).ok().stdout;
    assert!(text.contains(&format!("  {B}  ")) && text.contains(&format!("the same image as {WHOLE_B}\n")), "{text}");
    // Another build of the same time is no reason to move.
    stage.registry.push("org/app", "bbbbbbb1", "2026-04-02T10:00:00+00:00");
    is_up_to_date(&stage);
}

#[test]
fn different_builds_of_the_same_time_tie() {
    let stage = stage(&[A]);
    push_names(&stage, A, WHOLE_A, OLD);
    stage.registry.push("org/app", B, NEW);
    stage.registry.push("org/app", "ccccccc", NEW);
    let (reason, detail) = stays(&stage).remove(0);
    assert_eq!(reason, "no-candidate");
    assert!(detail.starts_with("bbbbbbb and ccccccc are different builds and equally new"), "{detail}");
}

#[test]
fn an_undone_build_does_not_come_back_under_another_tag() {
    let stage = stage(&[A]);
    push_names(&stage, A, WHOLE_A, OLD);
    // Another pipeline with full SHAs only, so the field changes its form.
    stage.registry.push("org/app", WHOLE_B, NEW);
    stage.registry.push("org/app", &"c".repeat(40), "2026-04-03T10:00:00Z");
    sync(&stage);
    assert_eq!(tag(&stage, A), "c".repeat(40));
    stage.origin.commit("back", &[("aaaaaaa.yaml", &format!("image: {}:{A}\n", stage.image("app")))]);
    stage.registry.tag("org/app", &"c".repeat(40), "ccccccc");
    let (reason, detail) = stays(&stage).remove(0);
    assert_eq!(reason, "held", "{detail}");
    assert!(detail.starts_with("cccccccccccccccccccccccccccccccccccccccc has been held since"), "{detail}");
    push_names(&stage, "ddddddd", &"d".repeat(40), "2026-04-04T10:00:00Z");
    sync(&stage);
    assert_eq!(tag(&stage, A), "ddddddd");
}

#[test]
fn a_held_build_does_not_come_in_under_another_tag() {
    let stage = stage(&[A]);
    push_names(&stage, A, WHOLE_A, OLD);
    push_names(&stage, B, WHOLE_B, NEW);
    let held = format!("{}:{WHOLE_B}", stage.image("app"));
    stage.tagalong(&["hold", &held, "--reason", "it leaks"]).ok();
    let all = stays(&stage);
    assert!(matches!(all.as_slice(), [(reason, _)] if reason == "held"), "{all:?}");
    assert_eq!(tag(&stage, A), A);
    stage.tagalong(&["resume", &held, "--reason", "mended"]).ok();
    sync(&stage);
    assert_eq!(tag(&stage, A), B);
}

/// Tags the platforms of an index like pipelines that build them one by one.
fn tag_platforms(stage: &Stage, index: &str) {
    let platforms = stage.registry.platforms("org/app", index);
    for (digest, architecture) in platforms.iter().zip(["amd64", "arm64"]) {
        stage.registry.tag("org/app", digest, &format!("{architecture}-{index}"));
    }
}

#[test]
fn an_index_is_waited_for_while_its_platforms_are_pushed() {
    let stage = stage(&[A, "amd64-aaaaaaa"]);
    stage.registry.push_index("org/app", A, OLD);
    tag_platforms(&stage, A);
    is_up_to_date(&stage);
    // The platforms come first, and the index last.
    stage.registry.push_index("org/app", B, NEW);
    tag_platforms(&stage, B);
    stage.registry.untag("org/app", B);
    stage.registry.untag("org/app", "amd64-bbbbbbb");
    for (reason, detail) in stays(&stage) {
        assert_eq!(reason, "no-candidate");
        assert!(detail.starts_with("arm64-bbbbbbb is not chosen yet: it serves one platform"), "{detail}");
    }
    stage.registry.push_index("org/app", B, NEW);
    tag_platforms(&stage, B);
    sync(&stage);
    assert_eq!((tag(&stage, A), tag(&stage, "amd64-aaaaaaa")), (B.to_owned(), "amd64-bbbbbbb".to_owned()));
    is_up_to_date(&stage);
    let text = stage.tagalong(&["explain", &stage.image("app")]).ok().stdout;
    assert!(text.contains("one platform of bbbbbbb\n"), "{text}");
}

#[test]
fn images_copied_by_skopeo_are_distinguished_too() {
    let stage = stage(&[A, "latest"]);
    let copy = |created: &str, short: &str, whole: &str| {
        let layout = Layout::make(&stage.home().join(short), created);
        layout.push(&stage.registry, "org/app", short, &["--all"]);
        layout.push(&stage.registry, "org/app", whole, &["--all"]);
        // One of its platforms, by its own tag.
        layout.push(&stage.registry, "org/app", &format!("amd64-{short}"), &["--override-arch", "amd64"]);
    };
    copy(OLD, A, WHOLE_A);
    copy(NEW, B, WHOLE_B);
    sync(&stage);
    assert_eq!((tag(&stage, A), tag(&stage, "latest")), (B.to_owned(), WHOLE_B.to_owned()));
    is_up_to_date(&stage);
}

#[test]
fn builds_are_cached_on_disk() {
    let stage = stage(&[A]);
    stage.registry.push_index("org/app", A, OLD);
    tag_platforms(&stage, A);
    is_up_to_date(&stage);
    // Every process reads it from the previous one's cache; the tag itself is not deployed.
    stage.registry.push("org/app", "one-ccccccc", NEW);
    let (reason, detail) = stays(&stage).remove(0);
    assert_eq!(reason, "no-candidate", "{detail}");
    let (reason, again) = stays(&stage).remove(0);
    assert_eq!((reason.as_str(), again), ("no-candidate", detail));
}

#[test]
fn versions_with_and_without_a_v_are_one_build() {
    let stage = stage(&["1.2.0", "v1.2.0", "latest"]);
    let config = stage.home().join("semver.yaml");
    let text = std::fs::read_to_string(stage.config()).expect("there").replace("sha: { order: built }", "semver: '^1'");
    std::fs::write(&config, text).expect("written");
    let config = config.display().to_string();
    let sync = || run(stage.home(), &["sync", "--output", "json", "--config", &config]).ok().json();
    for version in ["1.2.0", "1.3.0"] {
        stage.registry.push("org/app", version, OLD);
        stage.registry.tag("org/app", version, &format!("v{version}"));
    }
    // Other tags that docker/metadata-action pushes.
    stage.registry.tag("org/app", "1.3.0", "1.3");
    let report = sync();
    assert_eq!(report["updates"].as_array().map(Vec::len), Some(3), "{report:#}");
    for (file, expected) in [("1.2.0", "1.3.0"), ("v1.2.0", "v1.3.0"), ("latest", "1.3.0")] {
        assert_eq!(tag(&stage, file), expected);
    }
    assert_eq!(sync()["commit"], Value::Null);
    // Another image with the same version is another build.
    stage.registry.push("org/app", "1.4.0", OLD);
    stage.registry.push("org/app", "v1.4.0", NEW);
    let report = sync();
    let detail = report["skipped"][0]["detail"].as_str().expect("a text");
    assert!(detail.starts_with("1.4.0 and v1.4.0 are different builds"), "{detail}");
}
