//! Webhooks, with which registries announce new images, so that a cycle starts at once.
//!
//! An event is only a hint: the cycle that it starts decides what is chosen, proved and deployed. So an event that is
//! replayed, late, or forged by someone who knows the secret does no harm.
//!
//! - [`config`]: its settings
//! - [`endpoint`]: `POST /webhooks/KIND`
//! - `authentic`: authentication of senders
//! - [`events`]: the images that an event names
//! - `payload`: the event in a body
//! - `refusals`: counts refused requests

mod authentic;
pub mod config;
pub mod endpoint;
pub mod events;
mod payload;
mod refusals;
