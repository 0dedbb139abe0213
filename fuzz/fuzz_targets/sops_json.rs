//! Parses and judges any bytes as a SOPS file in JSON format.

#![no_main]

#[path = "../envelope.rs"]
mod envelope;

use libfuzzer_sys::fuzz_target;
use tagalong::sops::format::Format;

fuzz_target!(|bytes: &[u8]| envelope::stands(Format::Json, "a.json", bytes));
