//! A fake forge with the documented APIs of all products, as far as pull requests go. Real ones are too large for a test, or
//! not to be had. Those of Bitbucket and Azure DevOps are in [`super::forge_products`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use super::forge_products;
use super::scripted::{Answer, Asked, Scripted};

pub const TOKEN: &str = "open-sesame-forge";

/// Who closes pull requests.
pub const CLOSER: &str = "bob";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Gitea,
    GitHub,
    GitLab,
    Bitbucket,
    DataCenter,
    AzureDevOps,
}

pub const KINDS: [Kind; 6] =
    [Kind::Gitea, Kind::GitHub, Kind::GitLab, Kind::Bitbucket, Kind::DataCenter, Kind::AzureDevOps];

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Gitea => "gitea",
            Kind::GitHub => "github",
            Kind::GitLab => "gitlab",
            Kind::Bitbucket => "bitbucket",
            Kind::DataCenter => "bitbucket-datacenter",
            Kind::AzureDevOps => "azure-devops",
        }
    }

    pub fn has_labels(self) -> bool {
        !matches!(self, Kind::Bitbucket | Kind::DataCenter)
    }

    /// The name of a pull request, and the end of its address.
    pub fn shown(self, number: u64) -> (String, String) {
        match self {
            Kind::GitLab => (format!("merge request !{number}"), format!("/pulls/{number}")),
            Kind::AzureDevOps => (format!("pull request !{number}"), format!("/pullrequest/{number}")),
            _ => (format!("pull request #{number}"), format!("/pulls/{number}")),
        }
    }

    fn base(self) -> &'static str {
        match self {
            Kind::Gitea => "/api/v1",
            Kind::GitHub => "/api/v3",
            Kind::GitLab => "/api/v4",
            Kind::Bitbucket => "/2.0",
            Kind::DataCenter => "/rest",
            Kind::AzureDevOps => "",
        }
    }
}

#[derive(Debug, Clone)]
pub struct Pull {
    pub number: u64,
    pub title: String,
    pub text: String,
    pub head: String,
    pub base: String,
    pub state: &'static str,
    pub labels: Vec<String>,
    pub comments: Vec<String>,
    pub is_of_fork: bool,
    /// The merge commit, and the commit that it was squashed to.
    pub commits: [Option<String>; 2],
    /// The version, which Bitbucket Data Center counts.
    pub version: u64,
    pub(super) updated: Timestamp,
    pub(super) closed: Option<Timestamp>,
}

#[derive(Default)]
pub struct State {
    pub pulls: Vec<Pull>,
    pub labels: Vec<String>,
    pub is_down: bool,
    /// The maximum number of items per page.
    pub page: usize,
}

pub struct Forge {
    server: Scripted,
    state: Arc<Mutex<State>>,
}

impl Forge {
    /// Starts a forge with one repository: owner and name, or all groups and the name.
    pub fn start(kind: Kind, repository: &str) -> Forge {
        let state = Arc::new(Mutex::new(State { page: 100, ..State::default() }));
        let (shared, place) = (Arc::clone(&state), place(kind, repository));
        let server = Scripted::start(move |asked| answer(kind, &place, &mut shared.lock().expect("unpoisoned"), asked));
        Forge { server, state }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.server.host())
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("unpoisoned")
    }

    pub fn pull(&self, number: u64) -> Pull {
        self.state().pulls.iter().find(|pull| pull.number == number).expect("a pull request").clone()
    }

    /// Does what a person does with a pull request.
    pub fn end(&self, number: u64, state: &'static str) {
        let mut all = self.state();
        let pull = all.pulls.iter_mut().find(|pull| pull.number == number).expect("a pull request");
        pull.state = state;
        pull.closed = Some(Timestamp::now());
        pull.updated = Timestamp::now();
    }

    /// Merges it into a commit, which only GitLab distinguishes from the one that it is squashed to.
    pub fn merge(&self, number: u64, commits: [Option<String>; 2]) {
        self.end(number, "merged");
        let mut all = self.state();
        all.pulls.iter_mut().filter(|pull| pull.number == number).for_each(|pull| pull.commits = commits.clone());
    }

    /// Adds pull requests by others.
    pub fn add(&self, head: &str, state: &'static str, text: &str, is_of_fork: bool) {
        let mut all = self.state();
        let number = all.pulls.len() as u64 + 1;
        let long_ago = Timestamp::now() - 1.hour();
        all.pulls.push(Pull {
            number,
            title: "someone else's".to_owned(),
            text: text.to_owned(),
            head: head.to_owned(),
            base: "main".to_owned(),
            state,
            labels: Vec::new(),
            comments: Vec::new(),
            is_of_fork,
            commits: [None, None],
            version: 0,
            updated: long_ago,
            closed: (state != "open").then_some(long_ago),
        });
    }

    /// The requests so far: methods and paths.
    pub fn asked(&self) -> Vec<String> {
        let path = |target: &str| target.split('?').next().unwrap_or_default().to_owned();
        self.server.asked().iter().map(|asked| format!("{} {}", asked.method, path(&asked.target))).collect()
    }
}

/// A request to the repository: the parts of the path below it, the parameters, and the body.
pub(super) struct Request<'r> {
    pub method: &'r str,
    pub parts: &'r [&'r str],
    pub query: &'r BTreeMap<String, String>,
    pub body: &'r Value,
}

fn place(kind: Kind, repository: &str) -> String {
    match kind {
        Kind::Gitea | Kind::GitHub => format!("{}/repos/{repository}", kind.base()),
        Kind::GitLab => format!("{}/projects/{}", kind.base(), repository.replace('/', "%2F")),
        Kind::Bitbucket => format!("{}/repositories/{repository}", kind.base()),
        Kind::DataCenter => format!("{}/api/1.0/projects/{}", kind.base(), repository.replace('/', "/repos/")),
        Kind::AzureDevOps => format!("/{}", repository.replace('/', "/_apis/git/repositories/")),
    }
}

fn is_let_in(kind: Kind, asked: &Asked) -> bool {
    match kind {
        Kind::Gitea => asked.authorization.as_deref() == Some(&format!("token {TOKEN}")),
        Kind::GitHub | Kind::Bitbucket | Kind::DataCenter => {
            asked.authorization.as_deref() == Some(&format!("Bearer {TOKEN}"))
        }
        Kind::GitLab => asked.private_token.as_deref() == Some(TOKEN),
        Kind::AzureDevOps => {
            asked.authorization.as_deref() == Some(&format!("Basic {}", STANDARD.encode(format!(":{TOKEN}"))))
        }
    }
}

/// Responds to a request to GitHub whose token has been checked.
pub fn as_github(place: &str, state: &mut State, asked: &Asked) -> Answer {
    let asked = Asked { authorization: Some(format!("Bearer {TOKEN}")), ..asked.clone() };
    answer(Kind::GitHub, place, state, &asked)
}

pub(super) fn said(status: u16, body: Value) -> Answer {
    super::scripted::json(status, body, &[])
}

fn answer(kind: Kind, place: &str, state: &mut State, asked: &Asked) -> Answer {
    if state.is_down {
        return said(503, json!({ "message": "down for maintenance" }));
    }
    if !is_let_in(kind, asked) && kind == Kind::AzureDevOps {
        // Not an error, but the page for signing in.
        let html = ("Content-Type".to_owned(), "text/html; charset=utf-8".to_owned());
        return Some((203, vec![html], b"<html>Azure DevOps Services | Sign In</html>".to_vec()));
    }
    if !is_let_in(kind, asked) {
        return said(401, json!({ "message": "Unauthorized" }));
    }
    let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
    let Some(path) = path.strip_prefix(place) else { return said(404, json!({ "message": "Not Found" })) };
    let query: BTreeMap<String, String> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let body: Value = serde_json::from_str(&asked.body).unwrap_or_default();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    // Each product refuses a body that can mean nothing, in the same way for all of its objects.
    let is_meaningless = body.as_object().is_none_or(|body| body.is_empty()) && parts.last() != Some(&"decline");
    if asked.method == "POST" && is_meaningless {
        let status = if matches!(kind, Kind::Gitea | Kind::GitHub) { 422 } else { 400 };
        return said(status, json!({ "message": "validation failed" }));
    }
    let request = Request { method: &asked.method, parts: &parts, query: &query, body: &body };
    match kind {
        Kind::Bitbucket => return forge_products::bitbucket(state, &request, asked),
        Kind::DataCenter => return forge_products::data_center(state, &request),
        Kind::AzureDevOps => return forge_products::azure_devops(state, &request),
        Kind::Gitea | Kind::GitHub | Kind::GitLab => {}
    }
    match (kind, asked.method.as_str(), parts.as_slice()) {
        (Kind::Gitea | Kind::GitHub, "GET", []) => {
            said(200, json!({ "permissions": { "admin": false, "push": true, "pull": true } }))
        }
        (Kind::GitLab, "GET", []) => {
            said(200, json!({ "permissions": { "project_access": { "access_level": 30 }, "group_access": null } }))
        }
        (Kind::Gitea | Kind::GitHub, "GET", ["pulls"]) | (Kind::GitLab, "GET", ["merge_requests"]) => {
            list(kind, state, &query, asked)
        }
        (Kind::Gitea | Kind::GitHub, "POST", ["pulls"]) | (Kind::GitLab, "POST", ["merge_requests"]) => {
            open(kind, state, &body)
        }
        (Kind::Gitea | Kind::GitHub, "PATCH", ["pulls", number])
        | (Kind::GitLab, "PUT", ["merge_requests", number]) => edit(kind, state, number, &body),
        (Kind::Gitea | Kind::GitHub, "POST", ["issues", number, "comments"])
        | (Kind::GitLab, "POST", ["merge_requests", number, "notes"]) => {
            find(state, number).comments.push(text(&body, "body"));
            said(201, json!({ "id": 1 }))
        }
        // Gitea's swagger, `issueGetCommentsAndTimeline`.
        (Kind::Gitea, "GET", ["issues", _, "timeline"]) => {
            let event = |kind: &str, who: &str| json!({ "id": 1, "type": kind, "body": "", "user": { "login": who } });
            said(200, json!([event("label", "bot"), event("close", CLOSER)]))
        }
        // GitHub's REST API, "Get an issue".
        (Kind::GitHub, "GET", ["issues", number]) => said(
            200,
            json!({ "number": find(state, number).number, "state": "closed", "closed_by": { "login": CLOSER } }),
        ),
        (Kind::GitHub, "POST", ["issues", number, "labels"]) => {
            let labels = body["labels"].as_array().expect("a list").clone();
            find(state, number).labels.extend(labels.iter().map(|label| label.as_str().expect("a text").to_owned()));
            said(200, json!([]))
        }
        (Kind::Gitea, "GET", ["labels"]) => {
            let label = |(id, name): (usize, &String)| json!({ "id": id + 1, "name": name });
            said(200, state.labels.iter().enumerate().map(label).collect())
        }
        (Kind::Gitea, "POST", ["labels"]) => {
            assert!(text(&body, "color").starts_with('#'));
            state.labels.push(text(&body, "name"));
            said(201, json!({ "id": state.labels.len(), "name": body["name"] }))
        }
        _ => said(405, json!({ "message": format!("{} {path} is not known here", asked.method) })),
    }
}

fn list(kind: Kind, state: &State, query: &BTreeMap<String, String>, asked: &Asked) -> Answer {
    let given = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    assert_eq!(given("state"), "all");
    let mut pulls: Vec<&Pull> = match kind {
        Kind::Gitea => {
            assert_eq!(given("sort"), "recentupdate");
            state.pulls.iter().collect()
        }
        Kind::GitHub => {
            assert_eq!((given("sort"), given("direction")), ("updated", "desc"));
            let (owner, head) = given("head").split_once(':').expect("owner and branch");
            let is_meant = |pull: &&Pull| pull.head == head && pull.base == given("base") && !owner.is_empty();
            state.pulls.iter().filter(is_meant).collect()
        }
        Kind::GitLab => {
            assert_eq!((given("order_by"), given("sort")), ("updated_at", "desc"));
            let is_meant = |pull: &&Pull| pull.head == given("source_branch") && pull.base == given("target_branch");
            state.pulls.iter().filter(is_meant).collect()
        }
        Kind::Bitbucket | Kind::DataCenter | Kind::AzureDevOps => unreachable!("it has a list of its own"),
    };
    pulls.sort_by_key(|pull| std::cmp::Reverse((pull.updated, pull.number)));
    let page: usize = given("page").parse().expect("a page");
    let wanted: usize = query.get("limit").or(query.get("per_page")).expect("a size").parse().expect("a number");
    let size = wanted.min(state.page);
    let shown: Vec<Value> = pulls.iter().skip((page - 1) * size).take(size).map(|pull| shown(kind, pull)).collect();
    let next = asked.target.replace(&format!("page={page}"), &format!("page={}", page + 1));
    let link = format!("<http://forge{}>; rel=\"first\", <http://forge{next}>; rel=\"next\"", asked.target);
    let has_next = pulls.len() > page * size;
    let headers = [("Link", link.as_str())];
    super::scripted::json(200, json!(shown), if has_next { &headers } else { &[] })
}

fn open(kind: Kind, state: &mut State, body: &Value) -> Answer {
    let (head, base, words) = match kind {
        Kind::Gitea | Kind::GitHub => ("head", "base", "body"),
        _ => ("source_branch", "target_branch", "description"),
    };
    let is_open = |pull: &Pull| pull.state == "open" && pull.head == text(body, head) && !pull.is_of_fork;
    if state.pulls.iter().any(is_open) {
        return said(409, json!({ "message": "there is one already" }));
    }
    let labels = match kind {
        Kind::Gitea => {
            let ids = body["labels"].as_array().expect("a list").iter();
            ids.map(|id| state.labels[id.as_u64().expect("an id") as usize - 1].clone()).collect()
        }
        Kind::GitHub => Vec::new(),
        _ => text(body, "labels").split(',').filter(|label| !label.is_empty()).map(str::to_owned).collect(),
    };
    let [title, text, head, base] = [text(body, "title"), text(body, words), text(body, head), text(body, base)];
    let pull = add(state, title, text, [&head, &base], labels);
    said(201, shown(kind, pull))
}

/// Adds an open pull request.
pub(super) fn add<'s>(
    state: &'s mut State,
    title: String,
    text: String,
    [head, base]: [&str; 2],
    labels: Vec<String>,
) -> &'s Pull {
    state.pulls.push(Pull {
        number: state.pulls.len() as u64 + 1,
        title,
        text,
        head: head.to_owned(),
        base: base.to_owned(),
        state: "open",
        labels,
        comments: Vec::new(),
        is_of_fork: false,
        commits: [None, None],
        version: 0,
        updated: Timestamp::now(),
        closed: None,
    });
    state.pulls.last().expect("one")
}

fn edit(kind: Kind, state: &mut State, number: &str, body: &Value) -> Answer {
    let pull = find(state, number);
    let words = if kind == Kind::GitLab { "description" } else { "body" };
    if let Some(title) = body["title"].as_str() {
        pull.title = title.to_owned();
    }
    if let Some(text) = body[words].as_str() {
        pull.text = text.to_owned();
    }
    if body["state"] == "closed" || body["state_event"] == "close" {
        pull.state = "closed";
        pull.closed = Some(Timestamp::now());
    }
    pull.updated = Timestamp::now();
    said(200, shown(kind, pull))
}

pub(super) fn find<'s>(state: &'s mut State, number: &str) -> &'s mut Pull {
    let number: u64 = number.parse().expect("a number");
    state.pulls.iter_mut().find(|pull| pull.number == number).expect("a pull request")
}

pub(super) fn text(body: &Value, key: &str) -> String {
    body[key].as_str().unwrap_or_else(|| panic!("no {key} in {body}")).to_owned()
}

/// A timestamp as forges write it, in whole seconds.
pub(super) fn time(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).expect("a time").to_string()
}

fn shown(kind: Kind, pull: &Pull) -> Value {
    let (is_merged, closed) = (pull.state == "merged", pull.closed.map(time));
    let merged_at = closed.clone().filter(|_| is_merged);
    let url = format!("https://forge.example.com/pulls/{}", pull.number);
    match kind {
        Kind::Gitea | Kind::GitHub => {
            let tip = |name: &str, id: u64| json!({ "ref": name, "repo": { "id": id } });
            json!({
                "number": pull.number, "html_url": url, "title": pull.title, "body": pull.text,
                "state": if pull.state == "open" { "open" } else { "closed" },
                "merged_at": merged_at, "updated_at": time(pull.updated), "closed_at": closed,
                "merge_commit_sha": pull.commits[0],
                "head": tip(&pull.head, if pull.is_of_fork { 8 } else { 7 }), "base": tip(&pull.base, 7),
            })
        }
        _ => json!({
            "iid": pull.number, "web_url": url, "title": pull.title, "description": pull.text,
            "state": if pull.state == "open" { "opened" } else { pull.state },
            "updated_at": time(pull.updated), "closed_at": closed,
            "merge_commit_sha": pull.commits[0], "squash_commit_sha": pull.commits[1],
            "closed_by": if pull.state == "closed" { json!({ "username": CLOSER }) } else { Value::Null },
            "source_branch": pull.head, "target_branch": pull.base,
            "source_project_id": if pull.is_of_fork { 8 } else { 7 }, "target_project_id": 7,
        }),
    }
}
