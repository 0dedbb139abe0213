//! The clouds that give this process an identity.

use std::fmt;

/// A cloud that gives this process an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Provider {
    /// Amazon Web Services.
    Aws,
    /// Google Cloud.
    Google,
    /// Microsoft Azure.
    Azure,
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Provider::Aws => "AWS",
            Provider::Google => "Google Cloud",
            Provider::Azure => "Azure",
        })
    }
}
