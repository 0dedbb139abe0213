//! Updates: which tag is chosen, and how it reaches the branch.

mod calver;
mod charts;
mod charts_in_indexes;
mod commit_order;
mod digit_tags;
mod filters;
mod follow;
mod image_dates;
mod marked;
mod moved_tags;
mod never_back;
mod pull_requests;
mod push_order;
mod same_build;
