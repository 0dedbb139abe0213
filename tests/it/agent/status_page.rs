//! The status page in a real browser, if there is one: it loads completely under its own content security policy, and
//! follows the color scheme. What can be tested without a browser is tested next to the page.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::support;
use crate::support::agent::Agent;
use crate::support::browser::{Browser, chromium};
use crate::support::crowd::Crowd;
use crate::support::infra::Stage;
use crate::support::process::wait_until;

fn run(browser: &str, home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(browser);
    command.env("HOME", home).args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]);
    command.args(["--enable-logging=stderr", "--window-size=1200,900"]);
    let profile = format!("--user-data-dir={}", home.join("profile").display());
    command.arg(profile).args(arguments).output().expect("the browser starts")
}

#[test]
fn the_page_loads_completely_and_follows_the_color_scheme() {
    let Some(browser) = chromium() else {
        return support::skipped("there is no Chromium on this machine (apt-get install chromium)");
    };
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", "2026-04-01T10:00:00Z");
    stage.registry.push("org/app", "aaaaaa2", "2026-04-02T10:00:00Z");
    let config = stage.config();
    let text = fs::read_to_string(&config).expect("there");
    // Only one cycle, so that the page does not change.
    fs::write(&config, text.replace("interval: 200ms", "interval: 1h")).expect("written");
    let agent = Agent::start(stage.home(), &config);
    wait_until("the first cycle is done", || agent.get("/readyz").status == 200);
    let url = format!("http://{}/", agent.address());

    let seen = run(browser, stage.home(), &["--dump-dom", &url]);
    let (dom, said) = (String::from_utf8_lossy(&seen.stdout), String::from_utf8_lossy(&seen.stderr));
    assert!(dom.contains("<main>") && dom.contains("aaaaaa2") && dom.contains("</table>"), "{dom}\n{said}");
    // The console reports a stylesheet that the policy blocks, or broken markup.
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

#[test]
fn filters_and_pages_work_without_scripts_at_any_width() {
    let home = tempfile::tempdir().expect("a folder");
    let Some(browser) = Browser::start(home.path()) else {
        return support::skipped("there is no driver of Chromium on this machine (apt-get install chromium-driver)");
    };
    let crowd = Crowd::start(320, 150, 7);
    let start = format!("http://{}/", crowd.agent.address());
    let first = |browser: &Browser| browser.text("tbody th code");
    let caption = |browser: &Browser| browser.text("caption");

    // From page to page, and back.
    browser.open(&start);
    assert_eq!(
        (caption(&browser).as_str(), browser.count("tbody tr")),
        ("Images 1 to 100 of 320, problems first", 100)
    );
    browser.follow(|browser| browser.click("a[rel=next]"));
    assert_eq!(browser.url(), format!("{start}?page=2#images"));
    assert_eq!(caption(&browser), "Images 101 to 200 of 320, problems first");
    browser.follow(|browser| browser.click("a[rel=prev]"));
    assert_eq!(
        (caption(&browser).as_str(), first(&browser)),
        ("Images 1 to 100 of 320, problems first", crowd.name(0))
    );

    // By a count, and then by the form, which keeps the state.
    browser.follow(|browser| browser.click("a.no-candidate"));
    assert_eq!(caption(&browser), "Images 1 to 100 of 150 that match");
    browser.follow(|browser| browser.click("a[rel=next]"));
    browser.write("input[name=q]", "App-14");
    browser.follow(|browser| browser.click("button"));
    assert_eq!(browser.url(), format!("{start}?q=App-14&state=no-candidate#images"));
    assert_eq!((caption(&browser).as_str(), browser.count("tbody tr")), ("Images 1 to 11 of 11 that match", 11));
    assert_eq!((first(&browser), browser.text("a[aria-current] strong")), (crowd.name(14), "11".to_owned()));
    browser.click("option[value='']");
    browser.follow(|browser| browser.write("input[name=q]", " apps/100.yaml\u{e007}"));
    assert_eq!(caption(&browser), "Images 1 to 10 of 10 that match, problems first");

    // Nothing overflows, however narrow the window and whatever the query.
    for query in ["?page=2", "?state=nowhere", "?q=nothing", "?q=app-7&state=kept-back"] {
        browser.open(&format!("{start}{query}"));
        for width in [390, 768, 1280, 1920] {
            browser.resize(width);
            let over = browser.evaluate("return document.documentElement.scrollWidth - window.innerWidth");
            assert!(over.as_i64().expect("a number") <= 0, "{query} at {width}: {over}");
        }
    }
    let said: Vec<String> = browser.console().into_iter().filter(|line| !line.contains("favicon")).collect();
    assert!(said.iter().all(|line| line.contains("status of 400")), "{said:#?}");
}
