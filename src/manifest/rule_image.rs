//! The images of a rule in `fields`, put together from text, the document, the file's path and other files.

use std::collections::BTreeMap;

use crate::image::{Reference, Repository};
use crate::yaml::node::NodeId;
use crate::yaml::scan::Scan;

use super::file_pattern::FilePattern;
use super::paths::PathError;
use super::pattern::{PathPattern, PatternError};

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
    /// An earlier rule selects the same scalar for other images.
    #[error(
        "an earlier rule selects it for {first}; give all images of one value in one rule, as a list under `images`"
    )]
    Taken { first: String },
}

/// A piece of a rule's image.
#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    /// `{path}`: the scalar at another path of the same document.
    Scalar(PathPattern),
    /// `{1}`: the text that the first `*` of the rule's path matched.
    Passed(usize),
    /// `{name}`: what the pattern of files captured under this name.
    Captured(String),
    /// `{file:path}`: a scalar of another file.
    Other(OtherScalar),
}

/// A scalar of another file.
#[derive(Debug, Clone)]
pub(super) struct OtherScalar {
    /// The file, relative to the folder of the one that the rule selects.
    pub file: String,
    /// The path as written, by which the scalar is found again.
    pub path: String,
    pub pattern: PathPattern,
}

impl OtherScalar {
    /// Returns whether a file may be the one that is meant, judging by its name.
    pub fn may_be(&self, path: &str) -> bool {
        let name = |path: &str| path.rsplit('/').next().map(str::to_owned);
        name(path) == name(&self.file)
    }
}

/// A part of a name that depends on other files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamePart {
    /// Text.
    Text(String),
    /// A scalar of another file, relative to the folder of the field's own.
    Scalar {
        /// The file.
        file: String,
        /// The path within its document.
        path: String,
    },
}

/// The image that a rule gives to a scalar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleImage {
    /// An image, or the reason why there is none.
    Here(Result<Repository, FieldRuleError>),
    /// The image has to be put together with other files.
    Elsewhere(Vec<NamePart>),
}

/// The number of images that one value can be the tag of.
const MAX_IMAGES: usize = 1_000;

const TOO_MANY: &str = "a value can be the tag of up to 1000 images";

/// An image as a rule gives it.
#[derive(Debug, Clone)]
pub(super) struct ImageTemplate {
    pieces: Vec<Piece>,
}

/// The document and the match that an image is put together for.
pub(super) struct Around<'a> {
    pub scan: &'a Scan<'a>,
    pub root: NodeId,
    /// The text that the `*` of the rule's path matched.
    pub passed: &'a [String],
    /// The text that the pattern of files captured.
    pub captured: &'a BTreeMap<String, String>,
}

impl ImageTemplate {
    /// Parses an image. `may_expand` allows paths with more `*` than the rule's, which stand for several images.
    pub fn parse(
        image: &str,
        files: &FilePattern,
        path: &PathPattern,
        may_expand: bool,
    ) -> Result<ImageTemplate, FieldRuleError> {
        let fail = |reason: &str| FieldRuleError::Image { text: image.to_owned(), reason: reason.to_owned() };
        let mut pieces = Vec::new();
        let mut rest = image;
        while let Some((text, after)) = rest.split_once('{') {
            let (inner, after) = after.split_once('}').ok_or_else(|| fail("`{` without `}`"))?;
            pieces.push(Piece::Text(text.to_owned()));
            pieces.push(match inner.parse::<usize>() {
                Ok(number) if (1..=path.wildcards()).contains(&number) => Piece::Passed(number - 1),
                Ok(_) => return Err(fail("`path` does not have that many `*`")),
                Err(_) if files.captures(inner) => Piece::Captured(inner.to_owned()),
                Err(_) => match inner.split_once(':').filter(|(file, _)| !file.contains('[')) {
                    Some((file, path)) => Piece::Other(other(file, path, &fail)?),
                    None => {
                        let pattern = PathPattern::parse(inner)?;
                        if pattern.wildcards() > path.wildcards() && !may_expand {
                            return Err(fail("a path in it has more `*` than `path`; use `images` for several images"));
                        }
                        Piece::Scalar(pattern)
                    }
                },
            });
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        if let [Piece::Text(name)] = pieces.as_slice() {
            name_of(name)?;
        }
        Ok(ImageTemplate { pieces })
    }

    /// Returns the scalars of other files that it inserts.
    pub fn others(&self) -> impl Iterator<Item = &OtherScalar> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Other(other) => Some(other),
            _ => None,
        })
    }

    /// Returns the images of a match: one, unless a path stands for several.
    pub fn images(&self, around: &Around<'_>) -> Vec<RuleImage> {
        let mut names: Vec<Vec<NamePart>> = vec![Vec::new()];
        for piece in &self.pieces {
            let parts = match around.parts(piece) {
                Ok(parts) => parts,
                Err(reason) => {
                    let so_far = names.first().map(|name| text_of(name)).unwrap_or_default();
                    let error = FieldRuleError::Image { text: so_far + "…", reason };
                    return vec![RuleImage::Here(Err(error))];
                }
            };
            if names.len() * parts.len() > MAX_IMAGES {
                let error = FieldRuleError::Image { text: "…".to_owned(), reason: TOO_MANY.to_owned() };
                return vec![RuleImage::Here(Err(error))];
            }
            let with = |name: &Vec<NamePart>| {
                parts.iter().map(|part| [name.as_slice(), std::slice::from_ref(part)].concat()).collect::<Vec<_>>()
            };
            names = names.iter().flat_map(with).collect();
        }
        let image = |name: Vec<NamePart>| {
            let is_here = name.iter().all(|part| matches!(part, NamePart::Text(_)));
            if is_here { RuleImage::Here(name_of(&text_of(&name))) } else { RuleImage::Elsewhere(name) }
        };
        names.into_iter().map(image).collect()
    }
}

impl Around<'_> {
    fn parts(&self, piece: &Piece) -> Result<Vec<NamePart>, String> {
        let text = |text: &str| vec![NamePart::Text(text.to_owned())];
        Ok(match piece {
            Piece::Text(literal) => text(literal),
            Piece::Passed(number) => text(self.passed.get(*number).map_or("", String::as_str)),
            Piece::Captured(name) => text(self.captured.get(name).map_or("", String::as_str)),
            Piece::Other(OtherScalar { file, path, .. }) => {
                vec![NamePart::Scalar { file: file.clone(), path: path.clone() }]
            }
            Piece::Scalar(pattern) => {
                let found = pattern.expand(self.scan, self.root, self.passed);
                // A `*` that leads to a mapping stands for its key.
                let part = |(node, passed): &(NodeId, Vec<String>)| {
                    let key = || passed.get(self.passed.len()..).and_then(<[String]>::last).map(String::as_str);
                    self.scan.scalar(*node).or_else(key).map(|part| NamePart::Text(part.to_owned()))
                };
                let parts: Vec<NamePart> = found.iter().filter_map(part).collect();
                if parts.is_empty() {
                    return Err("a path in the rule does not lead to a scalar here".to_owned());
                }
                parts
            }
        })
    }
}

fn other(file: &str, path: &str, fail: &impl Fn(&str) -> FieldRuleError) -> Result<OtherScalar, FieldRuleError> {
    let pattern = PathPattern::parse(path)?;
    if file.is_empty() || file.starts_with('/') {
        return Err(fail("give the other file relative to the folder of the selected one"));
    }
    if pattern.wildcards() > 0 {
        return Err(fail("a path within another file must not contain `*`"));
    }
    Ok(OtherScalar { file: file.to_owned(), path: path.to_owned(), pattern })
}

fn text_of(name: &[NamePart]) -> String {
    let text = |part: &NamePart| match part {
        NamePart::Text(text) => text.clone(),
        NamePart::Scalar { .. } => String::new(),
    };
    name.iter().map(text).collect()
}

/// Parses the name of an image without tag and digest.
pub(super) fn name_of(text: &str) -> Result<Repository, FieldRuleError> {
    let fail = |reason: String| FieldRuleError::Image { text: text.to_owned(), reason };
    let reference: Reference = text.parse().map_err(|error: crate::image::ImageError| fail(error.to_string()))?;
    if !reference.version.is_empty() {
        return Err(fail("give a name without tag or digest".to_owned()));
    }
    Ok(reference.repository)
}
