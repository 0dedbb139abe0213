//! Compares each verification of the deployed images with the one before, so that what changes is reported once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::cycle::deployed::{Deployed, Status};

use super::result::{Mended, Verification, reference_of};

/// The images that were broken or about to be deleted in the last verification, by their references.
#[derive(Debug, Default)]
pub struct DeployedTracker {
    broken: BTreeMap<String, Deployed>,
    expiring: BTreeSet<String>,
}

impl DeployedTracker {
    /// Takes the images of a verification. One that could not be verified is as it was before.
    pub fn update(&mut self, images: Vec<Deployed>, at: Timestamp) -> Verification {
        let (total, unknown) = (images.len(), images.iter().filter(|image| image.status == Status::Unknown).count());
        let expiring: Vec<Deployed> = images.iter().filter(|image| image.warning.is_some()).cloned().collect();
        let mut by_reference: BTreeMap<String, Deployed> =
            images.into_iter().map(|image| (reference_of(&image).to_string(), image)).collect();
        let mut mended = Vec::new();
        self.broken.retain(|reference, before| {
            let now = by_reference.get(reference);
            let is_over = now.is_none_or(|now| now.status == Status::Ok);
            if is_over {
                mended.push(Mended { image: reference_of(before), is_deployed: now.is_some() });
            }
            !is_over
        });
        by_reference.retain(|_, image| image.status == Status::Broken);
        let is_new = |(reference, _): &(&String, &Deployed)| !self.broken.contains_key(*reference);
        let newly_broken = by_reference.iter().filter(is_new).map(|(_, image)| image.clone()).collect();
        self.broken.extend(by_reference);
        let named: BTreeSet<String> = expiring.iter().map(|image| reference_of(image).to_string()).collect();
        let was_known = |image: &&Deployed| self.expiring.contains(&reference_of(image).to_string());
        let newly_expiring = expiring.iter().filter(|image| !was_known(image)).cloned().collect();
        self.expiring = named;
        let broken = self.broken.values().cloned().collect();
        Verification { at, images: total, broken, unknown, expiring, newly_broken, mended, newly_expiring }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(name: &str, status: Status, warning: Option<&str>) -> Deployed {
        Deployed {
            image: format!("r.io/org/{name}").parse().expect("an image"),
            tag: "v1".parse().ok(),
            digest: None,
            status,
            detail: None,
            help: None,
            warning: warning.map(str::to_owned),
            places: Vec::new(),
            origin: None,
        }
    }

    #[test]
    fn what_changes_is_reported_once_and_doubt_changes_nothing() {
        let mut tracker = DeployedTracker::default();
        let mut verify = |a: Status, others: &[Deployed]| {
            let images = [image("a", a, None)].iter().chain(others).cloned().collect();
            let found = tracker.update(images, Timestamp::UNIX_EPOCH);
            (found.broken.len(), found.newly_broken.len(), found.mended, found.newly_expiring.len())
        };
        let b = [image("b", Status::Ok, Some("soon"))];
        assert_eq!(verify(Status::Broken, &b), (1, 1, vec![], 1));
        assert_eq!(verify(Status::Broken, &b), (1, 0, vec![], 0));
        assert_eq!(verify(Status::Unknown, &b), (1, 0, vec![], 0));
        let mended = |name: &str, is_deployed| {
            vec![Mended { image: format!("r.io/org/{name}:v1").parse().expect("an image"), is_deployed }]
        };
        assert_eq!(verify(Status::Ok, &[]), (0, 0, mended("a", true), 0));
        assert_eq!(verify(Status::Unknown, &[image("b", Status::Broken, None)]), (1, 1, vec![], 0));
        assert_eq!(verify(Status::Ok, &[]), (0, 0, mended("b", false), 0));
    }
}
