//! On a terminal, tables fit its width, what needs attention comes first, and progress is shown.

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;

use crate::support::git::Origin;
use crate::support::infra::Stage;
use crate::support::scripted::{Scripted, json};
use crate::support::tagalong::run;
use crate::support::terminal::{in_terminal, lines, run_in_terminal};

const OLD: &str = "0123456789abcdef0123456789abcdef01234567";
const NEW: &str = "fedcba9876543210fedcba9876543210fedcba98";

/// Images with long names and git SHAs as tags: one is up to date, one moves, and one is held.
fn stage() -> Stage {
    let image = |name: &str| format!("image: HOST/org/payments-department-{name}:{OLD}\n");
    let (checkout, invoices, ledger) = (image("checkout-service"), image("invoices-and-dunning"), image("ledger"));
    let stage = Stage::new(&[
        ("clusters/production/payments/checkout.yaml", &checkout),
        ("clusters/production/payments/invoices.yaml", &invoices),
        ("clusters/production/payments/ledger.yaml", &ledger),
    ]);
    for name in ["checkout-service", "invoices-and-dunning", "ledger"] {
        stage.registry.push(&format!("org/payments-department-{name}"), OLD, "2026-04-01T10:00:00Z");
    }
    for name in ["invoices-and-dunning", "ledger"] {
        stage.registry.push(&format!("org/payments-department-{name}"), NEW, "2026-04-02T10:00:00Z");
    }
    let held = stage.image("payments-department-ledger");
    stage.tagalong(&["hold", &held, "--reason", "change freeze until the audit is over", "--actor", "Ada"]).ok();
    stage
}

#[test]
fn tables_fit_the_terminal_with_trouble_first() {
    let stage = stage();
    let config = stage.config().display().to_string();
    for command in [&["status"][..], &["images"], &["images", "verify"], &["history"], &["secrets", "verify"]] {
        let shown = run_in_terminal(stage.home(), &[command, &["--config", &config]].concat()).ok();
        let all = lines(&shown.stdout);
        let wide: Vec<&String> = all.iter().filter(|line| line.chars().count() > 80).collect();
        assert!(wide.is_empty(), "{command:?}: {wide:#?}");
    }
    let shown = run_in_terminal(stage.home(), &["status", "--config", &config]).ok();
    assert!(shown.stdout.contains("\x1b[32mup-to-date") && shown.stdout.contains("\x1b[33mheld"), "{}", shown.stdout);
    let all = lines(&shown.stdout);
    let at =
        |words: &str| all.iter().position(|line| line.contains(words)).unwrap_or_else(|| panic!("{words}: {all:#?}"));
    assert!(at(" held") < at(" updating") && at(" updating") < at(" up-to-date"), "{all:#?}");
    assert_eq!(all.last().map(String::as_str), Some("3 images: 1 held, 1 updating, 1 up-to-date"), "{all:#?}");
    assert!(all[at(" updating")].contains(&OLD[..7]) && all[at(" updating")].contains(&NEW[..7]), "{all:#?}");

    // In a pipe, nothing is shortened or colored.
    let piped = stage.tagalong(&["status"]).ok().stdout;
    assert!(piped.contains(OLD) && piped.contains(NEW) && !piped.contains('…') && !piped.contains('\x1b'), "{piped}");
    assert!(
        run_in_terminal(stage.home(), &["status", "--color=never", "--config", &config])
            .ok()
            .stdout
            .find('\x1b')
            .is_none()
    );
}

#[test]
fn status_is_shown_for_one_image_and_again_until_it_is_interrupted() {
    let stage = stage();
    let (config, image) = (stage.config().display().to_string(), stage.image("payments-department-ledger"));
    let one = stage.tagalong(&["status", &image, "-o", "json"]).ok().json();
    assert_eq!((one.as_array().expect("a list").len(), &one[0]["image"]), (1, &image.as_str().into()));
    let unknown = stage.tagalong(&["status", &stage.image("payments-department-legder")]).fails_with(2);
    assert!(unknown.stderr.contains("similar images: ") && unknown.stderr.contains(&image), "{unknown:#?}");
    let piped = stage.tagalong(&["status", "--watch"]).fails_with(2);
    assert!(piped.stderr.contains("--watch needs a terminal"), "{piped:#?}");

    let mut watch = in_terminal(stage.home(), &["status", &image, "--watch=50ms", "--config", &config]);
    let mut child = watch.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script starts");
    let (mut seen, mut buffer) = (String::new(), [0; 4096]);
    let mut output = child.stdout.take().expect("stdout");
    while seen.matches("\x1b[2J").count() < 3 {
        let count = output.read(&mut buffer).expect("output");
        assert!(count > 0, "it ended: {seen}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    child.stdin.as_mut().expect("stdin").write_all(b"\x03").expect("typed");
    output.read_to_string(&mut seen).expect("the rest");
    assert!(child.wait().expect("it ends").success(), "{seen}");
    assert!(seen.contains("1 image: 1 held"), "{seen}");
}

#[test]
fn progress_is_shown_while_history_is_read() {
    let home = tempfile::tempdir().expect("a folder");
    // Enough to be read for longer than the time after which progress is shown.
    let images = |round: usize| (0..200).map(move |image| format!("image: acme/app{image}:{round}\n---\n"));
    let commits = (0..200)
        .map(|round| (format!("round {round}"), vec![("app.yaml".to_owned(), images(round).collect::<String>())]));
    let origin = Origin::import(&home.path().join("infra.git"), commits);
    let config = home.path().join("tagalong.yaml");
    let text = format!("git: {{ url: '{}', branch: main }}\n", origin.path.display());
    std::fs::write(&config, format!("{text}policies: [{{ images: ['acme/*'], tags: {{ semver: '*' }} }}]\n"))
        .expect("written");
    let arguments = ["history", "acme/app1", "--since", "2999-01-01", "--config", config.to_str().expect("text")];
    let seen = run_in_terminal(home.path(), &arguments).ok();
    assert!(seen.stdout.contains(" commits read"), "{seen:#?}");
    assert!(lines(&seen.stdout).last().is_some_and(|line| line.contains("no field has moved")), "{seen:#?}");
    let quiet = run_in_terminal(home.path(), &[&arguments[..], &["--quiet"]].concat()).ok();
    assert!(!quiet.stdout.contains("commits read"), "{quiet:#?}");
    assert_eq!(run(home.path(), &arguments).ok().stderr, "");
}

#[test]
fn progress_is_shown_on_a_terminal_only() {
    let server = Scripted::start(|_| {
        // Longer than the time after which progress is shown.
        std::thread::sleep(Duration::from_secs(2));
        json(404, serde_json::json!({ "errors": [] }), &[])
    });
    let home = tempfile::tempdir().expect("a folder");
    let host = server.host();
    let work = home.path().join("work");
    std::fs::create_dir(&work).expect("a folder");
    std::fs::write(work.join("app.yaml"), format!("image: {host}/org/app:1.0\n---\nimage: {host}/org/web:1.0\n"))
        .expect("written");
    let config = home.path().join("tagalong.yaml");
    std::fs::write(&config, format!("registries:\n- {{ host: '{host}', plainHttp: true }}\n")).expect("written");
    let arguments =
        ["images", "verify", "--dir", work.to_str().expect("text"), "--config", config.to_str().expect("text")];
    let seen = run_in_terminal(home.path(), &arguments);
    assert!(seen.code == 3 && seen.stdout.contains(" of 2 deployed images"), "{seen:#?}");
    let quiet = run_in_terminal(home.path(), &[&arguments[..], &["--quiet"]].concat());
    assert!(quiet.code == 3 && !quiet.stdout.contains(" of 2 deployed images"), "{quiet:#?}");
    assert_eq!(run(home.path(), &arguments).stderr, "");
}
