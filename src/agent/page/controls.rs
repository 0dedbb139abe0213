//! The controls of lists: counts by state, filters, and links between pages. They are links and forms, so they work without
//! JavaScript.

use maud::{Markup, html};

use crate::agent::listing::{BY_TROUBLE, Selection};
use crate::agent::query::{GROUPS, MAX_TEXT, Query};
use crate::cycle::status::State;
use crate::stage::name::Name;

use super::parts::{label, number, tone};

/// The number of pages before and after this one that have links of their own.
const NEIGHBOURS: usize = 2;
/// The groups that have a count of their own.
const COUNTED: [&str; 2] = ["attention", "waiting"];

/// The number of images in each state, with links to them.
pub fn counts(query: &Query, selection: &Selection) -> Markup {
    let count = |shown: &str, tone: &str, name: &str, states: &[State]| {
        let target = query.with(states);
        let is_current = (target.state() == query.state()).then_some("true");
        let sum = selection.counts.sum(if states.is_empty() { &State::ALL } else { states });
        html! {
            @if sum > 0 || is_current.is_some() {
                li {
                    a .pill .(tone) .(name) href={ (target.link()) "#images" } aria-current=[is_current] {
                        (shown) " " strong { (number(sum)) }
                    }
                }
            }
        }
    };
    // A group is only useful if it has images in more than one state.
    let is_mixed = |states: &[State]| states.iter().filter(|state| selection.counts.of(**state) > 0).count() > 1;
    let groups = GROUPS
        .into_iter()
        .filter(|(name, states)| COUNTED.contains(name) && is_mixed(states) || *name == query.state());
    html! {
        nav aria-label="Images by state" {
            ul .counts {
                (count("all", "plain", "any", &[]))
                @for (name, states) in groups { (count(group(name), "plain", name, states)) }
                @for state in BY_TROUBLE { (count(label(state), tone(state), state.name(), &[state])) }
            }
        }
    }
}

/// Returns the text for a group of states.
fn group(name: &str) -> &str {
    match name {
        "attention" => "needs attention",
        "kept-back" => "kept back",
        name => name,
    }
}

/// The form that filters images by state, stage and text.
pub fn filter(query: &Query, stages: &[Name]) -> Markup {
    let current = query.state();
    let named = GROUPS.iter().map(|(name, _)| (*name, group(name)));
    let options: Vec<(&str, &str)> =
        named.chain(BY_TROUBLE.into_iter().map(|state| (state.name(), label(state)))).collect();
    let is_other = !current.is_empty() && options.iter().all(|(name, _)| *name != current);
    html! {
        form .filter role="search" aria-label="Images" action="#images" {
            (search(query, "Image, tag or file"))
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
            (stage(query, stages))
            @if let Some(limit) = query.custom_limit() { input type="hidden" name="limit" value=(limit); }
            button type="submit" { "Filter" }
            @if query.is_narrow() { a href="?#images" { "Show all" } }
        }
    }
}

/// The form that filters releases or moves by stage and text.
pub fn short_filter(query: &Query, stages: &[Name], what: &str, label: &str) -> Markup {
    html! {
        form .filter role="search" aria-label=(what) {
            (search(query, label))
            (stage(query, stages))
            button type="submit" { "Filter" }
            @if query.is_narrow() { a href="?" { "Show all" } }
        }
    }
}

fn search(query: &Query, label: &str) -> Markup {
    html! {
        label {
            (label)
            input type="search" name="q" value=(query.text) maxlength=(MAX_TEXT) autocomplete="off" spellcheck="false";
        }
    }
}

fn stage(query: &Query, stages: &[Name]) -> Markup {
    let is_other = !query.stage.is_empty() && stages.iter().all(|stage| stage.as_str() != query.stage);
    html! {
        @if !stages.is_empty() || is_other {
            label {
                "Stage"
                select name="stage" {
                    option value="" { "any" }
                    @if is_other { option value=(query.stage) selected { (query.stage) } }
                    @for stage in stages { option value=(stage) selected[stage.as_str() == query.stage] { (stage) } }
                }
            }
        }
    }
}

/// Links to the other pages of the same query.
pub fn pages(query: &Query, last: usize, what: &str) -> Markup {
    let page = query.page.min(last);
    let near = page.saturating_sub(NEIGHBOURS).max(1)..=(page + NEIGHBOURS).min(last);
    let to = |page: usize, shown: &str, rel: Option<&str>| {
        let is_here = (page == query.page).then_some("page");
        html! {
            a href={ (query.on(page).link()) "#" (what) } rel=[rel] aria-current=[is_here] {
                @if rel.is_none() { span .unseen { "Page " } }
                (shown)
            }
        }
    };
    html! {
        @if last > 1 {
            nav aria-label={ "Pages of " (what) } {
                ul .pages {
                    @if page > 1 { li { (to(page - 1, "Previous", Some("prev"))) } }
                    @if *near.start() > 1 { li { (to(1, "1", None)) } }
                    @if *near.start() > 2 { li aria-hidden="true" { "…" } }
                    @for near in near.clone() { li { (to(near, &number(near), None)) } }
                    @if *near.end() + 1 < last { li aria-hidden="true" { "…" } }
                    @if *near.end() < last { li { (to(last, &number(last), None)) } }
                    @if page < last { li { (to(page + 1, "Next", Some("next"))) } }
                }
            }
        }
    }
}
