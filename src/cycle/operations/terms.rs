//! Who asks for an operation, and how strictly it is judged.

/// Whether a cycle writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It commits and pushes.
    Push,
    /// It only reports what it would do.
    DryRun,
    /// Automation is suspended: fields that would move stay.
    Suspended,
}

/// Who asked for an operation by name, and why.
#[derive(Debug, Clone, Default)]
pub struct Attribution {
    /// The person or job.
    pub actor: Option<String>,
    /// The reason.
    pub reason: Option<String>,
}

/// How strictly an operation is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terms {
    /// It follows policies: fields that a gate refuses stay, and the others move.
    Policies,
    /// A person asked for it by name: what a gate refuses is an error, and nothing moves.
    ByName {
        /// Whether what is held is refused.
        respects_holds: bool,
    },
}

impl Terms {
    /// Returns whether a person asked for it by name.
    pub fn is_by_name(self) -> bool {
        matches!(self, Terms::ByName { .. })
    }

    /// Returns whether what is held is refused.
    pub fn respects_holds(self) -> bool {
        matches!(self, Terms::Policies | Terms::ByName { respects_holds: true })
    }
}
