//! Who has approved a pull request, for which head, and with which right.

use ::tagalong::fault::{Explain, Fault};
use ::tagalong::forge::config::Kind;
use ::tagalong::forge::review::{Review, Verdict, Weight};
use serde_json::{Value, json};

use super::scene::{COMMIT, OTHER, Scene, page, pull_request, wait};
use crate::support::scripted::json;

#[track_caller]
fn read(scene: &Scene) -> Vec<Review> {
    wait(scene.forge.reviews(&pull_request("bot"))).expect("reviews")
}

#[track_caller]
fn is(reviews: &[Review], login: &str, verdict: Verdict, weight: Weight) {
    let found: Vec<&Review> = reviews.iter().filter(|review| review.by.login == login).collect();
    assert!(matches!(found[..], [one] if (one.verdict, one.weight) == (verdict, weight)), "{login}: {found:#?}");
}

/// A review in Gitea's form: official, current, for the head.
fn gitea(id: i64, login: &str, state: &str, more: Value) -> Value {
    let mut review = json!({
        "id": id, "user": { "id": 1, "login": login, "full_name": "", "email": format!("{login}@example.com") },
        "team": null, "state": state, "body": "", "commit_id": COMMIT, "stale": false, "official": true,
        "dismissed": false, "comments_count": 0, "submitted_at": "2026-11-26T10:00:00Z",
        "html_url": "https://forge.example.com/pulls/7#issuecomment-1",
    });
    review.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    review
}

#[test]
fn gitea_says_which_reviews_are_official_stale_and_dismissed() {
    let reviews = [
        gitea(1, "ann", "APPROVED", json!({})),
        gitea(2, "ben", "APPROVED", json!({ "stale": true })),
        gitea(3, "cid", "APPROVED", json!({ "dismissed": true })),
        gitea(4, "dan", "APPROVED", json!({ "official": false })),
        // The contents are the same, but it is another commit.
        gitea(5, "eva", "APPROVED", json!({ "commit_id": OTHER })),
        gitea(6, "bot", "APPROVED", json!({})),
        gitea(7, "fay", "REQUEST_CHANGES", json!({ "commit_id": OTHER, "stale": true })),
        gitea(8, "gus", "APPROVED", json!({})),
        gitea(9, "gus", "REQUEST_CHANGES", json!({})),
        gitea(10, "hal", "REQUEST_CHANGES", json!({})),
        gitea(11, "hal", "APPROVED", json!({})),
        gitea(12, "ann", "COMMENT", json!({})),
        gitea(13, "ira", "REQUEST_REVIEW", json!({})),
        gitea(14, "joe", "PENDING", json!({})),
        gitea(15, "ken", "REQUEST_CHANGES", json!({ "dismissed": true })),
        json!({ "id": 16, "user": null, "state": "REQUEST_REVIEW", "commit_id": "", "official": false, "stale": false, "dismissed": false }),
    ];
    let scene = Scene::new(Kind::Gitea, move |asked| {
        let shown = reviews.chunks(4).nth(page(asked) - 1).unwrap_or_default();
        json(200, json!(shown), &[("X-Total-Count", "16")])
    });
    let found = read(&scene);
    is(&found, "ann", Verdict::Approves, Weight::Counts);
    is(&found, "ben", Verdict::Approves, Weight::OtherHead);
    is(&found, "cid", Verdict::Approves, Weight::Dismissed);
    is(&found, "dan", Verdict::Approves, Weight::NoRight);
    is(&found, "eva", Verdict::Approves, Weight::OtherHead);
    is(&found, "bot", Verdict::Approves, Weight::Author);
    is(&found, "fay", Verdict::Refuses, Weight::Counts);
    is(&found, "gus", Verdict::Refuses, Weight::Counts);
    is(&found, "hal", Verdict::Approves, Weight::Counts);
    is(&found, "ken", Verdict::Refuses, Weight::Dismissed);
    assert_eq!(found.len(), 10, "{found:#?}");
    let approved: Vec<&str> =
        found.iter().filter(|review| review.approves()).map(|review| review.by.login.as_str()).collect();
    assert_eq!(approved, ["ann", "hal"]);
    let ann = &found[0];
    assert_eq!((ann.by.email.as_deref(), ann.head.as_deref()), (Some("ann@example.com"), Some(COMMIT)));
    assert!(ann.at.is_some() && ann.url.is_some());
    assert_eq!(scene.asked().len(), 4);
}

#[test]
fn github_is_asked_who_may_write() {
    let review = |id: i64, login: &str, state: &str, commit: Value, association: &str| {
        json!({
            "id": id, "user": { "login": login, "type": "User" }, "state": state, "commit_id": commit,
            "author_association": association, "submitted_at": "2026-11-26T10:00:00Z", "body": "",
            "html_url": "https://github.example.com/acme/infra/pull/7#pullrequestreview-1",
        })
    };
    let reviews = [
        review(1, "ann", "APPROVED", json!(COMMIT), "MEMBER"),
        // A member of the organization, but without rights on this repository.
        review(2, "ben", "APPROVED", json!(COMMIT), "MEMBER"),
        review(3, "cid", "APPROVED", json!(COMMIT), "CONTRIBUTOR"),
        review(4, "dan", "APPROVED", json!(OTHER), "OWNER"),
        review(5, "eva", "DISMISSED", json!(COMMIT), "MEMBER"),
        review(6, "fay", "CHANGES_REQUESTED", json!(OTHER), "COLLABORATOR"),
        // Not a collaborator any more.
        review(7, "gus", "CHANGES_REQUESTED", json!(COMMIT), "COLLABORATOR"),
        review(8, "hal", "APPROVED", Value::Null, "MEMBER"),
        review(9, "ann", "COMMENTED", json!(COMMIT), "MEMBER"),
        json!({ "id": 10, "user": null, "state": "APPROVED", "commit_id": COMMIT, "author_association": "NONE" }),
    ];
    let scene = Scene::new(Kind::GitHub, move |asked| {
        let Some((_, rest)) = asked.target.split_once("/collaborators/") else {
            return json(200, json!(reviews), &[]);
        };
        match rest.trim_end_matches("/permission") {
            "ann" => json(200, json!({ "permission": "admin", "role_name": "admin" }), &[]),
            "fay" => json(200, json!({ "permission": "write", "role_name": "maintain" }), &[]),
            "ben" => json(200, json!({ "permission": "read", "role_name": "triage" }), &[]),
            _ => json(404, json!({ "message": "Not Found" }), &[]),
        }
    });
    let found = read(&scene);
    is(&found, "ann", Verdict::Approves, Weight::Counts);
    is(&found, "ben", Verdict::Approves, Weight::NoRight);
    is(&found, "cid", Verdict::Approves, Weight::NoRight);
    is(&found, "dan", Verdict::Approves, Weight::OtherHead);
    is(&found, "eva", Verdict::Approves, Weight::Dismissed);
    is(&found, "fay", Verdict::Refuses, Weight::Counts);
    is(&found, "gus", Verdict::Refuses, Weight::NoRight);
    is(&found, "hal", Verdict::Approves, Weight::UnknownHead);
    // Nobody is asked about whose review does not count anyway.
    let expected = ["reviews", "ann", "ben", "fay", "gus"];
    let asked = scene.asked();
    assert!(asked.len() == 5 && asked.iter().zip(expected).all(|(asked, name)| asked.contains(name)), "{asked:?}");
}

#[test]
fn a_github_that_does_not_say_who_may_write_is_no_verdict() {
    let scene = Scene::new(Kind::GitHub, |asked| match asked.target.contains("/collaborators/") {
        true => json(403, json!({ "message": "Resource not accessible by personal access token" }), &[]),
        false => json(
            200,
            json!([{ "id": 1, "user": { "login": "ann" }, "state": "APPROVED", "commit_id": COMMIT, "author_association": "MEMBER" }]),
            &[],
        ),
    });
    let error = wait(scene.forge.reviews(&pull_request("bot"))).expect_err("unknown");
    assert_eq!(error.fault(), Fault::Denied);
    assert!(error.to_string().contains("Resource not accessible by personal access token"), "{error}");
}

/// What a GitLab knows about merge request 7.
#[derive(Clone, Default)]
struct GitLab {
    approved_by: Vec<Value>,
    versions: Vec<Value>,
    notes: Vec<Value>,
    reviewers: Vec<Value>,
}

impl GitLab {
    fn approved(mut self, login: &str, at: Option<&str>) -> GitLab {
        let mut approval = json!({ "user": { "username": login, "name": login } });
        if let Some(at) = at {
            approval["approved_at"] = at.into();
        }
        self.approved_by.push(approval);
        self
    }

    fn version(mut self, id: i64, head: &str, at: &str) -> GitLab {
        self.versions.insert(0, json!({ "id": id, "head_commit_sha": head, "created_at": at, "state": "collected" }));
        self
    }

    fn note(mut self, login: &str, body: &str, at: &str, system: bool) -> GitLab {
        self.notes.push(
            json!({ "id": 1, "body": body, "system": system, "author": { "username": login }, "created_at": at }),
        );
        self
    }

    fn scene(self) -> Scene {
        Scene::new(Kind::GitLab, move |asked| {
            let path = asked.target.split('?').next().unwrap_or_default();
            let body = match path.rsplit('/').next() {
                Some("approvals") => json!({ "iid": 7, "approvals_left": 0, "approved_by": self.approved_by }),
                Some("versions") => json!(self.versions),
                Some("notes") => json!(self.notes),
                Some("reviewers") => json!(self.reviewers),
                _ => return json(404, json!({ "message": "404 Not found" }), &[]),
            };
            json(200, body, &[])
        })
    }

    /// The reviews, and the lists that were read for them.
    fn read(self) -> (Vec<Review>, Vec<String>) {
        let scene = self.scene();
        let found = read(&scene);
        let last = |asked: &String| asked.split('?').next().and_then(|path| path.rsplit('/').next()).map(str::to_owned);
        (found, scene.asked().iter().filter_map(last).collect())
    }
}

#[test]
fn gitlab_approvals_count_for_what_had_been_pushed_before() {
    let (none, asked) = GitLab::default().read();
    assert_eq!((none.len(), asked), (0, vec!["approvals".to_owned()]));

    let pushed_twice =
        GitLab::default().version(1, OTHER, "2026-11-26T10:00:00.000Z").version(2, COMMIT, "2026-11-26T12:00:00.000Z");
    let dated = pushed_twice.clone().approved("ann", Some("2026-11-26T12:00:01Z"));
    let dated = dated.approved("ben", Some("2026-11-26T11:00:00Z")).approved("bot", Some("2026-11-26T13:00:00Z"));
    let (found, asked) = dated.read();
    is(&found, "ann", Verdict::Approves, Weight::Counts);
    is(&found, "ben", Verdict::Approves, Weight::OtherHead);
    is(&found, "bot", Verdict::Approves, Weight::Author);
    assert_eq!(asked, ["approvals", "versions", "reviewers"]);

    // Older versions do not date approvals, but add notes.
    let noted = pushed_twice.clone().approved("ann", None).approved("ben", None).approved("cid", None);
    let noted = noted
        .note("ann", "approved this merge request", "2026-11-26T12:30:00Z", true)
        .note("ann", "approved this merge request", "2026-11-26T10:30:00Z", true)
        .note("ben", "approved this merge request", "2026-11-26T10:30:00Z", true)
        // Anyone can write that.
        .note("ben", "approved this merge request", "2026-11-26T12:30:00Z", false)
        .note("cid", "unapproved this merge request", "2026-11-26T12:30:00Z", true);
    let (found, asked) = noted.read();
    is(&found, "ann", Verdict::Approves, Weight::Counts);
    is(&found, "ben", Verdict::Approves, Weight::OtherHead);
    is(&found, "cid", Verdict::Approves, Weight::UnknownHead);
    assert_eq!(asked, ["approvals", "versions", "notes", "reviewers"]);

    // Only one version was ever pushed.
    let once = GitLab::default().version(1, COMMIT, "2026-11-26T10:00:00Z").approved("ann", None);
    let (found, asked) = once.read();
    is(&found, "ann", Verdict::Approves, Weight::Counts);
    assert_eq!(asked, ["approvals", "versions", "reviewers"]);

    // Something else was pushed in the meantime.
    let moved =
        GitLab::default().version(1, OTHER, "2026-11-26T10:00:00Z").approved("ann", Some("2026-11-26T11:00:00Z"));
    is(&moved.read().0, "ann", Verdict::Approves, Weight::OtherHead);
}

#[test]
fn a_gitlab_reviewer_who_asks_for_changes_refuses() {
    let mut gitlab = GitLab::default().version(1, COMMIT, "2026-11-26T10:00:00Z").approved("ann", None);
    for (login, state) in [("ann", "approved"), ("ben", "requested_changes"), ("cid", "unreviewed")] {
        gitlab.reviewers.push(json!({ "user": { "username": login }, "state": state }));
    }
    let (found, _) = gitlab.read();
    is(&found, "ann", Verdict::Approves, Weight::Counts);
    is(&found, "ben", Verdict::Refuses, Weight::Counts);
    assert_eq!(found.len(), 2);
}
