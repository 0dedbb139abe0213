//! Policies, and the images that they govern.

use std::sync::Arc;
use std::time::Duration;

use globset::{GlobBuilder, GlobMatcher};

use crate::image::{DEFAULT_HOST, Repository};
use crate::platform::Platform;

use super::origin::OriginRule;
use super::tag_patterns::{MAX_PATTERN, TagPatterns};
use super::tags::{RuleError, TagRule};

/// The default of `inspect_limit`.
pub const INSPECT_LIMIT: u32 = 1000;

/// A policy: the images that it governs, and the rule that chooses their tags.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The name of the policy in listings: its first image pattern.
    pub name: String,
    /// The images.
    pub images: Vec<ImagePattern>,
    /// The rule.
    pub tags: TagRule,
    /// True if only fields with a marker comment follow the policy.
    pub marked_only: bool,
    /// True if the digest is written in addition to the tag.
    pub pin: bool,
    /// True if the digest is followed while the tag stays the same, for tags that are rebuilt in place.
    pub track: bool,
    /// The patterns that allow or exclude tags.
    pub tag_patterns: TagPatterns,
    /// The time that must pass between the build of an image, or its arrival in the registry, and its deployment.
    pub minimum_age: Option<Duration>,
    /// The number of tags of a repository that are inspected per cycle, not counting those that are known already.
    pub inspect_limit: u32,
    /// The platforms that an image must support; if empty, all that its index lists.
    pub platforms: Vec<Platform>,
    /// True if the next best tag is chosen when the best one is broken in the registry.
    pub fallback: bool,
    /// The number of newest tags that a cleanup of the registry keeps; nothing is deleted here.
    pub keep: Option<u32>,
    /// The proof of origin that an image needs.
    pub origin: Option<Arc<OriginRule>>,
}

/// A pattern of names of images, or of charts: `*` matches anything within one component, `**` any number of components.
#[derive(Debug, Clone)]
pub struct ImagePattern {
    matcher: GlobMatcher,
    host: Option<String>,
    /// True if it matches charts instead of images.
    is_of_charts: bool,
}

impl ImagePattern {
    /// Parses a pattern; without a host it refers to Docker Hub, as image names do.
    pub fn parse(text: &str) -> Result<ImagePattern, RuleError> {
        let fail = |reason: &str| RuleError::Images { text: text.to_owned(), reason: reason.to_owned() };
        if text.len() > MAX_PATTERN {
            return Err(fail("patterns may have up to 1000 bytes"));
        }
        if text.is_empty() || text.contains("://") || text.contains('@') || text.contains(char::is_whitespace) {
            return Err(fail("write a name such as ghcr.io/acme/*, without scheme, tag or digest"));
        }
        let (first, rest) = text.split_once('/').unwrap_or(("", text));
        if rest.contains(':') {
            return Err(fail("it must not contain a tag; tags are chosen by `tags`"));
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
        Ok(ImagePattern { matcher: glob.compile_matcher(), host: host.map(str::to_owned), is_of_charts: false })
    }

    /// Parses a pattern of charts: host, path of the repository, and chart, without the scheme.
    pub fn parse_charts(text: &str) -> Result<ImagePattern, RuleError> {
        let fail = |reason: &str| RuleError::Charts { text: text.to_owned(), reason: reason.to_owned() };
        let pattern = ImagePattern::parse(text).map_err(|error| match error {
            RuleError::Images { .. } if text.contains("://") => fail("leave out the scheme"),
            RuleError::Images { reason, .. } => fail(&reason),
            error => error,
        })?;
        let first = text.split('/').next().unwrap_or_default();
        if !first.contains(['.', ':', '*']) && first != "localhost" {
            return Err(fail("it has no host; write a name such as charts.example.com/stable/*"));
        }
        Ok(ImagePattern { is_of_charts: true, ..pattern })
    }

    /// Returns whether an image or a chart matches.
    pub fn matches(&self, image: &Repository) -> bool {
        self.is_of_charts == image.is_chart() && self.matcher.is_match(image.name())
    }

    /// Returns whether it matches charts instead of images.
    pub fn is_of_charts(&self) -> bool {
        self.is_of_charts
    }

    /// Returns the pattern, normalised like names.
    pub fn as_str(&self) -> &str {
        self.matcher.glob().glob()
    }

    /// Returns the registry host, if the pattern contains a literal one.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }
}

/// All policies. The first one that matches an image governs it.
#[derive(Debug, Clone, Default)]
pub struct PolicySet {
    /// The policies, in the order of their files.
    pub rules: Vec<Rule>,
}

impl PolicySet {
    /// Returns the policy that governs an image.
    pub fn rule_for(&self, image: &Repository) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.images.iter().any(|pattern| pattern.matches(image)))
    }

    /// Returns the proof of origin that an image needs.
    pub fn origin_of(&self, image: &Repository) -> Option<&Arc<OriginRule>> {
        self.rule_for(image)?.origin.as_ref()
    }

    /// The platforms that an image must support; if empty, all that its index lists.
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
    fn patterns_of_charts_match_charts_alone() {
        let charts = |pattern: &str, name: &str| {
            let name = Repository::parse_any(name).expect(name);
            ImagePattern::parse_charts(pattern).expect(pattern).matches(&name)
        };
        assert!(charts("ghcr.io/acme/charts/*", "oci://ghcr.io/acme/charts/shop"));
        assert!(charts("charts.example.com/**", "https://charts.example.com/shop"));
        assert!(charts("**", "http://charts.example.com/a/b/shop"));
        assert!(!charts("ghcr.io/acme/*", "ghcr.io/acme/shop"));
        let of_images = ImagePattern::parse("ghcr.io/acme/**").expect("a pattern");
        assert!(!of_images.matches(&Repository::parse_any("oci://ghcr.io/acme/shop").expect("a chart")));
        for text in ["shop", "acme/*", "oci://ghcr.io/acme/*", "https://charts.example.com/*", ""] {
            assert!(ImagePattern::parse_charts(text).is_err(), "{text}");
        }
    }

    #[test]
    fn invalid_patterns_are_refused() {
        for text in ["", "https://ghcr.io/a", "ghcr.io/a:v1", "a b", "ghcr.io/[a", "a@sha256:0"] {
            assert!(ImagePattern::parse(text).is_err(), "{text}");
        }
    }
}
