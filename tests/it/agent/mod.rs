//! The running agent: health, metrics, status page, traces, webhooks, notifications.

mod connections;
mod health;
mod many_images;
mod metrics;
mod notifications;
mod status_page;
mod traces;
mod webhooks;
