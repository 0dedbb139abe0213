//! SHAs of decimal digits only are deployed if other tags or the image show that they are commits; otherwise they are
//! reported as possibly newer.

use serde_json::Value;

use crate::support::infra::Stage;
use crate::support::shelf::Shelf;
use crate::support::tagalong::run;

const REVISION: &str = "org.opencontainers.image.revision";

/// An app at the first of the tags, each built an hour after the previous one.
fn stage(tags: &[&str]) -> Stage {
    let stage = Stage::new(&[("app.yaml", &format!("image: HOST/org/app:{}\n", tags[0]))]);
    for (hour, tag) in tags.iter().enumerate() {
        stage.registry.push("org/app", tag, &at(hour));
    }
    stage
}

fn at(hour: usize) -> String {
    format!("2026-04-01T{hour:02}:00:00Z")
}

#[track_caller]
fn moves_to(stage: &Stage, tag: &str) {
    let report = stage.tagalong(&["sync", "--output", "json"]).ok().json();
    assert_eq!(report["updates"][0]["to"], tag, "{report:#}");
    assert!(stage.origin.read("app.yaml").ends_with(&format!(":{tag}\n")));
}

/// Panics if anything moves; returns the reason and detail.
#[track_caller]
fn stays(stage: &Stage) -> (String, String) {
    let report = stage.tagalong(&["sync", "--output", "json"]).ok().json();
    assert_eq!(report["commit"], Value::Null, "{report:#}");
    let text = |key: &str| report["skipped"][0][key].as_str().expect("a text").to_owned();
    (text("reason"), text("detail"))
}

#[test]
fn other_tags_show_that_digits_are_a_commit() {
    let stage = stage(&["aaaaaaa", "bbbbbbb", "1234567", "latest"]);
    moves_to(&stage, "1234567");
    assert_eq!(stays(&stage).0, "up-to-date");
    stage.registry.push("org/app", "ccccccc", &at(9));
    moves_to(&stage, "ccccccc");
    // A longer tag of the same commit shows it as well, and the field keeps its form.
    let whole = format!("7654321{}", "a".repeat(33));
    stage.registry.push("org/app", &whole, &at(10));
    stage.registry.tag("org/app", &whole, "7654321");
    moves_to(&stage, "7654321");
}

#[test]
fn the_image_shows_that_digits_are_a_commit() {
    let stage = stage(&["aaaaaaa", "bbbbbbbb"]);
    moves_to(&stage, "bbbbbbbb");
    let label = |revision: &str| [(REVISION, revision.to_owned())];
    let push = |tag: &str, hour: usize, revision: &str| {
        let labels = label(revision);
        let labels: Vec<(&str, &str)> = labels.iter().map(|(key, value)| (*key, value.as_str())).collect();
        stage.registry.push_labelled("org/app", tag, &at(hour), &labels)
    };
    let whole = |begin: &str| format!("{begin}{}", "a".repeat(40 - begin.len()));
    push("1234567", 5, &whole("1234567"));
    moves_to(&stage, "1234567");
    // A build number does not count, although it is the newest.
    push("2345678", 6, &whole("fffffff"));
    assert_eq!(stays(&stage), ("up-to-date".to_owned(), "holds the newest tag, 1234567".to_owned()));
    // Even what looks like a date may be a commit.
    push("20260401", 7, &whole("20260401"));
    moves_to(&stage, "20260401");
    let text = stage.tagalong(&["explain", &stage.image("app")]).ok().stdout;
    assert!(
        text.contains("  2345678 consists of digits only, so it may be a date or a build number; it is older"),
        "{text}"
    );
}

#[test]
fn ambiguous_digit_tags_are_reported_and_never_up_to_date() {
    let stage = stage(&["aaaaaaa", "bbbbbbbb", "1234567"]);
    moves_to(&stage, "bbbbbbbb");
    let (reason, detail) = stays(&stage);
    assert_eq!(reason, "no-candidate");
    let words = "holds bbbbbbbb, the newest tag that is known to be a commit, but 1234567 may be newer: it consists of digits only";
    assert!(detail.starts_with(words) && detail.contains(REVISION), "{detail}");
    let status = stage.tagalong(&["status", "--output", "json"]).ok().json();
    assert_eq!(status[0]["state"], "no-candidate", "{status:#}");
    let text = stage.tagalong(&["explain", &stage.image("app")]).ok().stdout;
    assert!(text.contains("excluded tags\n  1234567 consists of digits only, so it may be a date"), "{text}");
    // Its digest is still written next to the tag, if the policy asks for it.
    let pinned = stage.home().join("pinned.yaml");
    let text = std::fs::read_to_string(stage.config()).expect("there").replace("  tags:", "  pin: digest\n  tags:");
    std::fs::write(&pinned, text).expect("written");
    let pinned = pinned.display().to_string();
    let report = run(stage.home(), &["sync", "--output", "json", "--config", &pinned]).ok().json();
    let to = report["updates"][0]["to"].as_str().unwrap_or_default();
    assert!(to.starts_with("bbbbbbbb@sha256:"), "{report:#}");
    assert_eq!(report["skipped"][0]["reason"], "no-candidate");
    stage.origin.commit("unpinned", &[("app.yaml", &format!("image: {}:bbbbbbbb\n", stage.image("app")))]);
    // A date is a date, and anything older than the newest commit does not matter.
    stage.registry.push("org/app", "cccccccc", &at(8));
    moves_to(&stage, "cccccccc");
    stage.registry.push("org/app", "20260401", &at(9));
    assert_eq!(stays(&stage).0, "up-to-date");
    // People can override it.
    stage.registry.push("org/app", "7654321", &at(10));
    assert_eq!(stays(&stage).0, "no-candidate");
    stage.tagalong(&["set", &format!("{}:7654321", stage.image("app"))]).ok();
    assert_eq!(stays(&stage), ("up-to-date".to_owned(), "holds the newest tag, 7654321".to_owned()));
}

#[test]
fn thousands_of_build_numbers_are_not_all_inspected() {
    let number = |n: i64| ((1_000_000 + n).to_string(), 100 + n);
    let tags = [("aaaaaaa".to_owned(), 1), ("bbbbbbbb".to_owned(), 2)].into_iter().chain((0..150).map(number));
    let (_, server) = Shelf::serve(vec![tags.collect()]);
    let stage = Stage::new(&[("app.yaml", &format!("image: {}/org/app-0:bbbbbbbb\n", server.host()))]);
    let config = stage.home().join("numbers.yaml");
    let text = std::fs::read_to_string(stage.config()).expect("there").replace(&stage.registry.host(), &server.host());
    std::fs::write(&config, text).expect("written");
    let sync = || {
        let before = server.asked().len();
        let run = run(stage.home(), &["sync", "--output", "json", "--config", &config.display().to_string()]).ok();
        let asked = server.asked().split_off(before);
        let count = |what: &str| asked.iter().filter(|asked| asked.target.contains(what)).count();
        (run.json()["skipped"][0].clone(), run.stderr, count("/manifests/"), count("/blobs/"))
    };
    let (skipped, notes, manifests, blobs) = sync();
    assert_eq!(skipped["reason"], "no-candidate", "{skipped:#}");
    assert!(notes.contains("50 digit-only tags, such as "), "{notes}");
    // Two commits and a hundred numbers, and the newest few again, for their labels.
    assert!((102..=120).contains(&manifests) && (102..=120).contains(&blobs), "{manifests} {blobs}");
    let (skipped, notes, ..) = sync();
    assert!(!notes.contains("digit-only"), "{notes}");
    assert_eq!(skipped["reason"], "no-candidate");
    // In the end the labels of all have been read, and none is read again.
    for _ in 0..8 {
        sync();
    }
    let (skipped, _, manifests, blobs) = sync();
    assert_eq!((skipped["reason"].as_str(), manifests, blobs), (Some("no-candidate"), 0, 0), "{skipped:#}");
}
