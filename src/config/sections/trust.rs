//! The section `trust`, which says whose commits count.

use crate::config::reader::Section;
use crate::repo::signers::source::SignerSource;

/// Reads the section, and returns the keys.
pub fn signers(mut section: Section<'_>) -> Vec<SignerSource> {
    let signers = section.each_with("signers", SignerSource::read);
    if section.lacks("signers") {
        section.error("`signers` is required");
    }
    section.finish();
    signers
}
