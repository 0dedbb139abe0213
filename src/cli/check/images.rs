//! The repositories of the images that the branch deploys, each of which may need a right of its own.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};

use crate::image::Repository;
use crate::registry::client::Client;
use crate::registry::error::RegistryError;

use super::row::Row;

/// The most repositories that are tried.
const MOST: usize = 500;
/// How many are tried at the same time.
const SIDE_BY_SIDE: usize = 16;
/// What the right is needed for.
const PURPOSE: &str = "list tags and read images";

/// Tries to list the tags of each repository. Those of hosts that failed before would only repeat the reason.
pub async fn check(registry: &Client, images: &BTreeSet<Repository>, failed: &BTreeSet<String>) -> Vec<Row> {
    let reachable = images.iter().filter(|image| !failed.contains(image.host()));
    let (count, tried) = (reachable.clone().count(), reachable.take(MOST));
    let attempts = tried.map(|image| async move { (image, registry.try_listing(image).await) });
    let results: Vec<_> = stream::iter(attempts).buffered(SIDE_BY_SIDE).collect().await;
    let mut listed: BTreeMap<&str, usize> = BTreeMap::new();
    let mut problems = Vec::new();
    for (image, result) in results {
        match result {
            Ok(()) => *listed.entry(image.host()).or_default() += 1,
            Err(error) => problems.push(problem(image, error)),
        }
    }
    let mut rows: Vec<Row> = listed.into_iter().map(|(host, count)| row(host, host_detail(count))).collect();
    rows.extend(problems);
    if count > MOST {
        rows.push(row("all registries", format!("only {MOST} of {count} repositories were tried")).warning());
    }
    rows
}

fn row(target: &str, detail: String) -> Row {
    Row::new("images", target, Ok(detail)).needed_to(PURPOSE)
}

fn host_detail(count: usize) -> String {
    if count == 1 { "1 repository can be read".to_owned() } else { format!("{count} repositories can be read") }
}

/// A repository that does not exist may be waiting for its first image; many registries say the same if the credentials
/// are not good for it.
fn problem(image: &Repository, error: RegistryError) -> Row {
    let is_missing = error.is_not_found();
    let row = Row::of("images", image.to_string(), Err::<(), _>(error), "").needed_to(PURPOSE);
    if !is_missing {
        return row;
    }
    let help = "check the name, and that an image has been pushed; many registries say the same if the credentials do not \
                include the repository";
    Row { help: Some(help.to_owned()), ..row.warning() }
}
