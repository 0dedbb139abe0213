//! Image fields of Kubernetes manifests, kustomizations and Helm values: found and edited.
//!
//! - [`field`]: image fields
//! - [`find`]: finds the fields of a file, by their `shapes`; [`facts`]: everything that is known about the file
//! - [`file_kind`]: the kinds of files and documents
//! - [`kustomization`]: the references of a kustomization to files and images; [`file_references`]: reads only those
//! - [`closure`]: files that are deployed together; [`deployed_from`]: the folders from which a file is deployed
//! - [`helm_release`]: the HelmReleases that a file declares
//! - [`chart_lock`]: lock files of charts, which follow the dependencies
//! - [`field_rules`]: configured rules for fields beyond the usual shapes
//! - [`file_pattern`]: the files of a rule; [`rule_image`]: its images
//! - [`pattern`]: paths within documents
//! - [`marker`]: comments that name the image of a value
//! - [`flux`]: Flux policies that such comments refer to, and HelmRepositories
//! - [`prefilter`]: rules out files by their bytes, before they are parsed
//! - [`inventory`]: the fields of a whole tree
//! - [`names`]: names of images that are not in the file of the field
//! - [`paths`]: selects files of a tree
//! - [`pods`]: pods and the names of their pull secrets
//! - [`pull_secret`]: Secrets that hold credentials for registries
//! - [`value`]: recognises image references
//! - [`values`]: values of charts, merged from several files
//! - [`template`]: literal references in Go templates
//! - [`graph`]: the graph of kustomizations, and which fields are shadowed
//! - [`edit`]: sets fields to new versions

pub mod chart_lock;
pub mod closure;
pub mod deployed_from;
pub mod edit;
pub mod facts;
pub mod field;
pub mod field_rules;
pub mod file_kind;
mod file_pattern;
pub mod file_references;
pub mod find;
pub mod flux;
pub mod graph;
pub mod helm_release;
pub mod inventory;
pub mod kustomization;
pub mod marker;
mod names;
pub mod paths;
pub mod pattern;
pub mod pods;
pub mod prefilter;
pub mod pull_secret;
pub mod rule_image;
mod shapes;
mod template;
pub mod value;
pub mod values;
