//! Stages: when releases may move, and who says so.

mod agent;
mod approvals;
mod attacks;
mod model;
mod promotion;
mod recipes;
mod releases;
mod scene;
mod story;
mod windows;
