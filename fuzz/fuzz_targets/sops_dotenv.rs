//! Whatever the bytes of a SOPS file in dotenv form.

#![no_main]

#[path = "../envelope.rs"]
mod envelope;

use libfuzzer_sys::fuzz_target;
use tagalong::sops::format::Format;

fuzz_target!(|bytes: &[u8]| envelope::stands(Format::Dotenv, "a.env", bytes));
