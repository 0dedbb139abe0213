//! The section `secrets`.

use std::path::PathBuf;

use crate::config::reader::Section;
use crate::cycle::secrets::{Gate, PullSecrets};

/// The section `secrets`.
#[derive(Debug, Default)]
pub struct SecretsSection {
    /// `ageKeyFiles`.
    pub age_key_files: Vec<PathBuf>,
    /// `gate`.
    pub gate: Gate,
    /// `pullSecrets`.
    pub pull_secrets: PullSecrets,
}

/// Reads the section.
pub fn read(mut section: Section<'_>) -> SecretsSection {
    let age_key_files = section.each_with("ageKeyFiles", |text| match text.is_empty() {
        true => Err("a path is needed".to_owned()),
        false => Ok(PathBuf::from(text)),
    });
    let gate = section.choice("gate", &[("block", Gate::Block), ("warn", Gate::Warn), ("off", Gate::Off)]);
    let words = [("check", PullSecrets::Check), ("probe", PullSecrets::Probe), ("off", PullSecrets::Off)];
    let pull_secrets = section.choice("pullSecrets", &words);
    section.finish();
    let (gate, pull_secrets) = (gate.unwrap_or_default(), pull_secrets.unwrap_or_default());
    SecretsSection { age_key_files, gate, pull_secrets }
}
