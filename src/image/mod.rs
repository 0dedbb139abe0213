//! Names of images: parsed, normalised, displayed.
//!
//! - [`chart`]: names and versions of Helm charts, which are a kind of their own
//!
//! The grammar is that of the OCI distribution specification 1.1 (section "Pulling manifests": `<name>`, `<reference>`)
//! and of the Docker reference format on top of it: a first component with a dot, a colon or the word `localhost` is the
//! registry host; without one the host is `docker.io`, and a single component there lives under `library/`.
//!
//! ```
//! use tagalong::image::{ImageError, Reference};
//!
//! let reference: Reference = "ghcr.io/acme/shop:v1.4.0".parse()?;
//! assert_eq!(reference.repository.host(), "ghcr.io");
//! assert_eq!(reference.repository.path(), "acme/shop");
//! assert_eq!(reference.version.to_string(), "v1.4.0");
//!
//! let short: Reference = "nginx:1.27".parse()?;
//! assert_eq!(short.to_string(), "docker.io/library/nginx:1.27");
//! # Ok::<(), ImageError>(())
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

pub mod chart;

/// The host of a name that gives none.
pub const DEFAULT_HOST: &str = "docker.io";

/// The reason why a text is not a valid image name, tag or digest. Messages repeat the text: names of images are not
/// secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum ImageError {
    /// The name does not follow the grammar.
    #[error("`{text}` is not a valid image name: {reason}")]
    Name { text: String, reason: &'static str },
    /// The tag does not follow the grammar `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`.
    #[error(
        "`{0}` is not a valid tag: a tag has 1 to 128 letters, digits, `_`, `.` or `-`, and does not start with `.` or `-`"
    )]
    Tag(String),
    /// The digest does not follow the grammar `algorithm:hex`.
    #[error("`{0}` is not a valid digest: write `sha256:` and 64 lowercase hexadecimal digits")]
    Digest(String),
}

/// A repository of images including its registry host, normalised: `nginx` is `docker.io/library/nginx`. Or a Helm
/// chart, which has the scheme of its repository in front: `oci://ghcr.io/acme/charts/shop`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Repository {
    full: String,
    /// The bytes of the scheme; none for images.
    scheme: usize,
    /// The end of the host.
    host: usize,
}

impl Repository {
    /// Returns the registry host with its port, such as `ghcr.io` or `127.0.0.1:5000`.
    pub fn host(&self) -> &str {
        &self.full[self.scheme..self.host]
    }

    /// Returns the name within the registry, such as `library/nginx`: the `<name>` of the distribution API.
    pub fn path(&self) -> &str {
        &self.full[self.host + 1..]
    }

    /// Returns host and name: `docker.io/library/nginx`.
    pub fn name(&self) -> &str {
        &self.full[self.scheme..]
    }

    /// Returns the whole text: host and name, with the scheme in front if it is a chart.
    pub fn as_str(&self) -> &str {
        &self.full
    }

    /// Returns the last component of the name, by which people know the image.
    pub fn short_name(&self) -> &str {
        self.full.rsplit('/').next().unwrap_or(&self.full)
    }
}

impl FromStr for Repository {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let fail = |reason| ImageError::Name { text: text.to_owned(), reason };
        if text.is_empty() {
            return Err(fail("it is empty"));
        }
        let (host, path) = match text.split_once('/') {
            Some((first, rest)) if is_host(first) => (first, rest),
            _ => (DEFAULT_HOST, text),
        };
        // Docker Hub's old name is the same registry.
        let host = if host == "index.docker.io" { DEFAULT_HOST } else { host };
        if !host_is_valid(host) {
            return Err(fail("the registry host is not valid"));
        }
        if !path.split('/').all(component_is_valid) {
            return Err(fail(
                "each component must be lowercase letters and digits, joined by `.`, `_`, `__` or dashes",
            ));
        }
        let library = if host == DEFAULT_HOST && !path.contains('/') { "library/" } else { "" };
        if library.len() + path.len() > 255 {
            return Err(fail("it is longer than 255 characters"));
        }
        Ok(Repository { full: format!("{host}/{library}{path}"), scheme: 0, host: host.len() })
    }
}

/// Returns whether the first component of a name is a registry host rather than a user.
fn is_host(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.bytes().any(|b| b.is_ascii_uppercase())
}

fn host_is_valid(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((v6, tail)) if !v6.is_empty() && v6.bytes().all(|b| b.is_ascii_hexdigit() || b == b':') => {
                return tail.is_empty() || tail.strip_prefix(':').is_some_and(port_is_valid);
            }
            _ => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    let label = |l: &str| {
        !l.is_empty()
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    name.split('.').all(label) && port.is_none_or(port_is_valid)
}

fn port_is_valid(port: &str) -> bool {
    !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn component_is_valid(text: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends_well = |b: Option<&u8>| b.is_some_and(|b| alphanumeric(*b));
    if !ends_well(bytes.first()) || !ends_well(bytes.last()) {
        return false;
    }
    bytes
        .split(|b| alphanumeric(*b))
        .all(|joint| matches!(joint, [] | b"." | b"_" | b"__") || joint.iter().all(|b| *b == b'-'))
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

impl Serialize for Repository {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.full)
    }
}

/// A tag: `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Tag(String);

impl Tag {
    /// The length of the longest tag.
    pub const LONGEST: usize = 128;

    /// Returns the text of the tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the tag for display: the first seven digits of a long git SHA, anything else in full.
    pub fn short(&self) -> &str {
        let hex = self.0.len() >= 20 && self.0.bytes().all(|b| b.is_ascii_hexdigit());
        if hex { &self.0[..7] } else { &self.0 }
    }
}

impl FromStr for Tag {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let mut bytes = text.bytes();
        let first = bytes.next().is_some_and(word);
        if first && text.len() <= Tag::LONGEST && bytes.all(|b| word(b) || b == b'.' || b == b'-') {
            Ok(Tag(text.to_owned()))
        } else {
            Err(ImageError::Tag(text.to_owned()))
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A digest: `sha256:` and 64 hexadecimal digits, or `sha512:` and 128 (OCI image specification 1.1, "Digests").
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// Makes a digest of 64 lowercase hexadecimal digits, the output of a hash function.
    pub(crate) fn sha256(hex: &str) -> Digest {
        Digest(format!("sha256:{hex}"))
    }

    /// Makes a digest of 128 lowercase hexadecimal digits, the output of a hash function.
    pub(crate) fn sha512(hex: &str) -> Digest {
        Digest(format!("sha512:{hex}"))
    }

    /// Returns the text, including the algorithm.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let hex = |h: &str, length| h.len() == length && h.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match text.split_once(':') {
            Some(("sha256", h)) if hex(h, 64) => Ok(Digest(text.to_owned())),
            Some(("sha512", h)) if hex(h, 128) => Ok(Digest(text.to_owned())),
            _ => Err(ImageError::Digest(text.to_owned())),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The version of an image: a tag, a digest, both, or neither. Written `[:TAG][@DIGEST]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Version {
    /// The tag, if there is one.
    pub tag: Option<Tag>,
    /// The digest, if there is one. If there is a tag as well, runtimes go by the digest.
    pub digest: Option<Digest>,
}

impl Version {
    /// Parses `TAG`, `TAG@DIGEST` or `@DIGEST`, the values that Helm's `tag` may hold.
    pub fn parse_tag(text: &str) -> Result<Self, ImageError> {
        match text.split_once('@') {
            Some(("", digest)) => Ok(Version { tag: None, digest: Some(digest.parse()?) }),
            Some((tag, digest)) => Ok(Version { tag: Some(tag.parse()?), digest: Some(digest.parse()?) }),
            None => Ok(Version::from(text.parse::<Tag>()?)),
        }
    }

    /// Returns whether there is neither a tag nor a digest.
    pub fn is_empty(&self) -> bool {
        self.tag.is_none() && self.digest.is_none()
    }
}

impl From<Tag> for Version {
    /// Makes a version of a tag without a digest.
    fn from(tag: Tag) -> Version {
        Version { tag: Some(tag), digest: None }
    }
}

impl fmt::Display for Version {
    /// Writes `TAG`, `TAG@DIGEST` or `@DIGEST`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(tag) = &self.tag {
            write!(f, "{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// A complete image reference, `NAME[:TAG][@DIGEST]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// The repository, normalised.
    pub repository: Repository,
    /// The version.
    pub version: Version,
}

impl Reference {
    /// Splits a reference into its name as written, its tag and its digest, without validating them.
    fn split(text: &str) -> (&str, Option<&str>, Option<&str>) {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        // A colon before the last slash belongs to the port.
        let slash = rest.rfind('/').map_or(0, |i| i + 1);
        match rest[slash..].find(':') {
            Some(colon) => (&rest[..slash + colon], Some(&rest[slash + colon + 1..]), digest),
            None => (rest, None, digest),
        }
    }

    /// Returns the name of a reference as it is written, with the host only if that is written: `nginx` of
    /// `nginx:1.27`.
    pub fn written_name(text: &str) -> &str {
        Reference::split(text).0
    }
}

impl FromStr for Reference {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let (name, tag, digest) = Reference::split(text);
        let repository = name.parse()?;
        let version = Version { tag: tag.map(str::parse).transpose()?, digest: digest.map(str::parse).transpose()? };
        Ok(Reference { repository, version })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = if self.version.tag.is_some() { ":" } else { "" };
        write!(f, "{}{colon}{}", self.repository, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn shown(text: &str) -> String {
        text.parse::<Reference>().expect(text).to_string()
    }

    #[test]
    fn names_are_normalised() {
        assert_eq!(shown("nginx"), "docker.io/library/nginx");
        assert_eq!(shown("nginx:1.27"), "docker.io/library/nginx:1.27");
        assert_eq!(shown("index.docker.io/library/nginx"), "docker.io/library/nginx");
        assert_eq!(shown("acme/app"), "docker.io/acme/app");
        assert_eq!(shown("localhost/app"), "localhost/app");
        assert_eq!(shown("127.0.0.1:5000/org/app:x"), "127.0.0.1:5000/org/app:x");
        assert_eq!(shown("[::1]:5000/app"), "[::1]:5000/app");
        assert_eq!(shown(&format!("ghcr.io/a/b:c@{DIGEST}")), format!("ghcr.io/a/b:c@{DIGEST}"));
        assert_eq!(shown(&format!("a/b@{DIGEST}")), format!("docker.io/a/b@{DIGEST}"));
    }

    #[test]
    fn parts_of_a_repository() {
        let repository: Repository = "gitea.d-ma.be:8443/mathias/supervisor".parse().expect("valid");
        assert_eq!(repository.host(), "gitea.d-ma.be:8443");
        assert_eq!(repository.path(), "mathias/supervisor");
        assert_eq!(repository.short_name(), "supervisor");
    }

    #[test]
    fn invalid_references_are_refused() {
        for text in [
            "",
            ":",
            "a:",
            "a/B",
            "a//b",
            "/a",
            "a/",
            "-a",
            "a-",
            "a..b",
            "a___b",
            "a:b:c",
            "a b",
            "a@sha256:12",
            "a@",
            "https://example.com/a",
            "git@example.com:a/b",
            "ex_ample.com:x/a",
            "host:99999/a",
            "a:.x",
            "a:-x",
            "é",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
        assert!(format!("a:{}", "x".repeat(129)).parse::<Reference>().is_err());
        // The limit applies to the name within the registry, and so to `library/` as well.
        assert!("x".repeat(247).parse::<Reference>().is_ok() && "x".repeat(248).parse::<Reference>().is_err());
    }

    #[test]
    fn a_long_sha_is_shown_short() {
        let tag: Tag = "1a2b3c4d5e6f708192a3b4c5d6e7f80912345678".parse().expect("valid");
        assert_eq!(tag.short(), "1a2b3c4");
        assert_eq!("v1.2.3".parse::<Tag>().expect("valid").short(), "v1.2.3");
    }
}
