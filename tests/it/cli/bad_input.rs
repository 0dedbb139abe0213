//! Invalid input causes a clear error with its position and the documented exit code, and changes nothing.

use crate::support;
use crate::support::infra::Stage;
use crate::support::tagalong::run;

const APP: &str = "image: HOST/org/app:aaaaaa1\n";

fn stage() -> Stage {
    let stage = Stage::new(&[("app.yaml", APP), ("chart/broken.yaml", "{{ if x }}\na: [\n")]);
    stage.registry.push("org/app", "aaaaaa1", "2026-04-01T10:00:00Z");
    stage
}

#[test]
fn every_configuration_mistake_is_reported_with_its_position() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tagalong.yaml");
    let text = "git:\n  url: infra\n  depth: deep\n  brunch: main\nregistries:\n- host: https://ghcr.io\npolicies:\n- images: [ghcr.io/acme/*]\n  tags: { sha: { pattern: '[' }, semver: x }\n";
    std::fs::write(&file, text).expect("written");
    let config = file.display().to_string();
    for command in ["run", "sync", "check", "images"] {
        let run = run(folder.path(), &[command, "--config", &config]).fails_with(2);
        let errors: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 6, "{run:#?}");
        assert!(errors.iter().all(|line| line.contains(&format!("{config}:"))), "{run:#?}");
        for words in [":2:8: git.url", ":3:10: git.depth", ":4:3: git.brunch: unknown key; did you mean `branch`?"] {
            assert!(errors.iter().any(|line| line.contains(words)), "{words}: {run:#?}");
        }
    }
}

#[test]
fn common_mistakes_are_answered_with_what_to_write() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tagalong.yaml");
    let config = file.display().to_string();
    let said = |text: &str| {
        std::fs::write(&file, text).expect("written");
        run(folder.path(), &["sync", "--config", &config]).fails_with(2).stderr
    };
    let policy =
        |tags: &str| format!("git: {{ url: /srv/infra }}\npolicies:\n- images: [ghcr.io/acme/*]\n  tags: {tags}\n");
    for (text, words) in [
        ("agent:\n  interval: 30\n".to_owned(), ":2:13: agent.interval: `30` has no unit; write `30s`"),
        (
            policy("sha"),
            "policies[0].tags: expected a mapping, found a string; write `tags: { sha: { order: built } }`",
        ),
        (
            policy("{ sha: pushed }"),
            "policies[0].tags.sha: expected a mapping, found a string; write `sha: { order: pushed }`",
        ),
        ("git:\n  url: infra\n  url: infra\n".to_owned(), ":3:3: the key `url` is there twice"),
        ("git:\n  knwonHostsFile: x\n  urll: x\n".to_owned(), "git.urll: unknown key; did you mean `url`?"),
    ] {
        let found = said(&text);
        assert!(found.contains(words), "{words}: {found}");
        assert!(!found.contains("Policy in Options") && found.matches("error: ").count() <= 2, "{found}");
    }
    let unit = run(folder.path(), &["set", "app:v1", "--wait-image", "30", "--git-url", "/x"]);
    assert!(unit.code == 2 && unit.stderr.contains("`30` has no unit; write `30s`"), "{unit:#?}");
}

#[test]
fn a_missing_a_wrong_and_a_broken_age_key_are_told_apart() {
    let (sops, home) = (support::sops::Sops::new(), tempfile::tempdir().expect("a folder"));
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: { name: db }\nstringData: { password: hunter2 }\n";
    let work = home.path().join("work");
    std::fs::create_dir(&work).expect("a folder");
    std::fs::write(work.join("s.yaml"), sops.encrypt("s.yaml", secret, "encrypted_regex: ^stringData$"))
        .expect("written");
    let work = work.display().to_string();
    let key = home.path().join("age.agekey");
    let verified = |text: Option<&str>| {
        let key = key.display().to_string();
        let mut arguments = vec!["secrets", "verify", "--dir", &work];
        if let Some(text) = text {
            std::fs::write(&key, text).expect("written");
            arguments.extend(["--age-key-file", &key]);
        }
        run(home.path(), &arguments)
    };
    let none = verified(None);
    assert!(none.code == 3 && none.stdout.contains("there is no age identity to decrypt it with"), "{none:#?}");
    let (recipient, identity) = support::sops::new_key();
    let wrong = verified(Some(&identity));
    let words = format!(
        "the only available identity, that of {recipient}, cannot decrypt it; it is encrypted to {}",
        sops.recipient
    );
    assert!(wrong.code == 3 && wrong.stdout.contains(&words), "{wrong:#?}");
    let broken = verified(Some("AGE-SECRET-KEY-1OOPS\n")).fails_with(2);
    assert!(broken.stderr.contains("age.agekey: line 1: not a valid age identity"), "{broken:#?}");
    verified(Some(&sops.identity)).ok();
}

#[test]
fn of_many_mistakes_the_first_are_reported_and_the_others_counted() {
    let stage = stage();
    let keys: String = (0..30_000).map(|n| format!("key{n}: x\n")).collect();
    let text = format!("{keys}{}: x\npolicies:\n- images: [{}]\n", "k".repeat(1_000), "x".repeat(1_000_000));
    stage.origin.commit("many mistakes", &[("tagalong.yaml", &text)]);
    let run = stage.tagalong(&["sync"]).fails_with(2);
    let errors: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    let start: String = run.stderr.chars().take(2_000).collect();
    assert_eq!(errors.len(), 21, "{start}");
    assert!(errors[0].contains("tagalong.yaml:1:1: key0: unknown key"), "{start}");
    assert!(errors[19].contains("tagalong.yaml:20:1: key19: unknown key"), "{start}");
    assert!(errors[20].ends_with(" more errors"), "{}", errors[20]);
    let text = format!(
        "{}: x\npolicies:\n- images: [a.example.com/x]\n  tags: {{ sha: {{ order: {} }} }}\n",
        "k".repeat(1_000),
        "x".repeat(1_000_000)
    );
    stage.origin.commit("long mistakes", &[("tagalong.yaml", &text)]);
    let run = stage.tagalong(&["sync"]).fails_with(2);
    assert!(run.stderr.contains("kkk…: unknown key") && run.stderr.contains("xxx…"), "{} bytes", run.stderr.len());
    assert!(run.stderr.len() < 10_000, "{} bytes", run.stderr.len());
}

#[test]
fn unreadable_files_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let gone = folder.path().join("gone.yaml").display().to_string();
    let run_ = run(folder.path(), &["sync", "--config", &gone]).fails_with(2);
    assert!(run_.stderr.contains(&gone), "{run_:#?}");
    let run_ = run(folder.path(), &["sync"]).fails_with(2);
    assert!(run_.stderr.contains("no git repository is configured") && run_.stderr.contains("help: "), "{run_:#?}");
    let run_ = run(folder.path(), &["images", "--dir", &gone]).fails_with(2);
    assert!(run_.stderr.contains("cannot open"), "{run_:#?}");
    let stage = stage();
    let config = stage.config();
    let text = std::fs::read_to_string(&config)
        .expect("there")
        .replace("plainHttp: true", "plainHttp: true, credentialsFile: /nowhere/auth.json");
    std::fs::write(&config, text).expect("written");
    let check = stage.tagalong(&["check"]);
    assert_eq!(check.code, 2, "{check:#?}");
    assert!(check.stdout.contains("/nowhere/auth.json"), "{check:#?}");
}

#[test]
fn an_invalid_command_line_exits_with_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().display().to_string();
    for arguments in [
        vec!["frobnicate"],
        vec!["set"],
        vec!["set", "app:v1", "--wait-image", "soon", "--dir", &dir],
        vec!["set", "app:v1", "--dir", &dir, "--git-url", "/x"],
        vec!["images", "--dir", &dir, "--output", "xml"],
        vec!["images", "--dir", &dir, "--path", "../x"],
        vec!["sync", "--log-level", "===", "--git-url", "/x"],
    ] {
        let run = run(folder.path(), &arguments);
        assert_eq!(run.code, 2, "{arguments:?}: {run:#?}");
        assert!(run.stderr.starts_with("error: "), "{arguments:?}: {run:#?}");
    }
}

#[test]
fn a_rejected_set_changes_nothing() {
    let stage = stage();
    let before = stage.origin.tip();
    let image = stage.image("app");
    let cases = [
        (vec!["set".to_owned(), format!("{}:x", stage.image("ap"))], 2, "similar images:"),
        (vec!["set".to_owned(), format!("{image}:missing")], 3, "no such image"),
        (vec!["set".to_owned(), image.clone()], 2, "has neither a tag nor a digest"),
        (
            vec!["set".to_owned(), format!("{image}:aaaaaa1"), "--path".to_owned(), "chart/broken.yaml".to_owned()],
            2,
            "cannot be read as YAML",
        ),
    ];
    for (arguments, code, words) in cases {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let run = stage.tagalong(&arguments).fails_with(code);
        assert!(run.stderr.contains(words) && run.stderr.contains("help: "), "{arguments:?}: {run:#?}");
    }
    stage.registry.push("org/unused", "v1", "2026-04-01T10:00:00Z");
    let run = stage.tagalong(&["set", &format!("{}:v1", stage.image("unused"))]).fails_with(2);
    assert!(run.stderr.contains("similar images:") && run.stderr.contains(&image), "{run:#?}");
    assert_eq!(stage.origin.tip(), before);
}

#[test]
fn an_older_build_is_refused_unless_forced() {
    let stage = stage();
    stage.registry.push("org/app", "bbbbbb1", "2026-03-01T10:00:00Z");
    let reference = format!("{}:bbbbbb1", stage.image("app"));
    let run = stage.tagalong(&["set", &reference]).fails_with(3);
    assert!(run.stderr.contains("was built before aaaaaa1") && run.stderr.contains("--allow-downgrade"), "{run:#?}");
    assert!(stage.origin.read("app.yaml").ends_with("aaaaaa1\n"));
    let run = stage.tagalong(&["set", &reference, "--allow-downgrade"]);
    assert!(run.code == 2 && run.stderr.contains("--reason <TEXT>"), "{run:#?}");
    stage.tagalong(&["set", &reference, "--allow-downgrade", "--reason", "the new one loses orders"]).ok();
    let (image, message) = (stage.image("app"), stage.origin.message());
    assert!(message.contains(&format!("\nTagalong-Forced: downgrade {image} aaaaaa1 -> bbbbbb1\n")), "{message}");
    assert!(message.contains("\nTagalong-Reason: the new one loses orders\n"), "{message}");
    let last = stage.tagalong(&["history", "--output", "json"]).ok().json()[0].clone();
    assert_eq!((&last["act"], &last["reason"]), (&"forced".into(), &"the new one loses orders".into()), "{last:#}");
    assert!(stage.origin.read("app.yaml").ends_with("bbbbbb1\n"));
}

#[test]
fn set_waits_for_an_image_that_is_still_being_pushed() {
    let stage = stage();
    let reference = format!("{}:cccccc1", stage.image("app"));
    let waiting = std::thread::scope(|scope| {
        let waiting =
            scope.spawn(|| stage.tagalong(&["set", &reference, "--wait-image", "30s", "--log-level", "info"]));
        // The push may come just before or after the program begins to wait; both must work.
        std::thread::sleep(std::time::Duration::from_millis(1500));
        stage.registry.push("org/app", "cccccc1", "2026-04-02T10:00:00Z");
        waiting.join().expect("a run")
    });
    let run = waiting.ok();
    assert_eq!(run.stdout.trim(), stage.origin.tip());
}

#[test]
fn images_and_check_report_without_changing_anything() {
    let stage = stage();
    let before = stage.origin.tip();
    let rows = stage.tagalong(&["images", "--output", "json"]).ok().json();
    let row = &rows[0];
    assert_eq!(row["file"], "app.yaml");
    assert_eq!((&row["line"], &row["column"], &row["document"]), (&1.into(), &8.into(), &0.into()));
    assert_eq!(row["shape"], "workload");
    assert_eq!(row["image"], stage.image("app"));
    assert_eq!(
        (&row["tag"], &row["digest"], &row["shadowedBy"]),
        (&"aaaaaa1".into(), &serde_json::Value::Null, &serde_json::Value::Null)
    );
    assert_eq!(row["policy"], format!("{}/org/*", stage.registry.host()));
    let check = stage.tagalong(&["check", "--output", "json"]).ok().json();
    assert!(check.as_array().expect("rows").iter().all(|row| row["ok"] == true), "{check:#}");
    let keys = |check: &serde_json::Value| {
        check.as_array().expect("rows").iter().find(|row| row["check"] == "keys").expect("a row").clone()
    };
    assert!(keys(&check)["detail"].as_str().expect("text").starts_with("none found"), "{check:#}");
    let (recipient, identity) = support::sops::new_key();
    let file = stage.home().join("age.key");
    let checked = |text: &str| {
        std::fs::write(&file, text).expect("written");
        let mut command = support::tagalong::command(stage.home());
        command.args(["check", "--output", "json", "--config"]).arg(stage.config()).env("SOPS_AGE_KEY_FILE", &file);
        support::tagalong::complete(&mut command)
    };
    let found = checked(&identity);
    assert_eq!(keys(&found.json())["detail"], format!("decrypt files for {recipient}"), "{found:#?}");
    let broken = checked(&format!("{identity}X"));
    assert!(
        !keys(&broken.json())["ok"].as_bool().expect("a boolean") && !broken.stdout.contains(&identity),
        "{broken:#?}"
    );
    assert_eq!(broken.code, 2);
    assert_eq!(stage.origin.tip(), before);
    assert!(stage.tagalong(&["images"]).ok().stdout.starts_with("FILE"));
}
