//! What is deployed: images that are broken in their registries, and pods that run something else.

use maud::{Markup, html};

use crate::agent::deployed_checks::result::{Check, reference_of};
use crate::agent::deployed_checks::status::{CheckStatus, Verified};
use crate::cycle::deployed::Deployed;
use crate::cycle::drift::compare::Drift;
use crate::text::lines;

use super::parts::{first, number, shortened, time};

/// The maximum number of images that are listed, and of drifts of one image.
const IMAGES: usize = 20;
const DRIFTS: usize = 5;

/// Renders the problems of the checks, for the overview.
pub fn problems(status: &CheckStatus) -> Markup {
    html! {
        @for ((check, namespace), problem) in &status.problems {
            div .notice.bad {
                h3 {
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
pub fn section(status: &CheckStatus) -> Markup {
    html! {
        @if let Some(verified) = &status.deployed {
            section aria-labelledby="deployed" {
                h2 #deployed { "Deployed images" }
                (summary(verified))
                (list("Broken in their registry", &verified.broken, |image| image.detail.as_deref()))
                (list("About to be deleted by a cleanup", &verified.expiring, |image| image.warning.as_deref()))
            }
        }
    }
}

fn summary(verified: &Verified) -> Markup {
    let Verified { at, images, unknown, broken, .. } = verified;
    html! {
        p {
            (number(*images)) " verified " (time(*at)) ": " (number(broken.len())) " broken"
            @if *unknown > 0 { ", " (number(*unknown)) " unknown because their registry did not answer" }
            "."
        }
    }
}

fn list(title: &str, images: &[Deployed], why: impl Fn(&Deployed) -> Option<&str>) -> Markup {
    let (shown, more) = first(images, IMAGES);
    html! {
        @if !shown.is_empty() {
            h3 { (title) }
            ul {
                @for image in shown {
                    li {
                        code { (reference_of(image)) }
                        @if let Some(why) = why(image) { ": " (shortened(why)) }
                        @if let Some(place) = image.places.first() {
                            " (" code { (shortened(place)) }
                            @if image.places.len() > 1 { " and " (number(image.places.len() - 1)) " more" }
                            ")"
                        }
                    }
                }
            }
            @if more > 0 { p { "and " (number(more)) " more: " code { "tagalong images verify" } " lists them all." } }
        }
    }
}

/// Renders the drifts of one image.
pub fn drifts(drifts: &[Drift]) -> Markup {
    let (shown, more) = first(drifts, DRIFTS);
    html! {
        @for Drift { place, runs, says, pods } in shown {
            p {
                strong { "drifted" } ": " code { (place.namespace) "/" (place.workload) } ", container "
                code { (place.container) } ", runs " code { (shortened(runs)) } ", but the repository says "
                (shortened(says)) " (pods: " (number(*pods)) ")"
            }
        }
        @if more > 0 { p { "and in " (number(more)) " more containers" } }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use crate::agent::deployed_checks::result::Problem;
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
        }
    }

    #[test]
    fn broken_images_and_problems_are_listed_escaped_and_within_bounds() {
        let broken: Vec<Deployed> = (0..300).map(image).collect();
        let at = Timestamp::UNIX_EPOCH;
        let verified = Verified { at, images: 1200, unknown: 3, broken, expiring: Vec::new() };
        let problem = Problem { error: "<i>denied".to_owned(), help: Some("add a rule".to_owned()) };
        let status = CheckStatus {
            deployed: Some(Arc::new(verified)),
            problems: [((Check::Pods, "apps".to_owned()), problem)].into(),
            ..CheckStatus::default()
        };
        let page = section(&status).into_string();
        assert!(page.contains("1,200 verified") && page.contains("300 broken, 3 unknown"), "{page}");
        assert!(page.contains("app-019") && !page.contains("app-020") && page.contains("and 280 more"), "{page}");
        assert!(
            page.contains("&lt;b&gt;incomplete (<code>a.yaml:3</code> and 1 more)") && !page.contains("<b>"),
            "{page}"
        );
        let page = problems(&status).into_string();
        assert!(page.contains("repository in apps") && page.contains("&lt;i&gt;denied\nhelp: add a rule"), "{page}");
        assert_eq!(section(&CheckStatus::default()).into_string(), "");
    }

    #[test]
    fn drifts_are_shown_with_what_runs_and_what_should() {
        let place = Place {
            namespace: "apps".to_owned(),
            workload: "Deployment shop".to_owned(),
            container: "app".to_owned(),
            image: "r.io/org/app".parse().expect("an image"),
        };
        let drift = Drift { place, runs: "v9".to_owned(), says: "v1".to_owned(), pods: 2 };
        let page = drifts(&vec![drift; 7]).into_string();
        assert!(
            page.contains("<code>apps/Deployment shop</code>, container <code>app</code>, runs <code>v9</code>"),
            "{page}"
        );
        assert!(page.contains("and in 2 more containers"), "{page}");
    }
}
