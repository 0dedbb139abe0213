//! The long tests, in a crate of their own because they would keep the others waiting. `./test --large` makes them far
//! longer still.

mod chaos;
mod memory;
#[path = "../it/support/mod.rs"]
#[allow(dead_code, reason = "the soak tests use a part of it")]
mod support;
