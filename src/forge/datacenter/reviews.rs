//! Reviews on Bitbucket Data Center, which are marks of reviewers: "Get pull request", and "Get users" for who may write.

use serde::Deserialize;

use crate::forge::error::ForgeError;
use crate::forge::pull_request::PullRequest;
use crate::forge::review::{Review, Verdict, Weight, weight};
use crate::forge::transport::{Request, Transport};
use crate::http::encode_path_segment;

use super::api::{self, List, User};
use super::pulls;

/// Reads the mark of each person.
pub async fn read(forge: &Transport, pull_request: &PullRequest) -> Result<Vec<Review>, ForgeError> {
    let mut reviews = Vec::new();
    for reviewer in pulls::get(forge, pull_request.number).await?.reviewers {
        let verdict = match reviewer.status.as_deref() {
            Some("APPROVED") => Verdict::Approves,
            Some("NEEDS_WORK") => Verdict::Refuses,
            _ => continue,
        };
        let (by, head) = (reviewer.user.person(), reviewer.last_reviewed_commit);
        let is_author = pull_request.author.as_ref().is_some_and(|author| author.login == by.login);
        let mut weight = weight(verdict, head.as_deref(), pull_request.head.as_deref(), is_author);
        // Whoever may read a repository may approve.
        if weight == Weight::Counts && !may_write(forge, &by.login).await? {
            weight = Weight::NoRight;
        }
        reviews.push(Review { by, verdict, weight, head, at: None, url: None });
    }
    Ok(reviews)
}

/// A user, as far as it matters here.
#[derive(Deserialize)]
struct Found {
    #[serde(flatten)]
    user: User,
}

/// Returns whether a user may write to the repository.
async fn may_write(forge: &Transport, name: &str) -> Result<bool, ForgeError> {
    let (project, repository) = api::names(forge);
    let target = format!(
        "/api/1.0/users?filter={}&permission.1=REPO_WRITE&permission.1.projectKey={project}\
         &permission.1.repositorySlug={repository}&limit=100",
        encode_path_segment(name)
    );
    let found = forge.send::<List<Found>>(Request::get(target)).await?.body.values;
    Ok(found.into_iter().any(|found| found.user.name == name))
}
