//! Stages in a cycle: what they hold, which releases enter them now, and what the others wait for.
//!
//! - [`checks`]: the checks that releases have to pass in the stages before
//! - [`known`]: the evidence that a cycle has gathered
//! - [`planning`]: plans promotions
//! - [`report`]: what a cycle found out about stages
//! - [`reviews`]: approvals at the forge
//! - [`unrecorded`]: promotions whose approvals are not in history yet
//! - [`status`]: what the stages hold, for reports

pub mod checks;
pub mod known;
pub mod planning;
pub mod report;
pub mod reviews;
pub mod status;
pub mod unrecorded;
