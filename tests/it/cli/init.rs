//! `tagalong init` proposes what a repository and its history show, and writes nothing else.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::git::Origin;
use crate::support::tagalong::{Run, command, finished, run};

type Files = Vec<(String, String)>;

fn files(files: &[(&str, String)]) -> Files {
    files.iter().map(|(name, text)| ((*name).to_owned(), text.clone())).collect()
}

/// A repository in which an image moved, a tag without a name, a tag next to an unusual key, a chart and a text.
fn history(home: &Path) -> Origin {
    let base = "web:\n  image:\n    repository: ghcr.io/acme/web\n    tag: ''\n".to_owned();
    let mut commits = vec![("the first files".to_owned(), files(&[("web/values.yaml", base)]))];
    for version in 1..=6 {
        commits.push((
            format!("deploy {version}"),
            files(&[
                ("app.yaml", format!("spec:\n  containers:\n  - image: ghcr.io/acme/app:1.{version}.0\n")),
                ("lonely.yaml", format!("payments:\n  image_tag: v{version}\n  replicas: {version}\n")),
                ("odd/a.yaml", format!("api:\n  containerImage: ghcr.io/acme/odd\n  containerRevision: v{version}\n")),
                ("chart/Chart.yaml", format!("apiVersion: v2\nname: x\nversion: 0.{version}.0\n")),
                ("notes.yaml", format!("text: |\n  the tag\n  tag: v{version}\n")),
            ]),
        ));
    }
    Origin::import(&home.join("infra.git"), commits.into_iter())
}

fn init(home: &Path, origin: &Origin, arguments: &[&str]) -> Run {
    let url = origin.path.display().to_string();
    let file = home.join("new.yaml").display().to_string();
    run(home, &[&["init", "--offline", "--git-url", &url, "--file", &file], arguments].concat())
}

fn images(home: &Path, origin: &Origin) -> Vec<Value> {
    let (url, file) = (origin.path.display().to_string(), home.join("new.yaml").display().to_string());
    let rows = run(home, &["images", "--git-url", &url, "--config", &file, "--output", "json"]).ok().json();
    rows.as_array().expect("a list").clone()
}

#[test]
fn what_moved_becomes_policies_and_rules_that_work() {
    let home = tempfile::tempdir().expect("a folder");
    let origin = history(home.path());
    let before = origin.tip();
    let result = init(home.path(), &origin, &["--output", "json"]).ok().json();
    let text = std::fs::read_to_string(home.path().join("new.yaml")).expect("written");
    assert_eq!(result["config"], text.as_str());
    assert_eq!(result["history"]["commits"], 7);
    assert_eq!(result["history"]["movers"]["person"].as_u64().map(|count| count >= 5), Some(true), "{result:#}");
    assert!(text.contains("images: [ghcr.io/acme/app]") && text.contains("semver: \"1.x\""), "{text}");
    assert!(text.contains("moved 5 times since "), "{text}");
    let unresolved = result["unresolved"].as_array().expect("a list");
    let reasons = |path: &str| unresolved.iter().find(|one| one["path"] == path).map(|one| one["reason"].clone());
    assert!(reasons("version").is_some_and(|reason| reason.to_string().contains("chart")), "{result:#}");
    assert!(!text.contains("path: text"), "a text is no image field: {text}");
    assert!(!text.contains("replicas"), "{text}");
    // Unedited, it is valid, and the rules yield fields.
    let found = images(home.path(), &origin);
    let lonely = found.iter().find(|row| row["file"] == "lonely.yaml").expect("a field");
    assert_eq!((&lonely["image"], &lonely["path"]), (&"fill-in.invalid/payments".into(), &"payments.image_tag".into()));
    assert_eq!(text.matches("replace fill-in.invalid").count(), 1, "{text}");
    assert!(result["next"][0].as_str().is_some_and(|step| step.contains("fill-in.invalid")), "{result:#}");
    assert_eq!(origin.tip(), before);
}

#[test]
fn the_next_steps_work_as_they_are() {
    let home = tempfile::tempdir().expect("a folder");
    let origin = history(home.path());
    let url = origin.path.display().to_string();
    let file = home.path().join("my first file.yaml").display().to_string();
    let arguments = ["init", "--offline", "--git-url", &url, "--file", &file, "--output", "json"];
    let result = run(home.path(), &arguments).ok().json();
    let mut steps = result["next"].as_array().expect("a list").iter().filter_map(Value::as_str);
    let images = steps.find(|step| step.starts_with("tagalong images")).expect("a step");
    let line = images.replacen("tagalong", env!("CARGO_BIN_EXE_tagalong"), 1);
    let mut sh = Command::new("sh");
    let output = sh.args(["-c", &line]).env("HOME", home.path()).current_dir(home.path()).output().expect("it starts");
    let run = finished(output).ok();
    assert!(run.stdout.contains("ghcr.io/acme/app"), "{images}\n{run:#?}");
}

#[test]
fn nothing_is_overwritten_and_a_dry_run_writes_nothing() {
    let home = tempfile::tempdir().expect("a folder");
    let origin = history(home.path());
    let file = home.path().join("new.yaml");
    let shown = init(home.path(), &origin, &["--dry-run"]).ok().stdout;
    assert!(shown.contains("policies:") && !file.exists());
    std::fs::write(&file, "# mine\n").expect("written");
    let refused = init(home.path(), &origin, &[]).fails_with(2);
    assert!(
        refused.stderr.contains("already exists") && refused.stderr.contains("help: use --dry-run"),
        "{refused:#?}"
    );
    assert_eq!(std::fs::read_to_string(&file).expect("there"), "# mine\n");
    assert_eq!(init(home.path(), &origin, &["--dry-run"]).ok().stdout, shown);
}

#[test]
fn what_other_tools_move_is_left_to_them() {
    let home = tempfile::tempdir().expect("a folder");
    let work = home.path().join("work");
    std::fs::create_dir_all(&work).expect("created");
    let git = |arguments: &[&str]| crate::support::git::git(&work, arguments);
    git(&["init", "--quiet", "--initial-branch=main", "."]);
    for version in 1..=3 {
        std::fs::write(work.join("a.yaml"), format!("image: quay.io/x/db:1.{version}.0\n")).expect("written");
        git(&["add", "."]);
        git(&["commit", "--quiet", "--author", "renovate[bot] <bot@example.com>", "--message", "update"]);
    }
    // Without any URL, the checkout in the folder is read.
    let mut init = command(home.path());
    let output = init.current_dir(&work).args(["init", "--offline"]).output().expect("the program starts");
    let run = finished(output).ok();
    assert!(run.stdout.starts_with("wrote tagalong.yaml: 0 policies"), "{run:#?}");
    let text = std::fs::read_to_string(work.join("tagalong.yaml")).expect("written");
    assert!(text.contains("No policy, because Renovate moves them: quay.io/x/db"), "{text}");
    assert!(text.contains("Moved by: Renovate (2)."), "{text}");
}

const FLUX: &str = "apiVersion: v1
kind: List
items:
- apiVersion: image.toolkit.fluxcd.io/v1
  kind: ImageRepository
  metadata: {name: app, namespace: flux-system}
  spec:
    image: 127.0.0.1:5000/acme/app
    interval: 5m0s
    insecure: true
    secretRef: {name: pull}
    exclusionList: [\"^.*\\\\.sig$\", \"-rc$\"]
- apiVersion: image.toolkit.fluxcd.io/v1
  kind: ImagePolicy
  metadata: {name: app, namespace: flux-system}
  spec:
    imageRepositoryRef: {name: app}
    digestReflectionPolicy: IfNotPresent
    filterTags: {pattern: '^main-[a-f0-9]+-(?P<ts>[0-9]+)', extract: $ts}
    policy: {numerical: {order: asc}}
- apiVersion: image.toolkit.fluxcd.io/v1
  kind: ImageUpdateAutomation
  metadata: {name: all, namespace: flux-system}
  spec:
    interval: 30m
    sourceRef: {kind: GitRepository, name: infra}
    git:
      checkout: {ref: {branch: trunk}}
      commit:
        author: {name: Flux, email: flux@example.com}
        messageTemplate: '{{range .Changed.Changes}}{{print .OldValue}}{{end}}'
      push: {branch: updates, refspec: refs/heads/trunk:refs/heads/x}
    update: {path: ./clusters/prod, strategy: Setters}
";

#[test]
fn flux_objects_on_stdin_become_policies_and_settings() {
    let home = tempfile::tempdir().expect("a folder");
    let origin = history(home.path());
    origin.commit("one more", &[("clusters/prod/app.yaml", "image: ghcr.io/acme/app:1.0.0\n")]);
    let mut init = command(home.path());
    let url = origin.path.display().to_string();
    init.args(["init", "--offline", "--git-url", &url, "--flux", "-", "--dry-run", "--output", "json"]);
    let mut child =
        init.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), FLUX.as_bytes()).expect("written");
    let result = finished(child.wait_with_output().expect("it ends")).ok().json();
    let text = result["config"].as_str().expect("text");
    for expected in [
        "branch: trunk",
        "pushBranch: updates",
        "paths: [clusters/prod]",
        "author: { name: Flux, email: flux@example.com }",
        "  - host: \"127.0.0.1:5000\"\n    plainHttp: true",
        "images: [\"127.0.0.1:5000/acme/app\"]",
        "tags: { numerical: { pattern: \"^main-[a-f0-9]+-(?P<ts>[0-9]+)\", extract: \"$ts\" } }",
        "ignore: [\"*-rc\"]",
        "fields: marked",
        "pin: digest",
        "interval: 5m",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    let meanings = result["flux"].as_array().expect("a list");
    let became = |key: &str| {
        let meaning =
            meanings.iter().find(|meaning| meaning["key"] == key).unwrap_or_else(|| panic!("{key}: {result:#}"));
        meaning["became"].as_str().expect("text").to_owned()
    };
    assert!(became("git.push.refspec").contains("no counterpart"));
    assert!(became("git.commit.messageTemplate").contains("not converted"));
    assert!(became("secretRef.name").contains("credentialsFile"));
    std::fs::write(home.path().join("new.yaml"), text).expect("written");
    let url = format!("--git-url={url}");
    let file = home.path().join("new.yaml").display().to_string();
    run(home.path(), &["images", &url, "--branch", "main", "--config", &file]).ok();
}

#[test]
fn flux_objects_in_the_repository_are_found() {
    let home = tempfile::tempdir().expect("a folder");
    let api = "apiVersion: image.toolkit.fluxcd.io/v1beta2";
    let objects = format!(
        "{api}\nkind: ImageRepository\nmetadata: {{name: app}}\nspec: {{image: ghcr.io/acme/app, interval: 90s}}\n---\n\
         {api}\nkind: ImagePolicy\nmetadata: {{name: app}}\nspec: {{imageRepositoryRef: {{name: app}}, policy: {{semver: {{range: '>=1.0.0 <2.0.0'}}}}}}\n---\n\
         {api}\nkind: ImagePolicy\nmetadata: {{name: lost}}\nspec: {{imageRepositoryRef: {{name: gone}}, policy: {{alphabetical: {{}}}}}}\n"
    );
    let origin = Origin::create(
        &home.path().join("infra.git"),
        &[("flux/image.yaml", &objects), ("app.yaml", "image: ghcr.io/acme/app:1.0.0\n")],
    );
    let text = init(home.path(), &origin, &["--dry-run"]).ok().stdout;
    assert!(text.contains("# from ImagePolicy app and ImageRepository app\n  - images: [ghcr.io/acme/app]"), "{text}");
    assert!(text.contains("tags: { semver: \">=1.0.0 <2.0.0\" }") && text.contains("interval: 90s"), "{text}");
    assert!(!text.contains("fields: marked"), "no automation edits marked fields: {text}");
    assert!(
        text.contains("ImagePolicy lost: not converted: the ImageRepository gone is not among the objects"),
        "{text}"
    );
}

#[test]
fn what_is_not_flux_is_refused() {
    let home = tempfile::tempdir().expect("a folder");
    let origin = history(home.path());
    let file = home.path().join("flux.yaml");
    std::fs::write(&file, "kind: List\nitems: []\n").expect("written");
    let run = init(home.path(), &origin, &["--flux", &file.display().to_string()]).fails_with(2);
    assert!(run.stderr.contains("no ImageRepository, ImagePolicy or ImageUpdateAutomation"), "{run:#?}");
}

#[test]
fn folders_that_look_like_stages_are_proposed_in_a_comment_that_works() {
    let home = tempfile::tempdir().expect("a folder");
    let text = |version: usize| format!("image: ghcr.io/acme/app:1.{version}.0\n");
    let commits = (1..4_usize).map(|version| {
        let both = [("apps/shop/values-live.yaml", text(version)), ("apps/shop/values-beta.yaml", text(version + 1))];
        (format!("deploy {version}"), files(&both))
    });
    let origin = Origin::import(&home.path().join("infra.git"), commits);
    let result = init(home.path(), &origin, &["--output", "json"]).ok().json();
    assert_eq!(result["stages"][0]["name"], "beta", "{result:#}");
    let file = home.path().join("new.yaml");
    let proposed = std::fs::read_to_string(&file).expect("written");
    let (before, comment) = proposed.split_once("# stages:\n").expect("a proposal");
    assert!(before.contains("Folders or files look like stages: beta (1 files"), "{proposed}");
    let is_yaml = |line: &&str| line.starts_with("#   ");
    let lines: String = comment.lines().take_while(is_yaml).map(|line| format!("{}\n", &line[2..])).collect();
    let expected = "  - name: beta\n    paths: [\"apps/shop/values-beta.yaml\"]\n  - name: live\n    \
                    paths: [\"apps/shop/values-live.yaml\"]\n    from: beta\n    soak: 1h\n";
    assert_eq!(lines.replace('"', ""), expected.replace('"', ""), "{proposed}");
    std::fs::write(&file, format!("{before}stages:\n{lines}")).expect("written");
    let rows = images(home.path(), &origin);
    assert_eq!(rows.len(), 2, "{rows:#?}");
    let (url, config) = (origin.path.display().to_string(), file.display().to_string());
    let audit = run(home.path(), &["audit", "--git-url", &url, "--config", &config, "--output", "json"]).json();
    assert!(audit["moves"].as_u64() >= Some(2), "the stages are those of the files: {audit:#}");
}
