//! The overview: how the agent is, what needs attention, what waits, what moved lately, and all images.

use maud::{Markup, html};

use crate::agent::query::{Query, QueryError, WAITING};
use crate::agent::status::{Done, Failed, Notes};
use crate::cluster::election::Leadership;
use crate::text::lines;

use super::layout::{Tab, page};
use super::parts::{command, commit, counted, number, prose, time};
use super::view::View;
use super::{attention, deployed, images, moves, waiting};

/// Renders the overview with the images that a query asks for; with all images and an error if the query is invalid.
pub fn overview(view: &View, query: &Result<Query, QueryError>) -> Markup {
    let items = attention::items(view);
    let count = attention::count(&items);
    let health = Health::of(view, count);
    let main = html! {
        section #overview .(health.tone) aria-labelledby="health" {
            h1 #health { (health.text) }
            (last_cycle(view))
            (deployed::summary(view))
            (notices(view))
        }
        (attention::section(&items, view))
        (waiting::section(view))
        (moves::lately(view))
        (images::section(view, query))
        (notes(&view.snapshot.status.notes))
    };
    page(view, Tab::Overview, &health.title, &main)
}

/// How the agent is, in one sentence.
struct Health {
    tone: &'static str,
    text: String,
    /// The start of the title of the page.
    title: String,
}

impl Health {
    fn of(view: &View, attention: usize) -> Health {
        let status = &view.snapshot.status;
        let is = |tone, text: &str, title: &str| Health { tone, text: text.to_owned(), title: title.to_owned() };
        let need = if attention == 1 { "needs" } else { "need" };
        let waiting = status.images.counts().sum(&WAITING);
        match (&status.failed, &status.done) {
            (Some(failed), _) if failed.consecutive > 1 => {
                let text = format!("The last {} cycles failed", number(failed.consecutive as usize));
                is("bad", &text, "Failing")
            }
            (Some(_), _) => is("bad", "The last cycle failed", "Failing"),
            (None, None) => match &view.snapshot.leadership {
                Leadership::Follower { .. } => is("good", "Standing by", ""),
                _ => is("busy", "The first cycle is running", ""),
            },
            _ if view.snapshot.is_suspended => is("wait", "Paused: nothing is updated", "Paused"),
            _ if attention > 0 => {
                let text = format!("{} {need} attention", number(attention));
                is("bad", &text, &text)
            }
            _ if waiting > 0 => {
                let text = format!("Nothing needs attention, {} waiting", counted(waiting, "image"));
                is("good", &text, "")
            }
            _ => is("good", "Everything is up to date", ""),
        }
    }
}

fn last_cycle(view: &View) -> Markup {
    html! {
        @match &view.snapshot.status.done {
            Some(Done { number: cycle, at, seconds, head }) => p {
                "Cycle " (number(*cycle as usize)) " finished " (time(*at, view.now)) " after " (format!("{seconds:.1}")) " s, at commit "
                (commit(head, view.link())) ", with " (counted(view.snapshot.status.images.rows().len(), "image")) "."
            },
            None => p { "No cycle has finished yet." },
        }
    }
}

/// What concerns the agent as a whole.
fn notices(view: &View) -> Markup {
    let snapshot = view.snapshot;
    html! {
        @if let Some(failed) = &snapshot.status.failed { (failure(failed, view)) }
        @if let Some((at, why)) = &snapshot.rejected_config {
            div .notice.bad {
                h2 { "The new configuration was rejected" }
                p { "The previous one stays in use. Read " (time(*at, view.now)) ":" }
                pre { (lines(why)) }
            }
        }
        @match &snapshot.leadership {
            Leadership::Leader => {},
            Leadership::Follower { leader } => div .notice {
                h2 { "Another replica leads" }
                p { code { (leader) } " pushes. This replica takes over when that one is gone." }
            },
            Leadership::Unknown { reason: why } => div .notice.bad {
                h2 { "The leader is unknown" }
                p { "This replica pushes nothing until it is known." }
                @if let Some(why) = why { pre { (lines(why)) } }
            },
        }
        @for (task, problem) in &snapshot.watch_troubles {
            div .notice.bad { h2 { (task.product.to_string()) " cannot be reached" } pre { (lines(problem)) } }
        }
        (deployed::problems(&snapshot.checks))
        @if snapshot.is_suspended {
            div .notice { h2 { "Suspended" } p { "Nothing is updated while " code { "agent.suspend" } " is set." } }
        }
    }
}

fn failure(failed: &Failed, view: &View) -> Markup {
    html! {
        div .notice.bad {
            h2 { "Cycle " (number(failed.number as usize)) " failed" }
            p {
                (time(failed.at, view.now))
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

fn notes(notes: &Notes) -> Markup {
    html! {
        @if !notes.first.is_empty() {
            section #notes aria-labelledby="notes-title" {
                h2 #notes-title { "Notes on the repository" }
                ul .notes { @for note in &notes.first { li { (prose(note)) } } }
                @if notes.more > 0 {
                    p { "and " (number(notes.more)) " more: " (command("tagalong sync --dry-run")) " shows them all." }
                }
            }
        }
    }
}
