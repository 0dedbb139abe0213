//! Policies for images whose tags move or name commits.

use std::collections::{BTreeMap, BTreeSet};

use crate::image::Repository;
use crate::manifest::inventory::Inventory;

use super::evidence::Evidence;
use super::movements::{Movement, Movements};
use super::mover::Mover;
use super::proposed_policy::{ProposedPolicy, ProposedTags};
use super::tag_style::{Core, TagStyle};
use super::tree::KnownFields;
use super::unnamed::PLACEHOLDER;

/// What is known about the tags of an image.
#[derive(Debug, Default)]
struct ImageHistory {
    tags: BTreeSet<String>,
    current: BTreeSet<String>,
    evidence: Evidence,
}

/// The proposals, and the images that are left to others.
#[derive(Debug, Default)]
pub struct PolicyProposals {
    /// The policies.
    pub policies: Vec<ProposedPolicy>,
    /// Images that another tool moves.
    pub left_to: BTreeMap<Mover, BTreeSet<String>>,
    /// The number of images that never moved and whose tags do not name commits.
    pub unmoved: usize,
    /// Images that moved, but whose tags have no common style.
    pub mixed: Vec<String>,
}

/// The images that one policy can govern.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kin {
    parent: String,
    style: TagStyle,
    /// The major version, if none of the images ever left it.
    major: Option<String>,
}

/// Proposes policies for the images of an inventory.
pub fn propose(movements: &Movements, inventory: &Inventory) -> PolicyProposals {
    let histories = histories(movements, inventory);
    let mut proposals = PolicyProposals::default();
    let mut groups: BTreeMap<Kin, Vec<(&Repository, &ImageHistory)>> = BTreeMap::new();
    for (image, history) in histories.iter().filter(|(image, _)| image.host() != PLACEHOLDER) {
        let style = common_style(history).filter(is_orderly);
        let names_commits = matches!(&style, Some(style) if style.core == Core::Commit);
        let main = history.evidence.main_mover().filter(|mover| mover.looks_for_versions() && *mover != Mover::Flux);
        if history.evidence.moves == 0 && !names_commits {
            proposals.unmoved += 1;
        } else if let Some(mover) = main {
            proposals.left_to.entry(mover).or_default().insert(image.to_string());
        } else if let Some(style) = style {
            let parent = parent_of(image).to_owned();
            let major = (style.core == Core::Version).then(|| only_major(history)).flatten();
            groups.entry(Kin { parent, style, major }).or_default().push((image, history));
        } else {
            proposals.mixed.push(image.to_string());
        }
    }
    for (kin, images) in groups {
        let all_of_parent = histories.keys().filter(|image| parent_of(image) == kin.parent).count();
        let is_whole = images.len() > 1 && images.len() == all_of_parent;
        proposals.policies.push(policy(&kin, &images, is_whole));
    }
    proposals
}

fn histories(movements: &Movements, inventory: &Inventory) -> BTreeMap<Repository, ImageHistory> {
    let mut histories: BTreeMap<Repository, ImageHistory> = BTreeMap::new();
    for located in &inventory.fields {
        let history = histories.entry(located.field.repository.clone()).or_default();
        history.current.extend(located.field.version.tag.iter().map(ToString::to_string));
    }
    let known = KnownFields::of(inventory);
    let mut moved: BTreeMap<&Repository, Vec<&Movement>> = BTreeMap::new();
    for (place, movement) in &movements.places {
        if let Some(image) = known.image(place) {
            moved.entry(image).or_default().push(movement);
        }
    }
    for (image, movements) in moved {
        let history = histories.entry(image.clone()).or_default();
        history.tags.extend(movements.iter().flat_map(|movement| movement.tags.iter().cloned()));
        history.evidence = Evidence::of(movements);
    }
    histories
}

/// Returns the style of most of the tags of an image; of equally frequent ones, that of a tag that it has now.
fn common_style(history: &ImageHistory) -> Option<TagStyle> {
    let mut counts: BTreeMap<TagStyle, usize> = BTreeMap::new();
    for (tag, weight) in history.tags.iter().map(|tag| (tag, 2)).chain(history.current.iter().map(|tag| (tag, 1))) {
        if let Some(style) = TagStyle::of(tag) {
            // A leading `v` makes no difference to versions.
            let is_v = style.core == Core::Version && style.prefix == "v";
            let style = if is_v { TagStyle { prefix: String::new(), ..style } } else { style };
            *counts.entry(style).or_default() += weight;
        }
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(style, _)| style)
}

fn major_of(tag: &str) -> Option<&str> {
    let digits = tag.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.split(|c: char| !c.is_ascii_digit()).next().filter(|major| !major.is_empty())
}

/// Returns the major version that all tags of an image share.
fn only_major(history: &ImageHistory) -> Option<String> {
    let tags = history.tags.iter().chain(&history.current).filter(|tag| TagStyle::of(tag).is_some());
    let majors: BTreeSet<&str> = tags.filter_map(|tag| major_of(tag)).collect();
    match majors.into_iter().collect::<Vec<&str>>().as_slice() {
        [only] => Some((*only).to_owned()),
        _ => None,
    }
}

/// Returns the name above the last component, by which images are related. Official images of Docker Hub have nothing in
/// common.
fn parent_of(image: &Repository) -> &str {
    match image.as_str().rsplit_once('/') {
        Some((parent, _)) if parent != "docker.io/library" => parent,
        _ => image.as_str(),
    }
}

/// Returns whether a number is one that counts builds: that of a ticket says nothing about what is newer.
fn is_orderly(style: &TagStyle) -> bool {
    let prefix = style.prefix.trim_end_matches(['-', '_', '.']).to_ascii_lowercase();
    style.core != Core::Number || COUNTERS.contains(&prefix.as_str())
}

/// Texts before the number of a build or of a release.
const COUNTERS: [&str; 14] =
    ["", "v", "b", "r", "build", "release", "rel", "rev", "run", "ci", "main", "master", "version", "pipeline"];

/// Escapes what is special in a regular expression, and nothing else, so that people can read it.
fn escape(text: &str) -> String {
    let special = |c: char| r".+*?()[]{}|^$\".contains(c);
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

fn policy(kin: &Kin, images: &[(&Repository, &ImageHistory)], is_whole: bool) -> ProposedPolicy {
    let evidence = Evidence::sum(images.iter().map(|(_, history)| &history.evidence));
    let examples: BTreeSet<&str> =
        images.iter().flat_map(|(_, history)| history.current.iter().map(String::as_str)).collect();
    let is_typical = |tag: &&str| TagStyle::of(tag).is_some_and(|style| style.core == kin.style.core);
    let examples: Vec<&str> = examples.into_iter().filter(is_typical).take(3).collect();
    let count = if images.len() == 1 { "one image".to_owned() } else { format!("{} images", images.len()) };
    let names = match is_whole {
        true => vec![format!("{}/*", kin.parent)],
        false => images.iter().map(|(image, _)| image.to_string()).collect(),
    };
    let allow = match (&kin.style.core, kin.style.prefix.as_str()) {
        (Core::Commit, prefix) if !prefix.is_empty() => vec![format!("{prefix}*")],
        _ => Vec::new(),
    };
    ProposedPolicy {
        because: vec![
            format!("{count}, {evidence}"),
            format!("their tags are {}, such as {}", kin.style.core.name(), examples.join(", ")),
        ],
        images: names,
        tags: tags(kin, images),
        allow,
        ..ProposedPolicy::default()
    }
}

/// Returns the rule for tags of a style.
fn tags(kin: &Kin, images: &[(&Repository, &ImageHistory)]) -> ProposedTags {
    let TagStyle { core, prefix, suffix } = &kin.style;
    let around = |inner: &str| format!("^{}{inner}{}$", escape(prefix), escape(suffix));
    let is_bare = prefix.is_empty() && suffix.is_empty();
    let part = |inner: &str| ((!is_bare).then(|| around(inner)), (!is_bare).then(|| "$1".to_owned()));
    let (rule, value, (pattern, extract)) = match core {
        Core::Commit => return ProposedTags::Sha,
        Core::CommitAndTime => ("numerical", None, (Some(around("[0-9a-f]+-([0-9]+)")), Some("$1".to_owned()))),
        Core::TimeAndCommit => ("numerical", None, (Some(around("([0-9]+)-[0-9a-f]+")), Some("$1".to_owned()))),
        Core::Calendar(format) => ("calver", Some(("format", (*format).to_owned())), part("(.*)")),
        Core::Number => ("numerical", None, part("([0-9]+)")),
        Core::Version => {
            let all = images.iter().flat_map(|(_, history)| history.tags.iter().chain(&history.current));
            let has_prereleases = all.filter(|tag| TagStyle::of(tag).is_some()).any(|tag| is_prerelease(tag, suffix));
            ("semver", Some(("range", range(kin.major.as_deref(), has_prereleases))), part("(.*)"))
        }
    };
    ProposedTags::Compared { rule, value, pattern, extract }
}

fn is_prerelease(tag: &str, suffix: &str) -> bool {
    tag.strip_suffix(suffix).is_some_and(|version| version.contains('-') && !version.starts_with(char::is_alphabetic))
}

fn range(major: Option<&str>, has_prereleases: bool) -> String {
    let next = major.and_then(|major| Some(major.parse::<u64>().ok()? + 1));
    match (major, next, has_prereleases) {
        (Some(major), _, false) => format!("{major}.x"),
        (Some(major), Some(next), true) => format!(">={major}.0.0-0 <{next}.0.0-0"),
        (_, _, true) => ">=0.0.0-0".to_owned(),
        (None, _, false) => "*".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::range::Range;

    fn rule(tags: &[&str]) -> String {
        let image: Repository = "ghcr.io/acme/app".parse().expect("a name");
        let set = || tags.iter().map(|tag| (*tag).to_owned()).collect();
        let history = ImageHistory { tags: set(), current: set(), evidence: Evidence::default() };
        let Some(style) = common_style(&history).filter(is_orderly) else { return "none".to_owned() };
        let major = (style.core == Core::Version).then(|| only_major(&history)).flatten();
        let kin = Kin { parent: "ghcr.io/acme".to_owned(), style, major };
        match super::tags(&kin, &[(&image, &history)]) {
            ProposedTags::Compared { rule, value, pattern, .. } => {
                let value = value.map(|(_, value)| value).unwrap_or_default();
                if rule == "semver" {
                    Range::parse(&value).expect("a valid range");
                }
                format!("{rule} {value} {}", pattern.unwrap_or_default()).trim().to_owned()
            }
            ProposedTags::Sha => "sha".to_owned(),
            ProposedTags::None => "none".to_owned(),
        }
    }

    #[test]
    fn rules_follow_from_tags() {
        assert_eq!(rule(&["1a2b3c4", "5d6e7f8"]), "sha");
        assert_eq!(rule(&["v1.2.0", "v1.3.0"]), "semver 1.x");
        assert_eq!(rule(&["1.2.0", "2.0.0"]), "semver *");
        assert_eq!(rule(&["1.2.0-rc1", "1.2.0"]), "semver >=1.0.0-0 <2.0.0-0");
        assert_eq!(rule(&["1.27-alpine", "1.28-alpine"]), "semver 1.x ^(.*)-alpine$");
        assert_eq!(rule(&["v737", "v738"]), "numerical  ^v([0-9]+)$");
        assert_eq!(rule(&["39", "40"]), "numerical");
        assert_eq!(rule(&["main-1a2b3c4-1712345678"]), "numerical  ^main-[0-9a-f]+-([0-9]+)$");
        assert_eq!(rule(&["2026.04.01", "2026.04.02"]), "calver YYYY.0M.0D");
        assert_eq!(rule(&["tickets-DM-55103", "tickets-DM-55104"]), "none");
        assert_eq!(rule(&["latest"]), "none");
    }
}
