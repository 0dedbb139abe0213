//! Bodies of webhooks, in every format: an event names a limited number of images, and no more than it has bytes for.

use tagalong::agent::webhook::config::Kind;
use tagalong::agent::webhook::events::updated_images;

/// An agent looks at no more images than this for one event.
const MOST: usize = 1_000;

pub fn run(bytes: &[u8]) {
    for kind in Kind::ALL {
        let Ok(targets) = updated_images(kind, bytes) else { continue };
        assert!(targets.len() <= MOST, "{kind}");
        for target in targets {
            assert!(!target.path.is_empty() && target.path.len() <= 2 * bytes.len() + "library/".len(), "{kind}");
            assert!(!target.path.bytes().any(|byte| byte.is_ascii_uppercase()), "{kind}: {target:?}");
        }
    }
}
