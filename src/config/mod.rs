//! Configuration: `tagalong.yaml`, flags and the environment, to each module's own settings. Every mistake is reported
//! at once, each with its place.
//!
//! - [`keys`]: every key that a file may hold
//! - [`document`]: YAML to values with their places
//! - [`reader`]: values to types, collecting diagnostics
//! - [`sections`]: what each section means
//! - [`agent_section`]: what the section `agent` means
//! - [`cluster_section`]: what the section `cluster` means
//! - [`notify_section`]: what the section `notify` means
//! - [`pull_request`]: what the section `git.pullRequest` means
//! - [`load`]: files, flags and environment together
//! - [`error`]: what goes wrong

pub mod agent_section;
pub mod cluster_section;
pub mod document;
pub mod error;
pub mod keys;
pub mod load;
pub mod notify_section;
pub mod pull_request;
pub mod reader;
pub mod sections;
