//! `order: commit`: tags are ordered by the position of their commits in the history of a branch, whenever and however
//! often their images were built.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::git::{Origin, git};
use crate::support::infra::Stage;
use crate::support::tagalong::{Run, run};

/// The registry, the infrastructure repository, and the repository that images are built from.
struct History {
    stage: Stage,
    source: Origin,
    config: PathBuf,
}

impl History {
    /// `tags` is the rule of the policy, in which `SOURCE` is replaced by the URL of the source; `more` are sections of
    /// the agent's own file.
    fn new(deployed: &str, tags: &str, more: &str) -> History {
        let stage = Stage::new(&[("app.yaml", &format!("image: HOST/org/app:{deployed}\n"))]);
        let source = Origin::create(&stage.home().join("source.git"), &[("readme", "first\n")]);
        let config = stage.home().join("history.yaml");
        let fill =
            |text: &str| text.replace("SOURCE", &stage.sshd.url(&source)).replace("HOST", &stage.registry.host());
        let text = format!(
            "{}registries:\n- {{ host: \"{host}\", plainHttp: true }}\npolicies:\n- images: [\"{host}/org/*\"]\n  tags: {}\n{}",
            stage.sshd.config(&stage.origin),
            fill(tags),
            fill(more),
            host = stage.registry.host(),
        );
        std::fs::write(&config, text).expect("written");
        History { stage, source, config }
    }

    /// The usual policy, and a first commit that is deployed.
    fn usual() -> (History, String) {
        let history = History::new("latest", "{ sha: { order: commit, source: SOURCE } }", "");
        let first = history.source.tip();
        history.build(&first, 1);
        history.moves_to(&first);
        (history, first)
    }

    /// Builds an image of a commit, at an hour of the day.
    fn build(&self, tag: &str, hour: u32) {
        self.stage.registry.push("org/app", tag, &at(hour));
    }

    fn commit(&self, text: &str) -> String {
        self.source.commit(text, &[("readme", text)])
    }

    /// A commit on `main` that is then removed, so that only another branch has it.
    fn commit_elsewhere(&self, branch: &str, text: &str) -> String {
        let tip = self.source.tip();
        let commit = self.commit(text);
        git(&self.source.path, &["update-ref", &format!("refs/heads/{branch}"), &commit]);
        git(&self.source.path, &["update-ref", "refs/heads/main", &tip]);
        commit
    }

    fn sync(&self) -> Run {
        let config = self.config.display().to_string();
        run(self.stage.home(), &["sync", "--output", "json", "--config", &config])
    }

    fn deployed(&self) -> String {
        self.stage.origin.read("app.yaml").trim_end().rsplit(':').next().expect("a tag").to_owned()
    }

    fn back_to(&self, tag: &str) {
        let image = self.stage.image("app");
        self.stage.origin.back(&[&image], &[("app.yaml", &format!("image: {image}:{tag}\n"))]);
    }

    #[track_caller]
    fn moves_to(&self, tag: &str) {
        let run = self.sync().ok();
        assert_eq!(self.deployed(), tag, "{run:#?}");
        assert!(run.json()["commit"].is_string(), "{run:#?}");
    }

    /// Panics if anything moves; returns the reason and detail.
    #[track_caller]
    fn stays(&self) -> (String, String) {
        let before = self.deployed();
        let run = self.sync();
        assert_eq!(self.deployed(), before, "{run:#?}");
        let report = run.json();
        assert_eq!(report["commit"], Value::Null);
        let skipped = &report["skipped"][0];
        (skipped["reason"].as_str().expect("text").to_owned(), skipped["detail"].as_str().expect("text").to_owned())
    }

    /// The only clone of a source in the cache.
    fn clone(&self) -> PathBuf {
        let sources = std::fs::read_dir(self.stage.home().join(".cache/tagalong/sources")).expect("clones");
        let clones: Vec<PathBuf> = sources.map(|entry| entry.expect("an entry").path().join("clone.git")).collect();
        assert_eq!(clones.len(), 1);
        clones[0].clone()
    }
}

fn at(hour: u32) -> String {
    format!("2026-04-{:02}T{:02}:00:00Z", 1 + hour / 24, hour % 24)
}

#[test]
fn the_position_in_history_decides_not_the_build_time() {
    let (history, first) = History::usual();
    let (second, third) = (history.commit("second"), history.commit("third"));
    history.build(&third, 3);
    history.moves_to(&third);
    // An older commit that is built later, by a repeated or a slow pipeline.
    history.build(&second, 9);
    assert_eq!(history.stays().0, "up-to-date");
    // The newest commit need not have the newest image: this one was built before all others, by its clock.
    let fourth = history.commit("fourth");
    history.build(&fourth, 2);
    history.moves_to(&fourth);
    // Short tags with a prefix. Digits alone would look like a build number.
    let has_letter = |commit: &String| commit[..9].contains(char::is_alphabetic);
    let fifth =
        (5..).map(|n| history.commit(&format!("commit {n}"))).find(has_letter).expect("one in seventy has none");
    let tag = format!("main-{}", &fifth[..9]);
    history.build(&tag, 1);
    history.moves_to(&tag);
    // After going back by hand, only the next commit moves it forward.
    history.back_to(&first);
    history.moves_to(&tag);
}

#[test]
fn tags_of_one_build_are_one_candidate() {
    let (history, first) = History::usual();
    let registry = &history.stage.registry;
    registry.tag("org/app", &first, &first[..7]);
    assert_eq!(history.stays().0, "up-to-date");
    let by_hand = format!("image: {}:{}\n", history.stage.image("app"), &first[..7]);
    history.stage.origin.commit("a short one", &[("app.yaml", &by_hand)]);
    let second = history.commit("second");
    history.build(&second, 2);
    registry.tag("org/app", &second, &second[..7]);
    history.moves_to(&second[..7]);
    assert_eq!(history.stays().0, "up-to-date");

    // The platforms of an index come before it.
    let third = history.commit("third");
    registry.push_index("org/app", &third, &at(3));
    let platforms = registry.platforms("org/app", &third);
    for (digest, architecture) in platforms.iter().zip(["amd64", "arm64"]) {
        registry.tag("org/app", digest, &format!("{architecture}-{}", &third[..7]));
    }
    registry.untag("org/app", &third);
    let (reason, detail) = history.stays();
    assert_eq!(reason, "no-candidate");
    assert!(detail.contains("it serves one platform"), "{detail}");
    registry.push_index("org/app", &third, &at(3));
    registry.tag("org/app", &third, &third[..7]);
    history.moves_to(&third[..7]);

    // An image of one platform replaces an index only if it has the same form of name.
    let fourth = history.commit("fourth");
    history.build(&format!("main-{}", &fourth[..7]), 4);
    assert_eq!(history.stays().0, "no-candidate");
    history.build(&fourth[..7], 5);
    history.moves_to(&fourth[..7]);
    // Two builds of the same commit are two builds.
    let fifth = history.commit("fifth");
    history.build(&fifth[..7], 6);
    history.build(&format!("main-{}", &fifth[..7]), 7);
    let (reason, detail) = history.stays();
    assert_eq!(reason, "no-candidate");
    assert!(detail.contains("are different builds and equally new"), "{detail}");
}

#[test]
fn digit_only_commits_are_recognized_by_the_history() {
    let (history, _) = History::usual();
    let digits = |id: &String| id[..7].bytes().all(|b| b.is_ascii_digit());
    let number = (0..).map(|n| history.commit(&format!("number {n}"))).find(digits).expect("one in 27");
    history.build(&number[..7], 2);
    history.moves_to(&number[..7]);
    // The newest number is not a commit.
    let other = if number.starts_with('1') { "2222222" } else { "1111111" };
    history.build(other, 3);
    assert_eq!(history.stays().0, "up-to-date");
    let image = history.stage.image("app");
    let config = history.config.display().to_string();
    let text = run(history.stage.home(), &["explain", &image, "--config", &config]).ok().stdout;
    assert!(
        text.contains(&format!("  {other} consists of digits only, and no commit on the branch begins with it\n")),
        "{text}"
    );
}

#[test]
fn commits_off_the_branch_are_never_chosen() {
    let (history, _) = History::usual();
    let feature = history.commit_elsewhere("feature", "a feature");
    history.build(&feature, 5);
    assert_eq!(history.stays().0, "up-to-date");

    // After the merge, it is still not on the branch's first-parent history: the merge commit is.
    let second = history.commit("second");
    history.build(&second, 6);
    history.moves_to(&second);
    let tree = git(&history.source.path, &["rev-parse", "main^{tree}"]);
    let merge = git(
        &history.source.path,
        &["commit-tree", tree.trim(), "-p", &second, "-p", &feature, "-m", "merge the feature"],
    );
    git(&history.source.path, &["update-ref", "refs/heads/main", merge.trim()]);
    assert_eq!(history.stays().0, "up-to-date");
    history.build(merge.trim(), 7);
    history.moves_to(merge.trim());
}

#[test]
fn after_a_force_push_the_next_build_is_deployed() {
    let (history, first) = History::usual();
    let second = history.commit("second");
    history.build(&second, 5);
    history.moves_to(&second);

    // The branch is reset: nothing on it was built after the deployed image.
    git(&history.source.path, &["update-ref", "refs/heads/main", &first]);
    let (reason, detail) = history.stays();
    assert_eq!(reason, "no-candidate");
    assert!(detail.contains("tags are never moved back"), "{detail}");

    // And continues with other commits.
    let other = history.commit("the second in other words");
    history.build(&other, 6);
    history.moves_to(&other);
    // The commit that was deployed before is off the branch, however often it is built again.
    history.build(&second, 9);
    assert_eq!(history.stays().0, "up-to-date");

    // Losing the cache changes nothing.
    git(&history.source.path, &["update-ref", "refs/heads/main", &first]);
    std::fs::remove_dir_all(history.stage.home().join(".cache")).expect("removed");
    assert_eq!(history.stays().0, "no-candidate");
    let again = history.commit("the second in third words");
    history.build(&again, 7);
    history.moves_to(&again);
}

#[test]
fn only_the_necessary_history_is_fetched() {
    let (history, _) = History::usual();
    let ids = grow(&history.source.path, 300);
    history.build(&ids[299], 2);
    // A new replica: its cache is empty.
    let lose_cache = || std::fs::remove_dir_all(history.stage.home().join(".cache")).expect("removed");
    let count = || git(&history.clone(), &["rev-list", "--count", "--all"]).trim().parse::<u32>().expect("a number");
    lose_cache();
    history.moves_to(&ids[299]);
    assert_eq!(count(), 50);

    // The deployed commit is far back and was built last: only its position shows that the tip is newer.
    let back = &ids[20];
    history.build(back, 9);
    history.back_to(back);
    history.moves_to(&ids[299]);
    assert_eq!(count(), 301);
}

#[test]
fn images_name_their_source() {
    let history = History::new(
        "build-1",
        "{ sha: { order: commit, pattern: '^build-[0-9]+$' } }",
        "sources:\n- { url: SOURCE, insteadOf: 'https://git.example.com/org/app', ssh: { keyFile: KEY, knownHostsFile: TRUSTED } }\n",
    );
    let text = std::fs::read_to_string(&history.config).expect("there");
    let text = text
        .replace("KEY", &history.stage.sshd.key().display().to_string())
        .replace("TRUSTED", &history.stage.sshd.known_hosts().display().to_string());
    std::fs::write(&history.config, text).expect("written");
    let (first, second) = (history.source.tip(), history.commit("second"));
    let push = |tag: &str, revision: &str, source: &str| {
        let labels = [("org.opencontainers.image.revision", revision), ("org.opencontainers.image.source", source)];
        history.stage.registry.push_labelled("org/app", tag, &at(1), &labels);
    };
    let url = "https://git.example.com/org/app";
    push("build-1", &first, url);
    push("build-2", &second, url);
    history.stage.registry.push("org/app", "build-3", &at(5));
    history.moves_to("build-2");

    // Labels cannot lead to hosts that the agent's own file does not name.
    push("build-2", &second, "https://evil.example.com/org/app");
    std::fs::remove_dir_all(history.stage.home().join(".cache")).expect("removed");
    let (reason, detail) = history.stays();
    assert_eq!(reason, "no-candidate");
    assert!(detail.contains("https://evil.example.com/org/app is not allowed"), "{detail}");
    push("build-2", &second, "https://u:sesame-7@git.example.com/org/app");
    std::fs::remove_dir_all(history.stage.home().join(".cache")).expect("removed");
    assert_eq!(history.stays().0, "up-to-date");
}

#[test]
fn the_infrastructure_repository_cannot_lead_to_other_sources() {
    let history = History::new("latest", "{ sha: {} }", "");
    let host = history.stage.registry.host();
    let text = std::fs::read_to_string(&history.config).expect("there");
    let own = text.split("policies:").next().expect("text").to_owned();
    std::fs::write(&history.config, own).expect("written");
    history.build(&history.source.tip(), 1);
    let policy = |source: &str| {
        let text = format!(
            "policies:\n- images: ['{host}/org/*']\n  tags: {{ sha: {{ order: commit, source: '{source}' }} }}\n"
        );
        history.stage.origin.commit("a policy", &[("tagalong.yaml", &text)]);
    };
    for source in ["https://evil.example.com/x", &history.source.path.display().to_string()] {
        policy(source);
        let (reason, detail) = history.stays();
        assert_eq!(reason, "no-candidate");
        assert!(detail.contains("is not allowed; add it to `sources`"), "{detail}");
    }
    // Sources on the git server of the infrastructure repository may be read, with its key.
    policy(&history.stage.sshd.url(&history.source));
    history.moves_to(&history.source.tip());
}

#[test]
fn an_ambiguous_sha_is_reported() {
    let (history, _) = History::usual();
    // Two commits whose IDs begin alike.
    let object = |parent: Option<&str>, message: &str| {
        let parent = parent.map(|id| format!("parent {id}\n")).unwrap_or_default();
        let who = "Ada <ada@example.com> 1767225600 +0000";
        let tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
        let text = format!("tree {tree}\n{parent}author {who}\ncommitter {who}\n\n{message}\n");
        with_stdin(&history.source.path, &["hash-object", "-w", "-t", "commit", "--stdin"], &text)
    };
    with_stdin(&history.source.path, &["hash-object", "-w", "-t", "tree", "--stdin"], "");
    let one = object(None, "first");
    let two = object(Some(&one), "122683677");
    assert_eq!((one[..7] == two[..7], one == two), (true, false));
    git(&history.source.path, &["update-ref", "refs/heads/main", &two]);
    let infra = |tag: &str| format!("image: {}:{tag}\n", history.stage.image("app"));
    history.stage.origin.commit("placeholder", &[("app.yaml", &infra("latest"))]);
    history.build(&two[..7], 5);
    let (reason, detail) = history.stays();
    assert_eq!(reason, "no-candidate");
    assert!(detail.contains("could be any of several commits"), "{detail}");
    history.build(&one[..8], 4);
    let run = history.sync().ok();
    assert_eq!(history.deployed(), one[..8], "{run:#?}");
    assert!(run.stderr.contains(&format!("{} is ignored: it could be any of the commits", &two[..7])), "{run:#?}");
    // The image itself can resolve it.
    history.stage.registry.push_labelled("org/app", &two[..7], &at(6), &[("org.opencontainers.image.revision", &two)]);
    std::fs::remove_dir_all(history.stage.home().join(".cache")).expect("removed");
    history.moves_to(&two[..7]);
}

#[test]
fn mistakes_are_reported_and_sources_are_checked() {
    let wrong = History::new("latest", "{ sha: { order: built, branch: main } }", "sources:\n- { insteadOf: x }\n");
    let said = wrong.sync().fails_with(2).stderr;
    assert!(said.contains("policies[0].tags.sha: `source` and `branch` require `order: commit`"), "{said}");
    assert!(said.contains("sources[0].insteadOf: not a URL"), "{said}");
    assert!(said.contains("sources[0]: `url` is required"), "{said}");

    let (history, first) = History::usual();
    let check = || {
        let config = history.config.display().to_string();
        run(history.stage.home(), &["check", "--config", &config])
    };
    let run = check().ok();
    assert!(run.stdout.contains(&format!("ok      source {}", history.stage.sshd.url(&history.source))), "{run:#?}");
    assert!(run.stdout.contains(&format!("main is at {first}")), "{run:#?}");
    git(&history.source.path, &["branch", "-m", "main", "trunk"]);
    let run = check();
    assert!(run.stdout.contains("help: set `branch` beside `order: commit`; the source has trunk"), "{run:#?}");
    assert_eq!(run.code, 2);
}

#[test]
fn an_unreachable_source_affects_only_its_own_images() {
    let history = History::new("latest", "{ sha: { order: commit, source: SOURCE-gone } }", "");
    let host = history.stage.registry.host();
    let text = std::fs::read_to_string(&history.config).expect("there");
    let more = format!("- images: [\"{host}/other/*\"]\n  tags: {{ sha: {{}} }}\n");
    std::fs::write(&history.config, text + &more).expect("written");
    history.stage.origin.commit("another", &[("other.yaml", &format!("image: {host}/other/app:latest\n"))]);
    history.build("aaaaaa1", 1);
    history.stage.registry.push("other/app", "aaaaaa2", &at(1));
    let run = history.sync();
    assert_eq!(run.code, 5, "{run:#?}");
    assert_eq!(history.deployed(), "latest");
    assert!(history.stage.origin.read("other.yaml").ends_with("aaaaaa2\n"), "{run:#?}");
    assert_eq!(run.json()["skipped"][0]["reason"], "registry-error");
}

/// Adds this many commits to the branch; returns their IDs, oldest first.
fn grow(repository: &Path, count: usize) -> Vec<String> {
    let tip = git(repository, &["rev-parse", "main"]);
    let commit = |n: usize| {
        let from = if n == 0 { format!("from {}", tip) } else { String::new() };
        format!(
            "commit refs/heads/main\ncommitter Ada <ada@example.com> {} +0000\ndata 1\nx\n{from}M 644 inline n\ndata {}\n{n}\n\n",
            1_767_225_600 + n,
            n.to_string().len() + 1
        )
    };
    let stream: String = (0..count).map(commit).collect();
    with_stdin(repository, &["fast-import", "--quiet"], &stream);
    let ids = git(repository, &["rev-list", "--reverse", &format!("{}..main", tip.trim())]);
    ids.lines().map(str::to_owned).collect()
}

fn with_stdin(repository: &Path, arguments: &[&str], text: &str) -> String {
    let mut child = Command::new("git")
        .current_dir(repository)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git starts");
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "git {arguments:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
