//! Platforms that images are built for: parsed, compared, displayed.
//!
//! Written `os/architecture` or `os/architecture/variant`, as in `platform` of OCI image index descriptors (image
//! specification 1.1, section "Image Index Property Descriptions").

use std::fmt;
use std::str::FromStr;

/// A platform such as `linux/amd64` or `linux/arm/v7`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

/// A text that is not a valid platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a valid platform; write for example linux/amd64 or linux/arm/v7")]
pub struct PlatformError(String);

impl Platform {
    /// Makes a platform of the parts that a descriptor or an image's configuration gives.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Platform {
        let variant = variant.filter(|variant| !variant.is_empty()).map(str::to_owned);
        Platform { os: os.to_owned(), architecture: architecture.to_owned(), variant }
    }

    /// Returns whether an image built for `built` runs on this platform. Without a variant any variant will do; arm64
    /// has had only one so far, v8, which most tools leave out.
    pub fn is_served_by(&self, built: &Platform) -> bool {
        let variant = |platform: &Platform| match (platform.architecture.as_str(), platform.variant.as_deref()) {
            ("arm64", None) => Some("v8".to_owned()),
            (_, variant) => variant.map(str::to_owned),
        };
        let same = self.os == built.os && self.architecture == built.architecture;
        same && (self.variant.is_none() || variant(self) == variant(built))
    }

    /// Returns whether it is the placeholder that attestations next to images carry in place of a platform.
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Platform, PlatformError> {
        let word = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
        };
        let words: Vec<&str> = text.split('/').collect();
        match words.as_slice() {
            [os, architecture, rest @ ..] if rest.len() < 2 && words.iter().all(|text| word(text)) => {
                Ok(Platform::new(os, architecture, rest.first().copied()))
            }
            _ => Err(PlatformError(text.to_owned())),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().expect(text)
    }

    #[test]
    fn platforms_are_read_and_written() {
        for text in ["linux/amd64", "linux/arm/v7", "windows/amd64"] {
            assert_eq!(platform(text).to_string(), text);
        }
        for text in ["", "linux", "linux/", "linux/arm/v7/x", "Linux/amd64", "linux amd64"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_variant_matters_if_it_is_requested() {
        let serves = |wanted: &str, built: &str| platform(wanted).is_served_by(&platform(built));
        assert!(serves("linux/arm", "linux/arm/v7") && !serves("linux/arm/v6", "linux/arm/v7"));
        assert!(serves("linux/arm64", "linux/arm64/v8") && serves("linux/arm64/v8", "linux/arm64"));
        assert!(!serves("linux/amd64", "linux/arm64") && !serves("linux/amd64/v3", "linux/amd64"));
    }
}
