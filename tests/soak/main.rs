//! The long tests, in a crate of their own because the others would have to wait for them. `./test --large` makes them
//! much longer.

mod chaos;
mod memory;
#[path = "../it/support/mod.rs"]
#[allow(dead_code, reason = "the soak tests use a part of it")]
mod support;
