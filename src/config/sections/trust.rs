//! The section `trust`, which says whose commits count, and who has special rights.

use crate::config::reader::Section;
use crate::repo::signers::source::{SignerSource, Trust};

/// Reads the section.
pub fn read(mut section: Section<'_>) -> Trust {
    let trust = Trust {
        signers: section.each_with("signers", SignerSource::read),
        approvers: section.each_with("approvers", SignerSource::read_ssh),
        break_glass: section.each_with("breakGlass", SignerSource::read_ssh),
    };
    if ["signers", "approvers", "breakGlass"].into_iter().all(|key| section.lacks(key)) {
        section.error("`signers`, `approvers` or `breakGlass` is required");
    }
    section.finish();
    trust
}
