//! Nothing is deployed whose origin is not proven, if its policy says so. The images and signatures are in the real registry;
//! a gateway in front of it counts requests and can add the referrers API, which Debian's registry lacks.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::agent::Agent;
use crate::support::gateway::Gateway;
use crate::support::git::{Origin, Sshd};
use crate::support::infra::Stage;
use crate::support::process::wait_until;
use crate::support::registry::{Kind, Registry, digest};
use crate::support::signing::{BUNDLE, Key, PROVENANCE, SIMPLE_SIGNING, list_below_tag, provenance};
use crate::support::skipped;
use crate::support::tagalong::{Run, run};

const OLD: &str = "2026-04-01T10:00:00Z";
const NEW: &str = "2026-04-02T10:00:00Z";
const NEWEST: &str = "2026-04-03T10:00:00Z";
const APP: &str = "org/app";
const SOURCE: &str = "https://git.example.com/acme/app";

/// A deployed image whose policy requires signatures by a key.
struct Scene {
    stage: Stage,
    gateway: Gateway,
    key: Key,
    other_key: Key,
}

impl Scene {
    fn new(has_referrers: bool) -> Scene {
        let folder = tempfile::tempdir().expect("a folder");
        let registry = Registry::start(&folder.path().join("registry"), Kind::Plain);
        let gateway = Gateway::to(&registry, has_referrers);
        let sshd = Sshd::start(&folder.path().join("sshd"));
        let files = [("app.yaml", &*format!("image: {}/{APP}:aaaaaa1\n", gateway.host()))];
        let origin = Origin::create(&folder.path().join("infra.git"), &files);
        registry.push(APP, "aaaaaa1", OLD);
        let key = Key::make(&folder.path().join("cosign.pub"));
        let other_key = Key::make(&folder.path().join("other.pub"));
        let scene = Scene { stage: Stage { folder, registry, sshd, origin }, gateway, key, other_key };
        scene.configure("signed: { keys: [KEY], transparency: ignore }");
        scene
    }

    /// Writes the configuration with these keys in the policy.
    fn configure(&self, policy: &str) {
        let host = self.gateway.host();
        let policy = policy.replace("KEY", &self.file("cosign.pub")).replace("OTHER", &self.file("other.pub"));
        let policy: String = policy.lines().map(|line| format!("  {line}\n")).collect();
        let tags = if policy.contains("tags:") { "" } else { "  tags: { sha: { order: built } }\n" };
        let text = format!(
            "{}registries:\n- {{ host: \"{host}\", plainHttp: true }}\npolicies:\n- images: [\"{host}/org/*\"]\n{tags}{policy}",
            self.stage.sshd.config(&self.stage.origin),
        );
        std::fs::write(self.path("tagalong.yaml"), text).expect("written");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.stage.folder.path().join(name)
    }

    fn file(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn push(&self, tag: &str, created: &str) -> String {
        self.stage.registry.push(APP, tag, created)
    }

    fn sign(&self, image: &str) {
        self.key.sign_below_tag(&self.stage.registry, APP, image);
    }

    fn tagalong(&self, arguments: &[&str]) -> Run {
        let config = self.file("tagalong.yaml");
        let mut all = arguments.to_vec();
        all.extend(["--config", &config]);
        run(self.stage.home(), &all)
    }

    fn sync(&self) -> Value {
        self.tagalong(&["sync", "--output", "json"]).json()
    }

    fn has(&self, tag: &str) -> bool {
        self.stage.origin.read("app.yaml").ends_with(&format!(":{tag}\n"))
    }

    /// Runs a cycle in which nothing may move, and returns the detail of why the image is blocked.
    #[track_caller]
    fn blocked(&self) -> String {
        let tip = self.stage.origin.tip();
        let run = self.tagalong(&["sync", "--output", "json"]);
        assert_eq!(run.code, 3, "{run:#?}");
        let report = run.json();
        assert_eq!(report["skipped"][0]["reason"], "blocked-signature", "{report:#}");
        assert_eq!((report["updates"].as_array().map(Vec::len), self.stage.origin.tip()), (Some(0), tip));
        report["skipped"][0]["detail"].as_str().expect("text").to_owned()
    }

    /// The requests since the last call that are about signatures.
    fn requests_about_signatures(&self) -> Vec<String> {
        let all = self.gateway.requests().into_iter();
        let kept = all.filter(|asked| asked.contains("sha256-") || asked.contains("/referrers/"));
        kept.collect()
    }
}

#[test]
fn an_image_moves_once_it_is_signed_and_history_shows_by_whom() {
    let scene = Scene::new(false);
    let image = scene.push("aaaaaa2", NEW);
    let detail = scene.blocked();
    assert!(detail.contains(&format!("{image} is not signed")), "{detail}");
    // A person cannot bypass it either.
    let name = format!("{}/{APP}:aaaaaa2", scene.gateway.host());
    for more in [&[][..], &["--force", "--reason", "now"]] {
        let asked = scene.tagalong(&[&["set", &name], more].concat()).fails_with(3);
        assert!(asked.stderr.contains(&image) && asked.stderr.contains("sign the image"), "{asked:#?}");
    }
    assert!(scene.has("aaaaaa1"));

    scene.sign(&image);
    let report = scene.sync();
    assert!(scene.has("aaaaaa2"), "{report:#}");
    let message = scene.stage.origin.message();
    let key = scene.file("cosign.pub");
    let evidence = format!("{}/{APP} by {key}, at an unproven time", scene.gateway.host());
    assert!(message.contains(&format!("Tagalong-Evidence: signature {evidence}\n")), "{message}");
    let history = scene.tagalong(&["history", "--output", "json"]).ok().json();
    assert_eq!(
        history[0]["evidence"],
        json!([{ "kind": "signature", "detail": evidence, "url": null }]),
        "{history:#}"
    );
}

#[test]
fn every_way_to_be_bad_is_refused_in_both_formats() {
    let scene = Scene::new(false);
    let registry = &scene.stage.registry;
    let before = scene.push("aaaaaa0", OLD);
    let bundle = |key: &Key, image: &str, listed_for: &str| {
        let referrer = key.sign_with_bundle(registry, APP, image);
        list_below_tag(registry, APP, listed_for, &[referrer]);
    };
    type Make<'m> = &'m dyn Fn(&str);
    let cases: [(&str, &str, Make<'_>); 6] = [
        ("aaaaaa2", "none of the accepted keys", &|image| scene.other_key.sign_below_tag(registry, APP, image)),
        ("aaaaaa3", &before, &|image| scene.key.replay_below_tag(registry, APP, &before, image)),
        ("aaaaaa4", "is missing in the registry", &|image| {
            scene.sign(image);
            let tag = format!("{}.sig", image.replace(':', "-"));
            registry.lose(registry.manifest(APP, &tag)["layers"][0]["digest"].as_str().expect("a digest"));
        }),
        ("aaaaaa5", "none of the accepted keys", &|image| bundle(&scene.other_key, image, image)),
        ("aaaaaa6", &before, &|image| bundle(&scene.key, &before, image)),
        ("aaaaaa7", "do not hash to its digest", &|image| {
            scene.sign(image);
            let tag = format!("{}.sig", image.replace(':', "-"));
            let layer = registry.manifest(APP, &tag)["layers"][0].clone();
            let size = layer["size"].as_u64().expect("a size") as usize;
            registry.spoil(layer["digest"].as_str().expect("a digest"), &vec![b' '; size]);
        }),
    ];
    for (number, (tag, reason, make)) in cases.into_iter().enumerate() {
        let image = scene.push(tag, &format!("2026-04-02T10:0{number}:00Z"));
        make(&image);
        let detail = scene.blocked();
        assert!(detail.contains(reason) && detail.contains(tag), "{tag}: {detail}");
    }
    assert!(scene.has("aaaaaa1"));
    // A bad signature does not hide a good one.
    let image = scene.push("aaaaaa8", NEWEST);
    scene.other_key.sign_below_tag(registry, APP, &image);
    bundle(&scene.key, &image, &image);
    scene.sync();
    assert!(scene.has("aaaaaa8"));
}

#[test]
fn provenance_must_name_the_commit_in_the_tag_and_an_allowed_source() {
    let scene = Scene::new(false);
    let registry = &scene.stage.registry;
    let policy = |more: &str| {
        scene.configure(&format!(
            "signed: {{ keys: [KEY], transparency: ignore }}\nattestations: [{{ type: slsaprovenance1{more} }}]"
        ));
    };
    policy(&format!(", source: {SOURCE}"));
    let commit = |tag: &str| format!("{tag}{}", "0".repeat(33));
    let image = scene.push("aaaaaa2", NEW);
    scene.sign(&image);
    assert!(scene.blocked().contains("has no attestation of type slsaprovenance1"));
    scene.key.attest_below_tag(registry, APP, &image, &provenance(SOURCE, &commit("bbbbbb2")));
    let detail = scene.blocked();
    assert!(detail.contains("bbbbbb2"), "another commit: {detail}");
    scene.other_key.attest_below_tag(registry, APP, &image, &provenance(SOURCE, &commit("aaaaaa2")));
    assert!(scene.blocked().contains("none of the accepted keys"));
    let elsewhere = "https://git.example.com/evil/app";
    scene.key.attest_below_tag(registry, APP, &image, &provenance(elsewhere, &commit("aaaaaa2")));
    assert!(scene.blocked().contains("evil/app"));
    // Without a source in the policy, it has to be one that may be read.
    policy("");
    let detail = scene.blocked();
    assert!(detail.contains("evil/app, which is not allowed; add it to `sources`"), "{detail}");
    policy(&format!(", source: {SOURCE}, builder: 'https://ci.example.com/other'"));
    scene.key.attest_below_tag(registry, APP, &image, &provenance(SOURCE, &commit("aaaaaa2")));
    assert!(scene.blocked().contains("ci.example.com"));
    policy(&format!(", source: {SOURCE}, builder: '/https://ci\\.example\\.com/.*/'"));
    scene.sync();
    assert!(scene.has("aaaaaa2"));
    let message = scene.stage.origin.message();
    let recorded =
        format!("Tagalong-Evidence: attestation {}/{APP} {PROVENANCE} of commit aaaaaa2", scene.gateway.host());
    assert!(message.contains(&recorded), "{message}");

    // The same as bundles.
    let image = scene.push("aaaaaa3", NEWEST);
    let signed = scene.key.sign_with_bundle(registry, APP, &image);
    let attest = |commit: &str| {
        let attested = scene.key.attest_with_bundle(registry, APP, &image, &provenance(SOURCE, commit));
        list_below_tag(registry, APP, &image, &[signed.clone(), attested]);
    };
    attest(&commit("bbbbbb3"));
    assert!(scene.blocked().contains("bbbbbb3"));
    attest(&commit("aaaaaa3"));
    scene.sync();
    assert!(scene.has("aaaaaa3"));
}

#[test]
fn a_candidate_costs_few_requests_once_and_a_steady_cycle_none() {
    let scene = Scene::new(false);
    // The registry turns out to lack the referrers API, and to have signatures below tags.
    let image = scene.push("aaaaaa2", NEW);
    scene.sign(&image);
    scene.sync();
    scene.gateway.requests();
    scene.sync();
    assert_eq!(scene.requests_about_signatures(), Vec::<String>::new(), "nothing is new");

    let image = scene.push("aaaaaa3", NEWEST);
    scene.sign(&image);
    let tag = format!("{}.sig", image.replace(':', "-"));
    let payload = scene.stage.registry.manifest(APP, &tag)["layers"][0]["digest"].clone();
    let dry_run = || scene.tagalong(&["sync", "--dry-run"]).ok();
    dry_run();
    let asked = scene.gateway.requests();
    let payloads = asked.iter().filter(|asked| asked.contains(payload.as_str().expect("a digest"))).count();
    assert_eq!(payloads, 1, "{asked:#?}");
    // What was proven is known by its digest, even to another process.
    dry_run();
    assert_eq!(scene.requests_about_signatures(), Vec::<String>::new());
    scene.sync();
    assert!(scene.has("aaaaaa3"));
    assert_eq!(scene.requests_about_signatures(), Vec::<String>::new());
    // But only for the same requirement.
    let image = scene.push("aaaaaa4", "2026-04-04T10:00:00Z");
    scene.sign(&image);
    dry_run();
    scene.configure("signed: { keys: [OTHER], transparency: ignore }");
    assert!(scene.blocked().contains("none of the accepted keys"));
}

#[test]
fn a_running_agent_asks_twice_for_a_signature_and_never_in_a_steady_cycle() {
    let scene = Scene::new(false);
    let config = scene.path("tagalong.yaml");
    let text = std::fs::read_to_string(&config).expect("there");
    std::fs::write(&config, format!("{text}agent: {{ interval: 200ms, listen: \"127.0.0.1:0\" }}\n")).expect("written");
    // The image is complete and signed before the agent can see its tag.
    let deploy = |tag: &str, made_from: &str, created: &str| {
        let image = scene.push(made_from, created);
        scene.sign(&image);
        scene.stage.registry.tag(APP, &image, tag);
        wait_until("the image is deployed", || scene.has(tag));
        scene.requests_about_signatures()
    };
    let agent = Agent::start(scene.stage.home(), &config);
    // The registry turns out to lack the referrers API, and to have signatures below tags.
    let first = deploy("aaaaaa2", "first", NEW);
    assert_eq!(first.iter().filter(|asked| asked.contains("/referrers/")).count(), 1, "{first:#?}");
    let cycles = agent.cycles();
    wait_until("some cycles pass", || agent.cycles() > cycles + 3);
    assert_eq!(scene.requests_about_signatures(), Vec::<String>::new(), "a steady cycle asks for none");
    let second = deploy("aaaaaa3", "second", NEWEST);
    assert_eq!(second.len(), 1, "the manifest, and its payload by digest: {second:#?}");
    assert!(second[0].ends_with(".sig"));
}

#[test]
fn referrers_are_found_by_the_api_where_a_registry_has_it() {
    let scene = Scene::new(true);
    let image = scene.push("aaaaaa2", NEW);
    let signature = scene.key.sign_with_bundle(&scene.stage.registry, APP, &image);
    let other = json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1,
        "digest": format!("sha256:{}", "0".repeat(64)), "artifactType": "application/spdx+json" });
    scene.gateway.refer(&image, other);
    assert!(scene.blocked().contains("is not signed"));
    scene.gateway.refer(&image, signature.clone());
    scene.gateway.requests();
    scene.sync();
    assert!(scene.has("aaaaaa2"));
    let asked = scene.gateway.requests();
    let of = |text: &str| asked.iter().filter(|asked| asked.contains(text)).count();
    let bundle = &scene.stage.registry.manifest(APP, signature["digest"].as_str().expect("a digest"))["layers"][0];
    // The list, the manifest and the bundle; nothing else, in particular not what is no signature.
    assert_eq!(of("/referrers/"), 1, "{asked:#?}");
    assert_eq!(of(signature["digest"].as_str().expect("a digest")), 1, "{asked:#?}");
    assert_eq!(of(bundle["digest"].as_str().expect("a digest")), 1, "{asked:#?}");
    assert_eq!((of("sha256-"), of(&"0".repeat(64))), (0, 0), "{asked:#?}");
}

#[test]
fn a_registry_that_cannot_be_asked_is_not_a_missing_signature() {
    let scene = Scene::new(false);
    let image = scene.push("aaaaaa2", NEW);
    scene.sign(&image);
    scene.gateway.answer(Some((".sig", 503, "")));
    let run = scene.tagalong(&["sync", "--output", "json"]);
    assert_eq!((run.code, &run.json()["skipped"][0]["reason"]), (5, &json!("registry-error")), "{run:#?}");
    let name = format!("{}/{APP}:aaaaaa2", scene.gateway.host());
    scene.tagalong(&["set", &name]).fails_with(5);
    assert!(scene.has("aaaaaa1"));
    scene.gateway.answer(None);
    scene.sync();
    assert!(scene.has("aaaaaa2"));
    // Nonsense in one place does not hide what is in the other.
    let image = scene.push("aaaaaa3", NEWEST);
    scene.gateway.answer(Some(("/referrers/", 200, "{}")));
    assert!(scene.blocked().contains("it is not an index"));
    scene.sign(&image);
    scene.sync();
    assert!(scene.has("aaaaaa3"));
}

#[test]
fn with_a_fallback_the_newest_signed_image_is_chosen() {
    let scene = Scene::new(false);
    scene.configure("signed: { keys: [KEY], transparency: ignore }\nfallback: true");
    let image = scene.push("aaaaaa2", NEW);
    scene.sign(&image);
    scene.push("aaaaaa3", NEWEST);
    let report = scene.sync();
    assert!(scene.has("aaaaaa2"), "{report:#}");
    let skipped = report["skipped"].as_array().expect("a list");
    let struck = skipped.iter().find(|skipped| skipped["tag"] == "aaaaaa3").expect("reported");
    assert_eq!(struck["reason"], "blocked-signature");
}

#[test]
fn an_index_is_signed_itself_or_by_all_that_it_lists() {
    let scene = Scene::new(false);
    let registry = &scene.stage.registry;
    let index = registry.push_index(APP, "aaaaaa2", NEW);
    let platforms = registry.platforms(APP, "aaaaaa2");
    scene.sign(&platforms[0]);
    scene.blocked();
    // A runtime might choose the other one, whatever the policy says.
    scene.configure("signed: { keys: [KEY], transparency: ignore }\nplatforms: [linux/amd64]");
    scene.blocked();
    scene.configure("signed: { keys: [KEY], transparency: ignore }");
    scene.sign(&platforms[1]);
    scene.sync();
    assert!(scene.has("aaaaaa2"));
    let verified = scene.tagalong(&["images", "verify", "--output", "json"]).ok().json();
    assert_eq!(verified["images"][0]["signatures"].as_array().map(Vec::len), Some(2), "{verified:#}");

    let index_of_next = registry.push_index(APP, "aaaaaa3", NEWEST);
    assert_ne!(index, index_of_next);
    scene.sign(&index_of_next);
    scene.sync();
    assert!(scene.has("aaaaaa3"));
}

#[test]
fn keys_are_read_again_and_an_unreadable_one_blocks() {
    let scene = Scene::new(false);
    let image = scene.push("aaaaaa2", NEW);
    scene.other_key.sign_below_tag(&scene.stage.registry, APP, &image);
    scene.configure("signed: { keys: [KEY, OTHER], transparency: ignore, need: 2 }");
    assert!(scene.blocked().contains("has 1 of 2 required signatures"));
    scene.configure("signed: { keys: [KEY, OTHER], transparency: ignore }");
    let aside = scene.path("aside");
    std::fs::rename(scene.path("cosign.pub"), &aside).expect("moved");
    let detail = scene.blocked();
    assert!(detail.contains(&format!("cannot read {}: No such file", scene.file("cosign.pub"))), "{detail}");
    std::fs::write(scene.path("cosign.pub"), "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
        .expect("written");
    let detail = scene.blocked();
    assert!(detail.contains("this is a private key") && !detail.contains("c2VjcmV0"), "{detail}");
    let checked = scene.tagalong(&["check", "--output", "json"]);
    assert_eq!(checked.code, 2, "{checked:#?}");
    let rows = checked.json();
    let row = rows.as_array().expect("rows").iter().find(|row| row["check"] == "signatures").expect("a row").clone();
    assert!(row["ok"] == false && !checked.stdout.contains("c2VjcmV0"), "{row:#}");
    std::fs::rename(aside, scene.path("cosign.pub")).expect("moved");
    scene.sync();
    assert!(scene.has("aaaaaa2"));
}

#[test]
fn tags_of_signatures_are_never_candidates() {
    let scene = Scene::new(false);
    scene.configure("tags: { alphabetical: {} }\nsigned: { keys: [KEY], transparency: ignore }");
    let image = scene.push("b", NEW);
    scene.sign(&image);
    let referrer = scene.key.sign_with_bundle(&scene.stage.registry, APP, &image);
    list_below_tag(&scene.stage.registry, APP, &image, &[referrer]);
    scene.sync();
    assert!(scene.has("b"), "not sha256-…");
    let explained =
        scene.tagalong(&["explain", &format!("{}/{APP}", scene.gateway.host()), "--output", "json"]).ok().json();
    let dropped = explained["dropped"].as_array().expect("a list");
    assert_eq!(
        dropped.iter().filter(|tag| tag["rule"].as_str().is_some_and(|rule| rule.contains("digest"))).count(),
        2
    );
}

#[test]
fn any_number_of_signatures_costs_a_limited_number_of_requests() {
    let scene = Scene::new(true);
    let image = scene.push("aaaaaa2", NEW);
    for number in 0..500 {
        let referrer = json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1,
            "digest": format!("sha256:{number:064x}"), "artifactType": BUNDLE });
        scene.gateway.refer(&image, referrer);
    }
    // Many payloads that say that they are larger than anything.
    let layers: Vec<Value> = (0..300)
        .map(|_| json!({ "mediaType": SIMPLE_SIGNING, "digest": digest(b"small"), "size": 1_u64 << 40 }))
        .collect();
    let tag = format!("{}.sig", image.replace(':', "-"));
    let stored = [(SIMPLE_SIGNING, &b"small"[..], json!({}))];
    scene.stage.registry.put_artifact(APP, Some(&tag), &stored, json!({ "layers": layers }));
    scene.gateway.requests();
    let detail = scene.blocked();
    let asked = scene.gateway.requests();
    let of = |text: &str| asked.iter().filter(|asked| asked.contains(text)).count();
    assert_eq!((of("/manifests/sha256:00000"), of(&digest(b"small"))), (32, 0), "{asked:#?}");
    assert!(detail.len() < 2000 && detail.contains("more"), "{detail}");
}

/// The versions of cosign that are installed, by `TAGALONG_TEST_COSIGN` (paths with colons between them) or on the path.
fn cosigns() -> Vec<PathBuf> {
    let named = std::env::var_os("TAGALONG_TEST_COSIGN");
    let paths = named.or_else(|| std::env::var_os("PATH")).unwrap_or_default();
    let all = std::env::split_paths(&paths).map(|path| if path.is_dir() { path.join("cosign") } else { path });
    all.filter(|path| path.is_file()).collect()
}

#[test]
fn what_cosign_itself_signs_and_attests_is_accepted() {
    let cosigns = cosigns();
    if cosigns.is_empty() {
        return skipped("cosign is not installed");
    }
    let scene = Scene::new(false);
    let cosign = |program: &PathBuf, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.current_dir(scene.stage.home()).env("HOME", scene.stage.home()).env("COSIGN_PASSWORD", "");
        let output = command.args(arguments).output().expect("cosign runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    std::fs::remove_file(scene.path("cosign.pub")).expect("replaced");
    cosign(&cosigns[0], &["generate-key-pair"]);
    let policy = format!(
        "signed: {{ keys: [KEY], transparency: ignore }}\nattestations: [{{ type: slsaprovenance1, source: {SOURCE} }}]"
    );
    scene.configure(&policy);
    let offline =
        ["--key", "cosign.key", "--tlog-upload=false", "--use-signing-config=false", "--yes", "--allow-http-registry"];
    for (number, program) in cosigns.iter().enumerate() {
        let tag = format!("aaaaab{number}");
        let image = scene.push(&tag, &format!("2026-04-02T10:0{number}:00Z"));
        let name = format!("{}/{APP}@{image}", scene.stage.registry.host());
        scene.blocked();
        cosign(program, &[&["sign"], &offline[..], &[&name]].concat());
        assert!(scene.blocked().contains("has no attestation of type slsaprovenance1"));
        let commit = format!("{tag}{}", "0".repeat(33));
        std::fs::write(scene.path("predicate.json"), provenance(SOURCE, &commit).to_string()).expect("written");
        let predicate = ["attest", "--type", "slsaprovenance1", "--predicate", "predicate.json"];
        cosign(program, &[&predicate[..], &offline[..], &[&name]].concat());
        scene.sync();
        assert!(scene.has(&tag), "{}", program.display());
    }
}
