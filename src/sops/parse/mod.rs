//! Files of all formats, parsed with the places of their values.
//!
//! - [`file`]: a file of any format; [`parsed`]: what comes of it
//! - [`yaml`], [`json`], [`dotenv`], [`ini`]: the formats (binary files are JSON)
//! - [`comments`]: where a comment of a YAML file belongs

pub mod comments;
pub mod dotenv;
pub mod file;
pub mod ini;
pub mod json;
pub mod parsed;
pub mod yaml;
