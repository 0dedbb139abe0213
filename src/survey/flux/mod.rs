//! Flux's image automation, converted to policies and settings.
//!
//! - [`object`]: the objects, with their keys
//! - [`meaning`]: what each key becomes, or why it has no counterpart
//! - [`policy`]: an ImagePolicy as a policy
//! - [`convert`]: all objects together

pub mod convert;
pub mod meaning;
pub mod object;
pub mod policy;
