//! The keys `signed` and `attestations` of a policy.

use crate::config::reader::Section;
use crate::config::values::path;
use crate::policy::origin::{Identity, OriginRule, RequiredAttestation, SignerNames};
use crate::sigstore::matcher::Matcher;
use crate::sigstore::requirement::{AttestationRule, Condition, PredicateType, Severity, Transparency};

/// Reads both from a policy. An error in either has been reported.
pub fn read(policy: &mut Section<'_>) -> Option<OriginRule> {
    let is_present = policy.has("signed");
    let signed = policy.section("signed");
    let attestations: Vec<_> = policy.sections("attestations").into_iter().filter_map(attestation).collect();
    let Some(signed) = signed else {
        if is_present {
            // Taken for absent, it would let everything pass.
            policy.error("`signed` is empty; it needs `keys` or `keyless`");
        } else if !policy.lacks("attestations") {
            policy.error("`attestations` require `signed`, which names those whose attestations count");
        }
        return None;
    };
    rule(signed, attestations)
}

fn rule(mut section: Section<'_>, attestations: Vec<RequiredAttestation>) -> Option<OriginRule> {
    let signers = signers(&mut section);
    let trusted_root = section.path("trustedRoot");
    let choices = [("require", Transparency::Require), ("ignore", Transparency::Ignore)];
    let transparency = section.choice("transparency", &choices).unwrap_or_default();
    let need = section.number("need").map_or(1, |need| need as usize);
    if section.lacks("keys") && section.lacks("keyless") {
        section.error("`keys` or `keyless` is required, for example `keys: [/etc/tagalong/signatures/cosign.pub]`");
    } else if need == 0 || need > signers.count() {
        section.error(format!("`need` must be between 1 and the number of signers, which is {}", signers.count()));
    }
    let rule = OriginRule { signers, trusted_root, transparency, need, attestations };
    if rule.needs_trusted_root() && section.lacks("trustedRoot") {
        section.error(match transparency {
            Transparency::Require => {
                "`trustedRoot` is required to verify transparency logs; for signatures by keys that are in no log, set \
                 `transparency: ignore`"
            }
            Transparency::Ignore => "`trustedRoot` is required to verify the certificates of `keyless`",
        });
    }
    section.finish();
    Some(rule)
}

fn signers(section: &mut Section<'_>) -> SignerNames {
    let keys = section.each_with("keys", path);
    let keyless = section.sections("keyless").into_iter().filter_map(identity).collect();
    SignerNames { keys, keyless }
}

fn identity(mut section: Section<'_>) -> Option<Identity> {
    let (issuer, subject) = (section.parsed_with("issuer", matcher), section.parsed_with("subject", matcher));
    if section.lacks("issuer") || section.lacks("subject") {
        section.error(
            "`issuer` and `subject` are required, for example `issuer: https://token.actions.githubusercontent.com` and \
             `subject: https://github.com/acme/shop/.github/workflows/build.yml@refs/heads/main`",
        );
    }
    section.finish();
    Some(Identity { issuer: issuer?, subject: subject? })
}

fn attestation(mut section: Section<'_>) -> Option<RequiredAttestation> {
    let predicate = section.parsed_with("type", |text| PredicateType::parse(text).map_err(|error| error.to_string()));
    if section.lacks("type") {
        section.error("`type` is required, for example `type: slsaprovenance1`");
    }
    let (builder, source) = (section.parsed_with("builder", matcher), section.parsed_with("source", matcher));
    let conditions = section.sections("conditions").into_iter().filter_map(condition).collect();
    let max_severity =
        section.parsed_with("maxSeverity", |text| Severity::parse(text).map_err(|error| error.to_string()));
    let allowed = section.each_with("allow", |text| Ok(text.to_owned()));
    let signers = signers(&mut section);
    if let Some(predicate) = &predicate {
        report_misplaced_keys(&section, predicate);
    }
    section.finish();
    let rule = AttestationRule {
        predicate: predicate?,
        signers: Vec::new(),
        builder,
        source,
        conditions,
        max_severity,
        allowed,
    };
    Some(RequiredAttestation { rule, signers })
}

/// Reports keys that mean nothing for a kind of attestation, because who sets them expects them to restrict something.
fn report_misplaced_keys(section: &Section<'_>, predicate: &PredicateType) {
    let is_provenance = matches!(predicate, PredicateType::SlsaProvenance1 | PredicateType::SlsaProvenance02);
    for key in ["builder", "source"] {
        if !section.lacks(key) && !is_provenance {
            section
                .error(format!("`{key}` is for provenance (slsaprovenance1, slsaprovenance02), not for {predicate}"));
        }
    }
    for key in ["maxSeverity", "allow"] {
        if !section.lacks(key) && *predicate != PredicateType::Vuln {
            section.error(format!("`{key}` is for `type: vuln`, not for {predicate}"));
        }
    }
    if !section.lacks("allow") && section.lacks("maxSeverity") {
        section.error("`allow` requires `maxSeverity`");
    }
}

fn condition(mut section: Section<'_>) -> Option<Condition> {
    let path = section.parsed_with("path", |text| Condition::parse_path(text).map_err(|error| error.to_string()));
    let wanted = section.parsed_with("value", matcher);
    if section.lacks("path") || section.lacks("value") {
        section.error("`path` and `value` are required, for example `path: buildDefinition.buildType`");
    }
    section.finish();
    Some(Condition { path: path?, wanted: wanted? })
}

fn matcher(text: &str) -> Result<Matcher, String> {
    Matcher::parse(text).map_err(|error| error.to_string())
}
