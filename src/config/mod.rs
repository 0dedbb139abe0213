//! Configuration: `tagalong.yaml`, flags and the environment, to each module's own settings. Every error is reported at
//! once, each with its place.
//!
//! - [`load`]: files, flags and environment together
//! - [`infrastructure`]: the infrastructure repository, from its section and flags
//! - [`overrides`]: the flags that override the file
//! - [`defaults`]: default locations of files and folders
//! - [`agent_file`]: the agent's own file
//! - [`repository_file`]: the file in the infrastructure repository
//! - [`sections`]: each section to the settings of a module
//! - [`values`]: parsers of values that several sections share
//! - [`reader`]: values to types
//! - [`document`]: YAML to values with their places
//! - [`diagnostics`]: what is wrong with a file
//! - [`key`]: a key, and what it holds
//! - [`keys`]: every key that a file may hold
//! - [`error`]: why there is no configuration

pub mod agent_file;
pub mod defaults;
pub mod diagnostics;
pub mod document;
pub mod error;
pub mod infrastructure;
pub mod key;
pub mod keys;
pub mod load;
pub mod overrides;
pub mod reader;
pub mod repository_file;
pub mod sections;
pub mod values;
