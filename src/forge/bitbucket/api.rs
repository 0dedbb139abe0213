//! What all requests to Bitbucket Cloud have in common.

use serde::Deserialize;

use crate::forge::error::ForgeError;
use crate::forge::pages::{self, Page};
use crate::forge::pull_request::Person;
use crate::forge::transport::{Request, Transport};
use crate::http::encode_path_segment;

/// Returns the target of something below the repository.
pub fn target(forge: &Transport, below: &str) -> String {
    format!("/repositories/{}{below}", forge.config.repository)
}

/// Returns the target of something below a pull request.
pub fn pull_request(forge: &Transport, number: u64, below: &str) -> String {
    target(forge, &format!("/pullrequests/{number}{below}"))
}

/// A page of a list.
#[derive(Deserialize)]
pub struct List<T> {
    pub values: Vec<T>,
    /// The URL of the page that follows.
    pub next: Option<String>,
}

impl<T: for<'d> Deserialize<'d>> Page for List<T> {
    type Item = T;

    fn items(self) -> Vec<T> {
        self.values
    }
}

/// Reads all pages of a list.
pub async fn all<T: for<'d> Deserialize<'d>>(forge: &Transport, first: String) -> Result<Vec<T>, ForgeError> {
    pages::follow::<List<T>>(forge, first, |page| page.next.as_deref().map(|next| below(forge, next)).transpose()).await
}

/// Returns the target of a page whose URL Bitbucket gave. The token must not go anywhere else.
fn below(forge: &Transport, next: &str) -> Result<String, ForgeError> {
    forge.config.api.below(next).ok_or_else(|| ForgeError::InvalidResponse {
        host: forge.config.api.host().to_owned(),
        what: "the request for a list".to_owned(),
        reason: "its next page is not below the URL of the API".to_owned(),
    })
}

/// A user, whom Bitbucket identifies by nothing that people know. It shows no addresses.
#[derive(Clone, Deserialize)]
pub struct User {
    pub uuid: Option<String>,
    nickname: Option<String>,
    display_name: Option<String>,
}

impl User {
    /// Returns it as all forges have it.
    pub fn person(self) -> Person {
        let login = self.nickname.or_else(|| self.display_name.clone()).or(self.uuid).unwrap_or_default();
        Person { login, name: self.display_name, email: None }
    }
}

/// A commit. In pull requests, its ID is cut after 12 digits.
#[derive(Clone, Deserialize)]
pub struct Commit {
    pub hash: String,
    #[serde(default)]
    pub parents: Vec<Commit>,
}

/// A branch, with its newest commit.
#[derive(Deserialize)]
struct Branch {
    target: Commit,
}

/// Returns the newest commit of a branch.
pub async fn tip(forge: &Transport, branch: &str) -> Result<String, ForgeError> {
    let target = target(forge, &format!("/refs/branches/{}", encode_path_segment(branch)));
    Ok(forge.send::<Branch>(Request::get(target)).await?.body.target.hash)
}

/// Reads a commit.
pub async fn commit(forge: &Transport, id: &str) -> Result<Commit, ForgeError> {
    let target = target(forge, &format!("/commit/{}", encode_path_segment(id)));
    Ok(forge.send::<Commit>(Request::get(target)).await?.body)
}
