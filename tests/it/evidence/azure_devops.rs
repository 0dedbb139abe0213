//! Azure DevOps: votes, merges, statuses and long texts. The shapes are those of Microsoft's own client, `azure-devops` 7.1
//! (`git_client_base.py`, `models.py`), and for events in threads those that Renovate 39 and others read.

use ::tagalong::fault::{Explain, Fault};
use ::tagalong::forge::commit_status::{CheckState, NewStatus};
use ::tagalong::forge::config::Kind;
use ::tagalong::forge::error::ForgeError;
use ::tagalong::forge::pull_request::{Draft, MergeResult, State};
use serde_json::{Value, json};

use super::scene::{COMMIT, OTHER, Scene, client, contexts, parameter, pull_request, states, wait, weights};
use crate::support::forge::{Forge as FakeForge, Kind as FakeKind, TOKEN as FAKE_TOKEN};
use crate::support::scripted::{Answer, Asked, Scripted, json};

const REPOSITORY: &str = "/acme/_apis/git/repositories/infra";
const MERGED: &str = "3333333333333333333333333333333333333333";

fn scene(script: impl Fn(&str, &Asked) -> Answer + Send + Sync + 'static) -> Scene {
    Scene::new(Kind::AzureDevOps, move |asked| {
        assert_eq!(parameter(asked, "api-version").as_deref(), Some("6.0"), "{asked:?}");
        let path = asked.target.split('?').next().unwrap_or_default();
        let below = path.strip_prefix(REPOSITORY).unwrap_or_else(|| panic!("{path}"));
        script(&format!("{} {below}", asked.method), asked)
    })
}

/// The paths that were requested.
fn paths(scene: &Scene) -> Vec<String> {
    let asked = scene.asked_below(REPOSITORY);
    asked.into_iter().map(|asked| asked.split('?').next().unwrap_or_default().to_owned()).collect()
}

fn identity(name: &str) -> Value {
    json!({ "id": format!("id-{name}"), "uniqueName": format!("{name}@example.com"), "displayName": name })
}

fn pull(status: &str, head: &str, more: Value) -> Value {
    let mut pull = json!({
        "pullRequestId": 7, "status": status, "title": "t", "description": "text",
        "creationDate": "2026-11-26T10:00:00.1234567Z", "createdBy": identity("bot"),
        "sourceRefName": "refs/heads/tagalong/live", "targetRefName": "refs/heads/main",
        "mergeStatus": "succeeded", "lastMergeSourceCommit": { "commitId": head },
    });
    pull.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    pull
}

fn completed() -> Value {
    let merge = json!({ "commitId": MERGED });
    let closed = "2026-11-26T21:00:00Z";
    pull("completed", COMMIT, json!({ "closedBy": identity("ann"), "closedDate": closed, "lastMergeCommit": merge }))
}

fn list(items: &[Value]) -> Answer {
    json(200, json!({ "value": items, "count": items.len() }), &[])
}

fn voter(name: &str, vote: i32) -> Value {
    let mut voter = identity(name);
    voter["vote"] = vote.into();
    voter
}

/// The thread that notes a vote.
fn noted(name: &str, vote: i32, at: &str) -> Value {
    let text = |text: &str| json!({ "$type": "System.String", "$value": text });
    json!({
        "id": 5, "publishedDate": at, "lastUpdatedDate": at, "isDeleted": false,
        "comments": [{ "id": 1, "author": identity(name), "content": format!("{name} voted {vote}"), "commentType": "system" }],
        "properties": { "CodeReviewThreadType": text("VoteUpdate"), "CodeReviewVoteResult": text(&vote.to_string()),
            "CodeReviewVotedByIdentity": text("1"), "CodeReviewVotedByInitiatorIdentity": text("1") },
        "identities": { "1": identity(name) },
    })
}

fn iteration(id: u64, head: &str, at: &str) -> Value {
    json!({ "id": id, "createdDate": at, "updatedDate": at, "reason": "push", "sourceRefCommit": { "commitId": head } })
}

#[test]
fn a_vote_counts_only_if_it_was_given_after_the_last_push() {
    let voters = [
        voter("ann", 10),
        voter("ben", 5),
        voter("cid", 10),
        voter("dan", -5),
        voter("eva", 0),
        voter("bot", 10),
        voter("fay", 10),
        // A group repeats the vote of a member.
        json!({ "id": "id-group", "uniqueName": "vstfs:///x", "displayName": "Team", "vote": 10, "isContainer": true }),
    ];
    let threads = [
        noted("ann", 10, "2026-11-26T12:00:00.5Z"),
        noted("ben", 5, "2026-11-26T10:30:00Z"),
        // A later comment does not make an earlier vote newer.
        json!({ "id": 6, "publishedDate": "2026-11-26T13:00:00Z", "comments": [{ "id": 1, "author": identity("ben"), "content": "hm" }], "properties": {} }),
        noted("cid", 10, "2026-11-26T10:30:00Z"),
        noted("cid", 10, "2026-11-26T12:30:00Z"),
        noted("bot", 10, "2026-11-26T12:30:00Z"),
    ];
    let scene = scene(move |request, _| match request {
        "GET /pullrequests/7/reviewers" => list(&voters),
        "GET /pullrequests/7/iterations" => {
            list(&[iteration(1, OTHER, "2026-11-26T10:00:00Z"), iteration(2, COMMIT, "2026-11-26T11:00:00Z")])
        }
        "GET /pullrequests/7/threads" => list(&threads),
        _ => panic!("{request}"),
    });
    let found = wait(scene.forge.reviews(&pull_request("bot@example.com"))).expect("reviews");
    assert_eq!(
        weights(&found),
        [
            "ann@example.com Approves Counts",
            "ben@example.com Approves OtherHead",
            "bot@example.com Approves Author",
            "cid@example.com Approves Counts",
            "dan@example.com Refuses Counts",
            "fay@example.com Approves UnknownHead",
        ]
    );
    let ann = found.iter().find(|review| review.by.login.starts_with("ann")).expect("hers");
    assert_eq!((ann.head.as_deref(), ann.by.email.as_deref()), (Some(COMMIT), Some("ann@example.com")));
}

#[test]
fn with_one_push_every_vote_is_for_its_head_and_with_none_for_the_head_nobody_counts() {
    let read = |head: &'static str| {
        let scene = scene(move |request, _| match request {
            "GET /pullrequests/7/reviewers" => list(&[voter("ann", 10)]),
            "GET /pullrequests/7/iterations" => list(&[iteration(1, head, "2026-11-26T10:00:00Z")]),
            _ => panic!("{request}"),
        });
        let found = wait(scene.forge.reviews(&pull_request("bot"))).expect("reviews");
        (weights(&found), scene.server.asked().len())
    };
    assert_eq!(read(COMMIT), (vec!["ann@example.com Approves Counts".to_owned()], 2));
    assert_eq!(read(OTHER), (vec!["ann@example.com Approves UnknownHead".to_owned()], 2));
    let scene = scene(|_, _| list(&[voter("ann", -10)]));
    assert_eq!(wait(scene.forge.reviews(&pull_request("bot"))).expect("reviews").len(), 0);
}

fn message() -> Draft {
    Draft { title: "promote".to_owned(), text: "a: b\n".to_owned() }
}

#[test]
fn a_merge_names_the_head_and_waits_until_it_is_done() {
    let scene = scene(|request, asked| match request {
        "PATCH /pullrequests/7" => {
            let body: Value = serde_json::from_str(&asked.body).expect("JSON");
            let options = json!({ "mergeStrategy": "noFastForward", "mergeCommitMessage": "promote\n\na: b\n",
                "deleteSourceBranch": false, "bypassPolicy": false });
            let head = json!({ "commitId": COMMIT });
            assert_eq!(
                body,
                json!({ "status": "completed", "lastMergeSourceCommit": head, "completionOptions": options })
            );
            json(200, pull("active", COMMIT, json!({ "mergeStatus": "queued" })), &[])
        }
        "GET /pullrequests/7" => json(200, completed(), &[]),
        _ => panic!("{request}"),
    });
    let result = wait(scene.forge.merge(7, COMMIT, &message())).expect("merged");
    assert_eq!(result, MergeResult::Merged { commit: Some(MERGED.to_owned()) });
    assert_eq!(paths(&scene), ["PATCH /pullrequests/7", "GET /pullrequests/7"]);
    let (pull_request, merge) = wait(scene.forge.pull_request(7)).expect("a pull request");
    let merge = merge.expect("merged");
    assert_eq!(merge.by.map(|by| by.login).as_deref(), Some("ann@example.com"));
    assert_eq!((merge.commit.as_deref(), merge.at.is_some()), (Some(MERGED), true));
    assert_eq!(pull_request.state, State::Merged { commits: vec![MERGED.to_owned()] });
}

#[test]
fn what_was_not_merged_is_told_apart() {
    let merge = |head: &'static str, answer: Answer| {
        let scene = scene(move |request, _| match request {
            "PATCH /pullrequests/7" => answer.clone(),
            _ => json(200, pull("active", head, json!({})), &[]),
        });
        wait(scene.forge.merge(7, COMMIT, &message()))
    };
    let words = "TF401192: The source branch has been modified since the last merge attempt.";
    let stale = || json(409, json!({ "message": words }), &[]);
    assert_eq!(merge(OTHER, stale()).expect("an answer"), MergeResult::Moved { head: OTHER.to_owned() });
    let error = merge(COMMIT, stale()).expect_err("refused");
    assert!(error.to_string().contains("TF401192") && error.fault() == Fault::Refused, "{error}");
    // The server notices conflicts and policies later.
    for (state, failure) in [("conflicts", None), ("rejectedByPolicy", Some("at least 2 reviewers"))] {
        let answer = pull("active", COMMIT, json!({ "mergeStatus": state, "mergeFailureMessage": failure }));
        let error = merge(COMMIT, json(200, answer, &[])).expect_err("refused");
        assert!(error.to_string().contains(failure.unwrap_or(state)) && error.fault() == Fault::Refused, "{error}");
    }
    let error = merge(COMMIT, json(200, pull("active", COMMIT, json!({ "mergeStatus": "queued" })), &[]));
    let error = error.expect_err("not yet");
    assert!(error.to_string().contains("it has not merged yet") && error.fault() == Fault::Transient, "{error}");
}

fn status(id: u64, genre: Option<&str>, name: &str, state: &str) -> Value {
    json!({ "id": id, "state": state, "context": { "genre": genre, "name": name }, "description": "3 of\n5",
        "targetUrl": format!("https://ci.example.com/{id}"), "creationDate": "2026-11-26T10:00:00.123Z",
        "createdBy": identity("ci") })
}

#[test]
fn statuses_have_a_genre_and_a_name() {
    let all = [
        status(1, Some("ci"), "e2e", "failed"),
        status(3, Some("ci"), "e2e", "succeeded"),
        status(2, Some("ci"), "e2e", "pending"),
        status(4, None, "lint", "notApplicable"),
        status(5, Some(""), "slow", "notSet"),
        status(6, Some("ci"), "lint", "error"),
        status(7, Some("other"), "e2e", "error"),
    ];
    let scene = scene(move |_, asked| {
        assert_eq!(parameter(asked, "latestOnly").as_deref(), Some("true"));
        list(&all)
    });
    let names = contexts(&["ci/e2e", "lint", "slow", "ci/lint", "missing"]);
    let found = wait(scene.forge.statuses(COMMIT, &names)).expect("statuses");
    let expected =
        ["ci/e2e Success succeeded", "ci/lint Failure error", "lint Success notApplicable", "slow Pending notSet"];
    assert_eq!(
        (states(&found), paths(&scene)),
        (expected.map(str::to_owned).to_vec(), vec![format!("GET /commits/{COMMIT}/statuses")])
    );
    assert_eq!((found[0].description.as_deref(), found[0].at.is_some()), (Some("3 of 5"), true));
}

#[test]
fn a_status_is_set_on_the_commit_and_on_what_the_pull_request_has_last() {
    let set = |last: &'static str| {
        let scene = scene(move |request, asked| match request.split('?').next().unwrap_or_default() {
            "GET /pullrequests" => {
                let parameter = |name: &str| parameter(asked, name).unwrap_or_default();
                assert_eq!(parameter("searchCriteria.sourceRefName"), "refs/heads/tagalong/live");
                assert_eq!(parameter("searchCriteria.status"), "active");
                list(&[pull("active", COMMIT, json!({}))])
            }
            "GET /pullrequests/7/iterations" => {
                list(&[iteration(2, last, "2026-11-26T11:00:00Z"), iteration(1, OTHER, "2026-11-26T10:00:00Z")])
            }
            _ => json(200, json!({ "id": 1 }), &[]),
        });
        let status = NewStatus {
            context: "tagalong/live".to_owned(),
            state: CheckState::Pending,
            description: "waits\nfor e2e".to_owned(),
            url: None,
        };
        wait(scene.forge.set_status(COMMIT, &status)).expect("set");
        scene
    };
    let own = json!({ "state": "pending", "description": "waits for e2e", "context": { "genre": "tagalong", "name": "live" } });
    let scene = set(COMMIT);
    let asked = scene.server.asked();
    assert_eq!(serde_json::from_str::<Value>(&asked[0].body).expect("JSON"), own);
    let mut with_iteration = own;
    with_iteration["iterationId"] = 2.into();
    assert_eq!((scene.sent(), asked.len()), (with_iteration, 4));
    assert_eq!(paths(&scene)[3], "POST /pullrequests/7/statuses");
    // Something else was pushed in the meantime.
    assert_eq!(paths(&set(OTHER)).len(), 3);
}

#[test]
fn texts_that_are_too_long_for_a_description_are_kept_whole() {
    let text = format!("intro\n\n{}<!-- tagalong\nTagalong-Update: x\n-->\n", "| a row |\n".repeat(800));
    let forge = FakeForge::start(FakeKind::AzureDevOps, "acme/infra");
    let (client, _folder) = client(Kind::AzureDevOps, &forge.url(), "acme/infra", FAKE_TOKEN);
    let draft = |text: &str| Draft { title: "t".to_owned(), text: text.to_owned() };
    wait(client.open(&draft(&text))).expect("opened");
    let listed = || wait(client.pull_requests()).expect("a list").remove(0).text;
    assert!(listed() == text, "read again as it was");
    let longer = text.replace("a row", "another row");
    wait(client.update(1, &draft(&longer))).expect("updated");
    assert!(listed() == longer && forge.pull(1).comments.len() == 1, "the comment was replaced");
    wait(client.update(1, &draft("short"))).expect("updated");
    assert_eq!(listed(), "short");
}

#[test]
fn pages_are_read_until_one_is_not_full_and_what_is_final_is_read_once() {
    let scene = scene(|request, asked| {
        if request != "GET /pullrequests" {
            let number: u64 = request.rsplit('/').next().expect("a number").parse().expect("a number");
            return json(200, pull("abandoned", COMMIT, closed(number)), &[]);
        }
        let skip: u64 = parameter(asked, "$skip").expect("a number").parse().expect("a number");
        assert_eq!(parameter(asked, "$top").as_deref(), Some("100"));
        let numbers = 120 - skip;
        let page: Vec<Value> = (0..numbers.min(100))
            .map(|index| {
                let mut pull = pull("abandoned", COMMIT, closed(numbers - index));
                pull["description"] = "cut".into();
                pull
            })
            .collect();
        list(&page)
    });
    let found = wait(scene.forge.pull_requests()).expect("a list");
    assert!(found.len() == 120 && found.iter().all(|found| found.text == "text"), "{}", found.len());
    assert!(matches!(&found[0].state, State::Closed { by: Some(by), .. } if by == "ann@example.com"), "{found:?}");
    assert_eq!(scene.server.asked().len(), 2 + 120);
    wait(scene.forge.pull_requests()).expect("a list");
    assert_eq!(scene.server.asked().len(), 2 + 120 + 1);
}

fn closed(number: u64) -> Value {
    let at = format!("2026-11-{:02}T{:02}:00:00Z", 1 + number / 24, number % 24);
    json!({ "pullRequestId": number, "closedDate": at, "closedBy": identity("ann") })
}

#[test]
fn tokens_of_both_kinds_are_sent_as_they_must_be_and_the_page_for_signing_in_is_a_refusal() {
    let sent = |token: &str| {
        let server = Scripted::start(|_| {
            Some((203, vec![("Content-Type".to_owned(), "text/html".to_owned())], b"<html>".to_vec()))
        });
        let url = format!("http://{}/acme", server.host());
        let (client, _folder) = client(Kind::AzureDevOps, &url, "my shop/infra", token);
        let error = wait(client.pull_requests()).expect_err("refused");
        assert!(matches!(error, ForgeError::Denied { status: 401, .. }), "{error}");
        let asked = server.asked().remove(0);
        assert!(asked.target.starts_with("/acme/my%20shop/_apis/git/repositories/infra/pullrequests?"), "{asked:?}");
        assert!(asked.head.to_ascii_lowercase().contains("x-tfs-fedauthredirect: suppress"), "{asked:?}");
        asked.authorization.expect("a header")
    };
    // `:pat` in base64.
    assert_eq!(sent("pat"), "Basic OnBhdA==");
    assert_eq!(sent("eyJ0eXAi.eyJhdWQi.c2ln"), "Bearer eyJ0eXAi.eyJhdWQi.c2ln");
}

#[test]
fn rights_are_tried_on_a_commit_that_does_not_exist() {
    let attempt = |status: u16, listed: u16| {
        let scene = scene(move |request, _| match request.starts_with("GET") {
            true => json(listed, json!({ "value": [], "count": 0 }), &[]),
            false => json(status, json!({ "message": "TF401175: The version descriptor could not be resolved" }), &[]),
        });
        let result = wait(scene.forge.try_statuses());
        for asked in scene.server.asked().iter().filter(|asked| asked.method != "GET") {
            assert!(asked.body == "{}" && asked.target.contains("/commits/0000000000"), "{asked:?}");
        }
        result
    };
    assert!(attempt(400, 500).is_ok() && attempt(404, 200).is_ok());
    for (status, listed) in [(401, 200), (403, 200), (404, 404), (200, 200)] {
        assert!(attempt(status, listed).is_err(), "{status} {listed}");
    }
}
