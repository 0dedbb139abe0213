//! The section `secrets`.

use std::path::PathBuf;

use crate::config::reader::Section;
use crate::config::values::path;
use crate::cycle::secrets::verify::{PullSecrets, Strictness};

/// The section `secrets`.
#[derive(Debug, Default)]
pub struct SecretsSection {
    /// `ageKeyFiles`.
    pub age_key_files: Vec<PathBuf>,
    /// `gate`.
    pub gate: Strictness,
    /// `pullSecrets`.
    pub pull_secrets: PullSecrets,
}

/// Reads the section.
pub fn read(mut section: Section<'_>) -> SecretsSection {
    let age_key_files = section.each_with("ageKeyFiles", path);
    let gate =
        section.choice("gate", &[("block", Strictness::Block), ("warn", Strictness::Warn), ("off", Strictness::Off)]);
    let checks = [("check", PullSecrets::Check), ("probe", PullSecrets::Probe), ("off", PullSecrets::Off)];
    let pull_secrets = section.choice("pullSecrets", &checks);
    section.finish();
    let (gate, pull_secrets) = (gate.unwrap_or_default(), pull_secrets.unwrap_or_default());
    SecretsSection { age_key_files, gate, pull_secrets }
}
