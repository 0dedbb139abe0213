//! Faults of every kind, injected at random while the agent runs, images are built and people push. In the end every
//! field has the value that a simple model predicts, nothing is lost and nothing was done twice.
//!
//! `TAGALONG_TEST_SEED` repeats a run, as far as processes can be repeated; `./test --large` makes it a thousand cycles
//! long.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use fastrand::Rng;

use crate::support;
use crate::support::agent::Agent;
use crate::support::clock;
use crate::support::cluster::Cluster;
use crate::support::disk::SmallDisk;
use crate::support::git::{HttpGit, Origin, cut, git, loose_objects};
use crate::support::process::wait_until;
use crate::support::proxy::{Harm, Relay, Way};
use crate::support::scripted::Scripted;
use crate::support::shelf::{Mood, Shelf};
use crate::support::tagalong;

const IMAGES: usize = 6;

/// The expected state of an image, independent of the program.
#[derive(Debug)]
struct Expected {
    /// The tags that people undid.
    taken_back: BTreeSet<String>,
    /// The tag that the last of them restored.
    restored: String,
}

/// The fault during some cycles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Nothing,
    RegistryDown,
    RegistrySilent,
    RegistrySlow,
    RegistryFull,
    RegistryLying,
    RegistryShort,
    RegistryForgetful,
    RegistryGarbled,
    RegistryStalling,
    RegistryEndless,
    RegistryDripping,
    GitDown,
    GitGone,
    GitRefusing,
    GitRacing,
    GitCut,
    HugeFile,
    DeepFile,
    CloneCut,
    DiskFull,
    Killed,
    KilledAndEmptied,
    ClockJumped,
    ConfigurationBroken,
    Suspended,
    LeadLost,
    ClusterDown,
}

const FAULTS: [Fault; 28] = [
    Fault::Nothing,
    Fault::RegistryDown,
    Fault::RegistrySilent,
    Fault::RegistrySlow,
    Fault::RegistryFull,
    Fault::RegistryLying,
    Fault::RegistryShort,
    Fault::RegistryForgetful,
    Fault::RegistryGarbled,
    Fault::RegistryStalling,
    Fault::RegistryEndless,
    Fault::RegistryDripping,
    Fault::GitDown,
    Fault::GitGone,
    Fault::GitRefusing,
    Fault::GitRacing,
    Fault::GitCut,
    Fault::HugeFile,
    Fault::DeepFile,
    Fault::CloneCut,
    Fault::DiskFull,
    Fault::Killed,
    Fault::KilledAndEmptied,
    Fault::ClockJumped,
    Fault::ConfigurationBroken,
    Fault::Suspended,
    Fault::LeadLost,
    Fault::ClusterDown,
];

struct World {
    random: Rng,
    agent: Option<Agent>,
    /// Cycles of agents that have ended.
    cycles_before: usize,
    shelf: Arc<Mutex<Shelf>>,
    /// In front of the registry.
    registry: Relay,
    _scripted: Scripted,
    origin: Origin,
    relay: Relay,
    _http: HttpGit,
    cluster: Cluster,
    disk: Option<SmallDisk>,
    has_clock: bool,
    expected: Vec<Expected>,
    notes: usize,
    /// The second after the newest build, and the one before the oldest.
    builds: (i64, i64),
    folder: tempfile::TempDir,
}

impl World {
    fn new(seed: u64) -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let tags = (0..IMAGES).map(|image| vec![(name(image, 0), 0)]).collect();
        let (shelf, scripted) = Shelf::serve(tags);
        let registry = Relay::to(scripted.port());
        let host = registry.host();
        let files: Vec<(String, String)> =
            (0..IMAGES).map(|image| (file(image), line(&host, image, &name(image, 0)))).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (file.as_str(), text.as_str())).collect();
        let origin = Origin::create(&folder.path().join("infra.git"), &files);
        git(&origin.path, &["config", "http.receivepack", "true"]);
        let http = HttpGit::start(folder.path(), None);
        let relay = Relay::to(http.port());
        let disk = SmallDisk::mount(&folder.path().join("cache"), "24m");
        if disk.is_none() {
            support::skipped("the disk is never full: this user may not mount a small file system");
        }
        let expected = (0..IMAGES).map(|image| Expected { taken_back: BTreeSet::new(), restored: name(image, 0) });
        let mut world = World {
            random: Rng::with_seed(seed),
            agent: None,
            cycles_before: 0,
            expected: expected.collect(),
            has_clock: clock::build(&folder.path().join("clock.so")),
            shelf,
            registry,
            _scripted: scripted,
            origin,
            relay,
            _http: http,
            cluster: Cluster::start(),
            disk,
            notes: 0,
            builds: (1, -1),
            folder,
        };
        world.configure("");
        world.start();
        world
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().expect("unpoisoned")
    }

    /// Writes the configuration, with more lines for the agent, or with anything that makes it invalid.
    fn configure(&self, more: &str) {
        let text = format!(
            "git: {{ url: 'http://127.0.0.1:{}/infra.git', timeout: 2s }}\n\
             registries: [{{ host: '{host}', plainHttp: true, timeout: 500ms, requestsPerSecond: 100000 }}]\n\
             policies: [{{ images: ['{host}/org/*'], tags: {{ sha: {{ order: built }} }} }}]\n\
             cluster: {{ leaderElection: {{ leaseDuration: 2s, renewDeadline: 1500ms, retryPeriod: 100ms }} }}\n\
             agent:\n  interval: 10ms\n  listen: 127.0.0.1:0\n{more}\n",
            self.relay.port,
            host = self.registry.host()
        );
        std::fs::write(self.at("tagalong.yaml"), text).expect("written");
    }

    fn start(&mut self) {
        let mut command = tagalong::command(self.folder.path());
        command.args(["run", "--log-format", "json", "--config"]).arg(self.at("tagalong.yaml"));
        command.arg("--cache-dir").arg(self.at("cache"));
        command.env("KUBECONFIG", self.cluster.kubeconfig(self.folder.path()));
        if self.has_clock {
            clock::preload(&mut command, &self.at("clock.so"), &self.at("clock"));
        }
        let agent = Agent::spawn(command);
        // Before that, a signal would kill it.
        agent.wait_for("the agent has started");
        self.agent = Some(agent);
    }

    fn agent(&self) -> &Agent {
        self.agent.as_ref().expect("it runs")
    }

    fn cycles(&self) -> usize {
        self.cycles_before + self.agent().cycles()
    }

    /// Lets some cycles pass, and ends pauses after failures early, as an operator can.
    fn pass(&self, cycles: usize) {
        let end = self.agent().cycles() + cycles;
        wait_until("cycles go on", || {
            self.agent().signal("HUP");
            std::thread::sleep(Duration::from_millis(20));
            self.agent().cycles() >= end
        });
    }

    fn kill(&mut self) {
        if let Some(agent) = self.agent.take() {
            self.cycles_before += agent.cycles();
        }
    }

    /// Pushes a build, the newest of all or the oldest.
    fn build(&mut self, image: usize, is_new: bool) {
        let (newest, oldest) = &mut self.builds;
        let second = if is_new { *newest } else { *oldest };
        if is_new {
            *newest += 1
        } else {
            *oldest -= 1
        }
        self.shelf().tags[image].push((name(image, second), second));
    }

    /// Pushes something else, as a person.
    fn note(&mut self) {
        self.notes += 1;
        self.origin.commit("a note", &[(&format!("notes/{}", self.notes), "x\n")]);
    }

    /// Undoes the bot's last change of a field, as a person.
    fn take_back(&mut self, image: usize) {
        let (file, host) = (file(image), self.registry.host());
        for _ in 0..20 {
            let tip = self.origin.tip();
            let log = git(&self.origin.path, &["log", "-2", "--format=%H %an", &tip, "--", &file]);
            let touched: Vec<(&str, &str)> = log.lines().filter_map(|line| line.split_once(' ')).collect();
            let [(last, author), (before, _)] = touched[..] else { return };
            if author == "Ada" {
                return;
            }
            let held = |commit: &str| {
                let text = git(&self.origin.path, &["show", &format!("{commit}:{file}")]);
                text.trim().rsplit(':').next().expect("a tag").to_owned()
            };
            let (taken, restored) = (held(last), held(before));
            let text = line(&host, image, &restored);
            if self.origin.commit_on(Some(&tip), "take it back", &[(&file, &text)]).is_some() {
                let expected = &mut self.expected[image];
                expected.taken_back.insert(taken);
                expected.restored = restored;
                return;
            }
        }
    }

    /// The normal activity.
    fn live(&mut self) {
        let image = self.random.usize(..IMAGES);
        match self.random.u8(..10) {
            0..5 => self.build(image, true),
            5 => self.build(image, false),
            6..8 => self.note(),
            _ => self.take_back(image),
        }
    }

    /// Injects a fault, lets some cycles pass, and removes it.
    fn suffer(&mut self, fault: Fault) {
        let (cycles, gone) = (self.random.usize(1..3), self.at("infra.away"));
        let mood = |world: &World, mood: Mood| {
            world.shelf().mood = mood;
            world.pass(cycles);
            world.shelf().mood = Mood::Well;
        };
        match fault {
            Fault::Nothing => self.pass(cycles),
            Fault::RegistryDown => mood(self, Mood::Down),
            Fault::RegistrySilent => mood(self, Mood::Silent),
            Fault::RegistrySlow => mood(self, Mood::Slow),
            Fault::RegistryFull => mood(self, Mood::Full),
            Fault::RegistryLying => mood(self, Mood::Lying),
            Fault::RegistryShort => mood(self, Mood::Short),
            Fault::RegistryForgetful => mood(self, Mood::Forgetful),
            Fault::RegistryGarbled => mood(self, Mood::Garbled),
            Fault::RegistryStalling => mood(self, Mood::Stalling),
            Fault::RegistryEndless => mood(self, Mood::Endless),
            Fault::RegistryDripping => {
                // Within the headers, or within a body.
                let after = self.random.usize(..400);
                self.registry.set(Harm::Drip { after, delay: Duration::from_millis(50) });
                self.pass(cycles);
                self.registry.set(Harm::None);
            }
            Fault::GitDown => {
                self.relay.set(Harm::Dead);
                self.pass(cycles);
                self.relay.set(Harm::None);
            }
            Fault::GitGone => {
                std::fs::rename(&self.origin.path, &gone).expect("renamed");
                self.pass(cycles);
                std::fs::rename(&gone, &self.origin.path).expect("renamed");
            }
            Fault::GitRefusing => {
                self.origin.hook("pre-receive", "echo 'not today' >&2; exit 1");
                self.pass(cycles);
                std::fs::remove_file(self.origin.path.join("hooks/pre-receive")).expect("removed");
            }
            Fault::GitRacing => {
                // People are fast, but not endlessly.
                for _ in 0..8 {
                    self.agent().signal("HUP");
                    self.note();
                }
                self.pass(cycles);
            }
            Fault::GitCut => {
                let way = if self.random.bool() { Way::Up } else { Way::Down };
                let (connection, after) = (self.random.usize(..3), self.random.usize(..1500));
                self.relay.set(Harm::Cut { connection, way, after });
                self.pass(cycles);
                self.relay.set(Harm::None);
            }
            Fault::HugeFile => {
                let text = "# as large as it is useless\n".repeat(500_000);
                self.origin.commit("huge", &[("huge.yaml", &text)]);
                self.pass(cycles);
                self.origin.commit("small again", &[("huge.yaml", "x: 1\n")]);
            }
            Fault::DeepFile => {
                self.origin.commit("deep", &[("deep.yaml", &("- ".repeat(60_000) + "image: x/y:1\n"))]);
                self.pass(cycles);
                self.origin.commit("shallow again", &[("deep.yaml", "x: 1\n")]);
            }
            Fault::CloneCut => {
                self.kill();
                // There may be no clone yet.
                let folders = std::fs::read_dir(self.at("cache")).into_iter().flatten().flatten();
                let objects = folders.flat_map(|folder| loose_objects(&folder.path().join("clone.git")));
                objects.for_each(|object| drop(cut(&object)));
                self.start();
                self.pass(cycles);
            }
            Fault::DiskFull => {
                self.disk.iter().for_each(SmallDisk::fill);
                self.pass(cycles);
                self.disk.iter().for_each(SmallDisk::make_room);
            }
            Fault::Killed | Fault::KilledAndEmptied => {
                // At any point of a cycle.
                std::thread::sleep(Duration::from_millis(self.random.u64(..150)));
                self.kill();
                if fault == Fault::KilledAndEmptied {
                    for entry in std::fs::read_dir(self.at("cache")).into_iter().flatten().flatten() {
                        let path = entry.path();
                        let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
                    }
                }
                self.start();
                self.pass(cycles);
            }
            Fault::ClockJumped => {
                // Sometimes to a year that no calendar knows.
                let days = if self.random.u8(..8) == 0 { 3_650_000 } else { self.random.i64(-400..400) };
                std::fs::write(self.at("clock"), (days * 86_400).to_string()).expect("written");
                self.pass(cycles);
            }
            Fault::ConfigurationBroken => {
                // It is reported and rejected; the next valid one takes effect.
                let refused = |agent: &Agent| agent.log().matches("the new configuration is invalid").count();
                let before = refused(self.agent());
                self.configure("policies: [");
                wait_until("it is refused", || {
                    self.agent().signal("HUP");
                    std::thread::sleep(Duration::from_millis(20));
                    refused(self.agent()) > before
                });
                self.configure("");
                self.pass(cycles);
            }
            Fault::Suspended => {
                self.configure("  suspend: true");
                self.pass(cycles);
                self.configure("");
            }
            Fault::LeadLost => {
                self.cluster.hold("someone-else", 1);
                self.pass(cycles);
            }
            Fault::ClusterDown => {
                // For longer than a leader can do without.
                self.cluster.trouble("", "", support::cluster::Fault::Status(500), usize::MAX);
                std::thread::sleep(Duration::from_millis(self.random.u64(500..2500)));
                self.cluster.heal();
                self.pass(cycles);
            }
        }
    }

    /// The value a field must have once everything is well.
    fn wanted(&self, image: usize) -> String {
        let newest = {
            let shelf = self.shelf();
            let newest = shelf.tags[image].iter().max_by_key(|(_, second)| *second);
            newest.expect("a build").0.clone()
        };
        let expected = &self.expected[image];
        if expected.taken_back.contains(&newest) { expected.restored.clone() } else { newest }
    }

    fn held(&self, image: usize) -> String {
        self.origin.read(&file(image)).trim().rsplit(':').next().expect("a tag").to_owned()
    }

    fn second(&self, image: usize, tag: &str) -> i64 {
        self.shelf().tags[image].iter().find(|(name, _)| name == tag).expect("a build").1
    }

    /// Checks that nothing was done twice and that no field ever moved back except by a person.
    fn is_told_once(&self) {
        let log = git(&self.origin.path, &["log", "--reverse", "--format=%B", "main"]);
        let mut done: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for update in log.lines().filter_map(|line| line.strip_prefix("Tagalong-Update: ")) {
            let words: Vec<&str> = update.split(' ').collect();
            done.entry(words[0].to_owned()).or_default().push(words[words.len() - 1].to_owned());
        }
        for image in 0..IMAGES {
            let tags = done.remove(&file(image)).unwrap_or_default();
            let seconds: Vec<i64> = tags.iter().map(|tag| self.second(image, tag)).collect();
            assert!(seconds.is_sorted_by(|a, b| a < b), "{}: {tags:?} were built in {seconds:?}", file(image));
        }
        assert!(done.is_empty(), "{done:?}");
    }
}

fn name(image: usize, second: i64) -> String {
    format!("b{image:x}{:06x}", second + 0x80_0000)
}

fn file(image: usize) -> String {
    format!("apps/app-{image}/app.yaml")
}

fn line(host: &str, image: usize, tag: &str) -> String {
    format!("image: {host}/org/app-{image}:{tag}\n")
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures are worth reading, and the seed is needed when it fails")]
fn everything_is_right_after_any_faults() {
    let seed = std::env::var("TAGALONG_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    let length = if support::is_large() { 1_000 } else { 60 };
    println!("TAGALONG_TEST_SEED={seed}");
    let mut world = World::new(seed);
    let (mut suffered, mut early) = (BTreeMap::<Fault, usize>::new(), None);
    world.pass(1);
    while world.cycles() < length {
        world.live();
        let fault = FAULTS[world.random.usize(..FAULTS.len())];
        // Memory is measured over the second half, in one process.
        let is_late = world.cycles() > length / 2;
        if is_late && matches!(fault, Fault::Killed | Fault::KilledAndEmptied | Fault::CloneCut) {
            continue;
        }
        *suffered.entry(fault).or_default() += 1;
        world.suffer(fault);
        if is_late && world.cycles() > length * 6 / 10 && early.is_none() {
            // What takes most memory comes first, because not all of it is returned.
            world.suffer(Fault::HugeFile);
            world.suffer(Fault::RegistryEndless);
            early = Some(world.agent().memory());
        }
    }
    let is_right = |world: &World| (0..IMAGES).all(|image| world.held(image) == world.wanted(image));
    for _ in 0..300 {
        if is_right(&world) {
            break;
        }
        world.pass(1);
    }
    for image in 0..IMAGES {
        let expected = &world.expected[image];
        assert_eq!(world.held(image), world.wanted(image), "seed {seed}: {expected:?}\n{}", world.agent().log());
    }
    // And it stays so.
    let tip = world.origin.tip();
    world.pass(3);
    assert_eq!(world.origin.tip(), tip, "seed {seed}");
    for note in 1..=world.notes {
        assert_eq!(world.origin.read(&format!("notes/{note}")), "x\n", "seed {seed}");
    }
    world.is_told_once();
    world.origin.is_sound();
    let (early, late) = (early.unwrap_or_default(), world.agent().memory());
    println!(
        "{} cycles, {} commits; memory {early} kB at 60 % and {late} kB at the end; {suffered:?}",
        world.cycles(),
        world.origin.subjects().len()
    );
    if support::is_large() {
        assert!(late < early + early / 4, "seed {seed}: {early} kB became {late} kB");
    }
    let (code, log) = world.agent.take().expect("it runs").stop();
    assert_eq!(code, 0, "seed {seed}: {log}");
}
