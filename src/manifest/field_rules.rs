//! Image fields beyond the usual shapes: configured rules for unusual charts, and references inside longer texts.

use crate::image::{Reference, Repository};
use crate::yaml::node::NodeId;
use crate::yaml::scan::Scan;

use super::paths::{PathError, PathFilter};
use super::pattern::{PathPattern, PatternError};

/// The settings for image fields beyond the usual shapes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldRules {
    /// Rules for fields of unusual charts.
    pub rules: Vec<FieldRule>,
    /// True if references inside longer texts and block scalars are fields as well.
    pub embedded: bool,
}

/// The reason why a rule is not valid, or cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum FieldRuleError {
    /// The file pattern is not valid.
    #[error(transparent)]
    File(#[from] PathError),
    /// A path is not valid: that of the rule, or one within its image.
    #[error(transparent)]
    Path(#[from] PatternError),
    /// The image is not a valid name.
    #[error("`{text}` is not a valid image name: {reason}")]
    Image { text: String, reason: String },
}

/// A rule: in certain files, the scalar at a path is the tag of an image.
#[derive(Debug, Clone)]
pub struct FieldRule {
    source: (String, String, Option<String>),
    files: PathFilter,
    path: PathPattern,
    image: Option<Vec<Piece>>,
}

impl PartialEq for FieldRule {
    fn eq(&self, other: &FieldRule) -> bool {
        self.source == other.source
    }
}

impl Eq for FieldRule {}

/// A piece of a rule's image.
#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    /// `{path}`: the scalar at another path of the same document.
    Scalar(PathPattern),
    /// `{1}`: the text that the first `*` of the rule's path matched.
    Passed(usize),
}

/// A scalar that a rule selects.
#[derive(Debug)]
pub struct RuleMatch {
    /// The scalar.
    pub node: NodeId,
    /// The image whose tag it holds; `None` if the scalar is a complete reference. An error if the rule does not yield
    /// an image.
    pub image: Option<Result<Repository, FieldRuleError>>,
}

impl FieldRule {
    /// Makes a rule from a pattern of files, a path within their documents, and an image with `{…}` for parts that are
    /// elsewhere in the document. Without an image, the scalar is a complete reference.
    pub fn new(file: &str, path: &str, image: Option<&str>) -> Result<FieldRule, FieldRuleError> {
        let files = PathFilter::new(&[file])?;
        let pattern = PathPattern::parse(path)?;
        let pieces = image.map(|image| pieces(image, &pattern)).transpose()?;
        let source = (file.to_owned(), path.to_owned(), image.map(str::to_owned));
        Ok(FieldRule { source, files, path: pattern, image: pieces })
    }

    /// Returns whether the rule applies to a file.
    pub fn concerns(&self, file: &str) -> bool {
        self.files.wants(file)
    }

    /// Returns the scalars of a document that the rule selects.
    pub fn find(&self, scan: &Scan<'_>, root: NodeId) -> Vec<RuleMatch> {
        let scalars = self.path.find(scan, root).into_iter().filter(|(node, _)| scan.scalar(*node).is_some());
        let image = |passed: &[String]| self.image.as_ref().map(|pieces| join(pieces, scan, root, passed));
        scalars.map(|(node, passed)| RuleMatch { node, image: image(&passed) }).collect()
    }
}

fn pieces(image: &str, path: &PathPattern) -> Result<Vec<Piece>, FieldRuleError> {
    let fail = |reason: &str| FieldRuleError::Image { text: image.to_owned(), reason: reason.to_owned() };
    let mut pieces = Vec::new();
    let mut rest = image;
    while let Some((text, after)) = rest.split_once('{') {
        let (inner, after) = after.split_once('}').ok_or_else(|| fail("`{` without `}`"))?;
        pieces.push(Piece::Text(text.to_owned()));
        pieces.push(match inner.parse::<usize>() {
            Ok(number) if (1..=path.wildcards()).contains(&number) => Piece::Passed(number - 1),
            Ok(_) => return Err(fail("`path` does not have that many `*`")),
            Err(_) => {
                let pattern = PathPattern::parse(inner)?;
                if pattern.wildcards() > path.wildcards() {
                    return Err(fail("a path in it has more `*` than `path`"));
                }
                Piece::Scalar(pattern)
            }
        });
        rest = after;
    }
    pieces.push(Piece::Text(rest.to_owned()));
    if let [Piece::Text(name)] = pieces.as_slice() {
        name_of(name)?;
    }
    Ok(pieces)
}

fn join(pieces: &[Piece], scan: &Scan<'_>, root: NodeId, passed: &[String]) -> Result<Repository, FieldRuleError> {
    let mut name = String::new();
    for piece in pieces {
        name.push_str(match piece {
            Piece::Text(text) => text,
            Piece::Passed(number) => passed.get(*number).map_or("", String::as_str),
            Piece::Scalar(path) => {
                let node = path.follow(scan, root, passed);
                let scalar = node.and_then(|node| scan.scalar(node));
                scalar.ok_or_else(|| FieldRuleError::Image {
                    text: name.clone() + "…",
                    reason: "a path in the rule does not lead to a scalar here".to_owned(),
                })?
            }
        });
    }
    name_of(&name)
}

fn name_of(text: &str) -> Result<Repository, FieldRuleError> {
    let fail = |reason: String| FieldRuleError::Image { text: text.to_owned(), reason };
    let reference: Reference = text.parse().map_err(|error: crate::image::ImageError| fail(error.to_string()))?;
    if !reference.version.is_empty() {
        return Err(fail("give a name without tag or digest".to_owned()));
    }
    Ok(reference.repository)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_put_together_from_the_document() {
        let text = "registry: ghcr.io/acme\nservices:\n  api: {name: app-api, tag: x}\n  web: {tag: y}\n";
        let scan = Scan::read(text.as_bytes()).expect("valid YAML");
        let (_, root) = scan.documents().next().expect("a document");
        let images = |path: &str, image: &str| -> Vec<String> {
            let rule = FieldRule::new("a.yaml", path, Some(image)).expect("a rule");
            let shown = |ruled: RuleMatch| match ruled.image {
                Some(Ok(image)) => image.to_string(),
                Some(Err(error)) => error.to_string(),
                None => "whole".to_owned(),
            };
            rule.find(&scan, root).into_iter().map(shown).collect()
        };
        assert_eq!(images("services.api.tag", "{registry}/app"), ["ghcr.io/acme/app"]);
        assert_eq!(images("services.*.tag", "{registry}/{1}"), ["ghcr.io/acme/api", "ghcr.io/acme/web"]);
        let named = images("services.*.tag", "{registry}/{services.*.name}");
        assert_eq!(named[0], "ghcr.io/acme/app-api");
        assert_eq!(
            named[1],
            "`ghcr.io/acme/…` is not a valid image name: a path in the rule does not lead to a scalar here"
        );
    }

    #[test]
    fn invalid_rules_are_refused() {
        for (file, path, image) in [
            ("/etc/x", "a", Some("ghcr.io/a/b")),
            ("a.yaml", "a..b", Some("ghcr.io/a/b")),
            ("a.yaml", "a", Some("ghcr.io/a/b:v1")),
            ("a.yaml", "a", Some("ghcr.io/{1}")),
            ("a.yaml", "a", Some("ghcr.io/{b")),
            ("a.yaml", "a", Some("ghcr.io/{b.*}")),
            ("a.yaml", "a", Some("")),
        ] {
            assert!(FieldRule::new(file, path, image).is_err(), "{file} {path} {image:?}");
        }
    }
}
