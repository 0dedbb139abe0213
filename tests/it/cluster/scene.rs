//! An agent that watches a cluster, with a channel that gets its events.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::agent::Agent;
use crate::support::cluster::{Cluster, SOURCE};
use crate::support::infra::Stage;
use crate::support::process::wait_until;
use crate::support::scripted::{self, Scripted};
use crate::support::tagalong;

pub const OLD: &str = "2026-04-01T10:00:00Z";
pub const NEW: &str = "2026-04-02T10:00:00Z";
pub const NEWER: &str = "2026-04-03T10:00:00Z";
pub const BEFORE: &str = "0000000000000000000000000000000000000000";

pub const READY: (&str, &str, &str) = ("True", "ReconciliationSucceeded", "Applied revision");
pub const BUSY: (&str, &str, &str) = ("Unknown", "Progressing", "Reconciliation in progress");

/// An app, a GitRepository with a Kustomization for it, and a channel that gets all events.
pub struct Scene {
    pub stage: Stage,
    pub cluster: Cluster,
    pub channel: Scripted,
    /// The file with the image.
    file: String,
}

impl Scene {
    pub fn new() -> Scene {
        Scene::with(&[("apps/app/x.yaml", "image: HOST/org/app:aaaaaa1\n")])
    }

    pub fn with(files: &[(&str, &str)]) -> Scene {
        let stage = Stage::new(files);
        stage.registry.push("org/app", "aaaaaa1", OLD);
        let cluster = Cluster::start();
        let name = json!({ "name": "infra", "namespace": "flux-system", "annotations": { "kept": "yes" } });
        cluster.put(
            SOURCE,
            json!({ "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": name }),
        );
        cluster.kustomize("apps", "./apps", READY, BEFORE, BEFORE);
        // It always fails, and has nothing to do with the app.
        let broken = ("False", "BuildFailed", "no such folder");
        cluster.kustomize("else", "./infrastructure", broken, BEFORE, BEFORE);
        let channel = Scripted::start(|_| scripted::json(200, json!({}), &[]));
        Scene { stage, cluster, channel, file: files[0].0.to_owned() }
    }

    /// An agent with `cluster.flux` and more keys of that section.
    pub fn agent(&self, flux: &str) -> Agent {
        self.agent_with(&format!("flux: {{ gitRepository: {{ name: infra }}{flux} }}"))
    }

    /// An agent with a section `cluster`.
    pub fn agent_with(&self, cluster: &str) -> Agent {
        self.replica("agent", cluster)
    }

    /// An agent with a section `cluster`, with a name and a home of its own.
    pub fn replica(&self, name: &str, cluster: &str) -> Agent {
        let text = fs::read_to_string(self.stage.config()).expect("there");
        let url = self.write("url", &format!("http://{}/news\n", self.channel.host()));
        let text = format!("{text}notify:\n- webhook: {{ urlFile: {} }}\ncluster:\n  {cluster}\n", url.display());
        let config = self.write(&format!("{name}.yaml"), &text);
        let home = self.stage.home().join(name);
        fs::create_dir_all(&home).expect("a folder");
        let mut command = tagalong::command(&home);
        command.args(["run", "--log-format", "json", "--config"]).arg(config).env("POD_NAME", name);
        command.env("KUBECONFIG", self.cluster.kubeconfig(self.stage.home()));
        Agent::spawn(command)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.stage.home().join(name);
        fs::write(&file, text).expect("written");
        file
    }

    /// Pushes an image and waits for its commit.
    pub fn deploy(&self, tag: &str, built: &str) -> String {
        self.stage.registry.push("org/app", tag, built);
        wait_until(&format!("{tag} is deployed"), || self.stage.origin.read(&self.file).contains(&format!("{tag}\n")));
        self.stage.origin.tip()
    }

    /// The time of the last request to Flux, from the GitRepository's annotation.
    pub fn requested(&self) -> Option<String> {
        let source = self.cluster.get(SOURCE).expect("a GitRepository");
        assert_eq!(source["metadata"]["annotations"]["kept"], "yes", "{source}");
        source["metadata"]["annotations"]["reconcile.fluxcd.io/requestedAt"].as_str().map(str::to_owned)
    }

    /// The events of a kind that the channel got.
    pub fn told(&self, kind: &str) -> Vec<Value> {
        let bodies =
            self.channel.asked().into_iter().filter_map(|asked| serde_json::from_str::<Value>(&asked.body).ok());
        bodies.filter(|body| body["kind"] == kind).collect()
    }

    /// Waits until the channel has got this many events of a kind, and returns the last one.
    pub fn wait_for_word(&self, kind: &str, count: usize) -> Value {
        wait_until(&format!("{kind} is told"), || self.told(kind).len() >= count);
        self.told(kind).pop().expect("told")
    }
}

/// Waits until the agent has queried the cluster once more, so that it knows what there is.
pub fn wait_for_query(cluster: &Cluster, list: &str) {
    let lists = || cluster.asked().iter().filter(|asked| asked.as_str() == format!("GET {list}")).count();
    let before = lists();
    // The first of these may have begun before.
    wait_until("the cluster is queried", || lists() >= before + 2);
}

/// The agent's status of the image as JSON.
pub fn rollout(agent: &Agent) -> Value {
    let status: Value = serde_json::from_str(&agent.get("/status").body).expect("JSON");
    status["images"][0]["rollouts"][0].clone()
}
