//! Events reach the channels: each once, retried if a service was down, without ever delaying a cycle, and without
//! leaking the URL, which is a secret.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::agent::Agent;
use crate::support::infra::Stage;
use crate::support::process::wait_until;
use crate::support::scripted::{self, Asked, Scripted};

const OLD: &str = "2026-04-01T10:00:00Z";
const NEW: &str = "2026-04-02T10:00:00Z";

fn stage() -> Stage {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", OLD);
    stage
}

/// The stage's configuration with channels; `URL` is replaced by a file with the server's URL, `TOKEN` by one with a
/// token.
fn config(stage: &Stage, server: &Scripted, channels: &str) -> PathBuf {
    let file = |name: &str, text: String| {
        let file = stage.home().join(name);
        fs::write(&file, text).expect("written");
        file.display().to_string()
    };
    let url = file("url", format!("http://{}/T0/sesame\n", server.host()));
    let token = file("token", "t0ken\n".to_owned());
    let channels = channels.replace("URL", &url).replace("TOKEN", &token).replace("SERVER", &server.host());
    let config = stage.config();
    let text = fs::read_to_string(&config).expect("there");
    fs::write(&config, format!("{text}notify:\n{channels}")).expect("written");
    config
}

fn bodies(server: &Scripted, path: &str) -> Vec<Value> {
    let asked = server.asked().into_iter().filter(|asked| asked.target.starts_with(path));
    asked.map(|asked| serde_json::from_str(&asked.body).expect("JSON")).collect()
}

fn ok(_: &Asked) -> scripted::Answer {
    scripted::json(200, json!({}), &[])
}

#[test]
fn an_update_reaches_every_channel_and_sets_a_commit_status() {
    let stage = stage();
    let tries = AtomicUsize::new(0);
    let server = Scripted::start(move |asked| match asked.target.starts_with("/T0/") {
        // The first attempt on each channel finds the service down.
        true if tries.fetch_add(1, Ordering::Relaxed) < 2 => scripted::json(503, json!({}), &[]),
        _ => ok(asked),
    });
    let channels = "- slack: { urlFile: URL }\n  events: [updated]\n\
                    - webhook: { urlFile: URL, tokenFile: TOKEN, template: '{\"said\": {{ title | tojson }}}' }\n  events: [updated]\n\
                    - gitea: { server: \"http://SERVER\", repository: org/infra, tokenFile: TOKEN }\n\
                    - matrix: { server: \"http://SERVER\", room: \"!r:example.com\", tokenFile: TOKEN }\n";
    let agent = Agent::start(stage.home(), &config(&stage, &server, channels));
    stage.registry.push("org/app", "aaaaaa2", NEW);
    wait_until("it is deployed", || stage.origin.read("app.yaml").ends_with("aaaaaa2\n"));
    for channel in ["slack", "webhook", "gitea", "matrix"] {
        agent.wait_for_metric(&format!("tagalong_notifications_total{{channel=\"{channel}\",result=\"done\"}} 1"));
    }
    let told = bodies(&server, "/T0/");
    let slack = told.iter().find_map(|body| body["text"].as_str()).expect("told");
    let tip = stage.origin.tip();
    assert!(
        slack.contains("updated: app aaaaaa1 -&gt; aaaaaa2") && slack.contains(&format!("/commit/{tip}|")),
        "{slack}"
    );
    assert!(told.iter().any(|body| body["said"] == "app aaaaaa1 -> aaaaaa2"), "{told:?}");
    let marks = bodies(&server, &format!("/api/v1/repos/org/infra/statuses/{tip}"));
    assert_eq!((&marks[0]["state"], &marks[0]["context"]), (&"success".into(), &"tagalong".into()));
    // The repository has another address for git.
    let page = format!("http://{}/org/infra/commit/{tip}", server.host());
    assert_eq!(marks[0]["target_url"], page, "{marks:?}");
    let asked = server.asked();
    let with = |authorization: &str| asked.iter().any(|asked| asked.authorization.as_deref() == Some(authorization));
    assert!(with("token t0ken") && with("Bearer t0ken"), "{asked:#?}");
    let (code, log) = agent.stop();
    assert_eq!(code, 0, "{log}");
    assert!(!log.contains("sesame") && !log.contains("t0ken"), "{log}");
}

#[test]
fn a_problem_is_reported_once_and_so_is_its_end() {
    let stage = stage();
    let server = Scripted::start(ok);
    let channels = "- webhook: { urlFile: URL }\n  events: [blocked, recovered]\n";
    stage.registry.push("org/app", "aaaaaa2", NEW);
    let manifest = stage.registry.manifest("org/app", "aaaaaa2");
    let layer = manifest["layers"][0]["digest"].as_str().expect("a digest").to_owned();
    stage.registry.lose(&layer);
    let agent = Agent::start(stage.home(), &config(&stage, &server, channels));
    let kinds = || -> Vec<Value> { bodies(&server, "/T0/").iter().map(|body| body["kind"].clone()).collect() };
    wait_until("it is told", || !kinds().is_empty());
    let event = bodies(&server, "/T0/").remove(0);
    assert_eq!((&event["kind"], &event["tag"]), (&"blocked".into(), &"aaaaaa2".into()), "{event:#}");
    assert!(event["detail"].as_str().expect("text").contains(&layer), "{event:#}");
    // After a few more cycles, nothing more has been sent.
    let cycles = agent.get("/metrics").body.lines().find_map(|line| {
        line.strip_prefix("tagalong_cycles_total{result=\"done\"} ").and_then(|count| count.parse::<u64>().ok())
    });
    agent.wait_for_metric(&format!("tagalong_cycles_total{{result=\"done\"}} {}", cycles.expect("some") + 4));
    assert_eq!(kinds(), ["blocked"]);
    stage.registry.push("org/app", "aaaaaa3", "2026-04-03T10:00:00Z");
    wait_until("its end is told", || kinds().len() == 2);
    assert_eq!(kinds(), ["blocked", "recovered"]);
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn a_channel_that_hangs_or_refuses_delays_nothing() {
    let stage = stage();
    let server = Scripted::start(|asked| match asked.target.starts_with("/T0/") {
        true => None,
        false => scripted::json(404, json!({}), &[]),
    });
    let channels = "- discord: { urlFile: URL }\n\
                    - github: { server: \"http://SERVER\", repository: org/infra, tokenFile: TOKEN }\n";
    let agent = Agent::start(stage.home(), &config(&stage, &server, channels));
    for (tag, built) in [("aaaaaa2", NEW), ("aaaaaa3", "2026-04-03T10:00:00Z")] {
        stage.registry.push("org/app", tag, built);
        wait_until("it is deployed", || stage.origin.read("app.yaml").ends_with(&format!("{tag}\n")));
    }
    agent.wait_for_metric("tagalong_notifications_total{channel=\"github\",result=\"failed\"} 2");
    let (code, log) = agent.stop();
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("127.0.0.1 responded with status 404") && log.contains("URL or token"), "{log}");
    assert!(log.contains("no time left to deliver the channel") && !log.contains("sesame"), "{log}");
}
