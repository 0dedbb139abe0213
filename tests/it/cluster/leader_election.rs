//! One of several replicas leads: it alone pushes, the others stay ready and take over when it is gone, and a replica
//! that is not sure to lead pushes nothing.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use ::tagalong::cli::connect;
use ::tagalong::config::load::Config;
use ::tagalong::config::overrides::Overrides;
use ::tagalong::cycle::error::CycleError;
use ::tagalong::cycle::operations::terms::Mode;
use ::tagalong::policy::scope::Scope;
use tokio_util::sync::CancellationToken;

use crate::support;
use crate::support::agent::Agent;
use crate::support::cluster::{Cluster, Fault, LEASE};
use crate::support::infra::Stage;
use crate::support::process::wait_until;
use crate::support::{skipped, tagalong};

const OLD: &str = "2026-04-01T10:00:00Z";
const NEW: &str = "2026-04-02T10:00:00Z";
const NEWER: &str = "2026-04-03T10:00:00Z";

/// A lease that expires within a test, with times that even a busy machine can keep.
const SHORT: &str = "{ leaseDuration: 4s, renewDeadline: 3s, retryPeriod: 200ms }";
/// A lease that expires long after the test.
const LONG: &str = "{ leaseDuration: 1h, renewDeadline: 30m, retryPeriod: 200ms }";

/// An app at `aaaaaa1`, and a cluster.
struct Scene {
    stage: Stage,
    cluster: Cluster,
    kubeconfig: PathBuf,
}

impl Scene {
    fn new() -> Scene {
        let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
        stage.registry.push("org/app", "aaaaaa1", OLD);
        let cluster = Cluster::start();
        let kubeconfig = cluster.kubeconfig(stage.home());
        Scene { stage, cluster, kubeconfig }
    }

    /// The configuration with leader election.
    fn config(&self, election: &str) -> PathBuf {
        let text = fs::read_to_string(self.stage.config()).expect("there");
        let file = self.stage.home().join("cluster.yaml");
        fs::write(&file, format!("{text}cluster:\n  leaderElection: {election}\n")).expect("written");
        file
    }

    /// A replica with a home folder of its own.
    fn replica(&self, name: &str, config: &Path) -> Agent {
        replica(&self.stage, name, config, &self.kubeconfig)
    }

    fn deploys(&self, tag: &str) {
        wait_until(&format!("{tag} is deployed"), || self.holds(tag));
    }

    fn holds(&self, tag: &str) -> bool {
        self.stage.origin.read("app.yaml").ends_with(&format!("{tag}\n"))
    }

    /// Waits until the API has received several more requests.
    fn wait_for_requests(&self, more: usize) {
        let before = self.cluster.asked().len();
        wait_until("the API is asked", || self.cluster.asked().len() >= before + more);
    }
}

fn replica(stage: &Stage, name: &str, config: &Path, kubeconfig: &Path) -> Agent {
    let home = stage.home().join(name);
    fs::create_dir_all(&home).expect("a folder");
    let mut command = tagalong::command(&home);
    command.args(["run", "--log-format", "json", "--config"]).arg(config);
    command.env("POD_NAME", name).env("KUBECONFIG", kubeconfig);
    Agent::spawn(command)
}

/// Sends a webhook about an image.
fn tell(address: &str, image: &str) {
    let body = format!("{{\"images\": [\"{image}:aaaaaa2\"]}}");
    let mut stream = TcpStream::connect(address).expect("it listens");
    let head = "POST /webhooks/generic HTTP/1.1\r\nAuthorization: Bearer open-sesame\r\nConnection: close";
    write!(stream, "{head}\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
}

#[test]
fn a_free_lease_is_acquired_renewed_and_released() {
    let scene = Scene::new();
    let agent = scene.replica("pod-a", &scene.config(SHORT));
    agent.wait_for_metric("tagalong_leader 1");
    let lease = scene.cluster.get(LEASE).expect("a Lease");
    let spec = &lease["spec"];
    assert!(scene.cluster.holder().starts_with("pod-a_"), "{lease}");
    assert_eq!((&spec["leaseDurationSeconds"], &spec["leaseTransitions"]), (&4.into(), &0.into()), "{lease}");
    // MicroTime has exactly six digits.
    let times = ["acquireTime", "renewTime"].map(|key| spec[key].as_str().expect("a time").to_owned());
    assert!(times.iter().all(|time| time.len() == "2001-01-01T00:00:00.000000Z".len()), "{lease}");
    wait_until("it is renewed", || {
        let now = scene.cluster.get(LEASE).expect("a Lease")["spec"].clone();
        now["renewTime"] != spec["renewTime"] && now["acquireTime"] == spec["acquireTime"]
    });
    wait_until("it is ready", || agent.get("/readyz").status == 200);
    let (code, log) = agent.stop();
    assert_eq!((code, scene.cluster.holder().as_str()), (0, ""), "{log}");
    assert!(!log.contains(support::cluster::TOKEN), "{log}");
}

#[test]
fn a_follower_is_ready_idle_and_takes_over_once_the_leader_is_silent() {
    let scene = Scene::new();
    scene.cluster.hold("pod-x_1", 4);
    let (secret, config) = (scene.stage.home().join("secret"), scene.config(SHORT));
    fs::write(&secret, "open-sesame\n").expect("written");
    let webhook = format!("listen: \"127.0.0.1:0\", webhooks: [{{ kind: generic, secretFile: {} }}]", secret.display());
    let text = fs::read_to_string(&config).expect("there");
    fs::write(&config, text.replace("listen: \"127.0.0.1:0\"", &webhook)).expect("written");
    let agent = scene.replica("pod-a", &config);
    scene.stage.registry.push("org/app", "aaaaaa2", NEW);
    wait_until("it follows", || agent.get("/readyz").status == 200);
    tell(&agent.address(), &scene.stage.image("app"));
    agent.wait_for(
        "ignoring an event, because this replica does not lead; the leader finds the image in its next cycle",
    );
    // The leader keeps leading for longer than its lease.
    for _ in 0..30 {
        scene.cluster.hold("pod-x_1", 4);
        let before = scene.cluster.asked().len();
        wait_until("the follower looks", || scene.cluster.asked().len() > before);
    }
    let metrics = agent.get("/metrics").body;
    assert!(metrics.lines().any(|line| line == "tagalong_leader 0"), "{metrics}");
    assert_eq!(agent.sum("tagalong_cycles_total"), 0.0, "{metrics}");
    let status: serde_json::Value = serde_json::from_str(&agent.get("/status").body).expect("JSON");
    assert_eq!((&status["leads"], &status["leader"]), (&false.into(), &"pod-x_1".into()), "{status}");
    assert!(agent.get("/").body.contains("Another replica leads"));
    assert!(scene.holds("aaaaaa1") && !scene.cluster.asked().iter().any(|asked| asked.starts_with("PUT")));

    // It is silent: what it held back is done at once.
    scene.deploys("aaaaaa2");
    let lease = scene.cluster.get(LEASE).expect("a Lease");
    assert!(scene.cluster.holder().starts_with("pod-a_") && lease["spec"]["leaseTransitions"] == 5, "{lease}");
    assert_eq!(agent.stop().0, 0);
}

/// Runs two replicas and asks the leader to stop.
fn the_other_takes_over(stage: &Stage, config: &Path, kubeconfig: &Path) {
    let one = replica(stage, "pod-a", config, kubeconfig);
    one.wait_for_metric("tagalong_leader 1");
    let other = replica(stage, "pod-b", config, kubeconfig);
    other.wait_for("another replica leads");
    stage.registry.push("org/app", "aaaaaa2", NEW);
    let holds = |tag: &str| stage.origin.read("app.yaml").ends_with(&format!("{tag}\n"));
    wait_until("it is deployed", || holds("aaaaaa2"));
    assert_eq!(other.get("/readyz").status, 200);
    assert_eq!(other.sum("tagalong_cycles_total"), 0.0);
    let (code, log) = one.stop();
    assert_eq!(code, 0, "{log}");
    // If it had not been released, the Lease would last for an hour.
    other.wait_for_metric("tagalong_leader 1");
    stage.registry.push("org/app", "aaaaaa3", NEWER);
    wait_until("it is deployed", || holds("aaaaaa3"));
    assert_eq!(other.stop().0, 0);
    stage.origin.is_sound();
    assert_eq!(stage.origin.subjects().len(), 3);
}

#[test]
fn a_leader_asked_to_stop_releases_the_lease_at_once() {
    let scene = Scene::new();
    the_other_takes_over(&scene.stage, &scene.config(LONG), &scene.kubeconfig);
}

#[test]
fn the_same_on_a_real_cluster() {
    let Some(kubeconfig) = std::env::var_os("TAGALONG_TEST_KUBECONFIG").map(PathBuf::from) else {
        return skipped("TAGALONG_TEST_KUBECONFIG names no cluster to try it on");
    };
    let scene = Scene::new();
    let lease = format!("tagalong-test-{}", std::process::id());
    let config = scene.config(&LONG.replace('{', &format!("{{ lease: {lease},")));
    the_other_takes_over(&scene.stage, &config, &kubeconfig);
    let mut kubectl = Command::new("kubectl");
    let deleted = kubectl.args(["delete", "lease", &lease, "--kubeconfig"]).arg(&kubeconfig).status();
    assert!(deleted.expect("kubectl starts").success());
}

#[test]
fn after_a_leader_is_killed_its_lease_has_to_expire() {
    let scene = Scene::new();
    let config = scene.config(SHORT);
    let mut one = Some(scene.replica("pod-a", &config));
    one.as_ref().expect("it runs").wait_for_metric("tagalong_leader 1");
    let other = scene.replica("pod-b", &config);
    other.wait_for("another replica leads");
    drop(one.take());
    assert!(scene.cluster.holder().starts_with("pod-a_"), "killed, it leaves nothing");
    other.wait_for_metric("tagalong_leader 1");
    assert!(scene.cluster.holder().starts_with("pod-b_"));
    assert_eq!(other.stop().0, 0);
}

#[test]
fn a_follower_looks_again_exactly_when_the_lease_expires() {
    let scene = Scene::new();
    // The silent leader's Lease expires long before the follower would look again otherwise.
    scene.cluster.hold("pod-x_1", 1);
    let agent = scene.replica("pod-a", &scene.config("{ leaseDuration: 2h, renewDeadline: 1h, retryPeriod: 30m }"));
    agent.wait_for_metric("tagalong_leader 1");
    let asked: Vec<String> =
        scene.cluster.asked().iter().filter_map(|asked| Some(asked.split_once(' ')?.0.to_owned())).collect();
    assert_eq!(asked, ["GET", "GET", "PUT"], "it sees the Lease, then it is expired and taken");
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn an_outage_of_the_api_is_reported_once() {
    let scene = Scene::new();
    let agent = scene.replica("pod-a", &scene.config(SHORT));
    agent.wait_for_metric("tagalong_leader 1");
    scene.cluster.trouble("", "/", Fault::Status(500), usize::MAX);
    agent.wait_for_metric("tagalong_leader 0");
    scene.wait_for_requests(10);
    let once = |agent: &Agent| {
        let log = agent.log();
        let count = |text: &str| log.matches(text).count();
        assert_eq!(count("it is unknown which replica leads"), 1, "{log}");
        assert!(count("cannot renew the Lease; retrying") <= 1 && count("failed with") == 0, "{log}");
    };
    once(&agent);
    scene.cluster.heal();
    agent.wait_for_metric("tagalong_leader 1");
    assert_eq!(agent.stop().0, 0);

    // The same where each connection is closed without a response.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let host = listener.local_addr().expect("an address").to_string();
    let closed = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&closed);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            drop(stream);
            counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    });
    let text = fs::read_to_string(&scene.kubeconfig).expect("there");
    let server = text.split("http://").nth(1).and_then(|rest| rest.split('"').next()).expect("a server");
    let kubeconfig = scene.stage.home().join("closed");
    fs::write(&kubeconfig, text.replace(server, &host)).expect("written");
    let agent = replica(&scene.stage, "pod-b", &scene.config(SHORT), &kubeconfig);
    wait_until("it tries again and again", || closed.load(std::sync::atomic::Ordering::Relaxed) > 10);
    once(&agent);
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn nothing_is_pushed_while_the_api_is_down() {
    let scene = Scene::new();
    let agent = scene.replica("pod-a", &scene.config(SHORT));
    wait_until("it is ready", || agent.get("/readyz").status == 200);
    for fault in [Fault::Silence, Fault::Status(500)] {
        let tag = if fault == Fault::Silence { "aaaaaa2" } else { "aaaaaa3" };
        scene.cluster.trouble("", "/", fault, usize::MAX);
        agent.wait_for_metric("tagalong_leader 0");
        let ready = agent.get("/readyz");
        assert!(ready.status == 503 && ready.body.contains("the leader is unknown"), "{ready:?}");
        assert_eq!(agent.get("/healthz").status, 200);
        let built = if tag == "aaaaaa2" { NEW } else { NEWER };
        scene.stage.registry.push("org/app", tag, built);
        let cycles = |agent: &Agent| {
            let body = agent.get("/metrics").body;
            body.lines()
                .filter(|line| line.starts_with("tagalong_cycles_total{"))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let before = cycles(&agent);
        scene.wait_for_requests(if fault == Fault::Silence { 1 } else { 10 });
        assert!(before == cycles(&agent) && !scene.holds(tag), "{}", agent.log());
        scene.cluster.heal();
        agent.wait_for_metric("tagalong_leader 1");
        scene.deploys(tag);
        wait_until("it is ready again", || agent.get("/readyz").status == 200);
    }
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn a_lost_write_or_a_short_outage_does_not_cost_the_lead() {
    let scene = Scene::new();
    let agent = scene.replica("pod-a", &scene.config(SHORT));
    agent.wait_for_metric("tagalong_leader 1");
    scene.cluster.trouble("PUT", LEASE, Fault::SomeoneElse, 2);
    scene.cluster.trouble("GET", LEASE, Fault::Status(500), 2);
    scene.cluster.trouble("PUT", LEASE, Fault::Status(409), 2);
    scene.wait_for_requests(20);
    let log = agent.log();
    assert!(log.contains("cannot renew the Lease; retrying") && !log.contains("no longer leads"), "{log}");
    assert_eq!(log.matches("this replica leads").count(), 1, "{log}");
    // Someone else has taken it: leadership ends, whatever the reason.
    scene.cluster.hold("pod-x_1", 4);
    agent.wait_for_metric("tagalong_leader 0");
    agent.wait_for_metric("tagalong_leader 1");
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn a_missing_permission_is_reported_with_the_rule_to_add() {
    let scene = Scene::new();
    scene.cluster.trouble("POST", "/apis/coordination.k8s.io", Fault::Status(403), usize::MAX);
    let agent = scene.replica("pod-a", &scene.config(SHORT));
    wait_until("it says what is wrong", || agent.get("/readyz").body.contains("the leader is unknown"));
    let ready = agent.get("/readyz").body;
    let rule =
        "{ apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create] } in the namespace flux-system";
    assert!(ready.contains("does not allow us to create the Lease flux-system/tagalong (403)"), "{ready}");
    assert!(ready.contains(rule), "{ready}");
    scene.cluster.heal();
    agent.wait_for_metric("tagalong_leader 1");
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn without_leader_election_the_api_is_not_used() {
    let scene = Scene::new();
    let agent = scene.replica("pod-a", &scene.stage.config());
    scene.stage.registry.push("org/app", "aaaaaa2", NEW);
    scene.deploys("aaaaaa2");
    agent.wait_for_metric("tagalong_leader 1");
    assert_eq!(agent.stop().0, 0);
    assert_eq!(scene.cluster.asked(), [""; 0]);

    let config = scene.config(SHORT).display().to_string();
    let run = tagalong::run(scene.stage.home(), &["run", "--config", &config]).fails_with(2);
    assert!(run.stderr.contains("error: no Kubernetes API is configured"), "{run:?}");
    assert!(run.stderr.contains("help: run in a pod with a service account token"), "{run:?}");
}

#[test]
fn an_abandoned_cycle_pushes_nothing() {
    let scene = Scene::new();
    scene.stage.registry.push("org/app", "aaaaaa2", NEW);
    let home = scene.stage.home().display().to_string();
    let overrides = Overrides { file: Some(scene.stage.config()), ..Overrides::default() };
    let config = Config::load(&overrides, &|name| (name == "HOME").then(|| home.clone())).expect("valid");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let engine = connect::engine(&config).expect("an engine");
    let (go_on, give_up) = (CancellationToken::new(), CancellationToken::new());
    give_up.cancel();
    let given_up = runtime.block_on(engine.follow_scope(&Scope::All, Mode::Push, std::time::Duration::MAX, &give_up));
    assert!(matches!(given_up, Err(CycleError::Abandoned)), "{given_up:?}");
    assert!(scene.holds("aaaaaa1"));
    runtime.block_on(engine.follow_scope(&Scope::All, Mode::Push, std::time::Duration::MAX, &go_on)).expect("done");
    assert!(scene.holds("aaaaaa2"));
}
