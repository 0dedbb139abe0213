//! A small infrastructure repository: three apps, each with a different shape of image field.

use std::path::Path;

use git2::{Repository, Signature};

/// The SHA tags that the apps start with and move to, oldest first.
pub const TAGS: [&str; 3] = ["f3a9c1e", "1b7d20a", "07c4e5b"];

/// The branch.
pub const BRANCH: &str = "main";

const KUSTOMIZATION: &str = "\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - deployment.yaml

# The version is set here; deployment.yaml only names the image.
images:
  - name: supervisor
    newName: HOST/acme/supervisor
    newTag: TAG    # moved by tagalong
";

const SUPERVISOR: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: supervisor}
spec:
  template:
    spec:
      containers:
        - name: supervisor
          image: supervisor
";

const WORKER: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: worker
spec:
  replicas: 2
  template:
    spec:
      initContainers:
      - name: migrate
        image: 'HOST/acme/worker:TAG'
      containers:
      - name: worker
        image: \"HOST/acme/worker:TAG\"   # same build as the migration
";

const VALUES: &str = "\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata:
  name: gateway
spec:
  values:
    image:
      registry: HOST
      repository: acme/gateway
      tag: TAG

    replicas:   3
";

/// The apps, by the last part of their image's name.
pub const APPS: [&str; 3] = ["supervisor", "worker", "gateway"];

/// The files of three apps; `HOST` and `TAG` stand for the registry and the tag that they start with.
pub const THREE_APPS: [(&str, &str); 4] = [
    ("apps/supervisor/kustomization.yaml", KUSTOMIZATION),
    ("apps/supervisor/deployment.yaml", SUPERVISOR),
    ("apps/worker/deployment.yaml", WORKER),
    ("apps/gateway/release.yaml", VALUES),
];

/// Creates a bare repository with one commit.
pub fn create(path: &Path, registry: &str, files: &[(&str, &str)]) -> Result<(), git2::Error> {
    let repository = Repository::init_bare(path)?;
    repository.set_head(&format!("refs/heads/{BRANCH}"))?;
    let mut update = git2::build::TreeUpdateBuilder::new();
    for (file, text) in files {
        let text = text.replace("HOST", registry).replace("TAG", TAGS[0]);
        update.upsert(file, repository.blob(text.as_bytes())?, git2::FileMode::Blob);
    }
    let empty = repository.find_tree(repository.treebuilder(None)?.write()?)?;
    let tree = repository.find_tree(update.create_updated(&repository, &empty)?)?;
    let person = Signature::now("Ada", "ada@example.com")?;
    repository.commit(Some(&format!("refs/heads/{BRANCH}")), &person, &person, "Add apps\n", &tree, &[])?;
    Ok(())
}

/// Commits a file directly on the branch, as a person might do at any time.
pub fn commit_by_a_person(path: &Path, file: &str, text: &str, message: &str) -> Result<(), git2::Error> {
    let repository = Repository::open_bare(path)?;
    let branch = format!("refs/heads/{BRANCH}");
    let parent = repository.find_reference(&branch)?.peel_to_commit()?;
    let mut update = git2::build::TreeUpdateBuilder::new();
    update.upsert(file, repository.blob(text.as_bytes())?, git2::FileMode::Blob);
    let tree = repository.find_tree(update.create_updated(&repository, &parent.tree()?)?)?;
    let person = Signature::now("Ada", "ada@example.com")?;
    repository.commit(Some(&branch), &person, &person, message, &tree, &[&parent])?;
    Ok(())
}

/// Returns the message of the newest commit of the branch.
pub fn message(path: &Path) -> Result<String, git2::Error> {
    let repository = Repository::open_bare(path)?;
    let commit = repository.find_reference(&format!("refs/heads/{BRANCH}"))?.peel_to_commit()?;
    Ok(String::from_utf8_lossy(commit.message_bytes()).into_owned())
}

/// Returns the commits of the branch, newest first: short ID, author and subject.
pub fn history(path: &Path) -> Result<Vec<String>, git2::Error> {
    let repository = Repository::open_bare(path)?;
    let mut walk = repository.revwalk()?;
    walk.push_ref(&format!("refs/heads/{BRANCH}"))?;
    let mut lines = Vec::new();
    for id in walk {
        let commit = repository.find_commit(id?)?;
        let subject = commit.summary().ok().flatten().unwrap_or_default().to_owned();
        let author = commit.author().name().unwrap_or_default().to_owned();
        lines.push(format!("{:.7}  {author:9} {subject}", commit.id().to_string()));
    }
    Ok(lines)
}
