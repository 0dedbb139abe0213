//! Names of images: exactly those of the specification are accepted, and what is displayed reads as the same name.

use std::sync::LazyLock;

use regex::Regex;
use tagalong::image::{Digest, Reference, Repository, Tag, Version};

/// The grammars of the OCI distribution specification 1.1, section "Pulling manifests".
static TAG: LazyLock<Regex> = LazyLock::new(|| grammar("[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"));
static PATH: LazyLock<Regex> =
    LazyLock::new(|| grammar(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"));
static DIGEST: LazyLock<Regex> = LazyLock::new(|| grammar("(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})"));

fn grammar(text: &str) -> Regex {
    Regex::new(&format!(r"\A({text})\z")).expect("a pattern")
}

pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    assert_eq!(text.parse::<Tag>().is_ok(), TAG.is_match(text));
    assert_eq!(text.parse::<Digest>().is_ok(), DIGEST.is_match(text));
    if let Ok(version) = Version::parse_tag(text) {
        assert_eq!(version.to_string(), text);
    }
    if let Ok(repository) = text.parse::<Repository>() {
        assert_eq!(repository.to_string().parse().as_ref(), Ok(&repository));
        assert!(PATH.is_match(repository.path()) && repository.path().len() <= 255, "{repository}");
        assert_eq!(format!("{}/{}", repository.host(), repository.path()), repository.as_str());
        assert!(text.ends_with(repository.short_name()));
    }
    if let Ok(any) = Repository::parse_any(text) {
        assert_eq!(Repository::parse_any(any.as_str()).as_ref(), Ok(&any));
        assert_eq!(any.is_chart(), text.contains("://"));
    }
    let Ok(reference) = text.parse::<Reference>() else { return };
    assert_eq!(reference.to_string().parse(), Ok(reference.clone()));
    let written = Reference::written_name(text);
    assert!(text.starts_with(written) && written.parse().as_ref() == Ok(&reference.repository));
}
