//! A large generated infrastructure repository: ten thousand apps of three files each, of which one in twenty uses an
//! image of interest.
#![allow(dead_code, reason = "each benchmark uses a part of it")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use git2::build::TreeUpdateBuilder;
use git2::{Repository, Signature};
use tagalong::image::Reference;
use tagalong::repo::config::{Config, Https, Person, Ssh};

/// The number of apps.
pub const APPS: usize = 10_000;

/// One in this many apps runs an image of interest, in two of its files: a Deployment and Helm values.
pub const OF_INTEREST: usize = 13;

/// The images of interest.
pub const IMAGES: &str = "gitea.example.com/org/*";

/// The app that is updated.
pub const BUMPED: usize = OF_INTEREST * 100;

/// All files of the repository.
pub fn files() -> BTreeMap<String, String> {
    (0..APPS).flat_map(app).collect()
}

/// The update to make.
pub fn bump(tag: &str) -> Reference {
    format!("gitea.example.com/org/app-{BUMPED}:{tag}").parse().expect("a reference")
}

fn app(n: usize) -> Vec<(String, String)> {
    let ours = n.is_multiple_of(OF_INTEREST);
    let name = if ours { format!("app-{n}") } else { format!("service-{n}") };
    let host = if ours { "gitea.example.com/org" } else { "quay.io/vendor" };
    let folder = format!("apps/team-{}/{name}", n % 100);
    let kustomization = format!(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: team-{}\nresources:\n  - deployment.yaml\nconfigMapGenerator:\n  - name: {name}\n    files: [values.yaml]\n",
        n % 100
    );
    let env: String = (0..12)
        .map(|i| format!("            - name: SETTING_{i}\n              value: \"value {i} of {name}\"\n"))
        .collect();
    let deployment = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n  labels:\n    app.kubernetes.io/name: {name}\nspec:\n  replicas: 2\n  selector:\n    matchLabels:\n      app.kubernetes.io/name: {name}\n  template:\n    metadata:\n      labels:\n        app.kubernetes.io/name: {name}\n    spec:\n      containers:\n        - name: {name}\n          image: {host}/{name}:{n:07x}  # by CI\n          env:\n{env}          ports:\n            - containerPort: 8080\n---\napiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  selector:\n    app.kubernetes.io/name: {name}\n  ports:\n    - port: 80\n      targetPort: 8080\n"
    );
    let settings: String = (0..40).map(|i| format!("  setting{i}: \"some text of a setting, number {i}\"\n")).collect();
    let values = format!(
        "# Values of {name}\nimage:\n  repository: {host}/{name}\n  tag: \"{n:07x}\"\n  pullPolicy: IfNotPresent\nresources:\n  requests: {{cpu: 10m, memory: 64Mi}}\nconfig:\n{settings}"
    );
    vec![
        (format!("{folder}/kustomization.yaml"), kustomization),
        (format!("{folder}/deployment.yaml"), deployment),
        (format!("{folder}/values.yaml"), values),
    ]
}

/// Writes files to a bare repository, and returns the configuration of a clone of it below `folder`.
pub fn repository(folder: &Path, files: &BTreeMap<String, String>) -> Config {
    let path: PathBuf = folder.join("infra.git");
    let repository = Repository::init_bare(&path).expect("a repository");
    let mut tree = TreeUpdateBuilder::new();
    for (file, text) in files {
        tree.upsert(file.as_str(), repository.blob(text.as_bytes()).expect("a blob"), git2::FileMode::Blob);
    }
    let empty = repository.treebuilder(None).and_then(|builder| builder.write()).expect("an empty tree");
    let empty = repository.find_tree(empty).expect("an empty tree");
    let tree = tree.create_updated(&repository, &empty).expect("a tree");
    let tree = repository.find_tree(tree).expect("a tree");
    let someone = Signature::now("someone", "someone@example.com").expect("a signature");
    repository.commit(Some("refs/heads/main"), &someone, &someone, "everything", &tree, &[]).expect("a commit");
    let person = Person { name: "bench".to_owned(), email: "bench@example.com".to_owned() };
    Config {
        url: path.display().to_string().parse().expect("a URL"),
        branch: "main".parse().expect("a branch"),
        push_branch: None,
        push_options: Vec::new(),
        cache_dir: folder.join("cache"),
        depth: 0,
        history_limit: 0,
        timeout: std::time::Duration::from_secs(30),
        ssh: Ssh::default(),
        https: Https::default(),
        author: person.clone(),
        committer: person,
        signing: None,
        trust: Default::default(),
        metrics: Default::default(),
    }
}
