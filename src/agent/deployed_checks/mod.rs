//! Checks of what is deployed, which run beside cycles: whether all images can still be pulled, and whether pods run what
//! the repository says.
//!
//! - [`runner`]: starts them after cycles, and collects their results
//! - [`result`]: their results
//! - [`deployed_tracker`]: which images have become broken, and which work again
//! - [`drift_tracker`]: which drifts last, and which are over
//! - [`log`]: logs the results
//! - [`events`]: the events that people are notified of
//! - [`status`]: what the status page shows of them

pub mod deployed_tracker;
pub mod drift_tracker;
pub mod events;
pub mod log;
pub mod result;
pub mod runner;
pub mod status;
