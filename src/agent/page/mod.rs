//! The pages that people look at. They work without JavaScript, better with it, and are accessible by keyboard and screen
//! reader. Their size does not depend on the number of images.
//!
//! - `overview`: how the agent is, what needs attention, what waits, what moved lately, and all images
//! - `attention`: what somebody has to do something about
//! - `remedy`: what people can do about a state
//! - `item`: one item of it
//! - `deployed`: broken images and drift
//! - `waiting`: what waits for what
//! - `moves`: what moved
//! - [`images`]: the list of images
//! - `image`: the page of an image
//! - `registry_page`: the pages of registries about an image
//! - [`stages`]: the board of stages
//! - [`timeline`]: figures, lanes, and moves
//! - `plots`: the figures, and plots of weeks
//! - `lanes`: what each app held, one version after the other
//! - `controls`: filters, and the pages of lists
//! - `layout`: the frame of every page
//! - [`view`]: what every page is made from
//! - `parts`: times, names, versions, commits, commands, numbers
//! - `example`: a state of the agent, for tests

mod attention;
mod controls;
mod deployed;
#[cfg(test)]
mod example;
mod image;
pub mod images;
mod item;
mod lanes;
mod layout;
mod moves;
mod overview;
mod parts;
mod plots;
mod registry_page;
mod remedy;
pub mod stages;
pub mod timeline;
pub mod view;
mod waiting;

use maud::Markup;

use crate::image::Repository;

use super::query::{Query, QueryError};

use view::View;

/// The style sheet of all pages.
pub const STYLE: &str = include_str!("../page.css");
/// The script of all pages.
pub const SCRIPT: &str = include_str!("../page.js");
/// The icon of all pages.
pub const ICON: &str = include_str!("../page.svg");

/// Renders the overview with the images that a query asks for; with all images and an error if the query is invalid.
pub fn overview(view: &View, query: &Result<Query, QueryError>) -> Markup {
    overview::overview(view, query)
}

/// Renders the page of the image with a name as it is in an address. An error is a page as well, which says that there is
/// no such image.
pub fn image(view: &View, name: &str) -> Result<Markup, Markup> {
    let chart = |scheme: &&str| name.strip_prefix(scheme).is_some_and(|rest| rest.starts_with('/'));
    let scheme = ["oci", "https", "http"].into_iter().find(chart);
    let whole = match scheme {
        Some(scheme) => format!("{scheme}:/{}", &name[scheme.len()..]),
        None => name.to_owned(),
    };
    let row = Repository::parse_any(&whole).ok().and_then(|image| view.snapshot.status.images.row(&image));
    row.map(|row| image::image(row, view)).ok_or_else(|| image::unknown(name, view))
}

/// Renders the board of stages.
pub fn stages(view: &View, query: &Result<Query, QueryError>) -> Markup {
    stages::stages(view, query)
}

/// Renders the timeline.
pub fn timeline(view: &View, query: &Result<Query, QueryError>) -> Markup {
    timeline::timeline(view, query)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use crate::agent::board::StageBoard;
    use crate::agent::listing::Listing;
    use crate::agent::snapshot::Snapshot;
    use crate::cycle::stages::report::StageReport;
    use crate::cycle::stages::status::CellStatus;
    use crate::cycle::status::{State, StatusReason};
    use crate::plan::skip::Reason;

    use super::example::{Page, crowd, row, shown, snapshot};

    const SHOP: &str = "ghcr.io/acme/shop";

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

    fn attribute(attributes: &str, name: &str) -> Option<String> {
        let attributes = format!(" {attributes}");
        let (_, rest) = attributes.split_once(&format!(" {name}=\""))?;
        rest.split_once('"').map(|(value, _)| value.to_owned())
    }

    #[test]
    fn every_tag_is_closed_every_reference_resolves_and_nothing_is_styled_in_place() {
        let (some, many) = (snapshot(), crowd(1000));
        let mut quiet = snapshot();
        (quiet.history, quiet.status.stages) = (None, Arc::default());
        for (page, snapshot, query) in [
            (Page::Overview, &some, ""),
            (Page::Overview, &many, "page=5"),
            (Page::Overview, &many, "state=none"),
            (Page::Overview, &some, "q=none"),
            (Page::Overview, &quiet, ""),
            (Page::Stages, &some, ""),
            (Page::Stages, &some, "q=none"),
            (Page::Stages, &quiet, ""),
            (Page::Timeline, &some, ""),
            (Page::Timeline, &some, "q=none"),
            (Page::Timeline, &quiet, ""),
            (Page::Image, &some, SHOP),
            (Page::Image, &quiet, "ghcr.io/acme/till"),
            (Page::Image, &some, "nowhere"),
        ] {
            is_sound(&shown(page, snapshot, query));
        }
    }

    fn is_sound(page: &str) {
        let (mut open, mut ids) = (Vec::new(), BTreeSet::new());
        for (name, attributes, closes) in tags(page) {
            if closes {
                assert_eq!(open.pop(), Some(name), "{page}");
            } else if !matches!(name.as_str(), "!DOCTYPE" | "meta" | "link" | "input" | "wbr") {
                open.push(name.clone());
            }
            if let Some(id) = attribute(&attributes, "id") {
                assert!(ids.insert(id.clone()), "{id} is not unique");
            }
            assert!(attribute(&attributes, "style").is_none(), "the policy of the page forbids it: {attributes}");
        }
        assert!(open.is_empty(), "{open:?}");
        let all = tags(page);
        for (_, attributes, _) in &all {
            let label = attribute(attributes, "aria-labelledby");
            let target = attribute(attributes, "href").and_then(|href| href.strip_prefix('#').map(str::to_owned));
            label.into_iter().chain(target).for_each(|id| assert!(ids.contains(&id), "nothing is named {id}"));
        }
        let count = |name: &str| all.iter().filter(|(tag, _, closes)| tag == name && !closes).count();
        assert_eq!((count("h1"), count("main")), (1, 1), "{page}");
        let heads = all.iter().filter(|(tag, _, closes)| tag == "th" && !closes);
        heads.for_each(|(_, attributes, _)| assert!(attributes.contains("scope="), "{attributes}"));
    }

    #[test]
    fn everything_is_escaped_and_nothing_secret_is_shown() {
        let snapshot = snapshot();
        let till = shown(Page::Image, &snapshot, "ghcr.io/acme/till");
        let pages = [Page::Overview, Page::Stages, Page::Timeline].map(|page| shown(page, &snapshot, ""));
        for page in pages.iter().chain([&till, &shown(Page::Image, &snapshot, SHOP)]) {
            let scripts = page.matches("<script").count();
            assert!(scripts == 1 && page.contains("page.js\" defer></script>"), "{page}");
            for foreign in ["<img", "<b>", "<i>", "<u>", "<em>", "hunter2", "<ada@"] {
                assert!(!page.contains(foreign), "{foreign} in {page}");
            }
        }
        let [overview, stages, timeline] = pages;
        assert!(overview.contains("&lt;script&gt;alert(1)&lt;/") && overview.contains("&lt;img src=x&gt;"));
        assert!(stages.contains("e2e failed: &lt;i&gt;") && timeline.contains("because &lt;em&gt;"));
        assert!(overview.contains("href=\"https://git.example.com/org/infra/commit/c0ffee"), "{overview}");
    }

    #[test]
    fn the_overview_tells_what_needs_attention_with_a_remedy_and_tells_nothing_twice() {
        let page = shown(Page::Overview, &snapshot(), "");
        for (text, remedy) in [
            ("The glass of live was broken", "tagalong acknowledge live "),
            ("rollout failed", "tagalong rollback "),
            ("check failed", "Run the check again"),
            ("blocked: secret", "tagalong secrets verify"),
            ("waiting for approval", "tagalong approve live 5d6e7f8 "),
            ("held by Ada", "tagalong resume "),
        ] {
            assert!(page.contains(text) && page.contains(remedy), "{text}: {remedy} is not in {page}");
        }
        for once in ["alert(1)", "e2e failed", "BuildFailed", "0 of 1 approvals", "held by Ada", "outage"] {
            assert_eq!(page.matches(once).count(), 1, "{once}");
        }
        let mut quiet = crowd(3);
        quiet.status = Default::default();
        (quiet.is_suspended, quiet.rejected_config) = (false, None);
        assert!(shown(Page::Overview, &quiet, "").contains("The first cycle is running"));
        quiet.status.done = snapshot().status.done;
        assert!(shown(Page::Overview, &quiet, "").contains("Everything is up to date"));
        quiet.status.images = crowd(1).status.images;
        let page = shown(Page::Overview, &quiet, "");
        assert!(page.contains("<title>1 needs attention · Tagalong</title>"), "{page}");
    }

    #[test]
    fn images_with_the_same_trouble_are_one_item() {
        let page = shown(Page::Overview, &crowd(5000), "");
        assert!(page.contains("and 712 more</a>"), "{page}");
        assert_eq!(page.matches("the registry does not have it").count(), 1);
    }

    #[test]
    fn the_page_of_an_image_has_its_fields_reasons_stages_holds_rollouts_and_moves() {
        let page = shown(Page::Image, &snapshot(), SHOP);
        for part in [
            "https://git.example.com/org/infra/src/commit/c0ffee0c0ffee0c0ffee0c0ffee0c0ffee0c0ffe/apps/shop/kustomization.yaml#L7",
            "href=\"https://ghcr.io/acme/shop\"",
            "holds the newest tag",
            "title=\"1a2b3c4d5e6f1a2b3c4d5e6f1a2b3c4d5e6f1a2b\"",
            "failed by <code>flux-system/apps</code>",
            "rolled back",
            "href=\"https://git.example.com/acme/app/compare/aaaaaa9...aaaaaa8\"",
            "e2e succeeded",
            "href=\"../../../style.css\"",
        ] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
        let unknown = shown(Page::Image, &snapshot(), "ghcr.io/acme/none<script>");
        assert!(unknown.contains("There is no such image here") && unknown.contains("tagalong images"), "{unknown}");
        assert!(!unknown.contains("none<script>"), "{unknown}");
    }

    #[test]
    fn the_board_has_a_row_for_each_release_and_a_page_for_fifty() {
        let page = shown(Page::Stages, &snapshot(), "");
        let rows: Vec<&str> = page.split("<tr role=\"row\">").skip(2).collect();
        assert_eq!(rows.len(), 2, "{page}");
        assert!(rows[0].contains("images/ghcr.io/acme/shop") && rows[1].contains("till"), "{page}");
        assert!(rows[0].contains("check failed") && rows[1].contains("tagalong approve live"), "{page}");
        let mut many = snapshot();
        let cell = |n: usize| CellStatus::example("live".parse().expect("a name"), &format!("app-{n:04}"), None);
        let board = (0..1000).map(cell).collect();
        many.status.stages = Arc::new(StageBoard::new(StageReport { board, ..StageReport::default() }));
        let page = shown(Page::Stages, &many, "");
        assert!(page.contains("app-0049") && !page.contains("app-0050") && page.contains("1,000 releases"), "{page}");
        let page = shown(Page::Stages, &many, "q=app-0123&stage=live");
        assert!(page.contains("app-0123") && page.contains("1 release that match"), "{page}");
    }

    #[test]
    fn the_timeline_has_figures_plots_and_lanes() {
        let page = shown(Page::Timeline, &snapshot(), "");
        for part in [
            "<dt>Time to restore</dt><dd><strong>1h 0m</strong>",
            "<strong>12m</strong>",
            "1 app",
            "rect class=\"bad\"",
            "as a table",
        ] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
        let none = shown(Page::Timeline, &snapshot(), "q=somebody-else");
        assert!(none.contains("Nothing moved.") && none.contains("0 of 0 deployments"), "{none}");
        let mut unread = snapshot();
        unread.history = None;
        assert!(shown(Page::Timeline, &unread, "").contains("is being read"));
    }

    #[test]
    fn pages_do_not_grow_with_images_fields_or_texts() {
        let size = |snapshot: &Snapshot| shown(Page::Overview, snapshot, "").len();
        // Long numbers are all that may differ.
        let few = size(&crowd(1000));
        assert!(size(&crowd(20_000)) < few + 500 && few < 150_000, "{few} bytes");
        let large = |fields: usize| {
            let files: Vec<String> = (0..fields).map(|file| format!("apps/{file}.yaml")).collect();
            let files: Vec<&str> = files.iter().map(String::as_str).collect();
            let text = "long ".repeat(fields);
            let mut row = row("ghcr.io/acme/base", State::Kept(Reason::BlockedSecret), None, &text, &files);
            let why = |n: usize| StatusReason { detail: format!("{n} {text}"), ..row.status.reasons[0].clone() };
            row.status.reasons = (0..fields).map(why).collect();
            let mut snapshot = snapshot();
            snapshot.status.images = Arc::new(Listing::new(vec![row]));
            snapshot
        };
        let (some, many) = (large(1000), large(5000));
        assert!(size(&many) < size(&some) + 100);
        let image = |snapshot: &Snapshot| shown(Page::Image, snapshot, "ghcr.io/acme/base");
        assert!(image(&many).len() < image(&some).len() + 500);
        let page = image(&some);
        assert!(page.contains("and 950 more: <code class=\"command\">tagalong explain "), "{page}");
        assert!(page.contains("and 980 more reasons"), "{page}");
    }
}
