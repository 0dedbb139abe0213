//! References inside longer texts: `--image=NAME:TAG`, configuration in block scalars.

use std::ops::Range;

use crate::image::Reference;
use crate::manifest::field::{Shape, Slots};
use crate::manifest::value::looks_like_version;
use crate::yaml::node::{Kind, NodeId};

use super::finder::{Finder, MAX_FIELDS};

impl Finder<'_, '_> {
    /// Adds the references inside scalars that are not fields themselves.
    pub(in crate::manifest) fn embedded(&mut self) {
        let scan = self.scan;
        for id in scan.ids() {
            let Kind::Scalar { value, .. } = scan.kind(id) else { continue };
            if !value.contains([':', '@']) || self.is_claimed(id) || scan.is_key(id) {
                continue;
            }
            if self.fields.len() > MAX_FIELDS {
                break;
            }
            for (part, reference) in references(value) {
                self.within(id, value, part, reference);
            }
        }
    }

    fn within(&mut self, id: NodeId, value: &str, part: Range<usize>, reference: Reference) {
        let Some(span) = self.scan.part_span(id, part.clone()) else { return };
        let written_name = Reference::written_name(&value[part.clone()]).to_owned();
        let mut spot = self.spot(Shape::Value, id, reference.version, Slots::Within { scalar: id, part });
        spot.place = self.scan.place_in_file(span.start);
        self.fields.push(spot.field(reference.repository, written_name, false));
    }
}

/// Returns the references in a text, each a word of its own, with a host or a path before the name and a tag or a
/// digest after it.
fn references(text: &str) -> Vec<(Range<usize>, Reference)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@');
    let mut found = Vec::new();
    let mut rest = 0;
    while let Some(start) = text[rest..].find(is_part).map(|at| rest + at) {
        let end = text[start..].find(|c| !is_part(c)).map_or(text.len(), |at| start + at);
        rest = end;
        let word = text[start..end].trim_end_matches(['.', ':', '-', '/']);
        let is_cut =
            text[..start].ends_with(['$', '{', '}', '%', '\\']) || text[end..].starts_with(['$', '{', '%', '\\']);
        let Some(reference) = word.parse::<Reference>().ok().filter(|_| !is_cut && !word.contains("://")) else {
            continue;
        };
        let has_tag = reference.version.tag.as_ref().is_some_and(|tag| looks_like_version(tag.as_str()));
        let has_host = Reference::written_name(word).split_once('/').is_some_and(|(host, _)| host.contains(['.', ':']));
        let is_image = reference.version.digest.is_some()
            || word.contains('/') && reference.version.tag.is_some() && (has_tag || has_host);
        if is_image {
            found.push((start..start + word.len(), reference));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        references(text).into_iter().map(|(part, _)| &text[part]).collect()
    }

    #[test]
    fn references_are_words_of_their_own() {
        assert_eq!(found("--image=ghcr.io/a/b:1.2 --x"), ["ghcr.io/a/b:1.2"]);
        assert_eq!(found("uses ghcr.io/a/b:main, then acme/c:v2."), ["ghcr.io/a/b:main", "acme/c:v2"]);
        assert_eq!(found("{\"image\": \"a/b:1a2b3c4\"}"), ["a/b:1a2b3c4"]);
        let digest = format!("x=app@sha256:{}", "a".repeat(64));
        assert_eq!(found(&digest), [&digest[2..]]);
    }

    #[test]
    fn other_words_are_none() {
        for text in [
            "https://ghcr.io/a/b:1",
            "oci://ghcr.io/a/b:1.2",
            "redis:6379",
            "/etc/a:/etc/b",
            "a/b:c",
            "ghcr.io/a/b",
            "ghcr.io/a/${NAME}:1.2",
            "ghcr.io/a/b:${TAG}",
            "at 12:30",
        ] {
            assert_eq!(found(text), Vec::<&str>::new(), "{text}");
        }
    }
}
