//! The running agent: health, metrics, status page, traces, webhooks, notifications, deployed images.

mod comparisons;
mod connections;
mod deployed_images;
mod health;
mod log;
mod many_images;
mod metrics;
mod notifications;
mod status_page;
mod traces;
mod webhooks;
