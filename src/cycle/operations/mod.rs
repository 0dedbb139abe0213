//! The operations that a cycle can run. Each is a value that the engine runs.
//!
//! - [`operation`]: the trait of operations
//! - [`terms`]: the strictness that applies to an operation, and the person who requested it
//! - [`request`]: images that a person names, with their fields and their verification
//! - [`follow`]: follows the policies
//! - [`set`]: writes the given references
//! - [`roll_back`]: returns fields to earlier versions
//! - [`automatic_rollback`]: takes back a commit that the cluster could not apply
//! - [`hold`]: puts an image or one version of it on hold
//! - [`promote`]: promotes releases to a stage on request
//! - [`propose`]: proposes the promotions to a stage in a pull request
//! - [`record_approval`]: records who approved a promotion at the forge
//! - [`resume`]: ends such holds
//! - [`release_request`]: releases that a person names
//! - [`approve`]: approves a release for a stage, or withdraws that
//! - [`acknowledge`]: acknowledges that gates of a stage were skipped
//! - [`rotate`]: encrypts SOPS files with new data keys

pub mod acknowledge;
pub mod approve;
pub mod automatic_rollback;
pub mod follow;
pub mod hold;
pub mod operation;
pub mod promote;
pub mod propose;
pub mod record_approval;
pub mod release_request;
pub mod request;
pub mod resume;
pub mod roll_back;
pub mod rotate;
pub mod set;
pub mod terms;
