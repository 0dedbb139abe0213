//! What a policy requires before an image counts as genuine.

use std::fmt;

use super::key::PublicKey;
use super::matcher::Matcher;

/// The signatures and attestations that an image needs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Requirement {
    /// Those whose signatures count.
    pub signers: Vec<Signer>,
    /// Whether signatures must be in a transparency log.
    pub transparency: Transparency,
    /// The number of different signers of the list who must have signed, at least 1.
    pub need: usize,
    /// The attestations that must exist and hold.
    pub attestations: Vec<AttestationRule>,
}

/// One whose signatures count.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Signer {
    /// The owner of a key.
    Key {
        /// The file of the key, as the configuration names it.
        file: String,
        /// The key.
        key: PublicKey,
    },
    /// An identity that a certificate authority of the trusted root has confirmed.
    Keyless {
        /// The identity provider, such as `https://token.actions.githubusercontent.com`.
        issuer: Matcher,
        /// The e-mail address or the URI of the workflow in the certificate.
        subject: Matcher,
    },
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Signer::Key { file, .. } => write!(f, "the key {file}"),
            Signer::Keyless { issuer, subject } => write!(f, "{subject} (issuer {issuer})"),
        }
    }
}

/// Whether signatures must be in a transparency log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Transparency {
    /// The log must prove that it has the signature: by an inclusion proof, or for cosign 2 by its signed promise.
    #[default]
    Require,
    /// Logs are not consulted. Certificates still need a proven time.
    Ignore,
}

/// An attestation that must exist and hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AttestationRule {
    /// The kind of statement.
    pub predicate: PredicateType,
    /// Those whose attestations of this kind count; empty if they are the signers of the image.
    pub signers: Vec<Signer>,
    /// The builder's id that provenance must name.
    pub builder: Option<Matcher>,
    /// The source repository that provenance must name; by default one of the subject's.
    pub source: Option<Matcher>,
    /// Conditions on the predicate, all of which must hold.
    pub conditions: Vec<Condition>,
    /// The worst vulnerability that is accepted; `None` if any is.
    pub max_severity: Option<Severity>,
    /// The ids of vulnerabilities that are accepted at any severity.
    pub allowed: Vec<String>,
}

/// The kind of an attestation's predicate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PredicateType {
    /// `slsaprovenance1`: SLSA provenance 1.
    SlsaProvenance1,
    /// `slsaprovenance02`: SLSA provenance 0.2.
    SlsaProvenance02,
    /// `spdx`: SPDX, in any version.
    Spdx,
    /// `cyclonedx`: CycloneDX, in any version.
    CycloneDx,
    /// `vuln`: the results of a vulnerability scanner, as cosign describes them.
    Vuln,
    /// `openvex`: OpenVEX, in any version.
    OpenVex,
    /// Any other, by its whole URI.
    Other(String),
}

/// A condition on a value in a predicate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Condition {
    /// The names of the keys that lead to the value; a number selects an element of a list.
    pub path: Vec<String>,
    /// The text that the value must have. Numbers and booleans are compared as JSON writes them.
    pub wanted: Matcher,
}

/// The severity of a vulnerability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Grype's "Negligible", and what scanners call "none" or "note".
    Negligible,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Critical. Vulnerabilities whose severity is unknown count as critical too.
    Critical,
}

/// The reason why a rule for attestations is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequirementError {
    /// The type is neither a name nor a URI.
    #[error(
        "`{0}` is not a type of attestation: use slsaprovenance1, slsaprovenance02, spdx, cyclonedx, vuln, openvex or the \
         URI of the predicate type"
    )]
    Predicate(String),
    /// The severity is not one.
    #[error("`{0}` is not a severity: use negligible, low, medium, high or critical")]
    Severity(String),
    /// The path is empty, or a part of it is.
    #[error("`{0}` is not a path: join the names of keys by dots, such as buildDefinition.buildType")]
    Path(String),
    /// A rule asks for what attestations of its type do not have.
    #[error("{key} applies to {types} only, not to {predicate}")]
    Misplaced {
        /// The key of the configuration.
        key: &'static str,
        /// The types that have it.
        types: &'static str,
        /// The type of the rule.
        predicate: PredicateType,
    },
}

impl Requirement {
    /// Returns whether nothing could be verified without a trusted root: certificates, or proofs of a log.
    pub fn needs_root(&self) -> bool {
        let signers = self.signers.iter().chain(self.attestations.iter().flat_map(|rule| &rule.signers));
        let mut keyless = signers.filter(|signer| matches!(signer, Signer::Keyless { .. }));
        self.transparency == Transparency::Require || keyless.next().is_some()
    }
}

impl AttestationRule {
    /// Checks that attestations of its type have what the rule asks for.
    ///
    /// # Errors
    /// They do not, so the rule could never be satisfied.
    pub fn check(&self) -> Result<(), RequirementError> {
        let is_provenance = matches!(self.predicate, PredicateType::SlsaProvenance1 | PredicateType::SlsaProvenance02);
        let is_scan = self.predicate == PredicateType::Vuln;
        let (provenance, scan) = ("slsaprovenance1 and slsaprovenance02", "vuln");
        let misplaced = |key, types| Err(RequirementError::Misplaced { key, types, predicate: self.predicate.clone() });
        match self {
            AttestationRule { builder: Some(_), .. } if !is_provenance => misplaced("builder", provenance),
            AttestationRule { source: Some(_), .. } if !is_provenance => misplaced("source", provenance),
            AttestationRule { max_severity: Some(_), .. } if !is_scan => misplaced("maxSeverity", scan),
            _ if !self.allowed.is_empty() && !is_scan => misplaced("allow", scan),
            _ => Ok(()),
        }
    }
}

impl PredicateType {
    /// The types that have names, with those names.
    pub const NAMED: [(&'static str, PredicateType); 6] = [
        ("slsaprovenance1", PredicateType::SlsaProvenance1),
        ("slsaprovenance02", PredicateType::SlsaProvenance02),
        ("spdx", PredicateType::Spdx),
        ("cyclonedx", PredicateType::CycloneDx),
        ("vuln", PredicateType::Vuln),
        ("openvex", PredicateType::OpenVex),
    ];

    /// Parses the name of a type, or a whole URI.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(text: &str) -> Result<PredicateType, RequirementError> {
        if let Some((_, named)) = PredicateType::NAMED.into_iter().find(|(name, _)| *name == text) {
            return Ok(named);
        }
        let is_uri = text.split_once(':').is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty());
        let is_uri = is_uri && !text.contains(|c: char| c.is_whitespace() || c.is_control());
        if is_uri {
            Ok(PredicateType::Other(text.to_owned()))
        } else {
            Err(RequirementError::Predicate(text.to_owned()))
        }
    }

    /// Returns whether a statement with a predicate type is of this kind.
    pub fn covers(&self, uri: &str) -> bool {
        let versioned =
            |base: &str| uri.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        match self {
            PredicateType::SlsaProvenance1 => uri == "https://slsa.dev/provenance/v1",
            PredicateType::SlsaProvenance02 => uri == "https://slsa.dev/provenance/v0.2",
            PredicateType::Spdx => versioned("https://spdx.dev/Document"),
            PredicateType::CycloneDx => versioned("https://cyclonedx.org/bom"),
            PredicateType::Vuln => uri == "https://cosign.sigstore.dev/attestation/vuln/v1",
            PredicateType::OpenVex => versioned("https://openvex.dev/ns"),
            PredicateType::Other(wanted) => uri == wanted,
        }
    }
}

impl fmt::Display for PredicateType {
    /// Writes the name, or the URI of types without one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PredicateType::Other(uri) => f.write_str(uri),
            named => {
                let name = PredicateType::NAMED.into_iter().find(|(_, other)| other == named).map(|(name, _)| name);
                f.write_str(name.unwrap_or_default())
            }
        }
    }
}

impl Condition {
    /// Parses the path of a condition: names of keys joined by dots, with a backslash before a dot that is part of a name.
    ///
    /// # Errors
    /// A part of it is empty.
    pub fn parse_path(text: &str) -> Result<Vec<String>, RequirementError> {
        let mut parts = vec![String::new()];
        let mut characters = text.chars().peekable();
        while let Some(c) = characters.next() {
            let escaped = if c == '\\' { characters.next_if(|next| matches!(next, '.' | '\\')) } else { None };
            match (c, parts.last_mut()) {
                ('.', _) => parts.push(String::new()),
                (c, Some(part)) => part.push(escaped.unwrap_or(c)),
                (_, None) => {}
            }
        }
        let is_valid = parts.iter().all(|part| !part.is_empty());
        if is_valid { Ok(parts) } else { Err(RequirementError::Path(text.to_owned())) }
    }
}

impl Severity {
    /// All severities, with their names.
    pub const NAMED: [(&'static str, Severity); 5] = [
        ("negligible", Severity::Negligible),
        ("low", Severity::Low),
        ("medium", Severity::Medium),
        ("high", Severity::High),
        ("critical", Severity::Critical),
    ];

    /// Parses the name of a severity.
    ///
    /// # Errors
    /// It is not one.
    pub fn parse(text: &str) -> Result<Severity, RequirementError> {
        let found = Severity::NAMED.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        found.map(|(_, severity)| severity).ok_or_else(|| RequirementError::Severity(text.to_owned()))
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Severity::NAMED.into_iter().find(|(_, severity)| severity == self).map(|(name, _)| name);
        f.write_str(name.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_named_or_written_out() {
        for (name, kind) in PredicateType::NAMED {
            assert_eq!(PredicateType::parse(name).as_ref(), Ok(&kind));
            assert_eq!(kind.to_string(), name);
        }
        let custom = PredicateType::parse("https://example.com/tests/v1").expect("a URI");
        assert!(custom.covers("https://example.com/tests/v1") && !custom.covers("https://example.com/tests/v1.1"));
        for text in ["", "slsaprovenance", "custom", ":", "https:", "a b:c"] {
            assert!(PredicateType::parse(text).is_err(), "{text}");
        }
        assert!(
            PredicateType::Spdx.covers("https://spdx.dev/Document")
                && PredicateType::Spdx.covers("https://spdx.dev/Document/v2.3")
        );
        assert!(!PredicateType::Spdx.covers("https://spdx.dev/Documents"));
        assert!(!PredicateType::SlsaProvenance1.covers("https://slsa.dev/provenance/v0.2"));
    }

    #[test]
    fn rules_ask_for_what_their_type_has() {
        let rule = |kind: &str| AttestationRule {
            predicate: PredicateType::parse(kind).expect(kind),
            signers: Vec::new(),
            builder: None,
            source: None,
            conditions: Vec::new(),
            max_severity: None,
            allowed: Vec::new(),
        };
        let builder = |kind: &str| AttestationRule { builder: Matcher::parse("x").ok(), ..rule(kind) }.check();
        let severity = |kind: &str| AttestationRule { max_severity: Some(Severity::Low), ..rule(kind) }.check();
        assert!(builder("slsaprovenance02").is_ok() && severity("vuln").is_ok());
        let message = |result: Result<(), RequirementError>| result.expect_err("it is misplaced").to_string();
        assert_eq!(
            message(builder("spdx")),
            "builder applies to slsaprovenance1 and slsaprovenance02 only, not to spdx"
        );
        assert_eq!(message(severity("cyclonedx")), "maxSeverity applies to vuln only, not to cyclonedx");
    }

    #[test]
    fn certificates_and_logs_need_a_root() {
        let key = PublicKey::parse(include_str!("../../fixtures/signatures/cosign.pub")).expect("a key");
        let key = Signer::Key { file: "cosign.pub".to_owned(), key };
        let any = Matcher::parse("/.+/").expect("a pattern");
        let keyless = Signer::Keyless { issuer: any.clone(), subject: any };
        let needs = |signer: &Signer, transparency| {
            let signers = vec![signer.clone()];
            Requirement { signers, transparency, need: 1, attestations: Vec::new() }.needs_root()
        };
        assert!(needs(&key, Transparency::Require) && needs(&keyless, Transparency::Ignore));
        assert!(!needs(&key, Transparency::Ignore));
    }

    #[test]
    fn paths_are_joined_by_dots() {
        assert_eq!(Condition::parse_path("a.b.0"), Ok(vec!["a".to_owned(), "b".to_owned(), "0".to_owned()]));
        assert_eq!(Condition::parse_path(r"a\.b.c\\"), Ok(vec!["a.b".to_owned(), "c\\".to_owned()]));
        for text in ["", ".", "a.", ".a", "a..b"] {
            assert!(Condition::parse_path(text).is_err(), "{text}");
        }
    }

    #[test]
    fn severities_are_ordered() {
        let ordered = Severity::NAMED.map(|(_, severity)| severity);
        assert!(ordered.is_sorted());
        assert_eq!(Severity::parse("HIGH"), Ok(Severity::High));
        assert!(Severity::parse("unknown").is_err());
    }
}
