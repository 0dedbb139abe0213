//! What a pass is for.

use std::time::Duration;

use crate::image::{Reference, Repository, Tag};
use crate::manifest::edit::FollowRefs;
use crate::plan::trailer::Target;

/// What a pass is for.
#[derive(Debug, Clone, Copy)]
pub enum Task<'t> {
    /// Follow the policies.
    Follow,
    /// Follow those of one image, which has to be there.
    FollowOne(&'t Repository),
    /// Write exactly what was asked for.
    Set(&'t Request),
    /// Go back to what was before.
    RollBack(&'t Rollback),
    /// Stop something.
    Hold(&'t Pause),
    /// Start it again.
    Resume(&'t Pause),
}

/// Who asked for something by name, and why.
#[derive(Debug, Clone, Default)]
pub struct Note {
    /// Who.
    pub actor: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// What was asked for by name.
#[derive(Debug, Clone)]
pub struct Request {
    /// The references that every field of their images shall read.
    pub wanted: Vec<Reference>,
    /// Whether a field may go back to an older build.
    pub allow_downgrade: bool,
    /// Whether a field may come to hold what is held.
    pub force: bool,
    /// Whether remote bases follow.
    pub follow: FollowRefs,
    /// How long an image that is not there yet may take to arrive.
    pub wait_image: Duration,
    /// Who asked, and why.
    pub note: Note,
}

/// What shall go back.
#[derive(Debug, Clone)]
pub struct Rollback {
    /// The image.
    pub image: Repository,
    /// The tag; without one it is what each field held before.
    pub to: Option<Tag>,
    /// Who asked, and why.
    pub note: Note,
}

/// What shall be held, or not any more.
#[derive(Debug, Clone)]
pub struct Pause {
    /// The image, or one version of it.
    pub target: Target,
    /// Who asked, and why.
    pub note: Note,
}

/// Whether a pass writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It commits and pushes.
    Push,
    /// It only says what it would do.
    DryRun,
    /// Automation is suspended: it says of each field that would move that it does not.
    Suspended,
}

impl Task<'_> {
    /// Whether something was asked for by name: then what cannot be done is an error, and nothing is done.
    pub fn is_by_name(&self) -> bool {
        !matches!(self, Task::Follow | Task::FollowOne(_))
    }

    /// How long images may take to arrive.
    pub fn wait_image(&self) -> Duration {
        match self {
            Task::Set(request) => request.wait_image,
            _ => Duration::ZERO,
        }
    }
}
