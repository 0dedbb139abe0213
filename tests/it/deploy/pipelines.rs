//! The pipelines of `deploy/ci`, run step by step against a real registry and a real git server.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::git::{Origin, Sshd, make_key};
use crate::support::pipeline::{Runner, plugin_variables};
use crate::support::registry::{Kind, PASSWORD, Registry, USER};
use crate::support::sops::Sops;
use crate::support::tagalong::{self, Run};
use crate::support::yaml;

const OLD: &str = "1111111111111111111111111111111111111111";
const NEW: &str = "2222222222222222222222222222222222222222";
const DEPLOYMENT: &str = "\
kind: Deployment
spec:
  template:
    spec:
      containers:
      - image: HOST/org/APP:1111111111111111111111111111111111111111 # what runs
";

/// A registry with TLS and a password, a git server, and an infrastructure repository with two apps.
struct World {
    folder: tempfile::TempDir,
    registry: Registry,
    sshd: Sshd,
    origin: Origin,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let registry = Registry::start(&folder.path().join("registry"), Kind::TlsHtpasswd);
        let sshd = Sshd::start(&folder.path().join("sshd"));
        let host = registry.host();
        let deployment = |app| DEPLOYMENT.replace("HOST", &host).replace("APP", app);
        let files = [("apps/shop/app.yaml", deployment("shop")), ("apps/blog/app.yaml", deployment("blog"))];
        let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
        let origin = Origin::create(&folder.path().join("infra.git"), &files);
        for app in ["shop", "blog"] {
            registry.push(&format!("org/{app}"), OLD, "2026-04-01T10:00:00Z");
        }
        World { folder, registry, sshd, origin }
    }

    /// Reads a pipeline, with this world's hosts in place of the example's.
    fn pipeline(&self, name: &str) -> Value {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/ci").join(name);
        let mut text = fs::read_to_string(file).expect("a pipeline");
        for (theirs, ours) in [
            ("ssh://git@git.example.com/org/infra.git", self.sshd.url(&self.origin)),
            ("ssh://git@github.com/acme/infra.git", self.sshd.url(&self.origin)),
            ("registry.example.com", self.registry.host()),
            ("registry: ghcr.io", format!("registry: {}", self.registry.host())),
            ("ghcr.io/acme", format!("{}/org", self.registry.host())),
        ] {
            text = text.replace(theirs, &ours);
        }
        yaml::documents(&text).remove(0)
    }

    fn runner(&self, name: &str, sha: &str) -> Runner {
        let key = fs::read_to_string(self.sshd.key()).expect("a key");
        let known_hosts = fs::read_to_string(self.sshd.known_hosts()).expect("hosts");
        let variables = [
            ("GITHUB_SHA", sha),
            ("SSL_CERT_FILE", &self.registry.ca_file().display().to_string()),
            ("github.actor", USER),
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
    fn deployed(&self, app: &str) -> String {
        let text = self.origin.read(&format!("apps/{app}/app.yaml"));
        let (_, tag) = text.split_once(&format!("{}/org/{app}:", self.registry.host())).expect("the image");
        tag.split(' ').next().expect("a tag").to_owned()
    }

    fn docker_config(&self) -> String {
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
        // The builder only records what to push, so the image is pushed before the job for the steps that follow.
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
                runner.write_home(".docker/config.json", &self.docker_config());
            }
            Some("docker/build-push-action") => {
                assert_eq!(with["push"], true);
                push(with["tags"].as_str().expect("a tag"));
            }
            _ => panic!("{action} is not known"),
        })
    }
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

#[test]
fn gitea_actions_build_and_deploy() {
    let world = World::new();
    let workflow = world.pipeline("gitea-actions.yaml");
    let runner = world.runner("one", NEW);
    let ran = world.run(&runner, &workflow, "2026-04-02T10:00:00Z");
    all_well(&ran);
    let steps = [
        "Sign in to the registry",
        "Build and push",
        "Extract tagalong from its image",
        "Deploy",
        "Remove credentials",
    ];
    assert_eq!(names(&ran), steps);
    assert_eq!(runner.built(), [format!("{}/org/shop:{NEW}", world.registry.host())]);
    assert_eq!((world.deployed("shop"), world.deployed("blog")), (NEW.to_owned(), OLD.to_owned()));
    assert_eq!(step(&ran, "Deploy").stdout.trim(), world.origin.tip());
    assert!(world.origin.read("apps/shop/app.yaml").ends_with("# what runs\n"));

    // Nothing secret stays behind, in files or in logs.
    let key = fs::read_to_string(world.sshd.key()).expect("a key");
    let middle = key.lines().nth(2).expect("a line");
    for (file, text) in runner.left() {
        assert!(!text.contains(middle) && !text.contains(PASSWORD), "{}", file.display());
    }
    for (name, run) in &ran {
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(!said.contains(middle) && !said.contains(PASSWORD), "{name}");
    }

    // Running the same job again changes nothing; a late one for an older commit is refused.
    let again = world.run(&runner, &workflow, "2026-04-02T10:00:00Z");
    all_well(&again);
    assert_eq!(step(&again, "Deploy").stdout, "up to date\n");
    let tip = world.origin.tip();
    let late = world.run(&world.runner("late", OLD), &workflow, "2026-04-01T10:00:00Z");
    assert_eq!(step(&late, "Deploy").code, 3, "{late:#?}");
    assert_eq!(names(&late).last(), Some(&"Remove credentials"));
    assert_eq!(world.origin.tip(), tip);
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
            scope.spawn(move || world.run(&world.runner(app, NEW), workflow, "2026-04-02T10:00:00Z"))
        });
        jobs.into_iter().for_each(|job| all_well(&job.join().expect("a job")));
    });
    assert_eq!((world.deployed("shop"), world.deployed("blog")), (NEW.to_owned(), NEW.to_owned()));
    assert_eq!(world.origin.subjects().len(), 3);
    world.origin.is_sound();
}

#[test]
fn github_actions_build_and_deploy() {
    let world = World::new();
    let workflow = world.pipeline("github-actions.yaml");
    let runner = world.runner("one", NEW);
    let ran = world.run(&runner, &workflow, "2026-04-02T10:00:00Z");
    all_well(&ran);
    assert_eq!(names(&ran), ["Extract tagalong from its image", "Deploy", "Remove credentials"]);
    assert_eq!(world.deployed("shop"), NEW);
}

#[test]
fn woodpecker_deploys_with_the_plugin() {
    let world = World::new();
    world.registry.push("org/shop", NEW, "2026-04-02T10:00:00Z");
    let pipeline = world.pipeline("woodpecker.yaml");
    let steps = pipeline["steps"].as_array().expect("steps");
    let (build, deploy) = (&steps[0]["settings"], &steps[1]["settings"]);
    assert_eq!(
        format!("{}:{}", build["repo"].as_str().expect("text"), build["tags"].as_str().expect("text")),
        deploy["images"][0]
    );
    let secrets = BTreeMap::from([
        ("deploy_key", fs::read_to_string(world.sshd.key()).expect("a key").trim_end().to_owned()),
        ("known_hosts", fs::read_to_string(world.sshd.known_hosts()).expect("hosts")),
        ("registry_auth", world.docker_config()),
    ]);
    let run = |settings: &Value, more: &[(&str, &str)]| {
        let mut command = tagalong::command(world.folder.path());
        command.arg("plugin").env("SSL_CERT_FILE", world.registry.ca_file()).env("CI_COMMIT_SHA", NEW);
        command.env("TMPDIR", world.folder.path());
        for (name, value) in plugin_variables(settings, &secrets) {
            // Woodpecker expands its variables before it starts a step.
            command.env(name, value.replace("${CI_COMMIT_SHA}", NEW));
        }
        tagalong::finished(command.envs(more.iter().copied()).output().expect("the program starts"))
    };
    let dry = run(deploy, &[("PLUGIN_DRY_RUN", "true")]).ok();
    assert!(
        dry.stdout.contains(&format!("+      - image: {}/org/shop:{NEW} # what runs", world.registry.host())),
        "{}",
        dry.stdout
    );
    assert_eq!(world.deployed("shop"), OLD);
    let deployed = run(deploy, &[("PLUGIN_OUTPUT", "json")]).ok().json();
    assert_eq!(
        (world.deployed("shop"), deployed["commit"].as_str()),
        (NEW.to_owned(), Some(world.origin.tip().as_str()))
    );

    let typo = run(deploy, &[("PLUGIN_GIT_ULR", "x")]).fails_with(2);
    assert!(
        typo.stderr.contains("PLUGIN_GIT_ULR: `set` has no such setting; expected one of images, dir"),
        "{}",
        typo.stderr
    );
    let keys = fs::read_dir(world.folder.path())
        .expect("a folder")
        .filter(|entry| entry.as_ref().expect("an entry").file_name().to_string_lossy().starts_with("tagalong-"));
    assert_eq!(keys.count(), 0, "the files with credentials are gone");
}

#[test]
fn pull_requests_are_verified() {
    let world = World::new();
    let workflow = world.pipeline("verify.yaml");
    let sops = Sops::new();
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\nstringData:\n  password: hunter2\n";
    let sealed = sops.encrypt("secret.yaml", secret, "encrypted_regex: ^(data|stringData)$");
    let run = |name: &str, files: &[(&str, &[u8])]| {
        let runner = Runner::new(&world.folder.path().join(name), &[("secrets.SOPS_AGE_KEY", &sops.identity)]);
        for (file, bytes) in files {
            fs::write(runner.work().join(file), bytes).expect("written");
        }
        runner.job(&workflow, "secrets", |_, action, _| assert_eq!(action, "actions/checkout@v4"))
    };
    all_well(&run("good", &[("secret.yaml", &sealed)]));
    let bad = run("bad", &[("secret.yaml", &sealed), ("clear.yaml", secret.as_bytes())]);
    let said = step(&bad, "Verify the secrets");
    assert_eq!(said.code, 3, "{said:#?}");
    assert!(said.stdout.contains("plaintext") && !said.stdout.contains("hunter2"), "{said:#?}");
}

#[test]
fn a_button_rolls_back() {
    let world = World::new();
    all_well(&world.run(&world.runner("deploy", NEW), &world.pipeline("gitea-actions.yaml"), "2026-04-02T10:00:00Z"));
    assert_eq!(world.deployed("shop"), NEW);

    let workflow = world.pipeline("rollback.yaml");
    let inputs = workflow["on"]["workflow_dispatch"]["inputs"].as_object().expect("inputs");
    assert_eq!(inputs.keys().collect::<Vec<_>>(), ["image", "reason", "stage", "to"]);
    let press = |name: &str, to: &str, reason: &str| {
        let mut runner = world.runner(name, NEW);
        let image = format!("{}/org/shop", world.registry.host());
        for (input, value) in
            [("inputs.image", image.as_str()), ("inputs.to", to), ("inputs.reason", reason), ("GITHUB_ACTOR", "ada")]
                .into_iter()
                .chain([("inputs.stage", "")])
        {
            runner.set(input, value);
        }
        runner.job(&workflow, "rollback", |_, action, _| panic!("{action} is not known"))
    };
    // All input is treated as data.
    all_well(&press("back", "", "checkout fails; \"$(touch pwned)\" `id`"));
    assert_eq!(world.deployed("shop"), OLD);
    let message = world.origin.message();
    assert!(message.contains("Tagalong-Actor: ada") && message.contains("$(touch pwned)"), "{message}");
    assert!(!world.folder.path().join("back/work/pwned").exists());

    // The tag that was left is held, so the job that deployed it is refused now.
    let again = world.run(&world.runner("again", NEW), &world.pipeline("gitea-actions.yaml"), "2026-04-02T10:00:00Z");
    assert_eq!(step(&again, "Deploy").code, 3, "{again:#?}");
    all_well(&press("forth", NEW, "mended elsewhere"));
    assert_eq!(world.deployed("shop"), NEW);
}

#[test]
fn buttons_promote_approve_and_roll_back_a_stage() {
    let world = World::new();
    let stages = "stages:\n- { name: beta, paths: ['apps/shop/app.yaml'] }\n\
        - { name: live, paths: ['apps/shop/live.yaml'], from: beta, approval: { by: signature } }\n";
    let deployment = DEPLOYMENT.replace("HOST", &world.registry.host()).replace("APP", "shop");
    world.origin.commit("Add a stage", &[("tagalong.yaml", stages), ("apps/shop/live.yaml", &deployment)]);
    let live = || world.origin.read("apps/shop/live.yaml");
    world.registry.push("org/shop", NEW, "2026-04-02T10:00:00Z");
    let image = format!("{}/org/shop", world.registry.host());
    let (set, key) = (format!("{image}:{NEW}"), world.sshd.key());
    let mut command = tagalong::command(world.folder.path());
    command.args(["set", &set, "--path", "apps/shop/app.yaml", "--git-url", &world.sshd.url(&world.origin)]);
    command.arg("--ssh-key-file").arg(key).arg("--known-hosts-file").arg(world.sshd.known_hosts());
    let folder = world.folder.path().join("docker");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("config.json"), world.docker_config()).expect("written");
    command.env("DOCKER_CONFIG", folder).env("SSL_CERT_FILE", world.registry.ca_file());
    tagalong::finished(command.output().expect("it runs")).ok();
    assert_eq!(world.deployed("shop"), NEW);

    let signer = world.folder.path().join("signer");
    make_key(&signer, &["-t", "ed25519"]);
    let text = |file: &Path| fs::read_to_string(file).expect("a key");
    let approvers = format!("ci@example.com {}", text(&signer.with_extension("pub")).trim_end());
    let press = |button: &str, name: &str, inputs: &[(&str, &str)]| {
        let mut runner = world.runner(name, NEW);
        for input in ["inputs.stage", "inputs.release", "inputs.image", "inputs.to", "inputs.reason"] {
            let value = inputs.iter().find(|(name, _)| input.ends_with(name)).map_or("", |(_, value)| value);
            runner.set(input, value);
        }
        runner.set("GITHUB_ACTOR", "ada");
        runner.set("secrets.SIGNING_KEY", text(&signer).trim_end());
        runner.set("vars.APPROVERS", &approvers);
        let workflow = world.pipeline(&format!("{button}.yaml"));
        runner.job(&workflow, button, |_, action, _| panic!("{action} is not known"))
    };
    let refused = press("promote", "early", &[("stage", "live")]);
    let said = step(&refused, "Promote");
    assert!(said.code == 3 && said.stdout.contains("0 of 1 approvals by signature"), "{said:#?}");
    let hostile = "\"$(touch pwned)\" `id`";
    let approved = press("approve", "approve", &[("stage", "live"), ("release", NEW), ("reason", hostile)]);
    all_well(&approved);
    let message = world.origin.message();
    assert!(message.contains("Tagalong-Actor: ada") && message.contains("$(touch pwned)"), "{message}");
    assert!(!world.folder.path().join("approve/work/pwned").exists());
    all_well(&press("promote", "promote", &[("stage", "live"), ("release", NEW)]));
    assert!(live().contains(NEW), "{}", live());
    let which = press("rollback", "which", &[("image", &image), ("reason", "errors")]);
    assert!(step(&which, "Roll back").stderr.contains("is in several stages"), "{which:#?}");
    all_well(&press("rollback", "back", &[("image", &image), ("stage", "live"), ("reason", "errors")]));
    assert!(live().contains(OLD) && world.deployed("shop") == NEW, "{}", live());
}

#[test]
fn every_pipeline_is_tested() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/ci");
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let expected = ["approve", "gitea-actions", "github-actions", "promote", "rollback", "verify", "woodpecker"];
    assert_eq!(names, expected.map(|name| format!("{name}.yaml")));
}
