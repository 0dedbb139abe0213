//! Forges and services that refuse a token for one kind of request, each in its own words, which reach the user.

use std::fs;

use serde_json::{Value, json};

use crate::support::agent::Agent;
use crate::support::forge::{KINDS, Kind, TOKEN};
use crate::support::infra::Stage;
use crate::support::scripted::{self, Answer, Asked, Scripted};
use crate::support::tagalong::{Run, run};

/// What Gitea says about a token without a scope (`routers/api/v1/api.go`).
const NO_SCOPE: &str =
    "token does not have at least one of required scope(s), required=[write:issue], token scope=write:repository";

/// A response to POST requests to a path with this end.
struct Refusal {
    to: &'static str,
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: Value,
}

/// A forge without pull requests and labels, which refuses bodies that mean nothing as each product does.
fn forge(kind: Kind, may_push: bool, refusal: Option<Refusal>) -> Scripted {
    Scripted::start(move |asked| answer(kind, may_push, refusal.as_ref(), asked))
}

fn answer(kind: Kind, may_push: bool, refusal: Option<&Refusal>, asked: &Asked) -> Answer {
    let path = asked.target.split('?').next().unwrap_or_default();
    if let Some(Refusal { status, headers, body, .. }) = refusal.filter(|refusal| path.ends_with(refusal.to))
        && asked.method == "POST"
    {
        return scripted::json(*status, body.clone(), headers);
    }
    match (kind, asked.method.as_str()) {
        (_, "POST") if is_meaningless(asked) => {
            let status = if matches!(kind, Kind::Gitea | Kind::GitHub) { 422 } else { 400 };
            scripted::json(status, json!({ "message": "invalid" }), &[])
        }
        (Kind::GitLab, "GET") if path.ends_with("infra") => {
            let level = if may_push { 30 } else { 20 };
            scripted::json(200, json!({ "permissions": { "project_access": { "access_level": level } } }), &[])
        }
        (_, "GET") if path.ends_with("infra") => {
            scripted::json(200, json!({ "permissions": { "pull": true, "push": may_push } }), &[])
        }
        (Kind::Gitea | Kind::GitHub | Kind::GitLab, "GET") => scripted::json(200, json!([]), &[]),
        (_, "GET") => scripted::json(200, json!({ "value": [], "values": [], "isLastPage": true }), &[]),
        _ => scripted::json(500, json!({ "message": "not expected" }), &[]),
    }
}

fn is_meaningless(asked: &Asked) -> bool {
    matches!(asked.body.as_str(), "[]" | "{}")
}

/// A stage that proposes its updates at a forge.
struct Scene {
    stage: Stage,
    forge: Scripted,
    config: String,
}

impl Scene {
    fn new(kind: Kind, forge: Scripted) -> Scene {
        let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
        stage.registry.push("org/app", "aaaaaa1", "2026-04-01T10:00:00Z");
        stage.registry.push("org/app", "bbbbbb1", "2026-04-02T10:00:00Z");
        let token = stage.home().join("token");
        fs::write(&token, TOKEN).expect("written");
        let lines = format!(
            "pushBranch: tagalong/updates\npullRequest: {{ forge: {}, url: 'http://{}', tokenFile: {}, labels: [{}] }}\n",
            kind.name(),
            forge.host(),
            token.display(),
            if kind.has_labels() { "bot" } else { "" }
        );
        let config = stage.config_with("proposals.yaml", &lines).display().to_string();
        Scene { stage, forge, config }
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let run = run(self.stage.home(), &[arguments, &["--config", &self.config]].concat());
        assert!(!format!("{run:?}").contains(TOKEN), "{run:#?}");
        run
    }

    /// The row of `check` about pull requests: whether it is fine, its detail and its help.
    fn right(&self) -> (bool, String, String) {
        let rows = self.run(&["check", "--output", "json"]).json();
        let row = rows.as_array().expect("rows").iter().find(|row| row["check"] == "pull-requests").expect("a row");
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        (row["ok"] == true, text("detail"), text("help"))
    }
}

#[test]
fn the_right_to_propose_is_tried_without_a_proposal() {
    for kind in KINDS {
        let scene = Scene::new(kind, forge(kind, true, None));
        let (ok, detail, help) = scene.right();
        assert!(ok && detail.starts_with("may open pull requests in "), "{kind:?}: {detail} {help}");
        let written: Vec<Asked> = scene.forge.asked().into_iter().filter(|asked| asked.method != "GET").collect();
        assert_eq!(written.len(), if kind == Kind::Gitea { 2 } else { 1 }, "{written:#?}");
        assert!(written.iter().all(|asked| asked.method == "POST" && is_meaningless(asked)), "{written:#?}");
    }
}

#[test]
fn a_token_without_the_right_is_refused_in_the_words_of_each_forge() {
    let cases = [
        (
            Kind::Gitea,
            Refusal { to: "/labels", status: 403, headers: &[], body: json!({ "message": NO_SCOPE }) },
            NO_SCOPE,
            "the scope write:issue",
        ),
        (
            Kind::GitHub,
            Refusal {
                to: "/pulls",
                status: 403,
                headers: &[("X-Accepted-GitHub-Permissions", "pull_requests=write")],
                body: json!({ "message": "Resource not accessible by personal access token" }),
            },
            "Resource not accessible by personal access token",
            "the permission pull_requests=write",
        ),
        (
            Kind::GitLab,
            Refusal {
                to: "/merge_requests",
                status: 403,
                headers: &[],
                body: json!({ "error": "insufficient_scope", "error_description": "Too weak.", "scope": "api" }),
            },
            "insufficient_scope: Too weak.",
            "the scope api",
        ),
        // Bitbucket Cloud names what the request needs.
        (
            Kind::Bitbucket,
            Refusal {
                to: "/pullrequests",
                status: 403,
                headers: &[],
                body: json!({ "type": "error", "error": {
                    "message": "Your credentials lack one or more required privilege scopes.",
                    "detail": { "granted": ["repository"], "required": ["pullrequest:write"] },
                } }),
            },
            "Your credentials lack one or more required privilege scopes.",
            "the scope pullrequest:write",
        ),
        (
            Kind::DataCenter,
            Refusal {
                to: "/pull-requests",
                status: 401,
                headers: &[],
                body: json!({ "errors": [{ "context": null, "message": "You are not permitted to access this resource",
                    "exceptionName": "com.atlassian.bitbucket.AuthorisationException" }] }),
            },
            "You are not permitted to access this resource",
            "the token must be allowed to read the repository",
        ),
        (
            Kind::AzureDevOps,
            Refusal {
                to: "/pullrequests",
                status: 403,
                headers: &[],
                body: json!({ "$id": "1", "message": "TF401027: You need the Git 'PullRequestContribute' permission.",
                    "typeKey": "GitNeedsPermissionException", "errorCode": 0, "eventId": 3000 }),
            },
            "TF401027: You need the Git 'PullRequestContribute' permission.",
            "the token must be allowed to read the repository",
        ),
    ];
    for (kind, refusal, words, scope) in cases {
        let scene = Scene::new(kind, forge(kind, true, Some(refusal)));
        let (ok, detail, help) = scene.right();
        assert!(!ok && detail.contains(words) && help.contains(scope), "{kind:?}: {detail} {help}");
        // And if nobody has checked.
        let run = scene.run(&["sync"]).fails_with(5);
        assert!(run.stderr.contains(words) && run.stderr.contains(scope), "{run:#?}");
    }
}

#[test]
fn a_user_who_may_not_push_may_not_propose() {
    // The other products do not tell.
    for kind in [Kind::Gitea, Kind::GitHub, Kind::GitLab] {
        let scene = Scene::new(kind, forge(kind, false, None));
        let (ok, detail, help) = scene.right();
        assert!(
            !ok && detail.contains("may not push to ") && help.contains("write access"),
            "{kind:?}: {detail} {help}"
        );
        assert!(scene.forge.asked().iter().all(|asked| asked.method == "GET"));
    }
}

/// A stage with channels; `URL` is replaced by a file with the server's URL, `TOKEN` by one with a token.
fn with_channels(server: &Scripted, channels: &str) -> (Stage, String) {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", "2026-04-01T10:00:00Z");
    stage.registry.push("org/app", "bbbbbb1", "2026-04-02T10:00:00Z");
    let (url, token) = (stage.home().join("url"), stage.home().join("token"));
    fs::write(&url, format!("http://{}/T0/open-sesame\n", server.host())).expect("written");
    fs::write(&token, TOKEN).expect("written");
    let channels = channels.replace("URL", &url.display().to_string()).replace("TOKEN", &token.display().to_string());
    let config = stage.home().join("channels.yaml");
    let text = fs::read_to_string(stage.config()).expect("there");
    fs::write(&config, format!("{text}notify:\n{}", channels.replace("SERVER", &server.host()))).expect("written");
    (stage, config.display().to_string())
}

#[test]
fn the_words_of_a_service_that_refuses_a_delivery_are_logged() {
    let server = Scripted::start(|asked| match asked.body.contains("unfurl_links") {
        _ if asked.target.contains("/statuses/") => {
            scripted::json(403, json!({ "message": NO_SCOPE.replace("issue", "repository") }), &[])
        }
        true => Some((404, vec![("Content-Type".to_owned(), "text/plain".to_owned())], b"no_\x1bservice".to_vec())),
        // It repeats what must not be logged.
        false => scripted::json(404, json!({ "message": format!("no hook at {}", asked.target) }), &[]),
    });
    let channels = "- gitea: { server: \"http://SERVER\", repository: org/infra, tokenFile: TOKEN }\n\
                    - slack: { urlFile: URL }\n- webhook: { urlFile: URL }\n";
    let (stage, config) = with_channels(&server, channels);
    let agent = Agent::start(stage.home(), config.as_ref());
    for channel in ["gitea", "slack", "webhook"] {
        agent.wait_for_metric(&format!("tagalong_notifications_total{{channel=\"{channel}\",result=\"failed\"}} 1"));
    }
    let log = agent.stop().1;
    assert!(log.contains("required=[write:repository]") && log.contains("the scope write:repository"), "{log}");
    assert!(log.contains("responded with status 404: no_ service"), "{log}");
    assert!(!log.contains("no hook at") && !log.contains("sesame"), "{log}");
}

#[test]
fn the_right_to_set_commit_statuses_is_tried_on_a_commit_that_does_not_exist() {
    for (status, expected) in [(422, true), (403, false)] {
        let server = Scripted::start(move |_| scripted::json(status, json!({ "message": NO_SCOPE }), &[]));
        let channels = "- gitea: { server: \"http://SERVER\", repository: org/infra, tokenFile: TOKEN }\n\
                        - github: { server: \"http://SERVER\", repository: org/infra, tokenFile: TOKEN }\n";
        let (stage, config) = with_channels(&server, channels);
        let rows = run(stage.home(), &["check", "--output", "json", "--config", &config]).json();
        let rows: Vec<&Value> = rows.as_array().expect("rows").iter().filter(|row| row["check"] == "notify").collect();
        assert!(rows.len() == 2 && rows.iter().all(|row| row["ok"] == expected), "{rows:#?}");
        let is_told =
            |row: &&Value| row["detail"].as_str().is_some_and(|detail| detail.contains("required=[write:issue]"));
        assert_eq!(rows.iter().all(is_told), !expected, "{rows:#?}");
        for asked in server.asked() {
            assert!(asked.target.ends_with("/statuses/0000000000000000000000000000000000000000"), "{asked:#?}");
            assert!(is_meaningless(&asked), "{asked:#?}");
        }
    }
}
