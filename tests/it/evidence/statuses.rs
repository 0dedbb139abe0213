//! The statuses of a commit, as the products return them: of each context the newest, over all pages, and no more
//! requests than that takes.

use std::collections::BTreeSet;

use ::tagalong::fault::{Explain, Fault};
use ::tagalong::forge::commit_status::{CheckState, CommitStatus, NewStatus};
use ::tagalong::forge::config::Kind;
use ::tagalong::forge::error::ForgeError;
use serde_json::{Value, json};

use super::scene::{COMMIT, KINDS, Scene, TOKEN, page, parameter, wait};
use crate::support::scripted::json;

fn contexts(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[track_caller]
fn read(scene: &Scene, names: &[&str]) -> Vec<CommitStatus> {
    wait(scene.forge.statuses(COMMIT, &contexts(names))).expect("statuses")
}

/// Context, state and word of each.
fn shown(statuses: &[CommitStatus]) -> Vec<String> {
    statuses.iter().map(|status| format!("{} {:?} {}", status.context, status.state, status.word)).collect()
}

/// A status in Gitea's or GitHub's form.
fn status(kind: Kind, id: i64, context: &str, state: &str) -> Value {
    json!({
        "id": id, "context": context, if kind == Kind::Gitea { "status" } else { "state" }: state,
        "description": "3 of 5\n\u{1b}[31m", "target_url": format!("https://ci.example.com/{id}"),
        "url": "https://forge.example.com/api", "creator": null,
        "created_at": "2026-11-26T10:00:00Z", "updated_at": "2026-11-26T10:00:07Z",
    })
}

fn combined(statuses: &[Value]) -> Value {
    json!({ "state": "pending", "sha": COMMIT, "total_count": statuses.len(), "statuses": statuses })
}

#[test]
fn gitea_has_one_status_of_each_context() {
    let states = ["pending", "success", "error", "failure", "warning", "skipped", "made-up"];
    let scene = Scene::new(Kind::Gitea, move |_| {
        let statuses: Vec<Value> =
            states.iter().zip(1..).map(|(state, id)| status(Kind::Gitea, id, state, state)).collect();
        json(200, combined(&statuses), &[("X-Total-Count", "7")])
    });
    let found = read(&scene, &states);
    let expected = [
        "error Failure error",
        "failure Failure failure",
        "made-up Failure made-up",
        "pending Pending pending",
        "skipped Success skipped",
        "success Success success",
        "warning Success warning",
    ];
    assert_eq!(shown(&found), expected);
    assert_eq!(found[5].url.as_deref(), Some("https://ci.example.com/2"));
    assert_eq!(found[5].description.as_deref(), Some("3 of 5 [31m"), "no escape sequence survives");
    assert_eq!(found[5].at.map(|at| at.to_string()).as_deref(), Some("2026-11-26T10:00:07Z"));
    assert_eq!(scene.asked(), [format!("GET /commits/{COMMIT}/status?limit=50&page=1")]);
    assert!(read(&scene, &["absent"]).is_empty());
}

#[test]
fn pages_of_gitea_are_read_as_far_as_necessary() {
    // The administrator has limited pages to 2 items, and newer Giteas report a total.
    let script = |has_total: bool| {
        move |asked: &crate::support::scripted::Asked| {
            let all: Vec<Value> =
                (1..=5).rev().map(|id| status(Kind::Gitea, id, &format!("c{id}"), "success")).collect();
            let shown: Vec<Value> = all.chunks(2).nth(page(asked) - 1).map(<[Value]>::to_vec).unwrap_or_default();
            json(200, combined(&shown), if has_total { &[("X-Total-Count", "5")] } else { &[] })
        }
    };
    for (has_total, wanted, found, pages) in [
        (true, "c5", 1, 1),
        (true, "c2", 1, 2),
        (true, "absent", 0, 3),
        (false, "c4", 1, 1),
        (false, "c1", 1, 3),
        (false, "absent", 0, 3),
    ] {
        let scene = Scene::new(Kind::Gitea, script(has_total));
        assert_eq!((read(&scene, &[wanted]).len(), scene.asked().len()), (found, pages), "{wanted} {has_total}");
    }
    // While pages are read, a new status moves older ones to the next page.
    let scene = Scene::new(Kind::Gitea, |asked| {
        let (id, state) = if page(asked) == 1 { (9, "failure") } else { (4, "success") };
        json(200, combined(&[status(Kind::Gitea, id, "c", state)]), &[("X-Total-Count", "2")])
    });
    assert_eq!(shown(&read(&scene, &["c", "d"])), ["c Failure failure"]);
    // Versions before 1.20 send nothing at all if there is no status.
    let scene = Scene::new(Kind::Gitea, |_| Some((200, Vec::new(), Vec::new())));
    assert!(read(&scene, &["c"]).is_empty() && scene.asked().len() == 1);
    let scene = Scene::new(Kind::Gitea, |_| json(200, json!({ "state": "", "statuses": null }), &[]));
    assert!(read(&scene, &["c"]).is_empty() && scene.asked().len() == 1);
}

fn run(id: i64, name: &str, app: i64, status: &str, conclusion: Option<&str>) -> Value {
    json!({
        "id": id, "name": name, "status": status, "conclusion": conclusion, "app": { "id": app, "slug": "x" },
        "html_url": format!("https://github.example.com/runs/{id}"), "details_url": "https://ci.example.com",
        "started_at": "2026-11-26T10:00:00Z", "completed_at": conclusion.map(|_| "2026-11-26T10:05:00Z"),
        "output": { "title": "2 problems", "summary": null, "annotations_count": 0 },
    })
}

/// A GitHub with these statuses and check runs.
fn github(statuses: Vec<Value>, runs: Vec<Value>) -> Scene {
    Scene::new(Kind::GitHub, move |asked| {
        if asked.target.contains("/check-runs?") {
            assert_eq!(parameter(asked, "filter").as_deref(), Some("latest"));
            return json(200, json!({ "total_count": runs.len(), "check_runs": runs }), &[]);
        }
        json(200, combined(&statuses), &[])
    })
}

#[test]
fn github_has_statuses_and_check_runs() {
    let conclusions =
        ["success", "neutral", "skipped", "failure", "cancelled", "timed_out", "action_required", "stale"];
    let mut runs: Vec<Value> =
        conclusions.iter().zip(1..).map(|(word, id)| run(id, word, 1, "completed", Some(word))).collect();
    runs.extend(["queued", "in_progress", "waiting"].iter().zip(20..).map(|(word, id)| run(id, word, 1, word, None)));
    let scene = github(vec![status(Kind::GitHub, 1, "old-style", "success")], runs);
    let all = [&conclusions[..], &["queued", "in_progress", "waiting", "old-style"]].concat();
    let found = read(&scene, &all);
    let of = |state| {
        let with = found.iter().filter(|status| status.state == state);
        with.map(|status| status.context.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(of(CheckState::Success), ["neutral", "old-style", "skipped", "success"]);
    assert_eq!(of(CheckState::Pending), ["in_progress", "queued", "waiting"]);
    assert_eq!(of(CheckState::Failure), ["action_required", "cancelled", "failure", "stale", "timed_out"]);
    let failed = found.iter().find(|status| status.context == "failure").expect("a run");
    assert_eq!(failed.url.as_deref(), Some("https://github.example.com/runs/4"));
    assert_eq!(failed.description.as_deref(), Some("2 problems"));
    let expected = [
        format!("GET /commits/{COMMIT}/status?per_page=100&page=1"),
        format!("GET /commits/{COMMIT}/check-runs?filter=latest&per_page=100&page=1"),
    ];
    assert_eq!(scene.asked(), expected);
}

#[test]
fn a_status_and_check_runs_of_one_name_all_have_to_succeed() {
    let completed = |id, app, conclusion| run(id, "e2e", app, "completed", Some(conclusion));
    let success = || vec![status(Kind::GitHub, 1, "e2e", "success")];
    let verdict = |statuses: Vec<Value>, runs: Vec<Value>| {
        let scene = github(statuses, runs);
        (read(&scene, &["e2e"]).first().map(|status| status.state), scene.asked().len())
    };
    assert_eq!(verdict(success(), vec![completed(1, 1, "success")]), (Some(CheckState::Success), 2));
    assert_eq!(verdict(success(), vec![completed(1, 1, "failure")]), (Some(CheckState::Failure), 2));
    assert_eq!(verdict(success(), vec![run(1, "e2e", 1, "queued", None)]), (Some(CheckState::Pending), 2));
    // A newer run of the same app replaces an older one, whatever their order; one of another app does not.
    let repeated = vec![completed(9, 1, "success"), completed(5, 1, "failure")];
    assert_eq!(verdict(Vec::new(), repeated), (Some(CheckState::Success), 2));
    let two_apps = vec![completed(9, 1, "success"), completed(5, 2, "failure")];
    assert_eq!(verdict(Vec::new(), two_apps), (Some(CheckState::Failure), 2));
    // Runs could not make a failed or pending status better.
    let failed = vec![status(Kind::GitHub, 1, "e2e", "error")];
    assert_eq!(verdict(failed, vec![completed(1, 1, "success")]), (Some(CheckState::Failure), 1));
    let pending = vec![status(Kind::GitHub, 1, "e2e", "pending")];
    assert_eq!(verdict(pending, Vec::new()), (Some(CheckState::Pending), 1));
}

#[test]
fn check_runs_on_later_pages_are_found() {
    let scene = Scene::new(Kind::GitHub, |asked| {
        if !asked.target.contains("/check-runs?") {
            return json(200, combined(&[]), &[]);
        }
        let (name, conclusion) = if page(asked) == 3 { ("e2e", "failure") } else { ("lint", "success") };
        let runs = [run(page(asked) as i64, name, 1, "completed", Some(conclusion))];
        let link = format!("<https://github.example.com/x?page={}>; rel=\"next\"", page(asked) + 1);
        let headers = [("Link", link.as_str())];
        json(200, json!({ "total_count": 3, "check_runs": runs }), if page(asked) < 3 { &headers } else { &[] })
    });
    assert_eq!(shown(&read(&scene, &["e2e"])), ["e2e Failure failure"]);
    assert_eq!(scene.asked().len(), 4);
}

#[test]
fn gitlab_has_jobs_and_external_statuses() {
    let job = |id: i64, name: &str, status: &str, allow_failure: bool| {
        json!({
            "id": id, "name": name, "status": status, "allow_failure": allow_failure, "ref": "main", "sha": COMMIT,
            "description": null, "target_url": format!("https://gitlab.example.com/jobs/{id}"), "coverage": null,
            "created_at": "2026-11-26T10:00:00.123Z", "started_at": null, "finished_at": null,
            "author": { "username": "ci" }, "pipeline_id": 7,
        })
    };
    let states = [
        ("success", CheckState::Success),
        ("failed", CheckState::Failure),
        ("canceled", CheckState::Failure),
        ("skipped", CheckState::Failure),
        ("created", CheckState::Pending),
        ("pending", CheckState::Pending),
        ("running", CheckState::Pending),
        ("manual", CheckState::Pending),
        ("scheduled", CheckState::Pending),
        ("waiting_for_resource", CheckState::Pending),
    ];
    let mut jobs: Vec<Value> = states.iter().zip(1..).map(|((word, _), id)| job(id, word, word, false)).collect();
    jobs.push(job(30, "optional", "failed", true));
    jobs.push(job(32, "optional-running", "running", true));
    // Another pipeline of the same commit has run the job again, and the list has no particular order.
    jobs.push(job(41, "e2e", "success", false));
    jobs.push(job(40, "e2e", "failed", false));
    let scene = Scene::new(Kind::GitLab, move |asked| {
        let name = parameter(asked, "name");
        let is_meant = |job: &&Value| name.is_none() || job["name"].as_str() == name.as_deref();
        let meant: Vec<&Value> = jobs.iter().filter(is_meant).collect();
        let shown = &meant[(page(asked) - 1) * 7..(page(asked) * 7).min(meant.len())];
        let link = [("Link", "<https://gitlab.example.com/x>; rel=\"next\"")];
        json(200, json!(shown), if meant.len() > page(asked) * 7 { &link } else { &[] })
    });
    for (word, state) in states {
        let found = read(&scene, &[word]);
        assert_eq!((found.len(), found[0].state), (1, state), "{word}");
    }
    let before = scene.asked().len();
    let found = read(&scene, &["optional", "optional-running", "e2e"]);
    let expected = ["e2e Success success", "optional Success failed (allowed)", "optional-running Pending running"];
    assert_eq!((shown(&found), scene.asked().len() - before), (expected.map(str::to_owned).to_vec(), 2));
    assert_eq!(scene.asked()[0], format!("GET /repository/commits/{COMMIT}/statuses?per_page=100&name=success&page=1"));
}

#[test]
fn what_the_forge_refuses_is_repeated_in_its_words() {
    for kind in KINDS {
        for (status, message, fault) in [
            (401, "token is expired", Fault::Denied),
            (403, "token does not have at least one of required scope(s), required=[read:repository]", Fault::Denied),
            (404, "Not Found", Fault::Denied),
            (422, "No commit found for SHA", Fault::Refused),
            (500, "oops", Fault::Transient),
            (503, "down for maintenance", Fault::Transient),
        ] {
            let scene = Scene::new(kind, move |_| json(status, json!({ "message": message }), &[]));
            let error = wait(scene.forge.statuses(COMMIT, &contexts(&["e2e"]))).expect_err("refused");
            let said = error.to_string();
            assert_eq!(error.fault(), fault, "{said}");
            assert!(said.contains(&scene.server.host()) && !said.contains(TOKEN), "{said}");
            assert!(said.contains(message), "{said}");
            assert!(error.help().is_some() && scene.asked().len() == 1, "{said}");
        }
        // GitHub's rate limits come with 403.
        let scene = Scene::new(kind, |_| json(403, json!({ "message": "rate limit" }), &[("Retry-After", "60")]));
        let error = wait(scene.forge.statuses(COMMIT, &contexts(&["e2e"]))).expect_err("refused");
        assert!(matches!(error, ForgeError::Unavailable { status: 403, .. }), "{error}");
    }
}

#[test]
fn responses_that_make_no_sense_and_lists_without_end_are_errors() {
    for kind in KINDS {
        for body in ["{", "5", "\"x\"", "{\"statuses\": [{\"id\": 1}], \"check_runs\": 5}"] {
            let scene = Scene::new(kind, move |_| Some((200, Vec::new(), body.as_bytes().to_vec())));
            let error = wait(scene.forge.statuses(COMMIT, &contexts(&["e2e"]))).expect_err("nonsense");
            assert!(matches!(error, ForgeError::InvalidResponse { .. }), "{kind:?} {body}: {error}");
        }
        let scene = Scene::new(kind, move |_| {
            let link = [("Link", "<https://forge.example.com/x>; rel=\"next\""), ("X-Total-Count", "1000000")];
            let one = match kind {
                Kind::GitLab => json!([{ "id": 1, "name": "lint", "status": "success" }]),
                _ => combined(&[status(kind, 1, "lint", "success")]),
            };
            json(200, one, &link)
        });
        let error = wait(scene.forge.statuses(COMMIT, &contexts(&["e2e"]))).expect_err("no end");
        assert!(error.to_string().contains("more than 40 pages") && scene.asked().len() == 40, "{error}");
    }
}

#[test]
fn a_status_is_set_in_each_products_words() {
    let new = NewStatus {
        context: "tagalong/live".to_owned(),
        state: CheckState::Failure,
        description: "e2e/beta\nfailed".to_owned(),
        url: Some("https://tagalong.example.com/".to_owned()),
    };
    for kind in KINDS {
        let scene = Scene::new(kind, |_| json(201, json!({ "id": 1 }), &[]));
        wait(scene.forge.set_status(COMMIT, &new)).expect("set");
        assert_eq!(scene.asked(), [format!("POST /statuses/{COMMIT}")]);
        let state = if kind == Kind::GitLab { "failed" } else { "failure" };
        let expected = json!({
            "state": state, "context": "tagalong/live", "description": "e2e/beta failed",
            "target_url": "https://tagalong.example.com/",
        });
        assert_eq!(scene.sent(), expected);
    }
    // GitLab refuses to set the state that a status has already.
    let refusing =
        |message: &'static str| Scene::new(Kind::GitLab, move |_| json(400, json!({ "message": message }), &[]));
    let same = refusing("Cannot transition status via :enqueue from :pending (Reason(s): Status cannot transition)");
    wait(same.forge.set_status(COMMIT, &new)).expect("set already");
    let error = wait(refusing("sha is invalid").forge.set_status(COMMIT, &new)).expect_err("refused");
    assert!(error.to_string().contains("sha is invalid"), "{error}");
}
