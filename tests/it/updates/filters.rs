//! The keys of a policy other than its rule: allowed and ignored tags, a minimum age, tracked digests.

use serde_json::{Value, json};

use crate::support::infra::Stage;
use crate::support::scripted::{Scripted, forward, json as answer};
use crate::support::tagalong::run;

const OLD: &str = "2026-04-01T10:00:00Z";

/// The time this many hours ago.
fn ago(hours: i64) -> String {
    (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours)).to_string()
}

fn reasons(report: &Value) -> Vec<(&str, &str)> {
    let skipped = report["skipped"].as_array().expect("skipped").iter();
    skipped.map(|s| (s["reason"].as_str().expect("text"), s["detail"].as_str().expect("text"))).collect()
}

#[test]
fn tags_are_allowed_and_ignored_by_pattern() {
    let stage = Stage::new(&[
        (
            "tagalong.yaml",
            "policies:\n- { images: [HOST/a/app], tags: { semver: '*' }, ignore: ['1.2.*', '*-bad'] }\n\
             - { images: [HOST/b/app], tags: { sha: {} }, allow: ['main-*'] }\n\
             - { images: [HOST/c/app], tags: { semver: '*' }, allow: ['9.*'] }\n",
        ),
        ("a.yaml", "image: HOST/a/app:1.0.0\n"),
        ("b.yaml", "image: HOST/b/app:main-aaaaaa1\n"),
        ("c.yaml", "image: HOST/c/app:1.0.0\n"),
    ]);
    for tag in ["1.0.0", "1.1.0", "1.2.0", "1.3.0-bad"] {
        stage.registry.push("a/app", tag, OLD);
    }
    stage.registry.push("b/app", "main-aaaaaa1", OLD);
    stage.registry.push("b/app", "main-aaaaaa2", &ago(2));
    stage.registry.push("b/app", "dev-aaaaaa3", &ago(1));
    stage.registry.push("c/app", "1.1.0", OLD);
    let report = stage.tagalong(&["sync", "--output", "json"]).ok().json();
    assert!(stage.origin.read("a.yaml").ends_with("1.1.0\n"), "{report:#}");
    assert!(stage.origin.read("b.yaml").ends_with("main-aaaaaa2\n"), "{report:#}");
    assert_eq!(reasons(&report), [("no-candidate", "`allow` and `ignore` exclude all tags (1)")]);
}

#[test]
fn an_image_waits_for_its_minimum_age() {
    let stage = Stage::new(&[("none.yaml", "a: b\n")]);
    let tags: Vec<(&str, &str, String)> = [
        ("sha/app", "aaaaaa1", ago(90)),
        ("sha/app", "aaaaaa2", ago(30)),
        ("sha/app", "aaaaaa3", ago(1)),
        ("version/app", "1.0.0", ago(90)),
        ("version/app", "1.1.0", ago(30)),
        ("version/app", "1.2.0", ago(1)),
        ("version/app", "1.3.0", "1970-01-01T00:00:00Z".to_owned()),
        // A date so late that the minimum age cannot be added simply means too young.
        ("version/new", "2.0.0", "9999-12-30T00:00:00Z".to_owned()),
    ]
    .into();
    for (image, tag, created) in &tags {
        stage.registry.push(image, tag, created);
    }
    // The registry's API says that all of them were pushed once they were built.
    let behind = stage.registry.host();
    let front = Scripted::start(move |request| {
        if !request.target.starts_with("/api/") {
            return forward(&behind, request);
        }
        let is_asked = |image: &str| {
            let (owner, name) = image.split_once('/').expect("an owner");
            request.target.starts_with(&format!("/api/v1/packages/{owner}?type=container&q={name}&page=1&"))
        };
        let asked = tags.iter().filter(|(image, ..)| is_asked(image));
        let package = |(image, tag, at): &(&str, &str, String)| json!({ "name": image.split_once('/').expect("an owner").1, "version": tag, "created_at": at });
        answer(200, asked.map(package).collect(), &[])
    });
    let host = front.host();
    let files =
        [("sha.yaml", "sha/app:aaaaaa1"), ("version.yaml", "version/app:1.0.0"), ("new.yaml", "version/new:1.0.0")];
    let files = files.map(|(file, image)| (file, format!("image: {host}/{image}\n")));
    stage.origin.commit("behind the front", &files.each_ref().map(|(file, text)| (*file, text.as_str())));
    let config = stage.home().join("front.yaml");
    let text = format!(
        "{}registries:\n- {{ host: \"{host}\", plainHttp: true, api: gitea }}\npolicies:\n\
         - {{ images: [\"{host}/sha/*\"], tags: {{ sha: {{}} }}, minimumAge: 24h }}\n\
         - {{ images: [\"{host}/version/*\"], tags: {{ semver: '*' }}, minimumAge: 24h }}\n",
        stage.sshd.config(&stage.origin),
    );
    std::fs::write(&config, text).expect("written");
    let sync = || run(stage.home(), &["sync", "--output", "json", "--config", &config.display().to_string()]).ok();
    let run = sync();
    assert!(stage.origin.read("sha.yaml").ends_with("aaaaaa2\n"), "{run:#?}");
    assert!(stage.origin.read("version.yaml").ends_with("1.1.0\n"), "{run:#?}");
    assert_eq!(reasons(&run.json()), [("no-candidate", "`minimumAge` excludes all matching tags (1)")]);
    for note in ["sha/app:aaaaaa3 waits for its minimumAge until", "version/app:1.2.0 waits", "1.3.0 does not say when"]
    {
        assert!(run.stderr.contains(note), "{note}: {run:#?}");
    }
    assert_eq!(sync().json()["commit"], Value::Null);
}

#[test]
fn a_tag_rebuilt_in_place_is_followed_by_its_digest() {
    let stage = Stage::new(&[
        (
            "tagalong.yaml",
            "policies:\n- { images: [HOST/moving/*], track: digest }\n\
             - { images: [HOST/both/*], tags: { semver: '*' }, track: digest }\n\
             - { images: [HOST/pinned/*], tags: { semver: '*' }, pin: digest }\n",
        ),
        ("moving.yaml", "image: HOST/moving/base:2026.04\n"),
        ("both.yaml", "image: HOST/both/base:1.0.0\n"),
        ("pinned.yaml", "image: HOST/pinned/base:1.0.0\n"),
    ]);
    let push = |created: &str| {
        [("moving/base", "2026.04"), ("both/base", "1.0.0"), ("pinned/base", "1.0.0")]
            .map(|(name, tag)| stage.registry.push(name, tag, created))
    };
    let [moving, both, pinned] = push(OLD);
    stage.tagalong(&["sync"]).ok();
    assert!(stage.origin.read("moving.yaml").ends_with(&format!("2026.04@{moving}\n")));
    assert!(stage.origin.read("both.yaml").ends_with(&format!("1.0.0@{both}\n")));
    assert!(stage.origin.read("pinned.yaml").ends_with(&format!("1.0.0@{pinned}\n")));
    let report = stage.tagalong(&["sync", "--output", "json"]).ok().json();
    assert_eq!(report["commit"], Value::Null, "{report:#}");
    assert!(reasons(&report).iter().all(|(reason, _)| *reason == "up-to-date"), "{report:#}");
    assert_eq!(reasons(&report).len(), 3);

    let [moving, both, _] = push(&ago(1));
    let report = stage.tagalong(&["sync", "--output", "json"]).ok().json();
    assert_eq!(report["updates"].as_array().expect("updates").len(), 2, "{report:#}");
    assert!(stage.origin.read("moving.yaml").ends_with(&format!("2026.04@{moving}\n")));
    assert!(stage.origin.read("both.yaml").ends_with(&format!("1.0.0@{both}\n")));
    // A pinned digest changes only with its tag.
    assert!(stage.origin.read("pinned.yaml").ends_with(&format!("1.0.0@{pinned}\n")));

    // A rebuilt image that is broken is no exception.
    let [moving, ..] = push(&ago(0));
    let layer = stage.registry.manifest("moving/base", "2026.04")["config"]["digest"].clone();
    stage.registry.lose(layer.as_str().expect("a digest"));
    let run = stage.tagalong(&["sync", "--output", "json"]);
    assert_eq!(run.code, 3, "{run:#?}");
    assert_eq!(run.json()["skipped"][0]["reason"], json!("blocked-image"));
    assert!(!stage.origin.read("moving.yaml").contains(&moving));
}

#[test]
fn all_mistakes_in_these_keys_are_reported() {
    let stage = Stage::new(&[(
        "tagalong.yaml",
        "policies:\n- images: [HOST/a/*]\n  tags: { sha: {} }\n  allow: ['a b']\n  ignore: x\n  minimumAge: soon\n  \
         platforms: [linux]\n  track: tag\n  inspectLimit: many\n  fallback: maybe\n  keep: -1\n",
    )]);
    let run = stage.tagalong(&["sync"]).fails_with(2);
    for (place, key) in [
        ("4:11", "allow"),
        ("5:11", "ignore"),
        ("6:15", "minimumAge"),
        ("7:15", "platforms"),
        ("8:10", "track"),
        ("9:17", "inspectLimit"),
        ("10:13", "fallback"),
        ("11:9", "keep"),
    ] {
        let said = format!("error: tagalong.yaml:{place}: policies[0].{key}: ");
        assert!(run.stderr.contains(&said), "{said}: {run:#?}");
    }
}
