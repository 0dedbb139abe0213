//! Checks of commits: asked about once per cycle, and not at all once they have passed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use ::tagalong::cluster::config::Config;
use ::tagalong::cycle::evidence::error::EvidenceError;
use ::tagalong::cycle::evidence::heard::Heard;
use ::tagalong::cycle::evidence::question::{Finding, Findings, Question};
use ::tagalong::cycle::evidence::sources::Evidence;
use ::tagalong::fault::Explain;
use ::tagalong::forge::config::Kind;
use ::tagalong::stage::definition::Check;
use serde_json::{Value, json};

use super::scene::{COMMIT, OTHER, Scene, wait};
use crate::support::scripted::json;

const TIP: &str = "4444444444444444444444444444444444444444";

/// The states of contexts, by commit.
type States = Arc<Mutex<BTreeMap<(String, String), &'static str>>>;

/// A Gitea whose statuses change, and what asks it.
struct Gitea {
    scene: Scene,
    states: States,
    evidence: Evidence,
}

impl Gitea {
    fn new() -> Gitea {
        let states = States::default();
        let shared = Arc::clone(&states);
        let scene = Scene::new(Kind::Gitea, move |asked| {
            let commit =
                asked.target.split("/commits/").nth(1).and_then(|rest| rest.split('/').next()).expect("a commit");
            let states = shared.lock().expect("unpoisoned");
            let status = |((_, context), state): (&(String, String), &&str)| {
                if *state == "down" {
                    return None;
                }
                Some(json!({
                    "id": 1, "context": context, "status": state, "description": "", "updated_at": "2026-11-26T10:00:00Z",
                    "target_url": format!("https://ci.example.com/{context}"),
                }))
            };
            let own = states.iter().filter(|((of, _), _)| of == commit);
            if own.clone().any(|(_, state)| *state == "down") {
                return json(503, json!({ "message": "down" }), &[]);
            }
            if own.clone().any(|(_, state)| *state == "gone") {
                return json(404, json!({ "message": "Not Found" }), &[]);
            }
            let statuses: Vec<Value> = own.filter_map(status).collect();
            json(200, json!({ "statuses": statuses }), &[("X-Total-Count", &*statuses.len().to_string())])
        });
        let evidence = Evidence::new(Some(Arc::clone(&scene.forge)), Config::default());
        Gitea { scene, states, evidence }
    }

    fn set(&self, commit: &str, context: &str, state: &'static str) {
        self.states.lock().expect("unpoisoned").insert((commit.to_owned(), context.to_owned()), state);
    }

    /// The answers of a cycle of its own, and the number of requests.
    fn cycle(&self, questions: &[Question]) -> (Vec<Findings>, usize) {
        self.ask(questions, &mut Heard::default())
    }

    fn ask(&self, questions: &[Question], heard: &mut Heard) -> (Vec<Findings>, usize) {
        let before = self.scene.asked().len();
        let answers = wait(self.evidence.answer(questions, heard, &|_, _| false));
        (answers, self.scene.asked().len() - before)
    }

    /// The answer to a single question about a single check, and the number of requests.
    #[track_caller]
    fn one(&self, question: &Question) -> (String, usize) {
        let (answers, asked) = self.cycle(std::slice::from_ref(question));
        let [(_, finding)] = answers[0].iter().collect::<Vec<_>>()[..] else { panic!("{answers:?}") };
        (shown(finding), asked)
    }
}

fn question(commit: &str, contexts: &[&str]) -> Question {
    Question {
        commit: commit.to_owned(),
        later: Vec::new(),
        until: None,
        changes: Vec::new(),
        checks: contexts.iter().map(|context| Check::Status((*context).to_owned())).collect(),
        confirms: false,
    }
}

fn shown(finding: &Finding) -> String {
    match finding {
        Finding::Passed { detail, url } => format!("passed {detail} {}", url.as_deref().unwrap_or_default()),
        Finding::Failed { detail, .. } => format!("failed {detail}"),
        Finding::Waiting { detail } => format!("waiting {detail}"),
        Finding::Unknown { fault } => format!("unknown {fault}"),
    }
}

fn texts(findings: &Findings) -> Vec<String> {
    findings.values().map(shown).collect()
}

#[test]
fn one_request_answers_all_checks_of_a_commit() {
    let gitea = Gitea::new();
    gitea.set(COMMIT, "a", "success");
    gitea.set(COMMIT, "b", "pending");
    gitea.set(COMMIT, "c", "failure");
    // Several stages ask about the same commit.
    let questions = [question(COMMIT, &["a", "b", "c"]), question(COMMIT, &["d", "a"])];
    let (answers, asked) = gitea.cycle(&questions);
    assert_eq!(asked, 1);
    let waiting = format!("waiting d has not reported on {} yet", &COMMIT[..7]);
    let first = ["passed success https://ci.example.com/a", "waiting b: pending", "failed c: failure"];
    assert_eq!(texts(&answers[0]), first);
    assert_eq!(texts(&answers[1]), ["passed success https://ci.example.com/a", &waiting]);
    // Where nothing waits, nothing is asked.
    let (answers, asked) = gitea.cycle(&[question(COMMIT, &[]), question(COMMIT, &["a"])]);
    assert_eq!((answers[0].len(), texts(&answers[1]), asked), (0, vec![first[0].to_owned()], 0));
    assert_eq!(gitea.cycle(&[]).1, 0);
}

#[test]
fn what_has_passed_is_not_asked_again_and_all_else_is() {
    let gitea = Gitea::new();
    let e2e = question(COMMIT, &["e2e"]);
    assert!(gitea.one(&e2e).0.starts_with("waiting"));
    gitea.set(COMMIT, "e2e", "pending");
    assert_eq!(gitea.one(&e2e), ("waiting e2e: pending".to_owned(), 1));
    gitea.set(COMMIT, "e2e", "failure");
    assert_eq!(gitea.one(&e2e), ("failed e2e: failure".to_owned(), 1));
    // It was repeated.
    gitea.set(COMMIT, "e2e", "success");
    let passed = "passed success https://ci.example.com/e2e".to_owned();
    assert_eq!(gitea.one(&e2e), (passed.clone(), 1));
    assert_eq!(gitea.one(&e2e), (passed.clone(), 0));
    // What is about to be promoted is looked at once more: it has failed since.
    gitea.set(COMMIT, "e2e", "failure");
    assert_eq!(gitea.one(&e2e), (passed.clone(), 0));
    let last = Question { confirms: true, ..e2e.clone() };
    assert_eq!(gitea.one(&last), ("failed e2e: failure".to_owned(), 1));
    assert_eq!(gitea.one(&e2e), ("failed e2e: failure".to_owned(), 1), "it is not kept any longer");
    gitea.set(COMMIT, "e2e", "success");
    gitea.cycle(std::slice::from_ref(&e2e));
    gitea.set(COMMIT, "e2e", "down");
    let (said, asked) = gitea.one(&last);
    assert!(said.starts_with("unknown") && said.contains("503") && asked == 1, "{said}");
    assert_eq!(gitea.one(&e2e), (passed, 0), "a forge that is down does not contradict");
}

#[test]
fn nothing_is_asked_twice_in_a_cycle() {
    let gitea = Gitea::new();
    let (mut heard, e2e) = (Heard::default(), question(COMMIT, &["e2e"]));
    let questions = [e2e.clone()];
    assert_eq!(gitea.ask(&questions, &mut heard).1, 1);
    // The cycle lost a race and plans again.
    gitea.set(COMMIT, "e2e", "success");
    let (answers, asked) = gitea.ask(&questions, &mut heard);
    assert!(texts(&answers[0])[0].starts_with("waiting") && asked == 0);
    let confirming = [Question { confirms: true, ..e2e }];
    assert_eq!(gitea.ask(&confirming, &mut heard).1, 0);
    // A check that was not asked about before is, together with the others.
    let more = [question(COMMIT, &["e2e", "smoke"])];
    let (answers, asked) = gitea.ask(&more, &mut heard);
    assert!(texts(&answers[0])[0].starts_with("passed") && asked == 1, "{answers:?}");
}

#[test]
fn a_later_tip_that_still_holds_the_release_counts() {
    let gitea = Gitea::new();
    // CI only runs on the last commit of a push.
    gitea.set(TIP, "e2e", "success");
    let later = Question { later: vec![TIP.to_owned()], ..question(COMMIT, &["e2e"]) };
    assert_eq!(gitea.one(&later), ("passed success https://ci.example.com/e2e".to_owned(), 2));
    assert_eq!(gitea.one(&later).1, 0);
    let without = question(OTHER, &["e2e"]);
    assert!(gitea.one(&without).0.starts_with("waiting"));
    // If the commit itself has passed, later tips are not asked.
    let gitea = Gitea::new();
    gitea.set(COMMIT, "e2e", "success");
    gitea.set(TIP, "e2e", "failure");
    assert_eq!(gitea.one(&later), ("passed success https://ci.example.com/e2e".to_owned(), 1));
    // A failure is outweighed by a success later on, but not by silence.
    let gitea = Gitea::new();
    gitea.set(COMMIT, "e2e", "failure");
    assert_eq!(gitea.one(&later), ("failed e2e: failure".to_owned(), 2));
    gitea.set(TIP, "e2e", "pending");
    assert_eq!(gitea.one(&later), ("failed e2e: failure".to_owned(), 2));
    gitea.set(TIP, "e2e", "success");
    assert!(gitea.one(&later).0.starts_with("passed"));
}

#[test]
fn a_forge_that_is_down_is_asked_once_and_is_no_verdict() {
    let gitea = Gitea::new();
    let commits = [COMMIT, OTHER, TIP];
    commits.iter().for_each(|commit| gitea.set(commit, "e2e", "down"));
    let questions = commits.map(|commit| question(commit, &["e2e"]));
    let (answers, asked) = gitea.cycle(&questions);
    assert_eq!(asked, 1);
    for findings in &answers {
        let Some(Finding::Unknown { fault }) = findings.values().next() else { panic!("{findings:?}") };
        assert!(fault.to_string().contains("503") && fault.help().is_some(), "{fault}");
    }
    // The next cycle asks again.
    commits.iter().for_each(|commit| gitea.set(commit, "e2e", "success"));
    let (answers, asked) = gitea.cycle(&questions);
    assert!(answers.iter().flat_map(BTreeMap::values).all(Finding::has_passed) && asked == 3, "{answers:?}");
}

#[test]
fn a_commit_that_the_forge_does_not_know_says_nothing_about_others() {
    let gitea = Gitea::new();
    gitea.set(COMMIT, "e2e", "gone");
    gitea.set(OTHER, "e2e", "success");
    let (answers, asked) = gitea.cycle(&[question(COMMIT, &["e2e"]), question(OTHER, &["e2e"])]);
    assert!(texts(&answers[0])[0].contains(COMMIT) && texts(&answers[0])[0].starts_with("unknown"), "{answers:?}");
    assert!(texts(&answers[1])[0].starts_with("passed") && asked == 2, "{answers:?}");
}

#[test]
fn what_is_not_configured_is_said() {
    let evidence = Evidence::new(None, Config::default());
    let checks = vec![Check::Status("e2e".to_owned()), Check::FluxReady, Check::ArgocdHealthy];
    let question = Question { checks, ..question(COMMIT, &[]) };
    let answers = wait(evidence.answer(&[question], &mut Heard::default(), &|_, _| false));
    let faults: Vec<&EvidenceError> = answers[0]
        .values()
        .map(|finding| match finding {
            Finding::Unknown { fault } => &**fault,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(
        matches!(faults[..], [EvidenceError::NoForge, EvidenceError::NoFlux, EvidenceError::NoArgocd]),
        "{faults:?}"
    );
    assert!(faults.iter().all(|fault| fault.help().is_some()));
}
