//! The strictness that applies to an operation, and the person who requested it.

/// The mode of a cycle, which determines whether it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It commits and pushes.
    Push,
    /// It only reports what it would do.
    DryRun,
    /// Automation is suspended: fields that would move stay.
    Suspended,
}

/// The person or job that requested an operation, and the reason.
#[derive(Debug, Clone, Default)]
pub struct Attribution {
    /// The person or job.
    pub actor: Option<String>,
    /// The reason.
    pub reason: Option<String>,
}

/// The strictness that applies to an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terms {
    /// It follows policies: updates that a gate objects to are kept back, and the others are made.
    Policies,
    /// A person requested it: an update that a gate objects to is an error, and nothing moves.
    ByName {
        /// True if versions that are held are rejected.
        respects_holds: bool,
    },
    /// A person requested a promotion: it passes the same gates as those that happen by themselves.
    Promotion,
    /// It proposes a promotion in a pull request of its own: the same gates, except for the windows, which have to be open
    /// only when that is merged.
    Proposal,
}

impl Terms {
    /// Returns whether a person requested it.
    pub fn is_by_name(self) -> bool {
        matches!(self, Terms::ByName { .. } | Terms::Promotion)
    }

    /// Returns whether versions that are held are rejected.
    pub fn respects_holds(self) -> bool {
        matches!(self, Terms::Policies | Terms::Promotion | Terms::Proposal | Terms::ByName { respects_holds: true })
    }

    /// Returns whether releases enter stages.
    pub fn promotes(self) -> bool {
        matches!(self, Terms::Policies | Terms::Promotion | Terms::Proposal)
    }
}
