//! The status page: plain HTML, complete without JavaScript, read well by eyes, keyboards and screen readers.

use std::collections::BTreeSet;

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};

use crate::cluster::election::Standing;
use crate::cycle::status::{Held, Place, State};
use crate::image::Version;

use super::board::View;
use super::link::CommitLink;
use super::status::{Done, Failed, Move, Rollout, Row};

/// How the page looks.
pub const STYLE: &str = include_str!("page.css");

/// The page.
pub fn render(view: &View) -> Markup {
    let link = view.commit_link.as_ref();
    let (troubled, fine): (Vec<&Row>, Vec<&Row>) =
        view.status.rows.iter().partition(|row| row.standing.state != State::UpToDate);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title(view, troubled.len())) }
                link rel="stylesheet" href="style.css";
            }
            body {
                a .skip href="#images" { "Skip to the images" }
                header {
                    h1 { "Tagalong" }
                    @if let Some((url, branch)) = &view.repository {
                        p { "Keeps the images of " code { (url) } ", branch " code { (branch) } ", in step with the registry." }
                    }
                }
                main {
                    (overview(view))
                    section aria-labelledby="images" {
                        h2 #images tabindex="-1" { "Images" }
                        @if view.status.rows.is_empty() {
                            p { "No image is known yet that a policy governs." }
                        } @else {
                            (images("kept-back", "Images that something keeps back", &troubled, view))
                            (images("up-to-date", "Images that are up to date", &fine, view))
                        }
                    }
                    section aria-labelledby="moves" {
                        h2 #moves { "What moved" }
                        @if view.status.moves.is_empty() {
                            p { "Nothing has moved since this agent was started." }
                        } @else {
                            (moves(view.status.moves.iter(), link))
                        }
                    }
                    @if !view.status.notes.is_empty() {
                        section aria-labelledby="notes" {
                            h2 #notes { "Notes on the repository" }
                            ul { @for note in &view.status.notes { li { (note) } } }
                        }
                    }
                }
                footer {
                    p {
                        "tagalong " (env!("CARGO_PKG_VERSION")) ", started " (time(view.started)) ". "
                        a href="metrics" { "Metrics" } " · " a href="readyz" { "Readiness" }
                    }
                }
            }
        }
    }
}

fn title(view: &View, troubled: usize) -> String {
    match (&view.status.failed, troubled) {
        (Some(_), _) => "Failing · Tagalong".to_owned(),
        (None, 0) => "Tagalong".to_owned(),
        (None, count) => format!("{count} kept back · Tagalong"),
    }
}

fn overview(view: &View) -> Markup {
    html! {
        section aria-labelledby="overview" {
            h2 #overview { "Now" }
            @if let Some(failed) = &view.status.failed { (failure(failed)) }
            @if let Some((at, why)) = &view.refused {
                div .notice.bad {
                    h3 { "A new configuration was refused" }
                    p { "The one before stays in use. Read " (time(*at)) ":" }
                    pre { (why) }
                }
            }
            @match &view.standing {
                Standing::Leads => {},
                Standing::Follows { leader } => div .notice {
                    h3 { "Another replica leads" }
                    p { code { (leader) } " pushes. This one takes over when that one is gone." }
                },
                Standing::Unknown { why } => div .notice.bad {
                    h3 { "It is not known which replica leads" }
                    p { "Nothing is pushed from here until it is." }
                    @if let Some(why) = why { pre { (why) } }
                },
            }
            @for trouble in view.flux_troubles.values() {
                div .notice.bad { h3 { "Flux is out of reach" } pre { (trouble) } }
            }
            @if view.is_suspended {
                div .notice { h3 { "Suspended" } p { "Nothing moves while " code { "agent.suspend" } " is set." } }
            }
            @match &view.status.done {
                Some(Done { number, at, seconds, head }) => p {
                    "Cycle " (number) " was done " (time(*at)) " in " (format!("{seconds:.1}")) " s, at "
                    (commit(head, view.commit_link.as_ref())) "."
                },
                None => p { "No cycle has got to its end yet." },
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
                @if failed.in_a_row > 1 { ", the last of " (failed.in_a_row) " failures in a row" }
                ". What is below is from before."
            }
            pre {
                "error: " (failed.error)
                @if let Some(cause) = &failed.cause { "\ncause: " (cause) }
                @if let Some(help) = &failed.help { "\nhelp: " (help) }
            }
        }
    }
}

fn images(id: &str, caption: &str, rows: &[&Row], view: &View) -> Markup {
    html! {
        @if !rows.is_empty() {
            div .scroll role="region" tabindex="0" aria-labelledby=(id) {
                table {
                    caption #(id) { (caption) " (" (rows.len()) ")" }
                    thead {
                        tr {
                            @for head in ["Image", "Current", "State", "Candidate", "Since", "Why", "Fields", "Commit"] {
                                th scope="col" { (head) }
                            }
                            @if view.is_watched { th scope="col" { "In the cluster" } }
                        }
                    }
                    tbody { @for row in rows { (image(row, view)) } }
                }
            }
        }
    }
}

fn image(row: &Row, view: &View) -> Markup {
    let (Row { standing, since, commit: made }, link) = (row, view.commit_link.as_ref());
    let candidate = standing.candidate.as_ref().map(ToString::to_string);
    html! {
        tr {
            th scope="row" { code { (standing.image) } }
            td { (versions(&standing.current)) }
            td { span class={ "state " (standing.state.name()) } { (words(standing.state)) } }
            td { (optional(candidate.as_deref())) }
            td { (time(*since)) }
            td .why {
                @for why in &standing.reasons { p { (why.detail) } }
                @for hold in &standing.holds { (held(hold, link)) }
            }
            td { (places(&standing.current)) }
            td { @match made { Some(id) => (commit(id, link)), None => (optional(None)) } }
            @if view.is_watched { td .why { (rollouts(view.rollouts_of(row), made.is_some())) } }
        }
    }
}

/// What became of an image in the cluster.
fn rollouts(rollouts: &[Rollout], has_moved: bool) -> Markup {
    html! {
        @match (rollouts, has_moved) {
            ([], true) => "waits for Flux",
            ([], false) => (optional(None)),
            (all, _) => @for Rollout { outcome, detail, kustomization, at, seconds, .. } in all {
                p {
                    (outcome)
                    @if let Some(name) = kustomization { " by " code { (name) } }
                    " " (time(*at)) ", " (format!("{seconds:.0}")) " s after the push"
                }
                @if let Some(detail) = detail { p { (detail) } }
            },
        }
    }
}

/// What the fields of an image hold, each version once.
fn versions(places: &[Place]) -> Markup {
    let versions: BTreeSet<Option<String>> = places.iter().map(version).collect();
    html! {
        @for version in versions { div { (optional(version.as_deref())) } }
    }
}

fn version(place: &Place) -> Option<String> {
    let version = Version { tag: place.tag.clone(), digest: place.digest.clone() };
    (!version.is_empty()).then(|| version.to_string())
}

fn places(places: &[Place]) -> Markup {
    html! {
        @match places {
            [place] => code { (place.file) ": " (place.path) },
            places => details {
                summary { (places.len()) " fields" }
                ul {
                    @for place in places {
                        li { code { (place.file) ": " (place.path) } " holds " (optional(version(place).as_deref())) }
                    }
                }
            },
        }
    }
}

fn held(hold: &Held, link: Option<&CommitLink>) -> Markup {
    let version = Version { tag: hold.tag.clone(), digest: hold.digest.clone() };
    html! {
        p {
            @if version.is_empty() { "All of it" } @else { code { (version) } }
            " is held since " (time(hold.since)) " by " (hold.by) ": " (hold.reason) " ("
            @if let Some(id) = &hold.commit { (commit(id, link)) }
            @if let Some(url) = &hold.pull_request { a href=(url) { "pull request" } }
            ")"
        }
    }
}

fn moves<'m>(moves: impl Iterator<Item = &'m Move>, link: Option<&CommitLink>) -> Markup {
    html! {
        div .scroll role="region" tabindex="0" aria-labelledby="moved" {
            table {
                caption #moved { "Fields that this agent moved, the latest first" }
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
                            td { code { (moved.file) } }
                            td { (commit(&moved.commit, link)) }
                        }
                    }
                }
            }
        }
    }
}

/// A value that may be missing, which a screen reader says as a word.
fn optional(value: Option<&str>) -> Markup {
    html! {
        @match value {
            Some(value) => code { (value) },
            None => { span aria-hidden="true" { "–" } span .unseen { "none" } },
        }
    }
}

fn commit(id: &str, link: Option<&CommitLink>) -> Markup {
    let short: String = id.chars().take(7).collect();
    html! {
        @match link {
            Some(link) => a href=(link.to(id)) { "commit " code { (short) } },
            None => { "commit " code { (short) } },
        }
    }
}

fn time(at: Timestamp) -> Markup {
    html! { time datetime=(at.strftime("%Y-%m-%dT%H:%M:%SZ")) { (at.strftime("%Y-%m-%d %H:%M:%S UTC")) } }
}

/// A state in words.
fn words(state: State) -> &'static str {
    match state {
        State::UpToDate => "up to date",
        State::NoCandidate => "no candidate",
        State::Updating => "about to move",
        State::Suspended => "suspended",
        State::Held => "held",
        State::RegistryError => "registry error",
        State::BlockedSecret => "blocked: secret",
        State::BlockedImage => "blocked: image",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::agent::board::Board;
    use crate::cycle::status::{ImageStatus, Why};
    use crate::image::Tag;
    use crate::plan::skip::Reason;

    use super::*;

    fn row(image: &str, state: State, candidate: Option<&str>, detail: &str, files: &[&str]) -> Row {
        let tag = |text: &str| text.parse::<Tag>().expect("a tag");
        let at = Timestamp::from_second(1_790_000_000).expect("a time");
        let place = |file: &&str| Place {
            file: (*file).to_owned(),
            path: "images[0].newTag".to_owned(),
            tag: Some(tag("1a2b3c4d5e6f")),
            digest: None,
        };
        let standing = ImageStatus {
            image: image.parse().expect("an image"),
            policy: "ghcr.io/acme/*".to_owned(),
            state,
            candidate: candidate.map(tag),
            current: files.iter().map(place).collect(),
            reasons: vec![Why { reason: Reason::BlockedSecret, tag: None, detail: detail.to_owned() }],
            holds: vec![Held {
                tag: Some(tag("0badf00d")),
                digest: None,
                since: at,
                by: "Ada <ada@example.com>".to_owned(),
                reason: "slow".to_owned(),
                commit: Some("c0ffee1234".to_owned()),
                pull_request: None,
            }],
        };
        Row { standing, since: at, commit: Some("c0ffee1234".to_owned()) }
    }

    /// A view with something of everything.
    fn view() -> View {
        let mut view = Board::default().view();
        let url = "https://user:hunter2@git.example.com/org/infra.git".parse().expect("a URL");
        view.commit_link = CommitLink::of(&url);
        view.repository = Some((url, "main".to_owned()));
        view.is_suspended = true;
        view.refused = Some((view.started, "tagalong.yaml:3:1: <img src=x>".to_owned()));
        view.status.failed = Some(Failed {
            number: 8,
            at: view.started,
            in_a_row: 3,
            error: "cannot reach \"git\"".to_owned(),
            cause: Some("connection refused".to_owned()),
            help: Some("check the network".to_owned()),
        });
        view.status.done = Some(Done { number: 5, at: view.started, seconds: 0.42, head: "abcdef123456".to_owned() });
        view.status.rows = vec![
            row("ghcr.io/acme/shop", State::UpToDate, None, "holds the newest tag", &["apps/shop/kustomization.yaml"]),
            row(
                "ghcr.io/acme/till",
                State::BlockedSecret,
                Some("5d6e7f8"),
                "<script>alert(1)</script>",
                &["a.yaml", "b.yaml"],
            ),
        ];
        view.status.moves.push_front(Move {
            at: view.started,
            image: "ghcr.io/acme/shop".parse().expect("an image"),
            from: None,
            to: "1a2b3c4d5e6f".to_owned(),
            file: "apps/shop/kustomization.yaml".to_owned(),
            commit: "c0ffee1234".to_owned(),
        });
        view.is_watched = true;
        let why = Some("the API does not answer".to_owned());
        view.standing = Standing::Unknown { why };
        let rollout = Rollout {
            outcome: "failed",
            detail: Some("BuildFailed: <b>".to_owned()),
            kustomization: Some("flux-system/apps".to_owned()),
            commit: "c0ffee1234".to_owned(),
            to: "1a2b3c4d5e6f".to_owned(),
            at: view.started,
            seconds: 3.4,
        };
        view.status.rollouts.insert("ghcr.io/acme/shop".to_owned(), vec![rollout]);
        view.status.notes = vec!["charts/x.yaml is no YAML".to_owned()];
        view
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
    fn every_tag_is_closed_every_reference_found_and_every_table_told() {
        let page = render(&view()).into_string();
        let (mut open, mut ids) = (Vec::new(), BTreeSet::new());
        for (name, attributes, closes) in tags(&page) {
            if closes {
                assert_eq!(open.pop(), Some(name), "{page}");
            } else if !matches!(name.as_str(), "!DOCTYPE" | "meta" | "link") {
                open.push(name.clone());
            }
            if let Some(id) = attribute(&attributes, "id") {
                assert!(ids.insert(id.clone()), "{id} stands twice");
            }
        }
        assert!(open.is_empty(), "{open:?}");
        let all = tags(&page);
        for (_, attributes, _) in &all {
            let label = attribute(attributes, "aria-labelledby");
            let target = attribute(attributes, "href").and_then(|href| href.strip_prefix('#').map(str::to_owned));
            label.into_iter().chain(target).for_each(|id| assert!(ids.contains(&id), "nothing is named {id}"));
        }
        let count = |name: &str| all.iter().filter(|(tag, _, closes)| tag == name && !closes).count();
        assert_eq!((count("table"), count("caption"), count("h1"), count("main")), (3, 3, 1, 1));
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
        let page = render(&view()).into_string();
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && page.contains("&lt;img src=x&gt;"), "{page}");
        assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("hunter2"), "{page}");
        assert!(page.contains("href=\"https://git.example.com/org/infra/commit/c0ffee1234\""), "{page}");
    }
}
