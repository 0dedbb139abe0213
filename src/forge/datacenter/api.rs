//! What all requests to Bitbucket Data Center have in common.

use jiff::Timestamp;
use serde::Deserialize;

use crate::forge::pages::Page;
use crate::forge::pull_request::Person;
use crate::forge::transport::Transport;
use crate::http::encode_path_segment;

/// Returns the project and the name of the repository, as parts of a path.
pub fn names(forge: &Transport) -> (String, String) {
    let (project, name) = forge.config.repository.split_once('/').unwrap_or_default();
    (encode_path_segment(project), encode_path_segment(name))
}

/// Returns the target of something below the repository.
pub fn target(forge: &Transport, below: &str) -> String {
    let (project, name) = names(forge);
    format!("/api/1.0/projects/{project}/repos/{name}{below}")
}

/// Returns the target of something below a pull request.
pub fn pull_request(forge: &Transport, number: u64, below: &str) -> String {
    target(forge, &format!("/pull-requests/{number}{below}"))
}

/// A page of a list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct List<T> {
    pub values: Vec<T>,
    #[serde(default)]
    is_last_page: bool,
    next_page_start: Option<usize>,
}

impl<T> List<T> {
    /// Returns the position of the page that follows, if one does.
    pub fn next(&self) -> Option<usize> {
        self.next_page_start.filter(|_| !self.is_last_page)
    }
}

impl<T: for<'d> Deserialize<'d>> Page for List<T> {
    type Item = T;

    fn items(self) -> Vec<T> {
        self.values
    }
}

/// A user.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    pub name: String,
    display_name: Option<String>,
    email_address: Option<String>,
}

impl User {
    /// Returns it as all forges have it.
    pub fn person(self) -> Person {
        Person { login: self.name, name: self.display_name, email: self.email_address }
    }
}

/// Returns the time for milliseconds since 1970.
pub fn time(milliseconds: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(milliseconds).ok()
}
