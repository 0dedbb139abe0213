//! The image fields of one file, and what the file says as a kustomization.

use std::collections::HashSet;

use crate::image::{Reference, Repository, Version};
use crate::yaml::node::{Kind, NodeId, ScanError};
use crate::yaml::scan::Scan;

use super::field::{Field, Shape, Slots};
use super::kustomize::{Entry, Kustomization};
use super::value::{bare_reference, reference};

/// What is known of one file once its bytes have been read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileFacts {
    /// Its image fields, in the order of document and place.
    pub fields: Vec<Field>,
    /// What it says as a kustomization, if it is one.
    pub kustomization: Option<Kustomization>,
    /// Whether it is a SOPS file whose message authentication code covers values in clear text, so that an edit of
    /// any of them would make it unreadable.
    pub sealed: bool,
}

/// Reads a file. `path` decides only whether a file without a kind is a kustomization.
pub fn read(path: &str, bytes: &[u8]) -> Result<FileFacts, ScanError> {
    let scan = Scan::read(bytes)?;
    Ok(read_scan(path, &scan))
}

/// Reads a file that has been scanned already.
pub(super) fn read_scan(path: &str, scan: &Scan<'_>) -> FileFacts {
    let mut finder = Finder { scan, document: 0, claimed: HashSet::new(), fields: Vec::new() };
    let mut facts = FileFacts::default();
    let documents: Vec<(NodeId, NodeId)> = scan.documents().collect();
    for (index, (document, root)) in documents.into_iter().enumerate() {
        finder.document = index;
        facts.sealed |= is_sealed(scan, root);
        if is_kustomization(path, scan, root) {
            facts.kustomization = Some(finder.kustomization(root));
        } else if is_kind(scan, root, "Kustomization", "kustomize.toolkit.fluxcd.io/")
            && let Some(spec) = scan.get(root, "spec")
        {
            finder.entries(spec, &[]);
        } else if is_kind(scan, root, "OCIRepository", "source.toolkit.fluxcd.io/") {
            finder.oci_repository(root);
        }
        finder.walk(document);
    }
    facts.fields = finder.fields;
    facts.fields.sort_by_key(|field| (field.document, field.place));
    facts
}

/// Whether a file of this name is a kustomization even without a kind (kustomize's own three names).
pub fn has_kustomization_name(path: &str) -> bool {
    matches!(path.rsplit('/').next(), Some("kustomization.yaml" | "kustomization.yml" | "Kustomization"))
}

fn is_kustomization(path: &str, scan: &Scan<'_>, root: NodeId) -> bool {
    let version = scan.get_scalar(root, "apiVersion").unwrap_or_default();
    match scan.get_scalar(root, "kind") {
        Some("Kustomization" | "Component") => {
            version.starts_with("kustomize.config.k8s.io/") || has_kustomization_name(path)
        }
        None => has_kustomization_name(path) && matches!(scan.kind(root), Kind::Mapping),
        Some(_) => false,
    }
}

fn is_kind(scan: &Scan<'_>, root: NodeId, kind: &str, group: &str) -> bool {
    let version = scan.get_scalar(root, "apiVersion").unwrap_or_default();
    scan.get_scalar(root, "kind") == Some(kind) && version.starts_with(group)
}

fn is_sealed(scan: &Scan<'_>, root: NodeId) -> bool {
    let sops = scan.get(root, "sops").filter(|sops| scan.get(*sops, "mac").is_some());
    sops.is_some_and(|sops| scan.get_scalar(sops, "mac_only_encrypted") != Some("true"))
}

struct Finder<'s, 'a> {
    scan: &'s Scan<'a>,
    document: usize,
    /// Scalars that belong to a field already.
    claimed: HashSet<NodeId>,
    fields: Vec<Field>,
}

impl Finder<'_, '_> {
    /// Looks at every mapping and sequence of a document once.
    fn walk(&mut self, document: NodeId) {
        let scan = self.scan;
        for id in scan.descendants(document) {
            match scan.kind(id) {
                Kind::Mapping => {
                    self.siblings(id);
                    for (key, value) in scan.pairs(id) {
                        let key = scan.scalar(key).unwrap_or_default();
                        self.scalar(Some(key), value);
                    }
                }
                Kind::Sequence => scan.children(id).for_each(|item| self.scalar(None, item)),
                _ => {}
            }
        }
    }

    /// A scalar that is a whole reference.
    fn scalar(&mut self, key: Option<&str>, node: NodeId) {
        let Kind::Scalar { value, .. } = self.scan.kind(node) else { return };
        if self.claimed.contains(&node) {
            return;
        }
        let found = reference(key, value).or_else(|| key.and_then(|key| bare_reference(key, value)));
        let Some(Reference { repository, version }) = found else { return };
        let shape = if key == Some("image") { Shape::Workload } else { Shape::Value };
        let written_name = Reference::written_name(value).to_owned();
        self.push(shape, node, repository, written_name, version, Slots::Whole { scalar: node });
    }

    /// Whether kustomize's image transformer looks at an `image`: the one of an item of `containers` or
    /// `initContainers`, at any depth of any kind.
    fn is_transformed(&self, image: NodeId) -> bool {
        let scan = self.scan;
        let list = scan.parent(image).and_then(|container| scan.parent(container));
        let list = list.filter(|list| matches!(scan.kind(*list), Kind::Sequence));
        let key = list.and_then(|list| scan.previous(list)).and_then(|key| scan.scalar(key));
        matches!(key, Some("containers" | "initContainers"))
    }

    /// Helm-style siblings: `repository` (or a bare `image`) beside `tag`.
    fn siblings(&mut self, mapping: NodeId) {
        let scan = self.scan;
        let Some(tag) = scan.get(mapping, "tag") else { return };
        let Some(tag_text) = scan.scalar(tag) else { return };
        let by_repository = scan.pair(mapping, "repository");
        let Some((name_key, name)) = by_repository.or_else(|| scan.pair(mapping, "image")) else { return };
        let Some(name_text) = scan.scalar(name) else { return };
        let registry = scan.get_scalar(mapping, "registry").filter(|registry| !registry.is_empty());
        let written_name = match registry {
            Some(registry) => format!("{registry}/{name_text}"),
            None => name_text.to_owned(),
        };
        let Ok(repository) = written_name.parse::<Repository>() else { return };
        let digest = scan.pair(mapping, "digest").filter(|(_, value)| scan.scalar(*value).is_some());
        let Some(mut version) = version_of(tag_text) else { return };
        if let Some((_, value)) = digest {
            match scan.scalar(value).filter(|text| !text.is_empty()).map(str::parse) {
                Some(Ok(digest)) => version.digest = Some(digest),
                Some(Err(_)) => return,
                None => {}
            }
        }
        self.claimed.extend([name_key, name, tag].into_iter().chain(digest.map(|(_, value)| value)));
        self.push(Shape::Helm, tag, repository, written_name, version, Slots::Siblings { tag, digest });
    }

    /// A Flux OCIRepository whose `ref` names a tag or a digest; one that follows a semver range moves by itself.
    fn oci_repository(&mut self, root: NodeId) -> Option<()> {
        let scan = self.scan;
        let spec = scan.get(root, "spec")?;
        let written_name = scan.get_scalar(spec, "url")?.strip_prefix("oci://")?.to_owned();
        let reference = scan.get(spec, "ref")?;
        let (tag, digest) = (scan.pair(reference, "tag"), scan.pair(reference, "digest"));
        let (anchor_key, node) = tag.or(digest)?;
        let mut version = version_of(tag.and_then(|(_, value)| scan.scalar(value)).unwrap_or_default())?;
        if let Some((_, value)) = digest {
            version.digest = Some(scan.scalar(value)?.parse().ok()?);
        }
        let repository = written_name.parse().ok()?;
        self.claimed.extend([tag, digest].into_iter().flatten().map(|(_, value)| value));
        let slots = Slots::Entry { tag_key: "tag", anchor_key, tag, digest, refs: Vec::new() };
        self.push(Shape::OciRepository, node, repository, written_name, version, slots);
        Some(())
    }

    /// What a kustomization says: its files, its images, its remote bases.
    fn kustomization(&mut self, root: NodeId) -> Kustomization {
        let scan = self.scan;
        let list = |key: &str| scan.get(root, key).map(|list| scan.items(list).collect::<Vec<_>>()).unwrap_or_default();
        let resources = [list("resources"), list("bases"), list("components")].concat();
        let refs = resources.iter().filter_map(|id| Some((*id, git_ref(scan.scalar(*id)?)?.to_owned())));
        let refs: Vec<(NodeId, String)> = refs.collect();
        let entries = self.entries(root, &refs);
        let texts = resources.iter().filter_map(|id| scan.scalar(*id));
        Kustomization { resources: texts.map(str::to_owned).collect(), images: entries }
    }

    /// The entries of `images` below a mapping.
    fn entries(&mut self, parent: NodeId, refs: &[(NodeId, String)]) -> Vec<Entry> {
        let scan = self.scan;
        let Some(images) = scan.get(parent, "images") else { return Vec::new() };
        let entries: Vec<NodeId> = scan.items(images).collect();
        entries.into_iter().filter_map(|entry| self.entry(entry, refs)).collect()
    }

    fn entry(&mut self, entry: NodeId, refs: &[(NodeId, String)]) -> Option<Entry> {
        let scan = self.scan;
        let (name_key, name) = scan.pair(entry, "name")?;
        let name_text = scan.scalar(name)?;
        let new_name =
            scan.pair(entry, "newName").filter(|(_, value)| scan.scalar(*value).is_some_and(|v| !v.is_empty()));
        let new_tag = scan.pair(entry, "newTag");
        let digest = scan.pair(entry, "digest");
        let written_name = new_name.and_then(|(_, value)| scan.scalar(value)).unwrap_or(name_text).to_owned();
        let all = [Some(name), new_name.map(|p| p.1), new_tag.map(|p| p.1), digest.map(|p| p.1)];
        self.claimed.extend(all.into_iter().flatten());
        let text = |pair: Option<(NodeId, NodeId)>| pair.map(|(_, value)| scan.scalar(value).unwrap_or("?"));
        let overrides = text(new_tag).or(text(digest)).is_some_and(|text| !text.is_empty());
        let summary = Entry { name: name_text.to_owned(), result: written_name.clone(), overrides };
        let mut version = version_of(text(new_tag).unwrap_or_default());
        if let (Some(version), Some(text)) = (&mut version, text(digest).filter(|text| !text.is_empty())) {
            match text.parse() {
                Ok(digest) => version.digest = Some(digest),
                Err(_) => return Some(summary),
            }
        }
        // Something that is no tag (`${TAG}`): the entry overrides, but it is not ours to edit.
        let (Some(version), Ok(repository)) = (version, written_name.parse::<Repository>()) else {
            return Some(summary);
        };
        let anchor_key = new_name.map_or(name_key, |(key, _)| key);
        let slots = Slots::Entry { tag_key: "newTag", anchor_key, tag: new_tag, digest, refs: refs.to_vec() };
        let held_by = new_tag.or(digest).map(|(_, value)| value);
        self.push(Shape::Kustomization, held_by.unwrap_or(name), repository, written_name, version, slots);
        if held_by.is_none()
            && let Some(field) = self.fields.last_mut()
        {
            // The key that an edit will add.
            field.path = format!("{}.newTag", scan.path(entry));
        }
        Some(summary)
    }

    fn push(
        &mut self,
        shape: Shape,
        node: NodeId,
        repository: Repository,
        written_name: String,
        version: Version,
        slots: Slots,
    ) {
        let node_of_tag = self.scan.resolve(node);
        let transformed = match shape {
            Shape::Workload => self.is_transformed(node),
            Shape::Kustomization => true,
            Shape::Helm | Shape::OciRepository | Shape::Value => false,
        };
        self.fields.push(Field {
            transformed,
            document: self.document,
            path: self.scan.path(node),
            place: self.scan.place(node_of_tag),
            shape,
            repository,
            written_name,
            version,
            slots,
        });
    }
}

/// What `tag` or `newTag` holds: nothing, `TAG` or `TAG@DIGEST`; `None` when it is something else.
fn version_of(text: &str) -> Option<Version> {
    if matches!(text, "" | "~" | "null") {
        return Some(Version::default());
    }
    Version::parse_tag(text).ok()
}

/// The commit that a remote base is pinned to: `ref` of a URL's query, if it is a git SHA.
fn git_ref(resource: &str) -> Option<&str> {
    let (_, query) = resource.split_once('?')?;
    let value = query.split('&').find_map(|pair| pair.strip_prefix("ref="))?;
    let is_sha = (7..=64).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_hexdigit());
    is_sha.then_some(value)
}
