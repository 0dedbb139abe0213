//! Pull requests, as all forges have them.

use jiff::Timestamp;

/// A pull request from the proposal branch to the tracked branch, both of the repository itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// Its page on the forge.
    pub url: String,
    /// Its description.
    pub text: String,
    /// Its state.
    pub state: State,
    /// The newest commit of its branch.
    pub head: Option<String>,
    /// Who opened it.
    pub author: Option<Person>,
}

/// A user of the forge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Person {
    /// The name of the account.
    pub login: String,
    /// The full name.
    pub name: Option<String>,
    /// The address, if the forge shows it.
    pub email: Option<String>,
}

/// How a pull request was merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// Who merged it, if the forge reports that.
    pub by: Option<Person>,
    /// When.
    pub at: Option<Timestamp>,
    /// The commit that the branch had right after it.
    pub commit: Option<String>,
}

/// The result of merging a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MergeResult {
    /// It was merged.
    Merged {
        /// The commit that the branch had right after it, if the forge reports that.
        commit: Option<String>,
    },
    /// It was not merged, because it has another head now.
    Moved {
        /// That head.
        head: String,
    },
}

/// The state of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is open.
    Open,
    /// It was merged.
    Merged {
        /// The merge commit, and the commit that it was squashed to, as far as the forge reports them.
        commits: Vec<String>,
    },
    /// It was closed without being merged.
    Closed {
        /// When it was closed.
        at: Timestamp,
        /// Who closed it, if the forge reports that.
        by: Option<String>,
    },
}

/// The content of a pull request to be opened or updated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The title.
    pub title: String,
    /// The description.
    pub text: String,
}

impl Person {
    /// Returns whether this may be the author of commits with a name and an address. Forges show few addresses, so equal
    /// names and the addresses that GitHub and GitLab give out instead count as well.
    pub fn may_be(&self, name: &str, email: &str) -> bool {
        let is_same = |one: &str, other: &str| !one.is_empty() && one.eq_ignore_ascii_case(other);
        let substitute = email.split_once('@').filter(|(_, host)| host.contains("users.noreply."));
        let login = substitute.map(|(local, _)| local);
        let after_id = login.map(|local| local.split_once(['+', '-']).map_or(local, |(_, login)| login));
        [Some(name), login, after_id].into_iter().flatten().any(|text| is_same(text, &self.login))
            || self.name.as_deref().is_some_and(|own| is_same(own, name))
            || self.email.as_deref().is_some_and(|own| is_same(own, email))
    }
}

/// A pull request on a page of the forge's list.
#[derive(Debug)]
pub(super) struct ListedPullRequest {
    /// When it was last updated: pages are ordered by that, newest first.
    pub updated: Timestamp,
    /// The pull request, if it is from the proposal branch to the tracked branch.
    pub own: Option<PullRequest>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authors_of_commits_are_recognized_by_name_and_address() {
        let carol = Person {
            login: "carol".to_owned(),
            name: Some("Carol Smith".to_owned()),
            email: Some("carol@example.com".to_owned()),
        };
        for (name, email) in [
            ("Carol Smith", "cs@home.example"),
            ("c", "Carol@Example.com"),
            ("carol", "x@example.com"),
            ("c", "carol@users.noreply.github.com"),
            ("c", "583231+Carol@users.noreply.github.com"),
            ("c", "27-carol@users.noreply.gitlab.com"),
        ] {
            assert!(carol.may_be(name, email), "{name} <{email}>");
        }
        assert!(!carol.may_be("Dave", "carol@other.example") && !carol.may_be("", ""));
        let hidden = Person { name: Some(String::new()), email: None, ..carol };
        assert!(!hidden.may_be("", ""));
    }
}
