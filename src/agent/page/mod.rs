//! The status page: plain HTML without JavaScript, accessible by keyboard and screen reader. Its size does not depend on the
//! number of images.
//!
//! - [`images`]: the list of images
//! - `deployed`: broken images and drift
//! - `stages`: the board of stages
//! - `controls`: the filter and the pages of the list
//! - `parts`: times, commits, numbers

mod controls;
mod deployed;
pub mod images;
mod parts;
mod stages;

use maud::{DOCTYPE, Markup, html};

use crate::cluster::election::Leadership;
use crate::text::lines;

use super::link::CommitLink;
use super::query::{KEPT_BACK, Query, QueryError};
use super::snapshot::Snapshot;
use super::status::{Done, Failed, Move, Notes};

use parts::{commit, number, optional, shortened, time};

/// The style sheet of the page.
pub const STYLE: &str = include_str!("../page.css");

/// Renders the page with the images that a query asks for; with all images and an error if the query is invalid.
pub fn render(snapshot: &Snapshot, query: &Result<Query, QueryError>) -> Markup {
    let link = snapshot.commit_link.as_ref();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title(snapshot)) }
                link rel="stylesheet" href="style.css";
            }
            body {
                a .skip href="#images" { "Skip to the images" }
                header {
                    h1 { "Tagalong" }
                    @if let Some((url, branch)) = &snapshot.repository {
                        p { "Keeps the images of " code { (url) } ", branch " code { (branch) } ", in step with the registry." }
                    }
                }
                main {
                    (overview(snapshot))
                    (stages::section(snapshot))
                    (images::section(snapshot, query))
                    (deployed::section(&snapshot.checks))
                    section aria-labelledby="moves" {
                        h2 #moves { "Recent updates" }
                        @if snapshot.status.moves.is_empty() {
                            p { "Nothing has been updated since this agent started." }
                        } @else {
                            (moves(snapshot.status.moves.iter(), link))
                        }
                    }
                    (notes(&snapshot.status.notes))
                }
                footer {
                    p {
                        "tagalong " (env!("CARGO_PKG_VERSION")) ", started " (time(snapshot.started)) ". "
                        a href="metrics" { "Metrics" } " · " a href="readyz" { "Readiness" }
                    }
                }
            }
        }
    }
}

fn title(snapshot: &Snapshot) -> String {
    match (&snapshot.status.failed, snapshot.status.images.counts().sum(&KEPT_BACK)) {
        (Some(_), _) => "Failing · Tagalong".to_owned(),
        (None, 0) => "Tagalong".to_owned(),
        (None, count) => format!("{} kept back · Tagalong", number(count)),
    }
}

fn notes(notes: &Notes) -> Markup {
    html! {
        @if !notes.first.is_empty() {
            section aria-labelledby="notes" {
                h2 #notes { "Notes on the repository" }
                ul { @for note in &notes.first { li { (shortened(note)) } } }
                @if notes.more > 0 {
                    p { "and " (number(notes.more)) " more: " code { "tagalong sync --dry-run" } " shows them all." }
                }
            }
        }
    }
}

fn overview(snapshot: &Snapshot) -> Markup {
    html! {
        section aria-labelledby="overview" {
            h2 #overview { "Overview" }
            @if let Some(failed) = &snapshot.status.failed { (failure(failed)) }
            @if let Some((at, why)) = &snapshot.rejected_config {
                div .notice.bad {
                    h3 { "The new configuration was rejected" }
                    p { "The previous one stays in use. Read " (time(*at)) ":" }
                    pre { (lines(why)) }
                }
            }
            @match &snapshot.leadership {
                Leadership::Leader => {},
                Leadership::Follower { leader } => div .notice {
                    h3 { "Another replica leads" }
                    p { code { (leader) } " pushes. This replica takes over when that one is gone." }
                },
                Leadership::Unknown { reason: why } => div .notice.bad {
                    h3 { "The leader is unknown" }
                    p { "This replica pushes nothing until it is known." }
                    @if let Some(why) = why { pre { (lines(why)) } }
                },
            }
            @for (task, problem) in &snapshot.watch_troubles {
                div .notice.bad { h3 { (task.product.to_string()) " cannot be reached" } pre { (lines(problem)) } }
            }
            (deployed::problems(&snapshot.checks))
            @if snapshot.is_suspended {
                div .notice { h3 { "Suspended" } p { "Nothing is updated while " code { "agent.suspend" } " is set." } }
            }
            @match &snapshot.status.done {
                Some(Done { number, at, seconds, head }) => p {
                    "Cycle " (number) " finished " (time(*at)) " after " (format!("{seconds:.1}")) " s, at "
                    (commit(head, snapshot.commit_link.as_ref())) "."
                },
                None => p { "No cycle has finished yet." },
            }
        }
    }
}

fn failure(failed: &Failed) -> Markup {
    html! {
        div .notice.bad {
            h3 { "Cycle " (failed.number) " failed" }
            p {
                (time(failed.at))
                @if failed.consecutive > 1 { ", the last of " (failed.consecutive) " failures in a row" }
                ". Everything below is as of the last finished cycle."
            }
            pre {
                "error: " (lines(&failed.error))
                @if let Some(cause) = &failed.cause { "\ncause: " (lines(cause)) }
                @if let Some(help) = &failed.help { "\nhelp: " (lines(help)) }
            }
        }
    }
}

fn moves<'m>(moves: impl Iterator<Item = &'m Move>, link: Option<&CommitLink>) -> Markup {
    html! {
        div .scroll role="region" tabindex="0" aria-labelledby="moved" {
            table {
                caption #moved { "Fields updated by this agent, latest first" }
                thead {
                    tr { @for head in ["When", "Image", "From", "To", "File", "Commit"] { th scope="col" { (head) } } }
                }
                tbody {
                    @for moved in moves {
                        tr {
                            td { (time(moved.at)) }
                            th scope="row" { code { (moved.image) } }
                            td { (optional(moved.from.as_deref())) }
                            td { code { (moved.to) } }
                            td { code { (shortened(&moved.file)) } }
                            td { (commit(&moved.commit, link)) }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use jiff::Timestamp;

    use crate::agent::listing::Listing;
    use crate::agent::row::Row;
    use crate::agent::snapshot::SnapshotStore;
    use crate::agent::status::Rollout;
    use crate::cluster::rollout::Product;
    use crate::cycle::stages::report::StageReport;
    use crate::cycle::stages::status::{CellStatus, NextStatus, WaitStatus};
    use crate::cycle::status::{FieldVersion, HoldStatus, ImageStatus, State, StatusReason};
    use crate::image::Tag;
    use crate::plan::skip::Reason;

    use super::*;

    fn row(image: &str, state: State, candidate: Option<&str>, detail: &str, files: &[&str]) -> Row {
        let tag = |text: &str| text.parse::<Tag>().expect("a tag");
        let at = Timestamp::from_second(1_790_000_000).expect("a time");
        let place = |file: &&str| FieldVersion {
            file: (*file).to_owned(),
            path: "images[0].newTag".to_owned(),
            tag: Some(tag("1a2b3c4d5e6f")),
            digest: None,
            stage: None,
        };
        let status = ImageStatus {
            image: image.parse().expect("an image"),
            policy: "ghcr.io/acme/*".to_owned(),
            state,
            candidate: candidate.map(tag),
            current: files.iter().map(place).collect(),
            reasons: vec![StatusReason {
                field: None,
                reason: Reason::BlockedSecret,
                tag: None,
                detail: detail.to_owned(),
            }],
            holds: vec![HoldStatus {
                tag: Some(tag("0badf00d")),
                digest: None,
                since: at,
                by: "Ada <ada@example.com>".to_owned(),
                reason: "slow".to_owned(),
                commit: Some("c0ffee1234".to_owned()),
                pull_request: None,
            }],
        };
        Row { status, since: at, commit: Some("c0ffee1234".to_owned()) }
    }

    /// A snapshot with something of everything.
    fn snapshot() -> Snapshot {
        let mut snapshot = Arc::unwrap_or_clone(SnapshotStore::default().snapshot());
        let url = "https://user:hunter2@git.example.com/org/infra.git".parse().expect("a URL");
        snapshot.commit_link = CommitLink::of(&url);
        snapshot.repository = Some((url, "main".to_owned()));
        snapshot.is_suspended = true;
        snapshot.rejected_config = Some((snapshot.started, "tagalong.yaml:3:1: <img src=x>".to_owned()));
        snapshot.status.failed = Some(Failed {
            number: 8,
            at: snapshot.started,
            consecutive: 3,
            error: "cannot reach \"git\"".to_owned(),
            cause: Some("connection refused".to_owned()),
            help: Some("check the network".to_owned()),
        });
        snapshot.status.done =
            Some(Done { number: 5, at: snapshot.started, seconds: 0.42, head: "abcdef123456".to_owned() });
        let rows = vec![
            row("ghcr.io/acme/shop", State::UpToDate, None, "holds the newest tag", &["apps/shop/kustomization.yaml"]),
            row(
                "ghcr.io/acme/till",
                State::Kept(Reason::BlockedSecret),
                Some("5d6e7f8"),
                "<script>alert(1)</script>",
                &["a.yaml", "b.yaml"],
            ),
        ];
        snapshot.status.images = Arc::new(Listing::new(rows));
        snapshot.status.moves.push_front(Move {
            at: snapshot.started,
            image: "ghcr.io/acme/shop".parse().expect("an image"),
            from: None,
            to: "1a2b3c4d5e6f".to_owned(),
            file: "apps/shop/kustomization.yaml".to_owned(),
            commit: "c0ffee1234".to_owned(),
        });
        snapshot.watched = [Product::Flux].into();
        let why = Some("the API does not answer".to_owned());
        snapshot.leadership = Leadership::Unknown { reason: why };
        let rollout = Rollout {
            outcome: "failed",
            detail: Some("BuildFailed: <b>".to_owned()),
            kustomization: Some("flux-system/apps".to_owned()),
            application: None,
            commit: "c0ffee1234".to_owned(),
            to: "1a2b3c4d5e6f".to_owned(),
            at: snapshot.started,
            seconds: 3.4,
        };
        snapshot.status.rollouts = Arc::new([("ghcr.io/acme/shop".to_owned(), vec![rollout])].into());
        let name = |text: &str| text.parse().expect("a name");
        let waits = vec![WaitStatus {
            gate: "check".to_owned(),
            detail: "e2e failed: <i>".to_owned(),
            until: None,
            has_failed: true,
        }];
        let next =
            Some(NextStatus { tag: Some("5d6e7f8".parse().expect("a tag")), id: None, waits, evidence: Vec::new() });
        let board = vec![
            CellStatus::example(name("beta"), "ghcr.io/acme/shop", None),
            CellStatus::example(name("live"), "ghcr.io/acme/shop", next),
            CellStatus::example(name("beta"), "till", None),
        ];
        snapshot.status.stages = Arc::new(StageReport { board, ..StageReport::default() });
        snapshot.status.notes = Notes { first: vec!["charts/x.yaml is not valid YAML".to_owned()], more: 4312 };
        snapshot
    }

    /// The page that an address shows.
    fn shown(snapshot: &Snapshot, query: &str) -> String {
        render(snapshot, &Query::parse(Some(query), images::SIZES)).into_string()
    }

    /// A snapshot with so many images; every seventh is blocked.
    fn crowd(count: usize) -> Snapshot {
        let image = |number: usize| {
            let state = if number.is_multiple_of(7) { State::Kept(Reason::BlockedImage) } else { State::UpToDate };
            let name = format!("ghcr.io/acme/app-{number:05}");
            row(&name, state, None, "the registry does not have it", &["apps/app/kustomization.yaml"])
        };
        let rows: Vec<Row> = (0..count).map(image).collect();
        let mut snapshot = snapshot();
        snapshot.status.images = Arc::new(Listing::new(rows));
        snapshot
    }

    /// The images in the table of a page.
    fn listed(page: &str) -> Vec<&str> {
        let rows = page.split("<th scope=\"row\"><code>ghcr.io/acme/app-").skip(1);
        rows.filter_map(|rest| rest.split_once('<')).map(|(name, _)| name).collect()
    }

    /// The tags of a page: name, attributes, whether it closes.
    fn tags(page: &str) -> Vec<(String, String, bool)> {
        let bodies = page.split('<').skip(1).filter_map(|rest| rest.split_once('>')).map(|(tag, _)| tag);
        let parts = bodies.map(|tag| {
            let (name, attributes) =
                tag.trim_start_matches('/').split_once(' ').unwrap_or((tag.trim_start_matches('/'), ""));
            (name.to_owned(), attributes.to_owned(), tag.starts_with('/'))
        });
        parts.collect()
    }

    #[test]
    fn every_tag_is_closed_every_reference_resolves_and_every_table_has_a_caption() {
        for (snapshot, query) in
            [(snapshot(), ""), (crowd(1000), "page=5"), (crowd(1000), "state=none"), (snapshot(), "q=none")]
        {
            is_sound(&shown(&snapshot, query));
        }
        let all = shown(&snapshot(), "");
        let count = |name: &str| all.matches(&format!("<{name}")).count();
        assert_eq!((count("table"), count("caption"), count("h1"), count("main")), (3, 3, 1, 1));
    }

    fn is_sound(page: &str) {
        let (mut open, mut ids) = (Vec::new(), BTreeSet::new());
        for (name, attributes, closes) in tags(page) {
            if closes {
                assert_eq!(open.pop(), Some(name), "{page}");
            } else if !matches!(name.as_str(), "!DOCTYPE" | "meta" | "link" | "input") {
                open.push(name.clone());
            }
            if let Some(id) = attribute(&attributes, "id") {
                assert!(ids.insert(id.clone()), "{id} is not unique");
            }
        }
        assert!(open.is_empty(), "{open:?}");
        let all = tags(page);
        for (_, attributes, _) in &all {
            let label = attribute(attributes, "aria-labelledby");
            let target = attribute(attributes, "href").and_then(|href| href.strip_prefix('#').map(str::to_owned));
            label.into_iter().chain(target).for_each(|id| assert!(ids.contains(&id), "nothing is named {id}"));
        }
        assert!(
            all.iter()
                .filter(|(tag, _, closes)| tag == "th" && !closes)
                .all(|(_, attributes, _)| attributes.contains("scope="))
        );
    }

    fn attribute(attributes: &str, name: &str) -> Option<String> {
        let attributes = format!(" {attributes}");
        let (_, rest) = attributes.split_once(&format!(" {name}=\""))?;
        rest.split_once('"').map(|(value, _)| value.to_owned())
    }

    #[test]
    fn everything_is_escaped_and_nothing_secret_is_shown() {
        let page = shown(&snapshot(), "");
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && page.contains("&lt;img src=x&gt;"), "{page}");
        assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("hunter2"), "{page}");
        assert!(page.contains("href=\"https://git.example.com/org/infra/commit/c0ffee1234\""), "{page}");
    }

    #[test]
    fn the_board_has_a_row_for_each_release_and_what_needs_people_comes_first() {
        let page = shown(&snapshot(), "");
        let board =
            page.split_once("<caption id=\"board\">").expect("a board").1.split_once("</table>").expect("its end").0;
        let rows: Vec<&str> = board.split("<tr>").skip(2).collect();
        assert_eq!(rows.len(), 2, "{board}");
        assert!(rows[0].contains("ghcr.io/acme/shop") && rows[1].contains("till"), "{board}");
        assert!(rows[0].contains("next: <code>5d6e7f8</code>") && rows[0].contains("e2e failed: &lt;i&gt;"), "{board}");
        assert!(rows[0].contains("for ") && rows[1].contains("none"), "{board}");
        let mut snapshot = snapshot();
        let cell = |n: usize| CellStatus::example("live".parse().expect("a name"), &format!("app-{n:04}"), None);
        let board = (0..1000).map(cell).collect();
        snapshot.status.stages = Arc::new(StageReport { board, ..StageReport::default() });
        let page = shown(&snapshot, "");
        assert!(page.contains("app-0049") && !page.contains("app-0050"), "{page}");
        assert!(page.contains("and 950 more releases in <code>tagalong stages</code>"), "{page}");
        snapshot.status.stages = Arc::default();
        assert!(!shown(&snapshot, "").contains("id=\"stages\""));
    }

    #[test]
    fn pages_show_every_image_once_and_problems_first() {
        let snapshot = crowd(1000);
        let mut seen = Vec::new();
        let mut query = String::new();
        loop {
            let page = shown(&snapshot, &query);
            seen.extend(listed(&page).into_iter().map(str::to_owned));
            let Some((before, _)) = page.split_once("#images\" rel=\"next\"") else { break };
            before.rsplit_once("href=\"?").expect("an address").1.clone_into(&mut query);
        }
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 1000);
        assert_eq!(seen.len(), 1000);
        let blocked = 1000_usize.div_ceil(7);
        assert!(seen[..blocked].iter().all(|name| name.parse::<usize>().expect("a number").is_multiple_of(7)));
    }

    #[test]
    fn filters_are_kept_from_page_to_page() {
        let snapshot = crowd(5000);
        let page = shown(&snapshot, "state=blocked&q=APP&page=2");
        assert!(page.contains("Images 101 to 200 of 715 that match"), "{page}");
        for link in
            ["?state=blocked&amp;q=APP&amp;page=3#images", "?q=APP#images", "?state=up-to-date&amp;q=APP#images"]
        {
            assert!(page.contains(&format!("href=\"{link}\"")), "{link} is not in {page}");
        }
        assert!(page.contains("value=\"APP\"") && page.contains("<option value=\"blocked\" selected>"), "{page}");
        assert!(
            page.contains("all <strong>5,000</strong>") && page.contains("blocked: image <strong>715</strong>"),
            "{page}"
        );
        let page = shown(&snapshot, "q=app-04999");
        assert_eq!(listed(&page), ["04999"]);
        assert!(shown(&snapshot, "q=%3Cscript%3E").contains("value=\"&lt;script&gt;\""));
    }

    #[test]
    fn invalid_queries_are_explained_and_pages_past_the_last_show_the_last() {
        let snapshot = crowd(250);
        let page = shown(&snapshot, "state=blokced");
        assert!(page.contains("`blokced` is not an image state") && listed(&page).len() == 100, "{page}");
        let page = shown(&snapshot, "page=99");
        assert!(page.contains("There is no page 99") && listed(&page).len() == 50, "{page}");
        let page = shown(&snapshot, "q=nowhere");
        assert!(page.contains("No images match.") && listed(&page).is_empty(), "{page}");
    }

    #[test]
    fn the_page_does_not_grow_with_images_fields_or_texts() {
        let size = |snapshot: &Snapshot| shown(snapshot, "").len();
        // Long numbers are all that may differ.
        let few = size(&crowd(1000));
        assert!(size(&crowd(20_000)) < few + 500 && few < 150_000, "{few} bytes");
        let large = |fields: usize| {
            let files: Vec<String> = (0..fields).map(|file| format!("apps/{file}.yaml")).collect();
            let files: Vec<&str> = files.iter().map(String::as_str).collect();
            let mut row =
                row("ghcr.io/acme/base", State::Kept(Reason::BlockedSecret), None, &"long ".repeat(fields), &files);
            let why = |n: usize| StatusReason {
                detail: format!("{n} {}", "long ".repeat(fields)),
                ..row.status.reasons[0].clone()
            };
            row.status.reasons = (0..fields).map(why).collect();
            let mut snapshot = snapshot();
            snapshot.status.images = Arc::new(Listing::new(vec![row]));
            snapshot
        };
        assert!(size(&large(20_000)) < size(&large(1000)) + 100);
        let page = shown(&large(1000), "");
        assert!(page.contains("and 995 more: <code>tagalong explain ghcr.io/acme/base</code>"), "{page}");
        assert!(page.contains("<summary>1,000 fields</summary>") && page.contains("and 990 more"), "{page}");
        assert!(page.contains("and 4,312 more: <code>tagalong sync --dry-run</code>"), "{page}");
    }
}
