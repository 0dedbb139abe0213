//! The keys and trusted roots of policies that require proof of origin.

use crate::clock;
use crate::config::load::Config;
use crate::cycle::origin::requirement::ReadRequirement;

use super::row::Row;

/// Checks that each file can be read and used.
pub fn check(config: &Config) -> Vec<Row> {
    let rules = config.tree_config.own.policies.rules.iter();
    let required = rules.filter_map(|rule| Some((rule, rule.origin.as_ref()?)));
    let row = required.map(|(rule, origin)| {
        let read = ReadRequirement::of(origin, clock::now());
        let detail = match (origin.signers.count(), origin.need) {
            (1, 1) => "1 signer, required".to_owned(),
            (count, need) => format!("{count} signers, {need} required"),
        };
        Row::of("signatures", rule.name.clone(), read, detail).needed_to("verify the origin of images")
    });
    row.collect()
}
