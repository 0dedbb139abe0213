//! The fuzzer's targets with inputs that are kept, and with large and deep ones. In a crate of its own because an input
//! that exhausts the stack ends the process, and because the memory of the process is measured.

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

#[path = "../fuzz/targets/mod.rs"]
mod targets;

/// The memory that the program is given in `deploy/`, in KiB.
const MEMORY: u64 = 256 << 10;

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz"))
}

/// The names of a folder's entries.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect()
}

/// The kept inputs of a target, by name.
fn kept(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = folder().join("kept").join(target);
    let read =
        |name: String| (name.clone(), fs::read(folder.join(&name)).unwrap_or_else(|error| panic!("{name}: {error}")));
    names(&folder).into_iter().map(read).collect()
}

/// Runs a target; returns the name of the input if something does not hold for it.
fn failure(target: &str, name: &str, bytes: &[u8]) -> Option<String> {
    catch_unwind(|| targets::run(target, bytes)).is_err().then(|| format!("{target}: {name}"))
}

#[test]
fn every_target_has_its_files() {
    let targets: BTreeSet<String> = targets::ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&folder().join("kept")), targets);
    let files = targets.iter().map(|name| format!("{name}.rs")).collect::<BTreeSet<_>>();
    assert_eq!(names(&folder().join("fuzz_targets")), files);
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).expect("readable");
    for name in &targets {
        let file = fs::read_to_string(folder().join(format!("fuzz_targets/{name}.rs"))).expect("readable");
        assert!(file.contains(&format!("targets::run(\"{name}\", bytes)")), "{file}");
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n")), "{name}");
        assert!(!kept(name).is_empty(), "{name}: there is nothing in its folder");
    }
    let sources = names(&folder().join("targets"));
    let listed = fs::read_to_string(folder().join("targets/mod.rs")).expect("readable");
    for name in sources.iter().filter_map(|file| file.strip_suffix(".rs")).filter(|name| *name != "mod") {
        assert!(listed.contains(&format!("pub mod {name};")), "{name} is not compiled");
    }
}

#[test]
fn kept_inputs_pass() {
    let mut failures = Vec::new();
    for (target, _) in targets::ALL {
        failures.extend(kept(target).iter().filter_map(|(name, bytes)| failure(target, name, bytes)));
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Each is larger than what libFuzzer tries on its own, and the deep ones would exhaust any stack if their depth were not
/// limited.
#[test]
fn large_inputs_pass_within_the_memory_of_a_pod() {
    // Frames of an unoptimized build are several times larger than those of the program, whose threads have 2 MiB.
    let thread = std::thread::Builder::new().stack_size(8 << 20).spawn(|| {
        let mut failures = Vec::new();
        for (target, _) in targets::ALL {
            for (name, bytes) in large(target) {
                failures.extend(failure(target, &name, &bytes));
                let peak = peak_memory();
                assert!(peak <= MEMORY, "{target}: {name}: {} MiB", peak >> 10);
            }
        }
        failures
    });
    let failures = thread.expect("a thread").join().expect("the peak of memory");
    assert!(failures.is_empty(), "{failures:#?}");
}

/// The largest amount of memory that the process has used so far, in KiB (proc(5), `VmHWM`).
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or_default()
}

/// Texts that are repeated: what opens a collection, and what makes lists longer.
const REPEATED: [(&str, &str); 14] = [
    ("brackets", "["),
    ("objects", "{\"a\":"),
    ("objects in lists", "[{\"config\":"),
    ("flow mappings", "{a: "),
    ("dashes", "- "),
    ("anchors", "&a "),
    ("questions", "? "),
    ("quotes", "\""),
    ("letters", "é"),
    ("lines", "a\n"),
    ("empty lines", "\n"),
    ("carriage returns", "\r"),
    ("zero bytes", "\0"),
    ("stars", "*a"),
];

/// The length of repeated texts, in bytes.
const LONG: usize = 70_000;

/// The large inputs of a target, by name.
fn large(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut inputs: Vec<(String, Vec<u8>)> =
        REPEATED.iter().map(|(name, text)| ((*name).to_owned(), text.repeat(LONG / text.len()).into_bytes())).collect();
    for (name, bytes) in kept(target).into_iter().filter(|(_, bytes)| !bytes.is_empty()) {
        inputs.push((format!("{name}, repeated"), bytes.repeat(LONG.div_ceil(bytes.len()))));
    }
    inputs.extend(long_lists(target).into_iter().map(|(name, text)| (name.to_owned(), text.into_bytes())));
    inputs
}

/// Long lists in the form that a target understands.
fn long_lists(target: &str) -> Vec<(&'static str, String)> {
    match target {
        "manifests" => vec![
            (
                "30,000 layers",
                json(r#"{"config":{"digest":"a"},"layers":["#, 30_000, |n| format!(r#"{{"digest":"{n}"}}"#), "]}"),
            ),
            (
                "30,000 platforms",
                json(
                    r#"{"manifests":["#,
                    30_000,
                    |n| format!(r#"{{"digest":"{n}","platform":{{"os":"linux","architecture":"{n}"}}}}"#),
                    "]}",
                ),
            ),
            (
                "30,000 annotations",
                json(r#"{"manifests":[],"annotations":{"#, 30_000, |n| format!(r#""{n}":"x""#), "}}"),
            ),
        ],
        "image_configs" => {
            vec![("50,000 labels", json(r#"{"config":{"Labels":{"#, 50_000, |n| format!(r#""{n}":"x""#), "}}}"))]
        }
        "tag_lists" => vec![("100,000 tags", json(r#"{"tags":["#, 100_000, |n| format!(r#""v1.0.{n}""#), "]}"))],
        "chart_indexes" => vec![
            ("50,000 charts", repeat("entries:\n", 50_000, |n| format!(" a{n}: []\n"))),
            ("50,000 versions", repeat("entries:\n shop:\n", 50_000, |n| format!(" - version: 1.0.{n}\n"))),
        ],
        "webhooks" => vec![
            ("50,000 images", json(r#"{"images":["#, 50_000, |n| format!(r#""ghcr.io/acme/app-{n}""#), "]}")),
            (
                "20,000 events",
                json(
                    r#"{"events":["#,
                    20_000,
                    |n| format!(r#"{{"action":"push","target":{{"repository":"a/{n}","tag":"1"}}}}"#),
                    "]}",
                ),
            ),
        ],
        "pull_secrets" => vec![
            (
                "spellings of a host",
                json(r#"{"auths":{"#, 3_000, |n| format!(r#""ghcr.io{}":{{}}"#, "/".repeat(n % 300)), "}}"),
            ),
            (
                "parts of a registry",
                json(r#"{"auths":{"#, 3_000, |n| format!(r#""ghcr.io/acme/app{}{n}":{{}}"#, "/".repeat(n % 9)), "}}"),
            ),
            ("patterns", json(r#"{"auths":{"#, 300, |n| format!(r#""*.{n}":{{"auth":"YTpi"}}"#), "}}")),
            (
                "a pattern of many choices",
                format!(r#"{{"auths":{{"*{}.io":{{"auth":"YTpi"}}}}}}"#, "{a,b}".repeat(20_000)),
            ),
        ],
        "known_hosts" => vec![
            ("10,000 lines", repeat("git.example.com\n", 10_000, |n| format!("h{n},*.h{n}.org ssh-ed25519 a2V5\n"))),
            (
                "10,000 hashed names",
                repeat("git.example.com\n", 10_000, |_| "|1|MDEyMzQ=|MDEyMzQ= ssh-rsa a2V5\n".to_owned()),
            ),
            ("a pattern of many stars", format!("{}\n{}b ssh-rsa a2V5\n", "a".repeat(250), "*a".repeat(1_000))),
        ],
        "trailers" => vec![
            (
                "10,000 holds",
                repeat("", 10_000, |n| format!("Tagalong-Held: a/b:{n} 2026-11-21T08:00:00Z 1 me why not\n")),
            ),
            ("a long hold", format!("Tagalong-Held: a 2026-11-21T08:00:00Z {0} {0} {0}\n", "%0A".repeat(30_000))),
        ],
        "links" => vec![
            ("5,000 links", repeat("", 5_000, |n| format!("<a?page={n}>; rel=\"prev\", ")) + "<b>; rel=\"next\""),
            ("a long link", format!("</{}>; rel=\"next\"", "../a//".repeat(10_000))),
        ],
        "challenges" => vec![("20,000 parameters", repeat("Bearer ", 20_000, |n| format!("a{n}=\"b\",")))],
        "closures" => vec![
            (
                "a long chain",
                repeat("d.yaml\nimage: a:1\n# kustomization.yaml\nresources: [d.yaml]", 1_000, |n| {
                    let below = if n == 0 { "..".to_owned() } else { format!("../{}", n - 1) };
                    format!("\n# {n}/kustomization.yaml\nresources: [{below}]\nimages: [{{name: a, newName: a}}]")
                }),
            ),
            (
                "a large circle",
                repeat("d.yaml\nimage: a:1", 400, |n| {
                    format!("\n# {n}/kustomization.yaml\nresources: [../{}, ../d.yaml]", (n + 1) % 400)
                }),
            ),
            (
                "a base of many",
                repeat("b/kustomization.yaml\nresources: [d.yaml]\n# b/d.yaml\nimage: a:1", 3_000, |n| {
                    format!("\n# {n}/kustomization.yaml\nresources: [../b]")
                }),
            ),
            (
                "everything in everything",
                repeat("d.yaml\nimage: a:1", 60, |n| {
                    let all = (0..60).map(|other| format!("../{other}, ")).collect::<String>();
                    format!("\n# {n}/kustomization.yaml\nresources: [{all}../d.yaml]")
                }),
            ),
        ],
        "config" => vec![
            ("1,000 unknown keys", repeat("", 1_000, |n| format!("key{n}: 1\n"))),
            (
                "300 policies",
                repeat("policies:\n", 300, |n| {
                    format!("- {{images: [\"ghcr.io/a/{n}\"], tags: {{sha: {{order: built}}}}}}\n")
                }),
            ),
            (
                "a pattern of many repetitions",
                "policies: [{images: [ghcr.io/a], tags: {sha: {pattern: \"(?P<sha>((((a{99}){99}){99}){99}){99})\"}}}]"
                    .to_owned(),
            ),
            (
                "a template without an end",
                "git: {message: \"{% for a in range(1000000000) %}{{ a }}{% endfor %}\"}".to_owned(),
            ),
        ],
        "bundles" => vec![
            ("500,000 numbers", json(r#"{"a":["#, 500_000, |_| "1".to_owned(), "]}")),
            ("300,000 numbers", json(r#"{"a":["#, 300_000, |_| "1".to_owned(), "]}")),
            (
                "10,000 log entries",
                json(
                    r#"{"verificationMaterial":{"publicKey":{},"tlogEntries":["#,
                    10_000,
                    |_| LOG_ENTRY.to_owned(),
                    "]},\"messageSignature\":{\"signature\":\"YQ==\"}}",
                ),
            ),
        ],
        "scan" | "splice" => vec![
            ("1,000 fields", repeat("images:\n", 1_000, |n| format!("- {{name: acme/app{n}, newTag: v{n}}}\n"))),
            ("1,000 aliases", repeat("a: &a [x, {image: acme/app:1}]\nb:\n", 1_000, |_| "- *a\n".to_owned())),
            ("1,000 markers", repeat("", 1_000, |n| format!("a{n}: v1 # {{\"$imagepolicy\": \"a:b:tag\"}}\n"))),
            ("lines to the left", repeat("a:\n    b: [\n", 1_000, |_| "c,\n".to_owned()) + "]\n"),
            ("a long line", format!("a: [{}{{image: acme/app:1}}]\n", "é, ".repeat(10_000))),
        ],
        "sops_yaml" => vec![("1,000 values", repeat("", 1_000, |n| format!("key{n}: value\n")))],
        "sops_json" => vec![("1,000 values", json("{", 1_000, |n| format!(r#""key{n}":"value""#), "}"))],
        "sops_dotenv" => vec![("1,000 values", repeat("", 1_000, |n| format!("KEY{n}=value\n")))],
        "sops_ini" => vec![("1,000 values", repeat("", 1_000, |n| format!("[section{n}]\nkey = value\n")))],
        _ => Vec::new(),
    }
}

/// The smallest entry of a transparency log.
const LOG_ENTRY: &str =
    r#"{"logId":{"keyId":"YQ=="},"kindVersion":{"kind":"dsse","version":"0.0.1"},"canonicalizedBody":"e30="}"#;

fn repeat(start: &str, count: usize, entry: impl Fn(usize) -> String) -> String {
    let entries: String = (0..count).map(entry).collect();
    format!("{start}{entries}")
}

fn json(start: &str, count: usize, entry: impl Fn(usize) -> String, end: &str) -> String {
    let entries: Vec<String> = (0..count).map(entry).collect();
    format!("{start}{}{end}", entries.join(","))
}
