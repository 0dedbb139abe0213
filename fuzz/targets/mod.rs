//! What is checked about texts from outside: with random ones by the fuzzer, with the kept ones by `cargo test --test fuzz`.
//!
//! Each file is about one kind of text and says in its first line what holds for any of them. [`ALL`] lists the targets:
//! each has a file in `fuzz_targets`, a folder in `kept`, and a section in `Cargo.toml`.

pub mod age;
pub mod challenges;
pub mod chart_indexes;
pub mod closures;
pub mod config;
pub mod image_configs;
pub mod image_names;
pub mod known_hosts;
pub mod links;
pub mod manifests;
pub mod pull_secrets;
pub mod rate_limits;
pub mod scan;
pub mod signatures;
pub mod sops;
pub mod splice;
pub mod tag_lists;
pub mod tokens;
pub mod trailers;
pub mod webhooks;

/// A check of any bytes, which panics if something does not hold.
pub type Check = fn(&[u8]);

/// All targets by name.
pub const ALL: [(&str, Check); 26] = [
    ("age", age::run),
    ("bundles", signatures::bundles),
    ("challenges", challenges::run),
    ("chart_indexes", chart_indexes::run),
    ("closures", closures::run),
    ("config", config::run),
    ("envelopes", signatures::envelopes),
    ("image_configs", image_configs::run),
    ("image_names", image_names::run),
    ("known_hosts", known_hosts::run),
    ("links", links::run),
    ("manifests", manifests::run),
    ("pull_secrets", pull_secrets::run),
    ("rate_limits", rate_limits::run),
    ("scan", scan::run),
    ("simple_signing", signatures::simple_signing),
    ("sops_binary", sops::binary),
    ("sops_dotenv", sops::dotenv),
    ("sops_ini", sops::ini),
    ("sops_json", sops::json),
    ("sops_yaml", sops::yaml),
    ("splice", splice::run),
    ("tag_lists", tag_lists::run),
    ("tokens", tokens::run),
    ("trailers", trailers::run),
    ("webhooks", webhooks::run),
];

/// Runs the target of this name.
pub fn run(name: &str, bytes: &[u8]) {
    let (_, check) = ALL.iter().find(|(target, _)| *target == name).expect("it is in the list");
    check(bytes);
}
