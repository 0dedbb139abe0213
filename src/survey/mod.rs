//! A repository and its history, surveyed: what moved like a tag, which of that is not an image field yet, and the configuration that
//! follows from it.
//!
//! - [`line`]: lines of YAML and their paths, without a parser
//! - [`changed_lines`]: the lines that a change replaced
//! - [`tag_style`]: what tags look like; [`tag_rules`]: the rules that order them
//! - [`mover`]: who moves tags
//! - [`movements`]: what moved in a history
//! - [`evidence`]: how often, since when, by whom
//! - [`tree`]: the newest tree, and its image fields
//! - [`file_traits`]: what a file says about the repository
//! - [`surroundings`]: the tools, secrets and stages of the repository
//! - [`stage`]: names of stages; [`stage_proposals`]: the stages that folders and files look like
//! - [`image_name`]: the image whose tag a value is
//! - [`app_version`]: the version of a chart that is the tag of its image
//! - [`name_template`]: names that templates put together
//! - [`glob`]: patterns for sets of files
//! - [`proposed_field`]: a proposed rule; [`field_proposals`]: all of them; [`unnamed`]: those for tags without names
//! - [`proposed_policy`]: a proposed policy; [`policy_proposals`]: all of them
//! - [`flux`]: Flux's image automation, converted
//! - [`findings`]: everything together
//! - [`yaml_text`]: YAML for people; [`render`]: the configuration file

pub mod app_version;
pub mod changed_lines;
pub mod evidence;
pub mod field_proposals;
pub mod file_traits;
pub mod findings;
pub mod flux;
pub mod glob;
pub mod image_name;
pub mod line;
pub mod movements;
pub mod mover;
pub mod name_template;
pub mod policy_proposals;
pub mod proposed_field;
pub mod proposed_policy;
pub mod render;
pub mod stage;
pub mod stage_proposals;
pub mod surroundings;
pub mod tag_rules;
pub mod tag_style;
pub mod tree;
pub mod unnamed;
pub mod yaml_text;
