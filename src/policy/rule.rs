//! Which images a policy governs.

use std::time::Duration;

use globset::{GlobBuilder, GlobMatcher};
use jiff::Timestamp;

use crate::image::{DEFAULT_HOST, Repository};
use crate::platform::Platform;

use super::tag_patterns::TagPatterns;
use super::tags::{RuleError, TagRule};

/// What `inspect_limit` is where a policy says nothing.
pub const INSPECT_LIMIT: u32 = 1000;

/// A policy: these images take their tags by this rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// How the policy is called in listings: its first image pattern.
    pub name: String,
    /// The images.
    pub images: Vec<ImagePattern>,
    /// The rule.
    pub tags: TagRule,
    /// Whether the digest is written beside the tag.
    pub pin: bool,
    /// Whether the digest is followed while the tag stays, as tags that are rebuilt in place want it.
    pub track: bool,
    /// Which tags may be chosen at all.
    pub tag_patterns: TagPatterns,
    /// How long ago an image has to be built before it is deployed.
    pub minimum_age: Option<Duration>,
    /// How many tags of a repository are looked into in one pass, those aside that are known already.
    pub inspect_limit: u32,
    /// The platforms that an image has to serve; empty for all that its index lists.
    pub platforms: Vec<Platform>,
    /// Whether the next best tag is taken when the best is broken in the registry.
    pub fallback: bool,
    /// How many tags a cleanup of the registry keeps, the newest first; nothing is deleted here.
    pub keep: Option<u32>,
}

/// A pattern of image names: `*` stands for anything within one component, `**` for any number of components.
#[derive(Debug, Clone)]
pub struct ImagePattern {
    matcher: GlobMatcher,
    host: Option<String>,
}

impl ImagePattern {
    /// Reads a pattern; without a host it means Docker Hub, as image names do.
    pub fn parse(text: &str) -> Result<ImagePattern, RuleError> {
        let fail = |reason: &str| RuleError::Images { text: text.to_owned(), reason: reason.to_owned() };
        if text.is_empty() || text.contains("://") || text.contains('@') || text.contains(char::is_whitespace) {
            return Err(fail("write a name such as ghcr.io/acme/*, without scheme, tag or digest"));
        }
        let (first, rest) = text.split_once('/').unwrap_or(("", text));
        if rest.contains(':') {
            return Err(fail("it names no tag; tags are chosen by `tags`"));
        }
        let has_host = first.contains(['.', ':', '*']) || first == "localhost";
        let full = match (has_host, first) {
            (true, _) => text.to_owned(),
            (false, "") if text.contains('*') => text.to_owned(),
            (false, "") => format!("{DEFAULT_HOST}/library/{text}"),
            (false, _) => format!("{DEFAULT_HOST}/{text}"),
        };
        let glob = GlobBuilder::new(&full).literal_separator(true).build().map_err(|error| fail(&error.to_string()))?;
        let host = full.split('/').next().filter(|host| full.contains('/') && !host.contains(['*', '?', '[', '{']));
        Ok(ImagePattern { matcher: glob.compile_matcher(), host: host.map(str::to_owned) })
    }

    /// Whether an image matches.
    pub fn matches(&self, image: &Repository) -> bool {
        self.matcher.is_match(image.as_str())
    }

    /// The pattern, normalised as names are.
    pub fn as_str(&self) -> &str {
        self.matcher.glob().glob()
    }

    /// The registry host, when the pattern spells one out.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }
}

/// All policies. The first that matches an image governs it.
#[derive(Debug, Clone, Default)]
pub struct PolicySet {
    /// The policies, in the order of their files.
    pub rules: Vec<Rule>,
}

impl Rule {
    /// When an image that was built at `created` is old enough to be deployed; `None` where any age will do.
    pub fn ripe_at(&self, created: Timestamp) -> Option<Timestamp> {
        let age = self.minimum_age?;
        Some(created.checked_add(age).unwrap_or(Timestamp::MAX))
    }
}

impl PolicySet {
    /// The policy that governs an image.
    pub fn rule_for(&self, image: &Repository) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.images.iter().any(|pattern| pattern.matches(image)))
    }

    /// The platforms that an image has to serve; empty for all that its index lists.
    pub fn platforms_of(&self, image: &Repository) -> &[Platform] {
        self.rule_for(image).map(|rule| rule.platforms.as_slice()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, image: &str) -> bool {
        ImagePattern::parse(pattern).expect(pattern).matches(&image.parse().expect(image))
    }

    #[test]
    fn patterns_match_normalised_names() {
        assert!(matches("gitea.d-ma.be/mathias/*", "gitea.d-ma.be/mathias/app"));
        assert!(!matches("gitea.d-ma.be/mathias/*", "gitea.d-ma.be/mathias/group/app"));
        assert!(matches("gitea.d-ma.be/**", "gitea.d-ma.be/mathias/group/app"));
        assert!(matches("127.0.0.1:5000/org/*", "127.0.0.1:5000/org/app"));
        assert!(matches("nginx", "nginx"));
        assert!(matches("acme/*", "docker.io/acme/app"));
        assert!(!matches("acme/*", "ghcr.io/acme/app"));
        assert!(matches("**", "ghcr.io/acme/app"));
        assert!(matches("*.example.com/app", "eu.example.com/app"));
    }

    #[test]
    fn a_pattern_knows_the_host_that_it_spells_out() {
        let host = |text: &str| ImagePattern::parse(text).expect(text).host().map(str::to_owned);
        assert_eq!(host("ghcr.io/acme/*").as_deref(), Some("ghcr.io"));
        assert_eq!(host("acme/*").as_deref(), Some("docker.io"));
        assert_eq!(host("**"), None);
        assert_eq!(host("*.example.com/app"), None);
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "https://ghcr.io/a", "ghcr.io/a:v1", "a b", "ghcr.io/[a", "a@sha256:0"] {
            assert!(ImagePattern::parse(text).is_err(), "{text}");
        }
    }
}
