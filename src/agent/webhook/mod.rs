//! Being told of pushes: what registries send when there is a new image, so that its cycle begins at once.
//!
//! An event is a hint and nothing else: what is chosen, proved and deployed is decided by the cycle that it starts. So an
//! event that is sent again, late or by someone who knows the secret does no harm.
//!
//! - [`config`]: what it has to be told
//! - [`endpoint`]: `POST /webhooks/KIND`
//! - `authentic`: who sent an event
//! - `events`: what an event says

mod authentic;
pub mod config;
pub mod endpoint;
mod events;
