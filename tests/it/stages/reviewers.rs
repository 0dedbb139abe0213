//! A fake Gitea with a real repository: pull requests, reviews, merges and commit statuses, according to its swagger.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::forge::TOKEN;
use crate::support::git::git;
use crate::support::scripted::{Answer, Asked, Scripted, json as answer};

/// The ways in which a person merges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Merge,
    Squash,
    Rebase,
}

#[derive(Debug, Clone)]
pub struct Pull {
    pub title: String,
    pub text: String,
    pub branch: String,
    pub state: &'static str,
    pub reviews: Vec<Value>,
    merged_by: Option<String>,
    at: Timestamp,
}

#[derive(Default)]
pub struct State {
    pub pulls: Vec<Pull>,
    /// Commit, state and description, in the order in which they were set.
    pub statuses: Vec<(String, String, String)>,
    /// The time of merges.
    pub now: Timestamp,
    origin: PathBuf,
}

pub struct Gitea {
    server: Scripted,
    state: Arc<Mutex<State>>,
}

impl Gitea {
    pub fn start(origin: &Path) -> Gitea {
        let state = State { origin: origin.to_owned(), now: Timestamp::now(), ..State::default() };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let server = Scripted::start(move |asked| shared.lock().expect("unpoisoned").answer(asked));
        Gitea { server, state }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.server.host())
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("unpoisoned")
    }

    /// The requests since an earlier number of them: methods and the last parts of paths.
    pub fn asked_since(&self, before: usize) -> Vec<String> {
        let short = |asked: &Asked| {
            let path = asked.target.split('?').next().unwrap_or_default();
            format!("{} {}", asked.method, path.rsplit('/').next().unwrap_or_default())
        };
        self.server.asked().iter().skip(before).map(short).collect()
    }

    pub fn asked(&self) -> usize {
        self.server.asked().len()
    }

    /// Adds a review of the current head.
    pub fn review(&self, number: usize, who: &str, state: &str) {
        let mut all = self.state();
        let branch = all.pulls[number - 1].branch.clone();
        let head = all.head(&branch);
        let id = all.pulls[number - 1].reviews.len() + 1;
        all.pulls[number - 1].reviews.push(json!({
            "id": id, "user": { "login": who, "full_name": "", "email": format!("{who}@example.com") },
            "state": state, "commit_id": head, "stale": false, "official": true, "dismissed": false,
        }));
    }

    /// Does what a person does who merges.
    pub fn merge(&self, number: usize, who: &str, method: Method) {
        self.state().merge(number, who, method, None);
    }

    pub fn close(&self, number: usize) {
        let mut all = self.state();
        (all.pulls[number - 1].state, all.pulls[number - 1].at) = ("closed", Timestamp::now());
    }
}

impl State {
    fn head(&self, branch: &str) -> String {
        git(&self.origin, &["rev-parse", branch]).trim().to_owned()
    }

    /// Runs git as a person, at the time of merges.
    fn as_person(&self, who: &str, arguments: &[&str]) -> String {
        let date = self.now.to_string();
        let mut command = Command::new("git");
        command.current_dir(&self.origin).args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null");
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), who).env(format!("GIT_{role}_EMAIL"), format!("{who}@example.com"));
            command.env(format!("GIT_{role}_DATE"), &date);
        }
        let output = command.output().expect("git starts");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn merge(&mut self, number: usize, who: &str, method: Method, message: Option<String>) {
        let pull = self.pulls[number - 1].clone();
        let (main, head) = (self.head("main"), self.head(&pull.branch));
        let tree = self.as_person(who, &["merge-tree", "--write-tree", "main", &head]);
        let made = match method {
            Method::Merge => {
                let usual = format!("Merge pull request '{}' (#{number}) from {} into main", pull.title, pull.branch);
                let message = message.unwrap_or(usual);
                self.as_person(who, &["commit-tree", &tree, "-p", &main, "-p", &head, "-m", &message])
            }
            // Gitea's default message has the text of the pull request.
            Method::Squash => {
                let message = format!("{} (#{number})\n\n{}", pull.title, pull.text);
                self.as_person(who, &["commit-tree", &tree, "-p", &main, "-m", &message])
            }
            Method::Rebase => {
                let message = git(&self.origin, &["log", "-1", "--format=%B", &head]);
                self.as_person(who, &["commit-tree", &tree, "-p", &main, "-m", message.trim()])
            }
        };
        git(&self.origin, &["update-ref", "refs/heads/main", &made, &main]);
        let pull = &mut self.pulls[number - 1];
        (pull.state, pull.merged_by, pull.at) = ("merged", Some(who.to_owned()), Timestamp::now());
    }

    fn shown(&self, number: usize) -> Value {
        let pull = &self.pulls[number - 1];
        let at = Timestamp::from_second(pull.at.as_second()).expect("a time").to_string();
        let ended = (pull.state != "open").then(|| at.clone());
        json!({
            "number": number, "html_url": format!("https://forge.example.com/pulls/{number}"), "title": pull.title,
            "body": pull.text, "state": if pull.state == "open" { "open" } else { "closed" }, "updated_at": at,
            "merged_at": ended.clone().filter(|_| pull.state == "merged"), "closed_at": ended,
            "merged_by": pull.merged_by.as_ref().map(|who| json!({ "login": who })), "user": { "login": "bot" },
            "head": { "ref": pull.branch, "sha": self.head(&pull.branch), "repo": { "id": 7 } },
            "base": { "ref": "main", "repo": { "id": 7 } },
        })
    }

    fn answer(&mut self, asked: &Asked) -> Answer {
        if asked.authorization.as_deref() != Some(&format!("token {TOKEN}")) {
            return answer(401, json!({ "message": "Unauthorized" }), &[]);
        }
        let path = asked.target.split('?').next().unwrap_or_default();
        let parts: Vec<&str> = path.split('/').skip(6).collect();
        let body: Value = serde_json::from_str(&asked.body).unwrap_or_default();
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        let index = |number: &str| number.parse::<usize>().expect("a number");
        match (asked.method.as_str(), parts.as_slice()) {
            ("GET", ["pulls"]) => {
                let mut numbers: Vec<usize> = (1..=self.pulls.len()).collect();
                numbers.sort_by_key(|number| std::cmp::Reverse((self.pulls[number - 1].at, *number)));
                answer(200, numbers.iter().map(|number| self.shown(*number)).collect(), &[])
            }
            ("POST", ["pulls"]) => {
                if self.pulls.iter().any(|pull| pull.state == "open" && pull.branch == text("head")) {
                    return answer(409, json!({ "message": "there is one already" }), &[]);
                }
                let (title, words, branch) = (text("title"), text("body"), text("head"));
                let (reviews, merged_by, at) = (Vec::new(), None, Timestamp::now());
                self.pulls.push(Pull { title, text: words, branch, state: "open", reviews, merged_by, at });
                answer(201, self.shown(self.pulls.len()), &[])
            }
            ("GET", ["pulls", number]) => answer(200, self.shown(index(number)), &[]),
            ("PATCH", ["pulls", number]) => {
                let pull = &mut self.pulls[index(number) - 1];
                (pull.title, pull.text, pull.at) = (text("title"), text("body"), Timestamp::now());
                answer(200, self.shown(index(number)), &[])
            }
            ("GET", ["issues", _, "timeline"]) => {
                answer(200, json!([{ "id": 1, "type": "close", "user": { "login": "carol" } }]), &[])
            }
            ("GET", ["pulls", number, "reviews"]) => {
                let reviews = &self.pulls[index(number) - 1].reviews;
                answer(200, json!(reviews), &[("X-Total-Count", &reviews.len().to_string())])
            }
            ("POST", ["pulls", number, "merge"]) => {
                let pull = &self.pulls[index(number) - 1];
                if pull.state != "open" || self.head(&pull.branch) != text("head_commit_id") {
                    return answer(409, json!({ "message": "head out of date" }), &[]);
                }
                assert_eq!(text("Do"), "merge");
                let message = format!("{}\n\n{}", text("MergeTitleField"), text("MergeMessageField"));
                self.merge(index(number), "bot", Method::Merge, Some(message));
                Some((200, Vec::new(), Vec::new()))
            }
            ("GET", ["commits", commit, "status"]) => {
                let last = self.statuses.iter().rev().find(|(of, ..)| of == commit);
                let shown = last.map(|(_, state, description)| {
                    json!({ "id": 1, "context": "tagalong/live", "status": state, "description": description })
                });
                answer(200, json!({ "statuses": shown.into_iter().collect::<Vec<_>>() }), &[("X-Total-Count", "1")])
            }
            ("POST", ["statuses", commit]) => {
                assert_eq!(text("context"), "tagalong/live");
                self.statuses.push(((*commit).to_owned(), text("state"), text("description")));
                answer(201, json!({ "id": 1 }), &[])
            }
            _ => answer(405, json!({ "message": format!("{} {path} is not known here", asked.method) }), &[]),
        }
    }
}
