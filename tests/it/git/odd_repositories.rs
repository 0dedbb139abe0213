//! Whatever people and disks do to a repository, its branch or the local clone, the next cycle is right.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::support;
use crate::support::disk::SmallDisk;
use crate::support::git::{Origin, clone_in, git};
use crate::support::infra::Stage;
use crate::support::process::wait_until;
use crate::support::tagalong::{self, Run};

const OLD: &str = "2026-04-01T10:00:00Z";
const NEW: &str = "2026-04-02T10:00:00Z";

fn stage() -> Stage {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", OLD);
    stage.registry.push("org/app", "bbbbbb1", NEW);
    stage
}

fn before(stage: &Stage) -> String {
    format!("image: {}/org/app:aaaaaa1\n", stage.registry.host())
}

fn back(stage: &Stage) {
    stage.origin.back(&[&stage.image("app")], &[("app.yaml", &before(stage))]);
}

fn sync(stage: &Stage) -> Run {
    stage.tagalong(&["sync", "--output", "json"])
}

#[track_caller]
fn is_deployed(stage: &Stage) {
    assert!(stage.origin.read("app.yaml").ends_with("bbbbbb1\n"));
    stage.origin.is_sound();
}

#[test]
fn a_rewritten_branch_is_followed() {
    let stage = stage();
    sync(&stage).ok();
    is_deployed(&stage);
    // Reset to the first commit and continued from there, as after `git push --force`.
    let first = git(&stage.origin.path, &["rev-list", "--max-parents=0", "main"]);
    git(&stage.origin.path, &["update-ref", "refs/heads/main", first.trim()]);
    stage.origin.commit("another history", &[("notes.md", "x\n")]);
    sync(&stage).ok();
    is_deployed(&stage);
    assert_eq!(stage.origin.subjects()[1..], ["another history", "the first files"]);
    // A history unrelated to the previous one.
    let tree = git(&stage.origin.path, &["rev-parse", "main~1^{tree}"]);
    let orphan = git(&stage.origin.path, &["commit-tree", "-m", "from nothing", tree.trim()]);
    git(&stage.origin.path, &["update-ref", "refs/heads/main", orphan.trim()]);
    sync(&stage).ok();
    is_deployed(&stage);
    assert_eq!(stage.origin.subjects().len(), 2);
}

#[test]
fn a_deleted_and_recreated_branch_is_followed() {
    let stage = stage();
    let log = stage.home().join("log");
    let mut agent = tagalong::command(stage.home())
        .args(["run", "--config"])
        .arg(stage.config())
        .stderr(fs::File::create(&log).expect("a log"))
        .spawn()
        .expect("it starts");
    let read = |text: &str| fs::read_to_string(&log).expect("a log").contains(text);
    wait_until("the first is deployed", || stage.origin.read("app.yaml").ends_with("bbbbbb1\n"));
    let tip = stage.origin.tip();
    git(&stage.origin.path, &["branch", "elsewhere", "main"]);
    git(&stage.origin.path, &["update-ref", "-d", "refs/heads/main"]);
    wait_until("the branch is missed", || read("has no branch main"));
    git(&stage.origin.path, &["update-ref", "refs/heads/main", &format!("{tip}~1")]);
    wait_until("it is deployed again", || stage.origin.read("app.yaml").ends_with("bbbbbb1\n"));
    agent.kill().expect("killed");
    agent.wait().expect("ended");
    is_deployed(&stage);
}

#[test]
fn a_push_that_the_server_reverts_is_made_again_by_the_next_cycle() {
    let stage = stage();
    let once = stage.home().join("once");
    // The server accepts the push and then resets the branch.
    let hook = format!("read old new ref; [ -e {0} ] || git update-ref $ref $old; touch {0}", once.display());
    stage.origin.hook("post-receive", &hook);
    sync(&stage).ok();
    assert_ne!(sync(&stage).ok().json()["commit"], serde_json::Value::Null);
    is_deployed(&stage);
    // Commits that others add on top in the meantime change nothing about that.
    back(&stage);
    let on_top = "export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a; \
        git update-ref refs/heads/main $(git commit-tree -p main -m 'on top' 'main^{tree}')";
    stage.origin.hook("post-receive", on_top);
    let report = sync(&stage).ok().json();
    assert_eq!(report["attempts"], 1, "{report:#}");
    assert_eq!(stage.origin.subjects()[0], "on top");
    is_deployed(&stage);
}

#[test]
fn a_protected_branch_is_quoted_and_not_retried() {
    let stage = stage();
    let count = stage.home().join("count");
    // The way forges do it: an update hook for one branch.
    let hook = format!(
        "echo x >> {}; echo 'GitLab: You are not allowed to push to protected branches' >&2; exit 1",
        count.display()
    );
    stage.origin.hook("update", &hook);
    let run = sync(&stage).fails_with(1);
    assert!(run.stderr.contains("not allowed to push to protected branches"), "{run:#?}");
    assert!(run.stderr.contains("help: give the bot's key or token the right to push"), "{run:#?}");
    assert_eq!(fs::read_to_string(&count).expect("a count"), "x\n");
}

#[test]
fn lfs_pointers_attributes_and_submodules_are_left_alone() {
    let stage = stage();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";
    stage.origin.commit(
        "as people have it",
        &[
            (
                ".gitattributes",
                "*.yaml text eol=crlf\n*.bin filter=lfs diff=lfs merge=lfs -text\nbig.yaml filter=lfs\n",
            ),
            (".gitmodules", "[submodule \"base\"]\n\tpath = base\n\turl = https://example.com/base.git\n"),
            ("model.bin", pointer),
            ("big.yaml", pointer),
            ("app.yaml", &format!("# both\r\n{}", before(&stage).replace('\n', "\r\n"))),
        ],
    );
    let tip = stage.origin.tip();
    let (index, path) = (stage.home().join("index").display().to_string(), &stage.origin.path);
    let plumb = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.current_dir(path).env("GIT_INDEX_FILE", &index).args(["-c", "core.bare=true"]).args(arguments);
        String::from_utf8(command.output().expect("git starts").stdout).expect("text").trim().to_owned()
    };
    plumb(&["read-tree", "main"]);
    plumb(&["update-index", "--add", "--cacheinfo", &format!("160000,{tip},base")]);
    let tree = plumb(&["write-tree"]);
    let commit = git(path, &["commit-tree", "-p", "main", "-m", "a module", &tree]);
    git(path, &["update-ref", "refs/heads/main", commit.trim()]);
    let others = || {
        let listing = git(path, &["ls-tree", "-r", "main"]);
        listing.lines().filter(|line| !line.ends_with("\tapp.yaml")).map(str::to_owned).collect::<Vec<_>>()
    };
    let untouched = others();
    assert_eq!(untouched.len(), 5);
    sync(&stage).ok();
    assert_eq!(others(), untouched);
    let expected = format!("# both\r\n{}", before(&stage).replace("aaaaaa1", "bbbbbb1").replace('\n', "\r\n"));
    assert_eq!(stage.origin.read("app.yaml"), expected);
}

/// Writes an object whatever is in it.
fn literally(stage: &Stage, kind: &str, bytes: &[u8]) -> String {
    let mut child = Command::new("git")
        .current_dir(&stage.origin.path)
        .args(["hash-object", "-t", kind, "-w", "--stdin", "--literally"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git starts");
    child.stdin.take().expect("a pipe").write_all(bytes).expect("written");
    String::from_utf8(child.wait_with_output().expect("it ends").stdout).expect("text").trim().to_owned()
}

/// Writes a tree with entries of any name, in git's order.
fn tree(stage: &Stage, entries: &[(&str, &[u8], &str)]) -> String {
    let mut entries = entries.to_vec();
    entries.sort_by_key(|(mode, name, _)| [*name, if *mode == "40000" { b"/" } else { b"" }].concat());
    let bytes = entries.iter().flat_map(|(mode, name, id)| {
        let id = (0..20).map(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).expect("hex"));
        [mode.as_bytes(), b" ", name, b"\0"].concat().into_iter().chain(id).collect::<Vec<u8>>()
    });
    literally(stage, "tree", &bytes.collect::<Vec<u8>>())
}

#[test]
fn names_that_only_plumbing_can_make_do_not_stop_the_others() {
    let stage = stage();
    let blob = literally(&stage, "blob", before(&stage).as_bytes());
    let folder = tree(&stage, &[("100644", b"x.yaml", &blob)]);
    let long = [b'l'; 5_000];
    let hostile: [(&str, &[u8], &str); 12] = [
        ("100644", b"../x.yaml", &blob),
        ("100644", b".", &blob),
        ("40000", b"..", &folder),
        ("40000", b".GIT", &folder),
        ("40000", b".git", &folder),
        ("40000", b".git. ", &folder),
        ("100644", b"/etc/x.yaml", &blob),
        ("100644", b"app.yaml", &blob),
        ("100644", b"b\xff.yaml", &blob),
        ("40000", b"git~1", &folder),
        ("100644", &long, &blob),
        ("100644", b"n\n\x1b[2J.yaml", &blob),
    ];
    let root = tree(&stage, &hostile);
    let commit = git(&stage.origin.path, &["commit-tree", "-p", "main", "-m", "odd", &root]);
    git(&stage.origin.path, &["update-ref", "refs/heads/main", commit.trim()]);
    let run = sync(&stage).ok();
    assert!(stage.origin.read("app.yaml").ends_with("bbbbbb1\n"), "{run:#?}");
    assert!(run.stderr.contains("git cannot check out a file of this name"), "{run:#?}");
    let listed = |tree: &str| {
        let listing = Command::new("git").current_dir(&stage.origin.path).args(["ls-tree", "-z", tree]).output();
        listing.expect("git starts").stdout.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    let (old, new) = (listed(commit.trim()), listed("main"));
    let changed = old.iter().zip(&new).filter(|(old, new)| old != new).count();
    // `app.yaml`, and the file with a line break in its name, which is a file like any other.
    assert_eq!((old.len(), changed), (new.len(), 2), "nothing else was touched");
    assert_eq!(run.stderr.matches('\x1b').count() + run.stdout.matches('\x1b').count(), 0, "{run:#?}");
}

#[test]
fn folders_that_git_calls_malformed_do_not_hide_the_others() {
    let stage = stage();
    let blob = literally(&stage, "blob", before(&stage).as_bytes());
    let empty = tree(&stage, &[("100644", b"", &blob), ("100644", b"x.yaml", &blob)]);
    let long = tree(&stage, &[("100644", &[b'l'; 70_000], &blob)]);
    let entries: [(&str, &[u8], &str); 3] =
        [("40000", b"empty", &empty), ("40000", b"long", &long), ("100644", b"app.yaml", &blob)];
    let root = tree(&stage, &entries);
    let commit = git(&stage.origin.path, &["commit-tree", "-p", "main", "-m", "odd", &root]);
    git(&stage.origin.path, &["update-ref", "refs/heads/main", commit.trim()]);
    // git neither sends nor packs them, so they can only be met in place.
    let text = fs::read_to_string(stage.config()).expect("there");
    let local = text.replace(&stage.sshd.url(&stage.origin), &stage.origin.path.display().to_string());
    let config = stage.home().join("local.yaml");
    fs::write(&config, local).expect("written");
    let run =
        tagalong::run(stage.home(), &["status", "--output", "json", "--config", &config.display().to_string()]).ok();
    assert_eq!(run.json()[0]["candidate"], "bbbbbb1", "{run:#?}");
    assert!(run.stderr.contains("a folder of the repository is malformed"), "{run:#?}");
}

#[test]
fn unusual_branch_names_work() {
    let stage = stage();
    let path = &stage.origin.path;
    // Tags and branches with names similar to ours.
    git(path, &["tag", "main"]);
    git(path, &["update-ref", "refs/heads/refs/heads/main", "refs/tags/main"]);
    git(path, &["update-ref", "refs/heads/heads/main", "refs/tags/main"]);
    sync(&stage).ok();
    assert!(git(path, &["show", "refs/heads/main:app.yaml"]).ends_with("bbbbbb1\n"));
    for branch in ["release/ünï+1#x", "a/b/c/d", "HEAD-of-it", "main.lock-not", "main/below"] {
        if branch.starts_with("main/") {
            git(path, &["update-ref", "-d", "refs/heads/main"]);
        }
        git(path, &["update-ref", &format!("refs/heads/{branch}"), "refs/tags/main"]);
        stage.tagalong(&["sync", "--branch", branch]).ok();
        assert!(git(path, &["show", &format!("refs/heads/{branch}:app.yaml")]).ends_with("bbbbbb1\n"), "{branch}");
    }
    for branch in ["-x", "a..b", "a b", "x.lock", "a:b", "@{u}", "", "*"] {
        stage.tagalong(&["sync", &format!("--branch={branch}")]).fails_with(2);
    }
    git(path, &["fsck", "--strict", "--no-dangling"]);
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures are to be seen with --nocapture")]
fn a_folder_with_fifty_thousand_entries_works() {
    let stage = stage();
    let mut stream = String::from("blob\nmark :1\ndata 2\nx\n\n");
    stream.push_str(
        "commit refs/heads/main\ncommitter A <a@example.com> 1700000000 +0000\ndata 4\nmany\nfrom refs/heads/main^0\n",
    );
    for n in 0..50_000 {
        stream.push_str(&format!("M 100644 :1 many/file-{n:05}.txt\n"));
    }
    stream.push_str(&format!("M 100644 inline many/app.yaml\ndata {}\n{}\n", before(&stage).len(), before(&stage)));
    let input = stage.home().join("stream");
    fs::write(&input, stream).expect("written");
    let mut import = Command::new("git");
    import
        .current_dir(&stage.origin.path)
        .args(["fast-import", "--quiet"])
        .stdin(fs::File::open(&input).expect("there"));
    assert!(import.status().expect("git starts").success());
    for name in ["first", "second"] {
        let begun = Instant::now();
        sync(&stage).ok();
        println!("{name} cycle over 50,000 entries: {:?}", begun.elapsed());
        assert!(stage.origin.read("many/app.yaml").ends_with("bbbbbb1\n"));
    }
    is_deployed(&stage);
    assert_eq!(git(&stage.origin.path, &["ls-tree", "main", "many/"]).lines().count(), 50_001);
}

#[test]
fn a_full_disk_is_reported_and_leaves_nothing_half_done() {
    let stage = stage();
    let cache = stage.home().join("small");
    let Some(_disk) = SmallDisk::mount(&cache, "512k") else {
        return support::skipped("this user may not mount a small file system");
    };
    // Incompressible text, more than there is space for.
    let noise: String = (0..60_000).map(|_| format!("{:016x}\n", fastrand::u64(..))).collect();
    stage.origin.commit("big", &[("noise.txt", &noise)]);
    let tip = stage.origin.tip();
    let in_cache = cache.display().to_string();
    let run = stage.tagalong(&["sync", "--cache-dir", &in_cache]).fails_with(1);
    assert!(run.stderr.contains("No space left on device"), "{run:#?}");
    assert_eq!(stage.origin.tip(), tip);
    // There is space again, with the leftovers still there.
    stage.origin.commit("small again", &[("noise.txt", "quiet\n")]);
    let first = git(&stage.origin.path, &["rev-list", "--max-parents=0", "main"]);
    git(&stage.origin.path, &["update-ref", "refs/heads/main", first.trim()]);
    stage.tagalong(&["sync", "--cache-dir", &in_cache]).ok();
    is_deployed(&stage);
}

#[test]
fn a_clone_of_another_repository_in_the_cache_does_no_harm() {
    let stage = stage();
    sync(&stage).ok();
    let cache = stage.home().join(".cache/tagalong");
    let clone = clone_in(&cache);
    fs::remove_dir_all(&clone).expect("removed");
    let other = Origin::create(&stage.home().join("other.git"), &[("app.yaml", "image: evil.example.com/x:1\n")]);
    git(stage.home(), &["clone", "--quiet", "--bare", "other.git", &clone.display().to_string()]);
    git(&clone, &["update-ref", "refs/tagalong/main", &other.tip()]);
    back(&stage);
    sync(&stage).ok();
    is_deployed(&stage);
    assert_eq!(stage.origin.subjects().len(), 5);
}

#[test]
fn two_agents_on_one_cache_take_turns() {
    let stage = stage();
    let start = || {
        let mut command = tagalong::command(stage.home());
        command.args(["run", "--config"]).arg(stage.config()).stderr(Stdio::null()).spawn().expect("it starts")
    };
    let agents = [start(), start()];
    for n in 2..5 {
        let tag = format!("cccccc{n}");
        stage.registry.push("org/app", &tag, &format!("2026-05-0{n}T10:00:00Z"));
        wait_until("it is deployed", || stage.origin.read("app.yaml").ends_with(&format!("{tag}\n")));
    }
    for mut agent in agents {
        agent.kill().expect("killed");
        agent.wait().expect("ended");
    }
    stage.origin.is_sound();
    // Neither repeated what the other had done.
    let subjects = stage.origin.subjects();
    assert!(subjects.len() <= 5, "{subjects:?}");
}
