//! Promotions wait in pull requests: of reviews, after which the agent merges, or of a person who merges.

use std::fs;

use super::reviewers::{Gitea, Method};
use super::scene::{Scene, why};
use crate::support::forge::TOKEN;
use crate::support::git::git;

const BRANCH: &str = "tagalong/live";

fn stages(approval: &str) -> String {
    format!(
        "stages:\n- {{ name: beta, paths: ['beta/**'] }}\n\
         - {{ name: live, paths: ['live/**'], from: beta, soak: 1h, windows: [market], approval: {approval} }}\n\
         windows:\n- name: market\n  timeZone: America/New_York\n  closed: [{{ days: mon-fri, from: '09:30', to: '16:00' }}]\n"
    )
}

struct Story {
    scene: Scene,
    forge: Gitea,
}

impl Story {
    /// A release in beta since 10:00 on a Wednesday, and a pull request for live since 12:00.
    fn new(approval: &str) -> Story {
        let mut scene = Scene::new(&stages(approval));
        let forge = Gitea::start(&scene.stage.origin.path);
        let token = scene.stage.home().join("token");
        fs::write(&token, TOKEN).expect("written");
        let line = format!("forge: {{ kind: gitea, url: '{}', tokenFile: {} }}\n", forge.url(), token.display());
        let file = scene.stage.config_with("with-forge.yaml", &line);
        fs::copy(file, scene.stage.config()).expect("copied");
        scene.stage.registry.push("org/app", "aaaaaa2", "2026-04-02T10:00:00Z");
        scene.set_clock(0, "10:00");
        scene.sync().ok();
        assert_eq!(forge.asked(), 0, "nothing waits for the forge");
        let mut story = Story { scene, forge };
        story.at("12:00");
        story
    }

    /// Runs a cycle at a time of that Wednesday. Returns why live stays.
    #[track_caller]
    fn at(&mut self, time: &str) -> (String, String) {
        self.scene.set_clock(0, time);
        self.forge.state().now = self.scene.now();
        self.cycle()
    }

    #[track_caller]
    fn cycle(&self) -> (String, String) {
        why(&self.scene.sync().ok(), "live")
    }

    fn head(&self) -> String {
        git(&self.scene.stage.origin.path, &["rev-parse", BRANCH]).trim().to_owned()
    }

    fn live(&self) -> String {
        self.scene.held("live")
    }

    fn proposed(&self) -> String {
        let text = git(&self.scene.stage.origin.path, &["show", &format!("{BRANCH}:live/app.yaml")]);
        text.trim().rsplit(':').next().expect("a tag").to_owned()
    }
}

const REVIEW: &str = "{ by: review }";
const MERGE: &str = "{ by: merge }";

#[test]
fn an_approved_pull_request_is_merged_when_the_window_opens() {
    let mut story = Story::new(REVIEW);
    let (head, text) = (story.head(), story.forge.state().pulls[0].text.clone());
    assert_eq!((story.proposed().as_str(), story.live().as_str()), ("aaaaaa2", "aaaaaa1"));
    assert_eq!(story.forge.state().pulls[0].title, "promote: app aaaaaa2 to live");
    for expected in
        ["to the stage `live`", "`soak ", "has 1 approval and `market` is open", "Tagalong-Promote: live <- beta "]
    {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    // Neither time nor other commits change the head, for which approvals count.
    story.scene.stage.origin.commit("unrelated", &[("README", "hello\n")]);
    fs::remove_dir_all(story.scene.stage.home().join(".cache")).expect("a cache");
    let before = story.forge.asked();
    let (reason, detail) = story.at("13:00");
    assert!(reason == "approval" && detail.contains("0 of 1 approvals by review for aaaaaa2"), "{detail}");
    assert!(detail.contains("https://forge.example.com/pulls/1"), "{detail}");
    assert_eq!(story.forge.asked_since(before), ["GET pulls", "GET reviews"]);
    assert_eq!(story.head(), head);
    story.forge.review(1, "ada", "APPROVED");
    let (reason, detail) = story.at("15:59");
    assert!(reason == "window" && !detail.contains("approval"), "{detail}");
    assert_eq!(story.live(), "aaaaaa1");
    story.at("16:00");
    assert_eq!((story.live().as_str(), story.forge.state().pulls[0].state), ("aaaaaa2", "merged"));
    let message = story.scene.stage.origin.message();
    assert!(message.starts_with("promote: app aaaaaa2 to live\n\n"), "{message}");
    assert!(message.contains("\nTagalong-Approved: ada by review\n"), "{message}");
    assert_eq!(git(&story.scene.stage.origin.path, &["rev-parse", "main^2"]).trim(), head, "with the approved head");
    // Then nothing waits, and nothing is asked.
    let before = story.forge.asked();
    assert_eq!(story.cycle().0, "up-to-date");
    assert_eq!(story.forge.asked_since(before), [""; 0]);
    assert_eq!(story.scene.unproved(), []);
    let history = story.scene.run(&["history", "--stage", "live", "--output", "json"]).ok().json();
    assert_eq!((&history[0]["act"], history[0]["digest"].is_string()), (&"promote".into(), true), "{history:#}");
    git(&story.scene.stage.origin.path, &["fsck", "--strict", "--no-dangling"]);
}

#[test]
fn only_current_approvals_without_refusals_count() {
    let mut story = Story::new("{ by: review, need: 2 }");
    story.forge.review(1, "ada", "APPROVED");
    story.forge.review(1, "ada", "APPROVED");
    story.forge.review(1, "bot", "APPROVED");
    let (reason, detail) = story.at("16:00");
    assert!(reason == "approval" && detail.contains("1 of 2 approvals"), "{detail}");
    story.forge.review(1, "bob", "APPROVED");
    story.forge.review(1, "eve", "REQUEST_CHANGES");
    assert!(story.cycle().1.contains("eve asks for changes to aaaaaa2 in https://forge.example.com/pulls/1"));
    story.forge.state().pulls[0].reviews[4]["dismissed"] = true.into();
    story.forge.state().pulls[0].reviews[3]["dismissed"] = true.into();
    assert!(story.cycle().1.contains("1 of 2 approvals"));
    assert_eq!(story.live(), "aaaaaa1");
    // A newer release replaces the head, and the approvals were for the one before.
    story.forge.state().pulls[0].reviews[3]["dismissed"] = false.into();
    let head = story.head();
    story.scene.stage.registry.push("org/app", "aaaaaa3", "2026-04-03T10:00:00Z");
    git(&story.scene.stage.origin.path, &["update-ref", "refs/heads/kept", &head]);
    story.forge.state().pulls[0].reviews[3]["dismissed"] = true.into();
    story.at("16:10");
    story.at("17:30");
    assert_eq!((story.proposed().as_str(), story.forge.state().pulls.len()), ("aaaaaa3", 1));
    story.forge.state().pulls[0].reviews[3]["dismissed"] = false.into();
    let (_, detail) = story.cycle();
    assert!(detail.contains("0 of 2 approvals by review for aaaaaa3"), "{detail}");
    assert!(detail.contains("it is for an earlier version"), "{detail}");
    assert_eq!(story.live(), "aaaaaa1");
}

#[test]
fn what_others_add_to_the_branch_is_never_merged() {
    let mut story = Story::new(REVIEW);
    let head = story.head();
    for message in ["more", "x\n\nTagalong-Resume: org/app"] {
        let work = story.scene.stage.home().join("eve-work");
        let _ = fs::remove_dir_all(&work);
        git(story.scene.stage.home(), &["clone", "--quiet", "--branch", BRANCH, "infra.git", "eve-work"]);
        fs::write(work.join("beta/app.yaml"), "image: other/app:1\n").expect("written");
        let what = if message == "more" { "--all" } else { "--allow-empty" };
        git(&work, &["commit", "--quiet", what, "-m", message]);
        git(&work, &["push", "--quiet", "origin", BRANCH]);
        story.forge.review(1, "ada", "APPROVED");
        story.at(if message == "more" { "16:00" } else { "16:10" });
        let parent = git(&story.scene.stage.origin.path, &["rev-parse", &format!("{BRANCH}^")]);
        assert_eq!((story.live(), parent.trim()), ("aaaaaa1".to_owned(), story.scene.stage.origin.tip().as_str()));
    }
    // The same head may come back within a second, so only the content is certain.
    assert_eq!(story.proposed(), "aaaaaa2", "{head}");
}

#[test]
fn a_conflicting_change_replaces_the_head() {
    let mut story = Story::new(REVIEW);
    story.forge.review(1, "ada", "APPROVED");
    let text = format!("# by hand\nimage: {}:aaaaaa1 # changed\n", story.scene.stage.image("app"));
    story.scene.stage.origin.commit("by hand", &[("live/app.yaml", &text)]);
    let head = story.head();
    story.at("16:00");
    assert!(story.head() != head && story.live() != "aaaaaa2");
    story.forge.review(1, "ada", "APPROVED");
    story.cycle();
    assert!(story.scene.stage.origin.read("live/app.yaml").contains("aaaaaa2 # changed"));
}

#[test]
fn what_was_closed_is_held_for_this_stage() {
    let mut story = Story::new(REVIEW);
    story.forge.close(1);
    let (reason, detail) = story.at("13:00");
    assert_eq!((reason.as_str(), story.forge.state().pulls.len()), ("held", 1));
    assert!(detail.contains("pull request #1 was closed without being merged"), "{detail}");
    assert!(detail.contains(" by carol ("), "{detail}");
    let image = story.scene.stage.image("app");
    story.scene.run(&["resume", &image, "--reason", "a mistake"]).ok();
    let (reason, detail) = story.at("14:00");
    assert_eq!(reason, "approval", "{detail}");
    let pulls = story.forge.state().pulls.clone();
    assert!(matches!(&pulls[..], [_, again] if again.state == "open"), "{pulls:#?}");
}

#[test]
fn a_status_tells_people_when_they_may_merge() {
    let mut story = Story::new(MERGE);
    let head = story.head();
    let state = |story: &Story| story.forge.state().statuses.last().map(|(of, state, _)| (of.clone(), state.clone()));
    assert_eq!(state(&story), Some((head.clone(), "pending".to_owned())));
    assert!(story.forge.state().statuses[0].2.contains("the window market is closed"));
    let (_, detail) = story.at("16:00");
    assert!(detail.contains("waits for somebody to merge https://forge.example.com/pulls/1"), "{detail}");
    assert_eq!((state(&story), story.live().as_str()), (Some((head.clone(), "success".to_owned())), "aaaaaa1"));
    // It is set once, even by another process.
    story.cycle();
    assert_eq!(story.forge.state().statuses.len(), 2);
    // A release that is taken back must not be merged.
    story.scene.edit("beta", "aaaaaa1");
    story.cycle();
    assert_eq!(state(&story), Some((head, "failure".to_owned())));
}

#[test]
fn history_knows_who_merged_in_whichever_way() {
    for method in [Method::Merge, Method::Squash, Method::Rebase] {
        let mut story = Story::new(MERGE);
        story.at("16:00");
        story.forge.merge(1, "ada", method);
        assert_eq!(story.scene.unproved().len(), 1, "{method:?}: nobody has recorded it yet");
        story.cycle();
        let message = story.scene.stage.origin.message();
        assert!(
            message.starts_with("approved: live ") && message.contains("\nTagalong-Approved: ada by merge for live "),
            "{message}"
        );
        assert_eq!(git(&story.scene.stage.origin.path, &["diff", "--name-only", "main^", "main"]), "");
        assert_eq!((story.live().as_str(), story.scene.unproved()), ("aaaaaa2", Vec::new()), "{method:?}");
        let history = story.scene.run(&["history", "--stage", "live", "--output", "json"]).ok().json();
        assert_eq!((&history[0]["act"], history[0]["digest"].is_string()), (&"promote".into(), true), "{history:#}");
        let (tip, before) = (story.scene.stage.origin.tip(), story.forge.asked());
        story.cycle();
        assert_eq!((story.scene.stage.origin.tip(), story.forge.asked()), (tip, before), "once");
    }
}

#[test]
fn two_agents_open_one_pull_request_and_merge_it_once() {
    let mut story = Story::new(REVIEW);
    story.forge.review(1, "ada", "APPROVED");
    story.scene.set_clock(0, "16:00");
    story.forge.state().now = story.scene.now();
    std::thread::scope(|threads| {
        for cache in ["first", "second"] {
            let (scene, cache) = (&story.scene, story.scene.stage.home().join(cache).display().to_string());
            threads.spawn(move || scene.run(&["sync", "--cache-dir", &cache]).ok());
        }
    });
    assert_eq!((story.live().as_str(), story.forge.state().pulls.len()), ("aaaaaa2", 1));
    let merges = git(&story.scene.stage.origin.path, &["rev-list", "--merges", "--count", "main"]);
    assert_eq!((merges.trim(), story.scene.unproved()), ("1", Vec::new()));
}
