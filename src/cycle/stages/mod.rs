//! Stages in a cycle: what they hold, which releases enter them now, and what the others wait for.
//!
//! - [`planning`]: plans promotions
//! - [`status`]: what the stages hold, for reports

pub mod planning;
pub mod status;
