//! Nothing is deployed that a node could not pull: the image is checked completely before a field moves.

use serde_json::{Value, json};
use tagalong::image::{Repository, Version};
use tagalong::platform::Platform;
use tagalong::registry::client::Client;
use tagalong::registry::config::{Config, HostConfig};
use tagalong::registry::error::RegistryError;
use tagalong::registry::integrity::PartCache;

use crate::support::buildah::Buildah;
use crate::support::infra::Stage;
use crate::support::registry::{Kind, Registry};
use crate::support::skopeo::Layout;

const OLD: &str = "2026-04-01T10:00:00Z";
const NEW: &str = "2026-04-02T10:00:00Z";
const NEWEST: &str = "2026-04-03T10:00:00Z";

fn digest_of(descriptor: &Value) -> String {
    descriptor["digest"].as_str().expect("a digest").to_owned()
}

/// Checks whether an image is complete.
fn prove(registry: &Registry, tag: &str, platforms: &[&str]) -> Result<(), RegistryError> {
    let own = HostConfig { host: registry.host(), plain_http: true, ..HostConfig::default() };
    let client = Client::new(Config { hosts: vec![own], ..Config::default() }).expect("a client");
    let repository: Repository = format!("{}/org/app", registry.host()).parse().expect("a name");
    let version = Version::parse_tag(tag).expect("a tag");
    let platforms: Vec<Platform> = platforms.iter().map(|text| text.parse().expect("a platform")).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(client.check_integrity(&repository, &version, &platforms, &PartCache::default())).map(drop)
}

#[track_caller]
fn flaws(result: Result<(), RegistryError>) -> Vec<String> {
    match result {
        Err(RegistryError::Incomplete { flaws, .. }) => flaws.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn images_of_every_format_are_checked_and_missing_parts_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Registry::start(&folder.path().join("registry"), Kind::Plain);
    // OCI types, Docker's own types, and layers compressed with zstd.
    let makes: [(&str, &[&str]); 3] = [
        ("oci", &["--all"]),
        ("docker", &["--format", "v2s2", "--dest-compress-format", "gzip"]),
        ("zstd", &["--dest-compress-format", "zstd"]),
    ];
    for (tag, arguments) in makes {
        // A layout for each, because skopeo reuses a layer that it has compressed before.
        let layout = Layout::make(&folder.path().join(tag), &format!("2026-04-0{}T10:00:00Z", tag.len()));
        layout.push(&registry, "org/app", tag, arguments);
        prove(&registry, tag, &[]).unwrap_or_else(|error| panic!("{tag}: {error}"));
    }
    let docker = registry.manifest("org/app", "docker");
    assert_eq!(docker["mediaType"], "application/vnd.docker.distribution.manifest.v2+json");
    let zstd = registry.manifest("org/app", "zstd");
    assert_eq!(zstd["layers"][0]["mediaType"], "application/vnd.oci.image.layer.v1.tar+zstd");

    registry.lose(&digest_of(&docker["layers"][0]));
    assert_eq!(
        flaws(prove(&registry, "docker", &[])),
        [format!("a layer {} is missing", digest_of(&docker["layers"][0]))]
    );
    registry.spoil(&digest_of(&zstd["layers"][0]), b"short");
    let said = flaws(prove(&registry, "zstd", &[]));
    assert!(said[0].contains("has 5 bytes, not "), "{said:?}");
    registry.lose(&digest_of(&zstd["config"]));
    assert!(flaws(prove(&registry, "zstd", &[])).iter().any(|flaw| flaw.starts_with("the configuration sha256:")));

    // The attestation in an index is not required; a child for a required platform is.
    let index = registry.manifest("org/app", "oci");
    let [amd64, arm64, attestation] = [0, 1, 2].map(|n| digest_of(&index["manifests"][n]));
    registry.lose(&attestation);
    prove(&registry, "oci", &[]).expect("whole");
    registry.lose(&arm64);
    assert_eq!(flaws(prove(&registry, "oci", &[])), [format!("the manifest of linux/arm64 {arm64} is missing")]);
    prove(&registry, "oci", &["linux/amd64"]).expect("whole for who needs amd64");
    assert!(
        flaws(prove(&registry, "oci", &["linux/amd64", "linux/s390x"]))[0].ends_with("has nothing for linux/s390x")
    );
    let mut other = registry.manifest("org/app", &amd64);
    other["annotations"] = json!({ "who": "someone else" });
    registry.spoil(&amd64, other.to_string().as_bytes());
    assert!(flaws(prove(&registry, "oci", &["linux/amd64"]))[0].contains("is broken: its bytes hash to"));
}

#[test]
fn images_by_buildah_are_checked_and_missing_parts_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Registry::start(&folder.path().join("registry"), Kind::Plain);
    let buildah = Buildah::new();
    for (name, architecture, format) in
        [("one", "amd64", "oci"), ("two", "arm64", "oci"), ("three", "amd64", "docker"), ("four", "amd64", "oci")]
    {
        buildah.image(name, architecture, format, 1_775_037_600);
    }
    buildah.push("one", &registry, "org/app", "oci", &["--format", "oci"]);
    buildah.push("three", &registry, "org/app", "docker", &["--format", "v2s2"]);
    buildah.push("four", &registry, "org/app", "zstd", &["--format", "oci", "--compression-format", "zstd"]);
    buildah.push_list(&["one", "two"], &registry, "org/app", "index", "oci");
    buildah.push_list(&["one", "two"], &registry, "org/app", "list", "v2s2");
    let kinds = [
        ("oci", "application/vnd.oci.image.manifest.v1+json"),
        ("docker", "application/vnd.docker.distribution.manifest.v2+json"),
        ("zstd", "application/vnd.oci.image.manifest.v1+json"),
        ("index", "application/vnd.oci.image.index.v1+json"),
        ("list", "application/vnd.docker.distribution.manifest.list.v2+json"),
    ];
    for (tag, kind) in kinds {
        assert_eq!(registry.manifest("org/app", tag)["mediaType"], kind, "{tag}");
        prove(&registry, tag, &[]).unwrap_or_else(|error| panic!("{tag}: {error}"));
    }
    let zstd = registry.manifest("org/app", "zstd");
    assert_eq!(zstd["layers"][0]["mediaType"], "application/vnd.oci.image.layer.v1.tar+zstd");
    prove(&registry, "index", &["linux/amd64", "linux/arm64"]).expect("both");

    registry.lose(&digest_of(&zstd["layers"][0]));
    let lost = digest_of(&zstd["layers"][0]);
    assert_eq!(flaws(prove(&registry, "zstd", &[])), [format!("a layer {lost} is missing")]);
    // A child of each kind of index, deleted as by a cleanup that only knows tags.
    for (tag, what) in [("index", "linux/arm64"), ("list", "linux/arm64")] {
        let child = digest_of(&registry.manifest("org/app", tag)["manifests"][1]);
        registry.delete("org/app", &child);
        assert_eq!(flaws(prove(&registry, tag, &[])), [format!("the manifest of {what} {child} is missing")]);
        prove(&registry, tag, &["linux/amd64"]).unwrap_or_else(|error| panic!("{tag}: {error}"));
    }
}

#[test]
fn platforms_are_checked_on_single_images_and_foreign_layers_are_skipped() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Registry::start(folder.path(), Kind::Plain);
    registry.push("org/app", "one", NEW);
    prove(&registry, "one", &["linux/amd64"]).expect("whole");
    assert!(flaws(prove(&registry, "one", &["linux/arm64"]))[0].ends_with("has nothing for linux/arm64"));
    let mut manifest = registry.manifest("org/app", "one");
    manifest["layers"][0]["mediaType"] = json!("application/vnd.oci.image.layer.nondistributable.v1.tar");
    registry.put_manifest("org/app", "foreign", &manifest);
    registry.lose(&digest_of(&manifest["layers"][0]));
    prove(&registry, "foreign", &[]).expect("whole");
    assert_eq!(flaws(prove(&registry, "one", &[])).len(), 1);
}

#[test]
fn a_broken_candidate_is_named_and_the_next_best_is_not_chosen() {
    let stage = Stage::new(&[("a.yaml", "image: HOST/org/a:aaaaaa1\n"), ("b.yaml", "image: HOST/org/b:aaaaaa1\n")]);
    for name in ["org/a", "org/b"] {
        stage.registry.push(name, "aaaaaa1", OLD);
        stage.registry.push(name, "aaaaaa2", NEW);
    }
    stage.registry.push_index("org/a", "aaaaaa3", NEWEST);
    let gone = digest_of(&stage.registry.manifest("org/a", "aaaaaa3")["manifests"][1]);
    stage.registry.lose(&gone);

    let run = stage.tagalong(&["sync", "--output", "json"]);
    assert_eq!(run.code, 3, "{run:#?}");
    let report = run.json();
    assert_eq!(report["updates"].as_array().expect("updates").len(), 1, "{report:#}");
    assert_eq!(report["updates"][0]["file"], "b.yaml");
    let skipped = &report["skipped"][0];
    assert_eq!((&skipped["reason"], &skipped["tag"]), (&json!("blocked-image"), &json!("aaaaaa3")));
    let detail = skipped["detail"].as_str().expect("text");
    assert!(detail.contains(&gone) && detail.contains("linux/arm64"), "{detail}");
    assert!(stage.origin.read("a.yaml").ends_with("aaaaaa1\n"));

    // `set` cannot bypass it, and reports the same.
    let asked = stage.tagalong(&["set", &format!("{}:aaaaaa3", stage.image("a"))]).fails_with(3);
    assert!(asked.stderr.contains(&gone), "{asked:#?}");
}

#[test]
fn a_policy_may_fall_back_or_need_fewer_platforms() {
    let stage = Stage::new(&[
        (
            "tagalong.yaml",
            "policies:\n- { images: [HOST/back/*], tags: { semver: '*' }, fallback: true }\n- { images: [HOST/amd/*], tags: { sha: {} }, platforms: [linux/amd64] }\n",
        ),
        ("back.yaml", "image: HOST/back/app:1.0.0\n"),
        ("amd.yaml", "image: HOST/amd/app:aaaaaa1\n"),
    ]);
    for tag in ["1.0.0", "1.1.0", "1.2.0", "1.3.0"] {
        stage.registry.push("back/app", tag, OLD);
    }
    for tag in ["1.2.0", "1.3.0"] {
        let manifest = stage.registry.manifest("back/app", tag);
        stage.registry.lose(&digest_of(&manifest["layers"][0]));
    }
    stage.registry.push("amd/app", "aaaaaa1", OLD);
    stage.registry.push_index("amd/app", "aaaaaa2", NEW);
    stage.registry.lose(&digest_of(&stage.registry.manifest("amd/app", "aaaaaa2")["manifests"][1]));
    let report = stage.tagalong(&["sync", "--output", "json"]).json();
    assert!(stage.origin.read("back.yaml").ends_with("1.1.0\n"), "{report:#}");
    assert!(stage.origin.read("amd.yaml").ends_with("aaaaaa2\n"), "{report:#}");
    let blocked: Vec<&Value> =
        report["skipped"].as_array().expect("skipped").iter().filter(|s| s["reason"] == "blocked-image").collect();
    assert_eq!(blocked.iter().map(|s| &s["tag"]).collect::<Vec<_>>(), ["1.2.0", "1.3.0"], "{report:#}");
}

#[test]
fn an_image_too_broken_to_have_a_date_is_reported() {
    let stage = Stage::new(&[("a.yaml", "image: HOST/org/a:aaaaaa1\n")]);
    stage.registry.push("org/a", "aaaaaa1", OLD);
    stage.registry.push("org/a", "aaaaaa2", NEW);
    let config = digest_of(&stage.registry.manifest("org/a", "aaaaaa2")["config"]);
    stage.registry.lose(&config);
    let run = stage.tagalong(&["sync", "--output", "json"]);
    let report = run.json();
    assert_eq!((run.code, &report["skipped"][0]["reason"]), (3, &json!("up-to-date")), "{report:#}");
    assert_eq!(report["skipped"][1]["reason"], "blocked-image", "{report:#}");
    assert!(report["skipped"][1]["detail"].as_str().expect("text").contains(&config), "{report:#}");
}

#[test]
fn everything_deployed_is_verified_with_or_without_a_policy() {
    let stage = Stage::new(&[
        ("tagalong.yaml", "policies:\n- { images: [HOST/kept/*], tags: { semver: '*' }, keep: 2 }\n"),
        ("kept.yaml", "image: HOST/kept/app:1.0.0\n"),
        ("followed.yaml", "image: HOST/org/app:aaaaaa1\n"),
        ("other.yaml", "a: { image: HOST/other/app:stable }\nb: { image: HOST/other/app:stable }\n"),
        ("base/app.yaml", "spec:\n  containers:\n  - { name: app, image: HOST/org/app:bbbbbb1 }\n"),
        ("base/kustomization.yaml", "resources: [app.yaml]\nimages: [{ name: HOST/org/app, newTag: aaaaaa1 }]\n"),
    ]);
    for tag in ["1.0.0", "1.1.0", "1.2.0"] {
        stage.registry.push("kept/app", tag, OLD);
    }
    stage.registry.push_index("org/app", "aaaaaa1", OLD);
    stage.registry.push("other/app", "stable", OLD);
    let verdict = stage.tagalong(&["images", "verify", "--output", "json"]).ok().json();
    assert_eq!((&verdict["ok"], &verdict["broken"], &verdict["unknown"]), (&json!(3), &json!(0), &json!(0)));
    let kept = &verdict["images"][0];
    assert_eq!((&kept["tag"], &kept["status"]), (&json!("1.0.0"), &json!("ok")), "{verdict:#}");
    assert!(kept["warning"].as_str().expect("a warning").contains("2 tags are newer"), "{verdict:#}");
    assert_eq!(verdict["images"][2]["places"], json!(["other.yaml:1", "other.yaml:2"]));
    assert_eq!(verdict["images"][1]["warning"], Value::Null);

    let child = digest_of(&stage.registry.manifest("org/app", "aaaaaa1")["manifests"][0]);
    stage.registry.lose(&child);
    let layer = digest_of(&stage.registry.manifest("other/app", "stable")["layers"][0]);
    stage.registry.lose(&layer);
    let run = stage.tagalong(&["images", "verify"]);
    assert_eq!(run.code, 3, "{run:#?}");
    assert!(run.stdout.contains(&child) && run.stdout.contains(&layer), "{run:#?}");
    assert!(run.stdout.ends_with("1 ok, 2 broken, 0 unknown\n"), "{run:#?}");
}
