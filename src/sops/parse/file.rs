//! Parses files of any format.

use crate::sops::error::SopsError;
use crate::sops::format::Format;

use super::parsed::Parsed;
use super::{dotenv, ini, json, yaml};

/// Parses a file, encrypted or not.
pub fn parse(bytes: &[u8], format: Format) -> Result<Parsed, SopsError> {
    match format {
        Format::Yaml => yaml::parse(bytes),
        Format::Json | Format::Binary => json::parse(bytes),
        Format::Dotenv => dotenv::parse(bytes),
        Format::Ini => ini::parse(bytes),
    }
}
