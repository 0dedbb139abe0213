//! The status page in a real browser, where there is one: it loads whole under its own policy, and is light or dark as
//! its reader wishes. What can be told without a browser is proved beside the page.

use crate::support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use support::agent::Agent;
use support::infra::Stage;
use support::process::wait_until;

fn browser() -> Option<&'static str> {
    let is_there = |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|run| run.status.success());
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find(is_there)
}

fn run(browser: &str, home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(browser);
    command.env("HOME", home).args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]);
    command.args(["--enable-logging=stderr", "--window-size=1200,900"]);
    let profile = format!("--user-data-dir={}", home.join("profile").display());
    command.arg(profile).args(arguments).output().expect("the browser starts")
}

#[test]
#[allow(clippy::print_stdout, reason = "a test that is left out says so")]
fn the_page_loads_whole_and_follows_the_readers_colours() {
    let Some(browser) = browser() else {
        println!("skipped: there is no Chromium on this machine (apt-get install chromium)");
        return;
    };
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", "2026-04-01T10:00:00Z");
    stage.registry.push("org/app", "aaaaaa2", "2026-04-02T10:00:00Z");
    let config = stage.config();
    let text = fs::read_to_string(&config).expect("there");
    // One cycle, so that the page stays as it is.
    fs::write(&config, text.replace("interval: 200ms", "interval: 1h")).expect("written");
    let agent = Agent::start(stage.home(), &config);
    wait_until("the first cycle is done", || agent.get("/readyz").status == 200);
    let url = format!("http://{}/", agent.address());

    let seen = run(browser, stage.home(), &["--dump-dom", &url]);
    let (dom, said) = (String::from_utf8_lossy(&seen.stdout), String::from_utf8_lossy(&seen.stderr));
    assert!(dom.contains("<main>") && dom.contains("aaaaaa2") && dom.contains("</table>"), "{dom}\n{said}");
    // A stylesheet that the policy refuses, or markup that breaks it, is said here.
    let complaints: Vec<&str> = said.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(complaints.iter().all(|line| line.contains("favicon")), "{complaints:#?}");

    let picture = |name: &str, more: &[&str]| {
        let file = stage.home().join(name);
        let screenshot = format!("--screenshot={}", file.display());
        run(browser, stage.home(), &[&[screenshot.as_str()], more, &[url.as_str()]].concat());
        fs::read(file).expect("a picture")
    };
    let light = picture("light.png", &["--blink-settings=preferredColorScheme=1"]);
    assert!(light == picture("again.png", &["--blink-settings=preferredColorScheme=1"]), "pictures of one page differ");
    assert!(light != picture("dark.png", &["--blink-settings=preferredColorScheme=0"]), "dark looks like light");
}
