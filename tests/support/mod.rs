//! Real servers for tests, and the program under test.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod certificates;
pub mod git;
pub mod infra;
pub mod process;
pub mod registry;
pub mod scripted;
pub mod sops;
pub mod tagalong;
