//! One update, from a tag to a pushed commit, compared with the shell job that it replaces: repositories of three files, of
//! five hundred and of ten thousand apps, the same server, the same machine, in turns. Only the ratio matters. The ssh
//! connections are counted in the server's log.
//!
//! `cargo bench --bench bump`; `-- 3 500` measures the smaller ones. `TAGALONG_BENCH_BEFORE` names another build of the
//! program, which is measured as well.
#![allow(clippy::print_stdout, reason = "the table is what it is for")]

#[path = "support/mod.rs"]
mod made_up;
#[path = "../tests/it/support/mod.rs"]
#[allow(dead_code, reason = "this uses a part of it")]
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use made_up::{BUMPED, OF_INTEREST};
use support::agent::Agent;
use support::git::{HttpGit, Origin, Sshd, git};
use support::registry::{Kind, Registry};

/// How many times each variant runs.
const TURNS: usize = 5;

struct Bench {
    folder: tempfile::TempDir,
    registry: Registry,
    origin: Origin,
    sshd: Sshd,
    http: HttpGit,
    tags: std::cell::Cell<usize>,
}

/// The measurements of one variant.
struct Measured {
    way: String,
    times: Vec<Duration>,
    bytes: Option<u64>,
    /// ssh connections for each turn.
    connections: f64,
}

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        // `cargo test` only checks that it compiles.
        return;
    }
    let asked: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let before = std::env::var_os("TAGALONG_BENCH_BEFORE").map(PathBuf::from);
    for files in [3, 500, 3 * made_up::APPS].into_iter().filter(|size| asked.is_empty() || asked.contains(size)) {
        let bench = Bench::new(files);
        for transport in ["ssh", "http"] {
            let mut all = vec![bench.shell(transport)];
            let own = PathBuf::from(env!("CARGO_BIN_EXE_tagalong"));
            for (program, name) in [(Some(&own), ""), (before.as_ref(), ", version before")] {
                let Some(program) = program else { continue };
                all.push(bench.set(program, transport, &format!("set, cold{name}"), true));
                all.push(bench.set(program, transport, &format!("set, clone at hand{name}"), false));
            }
            all.extend(bench.agent(transport));
            all.push(bench.handshake(transport));
            if transport == "ssh" {
                all.push(bench.bare_ssh());
            }
            println!(
                "\n{files} files over {transport:6}               median   the shell job takes   connections   on disk"
            );
            let base = median(&all[0].times);
            for Measured { way, times, bytes, connections } in &all {
                let time = median(times);
                let bytes = bytes.map(|bytes| format!("{:.1} MB", bytes as f64 / 1e6)).unwrap_or_default();
                let ratio = base.as_secs_f64() / time.as_secs_f64();
                let connections = if transport == "ssh" { format!("{connections:.1}") } else { String::new() };
                println!(
                    "{way:36} {:>6.0} ms   {ratio:>12.1} times   {connections:>11}   {bytes:>7}",
                    time.as_secs_f64() * 1e3
                );
            }
        }
    }
}

impl Bench {
    fn new(files: usize) -> Bench {
        let folder = tempfile::tempdir().expect("a folder");
        let registry = Registry::start(&folder.path().join("registry"), Kind::Plain);
        let host = registry.host();
        let is_bumped = |file: &str| file.contains(&format!("/app-{BUMPED}/"));
        // The app that is bumped, and as many others.
        let (bumped, others): (Vec<_>, Vec<_>) = made_up::files().into_iter().partition(|(file, _)| is_bumped(file));
        let chosen = bumped.into_iter().chain(others).take(files);
        let chosen = chosen.map(|(file, text)| (file, text.replace("gitea.example.com", &host))).collect();
        made_up::repository(folder.path(), &chosen);
        let origin = Origin { path: folder.path().join("infra.git") };
        git(&origin.path, &["symbolic-ref", "HEAD", "refs/heads/main"]);
        git(&origin.path, &["config", "http.receivepack", "true"]);
        git(&origin.path, &["gc", "--quiet"]);
        let sshd = Sshd::start(&folder.path().join("sshd"));
        let http = HttpGit::start(folder.path(), None);
        Bench { folder, registry, origin, sshd, http, tags: std::cell::Cell::new(0) }
    }

    /// ssh connections since so many were made, for each turn.
    fn connections_since(&self, before: usize, turns: usize) -> f64 {
        (self.sshd.handshakes() - before) as f64 / turns as f64
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn image(&self) -> String {
        format!("{}/org/app-{BUMPED}", self.registry.host())
    }

    /// A tag that has not been used before; each is built after the previous one.
    fn new_tag(&self) -> String {
        let n = self.tags.get() + 1;
        self.tags.set(n);
        let tag = format!("abc{n:04x}");
        let created = format!("2026-04-01T{:02}:{:02}:00Z", n / 60, n % 60);
        self.registry.push(&format!("org/app-{BUMPED}"), &tag, &created);
        tag
    }

    fn url(&self, transport: &str) -> String {
        if transport == "ssh" { self.sshd.url(&self.origin) } else { self.http.url("infra.git") }
    }

    /// What a CI job does today.
    fn shell(&self, transport: &str) -> Measured {
        let (mut times, mut bytes, made) = (Vec::new(), None, self.sshd.handshakes());
        for _ in 0..TURNS {
            let (tag, work) = (self.new_tag(), self.path().join("work"));
            let files = format!("apps/team-{}/app-{BUMPED}", BUMPED % 100);
            let script = format!(
                "git clone --quiet --depth 1 {url} {work} && cd {work} && \
                 sed -i 's|/app-{BUMPED}:[^ ]*|/app-{BUMPED}:{tag}|' {files}/deployment.yaml && \
                 sed -i 's|^  tag: .*|  tag: \"{tag}\"|' {files}/values.yaml && \
                 git commit --quiet --all --message 'deploy {tag}' && git push --quiet origin HEAD:main",
                url = self.url(transport),
                work = work.display(),
            );
            let ssh = format!(
                "ssh -F /dev/null -i {} -o UserKnownHostsFile={}",
                self.sshd.key().display(),
                self.sshd.known_hosts().display()
            );
            let begun = Instant::now();
            let mut command = Command::new("sh");
            command.args(["-e", "-c", &script]).env("GIT_SSH_COMMAND", ssh).env("GIT_CONFIG_GLOBAL", "/dev/null");
            for role in ["AUTHOR", "COMMITTER"] {
                command.env(format!("GIT_{role}_NAME"), "CI").env(format!("GIT_{role}_EMAIL"), "ci@example.com");
            }
            assert!(command.status().expect("sh starts").success());
            times.push(begun.elapsed());
            bytes = Some(size(&work));
            self.holds(&tag);
            std::fs::remove_dir_all(&work).expect("removed");
        }
        Measured { way: "the shell job".to_owned(), times, bytes, connections: self.connections_since(made, TURNS) }
    }

    /// The command, with or without an existing clone.
    fn set(&self, program: &Path, transport: &str, way: &str, cold: bool) -> Measured {
        let (config, cache) = (self.config(transport), self.path().join(format!("cache-{transport}")));
        let (mut times, mut bytes, made) = (Vec::new(), None, self.sshd.handshakes());
        for turn in 0..=TURNS {
            if cold {
                let _ = std::fs::remove_dir_all(&cache);
            }
            let tag = self.new_tag();
            let begun = Instant::now();
            let status = Command::new(program)
                .args(["set", &format!("{}:{tag}", self.image()), "--cache-dir"])
                .arg(&cache)
                .arg("--config")
                .arg(&config)
                .stdout(Stdio::null())
                .status();
            assert!(status.expect("it starts").success());
            // The first one creates the clone that the others use.
            if turn > 0 {
                times.push(begun.elapsed());
            }
            bytes = Some(size(&cache));
            self.holds(&tag);
        }
        Measured { way: way.to_owned(), times, bytes, connections: self.connections_since(made, TURNS + 1) }
    }

    /// The agent, which has read the repository before: from the webhook to the pushed commit.
    fn agent(&self, transport: &str) -> Vec<Measured> {
        let secret = self.path().join("secret");
        std::fs::write(&secret, "open-sesame\n").expect("written");
        let policies = format!("policies:\n- images: [\"{}\"]\n  tags: {{ sha: {{ order: built }} }}\n", self.image());
        let webhooks = format!("webhooks: [{{ kind: generic, secretFile: {} }}]", secret.display());
        let agent = format!("agent:\n  interval: 1h\n  listen: 127.0.0.1:0\n  {webhooks}\n");
        let text = std::fs::read_to_string(self.config(transport)).expect("there") + &policies + &agent;
        let config = self.path().join(format!("agent-{transport}.yaml"));
        std::fs::write(&config, text).expect("written");
        let home = self.path().join(format!("home-{transport}"));
        std::fs::create_dir_all(&home).expect("a folder");
        let before = self.tip();
        self.new_tag();
        let agent = Agent::start(&home, &config);
        let arrives = |before: &str| {
            while self.tip() == before {
                std::thread::sleep(Duration::from_millis(2));
            }
        };
        // The first cycle reads everything.
        arrives(&before);
        agent.wait_for("cycle finished");
        let (mut times, made) = (Vec::new(), self.sshd.handshakes());
        for _ in 0..TURNS {
            std::thread::sleep(Duration::from_millis(500));
            let (before, tag) = (self.tip(), self.new_tag());
            let begun = Instant::now();
            self.tell(&agent.address());
            arrives(&before);
            times.push(begun.elapsed());
            self.holds(&tag);
        }
        let way = "the agent, by webhook".to_owned();
        let bump = Measured { way, times, bytes: None, connections: self.connections_since(made, TURNS) };
        vec![bump, self.steady(agent)]
    }

    /// Cycles that find nothing new, by the agent's own measure.
    fn steady(&self, agent: Agent) -> Measured {
        let (made, mut times) = (self.sshd.handshakes(), Vec::new());
        for _ in 0..TURNS {
            std::thread::sleep(Duration::from_millis(500));
            let before = cycles(&agent);
            self.tell(&agent.address());
            while cycles(&agent).0 == before.0 {
                std::thread::sleep(Duration::from_millis(5));
            }
            times.push(Duration::from_secs_f64(cycles(&agent).1 - before.1));
        }
        assert_eq!(agent.stop().0, 0);
        let way = "the agent, nothing new".to_owned();
        Measured { way, times, bytes: None, connections: self.connections_since(made, TURNS) }
    }

    fn tell(&self, address: &str) {
        let body = format!("{{\"images\": [\"{}\"]}}", self.image());
        let mut stream = TcpStream::connect(address).expect("it listens");
        write!(
            stream,
            "POST /webhooks/generic HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer open-sesame\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
    }

    /// The commit of the branch, read without a process.
    fn tip(&self) -> String {
        std::fs::read_to_string(self.origin.path.join("refs/heads/main")).unwrap_or_default()
    }

    /// One connection that only asks for the tip.
    fn handshake(&self, transport: &str) -> Measured {
        let ssh = format!(
            "ssh -F /dev/null -i {} -o UserKnownHostsFile={}",
            self.sshd.key().display(),
            self.sshd.known_hosts().display()
        );
        let ask = || {
            let begun = Instant::now();
            let mut command = Command::new("git");
            command.args(["ls-remote", "--quiet", &self.url(transport), "main"]).env("GIT_SSH_COMMAND", &ssh);
            assert!(command.stdout(Stdio::null()).status().expect("git starts").success());
            begun.elapsed()
        };
        let times = (0..TURNS).map(|_| ask()).collect();
        Measured { way: "one connection of git's".to_owned(), times, bytes: None, connections: 1.0 }
    }

    /// `ssh host true`.
    fn bare_ssh(&self) -> Measured {
        let url = self.sshd.url(&self.origin);
        let user = url.trim_start_matches("ssh://").split('@').next().unwrap_or_default();
        let run = || {
            let begun = Instant::now();
            let mut command = Command::new("ssh");
            command.args(["-F", "/dev/null", "-i"]).arg(self.sshd.key());
            command.arg("-o").arg(format!("UserKnownHostsFile={}", self.sshd.known_hosts().display()));
            command.args(["-p", &self.sshd.port().to_string(), &format!("{user}@127.0.0.1"), "true"]);
            assert!(command.status().expect("ssh starts").success());
            begun.elapsed()
        };
        let times = (0..TURNS).map(|_| run()).collect();
        Measured { way: "ssh host true".to_owned(), times, bytes: None, connections: 1.0 }
    }

    fn config(&self, transport: &str) -> PathBuf {
        let git = match transport {
            "ssh" => self.sshd.config(&self.origin),
            _ => format!("git:\n  url: {}\n", self.url(transport)),
        };
        let host = self.registry.host();
        let file = self.path().join(format!("{transport}.yaml"));
        let text = format!("{git}registries:\n- {{ host: \"{host}\", plainHttp: true }}\n");
        std::fs::write(&file, text).expect("written");
        file
    }

    /// Panics unless the branch has a tag.
    fn holds(&self, tag: &str) {
        let file = format!("apps/team-{}/app-{BUMPED}/deployment.yaml", BUMPED % 100);
        assert!(self.origin.read(&file).contains(&format!("/app-{BUMPED}:{tag} ")), "{tag} of {OF_INTEREST}");
    }
}

/// How many cycles an agent has made, and how long they took together.
fn cycles(agent: &Agent) -> (f64, f64) {
    let name = "tagalong_cycle_duration_seconds";
    (agent.metric(&format!("{name}_count")), agent.metric(&format!("{name}_sum")))
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times[times.len() / 2]
}

/// The disk space that a folder uses, in whole blocks.
fn size(folder: &Path) -> u64 {
    let entries = walkdir::WalkDir::new(folder).into_iter();
    entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.blocks() * 512)).sum()
}
