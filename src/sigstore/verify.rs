//! The verification of all material against a requirement.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::image::Digest;

use super::attestation;
use super::evidence::{Evidence, Role};
use super::flaw::{Cause, Flaw, Shortfall};
use super::material::{MAX_COUNT, Material};
use super::requirement::{AttestationRule, PredicateType, Requirement};
use super::signature::{self, Genuine, Terms};
use super::subject::Subject;
use super::trusted_root::TrustedRoot;
use super::verdict::{Attested, Verdict};

/// Verifies the material that a registry has about an image, each with the digest of the manifest that it was stored
/// for, against a requirement.
///
/// The digest that the tag points to needs the proof, or each manifest that it lists. A proof for an index
/// covers its platforms. The trusted root is needed for certificates and for transparency logs; without one, both fail.
pub fn verify(
    requirement: &Requirement,
    root: Option<&TrustedRoot>,
    subject: &Subject,
    material: &[(Digest, Material)],
) -> Verdict {
    let mut pass =
        Pass { requirement, root, subject, verdict: Verdict::default(), signed: Tally::new(), claims: BTreeSet::new() };
    let mut attestations = Vec::new();
    for (digest, material) in material.iter().take(MAX_COUNT) {
        if *digest != subject.digest && !subject.platforms.contains(digest) {
            pass.refuse(digest, material, Cause::Unrelated);
            continue;
        }
        match Evidence::read(material) {
            Ok(evidence) => match &evidence.role {
                Role::Attestation(kind) => {
                    let kind = kind.clone();
                    attestations.push(Statement { digest, material, evidence, kind });
                }
                _ => pass.signature(digest, material, &evidence),
            },
            Err(cause) => pass.refuse(digest, material, cause),
        }
    }
    if let Some((digest, material)) = material.get(MAX_COUNT) {
        pass.refuse(digest, material, Cause::TooLarge("at most 100 signatures and attestations are read"));
    }
    pass.count_signatures();
    for rule in &requirement.attestations {
        pass.attestations(rule, &attestations);
    }
    pass.verdict
}

/// For each manifest, those of a list who have signed it.
type Tally<'a> = BTreeMap<&'a Digest, BTreeSet<usize>>;

/// An attestation that was read.
struct Statement<'a> {
    digest: &'a Digest,
    material: &'a Material,
    evidence: Evidence,
    kind: String,
}

struct Pass<'a> {
    requirement: &'a Requirement,
    root: Option<&'a TrustedRoot>,
    subject: &'a Subject,
    verdict: Verdict,
    signed: Tally<'a>,
    /// The manifests for which there was anything at all that claims to be a signature.
    claims: BTreeSet<&'a Digest>,
}

impl<'a> Pass<'a> {
    fn refuse(&mut self, digest: &Digest, material: &Material, cause: Cause) {
        let flaw = Flaw { digest: digest.clone(), place: material.place.clone(), cause };
        if !self.verdict.flaws.contains(&flaw) {
            self.verdict.flaws.push(flaw);
        }
    }

    fn terms(&self, rule: Option<&'a AttestationRule>) -> Terms<'a> {
        let own = rule.map(|rule| rule.signers.as_slice()).filter(|signers| !signers.is_empty());
        let signers = own.unwrap_or(&self.requirement.signers);
        Terms { signers, transparency: self.requirement.transparency, root: self.root }
    }

    fn signature(&mut self, digest: &'a Digest, material: &Material, evidence: &Evidence) {
        self.claims.insert(digest);
        match signature::verify(self.terms(None), digest, &material.place, evidence) {
            Ok(Genuine { signer, by }) => {
                self.signed.entry(digest).or_default().insert(signer);
                self.verdict.signatures.push(by);
            }
            Err(cause) => self.refuse(digest, material, cause),
        }
    }

    fn count_signatures(&mut self) {
        let need = self.requirement.need.max(1);
        if self.requirement.signers.is_empty() {
            // Attestations alone may be all that is asked for, each by signers of its own.
            let has_own = |rule: &AttestationRule| !rule.signers.is_empty();
            if self.requirement.attestations.is_empty() || !self.requirement.attestations.iter().all(has_own) {
                self.verdict.shortfalls.push(Shortfall::NoSigners);
            }
            return;
        }
        let missing = lacking(self.subject, |digest| self.signers_of(digest) >= need);
        let is_claimed = |digest: &Digest| match *digest == self.subject.digest {
            true => !self.claims.is_empty(),
            false => self.claims.contains(digest) || self.claims.contains(&self.subject.digest),
        };
        let shortfalls = missing.into_iter().map(|digest| match self.signers_of(digest) {
            0 if !is_claimed(digest) => Shortfall::Unsigned { digest: digest.clone() },
            found => Shortfall::TooFew { digest: digest.clone(), found, need },
        });
        let shortfalls: Vec<Shortfall> = shortfalls.collect();
        self.verdict.shortfalls.extend(shortfalls);
    }

    /// The number of different signers of a manifest, which include those of its index.
    fn signers_of(&self, digest: &Digest) -> usize {
        let of = |digest: &Digest| self.signed.get(digest).into_iter().flatten().copied();
        of(digest).chain(of(&self.subject.digest)).collect::<BTreeSet<usize>>().len()
    }

    fn attestations(&mut self, rule: &'a AttestationRule, all: &[Statement<'a>]) {
        let fitting: Vec<&Statement<'a>> = all.iter().filter(|one| rule.predicate.covers(&one.kind)).collect();
        let digests: BTreeSet<&Digest> = fitting.iter().map(|one| one.digest).collect();
        let mut holding = BTreeSet::new();
        for digest in digests {
            let of_digest: Vec<&Statement<'a>> = fitting.iter().copied().filter(|one| one.digest == digest).collect();
            let attested = self.attested(rule, &of_digest);
            if !attested.is_empty() {
                holding.insert(digest);
            }
            for one in attested {
                // Two rules for the same type would list it twice.
                if !self.verdict.attestations.contains(&one) {
                    self.verdict.attestations.push(one);
                }
            }
        }
        let missing =
            lacking(self.subject, |digest| holding.contains(digest) || holding.contains(&self.subject.digest));
        let predicate = rule.predicate.to_string();
        self.verdict.shortfalls.extend(missing.into_iter().map(|digest| match fitting.is_empty() {
            true => Shortfall::NoAttestation { digest: digest.clone(), predicate: predicate.clone() },
            false => Shortfall::Attestation { digest: digest.clone(), predicate: predicate.clone() },
        }));
    }

    /// Returns the attestations of one manifest that satisfy a rule.
    fn attested(&mut self, rule: &'a AttestationRule, all: &[&Statement<'a>]) -> Vec<Attested> {
        let mut genuine = Vec::new();
        for one in all {
            match signature::verify(self.terms(Some(rule)), one.digest, &one.material.place, &one.evidence) {
                Ok(found) => genuine.push((*one, found.by)),
                Err(cause) => self.refuse(one.digest, one.material, cause),
            }
        }
        // A scan is outdated by the next one, which may have found more; a build is a build.
        let is_outdated_by_next = rule.predicate == PredicateType::Vuln;
        let times: Option<Vec<Timestamp>> = genuine.iter().map(|(_, by)| by.time).collect();
        let newest = times.filter(|_| is_outdated_by_next).and_then(|times| times.into_iter().max());
        let mut attested = Vec::new();
        let mut refused = false;
        for (one, by) in genuine {
            if let Some(newest) = newest.filter(|newest| by.time != Some(*newest)) {
                self.refuse(one.digest, one.material, Cause::Replaced(newest));
                continue;
            }
            match attestation::judge(rule, self.subject, &one.evidence, &one.kind, by) {
                Ok(found) => attested.push(found),
                Err(cause) => {
                    refused = true;
                    self.refuse(one.digest, one.material, cause);
                }
            }
        }
        // Without times, nobody can tell which scan is the newest.
        if is_outdated_by_next && refused { Vec::new() } else { attested }
    }
}

/// Returns the manifests that lack what is needed: none if the index has it or all that it lists.
fn lacking(subject: &Subject, has: impl Fn(&Digest) -> bool) -> Vec<&Digest> {
    if has(&subject.digest) {
        return Vec::new();
    }
    let missing: Vec<&Digest> = subject.platforms.iter().filter(|digest| !has(digest)).collect();
    match subject.platforms.len() {
        0 => vec![&subject.digest],
        // If no platform has it, the index is what should.
        all if all == missing.len() => vec![&subject.digest],
        _ => missing,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use serde::Deserialize;
    use serde_json::Value;

    use super::*;
    use crate::sigstore::key::PublicKey;
    use crate::sigstore::matcher::Matcher;
    use crate::sigstore::material::Content;
    use crate::sigstore::requirement::{Condition, Severity, Signer, Transparency};
    use crate::sigstore::source_repository::SourceRepository;

    const ISSUER: &str = "https://token.actions.githubusercontent.com";
    const WORKFLOW: &str = "https://github.com/acme/shop/.github/workflows/release.yml@refs/heads/main";

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Case {
        material: String,
        image: String,
        digest: String,
        keys: Vec<String>,
        keyless: Vec<String>,
        root: String,
        transparency: String,
        need: usize,
        commit: Option<String>,
        sources: Vec<String>,
        attestations: Vec<String>,
        met: bool,
        flaws: Vec<String>,
        shortfalls: Vec<String>,
    }

    impl Default for Case {
        fn default() -> Case {
            Case {
                material: String::new(),
                image: "image".to_owned(),
                digest: "index".to_owned(),
                keys: Vec::new(),
                keyless: Vec::new(),
                root: "trusted_root.json".to_owned(),
                transparency: "require".to_owned(),
                need: 1,
                commit: None,
                sources: Vec::new(),
                attestations: Vec::new(),
                met: false,
                flaws: Vec::new(),
                shortfalls: Vec::new(),
            }
        }
    }

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/signatures")
    }

    fn text(name: &str) -> String {
        fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn matcher(text: &str) -> Matcher {
        Matcher::parse(text).expect(text)
    }

    fn identity(name: &str) -> Signer {
        let (issuer, subject) = match name {
            "workflow" => (ISSUER, WORKFLOW),
            "mail" => ("https://accounts.example.com", "dev@acme.example"),
            "any workflow" => (ISSUER, "/https://github\\.com/acme/.+/"),
            "part of workflow" => (ISSUER, "/https://github\\.com/acme/"),
            "other issuer" => ("https://gitlab.example.com", WORKFLOW),
            other => panic!("{other}"),
        };
        Signer::Keyless { issuer: matcher(issuer), subject: matcher(subject) }
    }

    fn rule(name: &str) -> AttestationRule {
        let kind = match name.split_once(' ') {
            Some(("provenance", _)) => "slsaprovenance1",
            Some(("older", _)) => "slsaprovenance02",
            Some(_) => "vuln",
            None if name == "provenance" => "slsaprovenance1",
            None => name,
        };
        let predicate = PredicateType::parse(kind).expect(kind);
        let mut rule = AttestationRule {
            predicate,
            signers: Vec::new(),
            builder: None,
            source: None,
            conditions: Vec::new(),
            max_severity: None,
            allowed: Vec::new(),
        };
        let of_ref = |wanted: &str| {
            let path = Condition::parse_path("buildDefinition.externalParameters.workflow.ref").expect("a path");
            Condition { path, wanted: matcher(wanted) }
        };
        match name {
            "provenance by somebody else" => rule.builder = Some(matcher("https://github.com/evil/builder")),
            "provenance of main" => rule.conditions = vec![of_ref("refs/heads/main")],
            "provenance of a tag" => rule.conditions = vec![of_ref("/refs/tags/.*/")],
            "provenance of the workflow" => rule.signers = vec![identity("workflow")],
            "high at most" => rule.max_severity = Some(Severity::High),
            "medium at most" => rule.max_severity = Some(Severity::Medium),
            "medium but one" => {
                rule.max_severity = Some(Severity::Medium);
                rule.allowed = vec!["CVE-2024-2".to_owned()];
            }
            _ => {}
        }
        rule
    }

    /// Turns what a registry has into material, as the client of registries does.
    fn material(name: &str) -> Vec<(Digest, Material)> {
        if name == "none" {
            return Vec::new();
        }
        let stored: Value = serde_json::from_str(&text(&format!("{name}.json"))).expect(name);
        let blob = |digest: &str| stored["blobs"][digest].as_str().expect(digest).to_owned();
        let mut found = Vec::new();
        for (tag, digest) in stored["tags"].as_object().expect("tags") {
            let about: Digest = tag[..71].replace('-', ":").parse().expect("a digest in the tag");
            let top: Value = serde_json::from_str(&blob(digest.as_str().expect("a digest"))).expect("JSON");
            let below = top["manifests"].as_array().into_iter().flatten();
            let below = below
                .map(|entry| serde_json::from_str(&blob(entry["digest"].as_str().expect("a digest"))).expect("JSON"));
            for manifest in std::iter::once(top.clone()).chain(below) {
                for layer in manifest["layers"].as_array().into_iter().flatten() {
                    let bytes = blob(layer["digest"].as_str().expect("a digest")).into_bytes();
                    let annotations = serde_json::from_value(layer["annotations"].clone()).unwrap_or_default();
                    let content = match layer["mediaType"].as_str().expect("a type") {
                        "application/vnd.dev.cosign.simplesigning.v1+json" => {
                            Content::SimpleSigning { payload: bytes, annotations }
                        }
                        "application/vnd.dsse.envelope.v1+json" => Content::Envelope { envelope: bytes, annotations },
                        "application/vnd.dev.sigstore.bundle.v0.3+json" => Content::Bundle { bytes },
                        other => panic!("{other}"),
                    };
                    found.push((
                        about.clone(),
                        Material { place: format!("{name}, {tag}, layer {}", found.len()), content },
                    ));
                }
            }
        }
        assert!(!found.is_empty(), "{name}");
        found
    }

    fn subject(case: &Case) -> Subject {
        let image: Value = serde_json::from_str(&text(&format!("{}.json", case.image))).expect("JSON");
        let digest = |name: &str| image["digests"][name].as_str().expect(name).parse().expect("a digest");
        let platforms = if case.digest == "index" { vec![digest("amd64"), digest("arm64")] } else { Vec::new() };
        let sources = case.sources.iter().map(|text| SourceRepository::parse(text).expect(text)).collect();
        let image = "registry.example/acme/shop".parse().expect("a name");
        Subject { image, digest: digest(&case.digest), platforms, commit: case.commit.clone(), sources }
    }

    fn judged(case: &Case) -> Verdict {
        let key =
            |file: &String| Signer::Key { file: file.clone(), key: PublicKey::parse(&text(file)).expect("a key") };
        let requirement = Requirement {
            signers: case.keys.iter().map(key).chain(case.keyless.iter().map(|name| identity(name))).collect(),
            transparency: if case.transparency == "ignore" { Transparency::Ignore } else { Transparency::Require },
            need: case.need,
            attestations: case.attestations.iter().map(|name| rule(name)).collect(),
        };
        let root = match case.root.as_str() {
            "none" => None,
            "other" => Some(sigstore_verify::trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT.to_owned()),
            file => Some(text(file)),
        };
        let root = root.map(|json| TrustedRoot::parse(&json).expect("a root"));
        let material: Vec<_> = case.material.split(' ').flat_map(material).collect();
        verify(&requirement, root.as_ref(), &subject(case), &material)
    }

    fn kind(shortfall: &Shortfall) -> &'static str {
        match shortfall {
            Shortfall::NoSigners => "no-signers",
            Shortfall::Unsigned { .. } => "unsigned",
            Shortfall::TooFew { .. } => "too-few",
            Shortfall::NoAttestation { .. } => "no-attestation",
            Shortfall::Attestation { .. } => "attestation",
        }
    }

    #[test]
    fn all_material_is_judged_as_the_table_says() {
        let cases: Vec<Case> = serde_saphyr::from_str(&text("cases.yaml")).expect("the table");
        let mut wrong = Vec::new();
        for (place, case) in cases.iter().enumerate() {
            let verdict = judged(case);
            let flaws: Vec<&str> = verdict.flaws.iter().map(|flaw| flaw.cause.label()).collect();
            let shortfalls: Vec<&str> = verdict.shortfalls.iter().map(kind).collect();
            let is_signed = case.keys.is_empty() && case.keyless.is_empty() || !verdict.signatures.is_empty();
            if verdict.is_met() != case.met
                || flaws != case.flaws
                || shortfalls != case.shortfalls
                || case.met && !is_signed
            {
                wrong.push(format!("{place} {} {:?}{:?}: {verdict:#?}", case.material, case.keys, case.keyless));
            }
        }
        assert!(cases.len() > 100 && wrong.is_empty(), "{}", wrong.join("\n\n"));
    }
}
