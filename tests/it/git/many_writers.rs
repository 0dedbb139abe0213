//! Agents, CI jobs and people on one branch at the same time: every field ends up right, nobody's work is lost, and
//! history is linear. `./test --large` runs more of them.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support;
use crate::support::git::{HttpGit, git};
use crate::support::infra::Stage;
use crate::support::process::wait_until;
use crate::support::tagalong::{self, Run};

const OLD: &str = "2026-04-01T10:00:00Z";
const NEW: &str = "2026-04-02T10:00:00Z";

/// The number of writers.
struct Size {
    agents: usize,
    jobs: usize,
    person: usize,
}

fn size() -> Size {
    if support::is_large() { Size { agents: 4, jobs: 40, person: 20 } } else { Size { agents: 2, jobs: 6, person: 3 } }
}

fn file(kind: &str, n: usize) -> String {
    format!("apps/{kind}-{n}/deployment.yaml")
}

/// Jobs set images that no policy governs, so that agents leave them alone.
fn text(kind: &str, n: usize, tag: &str) -> String {
    format!("kind: Deployment # {n}\nspec:\n  containers:\n  - image: HOST/{kind}/service-{n}:{tag}\n")
}

/// A stage with a field for each job and for each followed image.
fn stage(jobs: usize, followed: usize) -> Stage {
    let mut files: Vec<(String, String)> = (0..jobs).map(|n| (file("ci", n), text("ci", n, "aaaaaa0"))).collect();
    files.extend((0..followed).map(|n| (file("org", n), text("org", n, "aaaaaa0"))));
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let stage = Stage::new(&files);
    for n in 0..jobs {
        stage.registry.push(&format!("ci/service-{n}"), "bbbbbb1", NEW);
    }
    for n in 0..followed {
        stage.registry.push(&format!("org/service-{n}"), "aaaaaa0", OLD);
    }
    stage
}

/// Runs a CI job; each has a cache of its own, as on a machine of its own.
fn job(stage: &Stage, config: &Path, n: usize) -> Run {
    let image = format!("{}/ci/service-{n}:bbbbbb1", stage.registry.host());
    let cache = stage.home().join(format!("cache-{n}")).display().to_string();
    let config = config.display().to_string();
    let arguments = ["set", &image, "--config", &config, "--cache-dir", &cache, "--output", "json"];
    tagalong::run(stage.home(), &arguments)
}

/// Runs the jobs concurrently and returns how many pushes each of them tried.
fn jobs(stage: &Stage, config: &Path, count: usize) -> Vec<u64> {
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..count).map(|n| scope.spawn(move || job(stage, config, n))).collect();
        let attempts = |run: Run| run.ok().json()["attempts"].as_u64().expect("a number");
        runs.into_iter().map(|run| attempts(run.join().expect("a run"))).collect()
    })
}

#[track_caller]
fn all_read(stage: &Stage, kind: &str, count: usize, tag: &str) {
    for n in 0..count {
        let expected = text(kind, n, tag).replace("HOST", &stage.registry.host());
        assert_eq!(stage.origin.read(&file(kind, n)), expected);
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures are to be seen with --nocapture")]
fn concurrent_jobs_over_https_all_succeed() {
    let count = if support::is_large() { 20 } else { 6 };
    let stage = stage(count, 0);
    git(&stage.origin.path, &["config", "http.receivepack", "true"]);
    support::certificates::make(stage.home());
    let https = HttpGit::start_tls(stage.home(), Some("t0ken"), stage.home());
    fs::write(stage.home().join("token"), "t0ken").expect("written");
    let config = stage.home().join("https.yaml");
    let text = format!(
        "git:\n  url: {}\n  https: {{ tokenFile: {home}/token, caFile: {home}/ca.pem }}\nregistries: [{{ host: \"{}\", plainHttp: true }}]\n",
        https.url("infra.git"),
        stage.registry.host(),
        home = stage.home().display()
    );
    fs::write(&config, text).expect("written");
    let begun = Instant::now();
    let attempts = jobs(&stage, &config, count);
    println!("{count} jobs over https in {:?}; pushes tried by each: {attempts:?}", begun.elapsed());
    all_read(&stage, "ci", count, "bbbbbb1");
    assert_eq!(stage.origin.subjects().len(), count + 1);
    stage.origin.is_sound();
}

/// Runs an agent with a cache of its own, asks it to stop, and returns its log.
struct Agent {
    child: Option<Child>,
    log: std::path::PathBuf,
}

impl Agent {
    fn start(stage: &Stage, config: &Path, n: usize) -> Agent {
        let log = stage.home().join(format!("agent-{n}.log"));
        let mut command = tagalong::command(stage.home());
        command.args(["run", "--log-format", "json", "--config"]).arg(config);
        command.arg("--cache-dir").arg(stage.home().join(format!("agent-{n}")));
        let child = command.stderr(fs::File::create(&log).expect("a log")).spawn().expect("it starts");
        Agent { child: Some(child), log }
    }

    /// The log lines with this message.
    fn stop(&mut self, message: &str) -> Vec<serde_json::Value> {
        if let Some(mut child) = self.child.take() {
            let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
            assert!(told.expect("kill starts").success());
            assert!(child.wait().expect("it ends").success());
        }
        let log = fs::read_to_string(&self.log).expect("a log");
        let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        lines.filter(|line| line["message"] == message).collect()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A person with a clone and the real git: commits unrelated files and pushes each, rebasing when others were first.
/// Returns how many pushes that took.
fn person(stage: &Stage, commits: usize) -> usize {
    let (key, hosts) = (stage.sshd.key(), stage.sshd.known_hosts());
    let ssh = format!("ssh -i {} -o IdentitiesOnly=yes -o UserKnownHostsFile={}", key.display(), hosts.display());
    let work = stage.home().join("person");
    let run = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(arguments).env("GIT_SSH_COMMAND", &ssh).env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.com")]);
        command.envs([("GIT_COMMITTER_NAME", "Ada"), ("GIT_COMMITTER_EMAIL", "ada@example.com")]);
        command.current_dir(if work.exists() { &work } else { stage.home() });
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("git starts").success()
    };
    assert!(run(&["clone", "--quiet", &stage.sshd.url(&stage.origin), "person"]));
    let mut pushes = 0;
    for n in 0..commits {
        fs::create_dir_all(work.join("notes")).expect("a folder");
        fs::write(work.join(format!("notes/{n}.md")), format!("note {n}\n")).expect("written");
        assert!(run(&["add", "."]) && run(&["commit", "--quiet", "-m", &format!("note {n}")]));
        loop {
            pushes += 1;
            if run(&["push", "--quiet", "origin", "main"]) {
                break;
            }
            assert!(pushes < 1_000 && run(&["pull", "--quiet", "--rebase", "origin", "main"]));
        }
    }
    pushes
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures are to be seen with --nocapture")]
fn agents_jobs_and_a_person_share_one_branch() {
    let size = size();
    let followed = size.agents;
    let stage = stage(size.jobs, followed);
    let config = stage.config_with("storm.yaml", "attempts: 30\ntimeout: 2m");
    let begun = Instant::now();
    let mut agents: Vec<Agent> = (0..size.agents).map(|n| Agent::start(&stage, &config, n)).collect();
    let (tried_by_jobs, tried_by_person) = std::thread::scope(|scope| {
        let jobs = scope.spawn(|| jobs(&stage, &config, size.jobs));
        let person = scope.spawn(|| person(&stage, size.person));
        for (day, tag) in [(3, "cccccc1"), (4, "dddddd1")] {
            for n in 0..followed {
                let built = format!("2026-04-0{day}T10:00:0{n}Z");
                stage.registry.push(&format!("org/service-{n}"), tag, &built);
                std::thread::sleep(Duration::from_millis(500));
            }
        }
        (jobs.join().expect("the jobs"), person.join().expect("the person"))
    });
    let last = |n: usize| stage.origin.read(&file("org", n)).ends_with("dddddd1\n");
    wait_until("the agents are done", || (0..followed).all(last));
    let mut by_agents = (0, 0);
    for agent in &mut agents {
        let done = agent.stop("cycle finished");
        by_agents.0 += done.iter().filter_map(|line| line["attempts"].as_u64()).sum::<u64>();
        by_agents.1 += done.iter().filter(|line| line["commit"] != "none").count() as u64;
        assert_eq!(agent.stop("cycle failed"), Vec::<serde_json::Value>::new());
    }
    let tried = tried_by_jobs.iter().sum::<u64>();
    println!("the storm took {:?}", begun.elapsed());
    println!("jobs: {} commits, {tried} pushes tried, {} lost", size.jobs, tried - size.jobs as u64);
    println!("agents: {} commits, {} pushes tried, {} lost", by_agents.1, by_agents.0, by_agents.0 - by_agents.1);
    println!("person: {} commits, {tried_by_person} pushes tried, {} lost", size.person, tried_by_person - size.person);

    all_read(&stage, "ci", size.jobs, "bbbbbb1");
    all_read(&stage, "org", followed, "dddddd1");
    for n in 0..size.person {
        assert_eq!(stage.origin.read(&format!("notes/{n}.md")), format!("note {n}\n"));
    }
    // Every commit of everyone is there, and no field was set twice by two of them.
    let commits = 1 + size.jobs + by_agents.1 as usize + size.person;
    assert_eq!(stage.origin.subjects().len(), commits);
    let trailers = git(&stage.origin.path, &["log", "--format=%(trailers:key=Tagalong-Update)", "main"]);
    let mut trailers: Vec<&str> = trailers.lines().filter(|line| !line.is_empty()).collect();
    let all = trailers.len();
    trailers.sort_unstable();
    trailers.dedup();
    assert_eq!(trailers.len(), all, "the same update was made twice");
    stage.origin.is_sound();
}

/// Someone who commits and pushes for as long as they are let, a commit in `each`, and gives how many commits they made.
fn steady_writer(stage: &Stage, url: &str, each: Duration, go_on: &AtomicBool) -> usize {
    let work = stage.home().join("writer");
    let (key, hosts) = (stage.sshd.key(), stage.sshd.known_hosts());
    let ssh = format!("ssh -F /dev/null -i {} -o UserKnownHostsFile={}", key.display(), hosts.display());
    let run = |folder: &Path, arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(folder);
        command.env("GIT_SSH_COMMAND", &ssh).env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.com")]);
        command.envs([("GIT_COMMITTER_NAME", "Ada"), ("GIT_COMMITTER_EMAIL", "ada@example.com")]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("git starts").success()
    };
    assert!(run(stage.home(), &["clone", "--quiet", url, "writer"]));
    let mut commits = 0;
    while go_on.load(Ordering::Relaxed) {
        let begun = Instant::now();
        fs::write(work.join("notes.md"), format!("note {commits}\n")).expect("written");
        assert!(run(&work, &["add", "."]) && run(&work, &["commit", "--quiet", "-m", &format!("note {commits}")]));
        while !run(&work, &["push", "--quiet", "origin", "main"]) {
            assert!(run(&work, &["pull", "--quiet", "--rebase", "origin", "main"]));
        }
        commits += 1;
        std::thread::sleep(each.saturating_sub(begun.elapsed()));
    }
    commits
}

/// One agent beside a steady writer, at a server that takes a while for each push: every image lands, nothing is lost.
#[expect(clippy::print_stdout, reason = "the figures are to be seen with --nocapture")]
fn beside_a_steady_writer(stage: &Stage, url: &str, each: Duration, server: &str) {
    let bumps = if support::is_large() { 15 } else { 3 };
    stage.origin.hook("pre-receive", &format!("sleep {server}"));
    let config = stage.config_with("steady.yaml", "attempts: 100\ntimeout: 2m");
    let mut agent = Agent::start(stage, &config, 0);
    let go_on = AtomicBool::new(true);
    let mut times = Vec::new();
    let written = std::thread::scope(|scope| {
        let writer = scope.spawn(|| steady_writer(stage, url, each, &go_on));
        for n in 0..bumps {
            let tag = format!("bbbbb{n:02x}");
            std::thread::sleep(Duration::from_millis(700));
            stage.registry.push("org/service-0", &tag, &format!("2026-04-02T10:00:{n:02}Z"));
            let begun = Instant::now();
            let ending = format!(":{tag}\n");
            while !stage.origin.read(&file("org", 0)).ends_with(&ending) && begun.elapsed() < Duration::from_secs(120) {
                std::thread::sleep(Duration::from_millis(10));
            }
            times.push(begun.elapsed());
        }
        go_on.store(false, Ordering::Relaxed);
        writer.join().expect("the writer")
    });
    assert_eq!(agent.stop("cycle failed"), Vec::<serde_json::Value>::new());
    times.sort();
    println!("a commit each {each:?}, a server that takes {server} s: from image to commit {times:?}");
    println!("median {:?}; the writer made {written} commits meanwhile", times[times.len() / 2]);
    assert_eq!(stage.origin.subjects().len(), 1 + bumps + written);
    stage.origin.is_sound();
}

#[test]
fn a_writer_who_rests_little_starves_nobody() {
    let stage = stage(0, 1);
    // On the server's own machine, so faster than anybody else.
    beside_a_steady_writer(&stage, "infra.git", Duration::from_millis(500), "0.15");
}

#[test]
fn a_writer_who_never_rests_starves_nobody() {
    let stage = stage(0, 1);
    beside_a_steady_writer(&stage, &stage.sshd.url(&stage.origin), Duration::ZERO, "0.3");
}
