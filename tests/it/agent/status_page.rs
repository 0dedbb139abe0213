//! The pages in a real browser, if there is one. What can be tested without a browser is tested next to the pages.

use std::fs;

use crate::support;
use crate::support::agent::Agent;
use crate::support::browser::{Browser, Manner, axe};
use crate::support::crowd::Crowd;
use crate::support::infra::Stage;
use crate::support::process::wait_until;

const NO_BROWSER: &str = "there is no driver of Chromium on this machine (apt-get install chromium-driver)";
const SCRIPTS: Manner = Manner { has_scripts: true, is_dark: false };
const WIDTHS: [u32; 4] = [390, 768, 1280, 1920];
const LONG: &str = "a-team-with-a-long-name/market-data-fetcher-and-normalizer";

/// An agent whose pages have something of everything: stages, moves, a rollback, a hold, and images that are blocked, unknown
/// and long.
struct Showcase {
    stage: Stage,
    agent: Agent,
}

impl Showcase {
    fn start() -> Showcase {
        let image = |name: &str, tag: &str| format!("image: HOST/org/{name}:{tag}\n");
        let sha = "1a2b3c4d5e6f1a2b3c4d5e6f1a2b3c4d5e6f1a2b";
        let (shop, long) = (image("shop", "aaaaaa1"), image(LONG, sha));
        let stage = Stage::new(&[
            ("beta/shop.yaml", &shop),
            ("live/shop.yaml", &shop),
            ("apps/a-folder-with-a-long-name/deployments/long.yaml", &long),
            ("apps/till.yaml", &image("till", "bbbbbb1")),
            ("apps/gone.yaml", &image("gone", "cccccc1")),
            ("apps/broken.yaml", &image("broken", "dddddd1")),
        ]);
        let push = |name: &str, tag: &str, day: u8| {
            stage.registry.push(&format!("org/{name}"), tag, &format!("2026-04-{day:02}T10:00:00Z"))
        };
        push("shop", "aaaaaa1", 1);
        push("shop", "aaaaaa2", 2);
        push(LONG, sha, 1);
        push("till", "bbbbbb1", 1);
        push("till", "bbbbbb2", 2);
        push("broken", "dddddd1", 1);
        stage.tagalong(&["sync"]).ok();
        stage.tagalong(&["rollback", &stage.image("till"), "--reason", "it is slow"]).ok();
        let digest = push("broken", "dddddd2", 2);
        let manifest = stage.registry.manifest("org/broken", &digest);
        stage.registry.lose(manifest["layers"][0]["digest"].as_str().expect("a layer"));
        let config = stage.config();
        let text = fs::read_to_string(&config).expect("there");
        let stages = "stages:\n- { name: beta, paths: ['beta/**'] }\n\
            - { name: live, paths: ['live/**'], from: beta, approval: { by: signature } }\n";
        fs::write(&config, format!("{text}{stages}")).expect("written");
        let agent = Agent::start(stage.home(), &config);
        wait_until("the first cycle is done", || agent.get("/readyz").status == 200);
        wait_until("history is read", || agent.get("/timeline").body.contains("rolled back"));
        Showcase { stage, agent }
    }

    fn url(&self, page: &str) -> String {
        format!("http://{}/{page}", self.agent.address())
    }

    fn pages(&self) -> Vec<String> {
        let image = |name: &str| format!("images/{}", self.stage.image(name));
        let names = ["", "stages", "timeline", "?state=blocked", "?state=wrong", "?q=none", "timeline?q=none"];
        let names = names.map(str::to_owned).into_iter();
        names.chain(["shop", "till", "broken", "none", LONG].map(image)).map(|page| self.url(&page)).collect()
    }
}

/// The console messages, apart from those about pages that are errors on purpose.
fn complaints(browser: &Browser) -> Vec<String> {
    let is_on_purpose = |line: &String| line.contains("status of 400") || line.contains("status of 404");
    browser.console().into_iter().filter(|line| !is_on_purpose(line)).collect()
}

#[test]
fn nothing_overflows_and_no_token_is_broken_at_any_width() {
    let home = tempfile::tempdir().expect("a folder");
    let Some(browser) = Browser::start(home.path(), SCRIPTS) else { return support::skipped(NO_BROWSER) };
    let show = Showcase::start();
    for page in show.pages() {
        browser.open(&page);
        for width in WIDTHS {
            browser.resize(width);
            let over = browser.evaluate(
                "return [...document.querySelectorAll('body *')].filter((one) => !one.closest('.unseen, .skip, .scroll') \
                 && one.getBoundingClientRect().right > innerWidth + 0.5).map((one) => one.outerHTML.slice(0, 200))",
            );
            assert_eq!(over, serde_json::json!([]), "{page} at {width}");
            let broken = browser.evaluate(
                "const lines = (one) => new Set([...one.getClientRects()].map((rect) => Math.round(rect.top))).size; \
                 return [...document.querySelectorAll('.tag, .token, .pill, time')].filter((one) => lines(one) > 1) \
                 .map((one) => one.outerHTML)",
            );
            assert_eq!(broken, serde_json::json!([]), "{page} at {width}");
        }
    }
    assert_eq!(complaints(&browser), Vec::<String>::new());
}

#[test]
fn pages_are_accessible_in_both_color_schemes() {
    let Some(axe) = axe() else {
        return support::skipped("axe-core is not there (TAGALONG_TEST_AXE, or npm for ./test)");
    };
    let home = tempfile::tempdir().expect("a folder");
    let Some(light) = Browser::start(home.path(), SCRIPTS) else { return support::skipped(NO_BROWSER) };
    let dark = Browser::start(home.path(), Manner { is_dark: true, ..SCRIPTS }).expect("a second one");
    let show = Showcase::start();
    let ground = |browser: &Browser| browser.evaluate("return getComputedStyle(document.body).backgroundColor");
    light.open("data:text/html,<img src=x>");
    assert_ne!(light.violations(&axe), serde_json::json!([]), "what is not accessible is found");
    for page in show.pages() {
        for browser in [&light, &dark] {
            browser.open(&page);
            for width in [390, 1280] {
                browser.resize(width);
                assert_eq!(browser.violations(&axe), serde_json::json!([]), "{page} at {width}");
            }
        }
        assert!(ground(&light) != ground(&dark), "dark looks like light");
    }
}

#[test]
fn a_page_refreshes_by_itself_and_keeps_the_place() {
    let home = tempfile::tempdir().expect("a folder");
    let Some(browser) = Browser::start(home.path(), SCRIPTS) else { return support::skipped(NO_BROWSER) };
    let show = Showcase::start();
    browser.open(&show.url("timeline"));
    browser.evaluate(
        "window.kept = true; document.querySelector('#lanes-table').open = true; \
         document.querySelector('select[name=stage]').focus();",
    );
    assert!(!browser.text("main").contains("aaaaaa3"));
    show.stage.registry.push("org/shop", "aaaaaa3", "2026-04-03T10:00:00Z");
    wait_until("it shows what moved", || {
        // As if somebody came back to the page, rather than waiting for the next time.
        browser.evaluate("document.dispatchEvent(new Event('visibilitychange'))");
        browser.text("main").contains("aaaaaa3")
    });
    let place = browser.evaluate(
        "return [window.kept, document.querySelector('#lanes-table').open, document.activeElement.name, \
         document.querySelector('#live').textContent]",
    );
    assert_eq!(place, serde_json::json!([true, true, "stage", "The page refreshes by itself."]));
    // Commands can be copied, and times are in the reader's zone.
    assert!(browser.count("button.copy") > 0);
    drop(show);
    wait_until("it says that the agent is gone", || {
        browser.evaluate("document.dispatchEvent(new Event('visibilitychange'))");
        browser.text("#live").contains("does not answer")
    });
    assert!(browser.text("main").contains("aaaaaa3"), "what was known stays");
}

#[test]
fn typing_filters_and_the_address_can_be_shared() {
    let home = tempfile::tempdir().expect("a folder");
    let Some(browser) = Browser::start(home.path(), SCRIPTS) else { return support::skipped(NO_BROWSER) };
    let crowd = Crowd::start(320, 150, 7);
    browser.open(&format!("http://{}/", crowd.agent.address()));
    browser.write("input[name=q]", "App-14");
    wait_until("the list is short", || browser.count(".images > li") == 11);
    assert!(browser.url().ends_with("/?q=App-14"), "{}", browser.url());
    let typed = browser.evaluate("return [document.activeElement.name, document.activeElement.value]");
    assert_eq!(typed, serde_json::json!(["q", "App-14"]));
    browser.open(&browser.url());
    assert_eq!(browser.count(".images > li"), 11);
    browser.evaluate("document.activeElement.blur(); document.body.dispatchEvent(new KeyboardEvent('keydown', { key: '/', bubbles: true }))");
    assert_eq!(browser.evaluate("return document.activeElement.name"), "q");
    assert_eq!(complaints(&browser), Vec::<String>::new());
}

#[test]
fn filters_and_pages_work_without_scripts_at_any_width() {
    let home = tempfile::tempdir().expect("a folder");
    let Some(browser) = Browser::start(home.path(), Manner::default()) else { return support::skipped(NO_BROWSER) };
    let crowd = Crowd::start(320, 150, 7);
    let start = format!("http://{}/", crowd.agent.address());
    let first = |browser: &Browser| browser.text(".images a.name");
    let range = |browser: &Browser| browser.text("#range");

    // From page to page, and back.
    browser.open(&start);
    assert_eq!(
        (range(&browser).as_str(), browser.count(".images > li")),
        ("Images 1 to 100 of 320, problems first", 100)
    );
    browser.follow(|browser| browser.click("a[rel=next]"));
    assert_eq!(browser.url(), format!("{start}?page=2#images"));
    assert_eq!(range(&browser), "Images 101 to 200 of 320, problems first");
    browser.follow(|browser| browser.click("a[rel=prev]"));
    assert_eq!((range(&browser).as_str(), first(&browser)), ("Images 1 to 100 of 320, problems first", crowd.name(0)));

    // By a count, and then by the form, which keeps the state.
    browser.follow(|browser| browser.click("a.no-candidate"));
    assert_eq!(range(&browser), "Images 1 to 100 of 150 that match");
    browser.follow(|browser| browser.click("a[rel=next]"));
    browser.write("input[name=q]", "App-14");
    browser.follow(|browser| browser.click(".filter button"));
    assert_eq!(browser.url(), format!("{start}?q=App-14&state=no-candidate#images"));
    assert_eq!((range(&browser).as_str(), browser.count(".images > li")), ("Images 1 to 11 of 11 that match", 11));
    assert_eq!((first(&browser), browser.text(".counts a[aria-current] strong")), (crowd.name(14), "11".to_owned()));
    browser.click("option[value='']");
    browser.follow(|browser| browser.write("input[name=q]", " apps/100.yaml\u{e007}"));
    assert_eq!(range(&browser), "Images 1 to 10 of 10 that match, problems first");

    // To the page of an image, and back.
    browser.follow(|browser| browser.click(".images a.name"));
    assert_eq!((browser.text("h1"), browser.url()), (crowd.name(140), format!("{start}images/{}", crowd.name(140))));
    browser.follow(|browser| browser.click(".brand"));
    assert_eq!(browser.url(), start);

    // Nothing overflows, however narrow the window and whatever the query.
    for query in ["?page=2", "?state=nowhere", "?q=nothing", "?q=app-7&state=kept-back"] {
        browser.open(&format!("{start}{query}"));
        for width in WIDTHS {
            browser.resize(width);
            let over = browser.evaluate("return document.documentElement.scrollWidth - window.innerWidth");
            assert!(over.as_i64().expect("a number") <= 0, "{query} at {width}: {over}");
        }
    }
    assert_eq!(complaints(&browser), Vec::<String>::new());
}
