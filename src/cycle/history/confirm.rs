//! Whether a commit did what it records.

use std::borrow::Cow;

use memchr::memmem;

use crate::image::chart::version_of;
use crate::image::{Digest, Repository, Version};
use crate::plan::trailer::RecordedMove;
use crate::repo::clone::{BareClone, CommitId};
use crate::repo::error::RepoError;

/// Returns whether the lines that a commit replaced say the same as one of its records: the new version is in them now,
/// and the old one was, or that of another record of the field, because commits may have been squashed. The file is not
/// parsed, which would cost more than reading a long history may.
pub fn confirms(
    clone: &BareClone,
    id: CommitId,
    all: &[RecordedMove],
    recorded: &RecordedMove,
) -> Result<bool, RepoError> {
    let RecordedMove { file, path, image, from, to } = recorded;
    let Some(new) = word(image, to, from) else { return Ok(false) };
    let Some(lines) = clone.replaced_lines(id, file)? else { return Ok(false) };
    let had = |other: &RecordedMove| {
        other.file == *file
            && other.path == *path
            && word(image, &other.from, &other.to)
                .is_none_or(|old| memmem::find(&lines.before, old.as_bytes()).is_some())
    };
    Ok(memmem::find(&lines.after, new.as_bytes()).is_some() && all.iter().any(had))
}

/// Returns the part of a version that differs from another one, as files have it.
fn word<'v>(image: &Repository, version: &'v Version, other: &Version) -> Option<Cow<'v, str>> {
    if version.tag == other.tag {
        return version.digest.as_ref().map(Digest::as_str).map(Cow::Borrowed);
    }
    let tag = version.tag.as_ref()?;
    Some(if image.is_chart() { version_of(tag).into() } else { tag.as_str().into() })
}
