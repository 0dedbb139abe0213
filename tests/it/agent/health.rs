//! What operators see of the running agent, and what they do to it: health, metrics, the status page, signals,
//! configuration changes.

use std::fs;
use std::path::Path;

use crate::support::agent::Agent;
use crate::support::clock;
use crate::support::infra::Stage;
use crate::support::process::{free_port, wait_until};
use crate::support::tagalong;

const OLD: &str = "2026-04-01T10:00:00Z";
const NEW: &str = "2026-04-02T10:00:00Z";

/// Replaces a file in one step, like careful editors and Kubernetes.
fn replace(file: &Path, text: &str) {
    let new = file.with_extension("new");
    fs::write(&new, text).expect("written");
    fs::rename(new, file).expect("renamed");
}

#[test]
fn health_metrics_and_status_show_what_the_cycles_did() {
    let stage =
        Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n"), ("<b>.yaml", "image: HOST/org/gone:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", OLD);
    stage.registry.push("org/app", "aaaaaa2", NEW);
    let agent = Agent::start(stage.home(), &stage.config());
    assert_eq!(agent.get("/healthz").status, 200);
    wait_until("it is ready", || agent.get("/readyz").status == 200);
    assert_eq!(agent.get("/readyz").body, "ok\n");

    let (app, gone, host) = (stage.image("app"), stage.image("gone"), stage.registry.host());
    agent.wait_for_metric(&format!("tagalong_updates_total{{image=\"{app}\"}} 1"));
    agent.wait_for_metric("tagalong_push_attempts_total{result=\"done\"} 1");
    agent.wait_for_metric("tagalong_images{state=\"up-to-date\"} 1");
    agent.wait_for_metric("tagalong_images{state=\"no-candidate\"} 1");
    agent.wait_for_metric(&format!("tagalong_image_kept_back{{image=\"{gone}\",reason=\"no-candidate\"}} 1"));
    let metrics = agent.get("/metrics");
    for start in [
        "tagalong_cycles_total{result=\"done\"} ".to_owned(),
        "tagalong_deploy_lag_seconds_count 1".to_owned(),
        format!("tagalong_registry_requests_total{{host=\"{host}\",code=\"200\"}} "),
        format!("tagalong_registry_requests_total{{host=\"{host}\",code=\"404\"}} "),
        format!("tagalong_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(metrics.body.lines().any(|line| line.starts_with(&start)), "{start} is not in {}", metrics.body);
    }

    let page = agent.get("/");
    assert!(page.headers.contains("content-security-policy: default-src 'none'; style-src 'self'"), "{page:?}");
    assert!(page.headers.contains("x-content-type-options: nosniff"), "{page:?}");
    let commit: String = stage.origin.tip().chars().take(7).collect();
    for part in [&app, "aaaaaa2", &gone, "no such repository", "no candidate", "&lt;b&gt;.<wbr>yaml", &commit] {
        assert!(page.body.contains(part), "{part} is not in {}", page.body);
    }
    assert!(!page.body.contains("<b>") && page.body.matches("<script").count() == 1, "{}", page.body);
    let image = agent.get(&format!("/images/{app}"));
    assert!(image.status == 200 && image.body.contains("app.<wbr>yaml:<wbr>1"), "{image:?}");
    let unknown = agent.get(&format!("/images/{host}/org/%3Cscript%3Eother"));
    assert!(unknown.status == 404 && unknown.body.contains("There is no such image here"), "{unknown:?}");
    assert!(!unknown.body.contains("<script>other"), "{unknown:?}");
    assert!(agent.get("/style.css").body.contains("prefers-color-scheme: dark"));
    assert_eq!(agent.get("/else").status, 404);

    let (code, log) = agent.stop();
    assert_eq!(code, 0, "{log}");
    let moved = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let moved = moved.into_iter().find(|line| line["message"] == "updated").expect("said");
    assert_eq!((&moved["span"]["name"], &moved["to"]), (&"cycle".into(), &"aaaaaa2".into()), "{moved}");
}

#[test]
fn an_agent_without_a_finished_cycle_is_alive_but_not_ready_and_says_why() {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    let text = fs::read_to_string(stage.config()).expect("there");
    let url = text.lines().find(|line| line.trim().starts_with("url: ")).expect("a URL");
    let port = free_port();
    let config = stage.home().join("elsewhere.yaml");
    fs::write(&config, text.replace(url, &format!("  url: ssh://git@127.0.0.1:{port}/infra.git"))).expect("written");
    let agent = Agent::start(stage.home(), &config);
    agent.wait_for_metric("tagalong_cycles_total{result=\"transient\"} 2");
    let ready = agent.get("/readyz");
    assert_eq!((ready.status, agent.get("/healthz").status), (503, 200));
    assert!(ready.body.contains(&format!("cannot reach ssh://git@127.0.0.1:{port}")), "{ready:?}");
    let page = agent.get("/").body;
    assert!(page.contains("failures in a row") && page.contains("help: "), "{page}");
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn a_changed_configuration_takes_effect_and_an_invalid_one_is_rejected() {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", OLD);
    let config = stage.config();
    let good = fs::read_to_string(&config).expect("there");
    let agent = Agent::start(stage.home(), &config);
    agent.wait_for_metric("tagalong_config_last_read_successful 1");

    replace(&config, &good.replace("interval", "intervall"));
    agent.wait_for_metric("tagalong_config_last_read_successful 0");
    agent.wait_for("keeping the current one");
    let page = agent.get("/").body;
    assert!(page.contains("The new configuration was rejected") && page.contains("did you mean `interval`?"), "{page}");
    stage.registry.push("org/app", "aaaaaa2", NEW);
    wait_until("the old one works on", || stage.origin.read("app.yaml").ends_with("aaaaaa2\n"));

    replace(&config, &good.replace("interval: 200ms", "interval: 200ms, suspend: true"));
    agent.wait_for_metric("tagalong_config_last_read_successful 1");
    agent.wait_for_metric("tagalong_suspended 1");
    stage.registry.push("org/app", "aaaaaa3", "2026-04-03T10:00:00Z");
    agent.wait_for_metric("tagalong_images{state=\"suspended\"} 1");
    let page = agent.get("/").body;
    assert!(page.contains("aaaaaa3") && page.contains("agent.suspend"), "{page}");
    let sync = stage.tagalong(&["sync", "--output", "json"]).ok().json();
    assert_eq!((&sync["skipped"][0]["reason"], &sync["commit"]), (&"suspended".into(), &serde_json::Value::Null));
    assert!(stage.tagalong(&["sync", "--dry-run"]).ok().stdout.contains("would move to aaaaaa3"));
    assert!(stage.origin.read("app.yaml").ends_with("aaaaaa2\n"));

    replace(&config, &good);
    wait_until("it follows again", || stage.origin.read("app.yaml").ends_with("aaaaaa3\n"));
    agent.wait_for_metric("tagalong_config_reads_total{result=\"done\"} 3");
    agent.signal("HUP");
    agent.wait_for_metric("tagalong_config_reads_total{result=\"done\"} 4");
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn a_clock_beyond_the_last_year_ends_no_cycle() {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", OLD);
    stage.registry.push("org/app", "aaaaaa2", NEW);
    let (library, offset) = (stage.home().join("clock.so"), stage.home().join("clock"));
    if !clock::build(&library) {
        return;
    }
    // The year 12000.
    fs::write(&offset, "315000000000").expect("written");
    let mut command = tagalong::command(stage.home());
    command.args(["run", "--log-format", "json", "--config"]).arg(stage.config());
    clock::preload(&mut command, &library, &offset);
    let agent = Agent::spawn(command);
    wait_until("it is deployed", || stage.origin.read("app.yaml").ends_with("aaaaaa2\n"));
    agent.wait_for("cycle finished");
    let (code, log) = agent.stop();
    assert_eq!(code, 0, "{log}");
    assert!(!log.contains("internal error"), "{log}");
    let mut command = tagalong::command(stage.home());
    command.args(["status", "--config"]).arg(stage.config());
    clock::preload(&mut command, &library, &offset);
    tagalong::finished(command.output().expect("it starts")).ok();
}

#[test]
fn a_push_that_never_ends_does_not_outlive_the_grace() {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", OLD);
    stage.registry.push("org/app", "aaaaaa2", NEW);
    let (begun, over) = (stage.home().join("begun"), stage.home().join("over"));
    // It also ends when the folder is gone.
    let hook = format!(
        "touch {begun}; while [ -e {begun} ] && [ ! -e {over} ]; do sleep 0.05; done; exit 1",
        begun = begun.display(),
        over = over.display()
    );
    stage.origin.hook("pre-receive", &hook);
    let config = stage.config();
    let text = fs::read_to_string(&config).expect("there");
    fs::write(&config, text.replace("interval: 200ms", "interval: 200ms, grace: 100ms")).expect("written");
    let agent = Agent::start(stage.home(), &config);
    wait_until("the push is under way", || begun.exists());
    agent.signal("TERM");
    agent.wait_for("aborting the running cycle");
    let (code, log) = agent.stop();
    fs::write(&over, "").expect("written");
    assert_eq!(code, 0, "{log}");
    assert!(stage.origin.read("app.yaml").ends_with("aaaaaa1\n"));
    stage.origin.is_sound();
}

#[test]
fn an_address_in_use_is_an_error_and_off_serves_nothing() {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", OLD);
    let config = stage.config();
    let text = fs::read_to_string(&config).expect("there");
    let taken = stage.registry.host();
    fs::write(&config, text.replace("127.0.0.1:0", &taken)).expect("written");
    let run = tagalong::run(stage.home(), &["run", "--config", &config.display().to_string()]).fails_with(1);
    assert!(run.stderr.contains(&format!("error: cannot listen on {taken}")), "{run:?}");
    assert!(run.stderr.contains("help: set agent.listen to another address, or to `off`"), "{run:?}");
    fs::write(&config, text.replace("\"127.0.0.1:0\"", "off")).expect("written");
    let agent = Agent::start(stage.home(), &config);
    agent.wait_for("cycle finished");
    assert!(!agent.log().contains("serving health"), "{}", agent.log());
    assert_eq!(agent.stop().0, 0);
}
