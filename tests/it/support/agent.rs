//! The agent as a process: its log, its server, its end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use super::process::wait_until;
use super::tagalong;

/// An agent that is killed when this value is dropped.
pub struct Agent {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

/// A response of the agent's server.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub headers: String,
    pub body: String,
}

impl Agent {
    /// Starts the agent with a configuration.
    pub fn start(home: &Path, config: &Path) -> Agent {
        let mut command = tagalong::command(home);
        command.args(["run", "--log-format", "json", "--config"]).arg(config);
        Agent::spawn(command)
    }

    /// Starts the agent with a command of the test's own.
    pub fn spawn(mut command: Command) -> Agent {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the agent starts");
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let (lines, stderr) = (Arc::clone(&log), child.stderr.take().expect("a pipe"));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.lock().expect("unpoisoned").push(line);
            }
        });
        Agent { child, log }
    }

    pub fn log(&self) -> String {
        self.log.lock().expect("unpoisoned").join("\n")
    }

    /// The number of finished cycles, whatever their result.
    #[allow(dead_code, reason = "the soak tests use it")]
    pub fn cycles(&self) -> usize {
        let ended = |line: &&String| line.contains("cycle finished") || line.contains("cycle failed");
        self.log.lock().expect("unpoisoned").iter().filter(ended).count()
    }

    /// Waits until the log contains a text.
    pub fn wait_for(&self, text: &str) {
        wait_until(&format!("the log says {text}"), || self.log().contains(text));
    }

    /// The address of its server.
    pub fn address(&self) -> String {
        self.wait_for("serving health, metrics and status");
        let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok();
        let log = self.log();
        let said = log.lines().filter_map(line).find_map(|line| line["address"].as_str().map(str::to_owned));
        said.unwrap_or_else(|| panic!("no address in {log}"))
    }

    /// Sends its server a GET request.
    pub fn get(&self, target: &str) -> Page {
        self.ask("GET", target, "", "")
    }

    /// Sends its server a request; `headers` are lines with line endings.
    pub fn ask(&self, method: &str, target: &str, headers: &str, body: &str) -> Page {
        let address = self.address();
        let mut stream = TcpStream::connect(&address).expect("it listens");
        let length = body.len();
        write!(
            stream,
            "{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        )
        .expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        let (headers, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let status = headers.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        Page { status, headers: headers.to_ascii_lowercase(), body: body.to_owned() }
    }

    /// The current value of one of its metrics; 0 if there is none yet.
    #[allow(dead_code, reason = "the soak tests use it")]
    pub fn metric(&self, name: &str) -> f64 {
        let metrics = self.get("/metrics").body;
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// The sum of all series of a metric.
    pub fn sum(&self, name: &str) -> f64 {
        let metrics = self.get("/metrics").body;
        let values = metrics.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once(' '));
        values.map(|(_, value)| value.parse::<f64>().expect("a number")).sum()
    }

    /// Its metrics in OpenMetrics format.
    pub fn open_metrics(&self) -> Page {
        self.ask("GET", "/metrics", "Accept: application/openmetrics-text;version=1.0.0\r\n", "")
    }

    /// Waits until one of its metrics has a value.
    pub fn wait_for_metric(&self, line: &str) {
        wait_until(line, || self.get("/metrics").body.lines().any(|is| is == line));
    }

    /// Its current memory in kilobytes (`VmRSS` in proc(5)).
    #[allow(dead_code, reason = "the soak tests use it")]
    pub fn memory(&self) -> u64 {
        memory_of(self.child.id(), "VmRSS:")
    }

    /// The most memory that it has had, in kilobytes (`VmHWM` in proc(5)).
    pub fn peak_memory(&self) -> u64 {
        memory_of(self.child.id(), "VmHWM:")
    }

    /// The number of its open files, connections among them.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("Linux").count()
    }

    /// Limits the number of its open files from now on.
    pub fn limit_open_files(&self, most: usize) {
        let (id, limit) = (self.child.id().to_string(), format!("--nofile={most}:{most}"));
        assert!(Command::new("prlimit").args(["--pid", &id, &limit]).status().expect("prlimit starts").success());
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().expect("kill starts").success());
    }

    /// Asks it to stop, and returns its exit code and log.
    pub fn stop(mut self) -> (i32, String) {
        self.signal("TERM");
        self.wait()
    }

    /// Waits until it ends by itself, and returns its exit code.
    pub fn code(&mut self) -> i32 {
        let mut ended = None;
        wait_until("the agent ends", || {
            ended = self.child.try_wait().expect("its state");
            ended.is_some()
        });
        ended.and_then(|status| status.code()).unwrap_or(-1)
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> (i32, String) {
        let mut ended = None;
        wait_until("the agent ends", || {
            ended = self.child.try_wait().expect("its state");
            ended.is_some()
        });
        self.wait_for("the agent has stopped");
        (ended.and_then(|status| status.code()).unwrap_or(-1), self.log())
    }
}

fn memory_of(process: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a size");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
