//! Bitbucket Cloud: reviews, merges and statuses. The shapes are those of Atlassian's REST documentation ("List a pull
//! request activity log" has examples), of `atlassian-python-api` 5.0 (`bitbucket/cloud`), and of Renovate 39 (`bitbucket`).

use ::tagalong::fault::{Explain, Fault};
use ::tagalong::forge::commit_status::{CheckState, NewStatus};
use ::tagalong::forge::config::Kind;
use ::tagalong::forge::pull_request::{Draft, MergeResult, State};
use serde_json::{Value, json};

use super::scene::{COMMIT, OTHER, Scene, TOKEN, client, contexts, pull_request, states, wait, weights};
use crate::support::scripted::{Answer, Asked, Scripted, json};

const REPOSITORY: &str = "/2.0/repositories/acme/infra";
const MERGED: &str = "3333333333333333333333333333333333333333";

fn scene(script: impl Fn(&str, &Asked) -> Answer + Send + Sync + 'static) -> Scene {
    Scene::new(Kind::Bitbucket, move |asked| {
        let path = asked.target.split('?').next().unwrap_or_default().replace(REPOSITORY, "");
        script(&format!("{} {path}", asked.method), asked)
    })
}

fn user(name: &str) -> Value {
    json!({ "type": "user", "uuid": format!("{{{name}}}"), "nickname": name, "display_name": name, "account_id": "1" })
}

fn pull(state: &str, head: &str, more: Value) -> Value {
    let end = |name: &str, commit: &str| {
        json!({ "branch": { "name": name }, "commit": { "type": "commit", "hash": &commit[..12] },
            "repository": { "uuid": "{7}", "full_name": "acme/infra" } })
    };
    let mut pull = json!({
        "type": "pullrequest", "id": 7, "title": "t", "summary": { "raw": "text" }, "state": state,
        "created_on": "2026-11-26T10:00:00.123456+00:00", "updated_on": "2026-11-27T10:00:00.123456+00:00",
        "source": end("tagalong/live", head), "destination": end("main", OTHER), "author": user("bot"),
        "closed_by": null, "merge_commit": null, "reviewers": [], "participants": [],
        "links": { "html": { "href": "https://forge.example.com/7" } },
    });
    pull.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    pull
}

fn merged() -> Value {
    pull("MERGED", COMMIT, json!({ "closed_by": user("ann"), "merge_commit": { "hash": &MERGED[..12] } }))
}

fn update(state: &str, head: &str, who: &str, at: &str) -> Value {
    json!({ "pull_request": { "id": 7 }, "update": { "state": state, "date": at, "author": user(who), "title": "t",
        "reason": "", "source": { "branch": { "name": "tagalong/live" }, "commit": { "hash": &head[..12] } } } })
}

fn approval(who: &str, at: &str) -> Value {
    json!({ "pull_request": { "id": 7 }, "approval": { "date": at, "user": user(who), "pullrequest": { "id": 7 } } })
}

fn list(items: &[Value]) -> Answer {
    json(200, json!({ "values": items, "pagelen": 50 }), &[])
}

fn participant(name: &str, role: &str, state: Option<&str>) -> Value {
    json!({ "type": "participant", "user": user(name), "role": role, "approved": state == Some("approved"), "state": state })
}

#[test]
fn an_approval_counts_only_if_a_reviewer_gave_it_after_the_last_push() {
    let participants = json!([
        participant("ann", "REVIEWER", Some("approved")),
        participant("ben", "REVIEWER", Some("approved")),
        participant("cid", "REVIEWER", Some("approved")),
        participant("dan", "REVIEWER", Some("changes_requested")),
        participant("eva", "REVIEWER", None),
        participant("bot", "REVIEWER", Some("approved")),
        participant("guest", "PARTICIPANT", Some("approved")),
    ]);
    let events = [
        vec![
            approval("guest", "2026-11-26T13:00:00+00:00"),
            json!({ "pull_request": { "id": 7 }, "comment": { "id": 1, "user": user("ben") } }),
            approval("bot", "2026-11-26T12:30:00+00:00"),
            approval("ann", "2026-11-26T12:00:00+00:00"),
            // Only the title was changed here, so what counts is the push before.
            update("OPEN", COMMIT, "bot", "2026-11-26T12:10:00+00:00"),
        ],
        vec![
            update("OPEN", COMMIT, "bot", "2026-11-26T11:00:00+00:00"),
            approval("ben", "2026-11-26T10:30:00+00:00"),
            update("OPEN", OTHER, "bot", "2026-11-26T10:00:00+00:00"),
        ],
    ];
    let scene = scene(move |request, asked| match request {
        "GET /pullrequests/7" => json(200, pull("OPEN", COMMIT, json!({ "participants": participants })), &[]),
        "GET /pullrequests/7/activity" => {
            let host =
                asked.head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("host: ").map(str::to_owned));
            let next = format!("http://{}{REPOSITORY}/pullrequests/7/activity?ctx=abc", host.expect("a host").trim());
            match asked.target.contains("ctx=abc") {
                false => json(200, json!({ "values": events[0], "next": next }), &[]),
                true => json(200, json!({ "values": events[1] }), &[]),
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
            "guest Approves NotReviewer",
        ]
    );
    assert_eq!(scene.server.asked().len(), 3);
}

#[test]
fn the_token_does_not_follow_a_page_elsewhere() {
    let stranger = Scripted::start(|_| list(&[]));
    let next = format!("http://{}{REPOSITORY}/commit/x/statuses", stranger.host());
    let scene = scene(move |_, _| json(200, json!({ "values": [], "next": next }), &[]));
    let error = wait(scene.forge.statuses(COMMIT, &contexts(&["e2e"]))).expect_err("refused");
    assert!(error.to_string().contains("next page is not below the URL of the API"), "{error}");
    assert!(stranger.asked().is_empty() && error.fault() == Fault::Transient);
}

fn message() -> Draft {
    Draft { title: "promote".to_owned(), text: "a: b\n".to_owned() }
}

/// A forge whose branch is at `tip`, and whose merge has these parents.
fn merging(tip: &'static str, merge: Answer, parents: [&'static str; 2]) -> Scene {
    scene(move |request, _| match request {
        "GET /refs/branches/tagalong%2Flive" => json(200, json!({ "name": "x", "target": { "hash": tip } }), &[]),
        "GET /pullrequests/7" => json(200, pull("OPEN", COMMIT, json!({})), &[]),
        "POST /pullrequests/7/merge" => merge.clone(),
        "GET /commit/333333333333" => {
            json(200, json!({ "hash": MERGED, "parents": parents.map(|parent| json!({ "hash": parent })) }), &[])
        }
        _ => panic!("{request}"),
    })
}

#[test]
fn the_head_is_read_right_before_a_merge_and_its_parents_after() {
    let done = json(200, merged(), &[]);
    let scene = merging(COMMIT, done.clone(), [OTHER, COMMIT]);
    let result = wait(scene.forge.merge(7, COMMIT, &message())).expect("merged");
    assert_eq!(result, MergeResult::Merged { commit: Some(MERGED.to_owned()) });
    let asked = scene.server.asked();
    let merge = asked.iter().find(|asked| asked.method == "POST").expect("a merge");
    assert_eq!(
        serde_json::from_str::<Value>(&merge.body).expect("JSON"),
        json!({ "type": "pullrequest", "message": "promote\n\na: b\n", "close_source_branch": false, "merge_strategy": "merge_commit" })
    );
    assert_eq!(asked.len(), 4);
    // Another head is not merged, and one that the pull request does not have yet waits.
    let scene = merging(OTHER, done, [OTHER, COMMIT]);
    let result = wait(scene.forge.merge(7, COMMIT, &message())).expect("an answer");
    assert_eq!(result, MergeResult::Moved { head: OTHER.to_owned() });
    let error = wait(scene.forge.merge(7, OTHER, &message())).expect_err("not yet");
    assert!(error.to_string().contains("newest commit of its branch yet") && error.fault() == Fault::Transient);
    assert!(scene.server.asked().iter().all(|asked| asked.method == "GET"));
    let refusal = json!({ "type": "error", "error": { "message": "1 failed merge check" } });
    let scene = merging(COMMIT, json(409, refusal, &[]), [OTHER, COMMIT]);
    let error = wait(scene.forge.merge(7, COMMIT, &message())).expect_err("refused");
    assert!(error.to_string().contains("(409): 1 failed merge check") && error.fault() == Fault::Refused, "{error}");
}

#[test]
fn a_merge_that_takes_long_is_waited_for() {
    let looks = std::sync::atomic::AtomicUsize::new(0);
    let scene = scene(move |request, _| match request {
        "GET /refs/branches/tagalong%2Flive" => json(200, json!({ "target": { "hash": COMMIT } }), &[]),
        "POST /pullrequests/7/merge" => json(202, json!({}), &[("Location", "https://api.bitbucket.org/2.0/task")]),
        "GET /commit/333333333333" => json(200, json!({ "hash": MERGED, "parents": [{ "hash": COMMIT }] }), &[]),
        "GET /pullrequests/7" => match looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 | 1 => json(200, pull("OPEN", COMMIT, json!({})), &[]),
            _ => json(200, merged(), &[]),
        },
        _ => panic!("{request}"),
    });
    let result = wait(scene.forge.merge(7, COMMIT, &message())).expect("merged");
    assert_eq!(result, MergeResult::Merged { commit: Some(MERGED.to_owned()) });
}

#[test]
fn whole_ids_and_exact_times_come_from_elsewhere() {
    let of = |shown: Value, events: Vec<Value>| {
        scene(move |request, _| match request {
            "GET /pullrequests" => list(std::slice::from_ref(&shown)),
            "GET /pullrequests/7" => json(200, shown.clone(), &[]),
            "GET /pullrequests/7/activity" => list(&events),
            "GET /commit/333333333333" => json(200, json!({ "hash": MERGED }), &[]),
            "GET /refs/branches/tagalong%2Flive" => json(200, json!({ "target": { "hash": COMMIT } }), &[]),
            _ => panic!("{request}"),
        })
    };
    let scene = of(merged(), vec![update("MERGED", COMMIT, "ann", "2026-11-26T21:00:00+00:00")]);
    let (pull_request, merge) = wait(scene.forge.pull_request(7)).expect("a pull request");
    let merge = merge.expect("merged");
    assert_eq!((merge.by.map(|by| by.login).as_deref(), merge.commit.as_deref()), (Some("ann"), Some(MERGED)));
    assert_eq!(merge.at.map(|at| at.to_string()).as_deref(), Some("2026-11-26T21:00:00Z"));
    assert_eq!(pull_request.state, State::Merged { commits: vec![MERGED.to_owned()] });

    // Comments after it was declined change the time of the last update.
    let events = vec![
        update("DECLINED", COMMIT, "ann", "2026-11-26T20:00:00+00:00"),
        update("OPEN", COMMIT, "bot", "2026-11-26T10:00:00+00:00"),
    ];
    let scene = of(pull("DECLINED", COMMIT, json!({})), events);
    let listed = || wait(scene.forge.pull_requests()).expect("a list").remove(0).state;
    let closed = State::Closed { at: "2026-11-26T20:00:00Z".parse().expect("a time"), by: Some("ann".to_owned()) };
    assert_eq!((listed(), scene.server.asked().len()), (closed.clone(), 3));
    assert_eq!((listed(), scene.server.asked().len()), (closed, 4), "what is final is read once");

    let head = |short: &str| {
        let scene = of(pull("OPEN", short, json!({})), Vec::new());
        wait(scene.forge.pull_requests()).expect("a list").remove(0).head
    };
    assert_eq!((head(COMMIT).as_deref(), head(OTHER)), (Some(COMMIT), None));
}

#[test]
fn statuses_are_found_by_key_or_name() {
    let status = |key: &str, name: &str, state: &str| {
        json!({ "type": "build", "key": key, "name": name, "state": state, "url": "https://ci.example.com/1",
            "description": "3 of\n5", "updated_on": "2026-11-26T10:00:00.123456+00:00", "refname": null })
    };
    let all = [
        status("e2e", "End to end", "SUCCESSFUL"),
        status("0a1b", "lint", "INPROGRESS"),
        status("2c3d", "lint", "STOPPED"),
        status("x", "y", "FAILED"),
    ];
    let scene = scene(move |_, _| list(&all));
    let found = wait(scene.forge.statuses(COMMIT, &contexts(&["e2e", "lint", "none"]))).expect("statuses");
    assert_eq!(states(&found), ["e2e Success SUCCESSFUL", "lint Failure STOPPED"]);
    assert_eq!(scene.asked_below(REPOSITORY), [format!("GET /commit/{COMMIT}/statuses?pagelen=100")]);
    assert!(found[0].at.is_some());

    let new = NewStatus {
        context: "tagalong/live".to_owned(),
        state: CheckState::Pending,
        description: "waits".to_owned(),
        url: None,
    };
    let scene = self::scene(|_, _| json(201, json!({ "key": "tagalong/live" }), &[]));
    wait(scene.forge.set_status(COMMIT, &new)).expect("set");
    assert_eq!(scene.asked_below(REPOSITORY), [format!("POST /commit/{COMMIT}/statuses/build")]);
    let page = format!("https://bitbucket.org/acme/infra/commits/{COMMIT}");
    let expected = json!({ "key": "tagalong/live", "name": "tagalong/live", "state": "INPROGRESS", "description": "waits", "url": page });
    assert_eq!(scene.sent(), expected);
}

#[test]
fn an_api_token_comes_with_its_user_and_is_never_repeated() {
    let server = Scripted::start(|asked| {
        let echo = format!("bad credentials: {}", asked.authorization.as_deref().unwrap_or_default());
        json(401, json!({ "type": "error", "error": { "message": echo } }), &[])
    });
    let (client, _folder) = client(
        Kind::Bitbucket,
        &format!("http://{}", server.host()),
        "acme/infra",
        &format!("bot@example.com:{TOKEN}"),
    );
    let error = wait(client.pull_requests()).expect_err("refused").to_string();
    // `bot@example.com:open-sesame-evidence` in base64.
    let sent = "Basic Ym90QGV4YW1wbGUuY29tOm9wZW4tc2VzYW1lLWV2aWRlbmNl";
    assert_eq!(server.asked()[0].authorization.as_deref(), Some(sent));
    assert!(!error.contains("Ym90") && !error.contains(TOKEN) && error.contains("rejected the token"), "{error}");
}
