//! Parses files of all formats, with the positions of their values.
//!
//! - `file`: parses a file of any format; [`parsed`]: the result
//! - [`yaml`], [`json`], [`dotenv`], [`ini`]: the formats (binary files are JSON)
//! - [`comments`]: places the comments of a YAML file

pub mod comments;
pub mod dotenv;
pub mod file;
pub mod ini;
pub mod json;
pub mod parsed;
pub mod yaml;
