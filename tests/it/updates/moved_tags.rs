//! A tag that moves between the verification of its image and the push: what is written is what was verified.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::support::infra::Stage;
use crate::support::registry::Registry;
use crate::support::scripted::{Scripted, forward};
use crate::support::tagalong::{Run, run};

const OLD: &str = "2026-04-01T10:00:00Z";
const NEW: &str = "2026-04-02T10:00:00Z";
const LATER: &str = "2026-04-03T10:00:00Z";

/// A registry behind a front end that runs `before` when the digest of a tag is requested, before it responds.
fn front(registry: &Registry, before: impl Fn(&str) + Send + Sync + 'static) -> Scripted {
    let behind = registry.host();
    Scripted::start(move |request| {
        if request.method == "HEAD"
            && let Some((_, reference)) = request.target.split_once("/manifests/")
            && !reference.starts_with("sha256:")
        {
            before(reference);
        }
        forward(&behind, request)
    })
}

fn tagalong(stage: &Stage, front: &Scripted, policy: &str, arguments: &[&str]) -> Run {
    let config = stage.home().join("front.yaml");
    let text = format!(
        "{}registries:\n- {{ host: \"{host}\", plainHttp: true }}\npolicies:\n- {{ images: [\"{host}/org/*\"], {policy} }}\n",
        stage.sshd.config(&stage.origin),
        host = front.host()
    );
    std::fs::write(&config, text).expect("written");
    run(stage.home(), &[arguments, &["--config", &config.display().to_string()]].concat())
}

fn detail(run: &Run) -> String {
    run.json()["skipped"][0]["detail"].as_str().expect("a reason").to_owned()
}

#[test]
fn a_tag_that_moves_before_the_push_waits_and_the_others_move() {
    let stage = Stage::new(&[("none.yaml", "a: b\n")]);
    // Whoever moves the tag has the same registry.
    let registry = Arc::new(Registry::start(&stage.home().join("behind"), crate::support::registry::Kind::Plain));
    for (tag, created) in [("aaaaaa1", OLD), ("aaaaaa2", NEW)] {
        registry.push("org/app", tag, created);
        registry.push("org/steady", tag, created);
    }
    let (asked, thief) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&registry));
    let moved: Arc<Mutex<Option<String>>> = Arc::default();
    let (count, digest) = (Arc::clone(&asked), Arc::clone(&moved));
    let front = front(&registry, move |reference| {
        if reference == "aaaaaa2" && count.fetch_add(1, Ordering::SeqCst) < 2 {
            *digest.lock().expect("unpoisoned") = Some(thief.push("org/app", "aaaaaa2", LATER));
        }
    });
    let host = front.host();
    let files = [("app.yaml", "app"), ("steady.yaml", "steady")];
    let files = files.map(|(file, name)| (file, format!("image: {host}/org/{name}:aaaaaa1\n")));
    stage.origin.commit("behind the front", &files.each_ref().map(|(file, text)| (*file, text.as_str())));
    let sync = || tagalong(&stage, &front, "tags: { sha: {} }", &["sync", "--output", "json"]).ok();
    let first = sync();
    assert!(stage.origin.read("steady.yaml").ends_with("aaaaaa2\n"), "{first:#?}");
    assert!(stage.origin.read("app.yaml").ends_with("aaaaaa1\n"), "{first:#?}");
    assert!(detail(&first).contains("pointed to sha256:"), "{first:#?}");
    // The next cycle verifies what the tag points to now.
    let second = sync();
    assert!(stage.origin.read("app.yaml").ends_with("aaaaaa2\n"), "{second:#?}");
    let now = moved.lock().expect("unpoisoned").clone();
    assert_eq!(second.json()["updates"][0]["digest"], Value::from(now.expect("it moved")), "{second:#?}");
}

#[test]
fn a_tag_that_moves_is_an_error_for_a_person_who_named_it() {
    let stage = Stage::new(&[("none.yaml", "a: b\n")]);
    let registry = Arc::new(Registry::start(&stage.home().join("behind"), crate::support::registry::Kind::Plain));
    registry.push("org/app", "aaaaaa1", OLD);
    registry.push("org/app", "aaaaaa2", NEW);
    let (asked, thief) = (AtomicUsize::new(0), Arc::clone(&registry));
    let front = front(&registry, move |reference| {
        if reference == "aaaaaa2" && asked.fetch_add(1, Ordering::SeqCst) == 1 {
            thief.push("org/app", "aaaaaa2", LATER);
        }
    });
    let text = format!("image: {}/org/app:aaaaaa1\n", front.host());
    stage.origin.commit("behind the front", &[("app.yaml", &text)]);
    let image = format!("{}/org/app:aaaaaa2", front.host());
    let set = tagalong(&stage, &front, "tags: { sha: {} }", &["set", &image]).fails_with(3);
    assert!(set.stderr.contains("points to sha256:"), "{set:#?}");
    assert_eq!(stage.origin.read("app.yaml"), text);
    tagalong(&stage, &front, "tags: { sha: {} }", &["set", &image]).ok();
    assert!(stage.origin.read("app.yaml").ends_with("aaaaaa2\n"));
}

#[test]
fn a_pinned_digest_is_the_verified_one_wherever_the_tag_points_later() {
    let stage = Stage::new(&[("none.yaml", "a: b\n")]);
    let registry = Arc::new(Registry::start(&stage.home().join("behind"), crate::support::registry::Kind::Plain));
    registry.push("org/app", "1.0.0", OLD);
    let verified = registry.push("org/app", "1.1.0", NEW);
    let (asked, thief) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&registry));
    let count = Arc::clone(&asked);
    let front = front(&registry, move |reference| {
        if reference == "1.1.0" && count.fetch_add(1, Ordering::SeqCst) == 1 {
            thief.push("org/app", "1.1.0", LATER);
        }
    });
    let text = format!("image: {}/org/app:1.0.0\n", front.host());
    stage.origin.commit("behind the front", &[("app.yaml", &text)]);
    let run = tagalong(&stage, &front, "tags: { semver: '*' }, pin: digest", &["sync", "--output", "json"]).ok();
    assert!(stage.origin.read("app.yaml").ends_with(&format!("1.1.0@{verified}\n")), "{run:#?}");
    assert_eq!(asked.load(Ordering::SeqCst), 1, "a digest that is written is not asked again");
}
