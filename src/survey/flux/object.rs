//! Objects of Flux's image automation, with the values of all of their keys: ImageRepository, ImagePolicy and
//! ImageUpdateAutomation of `image.toolkit.fluxcd.io` (v1, and v1beta2 and v1beta1, which have the same keys), and the
//! GitRepository that an automation refers to.

use crate::yaml::node::{Kind as NodeKind, NodeId, ScanError};
use crate::yaml::scan::Scan;

/// The kind of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// GitRepository.
    GitRepository,
    /// ImageRepository.
    ImageRepository,
    /// ImagePolicy.
    ImagePolicy,
    /// ImageUpdateAutomation.
    ImageUpdateAutomation,
}

/// The API groups and kinds of objects.
const KINDS: [(&str, &str, Kind); 4] = [
    ("source.toolkit.fluxcd.io/", "GitRepository", Kind::GitRepository),
    ("image.toolkit.fluxcd.io/", "ImageRepository", Kind::ImageRepository),
    ("image.toolkit.fluxcd.io/", "ImagePolicy", Kind::ImagePolicy),
    ("image.toolkit.fluxcd.io/", "ImageUpdateAutomation", Kind::ImageUpdateAutomation),
];

/// An object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FluxObject {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; files often leave it to a kustomization.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// The scalars below `spec`, with their paths: `filterTags.pattern`, `exclusionList[0]`. Empty mappings are `{}`.
    pub keys: Vec<(String, String)>,
}

impl FluxObject {
    /// Returns all such objects of a file, which may hold lists of objects, as kubectl prints them.
    pub fn read(bytes: &[u8]) -> Result<Vec<FluxObject>, ScanError> {
        let scan = Scan::read(bytes)?;
        let mut found = Vec::new();
        for (_, root) in scan.documents() {
            match scan.get(root, "items").filter(|items| matches!(scan.kind(*items), NodeKind::Sequence)) {
                Some(items) => found.extend(scan.items(items).filter_map(|item| object(&scan, item))),
                None => found.extend(object(&scan, root)),
            }
        }
        Ok(found)
    }

    /// Returns the value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.keys.iter().find(|(path, _)| path == key).map(|(_, value)| value.as_str())
    }

    /// Returns the values of a list.
    pub fn list<'o>(&'o self, key: &'o str) -> impl Iterator<Item = &'o str> {
        let is_item = move |path: &str| path.strip_prefix(key).is_some_and(|rest| rest.starts_with('['));
        self.keys.iter().filter(move |(path, _)| is_item(path)).map(|(_, value)| value.as_str())
    }

    /// Returns whether a key is `true`.
    pub fn is_set(&self, key: &str) -> bool {
        self.get(key) == Some("true")
    }

    /// Returns the kind and the name, as `kubectl get` takes them.
    pub fn title(&self) -> String {
        let kind = KINDS.iter().find(|(_, _, kind)| *kind == self.kind).map_or("", |(_, name, _)| *name);
        match &self.namespace {
            Some(namespace) => format!("{kind} {namespace}/{}", self.name),
            None => format!("{kind} {}", self.name),
        }
    }

    /// Returns whether a reference from an object to a namespace and a name means this object. Where a namespace is not
    /// written, it may be any.
    pub fn is_named(&self, namespace: Option<&str>, name: &str) -> bool {
        let is_same = match (&self.namespace, namespace) {
            (Some(own), Some(other)) => own == other,
            _ => true,
        };
        is_same && self.name == name
    }
}

fn object(scan: &Scan<'_>, root: NodeId) -> Option<FluxObject> {
    let (version, name) = (scan.get_scalar(root, "apiVersion")?, scan.get_scalar(root, "kind")?);
    let (_, _, kind) = KINDS.iter().find(|(group, kind, _)| version.starts_with(group) && name == *kind)?;
    let metadata = scan.get(root, "metadata")?;
    let spec = scan.get(root, "spec")?;
    let text = |id: NodeId| scan.scalar(id).map(str::to_owned);
    let labels = scan.get(metadata, "labels").into_iter().flat_map(|labels| scan.pairs(labels));
    let above = scan.path(spec);
    // An empty mapping, such as `alphabetical: {}`, means the defaults of its keys.
    let is_value = |id: &NodeId| !scan.is_key(*id) && scan.children(*id).next().is_none();
    let values = scan.descendants(spec).filter(is_value);
    let keys = values.filter_map(|id| {
        let path = scan.path(id);
        let value = text(id).unwrap_or_else(|| "{}".to_owned());
        Some((path.strip_prefix(&above)?.trim_start_matches('.').to_owned(), value))
    });
    Some(FluxObject {
        kind: *kind,
        namespace: scan.get_scalar(metadata, "namespace").map(str::to_owned),
        name: scan.get_scalar(metadata, "name")?.to_owned(),
        labels: labels.filter_map(|(key, value)| Some((text(key)?, text(value)?))).collect(),
        keys: keys.collect(),
    })
}
