//! The five formats of SOPS files, each read with the places of its values.
//!
//! - [`yaml`], [`json`], [`dotenv`], [`ini`]: bytes to documents of keys and values (binary files are JSON)
//! - [`comments`]: where a comment of a YAML file belongs
//! - [`flat`]: metadata of formats without nesting

use super::error::SopsError;
use super::metadata::{Fields, Raw};
use super::tree::Item;

pub mod comments;
pub mod dotenv;
pub mod flat;
pub mod ini;
pub mod json;
pub mod yaml;

/// The key, or section, of the metadata.
pub const METADATA_KEY: &str = "sops";

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// YAML, of one document or several.
    Yaml,
    /// JSON.
    Json,
    /// `KEY=value` lines.
    Dotenv,
    /// INI.
    Ini,
    /// Any bytes, within JSON.
    Binary,
}

impl Format {
    /// The name that sops has for it.
    pub fn name(self) -> &'static str {
        match self {
            Format::Yaml => "yaml",
            Format::Json => "json",
            Format::Dotenv => "dotenv",
            Format::Ini => "ini",
            Format::Binary => "binary",
        }
    }

    /// The format that sops takes a file for, by its name.
    pub fn of_path(path: &str) -> Format {
        match path {
            _ if path.ends_with(".yaml") || path.ends_with(".yml") => Format::Yaml,
            _ if path.ends_with(".json") => Format::Json,
            _ if path.ends_with(".env") => Format::Dotenv,
            _ if path.ends_with(".ini") => Format::Ini,
            _ => Format::Binary,
        }
    }
}

/// A file, read in its format.
#[derive(Debug, Default)]
pub struct Parsed {
    /// Its documents without metadata; all formats but YAML have exactly one.
    pub documents: Vec<Vec<Item>>,
    /// The metadata of the first document.
    pub metadata: Option<Raw>,
    /// Where the metadata stands, for each document that has it.
    pub fields: Vec<Fields>,
    /// The first thing in it that sops would refuse.
    pub problem: Option<SopsError>,
}

/// Reads a file, encrypted or not.
pub fn read(bytes: &[u8], format: Format) -> Result<Parsed, SopsError> {
    match format {
        Format::Yaml => yaml::read(bytes),
        Format::Json | Format::Binary => json::read(bytes),
        Format::Dotenv => dotenv::read(bytes),
        Format::Ini => ini::read(bytes),
    }
}
