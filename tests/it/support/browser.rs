//! Chromium, driven through WebDriver (https://www.w3.org/TR/webdriver2/), as a person would use it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::process::{Server, free_port, wait_until};

/// The name of Chromium on this machine, if it is installed.
pub fn chromium() -> Option<&'static str> {
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| is_there(name))
}

fn is_there(name: &str) -> bool {
    Command::new(name).arg("--version").output().is_ok_and(|run| run.status.success())
}

/// How a browser shows pages.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner {
    /// Whether it runs JavaScript.
    pub has_scripts: bool,
    /// Whether it prefers dark pages.
    pub is_dark: bool,
}

/// The text of axe-core (https://github.com/dequelabs/axe-core), which checks pages for accessibility, if it is there:
/// where `TAGALONG_TEST_AXE` says, or where `./test` puts it.
pub fn axe() -> Option<String> {
    let usual = || concat!(env!("CARGO_MANIFEST_DIR"), "/target/axe/package/axe.min.js").into();
    std::fs::read_to_string(std::env::var_os("TAGALONG_TEST_AXE").unwrap_or_else(usual)).ok()
}

/// A browser with one window, closed when this value is dropped.
pub struct Browser {
    _driver: Server,
    port: u16,
    session: String,
}

impl Browser {
    /// Starts a browser; `None` if Chromium or its driver is missing.
    pub fn start(home: &Path, manner: Manner) -> Option<Browser> {
        let chromium = chromium().filter(|_| is_there("chromedriver"))?;
        let port = free_port();
        let driver = Server::start("chromedriver", |command| {
            command.arg(format!("--port={port}")).env("HOME", home).stdout(Stdio::null()).stderr(Stdio::null())
        });
        wait_until("the driver listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        let profile = format!("--user-data-dir={}", home.join(format!("driven-{port}")).display());
        let scheme = format!("--blink-settings=preferredColorScheme={}", u8::from(!manner.is_dark));
        let arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", &profile, &scheme];
        let scripts = if manner.has_scripts { 1 } else { 2 };
        let options = json!({
            "binary": which(chromium), "args": arguments,
            "prefs": { "profile.managed_default_content_settings.javascript": scripts },
        });
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } } } });
        let mut browser = Browser { _driver: driver, port, session: String::new() };
        let opened = browser.ask("POST", "/session", &wanted);
        browser.session = opened["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {opened}")).to_owned();
        Some(browser)
    }

    /// Opens an address.
    pub fn open(&self, url: &str) {
        self.tell("url", &json!({ "url": url }));
    }

    /// The current address.
    pub fn url(&self) -> String {
        self.get("url").as_str().expect("an address").to_owned()
    }

    /// Does something that leads to another address, and waits for it: the click returns before the form has been sent.
    pub fn follow(&self, go: impl FnOnce(&Browser)) {
        let before = self.url();
        go(self);
        wait_until("another address is open", || self.url() != before);
    }

    /// Sets the width of the page.
    pub fn resize(&self, width: u32) {
        // A window cannot be as narrow as a phone, but a page can.
        let screen = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        let command = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": screen });
        self.tell("goog/cdp/execute", &command);
    }

    /// The violations that axe-core finds on the page.
    pub fn violations(&self, axe: &str) -> Value {
        self.evaluate(&format!("{axe}\n"));
        let script = "const done = arguments[0]; \
            axe.run().then((found) => done(found.violations.map((one) => [one.id, one.nodes.map((node) => node.html)])), \
            (error) => done(String(error)));";
        self.tell("execute/async", &json!({ "script": script, "args": [] }))
    }

    /// Clicks on the element that a CSS selector finds.
    pub fn click(&self, selector: &str) {
        let element = self.find(selector);
        self.tell(&format!("element/{element}/click"), &json!({}));
    }

    /// Types a text into the element that a CSS selector finds.
    pub fn write(&self, selector: &str, text: &str) {
        let element = self.find(selector);
        self.tell(&format!("element/{element}/value"), &json!({ "text": text }));
    }

    /// The displayed text of the element that a CSS selector finds.
    pub fn text(&self, selector: &str) -> String {
        let element = self.find(selector);
        self.get(&format!("element/{element}/text")).as_str().expect("a text").to_owned()
    }

    /// The number of elements that a CSS selector finds.
    pub fn count(&self, selector: &str) -> usize {
        let found = self.tell("elements", &json!({ "using": "css selector", "value": selector }));
        found.as_array().expect("elements").len()
    }

    /// The result of a script of the test's own.
    pub fn evaluate(&self, script: &str) -> Value {
        self.tell("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The console messages since the last call.
    pub fn console(&self) -> Vec<String> {
        let entries = self.tell("se/log", &json!({ "type": "browser" }));
        entries.as_array().expect("entries").iter().map(|entry| entry["message"].to_string()).collect()
    }

    fn find(&self, selector: &str) -> String {
        let found = self.tell("element", &json!({ "using": "css selector", "value": selector }));
        let mut ids = found.as_object().expect("an element").values();
        ids.next().and_then(Value::as_str).unwrap_or_else(|| panic!("{selector}: {found}")).to_owned()
    }

    fn get(&self, what: &str) -> Value {
        self.ask("GET", &format!("/session/{}/{what}", self.session), &Value::Null)
    }

    fn tell(&self, what: &str, body: &Value) -> Value {
        self.ask("POST", &format!("/session/{}/{what}", self.session), body)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, answer) = exchange(self.port, method, path, &body).expect("the driver answers");
        assert!(status.contains(" 200 "), "{method} {path}: {status} {answer}");
        serde_json::from_str::<Value>(&answer).expect("JSON")["value"].take()
    }
}

/// Sends a request and returns the status line and body of the response. The driver does not close connections.
fn exchange(port: u16, method: &str, path: &str, body: &str) -> std::io::Result<(String, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {length}\r\n\r\n{body}")?;
    let (mut reader, mut head) = (BufReader::new(stream), Vec::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        head.push(line.trim_end().to_ascii_lowercase());
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let mut answer = vec![0; length.unwrap_or_default()];
    reader.read_exact(&mut answer)?;
    Ok((head.first().cloned().unwrap_or_default(), String::from_utf8_lossy(&answer).into_owned()))
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver closes the browser with the session; there is nobody to report a failure to.
        let _ = exchange(self.port, "DELETE", &format!("/session/{}", self.session), "");
    }
}

/// The path of a program, because the driver only looks for some names.
fn which(name: &str) -> String {
    let found = Command::new("which").arg(name).output().expect("which starts");
    String::from_utf8_lossy(&found.stdout).trim().to_owned()
}
