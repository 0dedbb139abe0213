//! Policies for images whose tags move or name commits.

use std::collections::{BTreeMap, BTreeSet};

use crate::image::Repository;
use crate::manifest::inventory::Inventory;

use super::evidence::Evidence;
use super::movements::{Movement, Movements};
use super::mover::Mover;
use super::proposed_policy::{ProposedPolicy, ProposedTags};
use super::tag_rules;
use super::tag_style::{Core, TagStyle};
use super::tree::KnownFields;
use super::unnamed::PLACEHOLDER;

/// What is known about the tags of an image.
#[derive(Debug, Default)]
struct ImageHistory {
    /// Tags that moved.
    tags: BTreeSet<String>,
    /// Tags on the tip.
    current: BTreeSet<String>,
    /// The number of moves, by the style of the tags.
    moves: BTreeMap<TagStyle, usize>,
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

impl Kin {
    fn rule(&self, images: &[(&Repository, &ImageHistory)]) -> ProposedTags {
        let tags: Vec<&str> = images.iter().flat_map(|(_, history)| history.all_tags()).collect();
        tag_rules::propose(&self.style, self.major.as_deref(), &tags)
    }
}

impl ImageHistory {
    fn all_tags(&self) -> impl Iterator<Item = &str> {
        self.tags.iter().chain(&self.current).map(String::as_str)
    }

    /// Adds the moves of one value, divided among the styles of the tags that it held.
    fn add_moves(&mut self, movement: &Movement) {
        let styles: Vec<TagStyle> = movement.tags.iter().filter_map(|tag| TagStyle::general(tag)).collect();
        let mut counts: BTreeMap<&TagStyle, usize> = BTreeMap::new();
        styles.iter().for_each(|style| *counts.entry(style).or_default() += 1);
        for (style, count) in counts {
            *self.moves.entry(style.clone()).or_default() += (movement.count * count / styles.len()).max(1);
        }
    }
}

/// Proposes policies for the images of an inventory.
pub fn propose(movements: &Movements, inventory: &Inventory) -> PolicyProposals {
    let histories = histories(movements, inventory);
    let mut proposals = PolicyProposals::default();
    let mut groups: BTreeMap<Kin, Vec<(&Repository, &ImageHistory)>> = BTreeMap::new();
    for (image, history) in histories.iter().filter(|(image, _)| image.host() != PLACEHOLDER) {
        let style = common_style(history);
        let names_commits = matches!(&style, Some(style) if style.core == Core::Commit);
        let main = history.evidence.main_mover().filter(|mover| mover.looks_for_versions() && *mover != Mover::Flux);
        if history.evidence.moves == 0 && !names_commits {
            proposals.unmoved += 1;
        } else if let Some(mover) = main {
            proposals.left_to.entry(mover).or_default().insert(image.to_string());
        } else if let Some(style) = style {
            let parent = parent_of(image).to_owned();
            let is_version = matches!(style.core, Core::Version | Core::LongVersion);
            let major = is_version.then(|| only_major(history)).flatten();
            groups.entry(Kin { parent, style, major }).or_default().push((image, history));
        } else {
            proposals.mixed.push(image.to_string());
        }
    }
    for (kin, images) in groups {
        let rule = kin.rule(&images);
        let is_ordered = |(_, history): &(&Repository, &ImageHistory)| {
            let mut of_style = history.all_tags().filter(|tag| TagStyle::general(tag).as_ref() == Some(&kin.style));
            of_style.any(|tag| tag_rules::fits(&rule, tag))
        };
        let (images, others): (Vec<_>, Vec<_>) = images.into_iter().partition(is_ordered);
        proposals.mixed.extend(others.iter().map(|(image, _)| image.to_string()));
        if images.is_empty() {
            continue;
        }
        let all_of_parent = histories.keys().filter(|image| parent_of(image) == kin.parent).count();
        let is_whole = images.len() > 1 && images.len() == all_of_parent;
        proposals.policies.push(policy(&kin, &images, is_whole));
    }
    proposals
}

fn histories(movements: &Movements, inventory: &Inventory) -> BTreeMap<Repository, ImageHistory> {
    let mut histories: BTreeMap<Repository, ImageHistory> = BTreeMap::new();
    // Policies of charts are left to people: a new major version often needs other values.
    let images = inventory.fields.iter().filter(|located| !located.field.repository.is_chart());
    for located in images {
        let history = histories.entry(located.field.repository.clone()).or_default();
        history.current.extend(located.field.version.tag.iter().map(ToString::to_string));
    }
    let known = KnownFields::of(inventory);
    let mut moved: BTreeMap<&Repository, Vec<&Movement>> = BTreeMap::new();
    for (place, movement) in &movements.places {
        if let Some(image) = known.image(place).filter(|image| !image.is_chart()) {
            moved.entry(image).or_default().push(movement);
        }
    }
    for (image, movements) in moved {
        let history = histories.entry(image.clone()).or_default();
        history.tags.extend(movements.iter().flat_map(|movement| movement.tags.iter().cloned()));
        movements.iter().for_each(|movement| history.add_moves(movement));
        history.evidence = Evidence::of(movements);
    }
    histories
}

/// Returns the orderly style that moved most often; of equally frequent ones, that of a tag that the image has now. If
/// nothing moved, the style of most of its tags.
fn common_style(history: &ImageHistory) -> Option<TagStyle> {
    let mut current: BTreeMap<TagStyle, usize> = BTreeMap::new();
    for style in history.current.iter().filter_map(|tag| TagStyle::general(tag)) {
        *current.entry(style).or_default() += 1;
    }
    let counts = if history.moves.is_empty() { &current } else { &history.moves };
    let orderly = counts.iter().filter(|(style, _)| is_orderly(style));
    let most = orderly.max_by_key(|(style, count)| (**count, current.get(*style).copied().unwrap_or_default()));
    most.map(|(style, _)| style.clone())
}

/// Describes the tags that a rule for a style never selects, one line for each kind.
fn other_tags(style: &TagStyle, rule: &ProposedTags, images: &[(&Repository, &ImageHistory)]) -> Vec<String> {
    let mut others: BTreeMap<Core, BTreeSet<&str>> = BTreeMap::new();
    for tag in images.iter().flat_map(|(_, history)| history.all_tags()) {
        let Some(other) = TagStyle::general(tag).filter(is_orderly) else { continue };
        if other.core.rule() != style.core.rule() && !tag_rules::fits(rule, tag) {
            others.entry(other.core).or_default().insert(tag);
        }
    }
    let line = |(core, tags): (Core, BTreeSet<&str>)| {
        let examples: Vec<&str> = tags.into_iter().take(2).collect();
        let (name, rule) = (core.name(), core.rule());
        format!(
            "other tags are {name}, such as {}: this policy never selects them, `{rule}` would",
            examples.join(", ")
        )
    };
    others.into_iter().map(line).collect()
}

fn major_of(tag: &str) -> Option<&str> {
    let digits = tag.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.split(|c: char| !c.is_ascii_digit()).next().filter(|major| !major.is_empty())
}

/// Returns the major version that all tags of an image share.
fn only_major(history: &ImageHistory) -> Option<String> {
    let tags = history.all_tags().filter(|tag| TagStyle::of(tag).is_some());
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
    let owner = if images.len() == 1 { "its" } else { "their" };
    let mut because = vec![
        format!("{count}, {evidence}"),
        format!("{owner} tags are {}, such as {}", kin.style.core.name(), examples.join(", ")),
    ];
    if kin.style.core == Core::LongVersion {
        because.push("semver knows three numbers, so the fourth is compared as a prerelease".to_owned());
    }
    let tags = kin.rule(images);
    because.extend(other_tags(&kin.style, &tags, images));
    ProposedPolicy { because, images: names, tags, allow, ..ProposedPolicy::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_mixed_tags_those_that_moved_more_often_decide_and_the_others_are_named() {
        let image: Repository = "ghcr.io/acme/app".parse().expect("a name");
        let set = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect();
        let moved = |tag: &str, count: usize| (TagStyle::general(tag).expect("a style"), count);
        let (tags, current) = (set(&["1a2b3c4", "5d6e7f8", "v1.2.0", "v1.3.0"]), set(&["5d6e7f8", "v1.3.0", "7"]));
        let moves = BTreeMap::from([moved("5d6e7f8", 9), moved("v1.3.0", 2)]);
        let mut history = ImageHistory { tags, current, moves, evidence: Evidence::default() };
        let proposed = |history: &ImageHistory| {
            let style = common_style(history).expect("a style");
            let kin = Kin { parent: "ghcr.io/acme".to_owned(), style, major: None };
            policy(&kin, &[(&image, history)], false)
        };
        let policy = proposed(&history);
        assert_eq!(policy.tags, ProposedTags::Sha);
        let others = "other tags are versions, such as v1.2.0, v1.3.0: this policy never selects them, `semver` would";
        assert_eq!(policy.because[2], others);
        assert!(policy.because[3].starts_with("other tags are numbers, such as 7: "), "{policy:?}");
        history.moves = BTreeMap::from([moved("5d6e7f8", 2), moved("v1.3.0", 9)]);
        let policy = proposed(&history);
        assert!(matches!(policy.tags, ProposedTags::Compared { rule: "semver", .. }), "{policy:?}");
        assert!(policy.because[2].starts_with("other tags are git commits, such as 1a2b3c4, 5d6e7f8: "), "{policy:?}");
        assert_eq!(policy.because.len(), 3, "7 is a version as well: {policy:?}");
    }

    #[test]
    fn images_whose_tags_nothing_orders_get_no_policy() {
        let style = |tag: &str| {
            let set = || BTreeSet::from([tag.to_owned()]);
            let moves = TagStyle::general(tag).map(|style| (style, 1)).into_iter().collect();
            let history = ImageHistory { tags: set(), current: set(), moves, evidence: Evidence::default() };
            common_style(&history)
        };
        assert_eq!(style("tickets-DM-55103"), None);
        assert_eq!(style("latest"), None);
        assert!(style("build-103").is_some() && style("39").is_some());
    }
}
