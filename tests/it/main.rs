//! Tests of the whole program, by subject, against a real registry, sshd and git. All of them run in one process, so
//! none may change process-wide state: environment, working directory, panic hook, limits, libgit2's timeouts and
//! authorities. Tests that need their own use [`support::tagalong`], which runs the program as a child process.

mod agent;
mod cli;
mod cluster;
mod deploy;
mod docs;
mod enums;
mod evidence;
mod fields;
mod git;
mod holds;
mod identity;
mod modules;
mod registry;
mod rights;
mod secrets;
mod stages;
mod support;
mod trust;
mod updates;
