//! The command line: one file a command.
//!
//! - [`acknowledge`]: `tagalong acknowledge`
//! - [`approve`]: `tagalong approve`
//! - [`arguments`]: options that several commands share
//! - [`audit`]: `tagalong audit`
//! - [`check`]: `tagalong check`
//! - [`command_line`]: all commands and their options
//! - [`connect`]: from options to an engine
//! - [`demo`]: `tagalong demo`
//! - [`disapprove`]: `tagalong disapprove`
//! - [`dispatch`]: from the command line to an exit code
//! - [`error`]: errors as people read them, and exit codes
//! - [`explain`]: `tagalong explain`
//! - [`folder`]: files below `--dir`
//! - [`history`]: `tagalong history`
//! - `history_figures`: its figures
//! - [`hold`]: `tagalong hold`
//! - [`images`]: `tagalong images`
//! - [`images_verify`]: `tagalong images verify`
//! - [`init`]: `tagalong init`
//! - [`inventory`]: the image fields that a command works on
//! - [`output`]: what goes to stdout
//! - [`plugin`]: `tagalong plugin`
//! - [`plugin_settings`]: a command line made of a plugin's settings
//! - [`promote`]: `tagalong promote`
//! - [`resume`]: `tagalong resume`
//! - [`rollback`]: `tagalong rollback`
//! - [`run`]: `tagalong run`
//! - [`secrets`]: `tagalong secrets` and its commands
//! - [`set`]: `tagalong set`
//! - [`stages`]: `tagalong stages`
//! - [`status`]: `tagalong status`
//! - [`sync`]: `tagalong sync`
//! - [`windows`]: `tagalong windows`

pub mod acknowledge;
pub mod approve;
pub mod arguments;
pub mod audit;
pub mod check;
pub mod command_line;
pub mod connect;
pub mod demo;
pub mod disapprove;
pub mod dispatch;
pub mod error;
pub mod explain;
pub mod folder;
pub mod history;
mod history_figures;
pub mod hold;
pub mod images;
pub mod images_verify;
pub mod init;
pub mod inventory;
pub mod output;
pub mod plugin;
pub mod plugin_settings;
pub mod promote;
pub mod resume;
pub mod rollback;
pub mod run;
pub mod secrets;
pub mod set;
pub mod stages;
pub mod status;
pub mod sync;
pub mod windows;
