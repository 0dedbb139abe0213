//! What all requests to Azure DevOps have in common.

use jiff::Timestamp;
use serde::Deserialize;

use crate::forge::pages::Page;
use crate::forge::pull_request::Person;
use crate::forge::transport::Transport;
use crate::http::encode_path_segment;

/// The version of the API, which each request names.
const VERSION: &str = "api-version=6.0";

/// Returns the target of something below a repository, up to the end of its first parameter.
pub fn target(forge: &Transport, below: &str) -> String {
    let (project, name) = forge.config.repository.split_once('/').unwrap_or_default();
    let (project, name) = (encode_path_segment(project), encode_path_segment(name));
    format!("/{project}/_apis/git/repositories/{name}{below}?{VERSION}")
}

/// Returns the target of something below a pull request.
pub fn pull_request(forge: &Transport, number: u64, below: &str) -> String {
    target(forge, &format!("/pullrequests/{number}{below}"))
}

/// Returns the name of a branch as a reference.
pub fn branch(name: &str) -> String {
    format!("refs/heads/{name}")
}

/// A list, as it is returned.
#[derive(Deserialize)]
pub struct List<T> {
    pub value: Vec<T>,
}

impl<T: for<'d> Deserialize<'d>> Page for List<T> {
    type Item = T;

    fn items(self) -> Vec<T> {
        self.value
    }
}

/// A commit (`GitCommitRef`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Commit {
    pub commit_id: String,
}

/// A user, a group or a service (`IdentityRef`).
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    pub id: String,
    pub unique_name: Option<String>,
    pub display_name: Option<String>,
}

impl Identity {
    /// Returns it as all forges have it. The unique name of a person is an address, or on a server a name in its domain.
    pub fn person(self) -> Person {
        let email = self.unique_name.clone().filter(|name| name.contains('@'));
        let login = self.unique_name.or_else(|| self.display_name.clone()).unwrap_or(self.id);
        Person { login, name: self.display_name, email }
    }
}

/// Returns a time, unless it is missing or the one that stands for none.
pub fn time(text: Option<&String>) -> Option<Timestamp> {
    text.and_then(|text| text.parse().ok())
}
