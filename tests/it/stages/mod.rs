//! Stages: when releases may move, and who says so.

mod approvals;
mod promotion;
mod pull_requests;
mod releases;
mod reviewers;
mod scene;
mod story;
mod windows;
