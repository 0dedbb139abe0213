//! Stages: when releases may move, and who says so.

mod agent;
mod approvals;
mod attacks;
mod model;
mod promotion;
mod pull_requests;
mod recipes;
mod releases;
mod reviewers;
pub mod scene;
mod story;
mod windows;
