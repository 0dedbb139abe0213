//! One page of the list of images: a line for each, with links to their own pages.

use std::collections::BTreeSet;

use jiff::Timestamp;
use maud::{Markup, html};

use crate::agent::listing::{Order, Selection};
use crate::agent::query::{Query, QueryError, Sizes};
use crate::agent::row::Row;
use crate::cycle::status::{FieldVersion, State};
use crate::fault::Explain;
use crate::image::Version;
use crate::stage::name::Name;

use super::controls;
use super::parts::{self, counted, number, optional, pill, time, version};
use super::view::View;

/// The number of images on a page.
pub const SIZES: Sizes = Sizes { default: 100, most: 100 };

/// The maximum number of versions and stages that are shown of an image.
const MOST: usize = 3;

/// Renders the images that a query asks for.
pub fn section(view: &View, asked: &Result<Query, QueryError>) -> Markup {
    html! {
        section #images aria-labelledby="images-title" {
            h2 #images-title tabindex="-1" { "Images" }
            @if view.snapshot.status.images.rows().is_empty() {
                p { "No images governed by a policy are known yet." }
            } @else {
                (list(view, asked))
            }
        }
    }
}

fn list(view: &View, asked: &Result<Query, QueryError>) -> Markup {
    let images = &view.snapshot.status.images;
    let mut query = asked.clone().unwrap_or_else(|_| Query::all(SIZES));
    let mut selection = images.select(&query, Order::Trouble);
    let past = (query.page > selection.pages).then_some(query.page);
    if past.is_some() {
        query = query.on(selection.pages);
        selection = images.select(&query, Order::Trouble);
    }
    html! {
        (controls::counts(&query, &selection))
        (controls::filter(&query, &view.snapshot.status.stages.stages))
        @if let Err(error) = asked { (invalid(error)) }
        @if let Some(page) = past {
            div .notice { p { "There is no page " (number(page)) ". This is the last one." } }
        }
        @if selection.rows.is_empty() {
            p { "No images match. " a href="?#images" { "Show all images" } }
        } @else {
            (range(&query, &selection))
            ul .rows .images { @for row in &selection.rows { (image(row, view)) } }
            (controls::pages(&query, selection.pages, "images"))
        }
    }
}

/// Renders why a query is invalid.
pub fn invalid(error: &QueryError) -> Markup {
    html! {
        div .notice.bad role="alert" {
            h3 { "The address is not valid, so everything is shown" }
            p { (error) @if let Some(help) = error.help() { ": " (help) } "." }
        }
    }
}

fn range(query: &Query, selection: &Selection) -> Markup {
    let before = (query.page - 1) * query.limit;
    html! {
        p #range {
            "Images " (number(before + 1)) " to " (number(before + selection.rows.len()))
            " of " (number(selection.total)) @if query.is_narrow() { " that match" }
            @if query.state().is_empty() { ", problems first" }
        }
    }
}

fn image(row: &Row, view: &View) -> Markup {
    let status = &row.status;
    let candidate = status.candidate.as_ref().map(ToString::to_string);
    html! {
        li .image {
            div .subject { (parts::image(&status.image, &view.root)) }
            div .is { (parts::state(status.state)) }
            div .versions {
                (versions(&status.current))
                @if let Some(candidate) = &candidate {
                    " " span .arrow aria-hidden="true" { "→" } span .unseen { "candidate" } " " (version(candidate))
                }
            }
            div .place { (places(&status.current, &view.snapshot.status.stages.stages)) }
            div .when { @if let Some(since) = since(row, view) { span .unseen { "since " } (time(since, view.now)) } }
        }
    }
}

/// Returns since when an image is in its state. If it is up to date, history knows for how long, however often the agent was
/// restarted.
pub fn since(row: &Row, view: &View) -> Option<Timestamp> {
    match &view.snapshot.history {
        Some(log) if row.status.state == State::UpToDate => log.latest(&row.status.image).map(|moved| moved.at),
        _ => Some(row.since),
    }
}

/// The current versions of an image, without duplicates.
fn versions(places: &[FieldVersion]) -> Markup {
    let versions: BTreeSet<Option<String>> = places.iter().map(version_of).collect();
    html! {
        @for (at, version) in versions.iter().take(MOST).enumerate() {
            @if at > 0 { " " }
            (optional(version.as_deref()))
        }
        @if versions.len() > MOST { " and " (number(versions.len() - MOST)) " more" }
    }
}

/// Returns the version of a field as a text.
pub fn version_of(place: &FieldVersion) -> Option<String> {
    let version = Version { tag: place.tag.clone(), digest: place.digest.clone() };
    (!version.is_empty()).then(|| version.to_string())
}

/// The stages of an image, or else its file, or how many fields it has.
fn places(places: &[FieldVersion], stages: &[Name]) -> Markup {
    let is_in = |stage: &&Name| places.iter().any(|place| place.stage.as_ref() == Some(*stage));
    let own: Vec<&Name> = stages.iter().filter(is_in).collect();
    let (shown, more) = parts::first(&own, MOST);
    html! {
        @if !own.is_empty() {
            @for stage in shown { (pill(stage.as_str(), "plain")) " " }
            @if more > 0 { "and " (number(more)) " more" }
        } @else if let [place] = places {
            (parts::name(folder(&place.file)))
        } @else {
            (counted(places.len(), "field"))
        }
    }
}

/// Returns the folder of a kustomization, whose name says nothing, and other files as they are.
fn folder(file: &str) -> &str {
    let is_kustomization = |name: &str| name.starts_with("kustomization.");
    file.rsplit_once('/').filter(|(_, name)| is_kustomization(name)).map_or(file, |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::agent::page::example::{Page, crowd, shown};
    use crate::agent::snapshot::Snapshot;

    fn overview(snapshot: &Snapshot, query: &str) -> String {
        shown(Page::Overview, snapshot, query)
    }

    /// The images in the list of a page.
    fn listed(page: &str) -> Vec<&str> {
        let list = page.split_once("<ul class=\"rows images\">").map_or("", |(_, list)| list);
        let rows = list.split("href=\"images/ghcr.io/acme/app-").skip(1);
        rows.filter_map(|rest| rest.split_once('"')).map(|(name, _)| name).collect()
    }

    #[test]
    fn pages_show_every_image_once_and_problems_first() {
        let snapshot = crowd(1000);
        let mut seen = Vec::new();
        let mut query = String::new();
        loop {
            let page = overview(&snapshot, &query);
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
        let page = overview(&snapshot, "state=blocked&q=APP&page=2");
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
        assert_eq!(listed(&overview(&snapshot, "q=app-04999")), ["04999"]);
        assert!(overview(&snapshot, "q=%3Cscript%3E").contains("value=\"&lt;script&gt;\""));
        let stage = overview(&snapshot, "stage=nowhere&state=waiting");
        assert!(stage.contains("No images match.") && stage.contains("<option value=\"nowhere\" selected>"), "{stage}");
    }

    #[test]
    fn invalid_queries_are_explained_and_pages_past_the_last_show_the_last() {
        let snapshot = crowd(250);
        let page = overview(&snapshot, "state=blokced");
        assert!(page.contains("`blokced` is not an image state") && listed(&page).len() == 100, "{page}");
        let page = overview(&snapshot, "page=99");
        assert!(page.contains("There is no page 99") && listed(&page).len() == 50, "{page}");
        let page = overview(&snapshot, "q=nowhere");
        assert!(page.contains("No images match.") && listed(&page).is_empty(), "{page}");
    }
}
