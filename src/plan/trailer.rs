//! The trailers of a commit. They are the only state, so they are read anywhere in a message: squashing and rebasing
//! move them.

use std::fmt;

use jiff::Timestamp;

use crate::image::{Reference, Repository, Version};
use crate::stage::promotion::{Evidence, RecordedPromotion};
use crate::text;

use super::forced::Forced;
use super::order_record::RecordedOrder;
use super::reverted::reverted;
use super::stage_order::StageOrder;
use super::version_text::{version, whole};

/// The trailers of a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trailers {
    /// `Tagalong-Update:` the fields that it moved.
    pub moves: Vec<RecordedMove>,
    /// `Tagalong-Order:` what put the versions in their place in the order.
    pub orders: Vec<RecordedOrder>,
    /// `Tagalong-Rollback:` the images that it moved back on purpose.
    pub rollbacks: Vec<Repository>,
    /// `Tagalong-Hold:` the images or versions that it put on hold.
    pub holds: Vec<Target>,
    /// `Tagalong-Resume:` the images or versions whose holds it ended.
    pub resumes: Vec<Target>,
    /// `Tagalong-Approve:`, `Tagalong-Disapprove:` and `Tagalong-Acknowledge:` orders about stages.
    pub stage_orders: Vec<StageOrder>,
    /// `Tagalong-Break-Glass:` the conditions that a person skipped.
    pub break_glass: Vec<String>,
    /// `Tagalong-Forced:` what was forced past a gate.
    pub forced: Vec<Forced>,
    /// `Tagalong-Promote:` the releases that entered a stage.
    pub promotions: Vec<RecordedPromotion>,
    /// `Tagalong-Evidence:` and `Tagalong-Approved:` what proved them.
    pub evidence: Vec<Evidence>,
    /// `Tagalong-Actor:` the person or job that requested it.
    pub actor: Option<String>,
    /// `Tagalong-Reason:` the reason.
    pub reason: Option<String>,
    /// `Tagalong-Base:` the commit on top of which it was made. If that is still its parent, `held` lists all holds by
    /// name, and no older commits have to be read.
    pub base: Option<String>,
    /// `Tagalong-Held:` the holds by name at the time it was made.
    pub held: Vec<Hold>,
    /// The commit that it says it reverts, whose ID may be abbreviated. The other trailers are then those of that commit,
    /// which forges repeat.
    pub reverts: Option<String>,
}

/// The effect of a commit on files, as far as it matters for what its message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It has exactly the files of its only parent.
    Nothing,
    /// It changed files, or is a merge.
    Files,
    /// Its parent is not known.
    Unknown,
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
    /// The version before.
    pub from: Version,
    /// The version after.
    pub to: Version,
}

impl RecordedMove {
    /// Returns the value of the trailer that records it.
    pub fn trailer(&self) -> String {
        let RecordedMove { file, path, image, from, to } = self;
        format!("{} {} {image} {} -> {}", encode_word(file), encode_word(path), whole(from), whole(to))
    }
}

/// An image, or one version of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The image.
    pub image: Repository,
    /// The version; an empty one means all versions.
    pub version: Version,
}

/// A hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The image or version that is held.
    pub target: Target,
    /// The time when the hold began.
    pub since: Timestamp,
    /// The person or job that caused it.
    pub by: String,
    /// The reason that was given, or else the subject of the commit.
    pub why: String,
    /// The commit or pull request that caused it.
    pub origin: Origin,
}

/// The origin of a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A commit of the branch, by its ID.
    Commit(String),
    /// A pull request that was closed, by its URL.
    PullRequest(String),
}

impl Origin {
    /// Returns the commit, if it was one.
    pub fn commit(&self) -> Option<&str> {
        match self {
            Origin::Commit(id) => Some(id),
            Origin::PullRequest(_) => None,
        }
    }

    /// Returns the URL of the pull request, if it was one.
    pub fn pull_request(&self) -> Option<&str> {
        match self {
            Origin::Commit(_) => None,
            Origin::PullRequest(url) => Some(url),
        }
    }
}

impl Trailers {
    /// Reads a message. Lines that cannot be parsed are ignored.
    pub fn read(message: &str) -> Trailers {
        let mut trailers = Trailers { reverts: reverted(message), ..Trailers::default() };
        for line in message.lines() {
            let Some((key, value)) = line.strip_prefix("Tagalong-").and_then(|rest| rest.split_once(": ")) else {
                continue;
            };
            match key {
                "Update" => trailers.moves.extend(recorded_move(value)),
                "Order" => trailers.orders.extend(RecordedOrder::read(value)),
                "Rollback" => trailers
                    .rollbacks
                    .extend(value.split(' ').next().and_then(|image| Repository::parse_any(image).ok())),
                "Hold" => trailers.holds.extend(Target::read(value)),
                "Resume" => trailers.resumes.extend(Target::read(value)),
                "Break-Glass" => trailers.break_glass.extend(value.split(',').map(|gate| single_line(gate.trim()))),
                "Forced" => trailers.forced.extend(Forced::read(value)),
                "Base" => trailers.base = Some(value.trim().to_owned()),
                "Held" => trailers.held.extend(Hold::read(value)),
                "Promote" => trailers.promotions.extend(RecordedPromotion::read(value)),
                "Evidence" => trailers.evidence.extend(Evidence::read(value)),
                "Approved" => trailers.evidence.extend(Evidence::approved(value)),
                "Actor" => trailers.actor = Some(single_line(value)),
                "Reason" => trailers.reason = Some(single_line(value)),
                _ => trailers.stage_orders.extend(StageOrder::read(key, value)),
            }
        }
        trailers
    }
}

impl Trailers {
    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Trailers::default()
    }

    /// Returns whether any of them is an order.
    fn has_orders(&self) -> bool {
        !self.holds.is_empty() || !self.resumes.is_empty() || !self.stage_orders.is_empty()
    }

    /// Returns whether anything in it has a meaning beyond the fields that moved and what proved that.
    pub(super) fn commands(&self) -> bool {
        self.has_orders() || !self.rollbacks.is_empty() || !self.break_glass.is_empty() || !self.forced.is_empty()
    }

    /// Removes the orders by which something may move that could not before.
    fn without_releasing(self) -> Trailers {
        Trailers { resumes: Vec::new(), stage_orders: Vec::new(), ..self }
    }

    /// Keeps what counts in a commit, by what it did and whether it is trusted.
    ///
    /// Messages are written by people who may not push: the text of a squashed pull request is its author's. So orders
    /// count only in a commit that changes no file. Records of moves are compared with the change where they matter, and
    /// all else counts only beside such a record or an order. In commits that are not trusted, records remain as well:
    /// the change shows whether they are true, and without them undoing such a commit would not hold anything back.
    ///
    /// A revert repeats the orders of the commit that it undoes, and gives none itself. It undoes orders only if it changes
    /// no file either.
    pub fn counting(self, effect: Effect, is_trusted: bool) -> Trailers {
        let none = Trailers::default;
        match (effect, is_trusted) {
            (Effect::Nothing, false) => none(),
            (_, false) => Trailers { moves: self.moves, ..none() },
            (Effect::Files, true) if self.moves.is_empty() => none(),
            (Effect::Files, true) => Trailers { holds: Vec::new(), reverts: None, ..self.without_releasing() },
            (Effect::Nothing, true) if self.reverts.is_some() => {
                Trailers { moves: self.moves, reverts: self.reverts, ..none() }
            }
            (Effect::Unknown, true) if self.reverts.is_some() => Trailers { moves: self.moves, ..none() },
            // Whether it changed files is not known, so it may hold and release nothing.
            (Effect::Unknown, true) => self.without_releasing(),
            (Effect::Nothing, true) if !self.has_orders() => Trailers { base: None, held: Vec::new(), ..self },
            (Effect::Nothing, true) => self,
        }
    }
}

impl Target {
    /// Reads `IMAGE`, `IMAGE:TAG` or `IMAGE:TAG@DIGEST`.
    pub fn read(text: &str) -> Option<Target> {
        let Reference { repository, version } = Reference::parse_any(text.trim()).ok()?;
        Some(Target { image: repository, version })
    }

    /// Returns whether resuming this also resumes the other: resuming an image resumes all of its versions.
    pub fn covers(&self, other: &Target) -> bool {
        self.image == other.image && (self.version.is_empty() || refers_to(&self.version, &other.version))
    }
}

/// Returns whether `held` is the version that is `meant`: the same tag, and the same digest if one is meant.
pub fn refers_to(meant: &Version, held: &Version) -> bool {
    meant.tag == held.tag && (meant.digest.is_none() || meant.digest == held.digest)
}

/// Returns whether two versions can be the same: a record may lack the digest.
pub fn agree(one: &Version, other: &Version) -> bool {
    one.tag == other.tag && (one.digest.is_none() || other.digest.is_none() || one.digest == other.digest)
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
    /// Returns the value of the trailer that repeats it: target, time, commit, person, reason.
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
        // An empty reason, and the blank before it, is lost when the message is cleaned up.
        let why = words.next().unwrap_or_default().to_owned();
        Some(Hold { target, since, by, why, origin: Origin::Commit(commit) })
    }
}

fn recorded_move(value: &str) -> Option<RecordedMove> {
    let words: Vec<&str> = value.split_whitespace().collect();
    let [file, path, image, from, "->", to] = words.as_slice() else { return None };
    let image = Repository::parse_any(image).ok()?;
    Some(RecordedMove {
        file: decode_word(file),
        path: decode_word(path),
        image,
        from: version(from)?,
        to: version(to)?,
    })
}

/// The longest text of a trailer that people write, in characters.
const MAX_TEXT: usize = 1_000;

/// Turns a text into a single line.
pub(super) fn single_line(text: &str) -> String {
    text::cut(&text::words(text), MAX_TEXT).into_owned()
}

/// Turns a text into a single word: white space, `%` and characters that would act on what shows them are percent-encoded
/// as in URLs (RFC 3986 section 2.1).
pub(super) fn encode_word(text: &str) -> String {
    let mut word = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_whitespace() || text::is_active(c) || c == '%' {
            let mut buffer = [0; 4];
            c.encode_utf8(&mut buffer).bytes().for_each(|b| word.push_str(&format!("%{b:02X}")));
        } else {
            word.push(c);
        }
    }
    word
}

/// Returns the text of an encoded word.
pub(super) fn decode_word(word: &str) -> String {
    percent_encoding::percent_decode_str(word).decode_utf8_lossy().into_owned()
}
