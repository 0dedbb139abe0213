//! Repositories that are older than tagalong: histories longer than any clone, over every transport, where something
//! happened long ago.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support;
use crate::support::git::{HttpGit, Origin, Sshd, clone_in, git};
use crate::support::registry::{Kind, Registry};
use crate::support::tagalong::{Run, run};

/// The number of commits.
fn length() -> usize {
    if support::is_large() { 100_000 } else { 1_500 }
}

/// A registry with `org/app:0000aa0` and `aaaaaa1`, older than all commits, and `bbbbbb2`, built just now; and a repository.
struct Scene {
    folder: tempfile::TempDir,
    registry: Registry,
    sshd: Sshd,
    origin: Origin,
}

impl Scene {
    /// `special` returns the message and the tag of some commits, by number; the others change another file.
    fn new(special: impl Fn(usize, &str) -> Option<(String, Option<&'static str>)>) -> Scene {
        let folder = tempfile::tempdir().expect("a folder");
        let registry = Registry::start(&folder.path().join("registry"), Kind::Plain);
        registry.push("org/app", "0000aa0", "2019-01-01T00:00:00Z");
        registry.push("org/app", "aaaaaa1", "2020-01-01T00:00:00Z");
        let image = format!("{}/org/app", registry.host());
        let app = |tag: &str| ("apps/app.yaml".to_owned(), format!("image: {image}:{tag}\n"));
        let commits = (0..length()).map(|number| match (number, special(number, &image)) {
            (0, _) => ("the first files".to_owned(), vec![app("0000aa0")]),
            (_, Some((message, tag))) => (message, tag.map(app).into_iter().collect()),
            (number, None) => (format!("change {number}"), vec![("notes".to_owned(), format!("{number}\n"))]),
        });
        let origin = Origin::import(&folder.path().join("infra.git"), commits);
        git(&origin.path, &["config", "http.receivepack", "true"]);
        let sshd = Sshd::start(&folder.path().join("sshd"));
        Scene { folder, registry, sshd, origin }
    }

    /// The same, but a person set `aaaaaa1` once, far beyond the first clone's depth.
    fn plain() -> Scene {
        Scene::new(|number, _| (number == 40).then(|| ("a person".to_owned(), Some("aaaaaa1"))))
    }

    fn home(&self) -> &Path {
        self.folder.path()
    }

    fn image(&self) -> String {
        format!("{}/org/app", self.registry.host())
    }

    fn push_new(&self) {
        let now = jiff::Timestamp::now().to_string();
        self.registry.push("org/app", "bbbbbb2", &now);
    }

    /// Writes a configuration with a `git` section and a cache of this name.
    fn config(&self, name: &str, git: &str) -> (PathBuf, PathBuf) {
        let text = format!(
            "{git}registries: [{{ host: \"{host}\", plainHttp: true }}]\npolicies:\n- images: [\"{host}/org/*\"]\n  tags: {{ sha: {{ order: built }} }}\n",
            host = self.registry.host()
        );
        let file = self.home().join(format!("{name}.yaml"));
        fs::write(&file, text).expect("written");
        (file, self.home().join(name))
    }

    fn tagalong(&self, (config, cache): &(PathBuf, PathBuf), arguments: &[&str]) -> Run {
        let mut all: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        for (flag, path) in [("--config", config), ("--cache-dir", cache)] {
            all.extend([flag.to_owned(), path.display().to_string()]);
        }
        run(self.home(), &all)
    }

    fn tag(&self) -> String {
        self.origin.read("apps/app.yaml").trim().rsplit(':').next().expect("a tag").to_owned()
    }
}

fn reasons(run: &Run) -> Vec<String> {
    let skipped = run.json()["skipped"].as_array().expect("a list").clone();
    skipped.iter().map(|skipped| skipped["reason"].as_str().expect("a reason").to_owned()).collect()
}

#[test]
fn every_command_works_in_an_old_repository_over_every_transport() {
    let scene = Scene::plain();
    scene.push_new();
    let http = HttpGit::start(scene.home(), None);
    let sections = [
        ("ssh", scene.sshd.config(&scene.origin)),
        ("http", format!("git:\n  url: {}\n", http.url("infra.git"))),
        ("path", format!("git:\n  url: {}\n", scene.origin.path.display())),
        ("one", scene.sshd.config(&scene.origin).replace("git:\n", "git:\n  depth: 1\n")),
        ("whole", scene.sshd.config(&scene.origin).replace("git:\n", "git:\n  depth: 0\n")),
    ];
    let start = scene.origin.tip();
    for (name, section) in sections {
        git(&scene.origin.path, &["update-ref", "refs/heads/main", &start]);
        let config = scene.config(name, &section);
        scene.tagalong(&config, &["status"]).ok();
        let explained = scene.tagalong(&config, &["explain", &scene.image()]).ok();
        assert!(explained.stdout.contains("bbbbbb2"), "{name}: {explained:#?}");
        assert_eq!(scene.tagalong(&config, &["sync", "--output", "json"]).ok().json()["updates"][0]["to"], "bbbbbb2");
        // The previous tag was set 1,460 commits ago, unless the history is too long to be read.
        let rolled_back = scene.tagalong(&config, &["rollback", &scene.image(), "--reason", "it fails"]).ok();
        assert_eq!(scene.tag(), "aaaaaa1", "{name}: {rolled_back:#?}");
        let again = scene.tagalong(&config, &["sync", "--output", "json"]).ok();
        assert_eq!(reasons(&again), ["held"], "{name}: {again:#?}");
        for run in [&explained, &rolled_back, &again] {
            assert!(!run.stderr.contains("broken"), "{name}: {run:#?}");
        }
        scene.origin.is_sound();
    }
}

#[test]
fn history_beyond_the_depth_of_the_clone_still_counts() {
    let scene = Scene::new(|number, image| {
        let update = |from: &str, to: &str| format!("Tagalong-Update: apps/app.yaml image {image} {from} -> {to}\n");
        match number {
            30 => Some(("a person".to_owned(), Some("aaaaaa1"))),
            // Built before this commit, set by the bot and reverted by a person.
            40 => Some((format!("deploy: app\n\n{}", update("aaaaaa1", "cccccc3")), Some("cccccc3"))),
            50 => Some(("Revert \"deploy: app\"".to_owned(), Some("aaaaaa1"))),
            _ => None,
        }
    });
    let built = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(length() as i64 - 20);
    scene.registry.push("org/app", "cccccc3", &built.to_string());
    let config = scene.config("ssh", &scene.sshd.config(&scene.origin));
    let held = scene.tagalong(&config, &["sync", "--output", "json"]).ok();
    if support::is_large() {
        // Beyond the limit, which is reported.
        assert!(held.stderr.contains("git.historyLimit"), "{held:#?}");
        return;
    }
    assert_eq!(reasons(&held), ["held"], "{held:#?}");
    // The results are cached by commit: nothing is fetched or read again.
    let again = scene.tagalong(&config, &["sync", "--output", "json"]).ok();
    assert_eq!(reasons(&again), ["held"]);
    assert!(!again.stderr.contains("more history"), "{again:#?}");
    let resumed = scene.tagalong(&config, &["resume", &scene.image(), "--reason", "mended"]).ok();
    assert!(!resumed.stdout.contains("nothing"), "{resumed:#?}");
    assert_eq!(scene.tagalong(&config, &["sync", "--output", "json"]).ok().json()["updates"][0]["to"], "cccccc3");
}

#[test]
fn a_hold_by_name_is_looked_up_once() {
    let hold = |number, image: &str| {
        (number == length() - 1_200).then(|| (format!("freeze\n\nTagalong-Hold: {image}\n"), None))
    };
    let scene = Scene::new(hold);
    scene.push_new();
    let section = scene.sshd.config(&scene.origin);
    let config = scene.config("ssh", &section);
    for _ in 0..2 {
        assert_eq!(reasons(&scene.tagalong(&config, &["sync", "--output", "json"]).ok()), ["held"]);
    }
    // Later commits are added to what is known.
    scene.origin.commit("unrelated", &[("notes", "x\n")]);
    assert_eq!(reasons(&scene.tagalong(&config, &["sync", "--output", "json"]).ok()), ["held"]);
    // The cache may be damaged or deleted; then history is read again.
    let clone = clone_in(&config.1);
    let kept = || {
        let entries = fs::read_dir(&clone).expect("a clone").map(|entry| entry.expect("an entry").path());
        entries
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("tagalong-history")))
            .collect::<Vec<_>>()
    };
    let [file] = kept().try_into().expect("one file");
    let text = fs::read_to_string(&file).expect("text");
    assert!(text.contains("Tagalong-Held: "), "{text}");
    let harmless = text.lines().filter(|line| !line.starts_with("Tagalong-Held")).collect::<Vec<_>>().join("\n");
    for damage in [harmless.as_bytes(), b"", &text.as_bytes()[..text.len() - 9]] {
        fs::write(&file, damage).expect("written");
        assert_eq!(reasons(&scene.tagalong(&config, &["sync", "--output", "json"]).ok()), ["held"]);
    }
    // A limit is reported wherever it matters, also from the cache.
    let config = scene.config("limited", &section.replace("git:\n", "git:\n  historyLimit: 300\n"));
    for _ in 0..2 {
        let status = scene.tagalong(&config, &["status"]).ok();
        assert!(status.stderr.contains("history was read back only to commit"), "{status:#?}");
        assert!(status.stderr.contains("git.historyLimit"), "{status:#?}");
    }
    let synced = scene.tagalong(&config, &["sync", "--output", "json"]).ok();
    assert_eq!(synced.json()["updates"][0]["to"], "bbbbbb2");
    // From its own first commit on, tagalong needs no more.
    let status = scene.tagalong(&config, &["status"]).ok();
    assert!(!status.stderr.contains("history was read"), "{status:#?}");
}

#[test]
fn force_pushes_repacks_and_foreign_clones_do_no_harm() {
    let scene = Scene::plain();
    scene.push_new();
    let config = scene.config("ssh", &scene.sshd.config(&scene.origin));
    scene.tagalong(&config, &["status"]).ok();
    let sync = || scene.tagalong(&config, &["sync", "--output", "json"]).ok();
    // Back to a commit far beyond what was cloned.
    let grown = scene.origin.tip();
    git(&scene.origin.path, &["update-ref", "refs/heads/main", "main~1300"]);
    assert_eq!(sync().json()["updates"][0]["to"], "bbbbbb2");
    git(&scene.origin.path, &["update-ref", "refs/heads/main", &grown]);
    git(&scene.origin.path, &["repack", "-q", "-a", "-d", "-f"]);
    git(&scene.origin.path, &["gc", "--quiet", "--prune=now"]);
    assert_eq!(sync().json()["updates"][0]["to"], "bbbbbb2");
    scene.tagalong(&config, &["rollback", &scene.image(), "--reason", "it fails"]).ok();
    assert_eq!(scene.tag(), "aaaaaa1");
    // A history unrelated to the previous one.
    let other = Origin::import(
        &scene.home().join("other.git"),
        (0..1_200).map(|n| {
            let text = format!("image: {}:aaaaaa1\n", scene.image());
            (format!("other {n}"), vec![("apps/app.yaml".to_owned(), text), ("notes".to_owned(), format!("{n}\n"))])
        }),
    );
    git(&scene.origin.path, &["fetch", "--quiet", &other.path.display().to_string(), "+main:main"]);
    assert_eq!(sync().json()["updates"][0]["to"], "bbbbbb2");
    // A clone made by git.
    let clone = clone_in(&config.1);
    fs::remove_dir_all(&clone).expect("removed");
    let url = format!("file://{}", scene.origin.path.display());
    git(scene.home(), &["clone", "--quiet", "--bare", "--depth", "200", &url, &clone.display().to_string()]);
    git(&clone, &["update-ref", "refs/tagalong/main", "main"]);
    scene.tagalong(&config, &["rollback", &scene.image(), "--reason", "it fails"]).ok();
    assert_eq!((scene.tag().as_str(), reasons(&sync())), ("aaaaaa1", vec!["held".to_owned()]));
    scene.origin.is_sound();
}

#[test]
fn a_local_repository_is_not_copied() {
    let scene = Scene::plain();
    scene.push_new();
    let config = scene.config("path", &format!("git:\n  url: {}\n", scene.origin.path.display()));
    scene.tagalong(&config, &["status"]).ok();
    let clone = clone_in(&config.1);
    let packs = || {
        let files = walkdir::WalkDir::new(clone.join("objects")).into_iter().map(|entry| entry.expect("an entry"));
        files.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "pack")).count()
    };
    assert_eq!(packs(), 0);
    // Copies made by earlier versions are deleted.
    fs::remove_dir_all(&clone).expect("removed");
    git(scene.home(), &["clone", "--quiet", "--bare", "--no-hardlinks", "infra.git", &clone.display().to_string()]);
    scene.tagalong(&config, &["sync"]).ok();
    assert_eq!((packs(), scene.tag().as_str()), (0, "bbbbbb2"));
    // A shallow one has only as much history as it has, which is reported.
    let shallow = scene.home().join("shallow.git");
    let url = format!("file://{}", scene.origin.path.display());
    git(scene.home(), &["clone", "--quiet", "--bare", "--depth", "20", &url, "shallow.git"]);
    git(&shallow, &["update-ref", "refs/heads/main", "main~1"]);
    let config = scene.config("of-shallow", &format!("git:\n  url: {}\n", shallow.display()));
    let synced = scene.tagalong(&config, &["sync"]).ok();
    assert!(synced.stderr.contains("is a shallow clone"), "{synced:#?}");
    assert!(git(&shallow, &["show", "main:apps/app.yaml"]).contains("bbbbbb2"));
    git(&shallow, &["fsck", "--strict", "--no-dangling"]);
    scene.origin.is_sound();
}

#[test]
fn a_clone_that_seems_broken_is_replaced_once() {
    let scene = Scene::plain();
    scene.push_new();
    // A commit is lost on the server's side: no new clone would help.
    let config = scene.config("path", &format!("git:\n  url: {}\n", scene.origin.path.display()));
    let work = scene.home().join("loose");
    git(scene.home(), &["clone", "--quiet", "--bare", "infra.git", "loose"]);
    let pack = scene.origin.path.join("objects/pack");
    let lost = git(&work, &["rev-parse", "main~700"]).trim().to_owned();
    let moved = scene.home().join("packs");
    fs::rename(&pack, &moved).expect("moved");
    fs::create_dir(&pack).expect("a folder");
    for entry in fs::read_dir(&moved).expect("packs").map(|entry| entry.expect("an entry").path()) {
        if entry.extension().is_some_and(|extension| extension == "pack") {
            let unpacked = std::process::Command::new("git")
                .current_dir(&scene.origin.path)
                .args(["unpack-objects", "-q"])
                .stdin(fs::File::open(&entry).expect("a pack"))
                .status();
            assert!(unpacked.expect("git starts").success());
        }
    }
    let object = scene.origin.path.join("objects").join(&lost[..2]).join(&lost[2..]);
    let bytes = fs::read(&object).expect("an object");
    fs::remove_file(&object).expect("removed");
    let first = scene.tagalong(&config, &["status"]).fails_with(1);
    assert_eq!(first.stderr.matches("cloning again").count(), 1, "{first:#?}");
    assert!(first.stderr.contains(&lost), "{first:#?}");
    let second = scene.tagalong(&config, &["status"]).fails_with(1);
    assert_eq!(second.stderr.matches("cloning again").count(), 0, "{second:#?}");
    // Once a cycle has succeeded, the clone can be blamed again.
    fs::write(&object, bytes).expect("written");
    scene.tagalong(&config, &["status"]).ok();
    fs::remove_file(&object).expect("removed");
    fs::remove_file(
        fs::read_dir(clone_in(&config.1))
            .expect("a clone")
            .map(|entry| entry.expect("an entry").path())
            .find(|path| path.to_string_lossy().contains("tagalong-history"))
            .expect("a file"),
    )
    .expect("removed");
    let third = scene.tagalong(&config, &["status"]).fails_with(1);
    assert_eq!(third.stderr.matches("cloning again").count(), 1, "{third:#?}");
}
