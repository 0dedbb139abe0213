//! The table of what cosign 2 and 3 made, and what could be made of it (`fixtures/signatures`), from the real registry to the
//! branch: what is good moves, everything else stays. The images have no date, so policies choose them by number. Only
//! commits in tags can be compared with provenance, so images with attestations are deployed already, and verified there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::git::{Origin, Sshd};
use crate::support::registry::{Kind, Registry};
use crate::support::tagalong::run;

const ISSUER: &str = "https://token.actions.githubusercontent.com";
const WORKFLOW: &str = "https://github.com/acme/shop/.github/workflows/release.yml@refs/heads/main";

/// A row of the table. Some of its columns are for the tests of the verification alone.
#[derive(Deserialize)]
#[serde(default)]
struct Case {
    material: String,
    image: String,
    digest: String,
    keys: Vec<String>,
    keyless: Vec<String>,
    root: String,
    transparency: String,
    need: usize,
    commit: String,
    sources: Vec<String>,
    attestations: Vec<String>,
    met: bool,
}

impl Default for Case {
    fn default() -> Case {
        let text = str::to_owned;
        Case {
            material: String::new(),
            image: text("image"),
            digest: text("index"),
            keys: Vec::new(),
            keyless: Vec::new(),
            root: text("trusted_root.json"),
            transparency: text("require"),
            need: 1,
            commit: text("1a2b3c4"),
            sources: Vec::new(),
            attestations: Vec::new(),
            met: false,
        }
    }
}

impl Case {
    /// Returns whether a configuration can ask for it, and a policy of SHA tags can choose its tag.
    fn is_possible(&self) -> bool {
        let has_root = self.root == "trusted_root.json" || self.root == "none" && self.transparency == "ignore";
        let is_signed = !self.keys.is_empty() || !self.keyless.is_empty();
        let is_plain = self.attestations.iter().all(|name| name == "provenance") && self.sources.is_empty();
        has_root && is_signed && is_plain && self.digest == "index" && self.commit.len() >= 7
    }

    /// Returns the tag of its image, the tag that its field holds before, and the rule for tags.
    fn tags(&self) -> (&str, &str, &'static str) {
        if self.attestations.is_empty() { ("2", "1", "numerical: {}") } else { (&self.commit, &self.commit, "sha: {}") }
    }

    /// Returns the keys of its policy.
    fn policy(&self) -> String {
        let file = |name: &str| folder().join(name).display().to_string();
        let keys: Vec<String> = self.keys.iter().map(|name| file(name)).collect();
        let identity = |name: &String| {
            let (issuer, subject) = match name.as_str() {
                "workflow" => (ISSUER, WORKFLOW),
                "mail" => ("https://accounts.example.com", "dev@acme.example"),
                "any workflow" => (ISSUER, "/https://github\\.com/acme/.+/"),
                "part of workflow" => (ISSUER, "/https://github\\.com/acme/"),
                "other issuer" => ("https://gitlab.example.com", WORKFLOW),
                other => panic!("{other}"),
            };
            json!({ "issuer": issuer, "subject": subject })
        };
        let keyless: Vec<Value> = self.keyless.iter().map(identity).collect();
        let mut signed =
            json!({ "keys": keys, "keyless": keyless, "transparency": self.transparency, "need": self.need });
        if self.root != "none" {
            signed["trustedRoot"] = json!(file(&self.root));
        }
        let attestation = json!({ "type": "slsaprovenance1", "source": "/.*/" });
        let attestations: Vec<&Value> = self.attestations.iter().map(|_| &attestation).collect();
        format!("  signed: {signed}\n  attestations: {}\n", json!(attestations))
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/signatures")
}

fn stored(name: &str) -> Value {
    let file = folder().join(format!("{name}.json"));
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_str(&text).expect("JSON")
}

/// Pushes what a file says that a registry has. Returns its tags with their manifests.
fn push(registry: &Registry, repository: &str, stored: &Value) -> BTreeMap<String, Value> {
    let texts = |part: &str| -> BTreeMap<String, String> {
        let part = stored[part].as_object().into_iter().flatten();
        part.map(|(key, value)| (key.clone(), value.as_str().expect("text").to_owned())).collect()
    };
    let (blobs, manifests, tags) = (texts("blobs"), texts("manifests"), texts("tags"));
    for (_, bytes) in blobs.iter().filter(|(digest, _)| !manifests.contains_key(*digest)) {
        registry.put_blob(repository, bytes.as_bytes());
    }
    // Indexes after what they list.
    let of_kind = |is_index: bool| manifests.iter().filter(move |(_, kind)| kind.contains("index") == is_index);
    for (digest, kind) in of_kind(false).chain(of_kind(true)) {
        registry.put_bytes(repository, digest, kind, blobs[digest].as_bytes());
    }
    let manifest = |digest: &String| serde_json::from_str(&blobs[digest]).expect("JSON");
    tags.iter().map(|(tag, digest)| (tag.clone(), manifest(digest))).collect()
}

#[test]
fn what_is_good_moves_and_everything_else_stays() {
    let table = fs::read_to_string(folder().join("cases.yaml")).expect("the table");
    let all: Vec<Case> = serde_saphyr::from_str(&table).expect("the table");
    let cases: Vec<&Case> = all.iter().filter(|case| case.is_possible()).collect();
    assert!(cases.len() > 60, "{} of {}", cases.len(), all.len());
    let home = tempfile::tempdir().expect("a folder");
    let registry = Registry::start(&home.path().join("registry"), Kind::Plain);
    let (mut policies, mut files) = (String::new(), Vec::new());
    for (number, case) in cases.iter().enumerate() {
        let repository = format!("org/case-{number}");
        let name = format!("{}/{repository}", registry.host());
        let (tag, before, rule) = case.tags();
        registry.push(&repository, "1", "2020-01-01T00:00:00Z");
        let image = stored(&case.image);
        push(&registry, &repository, &image);
        registry.tag(&repository, image["digests"]["index"].as_str().expect("a digest"), tag);
        let mut tags: BTreeMap<String, Value> = BTreeMap::new();
        for material in case.material.split(' ').filter(|material| *material != "none") {
            for (tag, manifest) in push(&registry, &repository, &stored(material)) {
                // Signatures and attestations of cosign 3 share a list.
                let Some(before) = tags.get_mut(&tag) else {
                    tags.insert(tag, manifest);
                    continue;
                };
                for part in ["manifests", "layers"] {
                    let more = manifest[part].as_array().cloned().unwrap_or_default();
                    before[part].as_array_mut().into_iter().for_each(|list| list.extend(more.clone()));
                }
            }
        }
        tags.iter().for_each(|(tag, manifest)| drop(registry.put_manifest(&repository, tag, manifest)));
        policies += &format!("- images: [\"{name}\"]\n  tags: {{ {rule} }}\n{}", case.policy());
        files.push((format!("case-{number}.yaml"), format!("image: {name}:{before}\n")));
    }
    let sshd = Sshd::start(&home.path().join("sshd"));
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let origin = Origin::create(&home.path().join("infra.git"), &files);
    let config = home.path().join("tagalong.yaml");
    let host = format!("registries:\n- {{ host: \"{}\", plainHttp: true }}\n", registry.host());
    fs::write(&config, format!("{}{host}policies:\n{policies}", sshd.config(&origin))).expect("written");
    let config = config.display().to_string();
    let done = run(home.path(), &["sync", "--output", "json", "--config", &config]);
    assert_eq!(done.code, 3, "{done:#?}");
    let report = done.json();

    let verified = run(home.path(), &["images", "verify", "--output", "json", "--config", &config]).json();
    let (skipped, deployed) = (report["skipped"].as_array(), verified["images"].as_array());
    let (skipped, deployed) = (skipped.expect("a list"), deployed.expect("a list"));
    let mut wrong = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let file = format!("case-{number}.yaml");
        let moved = origin.read(&file).ends_with(&format!(":{}\n", case.tags().0));
        let stays = skipped.iter().find(|skipped| skipped["file"] == file.as_str());
        let is_blocked = stays.is_some_and(|stays| stays["reason"] == "blocked-signature");
        let place = format!("{file}:1");
        let found = deployed.iter().find(|image| image["places"][0] == place.as_str()).expect("deployed");
        let status = if case.met { "ok" } else { "unproven" };
        let is_right = match case.attestations.as_slice() {
            [] => moved == case.met && is_blocked != case.met && found["status"] == status,
            _ => found["status"] == status,
        };
        if !is_right {
            wrong.push(format!("{} {:?} {:?}: {stays:#?} {found:#}", case.material, case.keys, case.keyless));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
