//! Files and folders that are too large, too many or too deep are reported; they neither end the program nor fill its
//! memory.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::agent::Agent;
use crate::support::git::git;
use crate::support::infra::Stage;
use crate::support::tagalong;

const OLD: &str = "2026-04-01T10:00:00Z";
const NEW: &str = "2026-04-02T10:00:00Z";

/// The memory of a pod (`deploy/`), in kilobytes.
const POD: u64 = 256 << 10;

fn stage() -> Stage {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", OLD);
    stage.registry.push("org/app", "bbbbbb1", NEW);
    stage
}

/// Writes an object to the origin, and returns its ID.
fn object(stage: &Stage, arguments: &[&str], input: impl FnOnce(&mut dyn Write)) -> String {
    let mut command = Command::new("git");
    command.current_dir(&stage.origin.path).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("git starts");
    input(&mut child.stdin.take().expect("a pipe"));
    let output = child.wait_with_output().expect("git ends");
    assert!(output.status.success(), "git {arguments:?}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// Adds an entry to the root of the tip, given as a line of `git ls-tree`.
fn add(stage: &Stage, entry: &str) {
    let path = &stage.origin.path;
    let tree = object(stage, &["mktree"], |input| {
        writeln!(input, "{}{entry}", git(path, &["ls-tree", "main"])).expect("written");
    });
    let commit = git(path, &["commit-tree", "-p", "main", "-m", "more", &tree]);
    git(path, &["update-ref", "refs/heads/main", commit.trim()]);
}

/// Waits for the first cycle, which takes a while without optimization.
fn finishes(agent: &Agent) {
    let begun = Instant::now();
    while !agent.log().contains("cycle finished") {
        assert!(begun.elapsed() < Duration::from_secs(300), "{}", agent.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the figure is to be seen with --nocapture")]
fn a_huge_file_is_reported_and_not_read() {
    let stage = stage();
    let megabytes = 300;
    let blob = object(&stage, &["-c", "core.bigFileThreshold=1m", "hash-object", "-w", "--stdin"], |input| {
        (0..megabytes).for_each(|_| input.write_all(&vec![0; 1 << 20]).expect("written"));
    });
    // In a folder of its own, because it blocks what is deployed along with it.
    let folder = object(&stage, &["mktree"], |input| {
        writeln!(input, "100644 blob {blob}\thuge.yaml").expect("written");
    });
    add(&stage, &format!("040000 tree {folder}\tother"));
    let agent = Agent::start(stage.home(), &stage.config());
    finishes(&agent);
    assert!(stage.origin.read("app.yaml").ends_with("bbbbbb1\n"), "{}", agent.log());
    let size = megabytes << 20;
    let note =
        format!("other/huge.yaml: left alone, cannot be read: too large: {size} bytes; files of up to 10 MiB are read");
    agent.wait_for(&note);
    let peak = agent.peak_memory();
    println!("a file of {megabytes} MiB: {peak} kB at most");
    assert!(peak < POD, "{peak} kB");
    drop(agent);
    let run = stage.tagalong(&["images", "--path", "other/huge.yaml"]).fails_with(2);
    assert!(run.stderr.contains("other/huge.yaml: cannot be read as YAML"), "{run:#?}");
    let run = stage.tagalong(&["secrets", "verify", "--output", "json"]);
    assert_eq!(run.code, 3, "{run:#?}");
    let row = &run.json()["files"][0];
    assert_eq!((&row["file"], &row["status"]), (&"other/huge.yaml".into(), &"unverified".into()), "{row:#}");
}

#[test]
#[expect(clippy::print_stdout, reason = "the figure is to be seen with --nocapture")]
fn large_files_that_are_read_take_less_memory_than_a_pod_has() {
    let stage = stage();
    // Each of them as expensive as a file can be, for its values or for its fields, and so many small ones between them
    // that several threads read.
    let values = format!("image: [{}]\n", "a,".repeat(490_000));
    let secrets = format!("kind: Secret\nsops: [{}]\nmac: x\n", "a,".repeat(490_000));
    let fields = format!("a:\n{}", "- image: HOST/org/app:aaaaaa1\n".repeat(160_000));
    let fields = fields.replace("HOST", &stage.registry.host());
    let small = (0..70).map(|n| (format!("m{n}.yaml"), "image: a/b:1\n"));
    let large = [("a1", &values), ("a2", &secrets), ("z1", &values), ("z2", &fields)];
    let large = large.map(|(name, text)| (format!("{name}.yaml"), text.as_str()));
    let files: Vec<(String, &str)> = large.into_iter().chain(small).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    stage.origin.commit("large", &files);
    let agent = Agent::start(stage.home(), &stage.config());
    finishes(&agent);
    let peak = agent.peak_memory();
    println!("files with many lines or values: {peak} kB at most");
    // One of them may contain a Secret, so the image that is deployed with it stays.
    let unverified = "a2.yaml, document 0: it cannot be checked for Secrets: it is too large";
    assert!(agent.log().contains(unverified), "{}", agent.log());
    assert!(stage.origin.read("app.yaml").ends_with("aaaaaa1\n"), "{}", agent.log());
    assert!(peak < POD, "{peak} kB");
}

#[test]
fn fields_on_a_line_as_long_as_the_file_are_found() {
    let folder = tempfile::tempdir().expect("a folder");
    // Walking along the line from its start for each value, as a marker makes necessary, would take an hour.
    let item = |n: usize| format!("{{\"é\": \"{}\", \"image\": \"a/b:{n}\"}}, ", "é".repeat(300));
    let items: String = (0..9_000).map(item).collect();
    let text = format!("[{items}{{}}] # {{\"$imagepolicy\": \"flux-system:app\"}}\n");
    fs::write(folder.path().join("line.yaml"), text).expect("written");
    let place = folder.path().display().to_string();
    let json = tagalong::run(folder.path(), &["images", "--dir", &place, "--output", "json"]).ok().json();
    let fields = json.as_array().expect("fields");
    assert_eq!(fields.len(), 9_000);
    assert_eq!(fields[8_999]["tag"], "8999", "{}", fields[8_999]);
}

/// Texts that are nested, or refer to themselves, so that reading them by recursion would exhaust the stack.
fn deep_files() -> Vec<(&'static str, String)> {
    let flow = |depth: usize| format!("{}x{}", "[".repeat(depth), "]".repeat(depth));
    let chain: String =
        (1..2_000).map(|n| format!("a{n}: &a{n} {}*a{}{}\n", "[".repeat(100), n - 1, "]".repeat(100))).collect();
    let steps = "__map_a".repeat(50_000);
    let secret = "apiVersion: v1\nkind: Secret\nimage: a/b:1\n";
    vec![
        ("sequences.yaml", "- ".repeat(60_000) + "image: a/b:1\n"),
        ("flow.yaml", format!("image: {}\n", flow(240))),
        ("secret.yaml", format!("{secret}data: {}\nsops: {{ mac: x }}\n", flow(240))),
        ("endless.yaml", format!("{secret}sops: &s {{ mac: x, lastmodified: x, age: [*s], more: *s }}\n")),
        ("multiplied.yaml", format!("{secret}sops:\n  mac: x\n  a: &a [x,x,x,x,x,x,x,x]\n  b: &b [*a,*a,*a,*a,*a,*a,*a,*a]\n  c: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n  d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\n  e: &e [*d,*d,*d,*d,*d,*d,*d,*d]\n  f: &f [*e,*e,*e,*e,*e,*e,*e,*e]\n  g: &g [*f,*f,*f,*f,*f,*f,*f,*f]\n  h: [*g,*g,*g,*g,*g,*g,*g,*g]\n")),
        ("chain.yaml", format!("{secret}a0: &a0 x\n{chain}sops: {{ mac: x }}\n")),
        ("list.yaml", "kind: List\nitems: &x\n- { kind: Secret, image: a/b:1, metadata: { name: a } }\n- { kind: List, items: *x }\n".to_owned()),
        ("deep.json", format!("{{\"image\": \"a/b:1\", \"kind\": \"Secret\", \"sops\": {}, \"mac\": 1}}", "[".repeat(100_000))),
        ("flat.env", format!("sops_mac=x\nsops_lastmodified=x\nsops_a{steps}=x\n")),
        ("flat.ini", format!("[sops]\nmac=x\nlastmodified=x\na{steps}=x\n")),
        ("rooms.env", format!("sops_mac=x\n{}", (0..2_000).map(|n| format!("sops_a{n}__list_999__list_999__list_999=x\n")).collect::<String>())),
        (".sops.yaml", "creation_rules: &r\n- path_regex: nothing\n  key_groups: *r\n  merge: *r\n".to_owned()),
    ]
}

#[test]
fn deep_files_are_reported_by_every_command() {
    let stage = stage();
    let files = deep_files();
    for (name, text) in &files {
        // Each alone, so that none hides another.
        let folder = stage.home().join("alone");
        fs::create_dir(&folder).expect("a folder");
        fs::write(folder.join(name), text).expect("written");
        for command in [["secrets", "verify", "--dir"].as_slice(), &["images", "--dir"]] {
            let arguments: Vec<&str> = command.iter().copied().chain(["alone"]).collect();
            let mut process = tagalong::command(stage.home());
            let run =
                tagalong::finished(process.current_dir(stage.home()).args(&arguments).output().expect("it starts"));
            assert!([0, 3].contains(&run.code), "{name}: {run:#?}");
        }
        fs::remove_dir_all(&folder).expect("removed");
    }
    // In a folder of their own, because they block what is deployed along with them; with an image that is followed,
    // because other files are not parsed.
    let image = format!("{}:aaaaaa1", stage.image("app"));
    let files = files.iter().map(|(name, text)| (format!("deep/{name}"), text.replace("a/b:1", &image)));
    let files: Vec<(String, String)> = files.collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    stage.origin.commit("deep", &files);
    let agent = Agent::start(stage.home(), &stage.config());
    finishes(&agent);
    agent.wait_for("deep/sequences.yaml: left alone, cannot be read: line 1, column 401: nested too deeply");
    assert_eq!(agent.stop().0, 0);
    assert!(stage.origin.read("app.yaml").ends_with("bbbbbb1\n"));
    let run = stage.tagalong(&["secrets", "verify"]);
    assert!([0, 3].contains(&run.code), "{run:#?}");
}

#[test]
fn a_tree_that_contains_the_same_trees_many_times_over_is_refused() {
    let stage = stage();
    let blob = object(&stage, &["hash-object", "-w", "--stdin"], |input| input.write_all(b"x\n").expect("written"));
    let ten = |stage: &Stage, kind: &str, id: &str| {
        let entries: String = (0..10).map(|n| format!("{kind} {id}\t{n}\n")).collect();
        object(stage, &["mktree"], |input| input.write_all(entries.as_bytes()).expect("written"))
    };
    let mut tree = ten(&stage, "100644 blob", &blob);
    for _ in 0..9 {
        tree = ten(&stage, "040000 tree", &tree);
    }
    add(&stage, &format!("040000 tree {tree}\tbomb"));
    let run = stage.tagalong(&["sync"]).fails_with(2);
    assert!(
        run.stderr.contains("the repository has too many files: up to 500000 files and folders are read"),
        "{run:#?}"
    );
}

#[test]
fn a_folder_that_is_nested_too_deeply_is_skipped_but_never_proved() {
    let stage = stage();
    let secret = "apiVersion: v1\nkind: Secret\nstringData: { password: x }\n";
    let blob =
        object(&stage, &["hash-object", "-w", "--stdin"], |input| input.write_all(secret.as_bytes()).expect("written"));
    let mut tree =
        object(&stage, &["mktree"], |input| writeln!(input, "100644 blob {blob}\tsecret.yaml").expect("written"));
    for _ in 0..300 {
        tree = object(&stage, &["mktree"], |input| writeln!(input, "040000 tree {tree}\td").expect("written"));
    }
    add(&stage, &format!("040000 tree {tree}\tdeep"));
    let run = stage.tagalong(&["images"]).ok();
    assert!(run.stderr.contains("folders nested this deeply are not read"), "{run:#?}");
    let run = stage.tagalong(&["secrets", "verify"]).fails_with(2);
    assert!(run.stderr.contains("is nested too deeply: up to 200 levels of folders are read"), "{run:#?}");
}
