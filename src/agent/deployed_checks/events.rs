//! The events about what is deployed: broken images and drifts, each once, and when they are over.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::agent::sightings::Sightings;
use crate::cycle::deployed::Deployed;
use crate::cycle::drift::compare::{Drift, Place};
use crate::notify::event::{Event, Kind};

use super::result::{CheckResult, Look, Mended, Verification, reference_of};

/// Turns the results of checks into events, and remembers what it has reported.
#[derive(Debug, Default)]
pub struct CheckTracker {
    broken: BTreeMap<String, Sightings>,
    drifts: BTreeMap<Place, Sightings>,
}

impl CheckTracker {
    /// Returns the events for the result of a check.
    pub fn events(&mut self, result: &CheckResult, now: Instant, template: &Event) -> Vec<Event> {
        match result {
            CheckResult::Deployed(verification) => self.of_images(verification, now, template),
            CheckResult::Pods(look) => self.of_pods(look, now, template),
            CheckResult::Failed(..) => Vec::new(),
        }
    }

    fn of_images(&mut self, verification: &Verification, now: Instant, template: &Event) -> Vec<Event> {
        let mut events = Vec::new();
        for image in &verification.newly_broken {
            let reference = reference_of(image);
            if self.broken.entry(reference.to_string()).or_default().seen(1, now) {
                let title = format!("{reference} is deployed, but broken in its registry");
                events.push(about_image(image, Event { kind: Kind::DeployedBroken, title, ..template.clone() }));
            }
        }
        for Mended { image, is_deployed } in &verification.mended {
            if self.broken.get_mut(&image.to_string()).is_some_and(Sightings::over) {
                let now = if *is_deployed { "is complete again" } else { "is broken, but no longer deployed" };
                let (name, tag) =
                    (Some(image.repository.to_string()), image.version.tag.as_ref().map(ToString::to_string));
                let title = format!("{image} {now}");
                events.push(Event { kind: Kind::Recovered, title, image: name, tag, ..template.clone() });
            }
        }
        self.broken.retain(|_, known| known.matters(now));
        events
    }

    fn of_pods(&mut self, look: &Look, now: Instant, template: &Event) -> Vec<Event> {
        let about = |place: &Place, event: Event| Event { image: Some(place.image.to_string()), ..event };
        let mut events = Vec::new();
        for Drift { place, runs, says, pods } in &look.began {
            if self.drifts.entry(place.clone()).or_default().seen(1, now) {
                let title = format!("{} runs {runs}, but the repository says {says}", name_of(place));
                let detail = format!("container {}, pods: {pods}", place.container);
                events.push(about(place, Event { kind: Kind::Drifted, title, detail, ..template.clone() }));
            }
        }
        for Drift { place, .. } in &look.ended {
            if self.drifts.get_mut(place).is_some_and(Sightings::over) {
                let title = format!("{} runs what the repository says again", name_of(place));
                events.push(about(place, Event { kind: Kind::Recovered, title, ..template.clone() }));
            }
        }
        self.drifts.retain(|_, known| known.matters(now));
        events
    }
}

/// `Deployment shop in apps`.
fn name_of(place: &Place) -> String {
    format!("{} in {}", place.workload, place.namespace)
}

fn about_image(image: &Deployed, event: Event) -> Event {
    let help = image.help.as_ref().map(|help| format!("help: {help}"));
    let places = format!("deployed by {}", image.places.join(", "));
    let detail: Vec<String> = image.detail.clone().into_iter().chain(help).chain([places]).collect();
    let tag = image.tag.as_ref().map(ToString::to_string);
    Event { image: Some(image.image.to_string()), tag, detail: detail.join("\n"), ..event }
}
