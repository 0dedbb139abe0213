//! Tells from a server's refusal what is missing: a repository, or a right. Servers have only words for that, so these are
//! the words of those that people use. A refusal in other words is shown as it is.

use crate::secret::SafeUrl;

use super::access::Access;
use super::error::RepoError;
use super::words;

/// Says that something does not exist, in a line about a repository or project.
const MISSING: [&str; 7] = [
    "not found",
    "not exist",
    "could not be found",
    "cannot find",
    "no such",
    "does not appear to be a git repository",
    "not a git repository",
];

/// Says that nobody may push, whatever their rights.
const CLOSED: [&str; 6] = [
    "is archived",
    "was archived",
    "mirror repo",
    "in read-only mode",
    "read-only gitlab instance",
    "repository is read-only",
];

/// Says that a right is missing.
const FORBIDDEN: [&str; 18] = [
    // Gitea, Forgejo
    "not authorized",
    "unauthorized",
    "prohibited",
    // GitHub
    "denied",
    "marked as read only",
    "not granted",
    "saml sso",
    "account is suspended",
    // GitLab
    "not have write access",
    "not allowed",
    "have permission",
    "account has been",
    // Bitbucket
    "deployment key is read-only",
    "not have access",
    // Others
    "forbidden",
    "not permitted",
    "insufficient permission",
    "no permission",
];

/// Says that the key or token may not push, in the message of a hook. Gitea lets people push who can only read, because
/// they may propose changes that way, and has its hook refuse everything else.
const FORBIDDEN_BY_HOOK: [&str; 3] =
    ["not authorized to write", "permission denied for writing", "does not have write access"];

/// Returns the error for a refusal, or `None` if its words do not tell what is missing.
pub fn error(url: &SafeUrl, access: Access, message: &str) -> Option<RepoError> {
    let lines = words::lines(message);
    let (url, words) = (url.clone(), lines.join(" / "));
    if says(&lines, &|line| is_about_repository(line) && contains(line, &MISSING)) {
        return Some(RepoError::NotFound { url, words });
    }
    if access == Access::Write && says(&lines, &|line| contains(line, &CLOSED)) {
        return Some(RepoError::Closed { url, words });
    }
    says(&lines, &|line| contains(line, &FORBIDDEN)).then_some(RepoError::NoAccess { url, access, words })
}

/// Returns whether a hook refused a push because the key or token may only read.
pub fn is_by_hook_for_readers(lines: &[String]) -> bool {
    says(lines, &|line| contains(line, &FORBIDDEN_BY_HOOK))
}

fn is_about_repository(line: &str) -> bool {
    contains(line, &["repositor", "project"])
}

fn says(lines: &[String], what: &dyn Fn(&str) -> bool) -> bool {
    lines.iter().any(|line| what(&line.to_lowercase()))
}

fn contains(line: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| line.contains(phrase))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(access: Access, message: &str) -> &'static str {
        match error(&"git@host:a/b.git".parse().expect("a URL"), access, message) {
            None => "unclear",
            Some(RepoError::NotFound { .. }) => "no repository",
            Some(RepoError::Closed { .. }) => "closed",
            Some(RepoError::NoAccess { access: Access::Write, .. }) => "no pushing",
            Some(_) => "no reading",
        }
    }

    #[test]
    fn a_missing_right_is_recognized_in_the_words_of_each_product() {
        for message in [
            // Gitea and Forgejo, routers/private/serv.go and cmd/serv.go
            "\nerror:\nerror: Deploy Key: 3:readonly is not authorized to write to org/infra.\nerror:\n",
            "Gitea: Public (Deploy) Key: 4:ci is not authorized to write to org/infra.",
            "Forgejo: Unauthorized",
            "User permission denied for writing.",
            "error: User: 5:ada with Key: 7:laptop is not authorized to write to org/infra.",
            // GitHub, "Error: Permission to user/repo denied" and what its servers print
            "ERROR: The key you are authenticating with has been marked as read only.",
            "ERROR: Permission to org/repo.git denied to deploy key",
            "Write access to repository not granted.",
            "ERROR: The 'acme' organization has enabled or enforced SAML SSO.",
            // GitLab, lib/gitlab/git_access.rb
            "remote: ERROR: This deploy key does not have write access to this project.",
            "You are not allowed to push code to this project.",
            "remote: GitLab: Your account has been blocked.",
            // Bitbucket, gitolite
            "repository access denied. access via a deployment key is read-only.",
            "FATAL: W any infra ci DENIED by fallthru\n(or you mis-spelled the reponame)",
        ] {
            assert_eq!(kind(Access::Write, message), "no pushing", "{message}");
            assert_eq!(kind(Access::Read, message), "no reading", "{message}");
        }
    }

    #[test]
    fn a_missing_repository_is_recognized_in_the_words_of_each_product() {
        for message in [
            "fatal: '/srv/x.git' does not appear to be a git repository",
            "ERROR: Repository not found.",
            "error:\nerror: Cannot find repository: org/infra\nerror:",
            "remote: ERROR: The project you were looking for could not be found or you don't have permission to view it.",
            "remote: TF401019: The Git repository with name or identifier x does not exist or you do not have permissions",
            "conq: repository does not exist.",
            "fatal: Project infra not found",
        ] {
            assert_eq!(kind(Access::Read, message), "no repository", "{message}");
        }
    }

    #[test]
    fn a_closed_repository_refuses_pushes_from_everybody() {
        for message in [
            "ERROR: This repository was archived so it is read-only.",
            "This repo is archived. You can view files and clone it, but cannot push or open issues/pull-requests.",
            "error: Mirror repository org/infra is read-only",
        ] {
            assert_eq!(kind(Access::Write, message), "closed", "{message}");
        }
    }

    #[test]
    fn troubles_of_the_server_are_not_taken_for_missing_rights() {
        for message in [
            "Gitea: Internal Server Error",
            "GitLab: Internal API unreachable",
            "bash: line 1: git-upload-pack: command not found",
            "sh: 1: git-receive-pack: not found",
            "fatal: detected dubious ownership in repository at '/srv/infra.git'",
            "fatal: unable to create thread: Resource temporarily unavailable",
            "error: database access failed",
            "",
        ] {
            assert_eq!(kind(Access::Write, message), "unclear", "{message}");
        }
    }
}
