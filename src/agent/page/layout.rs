//! The frame of every page: its head, the links to the other pages, and its foot.

use maud::{DOCTYPE, Markup, html};

use crate::secret::SafeUrl;

use super::parts::{name, time};
use super::view::View;

/// The pages that all others link to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// What needs attention, and the list of images.
    Overview,
    /// The board of stages.
    Stages,
    /// Figures, and what moved when.
    Timeline,
    /// None of them.
    Other,
}

/// Renders a page.
pub fn page(view: &View, tab: Tab, title: &str, main: &Markup) -> Markup {
    let root = &view.root;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) @if !title.is_empty() { " · " } "Tagalong" }
                link rel="icon" href={ (root) "icon.svg" } type="image/svg+xml";
                link rel="stylesheet" href={ (root) "style.css" };
                script src={ (root) "page.js" } defer {}
            }
            body {
                a .skip href="#main" { "Skip to the content" }
                header .top {
                    a .brand href=(view.home()) { "Tagalong" }
                    nav aria-label="Pages" {
                        (link(view.home(), "Overview", tab == Tab::Overview))
                        @if view.has_stages() { (link(&format!("{root}stages"), "Stages", tab == Tab::Stages)) }
                        (link(&format!("{root}timeline"), "Timeline", tab == Tab::Timeline))
                    }
                    @if let Some((url, branch)) = &view.snapshot.repository { (repository(url, branch)) }
                }
                main #main tabindex="-1" { (main) }
                footer {
                    p {
                        "tagalong " span .token { (env!("CARGO_PKG_VERSION")) } ", started "
                        (time(view.snapshot.started, view.now)) ". "
                        span #live { "Reload the page to see what is new." }
                    }
                    p { a href={ (root) "status" } { "JSON" } " · " a href={ (root) "metrics" } { "Metrics" } " · " a href={ (root) "readyz" } { "Readiness" } }
                }
            }
        }
    }
}

/// The repository and its branch, with a link to the forge.
fn repository(url: &SafeUrl, branch: &str) -> Markup {
    html! {
        p .repository {
            code { (name(branch)) } " of "
            @match url.page() {
                Some(page) => a href=(page) { (name(page.as_str().split_once("://").map_or("", |(_, rest)| rest))) },
                None => (name(&url.to_string())),
            }
        }
    }
}

fn link(address: &str, text: &str, is_here: bool) -> Markup {
    let current = is_here.then_some("page");
    html! { a href=(address) aria-current=[current] { (text) } }
}
