//! The workflows of `deploy/ci` for Gitea and GitHub Actions, run step by step against a real registry and a real git server.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::git::{HttpGit, Origin, Sshd, git, make_key};
use crate::support::pipeline::Runner;
use crate::support::registry::{Kind, PASSWORD, Registry, USER, digest};
use crate::support::scripted::Scripted;
use crate::support::sops::Sops;
use crate::support::tagalong::Run;
use crate::support::yaml;

pub const OLDEST: &str = "1111111111111111111111111111111111111111";
const DEPLOYMENT: &str = "\
kind: Deployment
spec:
  template:
    spec:
      containers:
      - image: HOST/org/APP:1111111111111111111111111111111111111111 # what runs
";
/// The token with which a job may read its own repository.
const JOB_TOKEN: &str = "job-token-hunter2";

/// A registry with TLS and a password, git servers, an infrastructure repository with two apps, and the repository of an
/// app with two commits.
pub struct World {
    pub folder: tempfile::TempDir,
    pub registry: Registry,
    pub sshd: Sshd,
    pub origin: Origin,
    forge: HttpGit,
    pub old: String,
    pub new: String,
    /// Serves the program, which is a script that calls the one under test.
    files: Scripted,
    program: String,
}

impl World {
    pub fn new() -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let registry = Registry::start(&folder.path().join("registry"), Kind::TlsHtpasswd);
        let sshd = Sshd::start(&folder.path().join("sshd"));
        let host = registry.host();
        let deployment = |app| DEPLOYMENT.replace("HOST", &host).replace("APP", app);
        let files = [("apps/shop/app.yaml", deployment("shop")), ("apps/blog/app.yaml", deployment("blog"))];
        let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
        let origin = Origin::create(&folder.path().join("infra.git"), &files);
        for app in ["shop", "blog"] {
            registry.push(&format!("org/{app}"), OLDEST, "2026-03-01T10:00:00Z");
        }
        let root = folder.path().join("forge");
        let app = Origin::create(&root.join("org/shop.git"), &[("Dockerfile", "FROM scratch\n# one\n")]);
        // As Gitea and GitHub have it: a job fetches its commit, which may not be the tip anymore.
        git(&app.path, &["config", "uploadpack.allowAnySHA1InWant", "true"]);
        let old = app.tip();
        let new = app.commit("Two", &[("Dockerfile", "FROM scratch\n# two\n")]);
        let forge = HttpGit::start(&root, Some(&format!("x-access-token:{JOB_TOKEN}")));
        let program = format!("#!/bin/sh\nexec '{}' \"$@\"\n", env!("CARGO_BIN_EXE_tagalong"));
        let served = program.clone().into_bytes();
        let files = Scripted::start(move |asked| match &*asked.target {
            "/moved" => Some((302, vec![("Location".to_owned(), "/tagalong".to_owned())], Vec::new())),
            "/tagalong" => Some((200, Vec::new(), served.clone())),
            _ => Some((404, Vec::new(), b"there is no such file".to_vec())),
        });
        World { folder, registry, sshd, origin, forge, old, new, files, program }
    }

    /// Reads a pipeline, with this world's hosts and program in place of the example's.
    pub fn pipeline(&self, name: &str) -> Value {
        let mut text = fs::read_to_string(folder().join(name)).expect("a pipeline");
        for (theirs, ours) in [
            ("ssh://git@git.example.com/org/infra.git", self.sshd.url(&self.origin)),
            ("ssh://git@github.com/acme/infra.git", self.sshd.url(&self.origin)),
            ("registry.example.com", self.registry.host()),
            ("registry: ghcr.io", format!("registry: {}", self.registry.host())),
            ("ghcr.io/acme", format!("{}/org", self.registry.host())),
            (&"0".repeat(64), digest(self.program.as_bytes()).replace("sha256:", "")),
        ] {
            text = text.replace(theirs, &ours);
        }
        let mut pipeline = yaml::documents(&text).remove(0);
        if pipeline["env"]["TAGALONG_URL"].is_string() {
            // As downloads of forges do, it redirects.
            pipeline["env"]["TAGALONG_URL"] = format!("http://{}/moved", self.files.host()).into();
        }
        pipeline
    }

    fn runner(&self, name: &str, sha: &str) -> Runner {
        let key = fs::read_to_string(self.sshd.key()).expect("a key");
        let known_hosts = fs::read_to_string(self.sshd.known_hosts()).expect("hosts");
        let forge = self.forge.url("");
        let variables = [
            ("GITHUB_SHA", sha),
            ("GITHUB_SERVER_URL", forge.trim_end_matches('/')),
            ("GITHUB_REPOSITORY", "org/shop"),
            ("SSL_CERT_FILE", &self.registry.ca_file().display().to_string()),
            ("github.actor", USER),
            ("github.token", JOB_TOKEN),
            ("vars.REGISTRY_USER", USER),
            ("vars.KNOWN_HOSTS", known_hosts.trim_end()),
            // Pasting a key into a form loses its last line ending.
            ("secrets.DEPLOY_KEY", key.trim_end()),
            ("secrets.REGISTRY_PASSWORD", PASSWORD),
            ("secrets.GITHUB_TOKEN", PASSWORD),
        ];
        Runner::new(&self.folder.path().join(name), &variables)
    }

    /// The deployed tag of an app.
    pub fn deployed(&self, app: &str) -> String {
        let text = self.origin.read(&format!("apps/{app}/app.yaml"));
        let (_, tag) = text.split_once(&format!("{}/org/{app}:", self.registry.host())).expect("the image");
        tag.split(' ').next().expect("a tag").to_owned()
    }

    /// Presses a button as ada. Inputs that are not given are empty.
    fn press(&self, button: &str, name: &str, inputs: &[(&str, &str)]) -> Vec<(String, Run)> {
        let workflow = self.pipeline(&format!("{button}.yaml"));
        let mut runner = self.runner(name, &self.new);
        let known = workflow["on"]["workflow_dispatch"]["inputs"].as_object().expect("inputs");
        inputs.iter().for_each(|(input, _)| assert!(known.contains_key(*input), "{button} has no input {input}"));
        for input in known.keys() {
            let value = inputs.iter().find(|(name, _)| name == input).map_or("", |(_, value)| value);
            runner.set(&format!("inputs.{input}"), value);
        }
        runner.set("github.actor", "ada");
        let signer = self.folder.path().join("signer");
        if !signer.exists() {
            make_key(&signer, &["-t", "ed25519"]);
        }
        let text = |file: &Path| fs::read_to_string(file).expect("a key").trim_end().to_owned();
        runner.set("secrets.SIGNING_KEY", &text(&signer));
        runner.set("vars.APPROVERS", &format!("ci@example.com {}", text(&signer.with_extension("pub"))));
        runner.job(&workflow, button, |_, action, _| panic!("{action} is not known"))
    }

    pub fn docker_config(&self) -> String {
        use base64::Engine;
        let auth = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{PASSWORD}"));
        format!("{{\"auths\":{{\"{}\":{{\"auth\":\"{auth}\"}}}}}}", self.registry.host())
    }

    /// Runs a job of Gitea or GitHub Actions; the image it builds gets the date `created`.
    fn run(&self, runner: &Runner, workflow: &Value, created: &str) -> Vec<(String, Run)> {
        let push = |image: &str| {
            let (name, tag) = image.rsplit_once(':').expect("a tag");
            let repository = name.strip_prefix(&format!("{}/", self.registry.host())).expect("this registry");
            self.registry.push(repository, tag, created);
        };
        // The stub only records what to push, so the image is pushed before the job for the steps that follow.
        let image = workflow["env"]["IMAGE"].as_str().expect("an image");
        let sha = runner.variable("GITHUB_SHA");
        if workflow["jobs"]["deploy"]["steps"].to_string().contains("buildctl") {
            push(&format!("{image}:{sha}"));
        }
        runner.job(workflow, "deploy", |runner, action, with| match action.split('@').next() {
            Some("actions/checkout" | "docker/setup-buildx-action") => {}
            Some("docker/login-action") => {
                assert_eq!((&with["username"], &with["password"]), (&USER.into(), &PASSWORD.into()));
                assert_eq!(with["registry"], self.registry.host().as_str());
                let folder = runner.exported().remove("DOCKER_CONFIG").expect("a folder of the job's own");
                fs::write(Path::new(&folder).join("config.json"), self.docker_config()).expect("written");
            }
            Some("docker/build-push-action") => {
                assert_eq!(with["push"], true);
                push(with["tags"].as_str().expect("a tag"));
            }
            _ => panic!("{action} is not known"),
        })
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/ci")
}

#[track_caller]
fn all_well(ran: &[(String, Run)]) {
    for (name, run) in ran {
        assert_eq!(run.code, 0, "{name}: {run:#?}");
    }
}

fn names(ran: &[(String, Run)]) -> Vec<&str> {
    ran.iter().map(|(name, _)| name.as_str()).collect()
}

fn step<'r>(ran: &'r [(String, Run)], name: &str) -> &'r Run {
    &ran.iter().find(|(own, _)| own == name).unwrap_or_else(|| panic!("{name} did not run: {:?}", names(ran))).1
}

const GITEA_STEPS: [&str; 7] = [
    "Make a private folder",
    "Check out",
    "Sign in to the registry",
    "Build and push",
    "Fetch tagalong",
    "Deploy",
    "Remove the private folder",
];

#[test]
fn gitea_actions_build_and_deploy_on_a_host_without_docker() {
    let world = World::new();
    let workflow = world.pipeline("gitea-actions.yaml");
    let runner = world.runner("one", &world.new);
    // The runner's user is signed in elsewhere, and the last job has left a file behind.
    let theirs = runner.home().join(".docker/config.json");
    fs::create_dir_all(theirs.parent().expect("a folder")).expect("a folder");
    fs::write(&theirs, "{\"auths\":{}}").expect("written");
    fs::write(runner.work().join("Dockerfile"), "FROM elsewhere\n").expect("written");

    let ran = world.run(&runner, &workflow, "2026-04-02T10:00:00Z");
    all_well(&ran);
    assert_eq!(names(&ran), GITEA_STEPS);
    assert_eq!(runner.built(), [format!("{}/org/shop:{}", world.registry.host(), world.new)]);
    assert_eq!(runner.recorded("dockerfiles"), ["FROM scratch", "# two"]);
    assert_eq!((world.deployed("shop"), world.deployed("blog")), (world.new.clone(), OLDEST.to_owned()));
    assert_eq!(step(&ran, "Deploy").stdout.trim(), world.origin.tip());
    assert!(world.origin.read("apps/shop/app.yaml").ends_with("# what runs\n"));
    assert!(world.origin.message().contains(&format!("Tagalong-Actor: {USER}\n")), "{}", world.origin.message());

    // Only this job could read its credentials, and nothing secret stays behind, in files or in logs.
    assert_eq!(runner.recorded("modes"), ["700", "700", "600"]);
    assert_eq!(fs::read_to_string(&theirs).expect("there"), "{\"auths\":{}}");
    let key = fs::read_to_string(world.sshd.key()).expect("a key");
    let middle = key.lines().nth(2).expect("a line");
    let secrets = [middle, PASSWORD, JOB_TOKEN, &world.docker_config()];
    let in_home = fs::read_dir(runner.home()).expect("a folder").count();
    assert_eq!(in_home, 1, "the job wrote into the home folder of the runner's user");
    for (file, text) in runner.left() {
        assert!(secrets.iter().all(|secret| !text.contains(secret)), "{}", file.display());
    }
    for (name, run) in &ran {
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(secrets.iter().all(|secret| !said.contains(secret)), "{name}");
    }

    // Running the same job again changes nothing; a late one for an older commit is refused.
    let again = world.run(&runner, &workflow, "2026-04-02T10:00:00Z");
    all_well(&again);
    assert_eq!(step(&again, "Deploy").stdout, "up to date\n");
    let tip = world.origin.tip();
    let late = world.run(&world.runner("late", &world.old), &workflow, "2026-04-01T10:00:00Z");
    assert_eq!(step(&late, "Deploy").code, 3, "{late:#?}");
    assert_eq!(names(&late).last(), Some(&"Remove the private folder"));
    assert_eq!(world.origin.tip(), tip);
}

#[test]
fn a_program_with_another_digest_never_runs() {
    let world = World::new();
    let mut workflow = world.pipeline("gitea-actions.yaml");
    workflow["env"]["TAGALONG_SHA256"] = digest(b"another program").replace("sha256:", "").into();
    let runner = world.runner("one", &world.new);
    let tip = world.origin.tip();
    let ran = world.run(&runner, &workflow, "2026-04-02T10:00:00Z");
    let fetched = step(&ran, "Fetch tagalong");
    assert!(fetched.code == 1 && fetched.stdout.contains("FAILED"), "{fetched:#?}");
    assert_eq!(names(&ran)[4..], ["Fetch tagalong", "Remove the private folder"]);
    assert_eq!(world.origin.tip(), tip);
    assert!(!Path::new(&runner.exported()["PRIVATE_FOLDER"]).exists());
}

#[test]
fn a_failed_first_step_removes_nothing_of_others() {
    let world = World::new();
    let workflow = world.pipeline("gitea-actions.yaml");
    let mut runner = world.runner("one", &world.new);
    let theirs = world.folder.path().join("theirs");
    fs::create_dir(&theirs).expect("a folder");
    runner.set("DOCKER_CONFIG", &theirs.display().to_string());
    fs::remove_dir(world.folder.path().join("one/temp")).expect("removed");
    let ran = world.run(&runner, &workflow, "2026-04-02T10:00:00Z");
    assert_eq!(names(&ran), ["Make a private folder", "Remove the private folder"]);
    assert!(theirs.exists());
}

#[test]
fn jobs_of_many_apps_run_concurrently() {
    let world = World::new();
    let workflow = world.pipeline("gitea-actions.yaml");
    let other = {
        let text = workflow.to_string().replace("org/shop", "org/blog");
        serde_json::from_str::<Value>(&text).expect("JSON")
    };
    std::thread::scope(|scope| {
        let jobs = [("shop", &workflow), ("blog", &other)].map(|(app, workflow)| {
            let world = &world;
            scope.spawn(move || world.run(&world.runner(app, &world.new), workflow, "2026-04-02T10:00:00Z"))
        });
        jobs.into_iter().for_each(|job| all_well(&job.join().expect("a job")));
    });
    assert_eq!((world.deployed("shop"), world.deployed("blog")), (world.new.clone(), world.new.clone()));
    assert_eq!(world.origin.subjects().len(), 3);
    world.origin.is_sound();
}

#[test]
fn github_actions_build_and_deploy() {
    let world = World::new();
    let workflow = world.pipeline("github-actions.yaml");
    let runner = world.runner("one", &world.new);
    let ran = world.run(&runner, &workflow, "2026-04-02T10:00:00Z");
    all_well(&ran);
    assert_eq!(names(&ran), ["Make a private folder", "Fetch tagalong", "Deploy", "Remove the private folder"]);
    assert_eq!(world.deployed("shop"), world.new);
    assert_eq!(fs::read_dir(runner.home()).expect("a folder").count(), 0);
    assert!(runner.left().iter().all(|(_, text)| !text.contains(&world.docker_config())));
}

#[test]
fn pull_requests_are_verified() {
    let world = World::new();
    let workflow = world.pipeline("verify.yaml");
    let sops = Sops::new();
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\nstringData:\n  password: hunter2\n";
    let sealed = sops.encrypt("secret.yaml", secret, "encrypted_regex: ^(data|stringData)$");
    let sealed = String::from_utf8(sealed).expect("text");
    let run = |name: &str, files: &[(&str, &str)]| {
        let path = world.folder.path().join("forge/org").join(format!("{name}.git"));
        let mut runner = world.runner(name, &Origin::create(&path, files).tip());
        runner.set("GITHUB_REPOSITORY", &format!("org/{name}"));
        runner.set("secrets.SOPS_AGE_KEY", &sops.identity);
        runner.job(&workflow, "secrets", |_, action, _| panic!("{action} is not known"))
    };
    all_well(&run("good", &[("secret.yaml", &sealed)]));
    let bad = run("bad", &[("secret.yaml", &sealed), ("clear.yaml", secret)]);
    let said = step(&bad, "Verify the secrets");
    assert_eq!(said.code, 3, "{said:#?}");
    assert!(said.stdout.contains("plaintext") && !said.stdout.contains("hunter2"), "{said:#?}");
}

#[test]
fn a_button_rolls_back() {
    let world = World::new();
    let gitea = world.pipeline("gitea-actions.yaml");
    all_well(&world.run(&world.runner("deploy", &world.new), &gitea, "2026-04-02T10:00:00Z"));
    assert_eq!(world.deployed("shop"), world.new);

    let image = format!("{}/org/shop", world.registry.host());
    let press =
        |name: &str, inputs: &[(&str, &str)]| world.press("rollback", name, &[&[("image", &*image)], inputs].concat());
    // All input is treated as data.
    all_well(&press("back", &[("reason", "--force \"$(touch pwned)\" `id`")]));
    assert_eq!(world.deployed("shop"), OLDEST);
    let message = world.origin.message();
    assert!(
        message.contains("Tagalong-Actor: ada") && message.contains("Reason: --force \"$(touch pwned)"),
        "{message}"
    );
    assert!(!world.folder.path().join("back/work/pwned").exists());
    let option = world.press("rollback", "option", &[("image", "--help"), ("reason", "x")]);
    assert_eq!(step(&option, "Roll back").code, 2, "{option:#?}");

    // The tag that was left is held, so the job that deployed it is refused now.
    let again = world.run(&world.runner("again", &world.new), &gitea, "2026-04-02T10:00:00Z");
    assert_eq!(step(&again, "Deploy").code, 3, "{again:#?}");
    all_well(&press("forth", &[("to", &world.new), ("reason", "mended elsewhere")]));
    assert_eq!(world.deployed("shop"), world.new);

    // With a path, only the files that it names go back.
    let other = world.origin.read("apps/shop/app.yaml").replace(&world.new, OLDEST);
    world.origin.commit("Add a copy", &[("apps/copy/app.yaml", &other)]);
    let copy = || world.origin.read("apps/copy/app.yaml");
    all_well(&press("copy", &[("path", "apps/copy/**"), ("to", &world.new), ("reason", "errors")]));
    assert!(copy().contains(&world.new), "{}", copy());
    all_well(&press("one", &[("path", "apps/copy/**"), ("to", OLDEST), ("reason", "errors")]));
    assert!(copy().contains(OLDEST) && world.deployed("shop") == world.new, "{}", copy());
}

#[test]
fn buttons_promote_approve_and_roll_back_a_stage() {
    let world = World::new();
    let stages = "stages:\n- { name: beta, paths: ['apps/shop/app.yaml'] }\n\
        - { name: live, paths: ['apps/shop/live*.yaml'], from: beta, approval: { by: signature } }\n";
    let deployment = DEPLOYMENT.replace("HOST", &world.registry.host()).replace("APP", "shop");
    world.origin.commit("Add a stage", &[("tagalong.yaml", stages), ("apps/shop/live.yaml", &deployment)]);
    let live = || world.origin.read("apps/shop/live.yaml");
    let (image, new) = (format!("{}/org/shop", world.registry.host()), &*world.new);
    all_well(&world.run(&world.runner("deploy", new), &world.pipeline("gitea-actions.yaml"), "2026-04-02T10:00:00Z"));
    assert_eq!(world.deployed("shop"), world.new);

    let refused = world.press("promote", "early", &[("stage", "live")]);
    let said = step(&refused, "Promote");
    assert!(said.code == 3 && said.stdout.contains("0 of 1 approvals by signature"), "{said:#?}");
    let hostile = "\"$(touch pwned)\" `id`";
    all_well(&world.press("approve", "approve", &[("stage", "live"), ("release", new), ("reason", hostile)]));
    let message = world.origin.message();
    assert!(message.contains("Tagalong-Actor: ada") && message.contains("$(touch pwned)"), "{message}");
    assert!(!world.folder.path().join("approve/work/pwned").exists());

    let elsewhere = world.press("promote", "else", &[("stage", "live"), ("image", &image), ("path", "apps/blog/**")]);
    assert_ne!(step(&elsewhere, "Promote").code, 0, "{elsewhere:#?}");
    all_well(&world.press("promote", "promote", &[("stage", "live"), ("image", &image), ("release", new)]));
    assert!(live().contains(new) && world.origin.message().contains("Tagalong-Actor: ada"), "{}", live());
    let which = world.press("rollback", "which", &[("image", &image), ("reason", "errors")]);
    assert!(step(&which, "Roll back").stderr.contains("is in several stages"), "{which:#?}");
    all_well(&world.press("rollback", "back", &[("image", &image), ("stage", "live"), ("reason", "errors")]));
    assert!(live().contains(OLDEST) && world.deployed("shop") == world.new, "{}", live());
}

#[test]
fn every_pipeline_is_tested() {
    let mut names: Vec<String> = fs::read_dir(folder())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let mut expected = [&ACTIONS[..], &["woodpecker-buttons", "woodpecker"]].concat();
    expected.sort_by_key(|name| format!("{name}.yaml"));
    assert_eq!(names, expected.iter().map(|name| format!("{name}.yaml")).collect::<Vec<_>>());
}

/// The workflows of Gitea and GitHub Actions.
const ACTIONS: [&str; 6] = ["approve", "gitea-actions", "github-actions", "promote", "rollback", "verify"];

#[test]
fn scripts_pass_shellcheck_and_contain_no_expressions() {
    let mut count = 0;
    for name in ACTIONS {
        let text = fs::read_to_string(folder().join(format!("{name}.yaml"))).expect("a pipeline");
        let workflow = yaml::documents(&text).remove(0);
        for job in workflow["jobs"].as_object().expect("jobs").values() {
            for script in job["steps"].as_array().expect("steps").iter().filter_map(|step| step["run"].as_str()) {
                // The server replaces expressions before a shell reads the script, so their values could be commands.
                assert!(!script.contains("${{"), "{name}: {script}");
                let mut check = Command::new("shellcheck")
                    .args(["--shell=bash", "-"])
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .spawn()
                    .expect("shellcheck starts");
                check.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("written");
                let output = check.wait_with_output().expect("it ends");
                assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stdout));
                count += 1;
            }
        }
    }
    assert!(count > 20, "only {count} scripts were found");
}
