//! The rights that the Kubernetes API has to grant.

use futures_util::{StreamExt, stream};

use crate::cluster::api::Cluster;
use crate::cluster::api_call::ApiCall;
use crate::cluster::config::Config;
use crate::cluster::error::ClusterError;
use crate::cluster::receiver;
use crate::cluster::required_calls::required_calls;

use super::row::Row;

/// How many rights are tried at the same time.
const SIDE_BY_SIDE: usize = 8;

/// Asks the API for each right that the configuration needs, and checks the files of the Receiver.
pub async fn check(config: &Config) -> Vec<Row> {
    if *config == Config::default() {
        return Vec::new();
    }
    let mut rows = rights(config).await;
    if let Some(receiver) = config.flux.as_ref().and_then(|flux| flux.receiver.as_ref()) {
        let row = Row::of("cluster", "Flux's Receiver", receiver::check_files(receiver), "its files can be used");
        rows.push(row.needed_to("make Flux fetch a commit at once"));
    }
    rows
}

async fn rights(config: &Config) -> Vec<Row> {
    let cluster = match Cluster::find().await {
        Ok(cluster) => cluster,
        Err(ClusterError::NoCluster) => {
            let detail = "not tried, because this is not a pod and KUBECONFIG is not set".to_owned();
            return vec![Row::new("cluster", "Kubernetes API", Ok(detail))];
        }
        Err(error) => return vec![Row::of("cluster", "Kubernetes API", Err::<(), _>(error), "")],
    };
    let calls = required_calls(config, cluster.namespace());
    let attempts = calls.iter().map(async |call| (call, cluster.try_right(call).await));
    let results: Vec<_> = stream::iter(attempts).buffered(SIDE_BY_SIDE).collect().await;
    let row = |(call, result)| -> Row {
        let call: &ApiCall = call;
        Row::of("cluster", call.to_string(), result, "allowed").needed_to(format!("use {}", call.key()))
    };
    results.into_iter().map(row).collect()
}
