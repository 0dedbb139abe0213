//! Names and versions of Helm charts.
//!
//! A chart is named like an image, below the URL of its repository: `oci://ghcr.io/acme/charts/shop` is a repository of
//! an OCI registry, and `https://charts.example.com/stable/shop` is the chart `shop` in the index
//! `https://charts.example.com/stable/index.yaml`. The scheme tells charts from images, so neither is taken for the
//! other. The version of a chart is a tag, with Helm's `_` for the `+` that tags cannot hold.
//!
//! ```
//! use tagalong::image::{ImageError, Repository, chart};
//!
//! let shop = Repository::of_chart("https://charts.example.com/stable/", "shop")?;
//! assert_eq!(shop.as_str(), "https://charts.example.com/stable/shop");
//! assert_eq!(shop.index().map(|index| index.target()).as_deref(), Some("/stable/index.yaml"));
//! assert_eq!(chart::tag_of("1.2.3+git.5")?.as_str(), "1.2.3_git.5");
//! # Ok::<(), ImageError>(())
//! ```

use std::cmp::Ordering;

use super::{DEFAULT_HOST, ImageError, Reference, Repository, Tag, Version, component_is_valid, host_is_valid};

/// The scheme of charts in OCI registries.
const OCI: &str = "oci://";
const SCHEMES: [&str; 3] = [OCI, "https://", "http://"];
/// The names under which charts refer to Docker Hub.
const HUB: [&str; 2] = ["registry-1.docker.io", "index.docker.io"];
/// The longest name of a chart with its repository, in bytes.
const LONGEST: usize = 1024;

/// The index of a chart's repository, if it is not in an OCI registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChartIndex<'r> {
    /// The chart.
    pub chart: &'r str,
    /// True if the repository is named by a URL without TLS.
    pub is_plain: bool,
    /// The path of the repository below its host, without slashes around it.
    folder: &'r str,
}

impl ChartIndex<'_> {
    /// Returns the path of the index at its host.
    pub fn target(&self) -> String {
        let slash = if self.folder.is_empty() { "" } else { "/" };
        format!("{slash}{}/index.yaml", self.folder)
    }
}

impl Repository {
    /// Makes the name of a chart from the URL of its repository, as Helm takes it.
    ///
    /// # Errors
    /// The URL is not that of a repository, or has credentials or a query, which names cannot hold.
    pub fn of_chart(url: &str, name: &str) -> Result<Repository, ImageError> {
        let text = format!("{}/{name}", url.trim_end_matches('/'));
        let fail = |reason| ImageError::Name { text: text.clone(), reason };
        let scheme = SCHEMES.into_iter().find(|scheme| text.starts_with(scheme));
        let scheme = scheme.ok_or_else(|| fail("a chart starts with oci://, https:// or http://"))?;
        let (host, path) = text[scheme.len()..].split_once('/').ok_or_else(|| fail("it has no path"))?;
        let host = host.to_ascii_lowercase();
        let host = if scheme == OCI && HUB.contains(&host.as_str()) { DEFAULT_HOST } else { &host };
        if !host_is_valid(host) {
            return Err(fail("the host is not valid"));
        }
        let is_valid = if scheme == OCI { component_is_valid } else { segment_is_valid };
        if !path.split('/').all(is_valid) {
            return Err(fail("its path has characters that names of charts cannot hold"));
        }
        if text.len() > LONGEST {
            return Err(fail("it is longer than 1024 characters"));
        }
        let full = format!("{scheme}{host}/{path}");
        Ok(Repository { full, scheme: scheme.len(), host: scheme.len() + host.len() })
    }

    /// Parses the name of an image, or of a chart, which starts with its scheme.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse_any(text: &str) -> Result<Repository, ImageError> {
        match text.contains("://").then(|| text.rsplit_once('/')).flatten() {
            Some((url, name)) => Repository::of_chart(url, name),
            None => text.parse(),
        }
    }

    /// Returns whether this is a chart.
    pub fn is_chart(&self) -> bool {
        self.scheme > 0
    }

    /// Returns the index that lists the versions of a chart; `None` for images, and for charts in OCI registries.
    pub fn index(&self) -> Option<ChartIndex<'_>> {
        if !self.is_chart() || self.full.starts_with(OCI) {
            return None;
        }
        let (folder, chart) = self.path().rsplit_once('/').unwrap_or(("", self.path()));
        Some(ChartIndex { chart, is_plain: self.full.starts_with("http://"), folder })
    }
}

impl Reference {
    /// Parses the reference of an image, or of a chart, whose version may be written with `+`.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse_any(text: &str) -> Result<Reference, ImageError> {
        if !text.contains("://") {
            return text.parse();
        }
        let (name, tag, digest) = Reference::split(text);
        let version = Version { tag: tag.map(tag_of).transpose()?, digest: digest.map(str::parse).transpose()? };
        Ok(Reference { repository: Repository::parse_any(name)?, version })
    }
}

/// Returns the tag for a version of a chart.
///
/// # Errors
/// It cannot be the version of a chart.
pub fn tag_of(version: &str) -> Result<Tag, ImageError> {
    version.replace('+', "_").parse()
}

/// Returns the version of a chart that a tag stands for.
pub fn version_of(tag: &Tag) -> String {
    tag.as_str().replace('_', "+")
}

/// Parses the exact version of a chart, which may begin with `v`; `None` if it is a range.
pub fn exact(version: &str) -> Option<semver::Version> {
    semver::Version::parse(version.strip_prefix('v').unwrap_or(version)).ok()
}

/// Compares the versions of a chart by their precedence (semver 2.0.0, section 11); `None` if one of them is not exact.
pub fn compare(one: &Tag, other: &Tag) -> Option<Ordering> {
    Some(exact(&version_of(one))?.cmp_precedence(&exact(&version_of(other))?))
}

/// Returns whether a text can be a part of the path of a repository with an index.
fn segment_is_valid(text: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'~');
    !matches!(text, "" | "." | "..") && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Option<String> {
        Repository::parse_any(text).expect(text).index().map(|index| index.target())
    }

    #[test]
    fn charts_and_images_are_told_apart() {
        let chart = Repository::of_chart("oci://registry-1.docker.io/bitnamicharts", "redis").expect("a name");
        assert_eq!(
            (chart.as_str(), chart.host(), chart.path()),
            ("oci://docker.io/bitnamicharts/redis", "docker.io", "bitnamicharts/redis")
        );
        assert_eq!((chart.name(), chart.short_name()), ("docker.io/bitnamicharts/redis", "redis"));
        let image: Repository = "docker.io/bitnamicharts/redis".parse().expect("a name");
        assert!(chart != image && chart.is_chart() && !image.is_chart() && chart.index().is_none());
        assert!("oci://ghcr.io/acme/shop".parse::<Repository>().is_err(), "an image field never holds a chart");
        assert_eq!(Repository::parse_any(chart.as_str()).expect("the same"), chart);
    }

    #[test]
    fn a_chart_knows_its_index() {
        assert_eq!(target("https://charts.example.com/shop").as_deref(), Some("/index.yaml"));
        assert_eq!(target("http://h:8080/Foo/bar/shop").as_deref(), Some("/Foo/bar/index.yaml"));
        assert_eq!(target("oci://ghcr.io/acme/shop"), None);
        let chart = Repository::parse_any("http://h:8080/a/shop").expect("a name");
        assert_eq!((chart.host(), chart.index().map(|index| index.chart)), ("h:8080", Some("shop")));
    }

    #[test]
    fn versions_are_tags() {
        let found = Reference::parse_any("https://charts.example.com/shop:1.2.3+a").expect("a reference");
        assert_eq!(found.to_string(), "https://charts.example.com/shop:1.2.3_a");
        assert_eq!(found.version.tag.as_ref().map(version_of).as_deref(), Some("1.2.3+a"));
        assert_eq!(Reference::parse_any("nginx:1.27").expect("an image").to_string(), "docker.io/library/nginx:1.27");
    }

    #[test]
    fn versions_are_compared_by_their_precedence() {
        let tag = |version: &str| tag_of(version).expect("a tag");
        assert_eq!(compare(&tag("v1.10.0"), &tag("1.9.0+b")), Some(Ordering::Greater));
        assert_eq!(compare(&tag("1.9.0+a"), &tag("1.9.0+b")), Some(Ordering::Equal));
        assert_eq!(compare(&tag("1.9.0-rc.1"), &tag("1.9.0")), Some(Ordering::Less));
        assert_eq!(compare(&tag("1.9"), &tag("1.9.0")), None);
    }

    #[test]
    fn urls_that_names_cannot_hold_are_refused() {
        for url in [
            "https://user:password@charts.example.com/a",
            "https://charts.example.com/a?token=x",
            "https://charts.example.com/../a",
            "https://charts.example.com//a",
            "https:///a",
            "ftp://charts.example.com",
            "oci://ghcr.io/Acme",
            "charts.example.com",
            "",
        ] {
            assert!(Repository::of_chart(url, "shop").is_err(), "{url}");
        }
        for name in ["", "..", "a b", "a:b", "{{ x }}"] {
            assert!(Repository::of_chart("https://charts.example.com", name).is_err(), "{name}");
        }
    }
}
