//! The repositories that images are built from.

use tokio::task::block_in_place;

use crate::config::load::Config;
use crate::fault::Explain;
use crate::policy::order::SourceBranch;
use crate::repo::remote;
use crate::secret::SafeUrl;

use super::row::Row;

/// Checks the source repositories. Those that only images name are not known before the images are inspected.
pub fn check(config: &Config) -> Vec<Row> {
    let branches = config.tree_config.own.policies.rules.iter().filter_map(|rule| rule.tags.order()?.branch());
    let named = branches.filter_map(|branch| Some((branch, branch.source.as_ref()?)));
    let row = |(branch, url): (&SourceBranch, &SafeUrl)| {
        let source = config.sources.config(url, &branch.branch);
        let tip = source.and_then(|source| Ok(block_in_place(|| remote::probe(&source))?));
        let at = tip.as_ref().map(|tip| format!("{} is at {tip}", branch.branch));
        let at = at.map_err(|error| error as &dyn Explain);
        Row::new("source", url.to_string(), at).needed_to("order tags by their commits")
    };
    named.map(row).collect()
}
