//! Nothing moves back by itself, whatever a registry says about images today, with and without a cache.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::infra::Stage;
use crate::support::registry::Registry;
use crate::support::scripted::{Scripted, forward, json as answer};
use crate::support::tagalong::{Run, run};

const OLD: &str = "2026-04-01T10:00:00Z";
const NEW: &str = "2026-04-05T10:00:00Z";
const LATER: &str = "2026-04-10T10:00:00Z";
const LATEST: &str = "2026-04-11T10:00:00Z";
const EPOCH: &str = "1970-01-01T00:00:00Z";

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Puts the image of a tag into a new index under another tag, with an annotation that says when that was built.
fn disguise(registry: &Registry, image: &str, digest: &str, tag: &str, created: &str) {
    let size = registry.manifest(image, digest).to_string().len();
    let platform = json!({ "mediaType": MANIFEST, "digest": digest, "size": size, "platform": { "architecture": "amd64", "os": "linux" } });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [platform],
        "annotations": { "org.opencontainers.image.created": created } });
    registry.put_manifest(image, tag, &index);
}

/// Pushes an image whose config has no date, with an annotation that says when it was built.
fn push_annotated(registry: &Registry, image: &str, tag: &str, created: &str) {
    registry.push(image, tag, EPOCH);
    let mut manifest = registry.manifest(image, tag);
    manifest["annotations"] = json!({ "org.opencontainers.image.created": created });
    registry.put_manifest(image, tag, &manifest);
}

/// Runs a cycle with a cache of its own, like a new replica, or with the usual one.
fn sync(stage: &Stage, cache: Option<&str>) -> Run {
    let folder = cache.map(|name| stage.home().join(name).display().to_string());
    let more: Vec<&str> = folder.iter().flat_map(|folder| ["--cache-dir", folder.as_str()]).collect();
    stage.tagalong(&[&["sync", "--output", "json"], more.as_slice()].concat()).ok()
}

/// Runs cycles with and without a cache, and checks that the file stays and why.
#[track_caller]
fn stays(stage: &Stage, file: &str, why: &str) {
    let before = stage.origin.read(file);
    for cache in [None, Some("fresh"), Some("fresh")] {
        let run = sync(stage, cache);
        assert_eq!(run.json()["commit"], Value::Null, "{run:#?}");
        assert_eq!(stage.origin.read(file), before, "{run:#?}");
        let skipped = run.json()["skipped"].as_array().expect("a list").clone();
        let is_said = |skipped: &Value| {
            skipped["reason"] == "no-candidate" && skipped["detail"].as_str().is_some_and(|text| text.contains(why))
        };
        // With its cache, tagalong does not even look at tags that it knows.
        assert!(cache.is_none() || skipped.iter().any(is_said), "{why}: {run:#?}");
    }
    std::fs::remove_dir_all(stage.home().join("fresh")).expect("it was there");
}

#[test]
fn an_old_image_in_a_new_index_stays_old() {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    let old = stage.registry.push("org/app", "aaaaaa1", OLD);
    stage.registry.push("org/app", "aaaaaa2", NEW);
    sync(&stage, None);
    assert!(stage.origin.read("app.yaml").ends_with("aaaaaa2\n"));
    disguise(&stage.registry, "org/app", &old, "bbbbbb1", LATER);
    stays(&stage, "app.yaml", "its contents were built at 2026-04-01T10:00:00Z");
    // It does not keep back what is newer than the current image, even if that says that it is older than this.
    stage.registry.push("org/app", "aaaaaa3", "2026-04-06T10:00:00Z");
    let run = sync(&stage, Some("another"));
    assert!(stage.origin.read("app.yaml").ends_with("aaaaaa3\n"), "{run:#?}");
    assert!(run.stdout.contains("bbbbbb1 is older than aaaaaa2, which app.yaml holds"), "{run:#?}");
    // A person may want it all the same.
    let (image, reason) =
        (format!("{}:bbbbbb1", stage.image("app")), ["--allow-downgrade", "--reason", "it is needed"]);
    stage.tagalong(&[&["set", &image], reason.as_slice()].concat()).ok();
    assert!(stage.origin.read("app.yaml").ends_with("bbbbbb1\n"));
    // What is newer moves it on.
    stage.registry.push("org/app", "ccccccc", LATEST);
    sync(&stage, None);
    assert!(stage.origin.read("app.yaml").ends_with("ccccccc\n"));
}

#[test]
fn the_age_of_what_a_person_deployed_is_that_of_its_contents() {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa2\n")]);
    let old = stage.registry.push("org/app", "aaaaaa1", OLD);
    let new = stage.registry.push("org/app", "aaaaaa3", NEW);
    disguise(&stage.registry, "org/app", &new, "aaaaaa2", LATER);
    disguise(&stage.registry, "org/app", &old, "bbbbbb1", LATEST);
    stays(&stage, "app.yaml", "before those of the current image (2026-04-05T10:00:00Z)");
    // The same contents again, as from a build that changed nothing, are new.
    disguise(&stage.registry, "org/app", &new, "ccccccc", "2026-04-12T10:00:00Z");
    let run = sync(&stage, None);
    assert!(stage.origin.read("app.yaml").ends_with("ccccccc\n"), "{run:#?}");
}

#[test]
fn a_replaced_tag_does_not_return_with_a_new_date() {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa0\n")]);
    stage.registry.push("org/app", "aaaaaa0", EPOCH);
    let mut trailers = Vec::new();
    for (tag, created) in [("aaaaaa1", OLD), ("aaaaaa2", NEW)] {
        push_annotated(&stage.registry, "org/app", tag, created);
        let image = format!("{}:{tag}", stage.image("app"));
        stage.tagalong(&["set", &image]).ok();
        trailers.push(stage.origin.message());
    }
    for (message, created) in trailers.iter().zip([OLD, NEW]) {
        assert!(message.contains(&format!(" request built={created}\n")), "{message}");
    }
    // Nothing but the record shows that it is old.
    push_annotated(&stage.registry, "org/app", "aaaaaa1", LATER);
    stays(&stage, "app.yaml", "it was built at 2026-04-01T10:00:00Z, before the current image");
    // The registry says now that what is deployed is old.
    push_annotated(&stage.registry, "org/app", "aaaaaa2", "2026-03-01T10:00:00Z");
    push_annotated(&stage.registry, "org/app", "bbbbbb1", "2026-04-02T10:00:00Z");
    stage.registry.untag("org/app", "aaaaaa1");
    stays(&stage, "app.yaml", "it was built at 2026-04-02T10:00:00Z, before the current image (2026-04-05T10:00:00Z)");
    push_annotated(&stage.registry, "org/app", "ccccccc", LATEST);
    sync(&stage, Some("another"));
    assert!(stage.origin.read("app.yaml").ends_with("ccccccc\n"));
}

#[test]
fn a_tracked_tag_that_points_back_is_not_followed() {
    let stage = Stage::new(&[
        (
            "tagalong.yaml",
            "policies:\n- { images: [HOST/base/*], track: digest }\n- { images: [HOST/undated/*], track: digest }\n",
        ),
        ("dated.yaml", "image: HOST/base/dated:2026.04\n"),
        ("undated.yaml", "image: HOST/undated/base:2026.04\n"),
    ]);
    let push = |stage: &Stage, dated: &str, undated: &str| {
        // Two images without a date differ in their platform's name.
        let one = stage.registry.push("base/dated", "2026.04", dated);
        stage.registry.push("undated/base", undated, EPOCH);
        let other = stage.registry.manifest("undated/base", undated);
        (one, stage.registry.put_manifest("undated/base", "2026.04", &other))
    };
    let first = push(&stage, OLD, "one");
    sync(&stage, None);
    let second = push(&stage, NEW, "two");
    sync(&stage, None);
    assert!(stage.origin.read("dated.yaml").ends_with(&format!("@{}\n", second.0)));
    assert!(stage.origin.read("undated.yaml").ends_with(&format!("@{}\n", second.1)));
    stage.registry.tag("base/dated", &first.0, "2026.04");
    stage.registry.tag("undated/base", &first.1, "2026.04");
    let before = (stage.origin.read("dated.yaml"), stage.origin.read("undated.yaml"));
    for cache in [None, Some("fresh"), Some("fresh")] {
        let run = sync(&stage, cache);
        assert_eq!(run.json()["commit"], Value::Null, "{run:#?}");
        let skipped = run.json()["skipped"].as_array().expect("a list").clone();
        let details: Vec<&str> = skipped.iter().filter_map(|skipped| skipped["detail"].as_str()).collect();
        assert!(details.iter().all(|detail| detail.contains("it was itself replaced by that at ")), "{run:#?}");
        assert_eq!(details.len(), 2);
    }
    assert_eq!((stage.origin.read("dated.yaml"), stage.origin.read("undated.yaml")), before);
    // Without a record, as after a person's commit, the images' own dates tell.
    let [old, new] = [OLD, NEW].map(|created| stage.registry.push("base/hand", "2026.04", created));
    stage.registry.tag("base/hand", &old, "2026.04");
    let text = format!("image: {}/base/hand:2026.04@{new}\n", stage.registry.host());
    stage.origin.commit("by hand", &[("hand.yaml", &text)]);
    let run = sync(&stage, None);
    assert_eq!(stage.origin.read("hand.yaml"), text, "{run:#?}");
    assert!(run.stdout.contains("it was built at 2026-04-01T10:00:00Z, before the current image"), "{run:#?}");
    let third = push(&stage, LATER, "three");
    sync(&stage, None);
    assert!(stage.origin.read("dated.yaml").ends_with(&format!("@{}\n", third.0)));
    assert!(stage.origin.read("undated.yaml").ends_with(&format!("@{}\n", third.1)));
}

#[test]
fn an_api_that_says_something_else_today_is_not_believed() {
    let stage = Stage::new(&[("none.yaml", "a: b\n")]);
    let pushed: Arc<Mutex<Vec<(&str, &str)>>> = Arc::new(Mutex::new(vec![
        ("aaaaaa1", "2026-04-02T10:00:00Z"),
        ("aaaaaa2", "2026-04-02T12:00:00Z"),
        ("aaaaaa0", "2026-04-02T09:00:00Z"),
    ]));
    let (behind, told) = (stage.registry.host(), Arc::clone(&pushed));
    let front = Scripted::start(move |request| {
        if !request.target.starts_with("/api/") {
            return forward(&behind, request);
        }
        let told = told.lock().expect("unpoisoned");
        let package = |(tag, at): &(&str, &str)| json!({ "name": "app", "version": tag, "created_at": at });
        let all: Vec<Value> = told.iter().map(package).collect();
        answer(200, if request.target.contains("&page=1&") { json!(all) } else { json!([]) }, &[])
    });
    for tag in ["aaaaaa0", "aaaaaa1", "aaaaaa2"] {
        stage.registry.push("org/app", tag, OLD);
    }
    let host = front.host();
    stage.origin.commit("behind the front", &[("app.yaml", &format!("image: {host}/org/app:aaaaaa1\n"))]);
    let config = stage.home().join("pushed.yaml");
    let text = format!(
        "{}registries:\n- {{ host: \"{host}\", plainHttp: true, api: gitea }}\npolicies:\n- images: [\"{host}/org/*\"]\n  tags: {{ sha: {{ order: pushed }} }}\n",
        stage.sshd.config(&stage.origin),
    );
    std::fs::write(&config, text).expect("written");
    let sync = |cache: &str| {
        let (config, cache) = (config.display().to_string(), stage.home().join(cache).display().to_string());
        run(stage.home(), &["sync", "--output", "json", "--config", &config, "--cache-dir", &cache]).ok()
    };
    let set = |tag: &str, at| {
        pushed.lock().expect("unpoisoned").iter_mut().find(|(known, _)| *known == tag).expect("there").1 = at
    };
    let first = sync("one");
    assert!(stage.origin.read("app.yaml").ends_with("aaaaaa2\n"), "{first:#?}");
    let message = stage.origin.message();
    assert!(message.contains(" pushed built=2026-04-01T10:00:00Z pushed=2026-04-02T12:00:00Z\n"), "{message}");
    // What is deployed was pushed long ago, it says now, and another one since.
    set("aaaaaa2", "2026-04-01T00:00:00Z");
    let run = sync("two");
    assert!(stage.origin.read("app.yaml").ends_with("aaaaaa2\n"), "{run:#?}");
    assert!(run.stdout.contains("it was pushed at 2026-04-02T10:00:00Z, before the current image"), "{run:#?}");
    // A time in the future is not believed, and reported.
    set("aaaaaa2", "2026-04-02T12:00:00Z");
    set("aaaaaa0", "2036-04-02T12:00:00Z");
    let run = sync("three");
    assert!(stage.origin.read("app.yaml").ends_with("aaaaaa2\n"), "{run:#?}");
    assert!(run.stdout.contains("aaaaaa0 was pushed at 2036-04-02T12:00:00Z according to its registry"), "{run:#?}");
    pushed.lock().expect("unpoisoned").push(("bbbbbb1", "2026-04-03T10:00:00Z"));
    stage.registry.push("org/app", "bbbbbb1", OLD);
    let run = sync("three");
    assert!(stage.origin.read("app.yaml").ends_with("bbbbbb1\n"), "{run:#?}");
}
