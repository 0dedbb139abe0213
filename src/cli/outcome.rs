//! What an operation has done, in words: what moved, what is held now, and how to go on.

use std::collections::BTreeMap;

use crate::cycle::operations::terms::Mode;
use crate::cycle::report::Report;
use crate::cycle::status::HoldStatus;
use crate::plan::skip::Reason;
use crate::plan::trailer::Target;

use super::output::safe;
use super::terminal::tell;

/// The number of files that are named; others are counted.
const NAMED: usize = 3;

/// Tells what an operation of a person moved, or would have moved.
pub fn tell_moves(verb: &str, report: &Report, mode: Mode) {
    let lines = moves(report);
    for line in &lines {
        tell(&safe(&format!("{verb} {line}")));
    }
    if mode == Mode::DryRun && !lines.is_empty() {
        tell("nothing was written, because of --dry-run");
    }
}

/// Tells what a rollback holds, and how to go on.
pub fn tell_rolled_back(report: &Report, mode: Mode) {
    tell_moves("rolled back", report, mode);
    let mut left: Vec<String> = report
        .updates
        .iter()
        .filter(|moved| !moved.from.is_empty())
        .map(|moved| Target { image: moved.image.clone(), version: moved.from.clone() }.to_string())
        .collect();
    left.sort();
    left.dedup();
    for target in left.iter().filter(|_| mode == Mode::Push) {
        tell(&safe(&format!("held now: {target}, until a newer tag appears")));
        tell(&safe(&format!("to deploy it again: tagalong resume {target} --reason TEXT")));
    }
}

/// Tells what is held after `tagalong hold`, and how to go on.
pub fn tell_held(target: &Target, reason: &str, report: &Report) {
    if report.commit.is_some() {
        tell(&safe(&format!("held now: {target}: {reason}")));
    }
    tell_other_holds("also held", target, report);
    tell(&safe(&format!("to go on: tagalong resume {target} --reason TEXT")));
}

/// Tells what is still held after `tagalong resume`.
pub fn tell_resumed(target: &Target, report: &Report) {
    if report.commit.is_some() {
        tell(&safe(&format!("resumed: {target}, from the next cycle on")));
    }
    tell_other_holds("still held", target, report);
}

fn tell_other_holds(verb: &str, target: &Target, report: &Report) {
    for other in report.holds.iter().filter(|hold| hold.target.image == target.image) {
        let line = hold(&target.image.to_string(), &HoldStatus::from(other));
        tell(&line.replacen("held", verb, 1));
    }
}

/// Returns a line for each version that an image left, with the files where it did.
fn moves(report: &Report) -> Vec<String> {
    let mut files: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for moved in &report.updates {
        let change = format!("{}: {} -> {}", moved.image, moved.from_text(), moved.to);
        let files = files.entry(change).or_default();
        if !files.contains(&moved.file.as_str()) {
            files.push(&moved.file);
        }
    }
    let places = |files: Vec<&str>| match files.len() {
        0..=NAMED => files.join(", "),
        count => format!("{count} files"),
    };
    files.into_iter().map(|(change, files)| format!("{change} in {}", places(files))).collect()
}

/// Returns how many images there are in each state, those that need attention first: `1 held, 3 up-to-date`.
pub fn counts<S: Ord>(states: impl Iterator<Item = S>, name: impl Fn(&S) -> String) -> String {
    let mut counts: BTreeMap<S, usize> = BTreeMap::new();
    for state in states {
        *counts.entry(state).or_default() += 1;
    }
    counts.iter().rev().map(|(state, count)| format!("{count} {}", name(state))).collect::<Vec<_>>().join(", ")
}

/// Returns what a cycle without a commit says: that everything is up to date, or how many images are not.
pub fn nothing_moved(report: &Report) -> String {
    let images = plural(report.images.len(), "image", "images");
    if report.skipped.iter().all(|skipped| skipped.reason == Reason::UpToDate) {
        return format!("up to date: {images}");
    }
    format!("nothing to commit: {}", counts(report.images.iter().map(|image| image.state), ToString::to_string))
}

/// Returns a number with its noun.
pub fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Formats a hold as one line.
pub fn hold(image: &str, held: &HoldStatus) -> String {
    let HoldStatus { tag, since, by, reason, commit, pull_request, .. } = held;
    let tag = tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
    let commit = commit.as_ref().map(|id| format!("commit {}", id.chars().take(7).collect::<String>()));
    let origin = commit.or_else(|| pull_request.clone()).unwrap_or_default();
    safe(&format!("held: {image}{tag} since {since} by {by}: {reason} ({origin})"))
}
