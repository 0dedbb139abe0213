//! Finds values of Kubernetes Secrets that are in plaintext, wherever kustomize can take them from: objects, generators,
//! patches, replacements and transformers. Whatever cannot be followed is reported as unverified, never passed over.
//!
//! Keys and kinds are compared more loosely than kustomize does (merged keys, keys that occur twice, other letters), so
//! that a doubt leads to a finding.
//!
//! - [`read`]: reads files by their role
//! - `text`: the documents of a file, as kustomize divides it; `view`: nodes with merged keys and decoded texts
//! - [`finding`]: a finding; [`reference`]: references from kustomizations to other files
//! - `substitution`: values that are not secret, because Flux substitutes them or SOPS encrypted them
//! - `objects`: Secrets and lists of them; `generators`, `patches`, `replacements`, `field_specs`: the parts of
//!   kustomizations; `plugins`: the same parts as objects of their own; `kustomization`: whole kustomizations

mod field_specs;
pub mod finding;
mod generators;
mod kustomization;
mod objects;
mod patches;
mod plugins;
pub mod read;
pub mod reference;
mod replacements;
mod substitution;
mod text;
mod view;
