//! Images that lie about when they were built: dates in the future, and dates that make them old enough.

use serde_json::{Value, json};

use crate::support::infra::Stage;
use crate::support::process::wait_until;
use crate::support::scripted::{Scripted, forward, json as answer};
use crate::support::tagalong::{Run, run};

const OLD: &str = "2026-04-01T10:00:00Z";
const FUTURE: &str = "2036-04-01T10:00:00Z";

/// The time so many seconds from now.
fn in_seconds(seconds: i64) -> String {
    (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds)).to_string()
}

fn details(run: &Run) -> Vec<String> {
    let skipped = run.json()["skipped"].as_array().expect("a list").clone();
    skipped.iter().map(|skipped| format!("{} {}", skipped["reason"], skipped["detail"])).collect()
}

#[test]
fn an_image_from_the_future_is_not_chosen_and_is_reported() {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", OLD);
    for tag in ["bbbbbb1", "bbbbbb2", "bbbbbb3", "bbbbbb4"] {
        stage.registry.push("org/app", tag, FUTURE);
    }
    let sync = || stage.tagalong(&["sync", "--output", "json"]).ok();
    for run in [sync(), sync()] {
        assert_eq!(run.json()["commit"], Value::Null, "{run:#?}");
        let said = details(&run);
        let ahead = said.iter().filter(|said| said.contains("says that it was built at 2036-04-01T10:00:00Z"));
        assert_eq!(ahead.count(), 3, "{said:#?}");
        assert!(run.stderr.contains("1 more tags are dated in the future"), "{run:#?}");
    }
    let status = stage.tagalong(&["status", "--output", "json"]).ok().json();
    assert_eq!(status[0]["state"], "no-candidate", "{status:#}");
    // It does not keep later builds back; a clock that is a little ahead is no lie.
    stage.registry.push("org/app", "ccccccc", &in_seconds(60));
    let run = sync();
    assert!(stage.origin.read("app.yaml").ends_with("ccccccc\n"), "{run:#?}");
}

#[test]
fn an_image_from_the_future_that_is_deployed_does_not_block_later_builds() {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:bbbbbb1\n")]);
    stage.registry.push("org/app", "bbbbbb1", FUTURE);
    stage.registry.push("org/app", "aaaaaa1", OLD);
    let run = stage.tagalong(&["sync", "--output", "json"]).ok();
    // Nothing is known to be newer.
    assert_eq!(run.json()["commit"], Value::Null, "{run:#?}");
    assert!(details(&run)[0].starts_with("\"no-candidate\" "), "{run:#?}");
    assert!(run.stderr.contains("it counts as built when it was first seen, at "), "{run:#?}");
    stage.registry.push("org/app", "ccccccc", &in_seconds(1));
    let run = stage.tagalong(&["sync", "--output", "json"]).ok();
    assert!(stage.origin.read("app.yaml").ends_with("ccccccc\n"), "{run:#?}");
}

#[test]
fn a_person_can_leave_an_image_from_the_future() {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:bbbbbb1\n")]);
    stage.registry.push("org/app", "bbbbbb1", FUTURE);
    stage.registry.push("org/app", "aaaaaa1", OLD);
    // It is not known to be newer, so this is not a downgrade.
    stage.tagalong(&["set", &format!("{}:aaaaaa1", stage.image("app"))]).ok();
    assert!(stage.origin.read("app.yaml").ends_with("aaaaaa1\n"));
}

#[test]
fn the_minimum_age_counts_from_the_push_if_that_was_later() {
    let stage = Stage::new(&[("none.yaml", "a: b\n")]);
    let behind = stage.registry.host();
    let just_now = in_seconds(-60);
    let pushed = [("aaaaaa0", OLD.to_owned()), ("aaaaaa1", OLD.to_owned()), ("aaaaaa2", just_now)];
    let front = Scripted::start(move |request| {
        if !request.target.starts_with("/api/") {
            return forward(&behind, request);
        }
        let package = |(tag, at): &(&str, String)| json!({ "name": "app", "version": tag, "created_at": at });
        let all: Vec<Value> = pushed.iter().map(package).collect();
        answer(200, if request.target.contains("&page=1&") { json!(all) } else { json!([]) }, &[])
    });
    for (tag, created) in [("aaaaaa0", OLD), ("aaaaaa1", "2026-04-01T11:00:00Z"), ("aaaaaa2", "2026-04-01T12:00:00Z")] {
        stage.registry.push("org/app", tag, created);
    }
    let host = front.host();
    stage.origin.commit("behind the front", &[("app.yaml", &format!("image: {host}/org/app:aaaaaa0\n"))]);
    let config = stage.home().join("front.yaml");
    let text = format!(
        "{}registries:\n- {{ host: \"{host}\", plainHttp: true, api: gitea }}\npolicies:\n- {{ images: [\"{host}/org/*\"], tags: {{ sha: {{}} }}, minimumAge: 24h }}\n",
        stage.sshd.config(&stage.origin),
    );
    std::fs::write(&config, text).expect("written");
    let sync = || run(stage.home(), &["sync", "--output", "json", "--config", &config.display().to_string()]).ok();
    let run = sync();
    assert!(stage.origin.read("app.yaml").ends_with("aaaaaa1\n"), "{run:#?}");
    let waits = |run: &Run| {
        run.stderr.contains("aaaaaa2 waits for its minimumAge until") && run.stderr.contains("because it was pushed at")
    };
    assert!(waits(&run), "{run:#?}");
    let asked = front.asked().iter().filter(|asked| asked.target.starts_with("/api/")).count();
    let run = sync();
    assert!(waits(&run), "{run:#?}");
    let again = front.asked().iter().filter(|asked| asked.target.starts_with("/api/")).count();
    assert_eq!(again, asked, "push times are asked for once");
}

/// A stage whose images have to be this old.
fn waiting(age: &str, files: &[(&str, &str)]) -> Stage {
    let policies = format!(
        "policies:\n- {{ images: [HOST/sha/*], tags: {{ sha: {{}} }}, minimumAge: {age} }}\n\
         - {{ images: [HOST/version/*], tags: {{ semver: '*' }}, minimumAge: {age} }}\n\
         - {{ images: [HOST/base/*], track: digest, minimumAge: {age} }}\n"
    );
    Stage::new(&[&[("tagalong.yaml", policies.as_str())], files].concat())
}

const FIRST_SEEN: &str = "because it was first seen at ";

#[test]
fn without_push_times_the_minimum_age_counts_from_when_a_tag_was_first_seen() {
    let files = [("sha.yaml", "image: HOST/sha/app:aaaaaa1\n"), ("version.yaml", "image: HOST/version/app:1.0.0\n")];
    let stage = waiting("2s", &files);
    for (image, tags) in [("sha/app", ["aaaaaa1", "aaaaaa2"]), ("version/app", ["1.0.0", "1.1.0"])] {
        stage.registry.push(image, tags[0], OLD);
        stage.registry.push(image, tags[1], "2026-04-02T10:00:00Z");
    }
    let sync = |cache: &str, more: &[&str]| {
        let cache = stage.home().join(cache).display().to_string();
        stage.tagalong(&[&["sync", "--output", "json", "--cache-dir", &cache], more].concat()).ok()
    };
    let run = sync("one", &[]);
    assert_eq!(run.json()["commit"], Value::Null, "{run:#?}");
    for waiting in ["sha/app:aaaaaa2 waits", "version/app:1.1.0 waits", "version/app:1.0.0 waits"] {
        assert!(run.stderr.contains(waiting), "{waiting}: {run:#?}");
    }
    assert_eq!(run.stderr.matches(FIRST_SEEN).count(), 3, "{run:#?}");
    // Each cycle is a process of its own: what was seen survives in the cache.
    wait_until("both have waited", || {
        sync("one", &[]);
        stage.origin.read("sha.yaml").ends_with("aaaaaa2\n") && stage.origin.read("version.yaml").ends_with("1.1.0\n")
    });
    // Without it, the wait begins again.
    stage.origin.commit("back", &[("other.yaml", &format!("image: {}/sha/app:aaaaaa1\n", stage.registry.host()))]);
    let run = sync("lost", &[]);
    assert!(run.stderr.contains(FIRST_SEEN), "{run:#?}");
    assert!(stage.origin.read("other.yaml").ends_with("aaaaaa1\n"), "{run:#?}");
    let run = sync("one", &["--dry-run"]);
    assert_eq!(run.json()["updates"][0]["to"], "aaaaaa2", "{run:#?}");
}

#[test]
fn a_tag_that_moves_waits_again() {
    let files = [("base.yaml", "image: HOST/base/app:2026.04\n"), ("version.yaml", "image: HOST/version/app:1.0.0\n")];
    let stage = waiting("2s", &files);
    stage.registry.push("version/app", "1.0.0", OLD);
    let push = |created: &str| {
        stage.registry.push("version/app", "1.1.0", created);
        stage.registry.push("base/app", "2026.04", created)
    };
    push(OLD);
    let dry = || stage.tagalong(&["sync", "--output", "json", "--dry-run"]).ok();
    assert!(details(&dry()).iter().any(|said| said.contains(FIRST_SEEN)));
    wait_until("both have waited", || dry().json()["updates"].as_array().map(Vec::len) == Some(2));
    // The dates say that it is old, but nobody has seen it before.
    let digest = push("2026-04-02T10:00:00Z");
    let run = dry();
    assert_eq!(run.json()["updates"], json!([]), "{run:#?}");
    assert_eq!(details(&run).iter().filter(|said| said.contains(FIRST_SEEN)).count(), 2, "{run:#?}");
    wait_until("both have waited again", || {
        stage.tagalong(&["sync"]).ok();
        stage.origin.read("base.yaml").contains(&digest) && stage.origin.read("version.yaml").ends_with("1.1.0\n")
    });
}
