//! Pods, and the sources of the credentials that their images are pulled with.

use crate::image::Reference;
use crate::yaml::node::NodeId;
use crate::yaml::scan::Scan;

use super::file_kind::has_kustomization_name;

/// The pods in a file, and everything that concerns their pull secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodFacts {
    /// The pods of its workloads.
    pub pods: Vec<Pod>,
    /// Its service accounts.
    pub accounts: Vec<Account>,
    /// Its Secrets.
    pub secrets: Vec<SecretPlace>,
    /// The Secrets that it generates, if it is a kustomization.
    pub generated: Vec<GeneratedSecret>,
    /// The images that it renames, if it is a kustomization: old and new name, as written.
    pub renames: Vec<(String, String)>,
    /// The namespace that it sets for everything, if it is a kustomization.
    pub namespace: Option<String>,
}

/// A pod, or a patch of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// The workload, such as `Deployment shop`.
    pub owner: String,
    /// The document, from 0.
    pub document: usize,
    /// The namespace, if it is given.
    pub namespace: Option<String>,
    /// The service account.
    pub account: String,
    /// The names of its images, as written, without tag and digest; none for the release of a chart, whose images are
    /// values.
    pub images: Vec<String>,
    /// True if this is the release of a chart.
    pub is_release: bool,
    /// The names of its `imagePullSecrets`.
    pub pull_secrets: Vec<String>,
}

/// A service account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The namespace, if it is given.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
    /// The names of its `imagePullSecrets`.
    pub pull_secrets: Vec<String>,
}

/// The location of a Secret in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretPlace {
    /// The document, from 0.
    pub document: usize,
    /// The path to it within the document: empty, or `items[1].` in a list.
    pub way: String,
    /// The namespace, if it is given.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

/// A Secret that a kustomization generates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedSecret {
    /// The name, before a hash is added to it.
    pub name: String,
    /// Its keys, and the files that their values are read from, as written.
    pub files: Vec<(String, String)>,
}

/// A subset of the facts of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subset {
    /// All facts.
    Everything,
    /// Only Secrets and service accounts.
    Credentials,
}

impl Subset {
    /// Returns the words of which a file must contain at least one to have such facts.
    fn words(self) -> &'static [&'static [u8]] {
        match self {
            Subset::Everything => &[b"ecret", b"ServiceAccount", b"containers", b"namespace", b"newName"],
            Subset::Credentials => &[b"Secret", b"ServiceAccount"],
        }
    }
}

/// The number of objects in lists, and of containers, that are read from one file with its aliases expanded.
const MOST_ITEMS: usize = 100_000;

/// The depth of lists within lists that are read. An alias can make a list contain itself.
const MOST_LISTS: usize = 10;

/// The place of an object in a file.
#[derive(Clone, Copy)]
struct Place<'p> {
    document: usize,
    /// The path to it within the document.
    way: &'p str,
    /// The number of lists that it is in.
    depth: usize,
}

/// Reads a file; one that is not YAML has no facts.
pub fn read(path: &str, bytes: &[u8], part: Subset) -> PodFacts {
    let mut facts = PodFacts::default();
    if !part.words().iter().any(|word| memchr::memmem::find(bytes, word).is_some()) {
        return facts;
    }
    let Ok(scan) = Scan::read(bytes) else { return facts };
    let mut budget = MOST_ITEMS;
    for (document, (_, root)) in scan.documents().enumerate() {
        if has_kustomization_name(path) {
            facts.kustomization(&scan, root);
        } else {
            facts.object(&scan, root, Place { document, way: "", depth: 0 }, &mut budget);
        }
    }
    facts
}

impl PodFacts {
    fn kustomization(&mut self, scan: &Scan<'_>, root: NodeId) {
        self.namespace = scan.get_scalar(root, "namespace").map(str::to_owned);
        for entry in items(scan, root, "images") {
            if let (Some(from), Some(to)) = (scan.get_scalar(entry, "name"), scan.get_scalar(entry, "newName")) {
                self.renames.push((from.to_owned(), to.to_owned()));
            }
        }
        for generator in items(scan, root, "secretGenerator") {
            let Some(name) = scan.get_scalar(generator, "name") else { continue };
            let files = items(scan, generator, "files").into_iter().filter_map(|item| scan.scalar(item));
            let keyed = files.map(|file| match file.split_once('=') {
                Some((key, file)) => (key.to_owned(), file.to_owned()),
                None => (file.rsplit('/').next().unwrap_or(file).to_owned(), file.to_owned()),
            });
            self.generated.push(GeneratedSecret { name: name.to_owned(), files: keyed.collect() });
        }
    }

    fn object(&mut self, scan: &Scan<'_>, object: NodeId, place: Place<'_>, budget: &mut usize) {
        let Place { document, way, depth } = place;
        let Some(kind) = scan.get_scalar(object, "kind") else { return };
        let metadata = |key: &str| {
            let metadata = scan.get(object, "metadata")?;
            Some(scan.get_scalar(metadata, key)?.to_owned())
        };
        let (namespace, name) = (metadata("namespace"), metadata("name").unwrap_or_default());
        match kind {
            "List" | "SecretList" if depth < MOST_LISTS => {
                for (index, item) in items(scan, object, "items").into_iter().enumerate() {
                    let Some(left) = budget.checked_sub(1) else { return };
                    *budget = left;
                    let way = format!("{way}items[{index}].");
                    self.object(scan, item, Place { document, way: &way, depth: depth + 1 }, budget);
                }
            }
            "List" | "SecretList" => {}
            "Secret" => self.secrets.push(SecretPlace { document, way: way.to_owned(), namespace, name }),
            "ServiceAccount" => {
                self.accounts.push(Account { namespace, name, pull_secrets: names(scan, object, "imagePullSecrets") });
            }
            _ => {
                let pod = Pod {
                    owner: format!("{kind} {name}"),
                    document,
                    namespace,
                    account: "default".to_owned(),
                    images: Vec::new(),
                    is_release: kind == "HelmRelease",
                    pull_secrets: Vec::new(),
                };
                self.pods_of(scan, object, pod, budget);
            }
        }
    }

    /// Adds the pods of a workload; all values of a release make up one pod.
    fn pods_of(&mut self, scan: &Scan<'_>, object: NodeId, mut whole: Pod, budget: &mut usize) {
        for spec in scan.descendants(object) {
            let containers = items(scan, spec, "containers");
            let pull_secrets = names(scan, spec, "imagePullSecrets");
            let Some(left) = budget.checked_sub(containers.len() + pull_secrets.len()) else { break };
            *budget = left;
            if whole.is_release {
                whole.pull_secrets.extend(pull_secrets);
                whole.pull_secrets.extend(names(scan, spec, "pullSecrets"));
                continue;
            }
            if containers.is_empty() && pull_secrets.is_empty() {
                continue;
            }
            let all = containers.into_iter().chain(items(scan, spec, "initContainers"));
            let image = |container| Some(Reference::written_name(scan.get_scalar(container, "image")?).to_owned());
            let account = scan.get_scalar(spec, "serviceAccountName").or(scan.get_scalar(spec, "serviceAccount"));
            self.pods.push(Pod {
                images: all.filter_map(image).collect(),
                pull_secrets,
                account: account.unwrap_or("default").to_owned(),
                ..whole.clone()
            });
        }
        if whole.is_release {
            self.pods.push(whole);
        }
    }
}

/// Returns the items of a list below a key.
fn items(scan: &Scan<'_>, mapping: NodeId, key: &str) -> Vec<NodeId> {
    scan.get(mapping, key).map(|list| scan.items(list).map(|item| scan.resolve(item)).collect()).unwrap_or_default()
}

/// Returns the names in a list: of objects with a `name`, or plain names, as charts have them.
fn names(scan: &Scan<'_>, mapping: NodeId, key: &str) -> Vec<String> {
    let name = |item: &NodeId| scan.scalar(*item).or(scan.get_scalar(*item, "name")).map(str::to_owned);
    items(scan, mapping, key).iter().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPLOYMENT: &str = "kind: Deployment
metadata: { name: shop, namespace: prod }
spec:
  template:
    spec:
      serviceAccountName: runner
      imagePullSecrets: [{ name: ghcr }, { name: own }]
      initContainers: [{ image: 'busybox:1' }]
      containers: [{ image: 'ghcr.io/a/b:1@sha256:0' }]
---
kind: ServiceAccount
metadata: { name: runner }
imagePullSecrets: [{ name: other }]
---
kind: List
items:
- { kind: ConfigMap, metadata: { name: x } }
- { kind: Secret, metadata: { name: ghcr, namespace: prod } }
";

    #[test]
    fn pods_accounts_and_secrets_are_found() {
        let facts = read("a.yaml", DEPLOYMENT.as_bytes(), Subset::Everything);
        assert_eq!(facts.pods.len(), 1);
        let pod = &facts.pods[0];
        assert_eq!(
            (pod.owner.as_str(), pod.account.as_str(), pod.namespace.as_deref()),
            ("Deployment shop", "runner", Some("prod"))
        );
        assert_eq!(
            (pod.pull_secrets.join(" "), pod.images.join(" ")),
            ("ghcr own".to_owned(), "ghcr.io/a/b busybox".to_owned())
        );
        assert_eq!(
            (facts.accounts[0].name.as_str(), facts.accounts[0].pull_secrets.join(" ")),
            ("runner", "other".to_owned())
        );
        let place = SecretPlace {
            document: 2,
            way: "items[1].".to_owned(),
            namespace: Some("prod".to_owned()),
            name: "ghcr".to_owned(),
        };
        assert_eq!(facts.secrets, [place]);
    }

    #[test]
    fn lists_that_contain_themselves_and_multiply_end() {
        let endless = "kind: List\nitems: &x\n- { kind: Secret, metadata: { name: a } }\n- { kind: List, items: *x }\n";
        assert_eq!(read("a.yaml", endless.as_bytes(), Subset::Everything).secrets.len(), MOST_LISTS);
        let mut bomb = "- &l0 [{ kind: Secret, metadata: { name: a } }]\n".to_owned();
        for n in 1..9 {
            let items = format!("{{ kind: List, items: *l{} }},", n - 1).repeat(10);
            bomb.push_str(&format!("- &l{n} [{items}]\n"));
        }
        let bomb = format!("kind: List\nlists:\n{bomb}items: *l8\n");
        assert!(read("a.yaml", bomb.as_bytes(), Subset::Everything).secrets.len() <= MOST_ITEMS);
    }

    #[test]
    fn containers_that_many_pods_share_are_read_a_limited_number_of_times() {
        let shared = "{ image: 'a/b:1' },".repeat(1_000);
        let text = format!(
            "kind: X\nx: &x [{shared}]\n{}",
            (0..1_000).map(|n| format!("k{n}: {{ containers: *x }}\n")).collect::<String>()
        );
        let facts = read("a.yaml", text.as_bytes(), Subset::Everything);
        assert_eq!(facts.pods.iter().map(|pod| pod.images.len()).sum::<usize>(), MOST_ITEMS);
    }

    #[test]
    fn releases_and_kustomizations_say_it_in_their_own_ways() {
        let release = "kind: HelmRelease\nmetadata: { name: x }\nspec: { values: { global: { imagePullSecrets: [a] }, image: { pullSecrets: [{ name: b }] } } }\n";
        let facts = read("a.yaml", release.as_bytes(), Subset::Everything);
        assert!(
            facts.pods.len() == 1 && facts.pods[0].is_release && facts.pods[0].pull_secrets == ["a", "b"],
            "{facts:?}"
        );
        let text = "namespace: prod\nimages: [{ name: app, newName: r.io/a/b }, { name: c }]\nsecretGenerator:\n- { name: g, files: [.dockerconfigjson=x/pull.json, y/z.txt] }\n";
        let facts = read("k/kustomization.yaml", text.as_bytes(), Subset::Everything);
        assert_eq!(facts.renames, [("app".to_owned(), "r.io/a/b".to_owned())]);
        let files =
            [(".dockerconfigjson", "x/pull.json"), ("z.txt", "y/z.txt")].map(|(k, f)| (k.to_owned(), f.to_owned()));
        assert_eq!((facts.generated[0].files.as_slice(), facts.namespace.as_deref()), (&files[..], Some("prod")));
        assert_eq!(read("a.yaml", b"image: x:1\n", Subset::Everything), PodFacts::default());
        assert_eq!(read("a.yaml", b"kind: Secret\n  {{ x }}", Subset::Everything), PodFacts::default());
    }
}
