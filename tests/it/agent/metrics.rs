//! Metrics: their formats, counters that start at 0, and those of the process.

use std::fs;

use ::tagalong::agent::outcome::Failure;
use ::tagalong::cluster::rollout::RolloutOutcome;

use crate::support::agent::Agent;
use crate::support::infra::Stage;
use crate::support::process::{free_port, wait_until};
use crate::support::prometheus;

const OLD: &str = "2026-04-01T10:00:00Z";
const NEW: &str = "2026-04-02T10:00:00Z";

/// Whether a metric has a line.
fn has(metrics: &str, line: &str) -> bool {
    metrics.lines().any(|is| is == line)
}

#[test]
fn counters_start_at_zero_before_anything_happens() {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    let text = fs::read_to_string(stage.config()).expect("there");
    let url = text.lines().find(|line| line.trim().starts_with("url: ")).expect("a URL");
    let secret = stage.home().join("hook");
    fs::write(&secret, "http://127.0.0.1:1/\n").expect("written");
    // Nothing listens there, so no cycle finishes.
    let text = text.replace(url, &format!("  url: ssh://git@127.0.0.1:{}/infra.git", free_port()))
        + &format!("notify:\n- webhook: {{ urlFile: {} }}\n  events: [updated]\n", secret.display());
    let config = stage.home().join("elsewhere.yaml");
    fs::write(&config, text).expect("written");
    let agent = Agent::start(stage.home(), &config);
    let metrics = agent.get("/metrics").body;
    let results = Failure::labels().filter(|label| *label != "transient").chain(["done"]);
    let lines = results
        .map(|result| format!("tagalong_cycles_total{{result=\"{result}\"}} 0"))
        .chain(["done", "lost-race"].map(|result| format!("tagalong_push_attempts_total{{result=\"{result}\"}} 0")))
        .chain(RolloutOutcome::LABELS.map(|label| format!("tagalong_reconcile_total{{outcome=\"{label}\"}} 0")))
        .chain(
            ["done", "failed", "lost"]
                .map(|result| format!("tagalong_notifications_total{{channel=\"webhook\",result=\"{result}\"}} 0")),
        )
        .chain(["tagalong_git_duration_seconds_count{operation=\"push\"} 0".to_owned()]);
    for line in lines {
        assert!(has(&metrics, &line), "{line} is not in {metrics}");
    }
    prometheus::check(&agent);
    // A fetch that failed took its time as well.
    wait_until("fetches are measured", || {
        agent.metric("tagalong_git_duration_seconds_count{operation=\"fetch\"}") >= 2.0
    });
}

#[test]
fn images_and_hosts_are_counted_from_the_first_cycle() {
    let stage =
        Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n"), ("web.yaml", "image: HOST/org/web:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", OLD);
    stage.registry.push("org/app", "aaaaaa2", NEW);
    stage.registry.push("org/web", "aaaaaa1", OLD);
    let agent = Agent::start(stage.home(), &stage.config());
    let (app, web, host) = (stage.image("app"), stage.image("web"), stage.registry.host());
    agent.wait_for_metric(&format!("tagalong_updates_total{{image=\"{app}\"}} 1"));
    agent.wait_for_metric(&format!("tagalong_updates_total{{image=\"{web}\"}} 0"));
    for code in ["none", "429", "500", "502", "503", "504"] {
        agent.wait_for_metric(&format!("tagalong_registry_requests_total{{host=\"{host}\",code=\"{code}\"}} 0"));
    }
    agent.wait_for_metric("tagalong_git_duration_seconds_count{operation=\"push\"} 1");
    assert!(agent.metric("tagalong_git_duration_seconds_sum{operation=\"push\"}") > 0.0);
    prometheus::check(&agent);
}

#[test]
fn the_process_is_measured_as_the_kernel_sees_it() {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", OLD);
    let agent = Agent::start(stage.home(), &stage.config());
    wait_until("it is ready", || agent.get("/readyz").status == 200);
    let is_close = |one: f64, other: f64| (one - other).abs() <= other * 0.25;
    let (resident, kernel) = (agent.metric("process_resident_memory_bytes"), agent.memory() as f64 * 1024.0);
    assert!(is_close(resident, kernel), "{resident} and {kernel}");
    assert!(agent.metric("process_virtual_memory_bytes") > resident);
    let (open, kernel) = (agent.metric("process_open_fds"), agent.open_files() as f64);
    assert!((open - kernel).abs() <= 5.0, "{open} and {kernel}");
    assert!(agent.metric("process_max_fds") > open);
    let since_start = now() - agent.metric("process_start_time_seconds");
    assert!((-2.0..300.0).contains(&since_start), "{since_start}");
    let cpu = agent.metric("process_cpu_seconds_total");
    assert!(cpu > 0.0 && cpu < 300.0, "{cpu}");
    agent.limit_open_files(777);
    assert_eq!(agent.metric("process_max_fds"), 777.0);
    let documented = prometheus::documented();
    let metrics = agent.get("/metrics").body;
    for name in documented.keys().filter(|name| name.starts_with("process_")) {
        assert!(metrics.contains(&format!("# TYPE {name} ")), "{name}");
    }
}

/// The time, in Unix time.
fn now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs_f64()
}
