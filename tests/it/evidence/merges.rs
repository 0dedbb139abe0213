//! Pull requests are merged only with the head that was approved, and the forge says who merged them.

use ::tagalong::fault::{Explain, Fault};
use ::tagalong::forge::config::Kind;
use ::tagalong::forge::pull_request::{Draft, MergeResult, State};
use serde_json::{Value, json};

use super::scene::{COMMIT, KINDS, OTHER, Scene, wait};
use crate::support::scripted::{Answer, Asked, json};

const MERGED: &str = "3333333333333333333333333333333333333333";

/// Pull request 7 by `bot`, as each product returns it.
fn pull(kind: Kind, head: &str, is_merged: bool) -> Value {
    let at = is_merged.then_some("2026-11-26T21:00:00Z");
    let commit = is_merged.then_some(MERGED);
    if kind == Kind::GitLab {
        return json!({
            "iid": 7, "web_url": "https://forge.example.com/7", "description": "text", "sha": head,
            "state": if is_merged { "merged" } else { "opened" }, "updated_at": "2026-11-26T20:00:00Z",
            "closed_at": null, "closed_by": null, "merged_at": at, "merge_commit_sha": commit,
            "squash_commit_sha": null, "author": { "username": "bot", "name": "The Bot" },
            "merge_user": is_merged.then(|| json!({ "username": "ann", "name": "Ann" })),
            "source_branch": "tagalong/live", "target_branch": "main", "source_project_id": 1, "target_project_id": 1,
        });
    }
    json!({
        "number": 7, "html_url": "https://forge.example.com/7", "body": "text",
        "state": if is_merged { "closed" } else { "open" }, "merged": is_merged, "merged_at": at,
        "merge_commit_sha": commit, "updated_at": "2026-11-26T20:00:00Z", "closed_at": at,
        "user": { "login": "bot" }, "merged_by": is_merged.then(|| json!({ "login": "ann", "full_name": "Ann" })),
        "head": { "ref": "tagalong/live", "sha": head, "repo": { "id": 1 } },
        "base": { "ref": "main", "sha": OTHER, "repo": { "id": 1 } },
    })
}

/// What each product answers to a merge that succeeds.
fn done(kind: Kind) -> Answer {
    match kind {
        Kind::Gitea => Some((200, Vec::new(), Vec::new())),
        Kind::GitHub => {
            json(200, json!({ "sha": MERGED, "merged": true, "message": "Pull Request successfully merged" }), &[])
        }
        _ => json(200, pull(kind, COMMIT, true), &[]),
    }
}

/// A forge that merges only `COMMIT`, and has `head` as the head of the pull request.
fn forge(kind: Kind, head: &'static str, refusal: Option<(u16, &'static str)>) -> Scene {
    Scene::new(kind, move |asked: &Asked| {
        if !asked.target.ends_with("/merge") {
            return json(200, pull(kind, head, false), &[]);
        }
        match refusal {
            Some((status, message)) => json(status, json!({ "message": message }), &[]),
            None => done(kind),
        }
    })
}

fn message() -> Draft {
    Draft { title: "promote".to_owned(), text: "a: b\n".to_owned() }
}

fn with(mut body: Value, more: Value) -> Value {
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    body
}

#[test]
fn a_merge_names_the_head_and_the_message() {
    for kind in KINDS {
        let scene = forge(kind, COMMIT, None);
        let result = wait(scene.forge.merge(7, COMMIT, &message())).expect("merged");
        let commit = (kind != Kind::Gitea).then(|| MERGED.to_owned());
        assert_eq!(result, MergeResult::Merged { commit });
        let (target, body) = match kind {
            Kind::Gitea => {
                let message = json!({ "MergeTitleField": "promote", "MergeMessageField": "a: b\n" });
                ("POST /pulls/7/merge", with(json!({ "Do": "merge", "head_commit_id": COMMIT }), message))
            }
            Kind::GitHub => {
                let message = json!({ "commit_title": "promote", "commit_message": "a: b\n" });
                ("PUT /pulls/7/merge", with(json!({ "merge_method": "merge", "sha": COMMIT }), message))
            }
            _ => {
                let whole = "promote\n\na: b\n";
                let message = json!({ "merge_commit_message": whole, "squash_commit_message": whole });
                ("PUT /merge_requests/7/merge", with(json!({ "sha": COMMIT }), message))
            }
        };
        assert_eq!((scene.asked(), scene.sent()), (vec![target.to_owned()], body));
    }
}

#[test]
fn a_head_that_has_moved_is_not_merged() {
    for kind in KINDS {
        let words = match kind {
            Kind::Gitea => "head out of date",
            Kind::GitHub => "Head branch was modified. Review and try the merge again.",
            _ => "SHA does not match HEAD of source branch",
        };
        let scene = forge(kind, OTHER, Some((409, words)));
        let result = wait(scene.forge.merge(7, COMMIT, &message())).expect("an answer");
        assert_eq!(result, MergeResult::Moved { head: OTHER.to_owned() });
        // The branch to merge into has moved: the head is still the same.
        let scene = forge(kind, COMMIT, Some((409, "merge push out of date")));
        let error = wait(scene.forge.merge(7, COMMIT, &message())).expect_err("refused");
        assert!(error.to_string().contains("merge push out of date"), "{error}");
        assert_eq!((error.fault(), scene.asked().len()), (Fault::Refused, 2));
    }
}

#[test]
fn the_words_of_a_refusal_are_kept_and_nothing_is_repeated() {
    for kind in KINDS {
        for (status, fault) in
            [(405, Fault::Refused), (422, Fault::Refused), (403, Fault::Denied), (502, Fault::Transient)]
        {
            let scene = forge(kind, COMMIT, Some((status, "User not allowed to merge PR")));
            let error = wait(scene.forge.merge(7, COMMIT, &message())).expect_err("refused");
            assert_eq!((error.fault(), scene.asked().len()), (fault, 1), "{error}");
            assert!(error.to_string().contains("User not allowed"), "{error}");
        }
    }
}

#[test]
fn who_merged_is_known_and_with_which_head() {
    for kind in KINDS {
        let scene = Scene::new(kind, move |_| json(200, pull(kind, COMMIT, true), &[]));
        let (pull_request, merge) = wait(scene.forge.pull_request(7)).expect("a pull request");
        let merge = merge.expect("merged");
        assert_eq!(merge.by.map(|by| by.login).as_deref(), Some("ann"));
        assert_eq!((merge.commit.as_deref(), merge.at.is_some()), (Some(MERGED), true));
        assert_eq!(
            (pull_request.state, pull_request.head.as_deref()),
            (State::Merged { commits: vec![MERGED.to_owned()] }, Some(COMMIT))
        );
        assert_eq!(pull_request.author.map(|author| author.login).as_deref(), Some("bot"));

        let scene = Scene::new(kind, move |_| json(200, pull(kind, OTHER, false), &[]));
        let (pull_request, merge) = wait(scene.forge.pull_request(7)).expect("a pull request");
        assert!(merge.is_none() && pull_request.state == State::Open, "{pull_request:?}");
        assert_eq!(scene.asked().len(), 1);
    }
}

#[test]
fn a_client_for_another_branch_lists_its_pull_requests() {
    for kind in KINDS {
        let scene = Scene::new(kind, move |_| json(200, json!([pull(kind, COMMIT, false)]), &[]));
        assert_eq!(wait(scene.forge.pull_requests()).expect("a list").len(), 1);
        let other = scene.forge.for_branch("tagalong/paper");
        assert_eq!(wait(other.pull_requests()).expect("a list").len(), 0);
        let asked = scene.asked();
        assert_eq!(
            asked.last().is_some_and(|asked| asked.contains("tagalong%2Fpaper")),
            kind != Kind::Gitea,
            "{asked:?}"
        );
    }
}

/// The pull request as one that was closed without being merged.
fn closed(kind: Kind) -> Value {
    let at = "2026-11-26T20:30:00Z";
    match kind {
        Kind::GitLab => with(
            pull(kind, COMMIT, false),
            json!({ "state": "closed", "closed_at": at, "closed_by": { "username": "ann" } }),
        ),
        _ => with(pull(kind, COMMIT, false), json!({ "state": "closed", "closed_at": at })),
    }
}

#[test]
fn who_closed_a_pull_request_is_asked_once() {
    for kind in KINDS {
        let scene = Scene::new(kind, move |asked: &Asked| {
            if asked.target.contains("/timeline?") {
                // The comments of Gitea, as its swagger has them.
                assert!(asked.target.contains("since=2026-11-26T20:29:00Z&"), "{}", asked.target);
                let event = |kind: &str, who: &str| json!({ "id": 1, "type": kind, "user": { "login": who } });
                let all =
                    [event("close", "bob"), event("reopen", "bob"), event("close", "ann"), event("comment", "bob")];
                return json(200, json!(all), &[]);
            }
            match asked.target.ends_with("/issues/7") {
                true => json(200, json!({ "number": 7, "closed_by": { "login": "ann" } }), &[]),
                false => json(200, json!([closed(kind)]), &[]),
            }
        });
        let by = || {
            let listed = wait(scene.forge.pull_requests()).expect("a list").remove(0);
            let State::Closed { at, by } = listed.state else { panic!("{listed:?}") };
            (at, by)
        };
        let (at, listed) = by();
        if kind != Kind::GitLab {
            assert_eq!(listed, None, "{kind:?}");
            assert_eq!(wait(scene.forge.closed_by(7, at)).expect("an answer").as_deref(), Some("ann"));
        }
        // Later lists do not say it again.
        assert_eq!(by().1.as_deref(), Some("ann"));
        assert_eq!(scene.asked().len(), if kind == Kind::GitLab { 2 } else { 3 });
    }
}

#[test]
fn a_pull_request_is_recognized_after_its_branch_was_deleted() {
    // Gitea then has `refs/pull/NUMBER/head` in place of the branch, which remains in `label` (its `ToAPIPullRequest`).
    let listed = |head: Value| {
        let shown = with(closed(Kind::Gitea), json!({ "head": head }));
        let scene = Scene::new(Kind::Gitea, move |_| json(200, json!([shown]), &[]));
        wait(scene.forge.pull_requests()).expect("a list").len()
    };
    let repo = json!({ "id": 1 });
    let gone = "refs/pull/7/head";
    assert_eq!(listed(json!({ "label": "tagalong/live", "ref": gone, "sha": COMMIT, "repo": repo })), 1);
    assert_eq!(listed(json!({ "label": "feature", "ref": gone, "sha": COMMIT, "repo": repo })), 0);
    assert_eq!(listed(json!({ "label": "tagalong/live", "ref": "feature", "sha": COMMIT, "repo": repo })), 0);
    assert_eq!(listed(json!({ "label": "tagalong/live", "ref": gone, "sha": COMMIT, "repo": { "id": 2 } })), 0);
    assert_eq!(listed(json!({ "label": "tagalong/live", "ref": gone, "sha": COMMIT, "repo": null })), 0);
}
