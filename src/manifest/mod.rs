//! Image fields of Kubernetes manifests, kustomizations and Helm values: where they are and how they are edited.
//!
//! - [`field`]: what an image field is
//! - [`find`]: the fields of one file
//! - [`inventory`]: all fields of a tree
//! - [`paths`]: which files of a tree are meant
//! - [`value`]: which scalars are image references
//! - [`kustomize`]: the graph of kustomizations, and who shadows whom
//! - [`edit`]: fields to new versions, byte for byte

pub mod edit;
pub mod field;
pub mod find;
pub mod inventory;
pub mod kustomize;
pub mod paths;
pub mod value;
