//! What the trailers of a commit say. They are the only state that is kept, so they are read wherever they stand in a
//! message: squashing and rebasing move them about.

use std::fmt;

use jiff::Timestamp;

use crate::image::{Reference, Repository, Version};

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
    /// `Tagalong-Base:` the commit that it was made on top of. One that still stands there has told in `held` all that
    /// was held by name, so that nobody has to look further back.
    pub base: Option<String>,
    /// `Tagalong-Held:` what was held by name when it was made.
    pub held: Vec<Hold>,
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

/// An image, or one version of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The image.
    pub image: Repository,
    /// The version; an empty one means all.
    pub version: Version,
}

/// A hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// What is held.
    pub target: Target,
    /// Since when.
    pub since: Timestamp,
    /// By whom.
    pub by: String,
    /// Why: the reason that was given, else what the commit says of itself.
    pub why: String,
    /// What put it there.
    pub origin: Origin,
}

/// What put a hold there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A commit of the branch, by its id.
    Commit(String),
    /// A pull request that was closed, by its address.
    PullRequest(String),
}

impl Origin {
    /// The commit, if it was one.
    pub fn commit(&self) -> Option<&str> {
        match self {
            Origin::Commit(id) => Some(id),
            Origin::PullRequest(_) => None,
        }
    }

    /// The address of the pull request, if it was one.
    pub fn pull_request(&self) -> Option<&str> {
        match self {
            Origin::Commit(_) => None,
            Origin::PullRequest(url) => Some(url),
        }
    }
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
                "Base" => trailers.base = Some(value.trim().to_owned()),
                "Held" => trailers.held.extend(Hold::read(value)),
                "Actor" => trailers.actor = Some(value.trim().to_owned()),
                "Reason" => trailers.reason = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        trailers
    }
}

impl Target {
    /// Reads `IMAGE`, `IMAGE:TAG` or `IMAGE:TAG@DIGEST`.
    pub fn read(text: &str) -> Option<Target> {
        let Reference { repository, version } = text.trim().parse().ok()?;
        Some(Target { image: repository, version })
    }

    /// Whether to resume this is to resume the other: to resume an image is to resume all of its versions.
    pub fn covers(&self, other: &Target) -> bool {
        self.image == other.image && (self.version.is_empty() || refers_to(&self.version, &other.version))
    }
}

/// Whether what holds `held` holds what is `meant`: the same tag, and the same digest where one is meant.
pub fn refers_to(meant: &Version, held: &Version) -> bool {
    meant.tag == held.tag && (meant.digest.is_none() || meant.digest == held.digest)
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = if self.version.tag.is_some() { ":" } else { "" };
        write!(f, "{}{colon}{}", self.image, self.version)
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.target.version.is_empty() {
            "held".to_owned()
        } else {
            format!("{} has been held", self.target.version)
        };
        write!(f, "{what} since {} by {} ({}, ", self.since, self.by, self.why)?;
        match &self.origin {
            Origin::Commit(id) => write!(f, "commit {})", id.chars().take(7).collect::<String>()),
            Origin::PullRequest(url) => write!(f, "{url})"),
        }
    }
}

impl Hold {
    /// The value of a trailer that tells it again: what, since when, by which commit, by whom, why.
    pub fn trailer(&self) -> String {
        let origin = match &self.origin {
            Origin::Commit(origin) | Origin::PullRequest(origin) => encode_word(origin),
        };
        format!("{} {} {origin} {} {}", self.target, self.since, encode_word(&self.by), single_line(&self.why))
    }

    fn read(value: &str) -> Option<Hold> {
        let mut words = value.splitn(5, ' ');
        let (target, since) = (Target::read(words.next()?)?, words.next()?.parse().ok()?);
        let (commit, by) = (decode_word(words.next()?), decode_word(words.next()?));
        Some(Hold { target, since, by, why: words.next()?.to_owned(), origin: Origin::Commit(commit) })
    }
}

fn recorded_move(value: &str) -> Option<RecordedMove> {
    let words: Vec<&str> = value.split_whitespace().collect();
    let [file, path, image, from, "->", to] = words.as_slice() else { return None };
    let image = image.parse().ok()?;
    Some(RecordedMove {
        file: decode_word(file),
        path: decode_word(path),
        image,
        from: version(from)?,
        to: version(to)?,
    })
}

fn version(text: &str) -> Option<Version> {
    if text == "(none)" { Some(Version::default()) } else { Version::parse_tag(text).ok() }
}

/// A text as one line.
pub(super) fn single_line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text as one word: white space, `%` and control characters percent-encoded, as in URLs (RFC 3986 section 2.1).
pub(super) fn encode_word(text: &str) -> String {
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
fn decode_word(word: &str) -> String {
    percent_encoding::percent_decode_str(word).decode_utf8_lossy().into_owned()
}
