//! The images that an event names.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::image::{DEFAULT_HOST, Reference};
use crate::policy::scope::Target;

use super::config::Kind;

/// The maximum number of images that are taken from one event.
const MAX_IMAGES: usize = 1_000;

/// Returns the images for which an event announces new tags; none if it is about something else, such as a pull.
///
/// # Errors
/// The body is not as documented by the sender.
pub fn updated_images(kind: Kind, body: &[u8]) -> Result<BTreeSet<Target>, serde_json::Error> {
    let found: Vec<Option<Target>> = match kind {
        Kind::Distribution => serde_json::from_slice::<DistributionEvent>(body)?.images(),
        Kind::Gitea => vec![serde_json::from_slice::<GiteaPackage>(body)?.images()],
        Kind::Harbor => serde_json::from_slice::<HarborEvent>(body)?.images(),
        Kind::DockerHub => vec![serde_json::from_slice::<HubPush>(body)?.images()],
        Kind::Ghcr => vec![serde_json::from_slice::<GithubPackage>(body)?.images()],
        Kind::Quay => vec![reference(&serde_json::from_slice::<QuayPush>(body)?.docker_url)],
        Kind::Gitlab => serde_json::from_slice::<GitlabEvent>(body)?.images(),
        Kind::Generic => serde_json::from_slice::<Generic>(body)?.images(),
    };
    Ok(found.into_iter().flatten().take(MAX_IMAGES).collect())
}

/// Returns the image of a reference, whatever its tag.
fn reference(text: &str) -> Option<Target> {
    text.parse::<Reference>().ok().map(|reference| Target::image(&reference.repository))
}

/// A name on a host that may be unknown. Image names are lowercase, but account names may not be.
fn named(host: Option<String>, path: &str) -> Option<Target> {
    (!path.is_empty()).then(|| Target { host, path: path.to_ascii_lowercase(), with_below: false })
}

/// Notifications of the distribution registry. Azure Container Registry sends them one by one, without an envelope (its
/// documentation, "Azure Container Registry webhook reference").
#[derive(Deserialize)]
#[serde(untagged)]
enum DistributionEvent {
    Many(Notifications),
    One(Notification),
}

impl DistributionEvent {
    fn images(self) -> Vec<Option<Target>> {
        match self {
            DistributionEvent::Many(notifications) => notifications.images(),
            DistributionEvent::One(notification) => Notifications { events: vec![notification] }.images(),
        }
    }
}

/// Notifications of the distribution registry (its documentation, "Notifications", envelope of events).
#[derive(Deserialize)]
struct Notifications {
    events: Vec<Notification>,
}

#[derive(Deserialize)]
struct Notification {
    action: String,
    /// Missing in the events with which Azure tests a webhook.
    #[serde(default)]
    target: NotifiedTarget,
    request: Option<NotifiedRequest>,
}

#[derive(Default, Deserialize)]
struct NotifiedTarget {
    #[serde(default)]
    repository: String,
    #[serde(default)]
    tag: String,
}

#[derive(Deserialize)]
struct NotifiedRequest {
    #[serde(default)]
    host: String,
}

impl Notifications {
    /// Only pushes of tags count: blobs and untagged manifests precede one.
    fn images(self) -> Vec<Option<Target>> {
        let tags = self.events.into_iter().filter(|event| event.action == "push" && !event.target.tag.is_empty());
        tags.map(|event| {
            let host = event.request.map(|request| request.host).filter(|host| !host.is_empty());
            named(host, &event.target.repository)
        })
        .collect()
    }
}

/// Gitea's event `package` (its structs `PackagePayload` and `Package`).
#[derive(Deserialize)]
struct GiteaPackage {
    action: String,
    package: GiteaVersion,
}

#[derive(Deserialize)]
struct GiteaVersion {
    owner: Account,
    #[serde(rename = "type")]
    kind: String,
    name: String,
    #[serde(default)]
    html_url: String,
}

/// A user or an organisation, as Gitea and GitHub describe it.
#[derive(Deserialize)]
struct Account {
    login: String,
}

impl GiteaPackage {
    fn images(self) -> Option<Target> {
        let package = self.package;
        let url = url::Url::parse(&package.html_url).ok();
        let host = url.map(|url| url[url::Position::BeforeHost..url::Position::AfterPort].to_owned());
        let path = format!("{}/{}", package.owner.login, package.name);
        (self.action == "created" && package.kind == "container").then(|| named(host, &path))?
    }
}

/// Harbor's `PUSH_ARTIFACT` (its documentation, "Configure Webhook Notifications"), in its own format or as a CloudEvent.
#[derive(Deserialize)]
struct HarborEvent {
    #[serde(rename = "type")]
    kind: String,
    #[serde(alias = "data")]
    event_data: Option<HarborData>,
}

#[derive(Deserialize)]
struct HarborData {
    #[serde(default)]
    resources: Vec<HarborResource>,
}

#[derive(Deserialize)]
struct HarborResource {
    #[serde(default)]
    resource_url: String,
}

impl HarborEvent {
    fn images(self) -> Vec<Option<Target>> {
        if !matches!(self.kind.as_str(), "PUSH_ARTIFACT" | "harbor.artifact.pushed") {
            return Vec::new();
        }
        let resources = self.event_data.map(|data| data.resources).unwrap_or_default();
        resources.iter().map(|resource| reference(&resource.resource_url)).collect()
    }
}

/// Docker Hub's webhook (its documentation, "Webhooks").
#[derive(Deserialize)]
struct HubPush {
    repository: HubRepository,
}

#[derive(Deserialize)]
struct HubRepository {
    repo_name: String,
}

impl HubPush {
    fn images(self) -> Option<Target> {
        named(Some(DEFAULT_HOST.to_owned()), &self.repository.repo_name)
    }
}

/// GitHub's events `registry_package` and `package` (its documentation, "Webhook events and payloads"). Others, such as
/// `ping`, have neither.
#[derive(Deserialize)]
struct GithubPackage {
    #[serde(default)]
    action: String,
    #[serde(alias = "registry_package")]
    package: Option<GithubVersion>,
}

#[derive(Deserialize)]
struct GithubVersion {
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    package_type: String,
    owner: Option<Account>,
}

impl GithubPackage {
    fn images(self) -> Option<Target> {
        let package = self.package.filter(|package| package.package_type.eq_ignore_ascii_case("container"))?;
        let is_push = matches!(self.action.as_str(), "published" | "updated");
        let owner = package.owner.map(|owner| owner.login).filter(|_| package.namespace.is_empty());
        let path = format!("{}/{}", owner.as_deref().unwrap_or(&package.namespace), package.name);
        is_push.then(|| named(Some("ghcr.io".to_owned()), &path))?
    }
}

/// Quay's "push to repository" (its documentation, "Repository notifications").
#[derive(Deserialize)]
struct QuayPush {
    docker_url: String,
}

/// GitLab's pipeline events (its documentation, "Webhook events"), and the notifications of its registry.
#[derive(Deserialize)]
#[serde(untagged)]
enum GitlabEvent {
    Registry(Notifications),
    Project(GitlabProjectEvent),
}

#[derive(Deserialize)]
struct GitlabProjectEvent {
    object_kind: String,
    object_attributes: Option<GitlabPipeline>,
    project: GitlabProject,
}

#[derive(Deserialize)]
struct GitlabPipeline {
    status: Option<String>,
}

#[derive(Deserialize)]
struct GitlabProject {
    path_with_namespace: String,
}

impl GitlabEvent {
    fn images(self) -> Vec<Option<Target>> {
        let event = match self {
            GitlabEvent::Registry(notifications) => return notifications.images(),
            GitlabEvent::Project(event) => event,
        };
        let status = event.object_attributes.and_then(|pipeline| pipeline.status);
        let is_built = event.object_kind == "pipeline" && status.as_deref() == Some("success");
        // The images of a project have its name, or names below it; the event does not name their host.
        let project = named(None, &event.project.path_with_namespace).filter(|_| is_built);
        vec![project.map(|target| Target { with_below: true, ..target })]
    }
}

/// For anything that can send a request.
#[derive(Deserialize)]
struct Generic {
    images: Vec<String>,
}

impl Generic {
    fn images(self) -> Vec<Option<Target>> {
        self.images.iter().map(|image| reference(image)).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The images of an event, as `host/path`; `*` if the host is unknown, and `/**` if names below are included.
    fn images_of(kind: Kind, event: &Value) -> Vec<String> {
        let targets = updated_images(kind, event.to_string().as_bytes()).expect("a valid event");
        let shown = |target: &Target| {
            let below = if target.with_below { "/**" } else { "" };
            format!("{}/{}{below}", target.host.as_deref().unwrap_or("*"), target.path)
        };
        targets.iter().map(shown).collect()
    }

    #[test]
    fn the_distribution_registry_announces_pushed_tags() {
        let event = |action: &str, target: Value| {
            json!({ "id": "320678d8-ca14-430f-8bb6-4ca139cd83f7", "timestamp": "2016-03-09T14:44:26.402973972-08:00",
                "action": action, "target": target,
                "request": { "id": "6df24a34", "addr": "192.168.64.11:42961", "host": "192.168.100.227:5000",
                    "method": "PUT", "useragent": "curl/7.38.0" },
                "actor": {}, "source": { "addr": "xtal.local:5000", "instanceID": "a53db899" } })
        };
        let manifest = json!({ "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "size": 708,
            "digest": "sha256:fea8895f450959fa676bcc1df0611ea93823a735a01205fd8622846041d0c7cf", "length": 708,
            "repository": "org/app", "url": "http://192.168.100.227:5000/v2/org/app/manifests/sha256:fea8", "tag": "1a2b3c4" });
        let blob = json!({ "mediaType": "application/octet-stream", "repository": "org/app", "url": "x", "size": 1 });
        let events = json!({ "events": [event("push", blob), event("pull", manifest.clone()), event("push", manifest.clone())] });
        assert_eq!(images_of(Kind::Distribution, &events), ["192.168.100.227:5000/org/app"]);
        // Our own pulls must not wake us.
        assert!(images_of(Kind::Distribution, &json!({ "events": [event("pull", manifest)] })).is_empty());
    }

    #[test]
    fn azure_container_registry_sends_one_notification_at_a_time() {
        // The examples of its documentation.
        let event = |action: &str| {
            json!({ "id": "cb8c3971-9adc-488b-xxxx-43cbb4974ff5", "timestamp": "2017-11-17T16:52:01.343145347Z",
                "action": action, "target": { "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                    "size": 524, "digest": "sha256:xxxx", "length": 524, "repository": "hello-world", "tag": "v1" },
                "request": { "id": "3cbb6949", "host": "myregistry.azurecr.io", "method": "PUT", "useragent": "docker" } })
        };
        assert_eq!(images_of(Kind::Distribution, &event("push")), ["myregistry.azurecr.io/hello-world"]);
        assert!(images_of(Kind::Distribution, &event("delete")).is_empty());
        let ping = json!({ "id": "x", "timestamp": "2017-11-17T16:52:01Z", "action": "ping" });
        assert!(images_of(Kind::Distribution, &ping).is_empty());
    }

    #[test]
    fn gitea_announces_container_packages() {
        let event = |action: &str, kind: &str| {
            json!({ "action": action, "repository": null, "sender": { "id": 1, "login": "ci" }, "organization": null,
                "package": { "id": 13, "owner": { "id": 2, "login": "Mathias", "username": "Mathias" }, "creator": { "login": "ci" },
                    "type": kind, "name": "team/app", "version": "1a2b3c4", "created_at": "2026-04-01T10:00:00Z",
                    "html_url": "https://gitea.example.com:8443/Mathias/-/packages/container/team%2Fapp/1a2b3c4" } })
        };
        assert_eq!(images_of(Kind::Gitea, &event("created", "container")), ["gitea.example.com:8443/mathias/team/app"]);
        assert!(images_of(Kind::Gitea, &event("deleted", "container")).is_empty());
        assert!(images_of(Kind::Gitea, &event("created", "npm")).is_empty());
    }

    #[test]
    fn harbor_has_two_formats() {
        let data = json!({
            "resources": [{ "digest": "sha256:8a9e9863dbb6e10edb5adfe917c00da84e1700fa76e7ed02476aa6e6fb8ee0d8", "tag": "latest",
                "resource_url": "hub.harbor.com/test-webhook/debian:latest" }],
            "repository": { "date_created": 1586922308, "name": "debian", "namespace": "test-webhook",
                "repo_full_name": "test-webhook/debian", "repo_type": "private" } });
        let event =
            |kind: &str| json!({ "type": kind, "occur_at": 1586922308, "operator": "admin", "event_data": data });
        assert_eq!(images_of(Kind::Harbor, &event("PUSH_ARTIFACT")), ["hub.harbor.com/test-webhook/debian"]);
        assert!(images_of(Kind::Harbor, &event("PULL_ARTIFACT")).is_empty());
        let cloud = json!({ "specversion": "1.0", "id": "4b2f89a6", "requestid": "9fdd2e7e", "type": "harbor.artifact.pushed",
            "source": "/projects/2/webhook/policies/15", "datacontenttype": "application/json",
            "time": "2023-04-03T06:23:46Z", "operator": "admin", "data": data });
        assert_eq!(images_of(Kind::Harbor, &cloud), ["hub.harbor.com/test-webhook/debian"]);
    }

    #[test]
    fn docker_hub_github_and_quay_announce_one_image() {
        let hub = json!({ "callback_url": "https://registry.hub.docker.com/u/svendowideit/testhook/hook/2141b5bi/",
            "push_data": { "pushed_at": 1417566161, "pusher": "trustedbuilder", "tag": "latest" },
            "repository": { "comment_count": 0, "is_private": true, "name": "testhook", "namespace": "svendowideit",
                "owner": "svendowideit", "repo_name": "svendowideit/testhook", "status": "Active" } });
        assert_eq!(images_of(Kind::DockerHub, &hub), ["docker.io/svendowideit/testhook"]);

        let package = json!({ "id": 1, "name": "hello-docker", "namespace": "Octo-Org", "ecosystem": "CONTAINER",
            "package_type": "CONTAINER", "owner": { "login": "Octo-Org", "id": 2 },
            "package_version": { "version": "sha256:00", "package_url": "ghcr.io/octo-org/hello-docker:1a2b3c4",
                "container_metadata": { "tag": { "name": "1a2b3c4", "digest": "sha256:00" } } } });
        for key in ["package", "registry_package"] {
            let event = json!({ "action": "published", key: package, "sender": { "login": "ci" } });
            assert_eq!(images_of(Kind::Ghcr, &event), ["ghcr.io/octo-org/hello-docker"]);
        }
        assert!(images_of(Kind::Ghcr, &json!({ "zen": "Design for failure.", "hook_id": 1, "hook": {} })).is_empty());

        let quay = json!({ "name": "repository", "repository": "mynamespace/repository", "namespace": "mynamespace",
            "docker_url": "quay.io/mynamespace/repository", "homepage": "https://quay.io/repository/mynamespace/repository",
            "updated_tags": ["latest"] });
        assert_eq!(images_of(Kind::Quay, &quay), ["quay.io/mynamespace/repository"]);
    }

    #[test]
    fn gitlab_announces_pipelines_and_pushes() {
        let event = |kind: &str, status: &str| {
            json!({ "object_kind": kind, "object_attributes": { "id": 31, "ref": "master", "status": status },
                "project": { "id": 1, "name": "Gitlab Test", "path_with_namespace": "Gitlab-Org/gitlab-test" } })
        };
        assert_eq!(images_of(Kind::Gitlab, &event("pipeline", "success")), ["*/gitlab-org/gitlab-test/**"]);
        assert!(images_of(Kind::Gitlab, &event("pipeline", "running")).is_empty());
        assert!(images_of(Kind::Gitlab, &event("push", "success")).is_empty());
        let target = json!({ "repository": "gitlab-org/gitlab-test", "tag": "1a2b3c4" });
        let notification =
            json!({ "events": [{ "action": "push", "target": target, "request": { "host": "r.example.com" } }] });
        assert_eq!(images_of(Kind::Gitlab, &notification), ["r.example.com/gitlab-org/gitlab-test"]);
    }

    #[test]
    fn generic_events_list_images() {
        let event = json!({ "images": ["ghcr.io/acme/app:1a2b3c4", "nginx", "no image!"] });
        assert_eq!(images_of(Kind::Generic, &event), ["docker.io/library/nginx", "ghcr.io/acme/app"]);
        let many: Vec<String> = (0..5000).map(|n| format!("ghcr.io/acme/app-{n}")).collect();
        assert_eq!(images_of(Kind::Generic, &json!({ "images": many })).len(), MAX_IMAGES);
    }

    #[test]
    fn invalid_events_are_rejected() {
        for kind in Kind::ALL {
            for body in ["", "[]", "null", "{", "\"x\"", "{\"unexpected\": [1]}"] {
                let refused = updated_images(kind, body.as_bytes());
                // Other events of GitHub are ignored.
                assert!(refused.is_err() || kind == Kind::Ghcr && refused.is_ok_and(|n| n.is_empty()), "{kind} {body}");
            }
        }
    }
}
