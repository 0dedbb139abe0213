//! What is deployed: images that are broken in their registries, and pods that run something else.

use maud::{Markup, html};

use crate::agent::deployed_checks::result::Check;
use crate::agent::deployed_checks::status::{CheckStatus, Verified};
use crate::cycle::deployed::Deployed;
use crate::cycle::drift::compare::Drift;
use crate::image::Version;
use crate::text::lines;

use super::item::Item;
use super::moves::linked;
use super::parts::{self, command, counted, first, number, pill, prose, time};
use super::view::View;

/// The maximum number of images that are items of their own, and of drifts of one image.
const IMAGES: usize = 5;
const DRIFTS: usize = 5;

/// Returns what is wrong with deployed images, and which pods run something else.
pub fn items(view: &View) -> Vec<Item> {
    let status = &view.snapshot.checks;
    let mut items = Vec::new();
    if let Some(verified) = &status.deployed {
        let broken = |image: &Deployed| image.detail.clone();
        items.extend(of_images("broken in its registry", "bad", &verified.broken, broken, view));
        let expiring = |image: &Deployed| image.warning.clone();
        items.extend(of_images("about to be deleted by a cleanup", "wait", &verified.expiring, expiring, view));
    }
    items.extend(status.drifts.values().filter_map(|drifts| drifted(drifts, view)));
    items
}

/// Returns an item for each of the first images, and one for the others.
fn of_images(
    state: &str,
    tone: &str,
    images: &[Deployed],
    why: impl Fn(&Deployed) -> Option<String>,
    view: &View,
) -> Vec<Item> {
    let (shown, more) = first(images, IMAGES);
    let mut items: Vec<Item> = shown.iter().map(|image| of_image(state, tone, image, why(image), view)).collect();
    if more > 0 {
        items.push(Item {
            subject: html! { "and " (counted(more, "more image")) },
            state: pill(state, tone),
            text: html! { "List all of them:" },
            remedy: command("tagalong images verify"),
            since: None,
            count: more,
        });
    }
    items
}

fn of_image(state: &str, tone: &str, image: &Deployed, why: Option<String>, view: &View) -> Item {
    let version = Version { tag: image.tag.clone(), digest: image.digest.clone() };
    let more = image.places.len().saturating_sub(1);
    Item {
        subject: html! { (linked(&image.image, view)) },
        state: pill(state, tone),
        text: html! {
            (parts::version(&version.to_string())) ": " (prose(why.as_deref().unwrap_or_default()))
            @if let Some(place) = image.places.first() {
                " (" (parts::name(place)) @if more > 0 { " and " (number(more)) " more" } ")"
            }
        },
        remedy: html! {
            @if let Some(help) = &image.help { (prose(help)) } @else { "Verify it again: " (command("tagalong images verify")) }
        },
        since: None,
        count: 1,
    }
}

fn drifted(all: &[Drift], view: &View) -> Option<Item> {
    let image = &all.first()?.place.image;
    Some(Item {
        subject: linked(image, view),
        state: pill("drifted", "bad"),
        text: drifts(all),
        remedy: html! { "Apply what the repository says, or commit what runs." },
        since: None,
        count: 1,
    })
}

/// Renders the drifts of one image.
pub fn drifts(drifts: &[Drift]) -> Markup {
    let (shown, more) = first(drifts, DRIFTS);
    html! {
        @for (at, Drift { place, runs, says, pods }) in shown.iter().enumerate() {
            @if at > 0 { "; " }
            code { (place.namespace) "/" (place.workload) } ", container " code { (place.container) } ", runs "
            (parts::version(runs)) ", but the repository says " (prose(says)) " (pods: " (number(*pods)) ")"
        }
        @if more > 0 { "; and in " (counted(more, "more container")) }
    }
}

/// Renders the problems of the checks.
pub fn problems(status: &CheckStatus) -> Markup {
    html! {
        @for ((check, namespace), problem) in &status.problems {
            div .notice.bad {
                h2 {
                    @match check {
                        Check::Deployed => "The deployed images cannot be verified",
                        Check::Pods => "The pods cannot be compared with the repository",
                    }
                    @if !namespace.is_empty() { " in " (namespace) }
                }
                pre {
                    "error: " (lines(&problem.error))
                    @if let Some(help) = &problem.help { "\nhelp: " (lines(help)) }
                }
            }
        }
    }
}

/// Renders the last verification of the deployed images, if there is one.
pub fn summary(view: &View) -> Markup {
    html! {
        @if let Some(verified) = &view.snapshot.checks.deployed {
            @let Verified { at, images, unknown, broken, .. } = &**verified;
            p {
                (counted(*images, "deployed image")) " verified " (time(*at, view.now)) ": " (number(broken.len())) " broken"
                @if *unknown > 0 { ", " (number(*unknown)) " unknown because their registry did not answer" }
                "."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use crate::agent::deployed_checks::result::Problem;
    use crate::agent::page::example::{Page, shown, snapshot};
    use crate::cycle::deployed::Status;
    use crate::cycle::drift::compare::Place;

    use super::*;

    fn image(number: usize) -> Deployed {
        Deployed {
            image: format!("r.io/org/app-{number:03}").parse().expect("an image"),
            tag: "v1".parse().ok(),
            digest: None,
            status: Status::Broken,
            detail: Some("<b>incomplete".to_owned()),
            help: None,
            warning: None,
            places: vec!["a.yaml:3".to_owned(), "b.yaml:3".to_owned()],
            origin: None,
        }
    }

    fn drift() -> Drift {
        let place = Place {
            namespace: "apps".to_owned(),
            workload: "Deployment shop".to_owned(),
            container: "app".to_owned(),
            image: "ghcr.io/acme/shop".parse().expect("an image"),
        };
        Drift { place, runs: "v9".to_owned(), says: "v1".to_owned(), pods: 2 }
    }

    #[test]
    fn broken_images_and_problems_are_listed_escaped_and_within_bounds() {
        let broken: Vec<Deployed> = (0..300).map(image).collect();
        let at = Timestamp::UNIX_EPOCH;
        let verified = Verified { at, images: 1200, unknown: 3, broken, expiring: Vec::new() };
        let problem = Problem { error: "<i>denied".to_owned(), help: Some("add a rule".to_owned()) };
        let mut snapshot = snapshot();
        snapshot.checks = CheckStatus {
            deployed: Some(Arc::new(verified)),
            problems: [((Check::Pods, "apps".to_owned()), problem)].into(),
            ..CheckStatus::default()
        };
        let page = shown(Page::Overview, &snapshot, "");
        assert!(page.contains("1,200 deployed images verified") && page.contains("300 broken, 3 unknown"), "{page}");
        assert!(
            page.contains("app-004") && !page.contains("app-005") && page.contains("and 295 more images"),
            "{page}"
        );
        assert!(
            page.contains("&lt;b&gt;incomplete (a.<wbr>yaml:<wbr>3 and 1 more)") && !page.contains("<b>"),
            "{page}"
        );
        assert!(page.contains("repository in apps") && page.contains("&lt;i&gt;denied\nhelp: add a rule"), "{page}");
    }

    #[test]
    fn drifts_are_shown_with_what_runs_and_what_should() {
        let mut snapshot = snapshot();
        let drifts = [("ghcr.io/acme/shop".to_owned(), vec![drift(); 7])];
        snapshot.checks = CheckStatus { drifts: Arc::new(drifts.into()), ..CheckStatus::default() };
        for page in [shown(Page::Overview, &snapshot, ""), shown(Page::Image, &snapshot, "ghcr.io/acme/shop")] {
            let text =
                "<code>apps/Deployment shop</code>, container <code>app</code>, runs <code class=\"tag\">v9</code>";
            assert!(page.contains(text) && page.contains("and in 2 more containers"), "{page}");
        }
    }
}
