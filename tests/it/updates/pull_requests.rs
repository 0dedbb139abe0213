//! Updates can be proposed on a branch of their own, with a pull request; closing it declines them.

use std::fs;
use std::path::PathBuf;

use crate::support::forge::{CLOSER, Forge, KINDS, Kind, TOKEN};
use crate::support::git::git;
use crate::support::infra::Stage;
use crate::support::tagalong::{Run, run};

const FILE: &str = "apps/app/deployment.yaml";
const PROPOSALS: &str = "tagalong/updates";

/// An app at `aaaaaa1`; that and the given tags are in the registry, each built an hour after the previous one. And a
/// forge.
struct Scene {
    stage: Stage,
    forge: Forge,
    config: PathBuf,
}

impl Scene {
    fn new(kind: Kind, tags: &[&str]) -> Scene {
        let stage = Stage::new(&[(FILE, "kind: Deployment\nspec: {containers: [{image: 'HOST/org/app:aaaaaa1'}]}\n")]);
        let folders = stage.origin.path.with_extension("").display().to_string();
        let folders = folders.trim_start_matches('/');
        let repository = match kind {
            Kind::GitLab => folders.to_owned(),
            _ => {
                let parts: Vec<&str> = folders.rsplitn(3, '/').take(2).collect();
                format!("{}/{}", parts[1], parts[0])
            }
        };
        let forge = Forge::start(kind, &repository);
        let token = stage.home().join("token");
        fs::write(&token, format!("{TOKEN}\n")).expect("written");
        let lines = format!(
            "pushBranch: {PROPOSALS}\npullRequest: {{ forge: {}, url: '{}', tokenFile: {}, labels: [{}] }}\n",
            kind.name(),
            forge.url(),
            token.display(),
            if kind.has_labels() { "deploy, bot" } else { "" }
        );
        let config = stage.config_with("proposals.yaml", &lines);
        let scene = Scene { stage, forge, config };
        for (hour, tag) in ["aaaaaa1"].iter().chain(tags).enumerate() {
            scene.push(tag, hour);
        }
        scene
    }

    /// Pushes an image that names its source.
    fn push(&self, tag: &str, hour: usize) {
        let source = ("org.opencontainers.image.source", "https://git.example.com/org/app");
        let built = format!("2026-04-01T{hour:02}:00:00Z");
        self.stage.registry.push_labelled("org/app", tag, &built, &[source]);
    }

    #[track_caller]
    fn tagalong(&self, arguments: &[&str]) -> Run {
        let config = self.config.display().to_string();
        let run = run(self.stage.home(), &[arguments, &["--config", &config]].concat());
        assert!(!format!("{run:?}").contains(TOKEN), "{run:#?}");
        run
    }

    #[track_caller]
    fn sync(&self) -> serde_json::Value {
        self.tagalong(&["sync", "--output", "json"]).ok().json()
    }

    /// The commit of a branch.
    fn at(&self, what: &str) -> String {
        git(&self.stage.origin.path, &["rev-parse", what]).trim().to_owned()
    }

    fn proposed(&self) -> String {
        let text = git(&self.stage.origin.path, &["show", &format!("{PROPOSALS}:{FILE}")]);
        text.split("org/app:").nth(1).expect("an image").split('\'').next().expect("a tag").to_owned()
    }

    /// The requests to the forge during some work.
    fn asked(&self, work: impl FnOnce()) -> Vec<String> {
        let before = self.forge.asked().len();
        work();
        self.forge.asked().split_off(before)
    }
}

#[test]
fn one_pull_request_is_opened_and_follows_newer_tags() {
    for kind in KINDS {
        let scene = Scene::new(kind, &["bbbbbb2"]);
        let main = scene.at("main");
        let report = scene.sync();
        assert_eq!(report["commit"], scene.at(PROPOSALS), "{report:#}");
        assert_eq!((report["head"].as_str(), scene.at("main")), (Some(main.as_str()), main.clone()));
        assert_eq!((scene.at(&format!("{PROPOSALS}^")), scene.proposed()), (main.clone(), "bbbbbb2".to_owned()));
        let pull = scene.forge.pull(1);
        assert_eq!(pull.title, "deploy: app aaaaaa1 -> bbbbbb2");
        assert_eq!((pull.head.as_str(), pull.base.as_str()), (PROPOSALS, "main"));
        let labels: &[&str] = if kind.has_labels() { &["deploy", "bot"] } else { &[] };
        assert_eq!(pull.labels, labels, "{kind:?}");
        let image = scene.stage.image("app");
        let row = format!(
            "| `{image}` | [`aaaaaa1 → bbbbbb2`](https://git.example.com/org/app/compare/aaaaaa1...bbbbbb2) | `{FILE}` |"
        );
        assert!(pull.text.contains(&row), "{}", pull.text);
        let record = format!("\nTagalong-Update: {FILE} spec.containers[0].image {image} aaaaaa1 -> bbbbbb2\n");
        assert!(pull.text.contains(&record), "{}", pull.text);

        // A cycle with nothing new sends as few requests as the API allows, pushes nothing and writes nothing.
        let (reads, writes) = match kind {
            Kind::Gitea | Kind::GitHub | Kind::GitLab => (1, 1),
            // The version has to be known.
            Kind::DataCenter => (1, 2),
            // The list shortens texts.
            Kind::AzureDevOps => (2, 1),
            // The list shortens commit IDs; and reviewers have to be known.
            Kind::Bitbucket => (3, 2),
        };
        let tip = scene.at(PROPOSALS);
        let asked = scene.asked(|| assert_eq!(scene.sync()["commit"], serde_json::Value::Null));
        assert!(asked.len() == reads && asked.iter().all(|asked| asked.starts_with("GET ")), "{asked:?}");
        assert_eq!(scene.at(PROPOSALS), tip);

        scene.push("cccccc3", 5);
        let asked = scene.asked(|| assert_ne!(scene.sync()["commit"], serde_json::Value::Null));
        assert_eq!(asked.len(), reads + writes, "{asked:?}");
        assert_eq!((scene.proposed(), scene.at(&format!("{PROPOSALS}^"))), ("cccccc3".to_owned(), main.clone()));
        let pull = scene.forge.pull(1);
        assert_eq!((pull.title.as_str(), pull.state), ("deploy: app aaaaaa1 -> cccccc3", "open"));
        assert!(pull.text.contains("cccccc3") && !pull.text.contains("bbbbbb2"), "{}", pull.text);

        // Merged: the branch has it, and there is nothing to ask.
        git(&scene.stage.origin.path, &["update-ref", "refs/heads/main", PROPOSALS]);
        scene.forge.end(1, "merged");
        let asked = scene.asked(|| assert_eq!(scene.sync()["skipped"][0]["reason"], "up-to-date"));
        assert_eq!(asked, [""; 0]);
        scene.push("dddddd4", 6);
        scene.sync();
        assert_eq!((scene.proposed(), scene.forge.pull(2).state), ("dddddd4".to_owned(), "open"));
        scene.stage.origin.is_sound();
    }
}

#[test]
fn tags_of_a_pull_request_closed_without_merging_are_held() {
    for kind in KINDS {
        let scene = Scene::new(kind, &["bbbbbb2"]);
        scene.sync();
        let (main, tip) = (scene.at("main"), scene.at(PROPOSALS));
        scene.forge.end(1, "closed");
        for _ in 0..2 {
            let report = scene.sync();
            let skipped = &report["skipped"][0];
            assert_eq!((&skipped["reason"], &skipped["tag"]), (&"held".into(), &"bbbbbb2".into()), "{report:#}");
            let detail = skipped["detail"].as_str().expect("a text");
            let (name, page) = kind.shown(1);
            assert!(detail.contains(&format!("{name} was closed without being merged")), "{detail}");
            assert!(detail.contains("://") && detail.contains(&format!("{page})")), "{detail}");
            assert!(detail.contains(&format!(" by {CLOSER} (")), "{detail}");
            assert_eq!((scene.at("main"), scene.at(PROPOSALS)), (main.clone(), tip.clone()));
        }
        assert_eq!(scene.forge.state().pulls.len(), 1);
        let status = scene.tagalong(&["status"]).ok();
        assert!(status.stdout.contains("held: ") && status.stdout.contains(&kind.shown(1).1), "{status:#?}");

        scene.push("cccccc3", 5);
        scene.sync();
        assert_eq!((scene.proposed(), scene.forge.pull(2).state), ("cccccc3".to_owned(), "open"));
        scene.forge.end(2, "closed");
        assert_eq!(scene.sync()["skipped"][0]["reason"], "held");
        // Resuming makes a commit on the branch itself, so that the tag is proposed again.
        let image = scene.stage.image("app");
        scene.tagalong(&["resume", &image, "--reason", "that was a mistake"]).ok();
        assert_eq!(scene.stage.origin.subjects()[0], "resume: app");
        scene.sync();
        assert_eq!((scene.proposed(), scene.forge.pull(3).state), ("cccccc3".to_owned(), "open"));
        assert_eq!(scene.at(&format!("{PROPOSALS}^")), scene.at("main"));
    }
}

/// Merges the proposal of a pull request like a forge that squashes it and drops the trailers.
fn squash(scene: &Scene, kind: Kind, number: u64) -> String {
    let origin = &scene.stage.origin.path;
    let commit = |parents: &[&str], message: &str| {
        let tree = format!("{PROPOSALS}^{{tree}}");
        let parents: Vec<&str> = parents.iter().flat_map(|parent| ["-p", parent]).collect();
        git(origin, &[&["commit-tree", &tree, "-m", message], &parents[..]].concat()).trim().to_owned()
    };
    let (main, title) = (scene.at("main"), scene.forge.pull(number).title);
    let commits = match kind {
        // Gitea 1.26: its `GetDefaultSquashMessage`, and what it adds to it. GitHub: "Default to pull request title". The
        // others have titles like these.
        Kind::Gitea | Kind::GitHub | Kind::Bitbucket | Kind::DataCenter | Kind::AzureDevOps => {
            let link = format!("Reviewed-on: https://forge.example.com/pulls/{number}");
            [Some(commit(&[&main], &format!("{title} (#{number})\n\n{link}"))), None]
        }
        // GitLab's templates: `%{title}` for the squashed commit, and a merge commit on top.
        Kind::GitLab => {
            let squashed = commit(&[&main], &title);
            let message = format!("Merge branch '{PROPOSALS}' into 'main'\n\nSee merge request org/infra!{number}");
            [Some(commit(&[&main, &squashed], &message)), Some(squashed)]
        }
    };
    let tip = commits[0].clone().expect("a commit");
    git(origin, &["update-ref", "refs/heads/main", &tip, &main]);
    scene.forge.merge(number, commits.clone());
    commits[1].clone().unwrap_or(tip)
}

/// Sets the tag on the branch by hand, as a revert does.
fn revert(scene: &Scene, message: &str) {
    let text = scene.stage.origin.read(FILE);
    let (before, _) = text.split_once("org/app:").expect("an image");
    scene.stage.origin.commit(message, &[(FILE, &format!("{before}org/app:aaaaaa1'}}]}}\n"))]);
}

#[test]
fn a_squashed_proposal_that_lost_its_trailers_is_held_when_it_is_reverted() {
    for kind in KINDS {
        let scene = Scene::new(kind, &["bbbbbb2"]);
        scene.sync();
        let commit = squash(&scene, kind, 1);
        assert!(!git(&scene.stage.origin.path, &["log", "--format=%B", "main"]).contains("Tagalong-"));
        assert_eq!(scene.sync()["skipped"][0]["reason"], "up-to-date");
        revert(&scene, &format!("Revert \"deploy: app aaaaaa1 -> bbbbbb2 (#1)\"\n\nThis reverts commit {commit}."));
        let held = |report: &serde_json::Value| {
            let skipped = &report["skipped"][0];
            (&skipped["reason"], &skipped["tag"]) == (&"held".into(), &"bbbbbb2".into())
        };
        let report = scene.sync();
        assert!(held(&report), "{kind:?} {report:#}");
        let detail = report["skipped"][0]["detail"].as_str().expect("a text");
        assert!(detail.contains("by Ada (Revert \"deploy: app"), "{detail}");
        // What is known is kept, so that a forge that is down releases nothing.
        scene.forge.state().is_down = true;
        assert!(held(&scene.sync()));
        let image = format!("{}:bbbbbb2", scene.stage.image("app"));
        scene.tagalong(&["set", &image]).fails_with(3);
        let history = scene.tagalong(&["history", "--output", "json"]).ok().json();
        let acts: Vec<&str> =
            history.as_array().expect("a list").iter().filter_map(|entry| entry["act"].as_str()).collect();
        assert_eq!(acts[..2], ["by-hand", "deploy"], "{kind:?} {history:#}");
        // A new replica learns it from the forge. Until that answers, it only knows what the branch says.
        let elsewhere = |name: &str| {
            let cache = scene.stage.home().join(name).display().to_string();
            scene.tagalong(&["sync", "--dry-run", "--output", "json", "--cache-dir", &cache]).ok()
        };
        let down = elsewhere("down");
        assert!(!held(&down.json()) && down.stderr.contains("responded with 503"), "{down:#?}");
        scene.forge.state().is_down = false;
        assert!(held(&elsewhere("up").json()) && held(&elsewhere("down").json()));
        // Newer tags are proposed as ever, and resuming releases this one.
        let resumed = scene.tagalong(&["resume", &scene.stage.image("app"), "--reason", "not to blame"]).ok();
        assert!(!resumed.stderr.contains("no hold to end"), "{resumed:#?}");
        assert!(!held(&scene.sync()), "{kind:?}");
    }
}

#[test]
fn only_the_pull_request_that_became_a_commit_explains_it() {
    for kind in KINDS {
        for is_of_fork in [false, true] {
            let scene = Scene::new(kind, &["bbbbbb2"]);
            scene.sync();
            squash(&scene, kind, 1);
            // The same text, merged as another commit, or from a fork.
            let merged = scene.forge.pull(1);
            let mut commits = merged.commits.clone();
            if !is_of_fork {
                commits.iter_mut().flatten().for_each(|commit| *commit = commit.chars().rev().collect());
            }
            scene.forge.state().pulls.clear();
            scene.forge.add(PROPOSALS, "merged", &merged.text, is_of_fork);
            scene.forge.state().pulls[0].commits = commits;
            revert(&scene, "back");
            let report = scene.sync();
            assert_eq!(report["updates"][0]["to"], "bbbbbb2", "{kind:?} {is_of_fork} {report:#}");
        }
    }
    // What the text says has to be what the commit did.
    let scene = Scene::new(Kind::Gitea, &["bbbbbb2"]);
    scene.sync();
    squash(&scene, Kind::Gitea, 1);
    let text = scene.forge.pull(1).text.replace("aaaaaa1 -> bbbbbb2", "aaaaaa0 -> bbbbbb2");
    scene.forge.state().pulls[0].text = text;
    revert(&scene, "back");
    assert_eq!(scene.sync()["updates"][0]["to"], "bbbbbb2");
}

#[test]
fn a_proposal_is_based_on_the_newest_commit_of_the_branch() {
    let scene = Scene::new(Kind::Gitea, &["bbbbbb2"]);
    scene.sync();
    scene.stage.origin.commit("unrelated", &[("README", "hello\n")]);
    let asked = scene.asked(|| assert_eq!(scene.sync()["commit"], scene.at(PROPOSALS)));
    assert_eq!(scene.at(&format!("{PROPOSALS}^")), scene.at("main"));
    assert_eq!((asked.len(), scene.forge.state().pulls.len()), (1, 1), "{asked:?}");
    // A commit that someone added on top is not our proposal.
    let work = scene.stage.home().join("person");
    git(scene.stage.home(), &["clone", "--quiet", "--branch", PROPOSALS, "infra.git", "person"]);
    fs::write(work.join("README"), "changed\n").expect("written");
    git(&work, &["commit", "--quiet", "-am", "mine"]);
    git(&work, &["push", "--quiet", "origin", PROPOSALS]);
    scene.sync();
    assert_eq!(scene.at(&format!("{PROPOSALS}^")), scene.at("main"));
    scene.stage.origin.is_sound();
}

#[test]
fn explicit_commands_write_to_the_branch_and_empty_the_proposal() {
    for kind in KINDS {
        let scene = Scene::new(kind, &["bbbbbb2"]);
        scene.sync();
        let image = format!("{}:bbbbbb2", scene.stage.image("app"));
        // Without a reason, it would be the very commit that is proposed if made within the same second, and so count
        // as its merge.
        scene.tagalong(&["set", &image, "--reason", "at once"]).ok();
        assert!(scene.stage.origin.read(FILE).contains("bbbbbb2"));
        let report = scene.sync();
        assert_eq!(report["commit"], serde_json::Value::Null, "{report:#}");
        let pull = scene.forge.pull(1);
        assert_eq!((pull.state, pull.comments.len()), ("closed", 1), "{pull:?}");
        assert!(pull.comments[0].contains("holds the newest tag, bbbbbb2"), "{pull:?}");
        // When the bot closes it, nobody has declined.
        assert!(!pull.text.contains("Tagalong-"), "{}", pull.text);
        scene.push("cccccc3", 5);
        scene.sync();
        assert_eq!((scene.proposed(), scene.forge.pull(2).state), ("cccccc3".to_owned(), "open"));
    }
}

#[test]
fn two_concurrent_cycles_end_with_one_proposal_and_one_pull_request() {
    for kind in KINDS {
        let scene = Scene::new(kind, &[]);
        for (hour, tag) in [(3, "bbbbbb2"), (4, "cccccc3"), (5, "dddddd4")] {
            scene.push(tag, hour);
            std::thread::scope(|threads| {
                for cache in ["first", "second"] {
                    let (scene, cache) = (&scene, scene.stage.home().join(cache).display().to_string());
                    threads.spawn(move || scene.tagalong(&["sync", "--cache-dir", &cache]).ok());
                }
            });
            assert_eq!((scene.proposed().as_str(), scene.at(&format!("{PROPOSALS}^"))), (tag, scene.at("main")));
            // The second cycle may have seen the pull request too late to update its text.
            scene.sync();
            let pulls = scene.forge.state().pulls.clone();
            assert!(matches!(&pulls[..], [pull] if pull.state == "open" && pull.text.contains(tag)), "{pulls:#?}");
        }
        scene.stage.origin.is_sound();
    }
}

#[test]
fn a_forge_that_is_down_does_not_undo_the_push() {
    let scene = Scene::new(Kind::GitHub, &["bbbbbb2"]);
    scene.forge.state().is_down = true;
    let run = scene.tagalong(&["sync", "--output", "json"]).ok();
    assert!(run.stderr.contains("responded with 503") && run.stderr.contains("next cycle"), "{run:#?}");
    assert_eq!((run.json()["commit"].as_str(), scene.proposed()), (Some(&*scene.at(PROPOSALS)), "bbbbbb2".to_owned()));
    scene.forge.state().is_down = false;
    assert_eq!(scene.sync()["commit"], serde_json::Value::Null);
    assert_eq!(scene.forge.pull(1).state, "open");
}

#[test]
fn a_rejected_token_is_reported_but_not_printed() {
    for kind in KINDS {
        let scene = Scene::new(kind, &["bbbbbb2"]);
        fs::write(scene.stage.home().join("token"), "another-secret").expect("written");
        for command in ["sync", "check"] {
            let run = scene.tagalong(&[command]);
            assert_eq!(run.code, 5, "{run:#?}");
            let said = format!("{}{}", run.stdout, run.stderr);
            assert!(said.contains("rejected the token from") && said.contains("pullRequest.tokenFile"), "{said}");
            assert!(!said.contains("another-secret"), "{said}");
        }
        assert_eq!(git(&scene.stage.origin.path, &["branch", "--list", PROPOSALS]), "", "nothing was pushed");
        fs::remove_file(scene.stage.home().join("token")).expect("removed");
        let run = scene.tagalong(&["sync"]).fails_with(2);
        assert!(run.stderr.contains("cannot read the token in"), "{run:#?}");
    }
}

#[test]
fn pull_requests_by_others_hold_nothing() {
    for kind in KINDS {
        let scene = Scene::new(kind, &["bbbbbb2"]);
        let image = scene.stage.image("app");
        let record = format!(
            "<!-- tagalong\nTagalong-Update: {FILE} spec.containers[0].image {image} aaaaaa1 -> bbbbbb2\n-->\n"
        );
        // A fork has a branch of the same name; another branch has the same text; and all of that fills several pages.
        scene.forge.add(PROPOSALS, "closed", &record, true);
        scene.forge.add(PROPOSALS, "open", &record, true);
        for n in 0..5 {
            scene.forge.add(&format!("feature-{n}"), "closed", &record, false);
        }
        // Azure DevOps does not tell whether there is another page, so its pages have to be full.
        scene.forge.state().page = 2;
        scene.sync();
        assert_eq!((scene.proposed(), scene.forge.pull(8).state), ("bbbbbb2".to_owned(), "open"));
        // A pull request on the oldest page counts as well.
        scene.forge.add(PROPOSALS, "closed", &record, false);
        scene.forge.end(8, "merged");
        for _ in 0..3 {
            scene.forge.add("later", "merged", "", false);
        }
        assert_eq!(scene.sync()["skipped"][0]["reason"], "held", "{kind:?}");
    }
}

#[test]
fn a_push_branch_works_without_pull_requests_and_on_local_paths() {
    let scene = Scene::new(Kind::Gitea, &["bbbbbb2"]);
    let config = scene.stage.config_with("local.yaml", &format!("pushBranch: {PROPOSALS}"));
    let (config, path) = (config.display().to_string(), scene.stage.origin.path.display().to_string());
    let cache = scene.stage.home().join("cache-of-local").display().to_string();
    let sync = |more: &[&str]| {
        let base = ["sync", "--output", "json", "--config", &config, "--git-url", &path, "--cache-dir", &cache];
        run(scene.stage.home(), &[&base[..], more].concat())
    };
    let main = scene.at("main");
    assert_eq!(sync(&[]).ok().json()["commit"], scene.at(PROPOSALS));
    assert_eq!((scene.at(&format!("{PROPOSALS}^")), scene.at("main")), (main.clone(), main.clone()));
    assert_eq!(sync(&[]).ok().json()["commit"], serde_json::Value::Null);
    scene.push("cccccc3", 5);
    sync(&[]).ok();
    assert_eq!((scene.proposed(), scene.at(&format!("{PROPOSALS}^"))), ("cccccc3".to_owned(), main));
    let same = sync(&["--branch", PROPOSALS]).fails_with(2);
    assert!(same.stderr.contains("git.pushBranch and the branch that is read are both"), "{same:#?}");
}

#[test]
fn a_server_that_forbids_force_pushes_is_not_a_lost_race() {
    let scene = Scene::new(Kind::Gitea, &["bbbbbb2"]);
    git(&scene.stage.origin.path, &["config", "receive.denyNonFastForwards", "true"]);
    scene.sync();
    scene.push("cccccc3", 5);
    let run = scene.tagalong(&["sync"]).fails_with(1);
    assert!(run.stderr.contains(&format!("refused the push to {PROPOSALS}: non-fast-forward")), "{run:#?}");
    assert_eq!(scene.proposed(), "bbbbbb2");
}

#[test]
fn push_options_arrive_or_are_refused_clearly() {
    let scene = Scene::new(Kind::Gitea, &["bbbbbb2"]);
    let origin = &scene.stage.origin;
    let seen = scene.stage.home().join("seen");
    origin.hook(
        "pre-receive",
        &format!("echo \"$GIT_PUSH_OPTION_COUNT $GIT_PUSH_OPTION_0 $GIT_PUSH_OPTION_1\" > {}", seen.display()),
    );
    let config = scene.stage.config_with("options.yaml", "pushOptions: [ci.skip, 'topic=a b']").display().to_string();
    let sync = || run(scene.stage.home(), &["sync", "--config", &config]);
    let main = scene.at("main");
    let refused = sync().fails_with(2);
    assert!(refused.stderr.contains("does not accept push options"), "{refused:#?}");
    assert!(refused.stderr.contains("help: remove git.pushOptions, or allow them"), "{refused:#?}");
    assert_eq!(scene.at("main"), main);
    git(&origin.path, &["config", "receive.advertisePushOptions", "true"]);
    sync().ok();
    assert_eq!(fs::read_to_string(&seen).expect("the hook ran"), "2 ci.skip topic=a b\n");
    assert!(origin.read(FILE).contains("bbbbbb2"));
}
