//! The status that Flux reports for a GitRepository (source.toolkit.fluxcd.io/v1), and why it may not deliver a commit.

use serde::Deserialize;

use crate::secret::SafeUrl;

use super::condition::Condition;
use super::config::ObjectRef;

/// The object as the API returns it.
pub type Resource = kube::core::Object<Spec, Status>;

/// The fields of `spec` that matter here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Spec {
    url: String,
    suspend: bool,
    #[serde(rename = "ref")]
    reference: Reference,
}

/// The commit that it fetches. Of several fields, the last one counts.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Reference {
    branch: String,
    tag: String,
    semver: String,
    name: String,
    commit: String,
}

/// The fields of `status` that matter here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Status {
    conditions: Vec<Condition>,
    artifact: Option<Artifact>,
}

/// What it has fetched.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Artifact {
    revision: String,
}

/// The repository and the branch that commits are pushed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The repository.
    pub repository: SafeUrl,
    /// The branch.
    pub branch: String,
}

impl Target {
    /// Returns whether a URL may be that of the repository. Hosts are not compared, because a server often has one name in
    /// the cluster and another outside.
    pub fn is_at(&self, url: &str) -> bool {
        let Ok(other) = url.parse::<SafeUrl>() else { return false };
        path_of(&other) == path_of(&self.repository)
    }
}

/// Returns the state of a GitRepository, for a commit that did not arrive.
pub fn words(name: &ObjectRef, resource: &Resource, target: &Target) -> String {
    let (spec, status) = (&resource.spec, resource.status.clone().unwrap_or_default());
    let mut found = Vec::new();
    if spec.suspend {
        found.push("it is suspended".to_owned());
    }
    if let Some(ready) = Condition::find(&status.conditions, "Ready").filter(|ready| ready.status == "False") {
        found.push(ready.words());
    }
    if !spec.url.is_empty() && !target.is_at(&spec.url) {
        let url = spec.url.parse::<SafeUrl>().map_or_else(|_| "an invalid URL".to_owned(), |url| url.to_string());
        found.push(format!("it reads {url}, but commits are pushed to {}", target.repository));
    }
    if let Some(other) = spec.reference.other_than(&target.branch) {
        found.push(format!("it follows {other}, but commits are pushed to the branch {}", target.branch));
    }
    if found.is_empty() {
        let revision = status.artifact.map(|artifact| artifact.revision).filter(|revision| !revision.is_empty());
        found.push(format!("it has fetched {}", revision.as_deref().unwrap_or("nothing")));
    }
    format!("GitRepository {name}: {}", found.join("; "))
}

impl Reference {
    /// Returns what it follows, if that is not a branch.
    fn other_than(&self, branch: &str) -> Option<String> {
        let Reference { branch: own, tag, semver, name, commit } = self;
        let kinds = [("the commit", commit), ("the reference", name), ("the tags", semver), ("the tag", tag)];
        let fixed = kinds.into_iter().find(|(_, value)| !value.is_empty());
        let fixed = fixed.filter(|(_, value)| **value != format!("refs/heads/{branch}"));
        let fixed = fixed.map(|(kind, value)| format!("{kind} {value}"));
        let is_fixed = ![tag, semver, name, commit].into_iter().all(String::is_empty);
        // Flux follows `master` if there is nothing else.
        let own = if own.is_empty() { "master" } else { own };
        fixed.or_else(|| (!is_fixed && own != branch).then(|| format!("the branch {own}")))
    }
}

/// Returns the path of a repository on its server.
fn path_of(url: &SafeUrl) -> String {
    let page = url.page().map(|page| page.path().to_owned());
    let path = page.or_else(|| url.local_path().map(str::to_owned)).unwrap_or_default();
    path.trim_matches('/').trim_end_matches(".git").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn said(spec: Value, status: Value) -> String {
        let object = json!({ "metadata": { "name": "infra" }, "spec": spec, "status": status });
        let resource: Resource = serde_json::from_value(object).expect("an object");
        let repository = "ssh://git@git.example.com/acme/infra.git".parse().expect("a URL");
        let name = ObjectRef { namespace: "flux-system".to_owned(), name: "infra".to_owned() };
        let said = words(&name, &resource, &Target { repository, branch: "main".to_owned() });
        said.strip_prefix("GitRepository flux-system/infra: ").expect("its name").to_owned()
    }

    #[test]
    fn a_source_says_why_it_delivers_nothing() {
        let ours = json!({ "url": "https://gitea.git.svc/acme/infra", "ref": { "branch": "main" } });
        let artifact = json!({ "artifact": { "revision": "main@sha1:c0ffee" } });
        assert_eq!(said(ours.clone(), artifact), "it has fetched main@sha1:c0ffee");
        let ready = json!({ "type": "Ready", "status": "False", "reason": "GitOperationFailed", "message": "failed to checkout" });
        assert_eq!(said(ours, json!({ "conditions": [ready] })), "GitOperationFailed: failed to checkout");
        let other =
            json!({ "url": "https://bot:open-sesame@git.example.com/acme/infra2.git", "suspend": true, "ref": {} });
        let said_of_other = said(other, json!({}));
        assert!(!said_of_other.contains("sesame"), "{said_of_other}");
        for words in ["it is suspended", "it reads https://", "infra2.git, but", "it follows the branch master, but"] {
            assert!(said_of_other.contains(words), "{said_of_other}");
        }
        let at = |reference: Value| said(json!({ "ref": reference }), json!({}));
        assert!(at(json!({ "branch": "main", "tag": "v1" })).starts_with("it follows the tag v1, but"));
        assert_eq!(at(json!({ "name": "refs/heads/main" })), "it has fetched nothing");
    }
}
