//! Stages: when releases may move, and who says so.

mod approvals;
mod attacks;
mod model;
mod promotion;
mod releases;
mod scene;
mod story;
mod windows;
