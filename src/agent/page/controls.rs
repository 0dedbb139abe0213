//! The controls of the list of images: counts by state, a filter, and links between pages. They are links and a form, so
//! they work without JavaScript.

use maud::{Markup, html};

use crate::agent::listing::{BY_TROUBLE, Selection};
use crate::agent::query::{GROUPS, MAX_TEXT, Query};
use crate::cycle::status::State;

use super::parts::{label, number};

/// The number of pages before and after this one that have links of their own.
const NEIGHBOURS: usize = 2;

/// The number of images in each state, with links to them.
pub fn counts(query: &Query, selection: &Selection) -> Markup {
    let count = |shown: &str, class: &str, states: &[State]| {
        let target = query.with(states);
        let is_current = (target.state() == query.state()).then_some("true");
        let sum = selection.counts.sum(if states.is_empty() { &State::ALL } else { states });
        html! {
            @if sum > 0 || is_current.is_some() {
                li {
                    a .state .(class) href={ (target.link()) "#images" } aria-current=[is_current] {
                        (shown) " " strong { (number(sum)) }
                    }
                }
            }
        }
    };
    // A group is only useful if it has images in more than one state.
    let is_mixed = |states: &[State]| states.iter().filter(|state| selection.counts.of(**state) > 0).count() > 1;
    let groups = GROUPS.into_iter().filter(|(name, states)| is_mixed(states) || *name == query.state());
    html! {
        nav aria-label="Images by state" {
            ul .counts {
                (count("all", "any", &[]))
                @for (name, states) in groups { (count(&name.replace('-', " "), name, states)) }
                @for state in BY_TROUBLE { (count(label(state), state.name(), &[state])) }
            }
        }
    }
}

/// The form that filters by state and by text.
pub fn filter(query: &Query) -> Markup {
    let current = query.state();
    let named = GROUPS.iter().map(|(name, _)| (*name, name.replace('-', " ")));
    let options: Vec<(&str, String)> =
        named.chain(BY_TROUBLE.into_iter().map(|state| (state.name(), label(state).to_owned()))).collect();
    let is_other = !current.is_empty() && options.iter().all(|(name, _)| *name != current);
    html! {
        form .filter role="search" aria-label="Images" action="#images" {
            label {
                "Image, tag or file"
                input type="search" name="q" value=(query.text) maxlength=(MAX_TEXT) autocomplete="off" spellcheck="false";
            }
            label {
                "State"
                select name="state" {
                    option value="" { "any" }
                    @if is_other { option value=(current) selected { (current) } }
                    @for (name, shown) in &options {
                        option value=(name) selected[*name == current] { (shown) }
                    }
                }
            }
            @if let Some(limit) = query.custom_limit() { input type="hidden" name="limit" value=(limit); }
            button type="submit" { "Filter" }
            @if query.is_narrow() { a href="?#images" { "Show all" } }
        }
    }
}

/// Links to the other pages of the same query.
pub fn pages(query: &Query, selection: &Selection) -> Markup {
    let (page, last) = (query.page, selection.pages);
    let near = page.saturating_sub(NEIGHBOURS).max(1)..=(page + NEIGHBOURS).min(last);
    html! {
        @if last > 1 {
            nav aria-label="Pages of images" {
                ul .pages {
                    @if page > 1 { li { (to(query, page - 1, "Previous", Some("prev"))) } }
                    @if *near.start() > 1 { li { (to(query, 1, "1", None)) } }
                    @if *near.start() > 2 { li aria-hidden="true" { "…" } }
                    @for near in near.clone() { li { (to(query, near, &number(near), None)) } }
                    @if *near.end() + 1 < last { li aria-hidden="true" { "…" } }
                    @if *near.end() < last { li { (to(query, last, &number(last), None)) } }
                    @if page < last { li { (to(query, page + 1, "Next", Some("next"))) } }
                }
            }
        }
    }
}

fn to(query: &Query, page: usize, shown: &str, rel: Option<&str>) -> Markup {
    let is_here = (page == query.page).then_some("page");
    html! {
        a href={ (query.on(page).link()) "#images" } rel=[rel] aria-current=[is_here] {
            @if rel.is_none() { span .unseen { "Page " } }
            (shown)
        }
    }
}
