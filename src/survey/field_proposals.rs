//! Rules under `fields` for values that moved like tags and are no image fields yet.

use std::collections::{BTreeMap, BTreeSet};

use crate::image::Tag;
use crate::manifest::field_rules::FieldRule;
use crate::manifest::pattern::PathPattern;
use crate::manifest::rule_image::RuleImage;
use crate::yaml::scan::Scan;

use super::app_version;
use super::evidence::Evidence;
use super::glob::{self, FileGlob};
use super::image_name::{self, ImageName};
use super::line::DocumentPath;
use super::movements::{Movement, Movements, Place};
use super::proposed_field::{Moved, ProposedField};
use super::tag_style::TagStyle;
use super::tree::{KnownFields, Tree};
use super::unnamed;

/// Values that moved like tags and that no rule was found for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolved {
    /// The files, as a pattern.
    pub file: String,
    /// The path.
    pub path: String,
    /// The reason.
    pub reason: &'static str,
    /// Their moves.
    pub evidence: Evidence,
}

/// The proposals for a tree.
#[derive(Debug, Default)]
pub struct FieldProposals {
    /// Rules.
    pub rules: Vec<ProposedField>,
    /// The rest.
    pub unresolved: Vec<Unresolved>,
}

/// Proposes rules for what moved.
pub fn propose(movements: &Movements, known: &KnownFields, tree: &Tree<'_>) -> FieldProposals {
    let mut open: Vec<Moved<'_>> = movements
        .places
        .iter()
        .filter(|(place, movement)| tree.files.contains(&place.file) && !known.cover(place, movement))
        .collect();
    open.sort_by_key(|(place, _)| *place);
    let mut proposals = FieldProposals::default();
    let (mut named, mut nameless) = (BTreeMap::<(String, ImageName), Vec<Moved<'_>>>::new(), Vec::new());
    for (place, movement) in open {
        match judge(place, movement, known, tree) {
            Ok(Some(name)) => named.entry((place.path.pattern(), name)).or_default().push((place, movement)),
            Ok(None) => nameless.push((place, movement)),
            Err(reason) => proposals.unresolved.push(Unresolved {
                file: place.file.clone(),
                path: place.path.pattern(),
                reason,
                evidence: Evidence::of([movement]),
            }),
        }
    }
    for ((path, name), moved) in named {
        proposals.rules.extend(named_rules(&path, &name, &moved, tree));
    }
    proposals.rules.extend(unnamed::rules(&nameless, tree));
    proposals.unresolved = summed(proposals.unresolved);
    proposals
}

/// Tells the name of the image whose tag moved; `Ok(None)` if it is a tag without a name; an error if it is none.
fn judge(
    place: &Place,
    movement: &Movement,
    known: &KnownFields,
    tree: &Tree<'_>,
) -> Result<Option<ImageName>, &'static str> {
    if app_version::is_one(place) {
        return app_version::image(&place.file, tree).map(Some);
    }
    if is_something_else(place) {
        return Err("it is the version of a chart or of a source, not of an image");
    }
    let bytes = (tree.read)(&place.file).unwrap_or_default();
    let Ok(scan) = Scan::read(&bytes) else { return Err("the file is a template or is not valid YAML") };
    let Ok(path) = PathPattern::parse(&place.path.pattern()) else {
        return Err("its path cannot be written as a rule");
    };
    let found = scan.documents().find_map(|(_, root)| path.find(&scan, root).first().map(|(node, _)| *node));
    let Some(node) = found.filter(|node| scan.scalar(*node).is_some()) else {
        return Err("it is within a text, or no longer there");
    };
    let has_tag = || scan.parent(node).and_then(|mapping| scan.get(mapping, "tag")).is_some_and(|tag| tag != node);
    if known.has_beside(place) || has_tag() {
        return Err("the image next to it has a tag of its own");
    }
    let is_number = TagStyle::of(&movement.newest).is_some_and(|style| style.is_plain_number());
    if is_number && says_version(&place.path) {
        return Err("a number next to an image need not be its tag");
    }
    if movement.is_reference {
        let says_so = says_image(&place.path);
        return if says_so {
            Ok(Some(ImageName::Text(String::new())))
        } else {
            Err("nothing says that it is an image")
        };
    }
    let name = image_name::of(&place.file, &place.path, tree);
    // Next to an image, a version is that of the image.
    let is_certain =
        says_version(&place.path) && matches!(&name, Some(ImageName::Text(text)) if !text.ends_with("name}"));
    if says_image(&place.path) || is_certain {
        Ok(name)
    } else {
        Err("nothing says that it is the version of an image")
    }
}

/// Returns whether a path ends in a word for a version.
fn says_version(path: &DocumentPath) -> bool {
    let key = path.last_key().unwrap_or_default().to_ascii_lowercase();
    ["version", "revision", "commit", "sha", "hash"].iter().any(|word| key.ends_with(word))
}

/// Returns whether a path says that its value belongs to an image.
fn says_image(path: &DocumentPath) -> bool {
    let plain = |key: &str| key.to_ascii_lowercase().replace(['_', '-'], "");
    let keys: Vec<String> = path.keys().map(plain).collect();
    let Some((last, above)) = keys.split_last() else { return false };
    let above = above.last().map(String::as_str).unwrap_or_default();
    last.ends_with("tag") && above != "ref"
        || last.contains("image")
        || above.contains("image") && ["version", "revision", "commit", "sha", "hash"].contains(&last.as_str())
}

/// Returns whether a place holds the version of something that is known not to be an image.
fn is_something_else(place: &Place) -> bool {
    let name = glob::name_of(&place.file);
    let is_other =
        ["Chart.yaml", "Chart.lock", "package.json", "requirements.yaml", "requirements.lock"].contains(&name);
    let plain = |key: &str| key.to_ascii_lowercase().replace(['_', '-'], "");
    let words =
        ["targetrevision", "apiversion", "appversion", "chartversion", "schemaversion", "ref", "gittag", "chart"];
    is_other || place.path.keys().any(|key| words.contains(&plain(key).as_str()))
}

/// Returns rules for values of the same path whose image's name is found in the same way.
fn named_rules(path: &str, name: &ImageName, moved: &[Moved<'_>], tree: &Tree<'_>) -> Vec<ProposedField> {
    let files: BTreeSet<String> = moved.iter().map(|(place, _)| place.file.clone()).collect();
    let (image, because, attempts) = match name {
        ImageName::Text(text) => {
            let because = if text.is_empty() { "it is a complete reference" } else { "its name is next to it" };
            let attempts = [glob::across_folders(&files), glob::by_folder(&files), glob::each(&files)];
            (Some(text.clone()).filter(|text| !text.is_empty()), because.to_owned(), attempts)
        }
        ImageName::Elsewhere { image, file } => {
            let by_folder = glob::by_folder(&files);
            let attempts = [by_folder.clone(), by_folder, glob::each(&files)];
            (Some(image.to_string()), format!("its name is in {file}"), attempts)
        }
    };
    let fits = |globs: &Vec<FileGlob>| globs.iter().all(|glob| fits(&glob.pattern, path, image.as_deref(), tree));
    let globs = attempts.into_iter().find(fits).unwrap_or_default();
    let rule = |glob: FileGlob| {
        let own: Vec<Moved<'_>> = moved.iter().copied().filter(|(place, _)| glob.files.contains(&place.file)).collect();
        ProposedField {
            file: glob.pattern,
            path: path.to_owned(),
            image: image.clone(),
            because: because.clone(),
            is_incomplete: false,
            places: own.iter().map(|(place, _)| (*place).clone()).collect(),
            evidence: Evidence::of(own.iter().map(|(_, movement)| *movement)),
        }
    };
    globs.into_iter().map(rule).collect()
}

/// Returns whether a rule yields an image and a version wherever it applies.
fn fits(file: &str, path: &str, image: Option<&str>, tree: &Tree<'_>) -> bool {
    let Ok(rule) = FieldRule::new(file, path, image) else { return false };
    tree.files.iter().filter(|file| rule.applies_to(file)).all(|file| {
        let bytes = (tree.read)(file).unwrap_or_default();
        let Ok(scan) = Scan::read(&bytes) else { return true };
        let mut found = scan.documents().flat_map(|(_, root)| rule.find(file, &scan, root));
        found.all(|found| {
            let value = scan.scalar(found.node).unwrap_or_default();
            let is_version = image.is_none() || value.is_empty() || value.parse::<Tag>().is_ok();
            is_version && !found.images.iter().any(|image| matches!(image, RuleImage::Here(Err(_))))
        })
    })
}

/// Sums up what was found at the same path in several files, the most moved first.
fn summed(unresolved: Vec<Unresolved>) -> Vec<Unresolved> {
    let mut groups: BTreeMap<(String, &'static str), Vec<Unresolved>> = BTreeMap::new();
    for one in unresolved {
        groups.entry((one.path.clone(), one.reason)).or_default().push(one);
    }
    let sum = |((path, reason), all): ((String, &'static str), Vec<Unresolved>)| {
        let files: BTreeSet<String> = all.iter().map(|one| one.file.clone()).collect();
        let globs = glob::across_folders(&files);
        let file = match globs.as_slice() {
            [one] => one.pattern.clone(),
            several => format!("{} and {} more", several[0].pattern, several.len() - 1),
        };
        Unresolved { file, path, reason, evidence: Evidence::sum(all.iter().map(|one| &one.evidence)) }
    };
    let mut sums: Vec<Unresolved> = groups.into_iter().map(sum).collect();
    sums.sort_by_key(|one| std::cmp::Reverse(one.evidence.moves));
    sums
}
