//! Metrics of the states of images. The number of series is bounded, however many images there are.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::agent::listing::Counts;
use crate::agent::query::KEPT_BACK;
use crate::cycle::status::{ImageStatus, State};

/// The most images that have a series of their own for being kept back.
pub(super) const KEPT_BACK_SERIES: usize = 100;

/// The labels of a kept-back image.
type Labels = [(&'static str, String); 2];

/// Metrics of the states of images in the last cycle.
#[derive(Debug, Default)]
pub struct ImageMetrics {
    images: Family<[(&'static str, String); 1], Gauge>,
    kept_back: Family<Labels, Gauge>,
    omitted: Gauge,
    /// The labels that `kept_back` currently has.
    shown: Mutex<BTreeSet<Labels>>,
}

impl ImageMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Images by how they stood in the last cycle";
        registry.register("images", help, self.images.clone());
        let help = "1 for each image that something kept back in the last cycle, with the reason; the worst of many";
        registry.register("image_kept_back", help, self.kept_back.clone());
        let help = "Images that something kept back in the last cycle and that have no tagalong_image_kept_back";
        registry.register("image_kept_back_omitted", help, self.omitted.clone());
    }

    pub(super) fn set(&self, images: &[ImageStatus]) {
        let counts: Counts = images.iter().map(|image| &image.state).collect();
        for state in State::ALL {
            self.images.get_or_create(&[("state", state.name().to_owned())]).set(counts.of(state) as i64);
        }
        self.keep_back(images, counts.sum(&KEPT_BACK));
    }

    pub(super) fn clear(&self) {
        self.images.clear();
        self.keep_back(&[], 0);
    }

    /// Shows the images that are kept back, ordered by severity and then by name, so that each cycle omits the same
    /// ones. A series that stays is never removed in between.
    fn keep_back(&self, images: &[ImageStatus], count: usize) {
        let worst = KEPT_BACK.iter().flat_map(|state| images.iter().filter(move |image| image.state == *state));
        let labels = |image: &ImageStatus| -> Labels {
            [("image", image.image.to_string()), ("reason", image.state.name().to_owned())]
        };
        let shown: BTreeSet<Labels> = worst.take(KEPT_BACK_SERIES).map(labels).collect();
        let mut before = self.shown.lock();
        for gone in before.difference(&shown) {
            self.kept_back.remove(gone);
        }
        for new in shown.difference(&before) {
            self.kept_back.get_or_create(new).set(1);
        }
        self.omitted.set((count - shown.len()) as i64);
        *before = shown;
    }
}
