//! Real git servers over ssh, http and local paths: who has access, what is kept, what is refused and how that is
//! reported.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support;
use crate::support::git::{HttpGit, Origin, Sshd, clone_in, git};
use crate::support::registry::{Kind, Registry};
use crate::support::tagalong::{Run, run};

/// A repository and a registry with `org/app:bbbbbb1`, but no git server yet.
struct Scene {
    folder: tempfile::TempDir,
    registry: Registry,
    origin: Origin,
}

impl Scene {
    fn new() -> Scene {
        let folder = tempfile::tempdir().expect("a folder");
        let registry = Registry::start(&folder.path().join("registry"), Kind::Plain);
        registry.push("org/app", "bbbbbb1", "2026-04-01T10:00:00Z");
        let text = format!("image: {}/org/app:aaaaaa1\n", registry.host());
        let origin = Origin::create(&folder.path().join("infra.git"), &[("app.yaml", &text)]);
        Scene { folder, registry, origin }
    }

    fn home(&self) -> &Path {
        self.folder.path()
    }

    /// Runs `set` with a `git` section.
    fn set(&self, git: &str) -> Run {
        let host = self.registry.host();
        let file = self.home().join("tagalong.yaml");
        let text = format!("{git}registries: [{{ host: \"{host}\", plainHttp: true }}]\n");
        fs::write(&file, text).expect("written");
        let image = format!("{host}/org/app:bbbbbb1");
        run(self.home(), &["set", &image, "--config", &file.display().to_string()])
    }

    fn back(&self) {
        let image = format!("{}/org/app", self.registry.host());
        self.origin.back(&[&image], &[("app.yaml", &format!("image: {image}:aaaaaa1\n"))]);
    }

    fn is_set(&self) -> bool {
        self.origin.read("app.yaml").ends_with("bbbbbb1\n")
    }
}

#[test]
fn commits_arrive_over_ssh_http_and_local_paths() {
    let scene = Scene::new();
    let sshd = Sshd::start(&scene.home().join("sshd"));
    let token_file = scene.home().join("token");
    fs::write(&token_file, "t0ken-of-ada\n").expect("written");
    git(&scene.origin.path, &["config", "http.receivepack", "true"]);
    let http = HttpGit::start(scene.home(), Some("t0ken-of-ada"));
    let sections = [
        sshd.config(&scene.origin),
        format!("git:\n  url: {}\n  https: {{ tokenFile: {} }}\n", http.url("infra.git"), token_file.display()),
        format!("git:\n  url: {}\n", scene.origin.path.display()),
        format!("git:\n  url: file://{}\n", scene.origin.path.display()),
    ];
    for section in sections {
        let run = scene.set(&section).ok();
        assert_eq!(run.stdout.trim(), scene.origin.tip(), "{section}");
        assert!(scene.is_set(), "{section}");
        let again = scene.set(&section).ok();
        assert_eq!(again.stdout.trim(), "up to date", "{section}");
        scene.back();
    }
    scene.origin.is_sound();
}

#[test]
fn https_requires_a_valid_certificate() {
    let scene = Scene::new();
    git(&scene.origin.path, &["config", "http.receivepack", "true"]);
    support::certificates::make(scene.home());
    let token = scene.home().join("token");
    fs::write(&token, "t0ken").expect("written");
    let https = HttpGit::start_tls(scene.home(), Some("t0ken"), scene.home());
    let section = format!("git:\n  url: {}\n  https: {{ tokenFile: {} }}\n", https.url("infra.git"), token.display());
    let run = scene.set(&section).fails_with(5);
    assert!(run.stderr.contains("certificate"), "{run:#?}");
    assert!(!scene.is_set());
    // With the authority among the system's, the same works.
    let trusted = support::tagalong::command(scene.home())
        .args(["set", &format!("{}/org/app:bbbbbb1", scene.registry.host()), "--config"])
        .arg(scene.home().join("tagalong.yaml"))
        .env("SSL_CERT_FILE", scene.home().join("ca.pem"))
        .output();
    support::tagalong::finished(trusted.expect("it starts")).ok();
    assert!(scene.is_set());
}

#[test]
fn modes_links_and_submodules_are_kept() {
    let scene = Scene::new();
    let work = scene.home().join("work");
    git(scene.home(), &["clone", "--quiet", "infra.git", "work"]);
    fs::set_permissions(work.join("app.yaml"), fs::Permissions::from_mode(0o755)).expect("a mode");
    std::os::unix::fs::symlink("app.yaml", work.join("link.yaml")).expect("a link");
    let head = git(&work, &["rev-parse", "HEAD"]);
    git(&work, &["update-index", "--add", "--cacheinfo", &format!("160000,{},module", head.trim())]);
    git(&work, &["add", "app.yaml", "link.yaml"]);
    git(&work, &["commit", "--quiet", "-m", "a mode, a link, a submodule"]);
    git(&work, &["push", "--quiet", "origin", "main"]);
    let tree = |skip: &str| {
        let listing = git(&scene.origin.path, &["ls-tree", "-r", "main"]);
        listing.lines().filter(|line| !line.ends_with(skip)).map(str::to_owned).collect::<Vec<_>>()
    };
    let before = tree("\tapp.yaml");
    scene.set(&format!("git:\n  url: {}\n", scene.origin.path.display())).ok();
    assert!(scene.is_set());
    assert_eq!(tree("\tapp.yaml"), before);
    assert!(git(&scene.origin.path, &["ls-tree", "main", "app.yaml"]).starts_with("100755 "));
    scene.origin.is_sound();
}

#[test]
fn a_clone_of_depth_one_is_enough() {
    let scene = Scene::new();
    let sshd = Sshd::start(&scene.home().join("sshd"));
    for n in 0..5 {
        scene.origin.commit(&format!("change {n}"), &[("notes.md", &format!("{n}\n"))]);
    }
    let section = sshd.config(&scene.origin).replace("git:\n", "git:\n  depth: 1\n");
    scene.set(&section).ok();
    assert!(scene.is_set());
    assert_eq!(scene.origin.subjects().len(), 7);
    // And the clone can still be used.
    scene.back();
    scene.set(&section).ok();
    assert!(scene.is_set());
    scene.origin.is_sound();
}

#[test]
fn denied_access_is_explained_with_a_remedy() {
    let scene = Scene::new();
    let sshd = Sshd::start(&scene.home().join("sshd"));
    let good = sshd.config(&scene.origin);
    let with = |from: &Path, to: &Path| good.replace(&from.display().to_string(), &to.display().to_string());

    let run = scene.set(&with(&sshd.key(), &sshd.other_key())).fails_with(5);
    assert!(run.stderr.contains("refused the credentials") && run.stderr.contains("deploy key"), "{run:#?}");

    let empty = scene.home().join("no_hosts");
    fs::write(&empty, "").expect("written");
    let run = scene.set(&with(&sshd.known_hosts(), &empty)).fails_with(5);
    let line = run.stderr.lines().find_map(|line| line.split("add this line to ").nth(1)).expect("a line to add");
    let line = line.split_once(": ").expect("a line to add").1.to_owned();
    fs::write(&empty, format!("{line}\n")).expect("written");
    scene.set(&with(&sshd.known_hosts(), &empty)).ok();

    let wrong = scene.home().join("wrong_hosts");
    let other = fs::read_to_string(sshd.other_key().with_extension("pub")).expect("a key");
    let name = line.split(' ').next().expect("a name");
    fs::write(&wrong, format!("{name} {other}")).expect("written");
    let run = scene.set(&with(&sshd.known_hosts(), &wrong)).fails_with(5);
    assert!(run.stderr.contains("NOT the one"), "{run:#?}");

    let run = scene.set(&with(&sshd.key(), &scene.home().join("gone"))).fails_with(2);
    assert!(run.stderr.contains("cannot read") && run.stderr.contains("gone"), "{run:#?}");

    let http = HttpGit::start(scene.home(), Some("t0ken-of-ada"));
    let token = scene.home().join("token");
    fs::write(&token, "t0ken-of-eve").expect("written");
    let section = format!("git:\n  url: {}\n  https: {{ tokenFile: {} }}\n", http.url("infra.git"), token.display());
    let run = scene.set(&section).fails_with(5);
    assert!(run.stderr.contains("refused the credentials") && !run.stderr.contains("t0ken"), "{run:#?}");
    let url = http.url("infra.git").replace("http://", "http://eve:t0ken-of-eve@");
    let run = scene.set(&format!("git:\n  url: {url}\n")).fails_with(5);
    assert!(!run.stderr.contains("t0ken"), "{run:#?}");

    let run =
        scene.set("git:\n  url: http://git.example.com/infra.git\n  https: { tokenFile: /dev/null }\n").fails_with(2);
    assert!(run.stderr.contains("clear text"), "{run:#?}");
}

#[test]
fn missing_repositories_and_branches_are_reported() {
    let scene = Scene::new();
    let run = scene.set(&format!("git:\n  url: {}\n  branch: mian\n", scene.origin.path.display())).fails_with(2);
    assert!(run.stderr.contains("has no branch mian") && run.stderr.contains("the repository has main"), "{run:#?}");
    let empty = Origin::create(&scene.home().join("empty.git"), &[]);
    let run = scene.set(&format!("git:\n  url: {}\n", empty.path.display())).fails_with(2);
    assert!(run.stderr.contains("is empty"), "{run:#?}");
    let run = scene.set("git:\n  url: /nowhere/infra.git\n").fails_with(2);
    assert!(run.stderr.contains("there is no git repository at /nowhere/infra.git"), "{run:#?}");
    let run = scene.set("git:\n  url: ssh://git@127.0.0.1:1/infra.git\n  ssh: { keyFile: /dev/null }\n").fails_with(5);
    assert!(run.stderr.contains("cannot reach ssh://git@127.0.0.1:1/infra.git"), "{run:#?}");
}

#[test]
fn a_rejecting_hook_is_quoted_and_not_retried() {
    let scene = Scene::new();
    let sshd = Sshd::start(&scene.home().join("sshd"));
    let count = scene.home().join("count");
    scene
        .origin
        .hook("pre-receive", &format!("echo x >> {}; echo 'deploys are frozen until Monday'; exit 1", count.display()));
    let run = scene.set(&sshd.config(&scene.origin)).fails_with(1);
    assert!(run.stderr.contains("deploys are frozen until Monday"), "{run:#?}");
    assert_eq!(fs::read_to_string(&count).expect("a count"), "x\n");
    assert!(!scene.is_set());
}

#[test]
fn a_damaged_clone_is_replaced() {
    let scene = Scene::new();
    let section = format!("git:\n  url: {}\n", scene.origin.path.display());
    let cache = scene.home().join(".cache/tagalong");
    let clone = || clone_in(&cache);
    let back = || scene.back();
    type Damage<'d> = (&'d str, &'d dyn Fn(&Path));
    let damages: [Damage<'_>; 6] = [
        ("no HEAD", &|clone| fs::remove_file(clone.join("HEAD")).expect("removed")),
        ("no objects", &|clone| fs::remove_dir_all(clone.join("objects")).expect("removed")),
        ("garbage in a ref", &|clone| fs::write(clone.join("refs/tagalong/main"), "garbage").expect("written")),
        ("no blob", &|clone| {
            for entry in walkdir::WalkDir::new(clone.join("objects")) {
                let entry = entry.expect("readable");
                if entry.file_type().is_file() {
                    fs::remove_file(entry.path()).expect("removed");
                }
            }
            // The commit and its tree are there, and nothing else.
            for object in ["main", "main^{tree}"] {
                let kind = if object == "main" { "commit" } else { "tree" };
                let copy = format!(
                    "git cat-file {kind} {object} | git --git-dir {} hash-object -w -t {kind} --stdin",
                    clone.display()
                );
                let done =
                    std::process::Command::new("sh").args(["-c", &copy]).current_dir(&scene.origin.path).output();
                assert!(done.expect("sh starts").status.success());
            }
        }),
        ("lock files left behind", &|clone| {
            fs::write(clone.join("refs/tagalong/main.lock"), "").expect("written");
            fs::write(clone.join("packed-refs.lock"), "").expect("written");
            fs::write(clone.join("config.lock"), "").expect("written");
        }),
        ("a file in its place", &|clone| {
            fs::remove_dir_all(clone).expect("removed");
            fs::write(clone, "not a folder").expect("written");
        }),
    ];
    scene.set(&section).ok();
    for (name, damage) in damages {
        back();
        damage(&clone());
        let run = scene.set(&section);
        assert_eq!(run.code, 0, "{name}: {run:#?}");
        assert!(scene.is_set(), "{name}");
    }
    scene.origin.is_sound();
    assert!(!clone().join("app.yaml").exists(), "there is no work tree");
}
