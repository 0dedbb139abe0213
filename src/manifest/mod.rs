//! Image fields of Kubernetes manifests, kustomizations and Helm values: found and edited.
//!
//! - [`field`]: image fields
//! - [`find`]: finds the fields of a file, by their `shapes`; [`facts`]: everything that is known about the file
//! - [`file_kind`]: the kinds of files and documents
//! - [`kustomization`]: the references of a kustomization to files and images; [`file_references`]: reads only those
//! - [`closure`]: files that are deployed together
//! - [`field_rules`]: configured rules for fields beyond the usual shapes
//! - [`pattern`]: paths within documents
//! - [`marker`]: comments that name the image of a value
//! - [`flux`]: Flux policies that such comments refer to
//! - [`prefilter`]: rules out files by their bytes, before they are parsed
//! - [`inventory`]: the fields of a whole tree
//! - [`paths`]: selects files of a tree
//! - [`pods`]: pods and the names of their pull secrets
//! - [`pull_secret`]: Secrets that hold credentials for registries
//! - [`value`]: recognises image references
//! - [`graph`]: the graph of kustomizations, and which fields are shadowed
//! - [`edit`]: sets fields to new versions

pub mod closure;
pub mod edit;
pub mod facts;
pub mod field;
pub mod field_rules;
pub mod file_kind;
pub mod file_references;
pub mod find;
pub mod flux;
pub mod graph;
pub mod inventory;
pub mod kustomization;
pub mod marker;
pub mod paths;
pub mod pattern;
pub mod pods;
pub mod prefilter;
pub mod pull_secret;
mod shapes;
pub mod value;
