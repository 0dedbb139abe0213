//! The first scan of a large registry takes as many cycles as it needs: each continues where the previous one ended,
//! reports its progress, and does not delay other images.

use std::time::Duration;

use tagalong::cli::connect;
use tagalong::config::load::Config;
use tagalong::config::overrides::Overrides;
use tagalong::cycle::engine::Engine;
use tagalong::cycle::operations::terms::Mode;
use tagalong::cycle::report::Report;
use tagalong::plan::skip::Reason;
use tagalong::policy::scope::Scope;
use tokio_util::sync::CancellationToken;

use crate::support;
use crate::support::infra::Stage;
use crate::support::scripted::Scripted;
use crate::support::shelf::{Mood, Shelf};

/// More tags than a cycle can inspect: each takes two requests of 30 ms, eight at a time.
const MANY: usize = 400;
const BUDGET: Duration = Duration::from_millis(1000);

fn tags(count: usize) -> Vec<(String, i64)> {
    (0..count).map(|n| (format!("a{n:06x}"), n as i64)).collect()
}

struct Scene {
    stage: Stage,
    config: Config,
    runtime: tokio::runtime::Runtime,
}

impl Scene {
    /// An infrastructure repository with the oldest tag of each image.
    fn new(server: &Scripted, images: usize) -> Scene {
        let host = server.host();
        let files: Vec<(String, String)> =
            (0..images).map(|n| (format!("app-{n}.yaml"), format!("image: {host}/org/app-{n}:a000000\n"))).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let stage = Stage::new(&files);
        let file = stage.home().join("large.yaml");
        let text = format!(
            "{}registries:\n- {{ host: \"{host}\", plainHttp: true }}\npolicies:\n- {{ images: [\"{host}/org/*\"], tags: {{ sha: {{}} }} }}\n",
            stage.sshd.config(&stage.origin),
        );
        std::fs::write(&file, text).expect("written");
        let home = stage.home().display().to_string();
        let overrides = Overrides { file: Some(file), ..Overrides::default() };
        let config = Config::load(&overrides, &|name| (name == "HOME").then(|| home.clone())).expect("valid");
        Scene { stage, config, runtime: tokio::runtime::Runtime::new().expect("a runtime") }
    }

    fn engine(&self) -> Engine {
        connect::engine(&self.config).expect("an engine")
    }

    fn cycle(&self, engine: &Engine) -> Report {
        let go_on = CancellationToken::new();
        self.runtime.block_on(engine.follow_scope(&Scope::All, Mode::Push, BUDGET, &go_on)).expect("a cycle")
    }

    fn holds(&self, image: usize, tag: usize) -> bool {
        self.stage.origin.read(&format!("app-{image}.yaml")).ends_with(&format!(":a{tag:06x}\n"))
    }
}

/// The number of inspected tags of an image, from a report.
fn looked(report: &Report, image: &str) -> Option<usize> {
    let of_image = report.skipped.iter().find(|skipped| skipped.image.as_str().ends_with(image))?;
    let rest = of_image.detail.strip_prefix("inspected ")?;
    assert_eq!(of_image.reason, Reason::NoCandidate);
    assert!(rest.contains(&format!(" of {MANY} tags")), "{rest}");
    rest.split(' ').next()?.parse().ok()
}

#[test]
fn an_interrupted_inspection_continues_while_others_move() {
    let (shelf, server) = Shelf::serve(vec![tags(MANY), tags(3)]);
    shelf.lock().expect("unpoisoned").mood = Mood::Slow;
    let scene = Scene::new(&server, 2);
    let mut engine = scene.engine();
    let (mut before, mut cycles, mut notes) = (0, 0, Vec::new());
    while !scene.holds(0, MANY - 1) {
        match cycles {
            // New tags of other images do not wait for it.
            1 => shelf.lock().expect("unpoisoned").tags[1].push(("a000003".to_owned(), 3)),
            // A restart loses nothing.
            2 => {
                drop(engine);
                engine = scene.engine();
            }
            _ => {}
        }
        let report = scene.cycle(&engine);
        cycles += 1;
        if let Some(now) = looked(&report, "app-0") {
            assert!(now >= before && scene.holds(0, 0), "{now} after {before}");
            // Images with few tags to inspect come first.
            assert!(now == before || scene.holds(1, if cycles > 1 { 3 } else { 2 }), "{report:#?}");
            before = now;
            notes.extend(report.notes);
        }
    }
    assert!(cycles > 2 && before > 0, "{cycles}");
    let of_all = |note: &String| note.starts_with("the first scan of 1 image continues in the next cycle: inspected ");
    assert!(notes.iter().all(of_all) && notes.iter().any(|note| note.ends_with(" left")), "{notes:?}");
    // No tag was inspected twice: its manifest by name, and its config.
    let mut configurations: Vec<String> = server
        .asked()
        .into_iter()
        .filter(|asked| asked.method == "GET" && asked.target.starts_with("/v2/org/app-0/blobs/"))
        .map(|asked| asked.target)
        .collect();
    assert_eq!(configurations.len(), MANY);
    configurations.sort();
    configurations.dedup();
    assert_eq!(configurations.len(), MANY);
    // Once it is done, a cycle costs one listing per image.
    let asked = server.asked().len();
    scene.cycle(&engine);
    assert_eq!(server.asked().len() - asked, 2);
}

#[test]
fn without_a_deadline_everything_is_inspected() {
    let (_, server) = Shelf::serve(vec![tags(MANY)]);
    let scene = Scene::new(&server, 1);
    let config = scene.stage.home().join("large.yaml").display().to_string();
    let run = support::tagalong::run(scene.stage.home(), &["sync", "--config", &config]).ok();
    assert!(scene.holds(0, MANY - 1) && run.stderr.is_empty(), "{run:#?}");
}

#[test]
fn images_not_checked_in_time_move_in_a_later_cycle() {
    let images = 60;
    let (shelf, server) = Shelf::serve((0..images).map(|_| tags(2)).collect());
    shelf.lock().expect("unpoisoned").mood = Mood::Slow;
    let scene = Scene::new(&server, images);
    let engine = scene.engine();
    let (mut moved, mut cycles) = (0, 0);
    while moved < images {
        let report = scene.cycle(&engine);
        moved += report.updates.len();
        cycles += 1;
        assert!(report.skipped.iter().all(|skipped| skipped.reason != Reason::RegistryError), "{report:#?}");
    }
    // 60 listings, inspecting two tags of each image, and 60 checks do not fit into one cycle.
    assert!(cycles > 1, "{cycles}");
    assert!((0..images).all(|image| scene.holds(image, 1)));
}
