//! A week of cycles takes no more memory than their first hours: nothing that a cycle learns is kept forever.

use std::time::Duration;

use crate::support;
use crate::support::agent::Agent;
use crate::support::git::Origin;
use crate::support::process::wait_until;
use crate::support::shelf::Shelf;

const IMAGES: usize = 20;

fn name(image: usize, second: i64) -> String {
    format!("c{image:02x}{second:05x}")
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures are worth reading")]
fn memory_does_not_grow() {
    // One cycle a minute, for a week; the usual run only checks that this test works.
    let (cycles, news) = if support::is_large() { (10_080, 60) } else { (300, 30) };
    let folder = tempfile::tempdir().expect("a folder");
    let (shelf, registry) = Shelf::serve((0..IMAGES).map(|image| vec![(name(image, 0), 0)]).collect());
    let host = registry.host();
    let text = |image: usize, second: i64| format!("image: {host}/org/app-{image}:{}\n", name(image, second));
    let files: Vec<(String, String)> =
        (0..IMAGES).map(|image| (format!("apps/app-{image}.yaml"), text(image, 0))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (file.as_str(), text.as_str())).collect();
    let origin = Origin::create(&folder.path().join("infra.git"), &files);
    let config = folder.path().join("tagalong.yaml");
    let lines = format!(
        "git: {{ url: {} }}\nregistries: [{{ host: '{host}', plainHttp: true, requestsPerSecond: 100000 }}]\n\
         policies: [{{ images: ['{host}/org/*'], tags: {{ sha: {{ order: built }} }} }}]\n\
         agent: {{ interval: 1ms, listen: \"127.0.0.1:0\" }}\n",
        origin.path.display()
    );
    std::fs::write(&config, lines).expect("written");
    let mut command = support::tagalong::command(folder.path());
    // The test would otherwise keep the log of each cycle.
    command.args(["run", "--log-level", "warn,tagalong::cli=info,tagalong::agent=info,tagalong::agent::log=warn"]);
    command.args(["--log-format", "json", "--config"]).arg(&config);
    let agent = Agent::spawn(command);
    let done = || agent.metric("tagalong_cycles_total{result=\"done\"}") as usize;
    let (mut second, mut early) = (0, None);
    while done() < cycles {
        second += 1;
        for image in 0..IMAGES {
            shelf.lock().expect("unpoisoned").tags[image].push((name(image, second), second));
        }
        let end = done() + news;
        while done() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        if done() > cycles / 5 {
            early.get_or_insert_with(|| agent.memory());
        }
    }
    let is_right = || (0..IMAGES).all(|image| origin.read(&format!("apps/app-{image}.yaml")) == text(image, second));
    wait_until("all is deployed", is_right);
    let (early, late) = (early.expect("seen"), agent.memory());
    println!("{} cycles, {} commits; memory {early} kB after a fifth of them, {late} kB at the end", done(), second);
    if support::is_large() {
        assert!(late < early + early / 5, "{early} kB became {late} kB");
    }
    let (code, log) = agent.stop();
    assert_eq!(code, 0, "{log}");
    assert!(!log.contains("cycle failed"), "{log}");
}
