//! Charts in OCI registries follow policies like images, wherever their version is written.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::git::git;
use crate::support::infra::Stage;
use crate::support::skipped;
use crate::support::tagalong::{Run, run};

const OLD: &str = "2026-04-01T10:00:00Z";

const REPOSITORY: &str = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: { name: acme, namespace: flux-system }\n\
                          spec: { type: oci, url: oci://HOST/charts }\n";
const RELEASE: &str = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: { name: shop, namespace: apps }\n\
                       spec:\n  chart:\n    spec:\n      chart: shop\n      version: 1.2.0 # moves\n      \
                       sourceRef: { kind: HelmRepository, name: acme, namespace: flux-system }\n";

/// Servers with a configuration whose only policies are these.
struct Charts {
    stage: Stage,
    config: PathBuf,
}

impl Charts {
    fn new(files: &[(&str, &str)], policies: &str) -> Charts {
        let stage = Stage::new(files);
        let host = stage.registry.host();
        let text = format!(
            "{}registries:\n- {{ host: \"{host}\", plainHttp: true }}\npolicies:\n{}",
            stage.sshd.config(&stage.origin),
            policies.replace("HOST", &host)
        );
        let config = stage.home().join("charts.yaml");
        std::fs::write(&config, text).expect("written");
        Charts { stage, config }
    }

    fn of_releases() -> Charts {
        Charts::new(
            &[("sources/acme.yaml", REPOSITORY), ("apps/shop.yaml", RELEASE)],
            "- { charts: [HOST/charts/*], version: ^1.2 }\n- { images: [HOST/**], tags: { semver: '*' } }\n",
        )
    }

    fn push(&self, tags: &[&str]) {
        for tag in tags {
            self.stage.registry.push_chart("charts/shop", tag, OLD);
        }
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let config = self.config.display().to_string();
        let mut all = arguments.to_vec();
        all.extend(["--config", &config]);
        run(self.stage.home(), &all)
    }

    fn sync(&self) -> Value {
        self.run(&["sync", "--output", "json"]).json()
    }

    /// The chart's full name.
    fn name(&self) -> String {
        format!("oci://{}/charts/shop", self.stage.registry.host())
    }

    fn has(&self, version: &str) -> bool {
        self.stage.origin.read("apps/shop.yaml").contains(&format!("version: {version} # moves\n"))
    }
}

#[test]
fn a_release_moves_to_the_highest_version_in_the_range() {
    let charts = Charts::of_releases();
    charts.push(&["1.2.0", "1.3.0", "1.10.0_git.5", "1.11.0-rc.1", "2.0.0", "latest"]);
    let report = charts.sync();
    assert!(charts.has("1.10.0+git.5"), "{report:#}");
    assert_eq!(report["updates"][0]["image"], charts.name());
    let message = charts.stage.origin.message();
    let trailer =
        format!("Tagalong-Update: apps/shop.yaml spec.chart.spec.version {} 1.2.0 -> 1.10.0_git.5", charts.name());
    assert!(message.contains(&trailer), "{message}");
    let tip = charts.stage.origin.tip();
    let again = charts.sync();
    assert_eq!((charts.stage.origin.tip(), &again["commit"]), (tip, &Value::Null));
    assert_eq!(again["skipped"][0]["reason"], "up-to-date", "{again:#}");
}

#[test]
fn charts_are_listed_and_explained_like_images() {
    let charts = Charts::of_releases();
    charts.push(&["1.2.0", "1.3.0", "2.0.0"]);
    let listed = charts.run(&["images", "--output", "json"]).ok().json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed:#}");
    let row = &listed[0];
    assert_eq!((&row["shape"], &row["image"], &row["tag"]), (&"chart".into(), &charts.name().into(), &"1.2.0".into()));
    assert_eq!(row["policy"], format!("{}/charts/*", charts.stage.registry.host()));
    assert_eq!((&row["line"], &row["column"]), (&8.into(), &16.into()));
    let text = charts.run(&["images"]).ok().stdout;
    assert!(text.contains("NAMED IN") && text.contains("sources/acme.yaml"), "{text}");
    let explained = charts.run(&["explain", &charts.name()]).ok().stdout;
    assert!(explained.contains("2.0.0 is not in the range `^1.2`"), "{explained}");
    let status = charts.run(&["status", "--output", "json"]).ok().json();
    assert_eq!(status[0]["image"], charts.name(), "{status:#}");
}

#[test]
fn no_policy_for_images_moves_a_chart_and_the_other_way_round() {
    let charts = Charts::new(
        &[
            ("sources/acme.yaml", REPOSITORY),
            ("apps/shop.yaml", RELEASE),
            ("app.yaml", "image: HOST/charts/shop:1.2.0\n"),
        ],
        "- { images: [HOST/**], tags: { semver: 1.2.x } }\n",
    );
    charts.push(&["1.2.0", "1.2.1", "1.3.0"]);
    charts.sync();
    assert!(charts.has("1.2.0") && charts.stage.origin.read("app.yaml").contains("shop:1.2.1\n"));
    let text = std::fs::read_to_string(&charts.config).expect("there");
    let text = text.replace("images:", "charts:").replace("tags: { semver: 1.2.x }", "version: ^1");
    std::fs::write(&charts.config, text).expect("written");
    charts.sync();
    assert!(charts.has("1.3.0") && charts.stage.origin.read("app.yaml").contains("shop:1.2.1\n"));
}

#[test]
fn a_version_that_was_taken_back_is_held() {
    let charts = Charts::of_releases();
    charts.push(&["1.2.0", "1.3.0_a"]);
    let before = charts.stage.origin.read("apps/shop.yaml");
    charts.sync();
    assert!(charts.has("1.3.0+a"));
    charts.stage.origin.commit("back", &[("apps/shop.yaml", &before)]);
    let report = charts.sync();
    assert!(charts.has("1.2.0") && report["skipped"][0]["reason"] == "held", "{report:#}");
    charts.push(&["1.4.0"]);
    charts.sync();
    assert!(charts.has("1.4.0"), "the next one moves again");
    charts.run(&["rollback", &charts.name(), "--to", "1.3.0+a", "--reason", "x", "--actor", "me"]).ok();
    assert!(charts.has("1.3.0+a"));
    let report = charts.sync();
    assert!(charts.has("1.3.0+a") && report["skipped"][0]["reason"] == "held", "{report:#}");
    charts.run(&["resume", &charts.name(), "--reason", "x"]).ok();
    charts.sync();
    assert!(charts.has("1.4.0"));
    charts.run(&["set", &format!("{}:1.3.0+a", charts.name())]).fails_with(3);
    assert!(charts.has("1.4.0"));
}

#[test]
fn a_chart_without_its_layer_is_kept_back() {
    let charts = Charts::of_releases();
    charts.push(&["1.2.0"]);
    let layer = charts.stage.registry.push_chart("charts/shop", "1.3.0", OLD);
    charts.stage.registry.lose(&layer);
    let report = charts.sync();
    assert!(charts.has("1.2.0") && report["skipped"][0]["reason"] == "blocked-image", "{report:#}");
}

#[test]
fn a_chart_waits_for_its_minimum_age() {
    let charts = Charts::new(
        &[("sources/acme.yaml", REPOSITORY), ("apps/shop.yaml", RELEASE)],
        "- { charts: [HOST/charts/*], version: ^1.2, minimumAge: 1h }\n",
    );
    charts.push(&["1.2.0", "1.3.0"]);
    let report = charts.sync();
    assert!(charts.has("1.2.0"), "it was pushed just now: {report:#}");
    assert!(report.to_string().contains("minimumAge"), "{report:#}");
}

#[test]
fn charts_of_argo_and_kustomize_move() {
    let charts = Charts::new(
        &[
            (
                "argo.yaml",
                "apiVersion: argoproj.io/v1alpha1\nkind: Application\nspec:\n  source: { chart: shop, repoURL: HOST/charts, targetRevision: 1.2.0 }\n",
            ),
            ("k/kustomization.yaml", "helmCharts:\n- { name: shop, repo: oci://HOST/charts, version: 1.2.0 }\n"),
            ("helmfile.yaml", "releases:\n- { name: shop, chart: oci://HOST/charts/shop, version: 1.2.0 }\n"),
        ],
        "- { charts: [HOST/charts/*], version: '*' }\n",
    );
    charts.push(&["1.2.0", "1.3.0"]);
    let report = charts.sync();
    for file in ["argo.yaml", "k/kustomization.yaml", "helmfile.yaml"] {
        assert!(charts.stage.origin.read(file).contains(": 1.3.0 }\n"), "{file}: {report:#}");
    }
}

#[test]
fn policies_for_charts_are_checked() {
    let charts = Charts::of_releases();
    let text = std::fs::read_to_string(&charts.config).expect("there");
    for (policy, words) in [
        ("{ charts: [HOST/charts/*] }", "`version` is required"),
        ("{ charts: [HOST/charts/*], version: x.y.z }", "policies[0].version: `x.y.z` is not a valid version range"),
        ("{ charts: [HOST/charts/*], version: ^1, pin: digest }", "`pin` is for `images`"),
        ("{ charts: [HOST/charts/*], tags: { semver: ^1 } }", "`tags` is for `images`"),
        ("{ charts: [HOST/charts/*], images: [HOST/*], version: ^1 }", "give either `images` or `charts`"),
        ("{ charts: [oci://HOST/charts/*], version: ^1 }", "is not a valid pattern of charts: leave out the scheme"),
        ("{ images: [HOST/*], tags: { sha: {} }, version: ^1 }", "`version` is for `charts`"),
    ] {
        let (start, _) = text.split_once("policies:\n").expect("a section");
        let policy = policy.replace("HOST", &charts.stage.registry.host());
        std::fs::write(&charts.config, format!("{start}policies:\n- {policy}\n")).expect("written");
        let run = charts.run(&["check"]).fails_with(2);
        assert!(run.stderr.contains(words), "{policy}: {run:#?}");
    }
}

const PARENT: &str = "apiVersion: v2\nname: parent\nversion: 0.1.0\ndependencies:\n\
                      - { name: shop, version: 1.2.0, repository: oci://HOST/charts, alias: store, tags: [a] }\n\
                      - { name: redis, version: 1.2.0, repository: oci://HOST/charts }\n";
const LOCK: &str = "dependencies:\n- name: shop\n  repository: oci://HOST/charts\n  version: 1.2.0\n\
                    - name: redis\n  repository: oci://HOST/charts\n  version: 1.2.0\n\
                    digest: DIGEST\ngenerated: \"2026-04-01T10:00:00Z\"\n";

/// The digest of a lock file for [`PARENT`], as Helm computes it.
fn digest_of_lock(host: &str, shop: &str, redis: &str) -> String {
    let own = |name: &str, version: &str, more: &str| {
        format!("{{\"name\":\"{name}\",\"version\":\"{version}\",\"repository\":\"oci://{host}/charts\"{more}}}")
    };
    let more = ",\"tags\":[\"a\"],\"alias\":\"store\"";
    let required = format!("[{},{}]", own("shop", shop, more), own("redis", redis, ""));
    let locked = format!("[{},{}]", own("shop", shop, ""), own("redis", redis, ""));
    crate::support::registry::digest(format!("[{required},{locked}]").as_bytes())
}

#[test]
fn a_lock_file_moves_in_the_commit_of_its_chart() {
    let charts = Charts::new(
        &[("parent/Chart.yaml", PARENT), ("parent/values.yaml", "{}\n")],
        "- { charts: [HOST/charts/*], version: ^1 }\n",
    );
    let host = charts.stage.registry.host();
    let lock = LOCK.replace("HOST", &host).replace("DIGEST", &digest_of_lock(&host, "1.2.0", "1.2.0"));
    charts.stage.origin.commit("lock", &[("parent/Chart.lock", &lock)]);
    // A commit for each chart.
    let text = std::fs::read_to_string(&charts.config).expect("there");
    std::fs::write(&charts.config, text.replacen("git:\n", "git:\n  batch: image\n", 1)).expect("written");
    charts.push(&["1.2.0", "1.3.0"]);
    charts.stage.registry.push_chart("charts/redis", "1.2.0", OLD);
    charts.stage.registry.push_chart("charts/redis", "1.4.0", OLD);
    let report = charts.sync();
    assert_eq!(report["updates"].as_array().map(Vec::len), Some(2), "{report:#}");
    let show = |revision: &str| git(&charts.stage.origin.path, &["show", &format!("{revision}:parent/Chart.lock")]);
    let (first, last) = (show("main~1"), show("main"));
    assert!(last.contains(&digest_of_lock(&host, "1.3.0", "1.4.0")), "{last}");
    assert!(last.contains("version: 1.3.0\n") && last.contains("version: 1.4.0\n"), "{last}");
    let halves = [digest_of_lock(&host, "1.3.0", "1.2.0"), digest_of_lock(&host, "1.2.0", "1.4.0")];
    assert!(halves.iter().any(|half| first.contains(half)), "{first}");
}

#[test]
fn helm_accepts_the_lock_file() {
    let Ok(helm) = Command::new("helm").arg("version").output() else {
        return skipped("helm is not installed");
    };
    assert!(helm.status.success());
    let charts = Charts::new(&[("parent/Chart.yaml", PARENT)], "- { charts: [HOST/charts/*], version: ^1 }\n");
    let (host, work) = (charts.stage.registry.host(), charts.stage.home().join("work"));
    let helm = |arguments: &[&str]| {
        let home = charts.stage.home().join("helm");
        let mut command = Command::new("helm");
        for (name, folder) in [("HELM_CACHE_HOME", "c"), ("HELM_CONFIG_HOME", "f"), ("HELM_DATA_HOME", "d")] {
            command.env(name, home.join(folder));
        }
        let done = command.args(arguments).current_dir(&work).output().expect("helm runs");
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    std::fs::create_dir_all(&work).expect("a folder");
    let push = |name: &str, version: &str| {
        std::fs::create_dir_all(work.join(name)).expect("a folder");
        let chart = format!("apiVersion: v2\nname: {name}\nversion: {version}\n");
        std::fs::write(work.join(name).join("Chart.yaml"), chart).expect("written");
        helm(&["package", name]);
        helm(&["push", &format!("{name}-{version}.tgz"), &format!("oci://{host}/charts"), "--plain-http"]);
    };
    push("shop", "1.2.0");
    push("redis", "1.2.0");
    std::fs::create_dir_all(work.join("parent")).expect("a folder");
    std::fs::write(work.join("parent/Chart.yaml"), PARENT.replace("HOST", &host)).expect("written");
    helm(&["dependency", "update", "parent", "--plain-http"]);
    let lock = std::fs::read_to_string(work.join("parent/Chart.lock")).expect("made by helm");
    charts.stage.origin.commit("lock", &[("parent/Chart.lock", &lock)]);
    push("shop", "1.3.0+git.1");
    let report = charts.sync();
    assert_eq!(report["updates"].as_array().map(Vec::len), Some(1), "{report:#}");
    for file in ["Chart.yaml", "Chart.lock"] {
        let text = charts.stage.origin.read(&format!("parent/{file}"));
        assert!(text.contains("1.3.0+git.1"), "{text}");
        std::fs::write(work.join("parent").join(file), text).expect("written");
    }
    helm(&["dependency", "build", "parent", "--plain-http"]);
    assert!(work.join("parent/charts/shop-1.3.0+git.1.tgz").exists());
}

#[test]
fn the_examples_of_the_recipe_move() {
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recipes/charts.md");
    let recipe = std::fs::read_to_string(recipe).expect("there").replace("ghcr.io", "HOST");
    let blocks = recipe.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let (policies, examples): (Vec<&str>, Vec<&str>) = blocks.partition(|block| block.starts_with("policies:\n"));
    let policies: String = policies.iter().map(|block| block.trim_start_matches("policies:\n")).collect();
    let name = |(number, text): (usize, &&str)| match text.starts_with("apiVersion: v2") {
        true => "all/Chart.yaml".to_owned(),
        false => format!("{number}.yaml"),
    };
    let names: Vec<String> = examples.iter().enumerate().map(name).collect();
    let files: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(examples.iter().copied()).collect();
    assert!(files.len() >= 4, "{files:?}");
    let charts = Charts::new(&files, &policies);
    for chart in ["acme/charts/shop", "acme/charts/web"] {
        for tag in ["1.2.0", "1.3.0", "2.0.0"] {
            charts.stage.registry.push_chart(chart, tag, OLD);
        }
    }
    let report = charts.sync();
    let mut moved = 0;
    for (name, before) in &files {
        for (old, new) in before.lines().zip(charts.stage.origin.read(name).lines()) {
            moved += usize::from(old.contains("# moved"));
            let expected = if old.contains("# moved") { old.replace("1.2.0", "1.3.0") } else { old.to_owned() };
            assert_eq!(new, expected.replace("HOST", &charts.stage.registry.host()), "{name}: {report:#}");
        }
    }
    assert_eq!(moved, 4);
}

#[test]
fn releases_in_one_file_are_told_apart() {
    let two = format!("{RELEASE}---\n{}", RELEASE.replace("chart: shop", "chart: web").replace("# moves", "# web"));
    let charts = Charts::new(
        &[("sources/acme.yaml", REPOSITORY), ("apps/shop.yaml", &two)],
        "- { charts: [HOST/charts/*], version: ^1.2 }\n",
    );
    charts.push(&["1.2.0"]);
    charts.stage.registry.push_chart("charts/web", "1.2.0", OLD);
    charts.stage.registry.push_chart("charts/web", "1.3.0", OLD);
    charts.sync();
    let file = || charts.stage.origin.read("apps/shop.yaml");
    assert!(charts.has("1.2.0") && file().contains("version: 1.3.0 # web\n"), "{}", file());
    charts.stage.origin.commit("back", &[("apps/shop.yaml", &file().replace("1.3.0 # web", "1.2.0 # web"))]);
    let report = charts.sync();
    assert!(file().contains("version: 1.2.0 # web\n"), "the second release is held: {report:#}");
    charts.push(&["1.3.0"]);
    charts.sync();
    assert!(charts.has("1.3.0") && file().contains("version: 1.2.0 # web\n"), "{}", file());
}

#[test]
fn charts_that_are_left_alone_are_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    write("unknown.yaml", RELEASE);
    write("Chart.yaml", "dependencies:\n- { name: shop, repository: oci://ghcr.io/acme, version: ^1.2 }\n");
    let dir = folder.path().display().to_string();
    let listed = run(folder.path(), &["images", "--dir", &dir, "--output", "json"]).ok();
    assert_eq!(listed.json(), serde_json::json!([]));
    for words in [
        "unknown.yaml: left alone: the chart in line 8 comes from the HelmRepository acme, which no file here defines",
        "Chart.yaml: left alone: `^1.2` in line 2 is a range of versions of the chart shop",
    ] {
        assert!(listed.stderr.contains(words), "{words}: {}", listed.stderr);
    }
}
