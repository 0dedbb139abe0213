//! Connections that break, stall or crawl at any moment: the branch is in its old or new state, never in between, and
//! the next cycle is right. A relay between the program and the real server does the damage.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use crate::support;
use crate::support::git::{HttpGit, git};
use crate::support::infra::Stage;
use crate::support::process::wait_until;
use crate::support::proxy::{Harm, Relay, Way};
use crate::support::tagalong::{self, Run};

/// A timeout that even a busy machine does not reach.
const PATIENT: &str = "2m";

/// A stage whose git server is reached through a relay.
struct Scene {
    stage: Stage,
    relay: Relay,
    config: PathBuf,
    /// The same with a timeout that even a busy machine does not reach.
    patient: PathBuf,
    _http: Option<HttpGit>,
}

impl Scene {
    fn over_ssh(timeout: &str) -> Scene {
        Scene::new(timeout, |stage| {
            let relay = Relay::to(stage.sshd.port());
            let section = stage.sshd.config_through(&relay, &stage.origin);
            (relay, section, None)
        })
    }

    fn over_http(timeout: &str) -> Scene {
        Scene::new(timeout, |stage| {
            git(&stage.origin.path, &["config", "http.receivepack", "true"]);
            let http = HttpGit::start(stage.home(), None);
            let relay = Relay::to(http.port());
            let url = http.url("infra.git").replace(&http.port().to_string(), &relay.port.to_string());
            (relay, format!("git:\n  url: {url}\n"), Some(http))
        })
    }

    fn new(timeout: &str, connect: impl FnOnce(&Stage) -> (Relay, String, Option<HttpGit>)) -> Scene {
        let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
        stage.registry.push("org/app", "aaaaaa1", "2026-04-01T10:00:00Z");
        stage.registry.push("org/app", "bbbbbb1", "2026-04-02T10:00:00Z");
        // Something to transfer: text that does not compress.
        let noise: String = (0..2_000).map(|_| format!("{:016x}\n", fastrand::u64(..))).collect();
        stage.origin.commit("noise", &[("noise.txt", &noise)]);
        let (relay, section, http) = connect(&stage);
        let text = fs::read_to_string(stage.config()).expect("there");
        let rest = &text[text.find("registries:").expect("a section")..];
        let write = |name: &str, timeout: &str| {
            let file = stage.home().join(name);
            fs::write(&file, format!("{section}  timeout: {timeout}\n{rest}")).expect("written");
            file
        };
        let (config, patient) = (write("relayed.yaml", timeout), write("patient.yaml", PATIENT));
        Scene { stage, relay, config, patient, _http: http }
    }

    /// Starts an agent that logs to a file.
    fn agent(&self, log: &Path) -> Child {
        tagalong::command(self.stage.home())
            .args(["run", "--config"])
            .arg(&self.config)
            .stderr(fs::File::create(log).expect("a log"))
            .spawn()
            .expect("it starts")
    }

    /// Runs one cycle on a machine with an empty cache.
    fn fresh(&self) -> Run {
        let cache = tempfile::tempdir().expect("a folder");
        self.sync(&self.config, &["--cache-dir", &cache.path().display().to_string()])
    }

    /// The bytes in each direction on each connection of such a cycle, without damage.
    fn unharmed(&self) -> Vec<[usize; 2]> {
        self.relay.set(Harm::None);
        let cache = tempfile::tempdir().expect("a folder");
        self.sync(&self.patient, &["--cache-dir", &cache.path().display().to_string()]).ok();
        self.relay.passed()
    }

    fn sync(&self, config: &Path, more: &[&str]) -> Run {
        let config = config.display().to_string();
        let mut arguments = vec!["sync", "--output", "json", "--config", &config];
        arguments.extend(more);
        tagalong::run(self.stage.home(), &arguments)
    }

    fn is_deployed(&self) -> bool {
        let text = self.stage.origin.read("app.yaml");
        let is_whole = text.ends_with("/org/app:bbbbbb1\n");
        assert!(is_whole || text.ends_with("/org/app:aaaaaa1\n"), "{text}");
        is_whole
    }

    fn back(&self) {
        let image = self.stage.image("app");
        self.stage.origin.back(&[&image], &[("app.yaml", &format!("image: {image}:aaaaaa1\n"))]);
    }

    /// Checks the state after a damaged cycle: the exit code was right, and an undamaged cycle works, with the same
    /// clone if there is one.
    fn is_whole_and_goes_on(&self, harmed: &Run, what: &str) {
        self.relay.set(Harm::None);
        assert!(matches!(harmed.code, 0 | 5), "{what}: {harmed:#?}");
        if harmed.code == 0 {
            assert!(self.is_deployed(), "{what}: {harmed:#?}");
        } else {
            assert!(harmed.stderr.contains("error: cannot reach"), "{what}: {harmed:#?}");
        }
        self.sync(&self.patient, &[]).ok();
        assert!(self.is_deployed(), "{what}");
    }

    /// Cuts each of the first connections, in each direction, at these fractions of the traffic of an undamaged cycle.
    fn cut_everywhere(&self, connections: usize, parts: &[usize]) {
        let passed = self.unharmed();
        assert!(passed.len() >= connections, "{passed:?}");
        let mut broken = 0;
        for (connection, totals) in passed.iter().enumerate().take(connections) {
            for way in [Way::Up, Way::Down] {
                for part in parts {
                    self.back();
                    let after = totals[way as usize] * part / 100;
                    self.relay.set(Harm::Cut { connection, way, after });
                    let run = self.fresh();
                    broken += usize::from(run.code == 5);
                    self.is_whole_and_goes_on(&run, &format!("connection {connection} cut {way:?} after {after}"));
                }
            }
        }
        assert!(broken > connections * parts.len() / 2, "the cuts were felt {broken} times only");
        self.stage.origin.is_sound();
    }
}

/// The fractions at which to cut; every twentieth in a large run.
fn parts(few: &[usize]) -> Vec<usize> {
    if support::is_large() { (0..20).map(|n| n * 5).collect() } else { few.to_vec() }
}

#[test]
fn cut_at_any_stage_of_fetch_and_push_over_ssh() {
    // One connection does everything: the handshake, the fetch, the push.
    Scene::over_ssh(PATIENT).cut_everywhere(1, &parts(&[0, 20, 40, 60, 80, 95]));
}

#[test]
fn cut_at_any_stage_of_fetch_and_push_over_http() {
    // Two requests fetch, two push.
    Scene::over_http(PATIENT).cut_everywhere(4, &parts(&[0, 80]));
}

#[test]
fn a_server_that_falls_silent_midway_times_out() {
    for scene in [Scene::over_ssh("1s"), Scene::over_http("1s")] {
        for (connection, totals) in scene.unharmed().iter().enumerate() {
            scene.back();
            scene.relay.set(Harm::Stall { connection, way: Way::Down, after: totals[1] / 2 });
            let begun = Instant::now();
            let run = scene.fresh();
            assert!(begun.elapsed() < Duration::from_secs(40), "{:?}: {run:#?}", begun.elapsed());
            scene.is_whole_and_goes_on(&run, &format!("connection {connection} stalls"));
        }
        scene.stage.origin.is_sound();
    }
}

#[test]
fn a_slow_server_is_waited_for() {
    let scene = Scene::over_ssh(PATIENT);
    // Well below a hundred kilobytes a second, with a delay for each chunk.
    scene.relay.set(Harm::Slow(Duration::from_millis(60)));
    let begun = Instant::now();
    scene.fresh().ok();
    assert!(begun.elapsed() > Duration::from_secs(2) && scene.is_deployed());
}

/// A hook that runs after the branch has moved and before the response.
fn when_moved(scene: &Scene) -> PathBuf {
    let moved = scene.stage.home().join("moved");
    let _ = fs::remove_file(&moved);
    let script =
        format!("[ \"$1\" = committed ] && grep -q refs/heads/main && touch {} && sleep 0.5; exit 0", moved.display());
    scene.stage.origin.hook("reference-transaction", &script);
    moved
}

#[test]
fn a_push_whose_response_was_lost_counts_as_done() {
    for scene in [Scene::over_ssh(PATIENT), Scene::over_http(PATIENT)] {
        let before = scene.stage.origin.subjects().len();
        let moved = when_moved(&scene);
        scene.relay.set(Harm::CutWhenThere(moved.clone()));
        let run = scene.fresh().ok();
        assert!(run.stderr.contains("the push broke off"), "the answer was not lost: {run:#?}");
        let report = run.json();
        assert_eq!((&report["commit"], &report["attempts"]), (&scene.stage.origin.tip().into(), &1.into()));
        assert_eq!(scene.stage.origin.subjects().len(), before + 1);

        // The server dies at that moment and cannot be queried, so the cycle has failed; the next one finds the work
        // done.
        scene.back();
        fs::remove_file(&moved).expect("removed");
        scene.relay.set(Harm::DeadWhenThere(moved));
        let run = scene.fresh().fails_with(5);
        assert!(scene.is_deployed(), "{run:#?}");
        scene.relay.set(Harm::None);
        let report = scene.fresh().ok().json();
        assert_eq!(report["commit"], serde_json::Value::Null);
        assert_eq!(scene.stage.origin.subjects().len(), before + 4);
    }
}

#[test]
fn a_push_that_lands_after_its_sender_is_gone_is_not_repeated() {
    let scene = Scene::over_ssh(PATIENT);
    let before = scene.stage.origin.subjects().len();
    let asked = scene.stage.home().join("asked");
    scene.stage.origin.hook("pre-receive", &format!("touch {}; sleep 1; exit 0", asked.display()));
    scene.relay.set(Harm::CutWhenThere(asked));
    scene.fresh().fails_with(5);
    wait_until("the server goes on by itself", || scene.is_deployed());
    let report = scene.fresh().ok().json();
    assert_eq!(report["commit"], serde_json::Value::Null);
    assert_eq!(scene.stage.origin.subjects().len(), before + 1);
}

#[test]
fn an_agent_survives_an_outage_of_the_server() {
    let scene = Scene::over_ssh(PATIENT);
    let log = scene.stage.home().join("log");
    let mut agent = scene.agent(&log);
    wait_until("the first is deployed", || scene.is_deployed());
    scene.relay.set(Harm::Dead);
    wait_until("the server is missed", || fs::read_to_string(&log).expect("a log").contains("cannot reach"));
    scene.back();
    scene.relay.set(Harm::None);
    wait_until("it is deployed again", || scene.is_deployed());
    agent.kill().expect("killed");
    agent.wait().expect("ended");
    scene.stage.origin.is_sound();
}

#[test]
fn a_server_that_drips_is_given_up() {
    let (ssh, http) = (Scene::over_ssh("300ms"), Scene::over_http("300ms"));
    let after_the_handshake = ssh.unharmed()[0][1] / 2;
    // What is one answer has the time of one, and so has a packet of ssh; what goes on and on has that of an operation.
    for (scene, after, words) in [
        (&ssh, 0, "no response within 300ms"),
        (&ssh, after_the_handshake, "no response within 300ms"),
        (&http, 0, "no response within 300ms"),
        (&http, 300, "not finished after 6s"),
    ] {
        scene.back();
        scene.relay.set(Harm::Drip { after, delay: Duration::from_millis(100) });
        let run = scene.fresh().fails_with(5);
        assert!(run.stderr.contains(words), "after {after}: {run:#?}");
        scene.is_whole_and_goes_on(&run, "dripping");
    }
}

#[test]
fn a_connection_that_was_kept_and_is_no_good_costs_one_try() {
    let harms = [Harm::CutOld, Harm::StallOld, Harm::DripOld(Duration::from_millis(200))];
    for scene in [Scene::over_ssh("1s"), Scene::over_http("1s")] {
        let log = scene.stage.home().join("log");
        let mut agent = scene.agent(&log);
        wait_until("the first is deployed", || scene.is_deployed());
        for harm in harms.clone() {
            scene.relay.set(harm);
            scene.back();
            wait_until("it is deployed again", || scene.is_deployed());
        }
        agent.kill().expect("killed");
        agent.wait().expect("ended");
        let log = fs::read_to_string(&log).expect("a log");
        assert!(!log.contains("cycle failed"), "{log}");
        scene.stage.origin.is_sound();
    }
}
