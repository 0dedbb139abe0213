//! What the trailers of a commit say. They are the only state that is kept, so they are read wherever they stand in a
//! message: squashing and rebasing move them about.

use crate::image::{Repository, Tag, Version};

/// What a commit says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trailers {
    /// `Tagalong-Update:` the fields that it moved.
    pub moves: Vec<RecordedMove>,
    /// `Tagalong-Rollback:` the images that it moved back on purpose.
    pub rollbacks: Vec<Repository>,
    /// `Tagalong-Hold:` what it stopped.
    pub holds: Vec<Target>,
    /// `Tagalong-Resume:` what it started again.
    pub resumes: Vec<Target>,
    /// `Tagalong-Actor:` who asked for it.
    pub actor: Option<String>,
    /// `Tagalong-Reason:` why.
    pub reason: Option<String>,
}

/// A field that a commit moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedMove {
    /// The file.
    pub file: String,
    /// The path of the field.
    pub path: String,
    /// The image.
    pub image: Repository,
    /// What the field held.
    pub from: Version,
    /// What it came to hold.
    pub to: Version,
}

/// An image, or one tag of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// The image.
    pub image: Repository,
    /// The tag; without one all of them are meant.
    pub tag: Option<Tag>,
}

impl Trailers {
    /// Reads a message. Lines that cannot be read are no trailers of ours.
    pub fn read(message: &str) -> Trailers {
        let mut trailers = Trailers::default();
        for line in message.lines() {
            let Some((key, value)) = line.strip_prefix("Tagalong-").and_then(|rest| rest.split_once(": ")) else {
                continue;
            };
            match key {
                "Update" => trailers.moves.extend(recorded_move(value)),
                "Rollback" => trailers.rollbacks.extend(value.split(' ').next().and_then(|image| image.parse().ok())),
                "Hold" => trailers.holds.extend(Target::read(value)),
                "Resume" => trailers.resumes.extend(Target::read(value)),
                "Actor" => trailers.actor = Some(value.trim().to_owned()),
                "Reason" => trailers.reason = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        trailers
    }
}

impl Target {
    /// Reads `IMAGE` or `IMAGE:TAG`.
    pub fn read(text: &str) -> Option<Target> {
        let reference: crate::image::Reference = text.trim().parse().ok()?;
        Some(Target { image: reference.repository, tag: reference.version.tag })
    }
}

fn recorded_move(value: &str) -> Option<RecordedMove> {
    let words: Vec<&str> = value.split_whitespace().collect();
    let [file, path, image, from, "->", to] = words.as_slice() else { return None };
    let image = image.parse().ok()?;
    Some(RecordedMove { file: unword(file), path: unword(path), image, from: version(from)?, to: version(to)? })
}

fn version(text: &str) -> Option<Version> {
    if text == "(none)" { Some(Version::default()) } else { Version::parse_tag(text).ok() }
}

/// A text as one word: white space, `%` and control characters percent-encoded, as in URLs (RFC 3986 section 2.1).
pub(super) fn word(text: &str) -> String {
    let mut word = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() || c == '%' {
            let mut buffer = [0; 4];
            c.encode_utf8(&mut buffer).bytes().for_each(|b| word.push_str(&format!("%{b:02X}")));
        } else {
            word.push(c);
        }
    }
    word
}

/// The text of a word.
fn unword(word: &str) -> String {
    percent_encoding::percent_decode_str(word).decode_utf8_lossy().into_owned()
}
