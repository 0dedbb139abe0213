//! The five formats of SOPS files.

/// The key, or section, of the metadata.
pub const METADATA_KEY: &str = "sops";

/// The prefix of the metadata's keys in dotenv files.
pub const DOTENV_PREFIX: &str = "sops_";

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
    /// Any bytes, wrapped in JSON.
    Binary,
}

impl Format {
    /// Returns sops's name for the format.
    pub fn name(self) -> &'static str {
        match self {
            Format::Yaml => "yaml",
            Format::Json => "json",
            Format::Dotenv => "dotenv",
            Format::Ini => "ini",
            Format::Binary => "binary",
        }
    }

    /// Returns the format that sops assumes for a file, by its name.
    pub fn from_path(path: &str) -> Format {
        match path {
            _ if path.ends_with(".yaml") || path.ends_with(".yml") => Format::Yaml,
            _ if path.ends_with(".json") => Format::Json,
            _ if path.ends_with(".env") => Format::Dotenv,
            _ if path.ends_with(".ini") => Format::Ini,
            _ => Format::Binary,
        }
    }
}
