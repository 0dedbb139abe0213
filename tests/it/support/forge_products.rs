//! The fake forge as Bitbucket Cloud, Bitbucket Data Center and Azure DevOps. The shapes of requests and responses are those
//! that clients of these products use: Microsoft's `azure-devops` (its `git_client_base.py` and `models.py`, 7.1),
//! `atlassian-python-api` (`bitbucket`, 5.0), and the platforms of Renovate (39).

use jiff::Timestamp;
use serde_json::{Value, json};

use super::forge::{CLOSER, Pull, Request, State, add, find, said, text, time};
use super::scripted::{Answer, Asked};

/// The head of every pull request.
const HEAD: &str = "1234567890abcdef1234567890abcdef12345678";

/// What the list of Azure DevOps shows of a description.
const CUT: usize = 400;

fn is_open(state: &State, head: &str) -> bool {
    state.pulls.iter().any(|pull| pull.state == "open" && pull.head == head && !pull.is_of_fork)
}

fn end(pull: &mut Pull, state: &'static str) {
    pull.state = state;
    pull.closed = Some(Timestamp::now());
    pull.updated = Timestamp::now();
}

fn unknown(request: &Request<'_>) -> Answer {
    said(405, json!({ "message": format!("{} {:?} is not known here", request.method, request.parts) }))
}

/// The pull requests that `is_meant`, newest first.
fn newest(state: &State, is_meant: impl Fn(&Pull) -> bool) -> Vec<&Pull> {
    let mut pulls: Vec<&Pull> = state.pulls.iter().filter(|pull| is_meant(pull)).collect();
    pulls.sort_by_key(|pull| std::cmp::Reverse((pull.updated, pull.number)));
    pulls
}

pub(super) fn bitbucket(state: &mut State, request: &Request<'_>, asked: &Asked) -> Answer {
    let body = request.body;
    let refused = |message: &str| said(400, json!({ "type": "error", "error": { "message": message } }));
    match (request.method, request.parts) {
        ("GET", ["pullrequests"]) => bitbucket_list(state, request, asked),
        ("POST", ["pullrequests"]) => {
            let branch = |end: &str| text(&body[end]["branch"], "name");
            if is_open(state, &branch("source")) {
                return refused("There are already open pull requests");
            }
            let (title, words) = (text(body, "title"), text(body, "description"));
            let ends = [branch("source"), branch("destination")];
            said(201, bitbucket_pull(add(state, title, words, [&ends[0], &ends[1]], Vec::new())))
        }
        ("GET", ["pullrequests", number]) => said(200, bitbucket_pull(find(state, number))),
        ("PUT", ["pullrequests", number]) => {
            let pull = find(state, number);
            if pull.state != "open" {
                return refused("This pull request is closed");
            }
            assert_eq!(body["reviewers"], json!([{ "uuid": "{ann}" }]), "reviewers are kept");
            (pull.title, pull.text, pull.updated) = (text(body, "title"), text(body, "description"), Timestamp::now());
            said(200, bitbucket_pull(pull))
        }
        ("POST", ["pullrequests", number, "decline"]) => {
            let pull = find(state, number);
            end(pull, "closed");
            said(200, bitbucket_pull(pull))
        }
        ("POST", ["pullrequests", number, "comments"]) => {
            find(state, number).comments.push(text(&body["content"], "raw"));
            said(201, json!({ "id": 1 }))
        }
        ("GET", ["pullrequests", number, "activity"]) => {
            let pull = find(state, number);
            let user = json!({ "uuid": "{bob}", "nickname": CLOSER, "display_name": "Bob" });
            let update = |state: &str| {
                json!({ "pull_request": {}, "update": { "state": state, "date": pull.closed.map(time), "author": user,
                    "source": { "commit": { "hash": &HEAD[..12] } } } })
            };
            let comment = json!({ "pull_request": {}, "comment": { "id": 1, "content": { "raw": "hm" } } });
            let events = if pull.state == "open" { json!([comment]) } else { json!([comment, update(of(pull))]) };
            said(200, json!({ "pagelen": 50, "values": events }))
        }
        ("GET", ["refs", "branches", _]) => said(200, json!({ "name": "x", "target": { "hash": HEAD } })),
        ("GET", ["commit", short]) => {
            let all = state.pulls.iter().flat_map(|pull| pull.commits.iter().flatten());
            match all.into_iter().find(|commit| commit.starts_with(short)) {
                Some(commit) => said(200, json!({ "hash": commit, "parents": [] })),
                None => said(404, json!({ "type": "error", "error": { "message": "Commit not found" } })),
            }
        }
        _ => unknown(request),
    }
}

fn bitbucket_list(state: &State, request: &Request<'_>, asked: &Asked) -> Answer {
    let given = |name: &str| request.query.get(name).map(String::as_str).unwrap_or_default();
    for wanted in ["OPEN", "MERGED", "DECLINED", "SUPERSEDED"] {
        assert!(asked.target.contains(&format!("state={wanted}&")), "{asked:?}");
    }
    assert_eq!(given("sort"), "-updated_on");
    let (head, base) = given("q").split_once(" AND ").expect("two conditions");
    let head = head.strip_prefix("source.branch.name = \"").and_then(|rest| rest.strip_suffix('"')).expect("a branch");
    assert_eq!(base, "destination.branch.name = \"main\"");
    let pulls = newest(state, |pull| pull.head == head && pull.base == "main");
    let page: usize = given("page").parse().expect("a page");
    let size = state.page.min(given("pagelen").parse().expect("a size"));
    let values: Vec<Value> = pulls.iter().skip((page - 1) * size).take(size).map(|pull| bitbucket_pull(pull)).collect();
    let mut list = json!({ "values": values, "page": page, "pagelen": size });
    if pulls.len() > page * size {
        list["next"] = format!("https://api.bitbucket.org/2.0/x?page={}", page + 1).into();
    }
    said(200, list)
}

/// The state, as both products of Bitbucket call it.
fn of(pull: &Pull) -> &'static str {
    match pull.state {
        "open" => "OPEN",
        "merged" => "MERGED",
        _ => "DECLINED",
    }
}

fn bitbucket_pull(pull: &Pull) -> Value {
    let end = |name: &str, repository: &str| json!({ "branch": { "name": name }, "commit": { "hash": &HEAD[..12] }, "repository": { "uuid": repository } });
    let merged = pull.commits[0].as_ref().map(|commit| json!({ "hash": &commit[..12] }));
    json!({
        "type": "pullrequest", "id": pull.number, "title": pull.title, "description": pull.text,
        "summary": { "type": "rendered", "raw": pull.text, "markup": "markdown", "html": "" },
        "state": of(pull), "created_on": time(pull.updated), "updated_on": time(pull.updated),
        "merge_commit": merged, "closed_by": null, "reviewers": [{ "uuid": "{ann}", "display_name": "Ann" }],
        "links": { "html": { "href": format!("https://forge.example.com/pulls/{}", pull.number) } },
        "author": { "uuid": "{bot}", "nickname": "bot", "display_name": "Bot" },
        "source": end(&pull.head, if pull.is_of_fork { "{8}" } else { "{7}" }), "destination": end(&pull.base, "{7}"),
    })
}

pub(super) fn data_center(state: &mut State, request: &Request<'_>) -> Answer {
    let body = request.body;
    let given = |name: &str| request.query.get(name).map(String::as_str).unwrap_or_default();
    let refused = |status: u16, message: &str| said(status, json!({ "errors": [{ "message": message }] }));
    match (request.method, request.parts) {
        ("GET", ["pull-requests"]) => {
            assert_eq!([given("state"), given("direction"), given("order")], ["ALL", "OUTGOING", "NEWEST"]);
            let head = given("at").strip_prefix("refs/heads/").expect("a reference");
            let pulls = newest(state, |pull| pull.head == head);
            let start: usize = given("start").parse().expect("a number");
            let size = state.page.min(given("limit").parse().expect("a size"));
            let values: Vec<Value> = pulls.iter().skip(start).take(size).map(|pull| data_center_pull(pull)).collect();
            let next = (pulls.len() > start + size).then_some(start + size);
            let last = next.is_none();
            said(200, json!({ "values": values, "size": 1, "isLastPage": last, "nextPageStart": next, "start": start }))
        }
        ("POST", ["pull-requests"]) => {
            let branch = |end: &str| {
                assert!(body[end]["repository"]["slug"].is_string(), "{body}");
                assert!(body[end]["repository"]["project"]["key"].is_string(), "{body}");
                text(&body[end], "id").strip_prefix("refs/heads/").expect("a reference").to_owned()
            };
            let ends = [branch("fromRef"), branch("toRef")];
            if is_open(state, &ends[0]) {
                return refused(409, "Only one pull request may be open for a given source and target branch");
            }
            let (title, words) = (text(body, "title"), text(body, "description"));
            said(201, data_center_pull(add(state, title, words, [&ends[0], &ends[1]], Vec::new())))
        }
        ("GET", ["pull-requests", number]) => said(200, data_center_pull(find(state, number))),
        ("PUT", ["pull-requests", number]) => {
            let pull = find(state, number);
            if pull.state != "open" || body["version"] != json!(pull.version) {
                return refused(409, "You are attempting to modify a pull request based on out-of-date information.");
            }
            assert_eq!(body["reviewers"], json!([{ "user": { "name": "ann" } }]), "reviewers are kept");
            (pull.title, pull.text, pull.updated) = (text(body, "title"), text(body, "description"), Timestamp::now());
            pull.version += 1;
            said(200, data_center_pull(pull))
        }
        ("POST", ["pull-requests", number, "decline"]) => {
            let pull = find(state, number);
            if given("version") != pull.version.to_string() {
                return refused(409, "You are attempting to modify a pull request based on out-of-date information.");
            }
            end(pull, "closed");
            said(200, data_center_pull(pull))
        }
        ("POST", ["pull-requests", number, "comments"]) => {
            find(state, number).comments.push(text(body, "text"));
            said(201, json!({ "id": 1 }))
        }
        ("GET", ["pull-requests", number, "activities"]) => {
            let action = of(find(state, number));
            let activity = |action: &str, who: &str| json!({ "id": 1, "createdDate": 1_359_065_920, "user": { "name": who, "displayName": who }, "action": action });
            said(200, json!({ "values": [activity(action, CLOSER), activity("OPENED", "bot")], "isLastPage": true }))
        }
        _ => unknown(request),
    }
}

fn data_center_pull(pull: &Pull) -> Value {
    let end = |name: &str, id: u64| {
        json!({ "id": format!("refs/heads/{name}"), "displayId": name, "latestCommit": HEAD,
            "repository": { "slug": "infra", "id": id, "project": { "key": "SHOP" } } })
    };
    let properties = match &pull.commits[0] {
        Some(commit) => json!({ "mergeCommit": { "id": commit, "displayId": &commit[..11] } }),
        None => json!({ "commentCount": 0 }),
    };
    json!({
        "id": pull.number, "version": pull.version, "title": pull.title, "description": pull.text, "state": of(pull),
        "open": pull.state == "open", "closed": pull.state != "open",
        "createdDate": pull.updated.as_millisecond(), "updatedDate": pull.updated.as_millisecond(),
        "closedDate": pull.closed.map(Timestamp::as_millisecond),
        "fromRef": end(&pull.head, if pull.is_of_fork { 8 } else { 7 }), "toRef": end(&pull.base, 7),
        "author": { "user": { "name": "bot", "displayName": "Bot" }, "role": "AUTHOR", "approved": false, "status": "UNAPPROVED" },
        "reviewers": [{ "user": { "name": "ann", "displayName": "Ann" }, "role": "REVIEWER", "status": "UNAPPROVED" }],
        "participants": [], "properties": properties,
        "links": { "self": [{ "href": format!("https://forge.example.com/pulls/{}", pull.number) }] },
    })
}

pub(super) fn azure_devops(state: &mut State, request: &Request<'_>) -> Answer {
    let body = request.body;
    let given = |name: &str| request.query.get(name).map(String::as_str).unwrap_or_default();
    assert_eq!(given("api-version"), "6.0");
    match (request.method, request.parts) {
        ("GET", ["pullrequests"]) => {
            assert_eq!(given("searchCriteria.status"), "all");
            let branch = |name: &str| given(name).strip_prefix("refs/heads/").expect("a reference").to_owned();
            let (head, base) = (branch("searchCriteria.sourceRefName"), branch("searchCriteria.targetRefName"));
            let number = |name: &str| given(name).parse::<usize>().expect("a number");
            let pulls = newest(state, |pull| pull.head == head && pull.base == base);
            let page = pulls.iter().skip(number("$skip")).take(number("$top"));
            let values: Vec<Value> = page.map(|pull| azure_pull(pull, CUT)).collect();
            said(200, json!({ "value": values, "count": values.len() }))
        }
        ("POST", ["pullrequests"]) => {
            let branch = |key: &str| text(body, key).strip_prefix("refs/heads/").expect("a reference").to_owned();
            let ends = [branch("sourceRefName"), branch("targetRefName")];
            if is_open(state, &ends[0]) {
                let message = "TF401179: An active pull request for the source and target branch already exists.";
                return said(409, json!({ "$id": "1", "innerException": null, "message": message, "errorCode": 0 }));
            }
            let labels = body["labels"].as_array().expect("a list").iter().map(|label| text(label, "name")).collect();
            let (title, words) = (text(body, "title"), description(body));
            said(201, azure_pull(add(state, title, words, [&ends[0], &ends[1]], labels), usize::MAX))
        }
        ("GET", ["pullrequests", number]) => said(200, azure_pull(find(state, number), usize::MAX)),
        ("PATCH", ["pullrequests", number]) => {
            let pull = find(state, number);
            if let Some(title) = body["title"].as_str() {
                pull.title = title.to_owned();
            }
            if body["description"].is_string() {
                pull.text = description(body);
            }
            if body["status"] == "abandoned" {
                end(pull, "closed");
            }
            said(200, azure_pull(pull, usize::MAX))
        }
        ("GET", ["pullrequests", number, "threads"]) => {
            let author = json!({ "id": "bot-id", "uniqueName": "bot@example.com", "displayName": "Bot" });
            let thread = |(index, content): (usize, &String)| {
                json!({ "id": index + 1, "publishedDate": "2026-11-26T10:00:00.12Z", "properties": null,
                    "comments": [{ "id": 1, "author": author, "content": content, "commentType": "text" }] })
            };
            let threads: Vec<Value> = find(state, number).comments.iter().enumerate().map(thread).collect();
            said(200, json!({ "value": threads, "count": threads.len() }))
        }
        ("POST", ["pullrequests", number, "threads"]) => {
            assert_eq!(body["status"], "closed", "{body}");
            find(state, number).comments.push(text(&body["comments"][0], "content"));
            said(200, json!({ "id": 1 }))
        }
        ("PATCH", ["pullrequests", number, "threads", thread, "comments", "1"]) => {
            let index = thread.parse::<usize>().expect("a number") - 1;
            find(state, number).comments[index] = text(body, "content");
            said(200, json!({ "id": 1 }))
        }
        _ => unknown(request),
    }
}

fn description(body: &Value) -> String {
    let words = text(body, "description");
    assert!(words.encode_utf16().count() <= 4000, "the server refuses that");
    words
}

fn azure_pull(pull: &Pull, cut: usize) -> Value {
    let identity =
        |name: &str| json!({ "id": format!("{name}-id"), "uniqueName": name, "displayName": name, "_links": {} });
    let status = match pull.state {
        "open" => "active",
        "merged" => "completed",
        _ => "abandoned",
    };
    let mut shown = json!({
        "pullRequestId": pull.number, "codeReviewId": pull.number, "status": status, "title": pull.title,
        "description": pull.text.chars().take(cut).collect::<String>(), "creationDate": "2026-11-26T10:00:00.1234567Z",
        "createdBy": identity("bot"), "sourceRefName": format!("refs/heads/{}", pull.head),
        "targetRefName": format!("refs/heads/{}", pull.base), "mergeStatus": "succeeded", "isDraft": false,
        "lastMergeSourceCommit": { "commitId": HEAD, "url": "x" }, "reviewers": [], "url": "x",
        "repository": { "id": "7", "name": "infra", "project": { "id": "1", "name": "shop" } },
    });
    if let Some(closed) = pull.closed {
        shown["closedDate"] = closed.to_string().into();
        shown["closedBy"] = identity(CLOSER);
    }
    if let Some(commit) = &pull.commits[0] {
        shown["lastMergeCommit"] = json!({ "commitId": commit });
    }
    if pull.is_of_fork {
        shown["forkSource"] = json!({ "name": "refs/heads/x", "repository": { "id": "8" } });
    }
    shown
}
