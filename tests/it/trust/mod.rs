//! Who is obeyed: what messages of commits may order, and whose.

mod messages;
mod shown;
mod signers;
pub mod update;
