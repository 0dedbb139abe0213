//! What a request to GitHub needs an access token for.

use reqwest::Method;

use crate::identity::scope::Scope;

/// Returns what a request to a path needs an access token for. Everything that is not about commits is about pull requests.
pub fn of(method: &Method, path: &str) -> Scope {
    let parts: Vec<&str> = path.split('/').skip_while(|part| *part != "repos").skip(3).collect();
    match parts.as_slice() {
        ["commits", _, "status"] => Scope::ReadStatuses,
        ["commits", _, "check-runs"] => Scope::ReadChecks,
        ["statuses", _] => Scope::WriteStatuses,
        ["pulls", _, "merge"] if *method == Method::PUT => Scope::Merge,
        _ => Scope::PullRequests,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_needs_no_more_than_its_path_tells() {
        for (method, path, scope) in [
            (Method::GET, "", Scope::PullRequests),
            (Method::GET, "/commits/1a2b/status", Scope::ReadStatuses),
            (Method::GET, "/commits/1a2b/check-runs", Scope::ReadChecks),
            (Method::POST, "/statuses/1a2b", Scope::WriteStatuses),
            (Method::PUT, "/pulls/7/merge", Scope::Merge),
            (Method::GET, "/pulls/7/merge", Scope::PullRequests),
            (Method::POST, "/issues/7/labels", Scope::PullRequests),
        ] {
            // A repository may have any name.
            for repository in ["acme/infra", "repos/commits", "commits/statuses"] {
                assert_eq!(of(&method, &format!("/repos/{repository}{path}")), scope, "{method} {repository}{path}");
            }
        }
    }
}
