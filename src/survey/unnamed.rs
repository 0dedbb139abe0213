//! Rules for tags whose image is named nowhere near: the name comes from the file's path or from a key above the tag,
//! and the registry from other images or from a template.

use std::collections::{BTreeMap, BTreeSet};

use crate::image::Repository;
use crate::path::parent_of;

use super::evidence::Evidence;
use super::glob;
use super::line::{DocumentPath, Step};
use super::movements::Place;
use super::name_template::NameTemplate;
use super::proposed_field::{Moved, ProposedField};
use super::stage;
use super::tree::Tree;

/// The registry of images whose registry is not known. No host can have this name (RFC 6761, section 6.4).
pub const PLACEHOLDER: &str = "fill-in.invalid";

/// Keys that say nothing about which image a tag belongs to.
const GENERIC: [&str; 14] = [
    "image",
    "images",
    "tag",
    "imagetag",
    "version",
    "global",
    "spec",
    "values",
    "app",
    "container",
    "deployment",
    "docker",
    "helm",
    "data",
];

/// Where in a rule the name of an image comes from.
struct Capture {
    /// The pattern of files.
    file: String,
    /// The path.
    path: String,
    /// The text of the rule for the name: `{app}`, `{1}`, or the name itself.
    name: String,
    /// The names that it stands for.
    names: BTreeSet<String>,
    /// Where it is.
    because: &'static str,
}

/// Proposes rules for tags without names.
pub fn rules(moved: &[Moved<'_>], tree: &Tree<'_>) -> Vec<ProposedField> {
    let mut by_path: BTreeMap<(&DocumentPath, usize), Vec<Moved<'_>>> = BTreeMap::new();
    for (place, movement) in moved {
        by_path.entry((&place.path, place.file.matches('/').count())).or_default().push((place, movement));
    }
    let (mut rules, mut single) = (Vec::new(), Vec::new());
    for ((path, _), moved) in by_path {
        match by_file(path, &moved) {
            Some(capture) => rules.push(rule(capture, &moved, tree)),
            None => single.extend(moved),
        }
    }
    let mut by_keys: BTreeMap<(&str, DocumentPath), Vec<Moved<'_>>> = BTreeMap::new();
    for (place, movement) in single {
        by_keys.entry((parent_of(&place.file), opened(&place.path))).or_default().push((place, movement));
    }
    for ((_, path), moved) in by_keys {
        rules.push(rule(by_key(&path, &moved), &moved, tree));
    }
    rules
}

/// Takes the name from the part of the files' paths that differs most; `None` if they are one file.
fn by_file(path: &DocumentPath, moved: &[Moved<'_>]) -> Option<Capture> {
    let files: BTreeSet<&str> = moved.iter().map(|(place, _)| place.file.as_str()).collect();
    let paths: Vec<Vec<&str>> = files.iter().map(|file| file.split('/').collect()).collect();
    let words = |index: usize| -> BTreeSet<&str> { paths.iter().map(|path| path[index]).collect() };
    let varying = (0..paths.first()?.len()).filter(|index| words(*index).len() > 1 && names_images(&words(*index)));
    let at = varying.max_by_key(|index| words(*index).len())?;
    let all: Vec<&str> = words(at).into_iter().collect();
    let (head, tail) = glob::common(&all);
    let name = |word: &str| word[head..word.len() - tail].to_owned();
    let part = |index: usize| {
        let words: Vec<&str> = words(index).into_iter().collect();
        match index == at {
            false => glob::of_words(&words),
            true => format!("{}{{app}}{}", glob::escape(&all[0][..head]), glob::escape(&all[0][all[0].len() - tail..])),
        }
    };
    Some(Capture {
        file: (0..paths[0].len()).map(part).collect::<Vec<String>>().join("/"),
        path: path.pattern(),
        name: "{app}".to_owned(),
        names: all.iter().map(|word| name(word)).collect(),
        because: "its name is in the path of the file",
    })
}

/// Returns whether these parts of paths may be the names of images, rather than of stages: `values-prod.yaml`.
fn names_images(words: &BTreeSet<&str>) -> bool {
    let is_other = |word: &&&str| word.starts_with("values") || stage::is_in(word);
    words.iter().filter(is_other).count() * 2 < words.len()
}

/// Returns a path with any key in the place of the key that names the image, if there is one.
fn opened(path: &DocumentPath) -> DocumentPath {
    let mut steps = path.0.clone();
    if let Some(at) = naming_step(path) {
        steps[at] = Step::AnyKey;
    }
    DocumentPath(steps)
}

/// Returns the index of the last key that is not generic, apart from the key of the tag itself.
fn naming_step(path: &DocumentPath) -> Option<usize> {
    let above = path.0.len().saturating_sub(1);
    let says = |step: &Step| matches!(step, Step::Key(key) if !is_generic(key));
    path.0[..above].iter().rposition(says)
}

fn is_generic(key: &str) -> bool {
    GENERIC.contains(&key.to_ascii_lowercase().replace(['_', '-'], "").as_str())
}

/// Takes the name from the key above the tag, or from the folder of the file.
fn by_key(path: &DocumentPath, moved: &[Moved<'_>]) -> Capture {
    let key = |place: &Place| match naming_step(&place.path).map(|at| &place.path.0[at]) {
        Some(Step::Key(key)) => Some(key.clone()),
        _ => None,
    };
    let names: BTreeSet<String> = moved.iter().filter_map(|(place, _)| key(place)).collect();
    let files: BTreeSet<String> = moved.iter().map(|(place, _)| place.file.clone()).collect();
    let file_pattern = glob::by_folder(&files).into_iter().next().map(|glob| glob.pattern).unwrap_or_default();
    if names.len() > 1 {
        let name = format!("{{{}}}", path.wildcard());
        return Capture {
            file: file_pattern,
            path: path.pattern(),
            name,
            names,
            because: "its name is the key above it",
        };
    }
    let place = moved[0].0;
    let folder = place.file.rsplit('/').skip(1).find(|folder| !is_generic(folder));
    let stem = glob::name_of(&place.file).split('.').next().unwrap_or_default();
    let (name, because) = match (names.into_iter().next(), folder) {
        (Some(key), _) => (key, "its name is the key above it"),
        (None, Some(folder)) => (folder.to_owned(), "its name is that of the folder"),
        (None, None) => (stem.to_owned(), "its name is that of the file"),
    };
    let names = BTreeSet::from([name.clone()]);
    Capture { file: file_pattern, path: place.path.pattern(), name: name.to_lowercase(), names, because }
}

fn rule(capture: Capture, moved: &[Moved<'_>], tree: &Tree<'_>) -> ProposedField {
    let file = &moved[0].0.file;
    let (prefix, from) = match (known_prefix(&capture.names, tree), NameTemplate::closest(tree.name_templates, file)) {
        (Some(prefix), _) => (prefix, "; other images of these names have this registry".to_owned()),
        (None, Some(template)) => (template.prefix.clone(), format!("; {} has its registry", template.file)),
        (None, None) => (PLACEHOLDER.to_owned(), String::new()),
    };
    ProposedField {
        file: capture.file,
        path: capture.path,
        image: Some(format!("{prefix}/{}", capture.name)),
        because: format!("{}{from}", capture.because),
        is_incomplete: prefix == PLACEHOLDER,
        places: moved.iter().map(|(place, _)| (*place).clone()).collect(),
        evidence: Evidence::of(moved.iter().map(|(_, movement)| *movement)),
    }
}

/// Returns the name above the last component that known images of these names share.
fn known_prefix(names: &BTreeSet<String>, tree: &Tree<'_>) -> Option<String> {
    let images: BTreeSet<&Repository> = tree.inventory.fields.iter().map(|located| &located.field.repository).collect();
    let same = images.iter().filter(|image| names.contains(image.short_name()));
    let prefixes: BTreeSet<&str> = same.filter_map(|image| Some(image.as_str().rsplit_once('/')?.0)).collect();
    match prefixes.into_iter().collect::<Vec<&str>>().as_slice() {
        [prefix] => Some((*prefix).to_owned()),
        _ => None,
    }
}
