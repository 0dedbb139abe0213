//! A real Prometheus, and promtool.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::agent::Agent;
use super::process::{Server, free_port, wait_until};

/// A Prometheus that runs until this value is dropped.
pub struct Prometheus {
    _server: Server,
    address: String,
}

impl Prometheus {
    /// Starts a server that scrapes these addresses, with its storage in `folder`.
    pub fn start(folder: &Path, targets: &[&str]) -> Prometheus {
        fs::create_dir_all(folder).expect("a folder");
        let job = json!({ "job_name": "tagalong", "static_configs": [{ "targets": targets }] });
        let config = json!({ "global": { "scrape_interval": "200ms" }, "scrape_configs": [job] });
        let file = folder.join("prometheus.yml");
        fs::write(&file, config.to_string()).expect("written");
        loop {
            let address = format!("127.0.0.1:{}", free_port());
            let mut server = Server::start("prometheus", |command| {
                command
                    .args(["--log.level=error", &format!("--web.listen-address={address}")])
                    .arg(format!("--config.file={}", file.display()))
                    .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            });
            let (mut is_ready, ready) = (false, "/-/ready");
            wait_until("Prometheus is ready, or has ended", || {
                is_ready = get(&address, ready).is_some_and(|(head, _)| head.contains(" 200 "));
                is_ready || server.has_ended()
            });
            // Somebody else may have taken the port.
            if is_ready {
                return Prometheus { _server: server, address };
            }
        }
    }

    /// The series of an expression, with their values.
    pub fn query(&self, expression: &str) -> Vec<(Value, f64)> {
        let url = url::Url::parse_with_params("http://host/api/v1/query", [("query", expression)]).expect("a URL");
        let target = format!("{}?{}", url.path(), url.query().expect("a query"));
        let (_, body) = get(&self.address, &target).expect("an answer");
        let answer: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(answer["status"], "success", "{expression}: {body}");
        let series = answer["data"]["result"].as_array().expect("a list").iter();
        let value = |series: &Value| series["value"][1].as_str().expect("a value").parse().expect("a number");
        series.map(|series| (series["metric"].clone(), value(series))).collect()
    }
}

/// Head and body of a page; `None` if nothing listens. HTTP/1.0 rules out chunks.
pub fn get(address: &str, target: &str) -> Option<(String, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {target} HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.to_owned(), body.to_owned()))
}

/// Runs promtool in a folder, and returns its output. Fails if it complains.
#[track_caller]
pub fn promtool(folder: &Path, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("sent");
    let output = child.wait_with_output().expect("promtool ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {arguments:?}: {text}\n{input}");
    text
}

/// Checks the metrics of an agent: promtool finds nothing wrong with them, both formats have the same samples, and
/// `docs/metrics.md` has each family with its type and labels.
#[track_caller]
pub fn check(agent: &Agent) {
    let (text, open_metrics) = (agent.get("/metrics"), agent.open_metrics());
    assert!(text.headers.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{text:?}");
    let media_type = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n";
    assert!(open_metrics.headers.contains(media_type), "{open_metrics:?}");
    assert!(open_metrics.body.ends_with("# EOF\n"), "{open_metrics:?}");
    assert_eq!(promtool(Path::new("/"), &["check", "metrics"], &text.body), "");
    assert_eq!(names(&text.body), names(&open_metrics.body));
    let documented = documented();
    for (name, family) in families(&text.body) {
        assert_eq!(documented.get(&name), Some(&family), "docs/metrics.md about {name}");
    }
}

/// The names of all samples, with their labels.
fn names(metrics: &str) -> BTreeSet<&str> {
    let samples = metrics.lines().filter(|line| !line.starts_with('#'));
    samples.filter_map(|sample| sample.rsplit_once(' ')).map(|(name, _)| name).collect()
}

/// What is known about a family: its type, its unit and its labels.
type Family = (String, String, BTreeSet<String>);

/// The families in a text, by name.
fn families(text: &str) -> BTreeMap<String, Family> {
    let mut families = BTreeMap::new();
    let (mut name, mut kind) = ("", "");
    for line in text.lines() {
        if let Some(typed) = line.strip_prefix("# TYPE ") {
            (name, kind) = typed.split_once(' ').expect("a type");
        } else if !line.starts_with('#') {
            let base = name.strip_suffix("_total").unwrap_or(name);
            let unit = ["seconds", "bytes"].into_iter().find(|unit| base.ends_with(&format!("_{unit}")));
            let labels = line.split_once('{').map_or("", |(_, rest)| rest);
            let labels = labels.split("=\"").filter_map(|part| part.rsplit(['"', ',']).next());
            let labels = labels.filter(|label| label.starts_with(|c: char| c.is_ascii_lowercase()) && *label != "le");
            let unit = unit.unwrap_or_default().to_owned();
            families.insert(name.to_owned(), (kind.to_owned(), unit, labels.map(str::to_owned).collect()));
        }
    }
    families
}

/// The families in `docs/metrics.md`, by name.
pub fn documented() -> BTreeMap<String, Family> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md")).expect("text");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<&str>>());
    let family = |cells: Vec<&str>| {
        let labels = cells[4].split(", ").filter(|label| !label.is_empty()).map(|label| label.replace('`', ""));
        (cells[1].replace('`', ""), (cells[2].to_owned(), cells[3].to_owned(), labels.collect()))
    };
    cells.map(family).collect()
}
