//! Proposals: the text of a pull request, and the holds of those that were closed without being merged.
//!
//! In addition to a table for people, the text has the trailers of the updates in an HTML comment, which forges keep
//! but do not show. It records what the pull request proposed.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::image::{Repository, Version};
use crate::stage::name::Name;
use crate::stage::promotion::APPROVAL;
use crate::stage::release::ReleaseId;
use crate::text;

use super::gate::GatedUpdate;
use super::hold::CommitRecord;
use super::message::{promotion_lines, short, update_line};
use super::trailer::{Hold, Origin, RecordedMove, Target, Trailers, refers_to};

/// The start and the end of a proposal's record.
const BEGIN: &str = "<!-- tagalong\n";
const END: &str = "\n-->";

/// The longest text that is formatted as code, in characters.
const MAX_CODE: usize = 300;

/// The introduction of a pull request that follows policies.
pub const INTRODUCTION: &str = "Merging this deploys it. Closing it without merging holds these tags back until newer \
                            ones appear, or until `tagalong resume IMAGE`.";

/// A pull request that was closed without being merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedPullRequest {
    /// Its number.
    pub number: u64,
    /// Its name for people, such as `pull request #7`.
    pub name: String,
    /// Its URL.
    pub url: String,
    /// The time when it was closed.
    pub at: Timestamp,
    /// The person who closed it, if the forge reports that.
    pub by: Option<String>,
    /// The updates that it proposed.
    pub moves: Vec<RecordedMove>,
}

/// A pull request that was merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedPullRequest {
    /// The commits that it was merged in, by ID.
    pub commits: Vec<String>,
    /// What its text records, as trailers.
    pub record: String,
}

/// The trailers of a record that count for a squashed commit: what moved and why, which the commit itself confirms. A text
/// that can be edited later proves nothing else.
const KEPT: [&str; 2] = ["Tagalong-Update: ", "Tagalong-Order: "];

/// Returns the text of a pull request that proposes updates, below an introduction. `compare` returns the URL of a comparison between the
/// commits of an update's old and new image. The table is cut where the text would get longer than `longest`, the record is
/// not.
pub fn text(
    introduction: &str,
    updates: &[GatedUpdate],
    compare: &dyn Fn(&GatedUpdate) -> Option<String>,
    longest: usize,
) -> String {
    let record = record(updates);
    let mut text = format!("{introduction}\n\n| image | change | file |\n| --- | --- | --- |\n");
    for (index, update) in updates.iter().enumerate() {
        let row = row(update, compare(update));
        if text.len() + row.len() + record.len() > longest {
            text.push_str(&format!("\n{} more are not shown.\n", updates.len() - index));
            break;
        }
        text.push_str(&row);
    }
    text.push('\n');
    text.push_str(&record);
    text
}

/// Returns the updates that the text of a pull request records.
pub fn recorded_moves(text: &str) -> Vec<RecordedMove> {
    // Forges may keep the line endings of browsers.
    let text = text.replace("\r\n", "\n");
    recorded(&text).moves
}

/// Returns whether the text of a pull request is about the promotion of a release to a stage.
pub fn promotes(text: &str, stage: &Name, release: &ReleaseId) -> bool {
    let recorded = recorded(&text.replace("\r\n", "\n"));
    recorded.promotions.iter().any(|promotion| promotion.stage == *stage && promotion.id == *release)
}

/// Returns whether the text of a pull request records exactly these updates.
pub fn describes(text: &str, updates: &[GatedUpdate]) -> bool {
    let (known, wanted) = (recorded(&text.replace("\r\n", "\n")), recorded(&record(updates)));
    known.moves == wanted.moves && known.promotions == wanted.promotions
}

/// Returns whether a commit records nothing but some of these updates, and their promotions.
pub fn belongs_to(message: &str, updates: &[GatedUpdate]) -> bool {
    let (found, wanted) = (Trailers::read(message), recorded(&record(updates)));
    let is_part = found.moves.iter().all(|moved| wanted.moves.contains(moved))
        && found.promotions.iter().all(|promotion| wanted.promotions.contains(promotion));
    let is_update = !found.moves.is_empty() && !found.promotions.is_empty();
    let is_approved = found.evidence.iter().any(|evidence| evidence.kind == APPROVAL);
    is_update && is_part && !is_approved && !found.commands()
}

/// Returns what the text of a pull request records, as the trailers that the commit should have that it is squashed to.
pub fn recorded_trailers(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let kept = record_in(&text).lines().filter(|line| KEPT.iter().any(|key| line.starts_with(key)));
    kept.map(|line| format!("{line}\n")).collect()
}

fn recorded(text: &str) -> Trailers {
    Trailers::read(record_in(text))
}

/// Returns the record in a text, which is empty if there is none.
fn record_in(text: &str) -> &str {
    let record = text.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END));
    record.map_or("", |(record, _)| record)
}

/// Returns the text without its record, so that closing the pull request does not hold anything back.
pub fn without_record(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    match text.split_once(BEGIN) {
        Some((before, rest)) => format!("{before}{}", rest.split_once(END).map_or("", |(_, after)| after)),
        None => text,
    }
}

/// Returns the hold that closed pull requests put on a version of an image. `records` are the commits of the branch
/// that show what was resumed.
pub fn hold_by_closed(
    closed: &[ClosedPullRequest],
    records: &[Arc<CommitRecord>],
    image: &Repository,
    meant: &Version,
) -> Option<Hold> {
    let last = last(closed, image, meant)?;
    let target = Target { image: image.clone(), version: meant.clone() };
    let resumes = |record: &&Arc<CommitRecord>| record.trailers.resumes.iter().any(|resumed| resumed.covers(&target));
    if records.iter().filter(resumes).any(|record| record.when >= last.at) {
        return None;
    }
    Some(Hold {
        target,
        since: last.at,
        by: last.by.clone().unwrap_or_else(|| "someone".to_owned()),
        why: format!("{} was closed without being merged", last.name),
        origin: Origin::PullRequest(last.url.clone()),
    })
}

/// Returns the last closed pull request of those that proposed a version of an image.
pub fn last<'c>(closed: &'c [ClosedPullRequest], image: &Repository, meant: &Version) -> Option<&'c ClosedPullRequest> {
    let proposes = |closed: &&ClosedPullRequest| {
        closed.moves.iter().any(|moved| moved.image == *image && refers_to(meant, &moved.to))
    };
    closed.iter().filter(proposes).max_by_key(|closed| closed.at)
}

/// Returns the URL of a comparison between two commits of a repository. `page` is the URL of the repository for
/// browsers.
pub fn compare_address(page: &str, from: &str, to: &str) -> Option<String> {
    let is_commit = |text: &str| (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_commit(from) || !is_commit(to) || from == to {
        return None;
    }
    let host = page.split("://").nth(1)?.split('/').next()?;
    // Parentheses would end a Markdown link.
    let page = page.replace('(', "%28").replace(')', "%29");
    Some(match host {
        "bitbucket.org" => format!("{page}/branches/compare/{to}%0D{from}"),
        _ if page.contains("/_git/") => format!("{page}/branchCompare?baseVersion=GC{from}&targetVersion=GC{to}"),
        host if host.contains("gitlab") => format!("{page}/-/compare/{from}...{to}"),
        _ => format!("{page}/compare/{from}...{to}"),
    })
}

fn record(updates: &[GatedUpdate]) -> String {
    let lines: BTreeSet<String> = updates.iter().map(update_line).collect();
    let lines = lines.into_iter().chain(promotion_lines(updates));
    let lines: Vec<String> = lines.map(|line| escape_comment_end(&line)).collect();
    format!("{BEGIN}{}{END}\n", lines.join("\n"))
}

/// Escapes a line so that it does not end the HTML comment around it. Only names of files and fields can contain such
/// text, and those are percent-decoded when they are read.
fn escape_comment_end(line: &str) -> String {
    line.replace("-->", "--%3E").replace("--!>", "--!%3E")
}

fn row(update: &GatedUpdate, compare: Option<String>) -> String {
    let (from, to) = (&update.field.version, &update.to);
    let bare = |version: &Version| Version { tag: None, ..version.clone() };
    // If the tag stays, the digest differs.
    let change = if from.tag == to.tag && to.digest.is_some() {
        format!("{} {} → {}", short(to), short(&bare(from)), short(&bare(to)))
    } else {
        format!("{} → {}", short(from), short(to))
    };
    let change = match compare {
        Some(address) => format!("[{}]({address})", cell(&change)),
        None => cell(&change),
    };
    format!("| {} | {change} | {} |\n", cell(update.field.repository.as_str()), cell(&update.file))
}

/// Formats foreign text as code, in which neither markup nor mentions count.
pub fn code(text: &str) -> String {
    let plain: String = text.chars().map(|c| if text::is_active(c) { ' ' } else { c }).collect();
    format!("`{}`", text::cut(&plain, MAX_CODE).replace('`', "'"))
}

/// Formats a text as code within a table cell.
fn cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::super::trailer::Effect;
    use super::*;

    fn update(file: &str, name: &str, to: &str) -> GatedUpdate {
        GatedUpdate::example(file, name, "v1", to)
    }

    #[test]
    fn what_is_proposed_can_be_read_again() {
        let updates = [update("apps/a b-->.yaml", "acme/app", "v2"), update("x|`.yaml", "acme/other", "v3")];
        let link = |update: &GatedUpdate| (update.to.to_string() == "v2").then(|| "https://x.example/c".to_owned());
        let text = text(INTRODUCTION, &updates, &link, 60_000);
        assert!(
            text.contains("| `docker.io/acme/app` | [`v1 → v2`](https://x.example/c) | `apps/a b-->.yaml` |"),
            "{text}"
        );
        assert!(text.contains("| `v1 → v3` | `x\\|'.yaml` |"), "{text}");
        assert_eq!(text.matches("<!--").count(), 1);
        let (_, after) = text.split_once(BEGIN).expect("a record");
        assert!(after.ends_with("\n-->\n"));
        assert_eq!(after.matches("-->").count(), 1, "the comment ends at its end");
        let moves = recorded_moves(&text);
        assert!(describes(&text, &updates));
        assert_eq!((moves.len(), moves[0].file.as_str()), (2, "apps/a b-->.yaml"));
        assert_eq!(recorded_moves(&text.replace('\n', "\r\n")), moves);
        assert_eq!(Trailers::read(&recorded_trailers(&text.replace('\n', "\r\n"))).moves, moves);
        let rest = without_record(&text);
        assert!(
            recorded_moves(&rest).is_empty() && rest.contains("acme/other") && !rest.contains("Tagalong-"),
            "{rest}"
        );
        assert!(recorded_moves("Tagalong-Update: a image acme/app v1 -> v2").is_empty(), "outside of the record");
    }

    #[test]
    fn foreign_text_is_code_and_nothing_else() {
        assert_eq!(code("x` @all [a](b)\n# c\u{202e}|"), "`x' @all [a](b) # c |`");
        assert_eq!(cell("a|b"), "`a\\|b`");
        assert!(code(&"x".repeat(10_000)).chars().count() < 400);
    }

    #[test]
    fn long_tables_are_cut_and_the_record_is_not() {
        let updates: Vec<GatedUpdate> =
            (0..400).map(|n| update(&format!("apps/app-{n:04}/deployment.yaml"), "acme/app", "v2")).collect();
        let text = text(INTRODUCTION, &updates, &|_| None, 60_000);
        assert!(text.len() <= 60_000 + 64, "{}", text.len());
        assert!(text.contains(" more are not shown."));
        assert_eq!(recorded_moves(&text).len(), 400);
    }

    #[test]
    fn a_squashed_commit_gets_nothing_from_a_text_but_what_it_can_confirm() {
        let image = "Tagalong-Update: a.yaml image docker.io/acme/app v1 -> v2\n";
        let order = "Tagalong-Order: docker.io/acme/app:v2 built\n";
        let more = "Tagalong-Resume: acme/app\nTagalong-Hold: acme/b\nTagalong-Actor: Bob\nTagalong-Rollback: acme/app v1 -> v2\n";
        let text = format!("Tagalong-Update: outside\n{BEGIN}{more}{image}{order}{END}\n{image}");
        assert_eq!(recorded_trailers(&text), format!("{image}{order}"));
        assert_eq!(recorded_trailers("no record"), "");
    }

    fn closed(number: i64, to: &str) -> ClosedPullRequest {
        ClosedPullRequest {
            number: number.unsigned_abs(),
            name: format!("pull request #{number}"),
            url: format!("https://git.example.com/pulls/{number}"),
            at: Timestamp::from_second(1_000 * number).expect("a time"),
            by: None,
            moves: recorded_moves(&record(&[update("a.yaml", "acme/app", to)])),
        }
    }

    fn resume(second: i64, what: &str) -> Arc<CommitRecord> {
        Arc::new(CommitRecord {
            ago: 0,
            commit: "1a2b3c4".to_owned(),
            when: Timestamp::from_second(second).expect("a time"),
            author: "Ada".to_owned(),
            subject: "resume".to_owned(),
            effect: Effect::Nothing,
            is_trusted: true,
            trailers: Trailers::read(&format!("x\n\nTagalong-Resume: {what}\n")),
            signed_by: Default::default(),
            signature: None,
            refused: Vec::new(),
        })
    }

    #[test]
    fn what_was_closed_is_held_until_it_is_resumed() {
        let image = "acme/app".parse::<Repository>().expect("a name");
        let tag = |text: &str| Version::parse_tag(text).expect("a tag");
        let held = |records: &[Arc<CommitRecord>], to: &str| {
            hold_by_closed(&[closed(1, "v2"), closed(3, "v2")], records, &image, &tag(to))
        };
        let hold = held(&[], "v2").expect("held");
        assert_eq!(
            hold.to_string(),
            "v2 has been held since 1970-01-01T00:50:00Z by someone (pull request #3 was closed without being merged, \
             https://git.example.com/pulls/3)"
        );
        assert!(held(&[], "v3").is_none(), "a newer one");
        assert!(held(&[resume(2_000, "acme/app")], "v2").is_some(), "closed again since");
        assert!(held(&[resume(4_000, "acme/app")], "v2").is_none());
        assert!(held(&[resume(4_000, "acme/app:v2")], "v2").is_none());
        assert!(held(&[resume(4_000, "acme/app:v3"), resume(5_000, "acme/other")], "v2").is_some());
        let other = "acme/other".parse::<Repository>().expect("a name");
        assert!(hold_by_closed(&[closed(1, "v2")], &[], &other, &tag("v2")).is_none());
    }

    #[test]
    fn commits_are_compared_where_the_source_is_shown() {
        let page = "https://git.example.com/acme/app";
        let expected = Some("https://git.example.com/acme/app/compare/1a2b3c4...5d6e7f8".to_owned());
        assert_eq!(compare_address(page, "1a2b3c4", "5d6e7f8"), expected);
        let gitlab = compare_address("https://gitlab.com/a/(b)", "1a2b3c4", "5d6e7f8").expect("an address");
        assert_eq!(gitlab, "https://gitlab.com/a/%28b%29/-/compare/1a2b3c4...5d6e7f8");
        let bitbucket = compare_address("https://bitbucket.org/a/b", "1a2b3c4", "5d6e7f8").expect("an address");
        assert_eq!(bitbucket, "https://bitbucket.org/a/b/branches/compare/5d6e7f8%0D1a2b3c4");
        let azure = "https://dev.azure.com/acme/shop/_git/app";
        let compared = compare_address(azure, "1a2b3c4", "5d6e7f8").expect("an address");
        assert_eq!(compared, format!("{azure}/branchCompare?baseVersion=GC1a2b3c4&targetVersion=GC5d6e7f8"));
        assert!(compare_address(page, "1a2b3c4", "1a2b3c4").is_none());
        assert!(compare_address(page, "v1.2.3", "5d6e7f8").is_none());
    }
}
