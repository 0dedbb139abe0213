//! What a cycle can do. Each operation is a value that the engine runs.
//!
//! - [`operation`]: what all of them are
//! - [`terms`]: who asks for it, and how strictly it is judged
//! - [`request`]: images that a person names, and the fields that hold them
//! - [`follow`]: follow the policies
//! - [`set`]: write references that were given
//! - [`roll_back`]: return to what fields held before
//! - [`hold`]: stop an image or a version of it
//! - [`resume`]: start it again
//! - [`rotate`]: encrypt SOPS files with new data keys

pub mod follow;
pub mod hold;
pub mod operation;
pub mod request;
pub mod resume;
pub mod roll_back;
pub mod rotate;
pub mod set;
pub mod terms;
