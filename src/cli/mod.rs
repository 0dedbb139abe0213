//! The command line: one file a command.
//!
//! - [`acknowledge`]: `tagalong acknowledge`
//! - [`approve`]: `tagalong approve`
//! - [`arguments`]: options that several commands share
//! - [`audit`]: `tagalong audit`
//! - [`check`]: `tagalong check`
//! - [`command_line`]: all commands and their options
//! - [`completion`]: `tagalong completion`
//! - [`connect`]: from options to an engine
//! - [`demo`]: `tagalong demo`
//! - [`disapprove`]: `tagalong disapprove`
//! - [`dispatch`]: from the command line to an exit code
//! - [`error`]: errors as people read them, and exit codes
//! - [`explain`]: `tagalong explain`
//! - [`folder`]: files below `--dir`
//! - [`global`]: options that every command takes
//! - [`help`]: `tagalong help`, with topics that concern several commands
//! - [`history`]: `tagalong history`
//! - `history_figures`: its figures
//! - [`hold`]: `tagalong hold`
//! - [`images`]: `tagalong images`
//! - [`images_verify`]: `tagalong images verify`
//! - [`init`]: `tagalong init`
//! - [`inventory`]: the image fields that a command works on
//! - [`man`]: `tagalong man`
//! - [`outcome`]: what an operation has done, in words
//! - [`output`]: what goes to stdout
//! - [`plugin`]: `tagalong plugin`
//! - [`plugin_settings`]: a command line made of a plugin's settings
//! - [`progress`]: shows the progress of work on a terminal
//! - [`promote`]: `tagalong promote`
//! - [`resume`]: `tagalong resume`
//! - [`rollback`]: `tagalong rollback`
//! - [`run`]: `tagalong run`
//! - [`secrets`]: `tagalong secrets` and its commands
//! - [`set`]: `tagalong set`
//! - [`stages`]: `tagalong stages`
//! - [`status`]: `tagalong status`
//! - [`sync`]: `tagalong sync`
//! - [`table`]: tables that fit the terminal
//! - [`terminal`]: the width of the terminal, and what is said on it besides results
//! - [`trust`]: `tagalong trust` and its command
//! - [`version`]: the version with its commit
//! - [`watch`]: shows something again and again
//! - [`windows`]: `tagalong windows`

pub mod acknowledge;
pub mod approve;
pub mod arguments;
pub mod audit;
pub mod check;
pub mod command_line;
pub mod completion;
pub mod connect;
pub mod demo;
pub mod disapprove;
pub mod dispatch;
pub mod error;
pub mod explain;
pub mod folder;
pub mod global;
pub mod help;
pub mod history;
mod history_figures;
pub mod hold;
pub mod images;
pub mod images_verify;
pub mod init;
pub mod inventory;
pub mod man;
pub mod outcome;
pub mod output;
pub mod plugin;
pub mod plugin_settings;
pub mod progress;
pub mod promote;
pub mod resume;
pub mod rollback;
pub mod run;
pub mod secrets;
pub mod set;
pub mod stages;
pub mod status;
pub mod sync;
pub mod table;
pub mod terminal;
pub mod trust;
pub mod version;
pub mod watch;
pub mod windows;
