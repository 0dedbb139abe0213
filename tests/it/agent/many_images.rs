//! However many images there are, what the agent shows at once is limited, and all of it can be reached.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::agent::Page;
use crate::support::crowd::Crowd;

const IMAGES: usize = 1200;
/// The number of images without a tag that matches the policy.
const UNKNOWN: usize = 450;
/// The image that is in a thousand fields more.
const SHARED: usize = 999;

/// A client of `/status`.
struct Reader(Crowd);

impl Reader {
    fn status(&self, query: &str) -> (Page, Value) {
        let page = self.0.agent.get(&format!("/status{query}"));
        let value = serde_json::from_str(&page.body).expect("JSON");
        (page, value)
    }

    /// The images found by following the header `Link` from page to page.
    fn walk(&self, query: &str) -> Vec<String> {
        let (mut found, mut target) = (Vec::new(), format!("/status{query}"));
        loop {
            let page = self.0.agent.get(&target);
            let value: Value = serde_json::from_str(&page.body).expect("JSON");
            found.extend(names(&value));
            let links = page.headers.lines().find_map(|line| line.strip_prefix("link: ")).expect("links");
            let next = links.split(", ").find_map(|link| link.strip_suffix(">; rel=\"next\"")?.strip_prefix('<'));
            // Header names are in lower case here.
            assert_eq!(next, value["next"].as_str().map(str::to_lowercase).as_deref(), "{links}");
            match &value["next"] {
                Value::String(next) => target = format!("/{next}"),
                _ => return found,
            }
        }
    }
}

fn names(status: &Value) -> Vec<String> {
    let images = status["images"].as_array().expect("images").iter();
    images.map(|image| image["image"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn pages_filters_and_limits_work_for_many_images() {
    let scene = Reader(Crowd::start(IMAGES, UNKNOWN, SHARED));
    let agent = &scene.0.agent;
    let name = |image: usize| scene.0.name(image);

    // All of them, by name, in pages of 500 and in smaller ones.
    let (whole, first) = scene.status("");
    assert!(whole.body.len() < 500_000, "{} bytes", whole.body.len());
    assert_eq!((&first["total"], &first["pages"], &first["limit"]), (&1200.into(), &3.into(), &500.into()));
    assert_eq!((&first["counts"]["up-to-date"], &first["counts"]["no-candidate"]), (&750.into(), &450.into()));
    assert_eq!(first["counts"]["blocked-image"], 0);
    let all: BTreeSet<String> = (0..IMAGES).map(name).collect();
    for query in ["", "?limit=77"] {
        let found = scene.walk(query);
        assert!(found.len() == IMAGES && found.iter().cloned().collect::<BTreeSet<_>>() == all, "{query}");
        assert!(found.is_sorted(), "{query}");
    }

    // Some of them.
    assert_eq!(scene.walk("?state=no-candidate&limit=100").len(), UNKNOWN);
    assert_eq!(scene.walk("?state=blocked,up-to-date").len(), IMAGES - UNKNOWN);
    assert_eq!(scene.walk("?q=ORG/app-77+apps/000.yaml"), [name(77)]);
    assert_eq!(scene.walk("?state=up-to-date&q=APP-77+700.yaml"), (770..780).map(name).collect::<Vec<_>>());
    let (_, past) = scene.status("?page=9");
    assert!(names(&past).is_empty() && past["total"] == 1200 && past["next"].is_null(), "{past}");
    let (_, shared) = scene.status(&format!("?q=app-{SHARED}"));
    let shared = &shared["images"][0];
    assert_eq!(
        (shared["current"].as_array().expect("fields").len(), &shared["omitted"]["current"]),
        (100, &901.into())
    );
    assert!(first["images"][0].get("omitted").is_none());
    for (query, error) in [
        ("?state=blokced", "`blokced` is not an image state"),
        ("?page=none", "`none` is not a valid `page`"),
        ("?limit=100000", "`100000` is not a valid `limit`"),
        ("?%FF%00=%ZZ&&==", "is not a known parameter"),
    ] {
        let (page, value) = scene.status(query);
        assert_eq!(page.status, 400, "{query}");
        assert!(value["error"].as_str().expect("an error").contains(error) && value["help"].is_string(), "{value}");
        let page = agent.get(&format!("/{query}"));
        assert_eq!(page.status, 400, "{query}");
        assert!(page.body.contains("The address is not valid") && page.body.contains(error), "{}", page.body);
    }

    // The page, with problems first.
    let page = agent.get("/");
    assert!(page.body.len() < 150_000, "{} bytes", page.body.len());
    assert_eq!(page.body.matches("<li class=\"image\">").count(), 100);
    for part in [
        "Images 1 to 100 of 1,200, problems first",
        "no candidate <strong>450</strong>",
        "up to date <strong>750</strong>",
        "more: <code class=\"command\">tagalong sync",
    ] {
        assert!(page.body.contains(part), "{part} is not in {}", page.body);
    }
    assert!(!page.body.contains("<span class=\"pill good\">up to date</span>"), "{}", page.body);
    let last = agent.get("/?state=up-to-date&page=8").body;
    assert!(last.contains("Images 701 to 750 of 750 that match") && last.contains(&name(SHARED)), "{last}");
    assert!(last.contains("1,001 fields"), "{last}");
    let shared = agent.get(&format!("/images/{}", name(SHARED))).body;
    assert!(shared.contains("1,001 fields") && shared.contains("and 951 more"), "{shared}");
    assert!(shared.len() < 150_000, "{} bytes", shared.len());

    // Metrics and the log.
    let metrics = agent.get("/metrics").body;
    // Of these, 450 are the counters of updates.
    assert!(metrics.lines().count() < 450 + 400, "{metrics}");
    assert_eq!(metrics.matches("tagalong_image_kept_back{").count(), 100);
    agent.wait_for_metric("tagalong_image_kept_back_omitted 350");
    agent.wait_for_metric("tagalong_images{state=\"no-candidate\"} 450");
    let log = agent.log();
    assert!(log.lines().count() < 400, "{log}");
    assert!(log.contains("350 more images are kept back") && log.contains("more notes"), "{log}");
}
