//! Bitbucket Data Center: reviews, merges and statuses. The shapes are those of `atlassian-python-api` 5.0 (`bitbucket`), of
//! Renovate 39 (`bitbucket-server`), and of Atlassian's REST documentation.

use ::tagalong::fault::{Explain, Fault};
use ::tagalong::forge::commit_status::{CheckState, NewStatus};
use ::tagalong::forge::config::Kind;
use ::tagalong::forge::error::ForgeError;
use ::tagalong::forge::pull_request::{Draft, MergeResult, State};
use serde_json::{Value, json};

use super::scene::{COMMIT, OTHER, Scene, contexts, parameter, pull_request, states, wait, weights};
use crate::support::scripted::{Answer, Asked, json};

const REPOSITORY: &str = "/rest/api/1.0/projects/acme/repos/infra";
const MERGED: &str = "3333333333333333333333333333333333333333";

fn scene(script: impl Fn(&str, &Asked) -> Answer + Send + Sync + 'static) -> Scene {
    Scene::new(Kind::BitbucketDataCenter, move |asked| {
        let path = asked.target.split('?').next().unwrap_or_default().replace(REPOSITORY, "");
        script(&format!("{} {path}", asked.method), asked)
    })
}

fn pull(state: &str, head: &str, more: Value) -> Value {
    let end = |name: &str, commit: &str| {
        json!({ "id": format!("refs/heads/{name}"), "displayId": name, "latestCommit": commit,
            "repository": { "slug": "infra", "id": 1, "project": { "key": "acme" } } })
    };
    let mut pull = json!({
        "id": 7, "version": 4, "title": "t", "description": "text", "state": state, "createdDate": 1_764_150_000_000_i64,
        "updatedDate": 1_764_150_000_000_i64, "fromRef": end("tagalong/live", head), "toRef": end("main", OTHER),
        "author": { "user": { "name": "bot", "displayName": "Bot" }, "role": "AUTHOR", "status": "UNAPPROVED" },
        "reviewers": [], "links": { "self": [{ "href": "https://forge.example.com/7" }] },
    });
    pull.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    pull
}

fn merged() -> Value {
    let properties = json!({ "mergeCommit": { "id": MERGED, "displayId": "33333333333" }, "commentCount": 0 });
    pull("MERGED", COMMIT, json!({ "closedDate": 1_764_190_800_000_i64, "properties": properties }))
}

fn user(name: &str) -> Value {
    json!({ "name": name, "emailAddress": format!("{name}@example.com"), "id": 1, "displayName": name, "active": true,
        "slug": name, "type": "NORMAL" })
}

fn list(items: &[Value]) -> Answer {
    json(200, json!({ "values": items, "size": items.len(), "isLastPage": true, "start": 0, "limit": 100 }), &[])
}

#[test]
fn a_review_counts_for_the_head_that_was_reviewed_by_somebody_who_may_write() {
    let reviewer = |name: &str, status: &str, head: Option<&str>| json!({ "user": user(name), "lastReviewedCommit": head, "role": "REVIEWER", "approved": status == "APPROVED", "status": status });
    let reviewers = json!([
        reviewer("ann", "APPROVED", Some(COMMIT)),
        reviewer("ben", "APPROVED", Some(OTHER)),
        reviewer("cid", "APPROVED", None),
        reviewer("dan", "NEEDS_WORK", Some(OTHER)),
        reviewer("eva", "UNAPPROVED", Some(COMMIT)),
        reviewer("bot", "APPROVED", Some(COMMIT)),
        reviewer("guest", "APPROVED", Some(COMMIT)),
    ]);
    let scene = scene(move |request, asked| match request {
        "GET /pull-requests/7" => json(200, pull("OPEN", COMMIT, json!({ "reviewers": reviewers })), &[]),
        "GET /rest/api/1.0/users" => {
            let parameter = |name: &str| parameter(asked, name).unwrap_or_default();
            assert_eq!(parameter("permission.1"), "REPO_WRITE");
            assert_eq!(
                [parameter("permission.1.projectKey"), parameter("permission.1.repositorySlug")],
                ["acme", "infra"]
            );
            // The filter also finds longer names.
            match parameter("filter").as_str() {
                "guest" => list(&[user("guest2")]),
                name => list(&[user(&format!("{name}2")), user(name)]),
            }
        }
        _ => panic!("{request}"),
    });
    let found = wait(scene.forge.reviews(&pull_request("bot"))).expect("reviews");
    assert_eq!(
        weights(&found),
        [
            "ann Approves Counts",
            "ben Approves OtherHead",
            "bot Approves Author",
            "cid Approves UnknownHead",
            "dan Refuses Counts",
            "guest Approves NoRight",
        ]
    );
}

fn message() -> Draft {
    Draft { title: "promote".to_owned(), text: "a: b\n".to_owned() }
}

#[test]
fn a_merge_names_the_version_that_had_the_head() {
    let scene = scene(|request, asked| match request {
        "GET /pull-requests/7" => json(200, pull("OPEN", COMMIT, json!({})), &[]),
        "POST /pull-requests/7/merge" => {
            let body: Value = serde_json::from_str(&asked.body).expect("JSON");
            let whole = "promote\n\na: b\n";
            assert_eq!(body, json!({ "version": 4, "message": whole, "autoSubject": false, "strategyId": "no-ff" }));
            assert_eq!(parameter(asked, "version").as_deref(), Some("4"));
            json(200, merged(), &[])
        }
        _ => panic!("{request}"),
    });
    let result = wait(scene.forge.merge(7, COMMIT, &message())).expect("merged");
    assert_eq!(result, MergeResult::Merged { commit: Some(MERGED.to_owned()) });
    // A head that has moved is not merged.
    let result = wait(scene.forge.merge(7, OTHER, &message())).expect("an answer");
    assert_eq!(result, MergeResult::Moved { head: COMMIT.to_owned() });
    assert_eq!(scene.server.asked().iter().filter(|asked| asked.method == "POST").count(), 1);
}

#[test]
fn a_push_between_the_look_and_the_merge_changes_the_version() {
    let merge = |afterwards: &'static str| {
        let looks = std::sync::atomic::AtomicUsize::new(0);
        let scene = scene(move |request, _| match request {
            "POST /pull-requests/7/merge" => {
                let words = "you are attempting to modify a pull request based on out-of-date information.";
                json(409, json!({ "errors": [{ "context": null, "message": words, "currentVersion": 5 }] }), &[])
            }
            _ => match looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0 => json(200, pull("OPEN", COMMIT, json!({})), &[]),
                _ => json(200, pull("OPEN", afterwards, json!({ "version": 5 })), &[]),
            },
        });
        wait(scene.forge.merge(7, COMMIT, &message()))
    };
    assert_eq!(merge(OTHER).expect("an answer"), MergeResult::Moved { head: OTHER.to_owned() });
    let error = merge(COMMIT).expect_err("refused");
    assert!(error.to_string().contains("(409): you are attempting") && error.fault() == Fault::Refused, "{error}");
}

#[test]
fn who_merged_and_who_declined_is_told_by_the_activities() {
    let activity = |action: &str, who: &str| json!({ "id": 1, "createdDate": 1, "user": user(who), "action": action });
    let of = |shown: Value, activities: Vec<Value>| {
        scene(move |request, _| match request {
            "GET /pull-requests/7" => json(200, shown.clone(), &[]),
            "GET /pull-requests" => list(std::slice::from_ref(&shown)),
            "GET /pull-requests/7/activities" => list(&activities),
            _ => panic!("{request}"),
        })
    };
    let scene = of(merged(), vec![activity("MERGED", "ann"), activity("APPROVED", "ben"), activity("OPENED", "bot")]);
    let (pull_request, merge) = wait(scene.forge.pull_request(7)).expect("a pull request");
    let merge = merge.expect("merged");
    assert_eq!((merge.by.map(|by| by.login).as_deref(), merge.commit.as_deref()), (Some("ann"), Some(MERGED)));
    assert_eq!(merge.at.map(|at| at.to_string()).as_deref(), Some("2025-11-26T21:00:00Z"));
    assert_eq!(pull_request.state, State::Merged { commits: vec![MERGED.to_owned()] });

    let declined = pull("DECLINED", COMMIT, json!({ "closedDate": 1_764_190_800_000_i64 }));
    let scene =
        of(declined, vec![activity("COMMENTED", "cid"), activity("DECLINED", "ann"), activity("OPENED", "bot")]);
    let by = || match wait(scene.forge.pull_requests()).expect("a list").remove(0).state {
        State::Closed { at, by } => (at, by),
        other => panic!("{other:?}"),
    };
    let (at, listed) = by();
    assert_eq!((at.to_string().as_str(), listed), ("2025-11-26T21:00:00Z", None));
    assert_eq!(wait(scene.forge.closed_by(7, at)).expect("an answer").as_deref(), Some("ann"));
    assert_eq!(by().1.as_deref(), Some("ann"), "later lists do not say it again");
}

#[test]
fn statuses_are_found_by_key_or_name_on_all_pages() {
    let status = |key: &str, name: &str, state: &str| {
        json!({ "key": key, "name": name, "state": state, "url": "https://ci.example.com/1", "description": "3 of\n5",
            "dateAdded": 1_764_150_000_000_i64 })
    };
    let scene = scene(move |request, asked| {
        assert_eq!(request, format!("GET /rest/build-status/1.0/commits/{COMMIT}"));
        match parameter(asked, "start").as_deref() {
            Some("0") => {
                let page = [status("e2e", "End to end", "SUCCESSFUL"), status("K-1", "lint", "INPROGRESS")];
                json(200, json!({ "values": page, "isLastPage": false, "nextPageStart": 2, "size": 2 }), &[])
            }
            Some("2") => {
                list(&[status("K-2", "lint", "FAILED"), status("x", "y", "FAILED"), status("odd", "odd", "CANCELLED")])
            }
            other => panic!("{other:?}"),
        }
    });
    let found = wait(scene.forge.statuses(COMMIT, &contexts(&["e2e", "lint", "odd", "none"]))).expect("statuses");
    assert_eq!(states(&found), ["e2e Success SUCCESSFUL", "lint Failure FAILED", "odd Failure CANCELLED"]);
    assert_eq!((found[0].description.as_deref(), found[0].at.is_some()), (Some("3 of 5"), true));
}

#[test]
fn a_status_is_set_with_a_page_and_words_of_a_refusal_are_kept() {
    let new = NewStatus {
        context: "tagalong/live".to_owned(),
        state: CheckState::Failure,
        description: "e2e\nfailed".to_owned(),
        url: None,
    };
    let scene = scene(|_, _| Some((204, Vec::new(), Vec::new())));
    wait(scene.forge.set_status(COMMIT, &new)).expect("set");
    assert_eq!(scene.asked_below("/rest/build-status/1.0"), [format!("POST /commits/{COMMIT}")]);
    let page = format!("http://{}/projects/acme/repos/infra/commits/{COMMIT}", scene.server.host());
    let expected = json!({ "key": "tagalong/live", "name": "tagalong/live", "state": "FAILED", "description": "e2e failed", "url": page });
    assert_eq!(scene.sent(), expected);
    for (status, fault) in
        [(401, Fault::Denied), (404, Fault::Denied), (429, Fault::Transient), (500, Fault::Transient)]
    {
        let words = json!({ "errors": [{ "context": null, "message": "first", "exceptionName": "x" }, { "message": "second" }] });
        let scene = self::scene(move |_, _| json(status, words.clone(), &[("Retry-After", "7")]));
        let error = wait(scene.forge.set_status(COMMIT, &new)).expect_err("refused");
        assert!(error.to_string().contains("first; second") && error.fault() == fault, "{error}");
    }
}

#[test]
fn lists_without_end_are_errors() {
    let scene = scene(|_, _| json(200, json!({ "values": [], "isLastPage": false, "nextPageStart": 0 }), &[]));
    let error = wait(scene.forge.statuses(COMMIT, &contexts(&["e2e"]))).expect_err("no end");
    assert!(error.to_string().contains("more than 40 pages") && scene.server.asked().len() == 40, "{error}");
    let scene = self::scene(|_, _| json(200, json!([]), &[]));
    let error = wait(scene.forge.pull_requests()).expect_err("nonsense");
    assert!(matches!(error, ForgeError::InvalidResponse { .. }), "{error}");
}
