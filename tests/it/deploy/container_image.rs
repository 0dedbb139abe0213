//! What the Containerfile promises; and with `./test --large`, that the image it builds keeps these promises.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support;
use crate::support::buildah::Buildah;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The instructions of the Containerfile: keyword and arguments, each on one line.
fn instructions() -> Vec<(String, String)> {
    let text = read("Containerfile");
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let joined = code.join("\n").replace("\\\n", " ");
    let lines = joined.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let (keyword, rest) = line.split_once(' ').unwrap_or_else(|| panic!("`{line}` is no instruction"));
            (keyword.to_owned(), rest.split_whitespace().collect::<Vec<_>>().join(" "))
        })
        .collect()
}

/// The instructions of one stage.
fn stage(name: &str) -> Vec<(String, String)> {
    let all = instructions();
    let start = all.iter().position(|(keyword, rest)| keyword == "FROM" && rest.ends_with(&format!(" AS {name}")));
    let start = start.unwrap_or_else(|| panic!("there is no stage {name}"));
    let end = all[start + 1..].iter().position(|(keyword, _)| keyword == "FROM").map_or(all.len(), |at| start + 1 + at);
    all[start..end].to_vec()
}

#[track_caller]
fn only(stage: &[(String, String)], keyword: &str) -> String {
    let mut found = stage.iter().filter(|(own, _)| own == keyword).map(|(_, rest)| rest.clone());
    let one = found.next().unwrap_or_else(|| panic!("no {keyword}"));
    assert_eq!(found.next(), None, "{keyword} stands twice");
    one
}

fn version(text: &str) -> Vec<u32> {
    text.split('.').map_while(|part| part.parse().ok()).collect()
}

#[test]
fn the_image_is_minimal_and_runs_unprivileged() {
    let image = stage("image");
    assert_eq!(only(&image, "FROM"), "scratch AS image");
    assert_eq!(only(&image, "COPY"), "--from=build /out/ /", "nothing comes from elsewhere");
    assert_eq!(only(&image, "USER"), "65532:65532", "Kubernetes can only tell by a number that it is not root");
    let labels = only(&image, "LABEL");
    for name in ["title", "description", "licenses", "version", "revision", "created"] {
        assert!(labels.contains(&format!("org.opencontainers.image.{name}=")), "{name}");
    }
    assert!(labels.contains(r#"revision="${REVISION}""#) && labels.contains(r#"version="${VERSION}""#), "{labels}");
    let last = instructions().into_iter().rfind(|(keyword, _)| keyword == "FROM").expect("a stage").1;
    assert_eq!(last, "image AS agent", "what is built without a target");
    assert_eq!(only(&stage("agent"), "ENTRYPOINT"), r#"["/usr/bin/tagalong"]"#);
    assert_eq!(only(&stage("agent"), "CMD"), r#"["run"]"#);
    assert_eq!(only(&stage("plugin"), "ENTRYPOINT"), r#"["/usr/bin/tagalong", "plugin"]"#);
}

#[test]
fn the_build_is_static_locked_and_of_this_version() {
    let build = stage("build");
    let runs: Vec<&String> = build.iter().filter(|(keyword, _)| keyword == "RUN").map(|(_, rest)| rest).collect();
    assert!(runs.iter().any(|run| run.contains("&& .ci/build-static /out/usr/bin/tagalong")
        && run.contains("SOURCE_DATE_EPOCH TAGALONG_COMMIT=")));
    let script = read(".ci/build-static");
    for part in ["cargo build --release --locked", "-C target-feature=+crt-static", "--remap-path-prefix", "INTERP"] {
        assert!(script.contains(part), "{part}");
    }

    let manifest = read("Cargo.toml");
    let of_manifest = |key: &str| {
        let line = manifest.lines().find_map(|line| line.strip_prefix(&format!("{key} = \""))).expect("a line");
        line.trim_end_matches('"').to_owned()
    };
    assert!(stage("image").contains(&("ARG".to_owned(), format!("VERSION={}", of_manifest("version")))));
    let base = &instructions()[0].1;
    let (tag, digest) = base.split_once("@sha256:").expect("a digest");
    assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digest}");
    let compiler = tag.split_once("rust:").expect("an image of Rust").1.split('-').next().expect("a version");
    assert!(version(compiler) >= version(&of_manifest("rust-version")), "{compiler} is too old");
}

#[test]
fn the_build_context_is_exactly_what_is_copied() {
    let copied: BTreeSet<String> = stage("build")
        .iter()
        .filter(|(keyword, _)| keyword == "COPY")
        .flat_map(|(_, rest)| {
            let words: Vec<String> = rest.split(' ').map(str::to_owned).collect();
            words[..words.len() - 1].to_vec()
        })
        .collect();
    for source in &copied {
        assert!(root().join(source).exists(), "{source}");
    }
    let ignore = read(".dockerignore");
    let mut lines = ignore.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(lines.next(), Some("*"));
    let sent: BTreeSet<String> = lines.map(|line| line.strip_prefix('!').expect("an exception").to_owned()).collect();
    assert_eq!(sent, copied);
}

/// Runs a program in the image's build stage.
#[track_caller]
fn run(program: &str, arguments: &[&str]) -> String {
    let output: Output =
        Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn is_here(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// A base image from Debian's packages and this machine's Rust, used instead of the official one where no registry can
/// be reached.
fn base(buildah: &Buildah) -> String {
    let tar = buildah.folder.path().join("debian.tar").display().to_string();
    run("mmdebstrap", &["--quiet", "--variant=minbase", "bookworm", &tar]);
    let container = buildah.run(&["from", "scratch"]);
    buildah.run(&["add", &container, &tar, "/"]);
    fs::remove_file(&tar).expect("removed");
    // Only the steps are tested here, so the compiler need not optimize.
    let variables = [
        "PATH=/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "CARGO_HOME=/usr/local/cargo",
        "CARGO_NET_OFFLINE=true",
        "CARGO_PROFILE_DIST_OPT_LEVEL=0",
        "CARGO_PROFILE_DIST_LTO=off",
        "CARGO_PROFILE_DIST_CODEGEN_UNITS=64",
    ];
    for variable in variables {
        buildah.run(&["config", "--env", variable, &container]);
    }
    buildah.run(&["commit", "--rm", &container, "localhost/rust"]);
    "localhost/rust".to_owned()
}

#[test]
fn the_image_builds_and_runs_from_scratch() {
    if !support::is_large() {
        support::skipped("./test --large builds the image");
        return;
    }
    for program in ["buildah", "mmdebstrap"] {
        if !is_here(program) {
            support::skipped(&format!("{program} is not here"));
            return;
        }
    }
    let buildah = Buildah::new();
    let base = base(&buildah);
    let sysroot = run("rustc", &["--print", "sysroot"]);
    let home =
        std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{}/.cargo", std::env::var("HOME").expect("a home")));
    run("cargo", &["fetch", "--locked", "--manifest-path", &root().join("Cargo.toml").display().to_string()]);
    let (rust, registry) =
        (format!("{sysroot}:/usr/local/rust:ro"), format!("{home}/registry:/usr/local/cargo/registry"));
    let (base, folder) = (format!("RUST_IMAGE={base}"), root().display().to_string());
    let build = |target: &str| {
        let arguments = [
            "build",
            "--isolation",
            "chroot",
            "--pull-never",
            "--layers",
            "--volume",
            &rust,
            "--volume",
            &registry,
            "--build-arg",
            &base,
            "--build-arg",
            "REVISION=1a2b3c4",
            "--build-arg",
            "CREATED=2026-04-01T10:00:00Z",
            "--build-arg",
            "SOURCE_DATE_EPOCH=1775037600",
            "--timestamp",
            "1775037600",
            "--target",
            target,
            "--tag",
            target,
            &folder,
        ];
        buildah.run(&arguments);
        let inspected = buildah.run(&["inspect", "--type", "image", target]);
        serde_json::from_str::<Value>(&inspected).expect("JSON")["OCIv1"]["config"].clone()
    };
    let config = build("agent");
    assert_eq!(
        (&config["User"], &config["Entrypoint"], &config["Cmd"]),
        (&json!("65532:65532"), &json!(["/usr/bin/tagalong"]), &json!(["run"]))
    );
    assert_eq!(config["Labels"]["org.opencontainers.image.revision"], "1a2b3c4");
    assert_eq!(build("plugin")["Entrypoint"], json!(["/usr/bin/tagalong", "plugin"]));

    // The image has no other files: no loader, no library, no shell. Running it adds files of the runtime's.
    let container = buildah.run(&["from", "--pull-never", "agent"]);
    let mount = buildah.run(&["mount", &container]);
    let mut files = Vec::new();
    list(Path::new(&mount), Path::new(&mount), &mut files);
    assert_eq!(files, ["etc/group", "etc/passwd", "etc/ssl/certs/ca-certificates.crt", "usr/bin/tagalong"]);
    let said = buildah.run(&["run", "--isolation", "chroot", &container, "--", "/usr/bin/tagalong", "--version"]);
    assert_eq!(said, format!("tagalong {} (1a2b3c4 2026-04-01)", env!("CARGO_PKG_VERSION")));
}

/// The files below a folder as sorted relative paths.
fn list(root: &Path, folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.is_symlink() {
            list(root, &path, found);
        } else {
            found.push(path.strip_prefix(root).expect("below").display().to_string());
        }
    }
    found.sort();
}
