//! Image fields of Kubernetes manifests, kustomizations and Helm values: where they are and how they are edited.
//!
//! - [`field`]: what an image field is
//! - [`find`]: the fields of one file
//! - [`closure`]: what is deployed together
//! - [`field_rules`]: what counts as a field beyond the usual shapes
//! - [`pattern`]: paths within documents
//! - [`marker`]: comments that say which image a value belongs to
//! - [`flux`]: policies that such comments name
//! - [`prefilter`]: files that cannot hold an image of interest, told by their bytes
//! - [`inventory`]: all fields of a tree
//! - [`paths`]: which files of a tree are meant
//! - [`pods`]: pods and the names of their pull secrets
//! - [`pull_secret`]: Secrets that hold credentials for registries
//! - [`value`]: which scalars are image references
//! - [`kustomize`]: the graph of kustomizations, and who shadows whom
//! - [`edit`]: fields to new versions, byte for byte

pub mod closure;
pub mod edit;
pub mod field;
pub mod field_rules;
pub mod find;
pub mod flux;
pub mod inventory;
pub mod kustomize;
pub mod marker;
pub mod paths;
pub mod pattern;
pub mod pods;
pub mod prefilter;
pub mod pull_secret;
pub mod value;
