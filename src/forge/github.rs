//! GitHub, by its REST API of 2022-11-28: "List pull requests", "Create a pull request", "Add labels to an issue".

use reqwest::Method;
use serde_json::{Value, json};

use crate::http::in_path;

use super::client::{Draft, Forge, Listed, PullRequest};
use super::error::ForgeError;
use super::pulls;
use super::transport::{Answer, Question};

pub async fn page(forge: &Forge, page: usize) -> Result<Answer<Vec<Listed>>, ForgeError> {
    let owner = forge.config.repository.split('/').next().unwrap_or_default();
    let head = in_path(&format!("{owner}:{}", forge.config.head));
    let (place, base) = (pulls::place(forge), in_path(&forge.config.base));
    let target =
        format!("{place}/pulls?state=all&head={head}&base={base}&sort=updated&direction=desc&per_page=100&page={page}");
    pulls::page(forge, target).await
}

pub async fn open(forge: &Forge, draft: &Draft) -> Result<PullRequest, ForgeError> {
    let pull = pulls::open(forge, draft, json!({})).await?;
    if !forge.config.labels.is_empty() {
        // It makes those that are not there yet.
        let target = format!("{}/issues/{}/labels", pulls::place(forge), pull.number);
        let question = Question::send(Method::POST, target, json!({ "labels": forge.config.labels }));
        forge.transport.ask::<Value>(&forge.config, question).await?;
    }
    Ok(pull.into_own())
}
