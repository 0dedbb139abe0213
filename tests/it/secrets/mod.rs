//! SOPS files, verified, written, and as a gate; and secrets that must never be printed.

mod age;
mod credential_leaks;
mod damage;
mod gate;
mod identity_leaks;
mod plaintext;
mod pull_secret_gate;
mod sops_compatibility;
mod value_leaks;
mod verify;
mod write;
