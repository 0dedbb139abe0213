//! Names of images that chart templates put together: `ghcr.io/acme/{{ .name }}` tells the registry of images whose names
//! stand nowhere.

use std::sync::LazyLock;

use regex::Regex;

use crate::path::parent_of;

/// A name whose last component a template fills in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NameTemplate {
    /// The file of the template.
    pub file: String,
    /// The name before the last component, without the slash.
    pub prefix: String,
}

static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)(?:image|repositor)[a-z_-]*["']?\s*:.*?["'\s](?P<prefix>[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::[0-9]+)?(?:/[a-z0-9._-]+)*)/\{\{"#).ok()
});

impl NameTemplate {
    /// Finds such names in a file.
    pub fn find(file: &str, bytes: &[u8]) -> Vec<NameTemplate> {
        let (Some(pattern), Ok(text)) = (PATTERN.as_ref(), std::str::from_utf8(bytes)) else { return Vec::new() };
        let mut found: Vec<NameTemplate> = text
            .lines()
            .filter(|line| line.contains("/{{"))
            .filter_map(|line| pattern.captures(line)?.name("prefix"))
            .map(|prefix| NameTemplate { file: file.to_owned(), prefix: prefix.as_str().to_owned() })
            .collect();
        found.dedup();
        found
    }

    /// Returns the one that is closest to a file: that of the deepest folder that contains both. `None` if that is the
    /// root and there are others.
    pub fn closest<'n>(templates: &'n [NameTemplate], file: &str) -> Option<&'n NameTemplate> {
        let depth = |template: &NameTemplate| {
            let mut folder = parent_of(file);
            while !folder.is_empty() && !template.file.starts_with(&format!("{folder}/")) {
                folder = parent_of(folder);
            }
            folder.split('/').filter(|part| !part.is_empty()).count()
        };
        let deepest = templates.iter().map(depth).max()?;
        let mut closest = templates.iter().filter(|template| depth(template) == deepest);
        let first = closest.next()?;
        closest.all(|other| other.prefix == first.prefix).then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_found_and_the_closest_is_taken() {
        let text = "  repository: 1234.dkr.ecr.eu-west-1.amazonaws.com/acme/{{ $name }}\n  url: https://x.y/{{ z }}\n";
        let found = NameTemplate::find("charts/a/templates/x.yaml", text.as_bytes());
        let prefixes: Vec<&str> = found.iter().map(|template| template.prefix.as_str()).collect();
        assert_eq!(prefixes, ["1234.dkr.ecr.eu-west-1.amazonaws.com/acme"]);
        let other =
            NameTemplate::find("charts/b/t.yaml", b"image: \"ghcr.io/b/{{ .Values.name }}:{{ .Values.tag }}\"\n");
        assert_eq!(other[0].prefix, "ghcr.io/b");
        let all = [found, other].concat();
        let closest = |file: &str| NameTemplate::closest(&all, file).map(|template| template.prefix.as_str());
        assert_eq!(closest("charts/b/tags/prod/api"), Some("ghcr.io/b"));
        assert_eq!(closest("charts/c/tags/api"), None, "both are as close");
    }
}
