//! Stages: when releases may move, and who says so.

mod promotion;
