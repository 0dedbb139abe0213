//! Entries that hold tag and digest under keys of their own: `images` of kustomizations, `ref` of OCIRepositories.

use crate::image::{Reference, Repository};
use crate::manifest::field::{Shape, Slots};
use crate::manifest::kustomization::{ImageEntry, Kustomization};
use crate::yaml::node::NodeId;

use super::finder::{Finder, version_of};

impl Finder<'_, '_> {
    /// Reads a kustomization: its files, its images, its remote bases.
    pub(in crate::manifest) fn kustomization(&mut self, root: NodeId) -> Kustomization {
        let scan = self.scan;
        let list = |key: &str| scan.get(root, key).map(|list| scan.items(list).collect::<Vec<_>>()).unwrap_or_default();
        let resources = [list("resources"), list("bases"), list("components")].concat();
        let refs = resources.iter().filter_map(|id| Some((*id, git_ref(scan.scalar(*id)?)?.to_owned())));
        let refs: Vec<(NodeId, String)> = refs.collect();
        let entries = self.entries(root, &refs);
        let texts = resources.iter().filter_map(|id| scan.scalar(*id));
        let resources = texts.map(str::to_owned).collect();
        Kustomization { resources, files: self.files_of(root), images: entries, config_maps: self.config_maps(root) }
    }

    /// Returns the files that a kustomization reads in addition to its resources.
    fn files_of(&self, root: NodeId) -> Vec<String> {
        let scan = self.scan;
        let list = |parent: NodeId, key: &str| {
            scan.get(parent, key).map(|list| scan.items(list).collect::<Vec<_>>()).unwrap_or_default()
        };
        let keys = ["patchesStrategicMerge", "generators", "transformers"];
        let mut found: Vec<NodeId> = keys.iter().flat_map(|key| list(root, key)).collect();
        found.extend(list(root, "patches").into_iter().filter_map(|patch| scan.get(patch, "path")));
        for generator in list(root, "secretGenerator") {
            found.extend(list(generator, "envs"));
            found.extend(scan.get(generator, "env"));
            found.extend(list(generator, "files"));
        }
        let texts = found.into_iter().filter_map(|id| scan.scalar(id));
        // A patch may be inline, and an entry of `files` may give a key: `KEY=FILE`.
        let names = texts.filter(|text| !text.is_empty() && !text.contains('\n'));
        names.map(|text| text.split_once('=').map_or(text, |(_, file)| file).to_owned()).collect()
    }

    /// Returns the ConfigMaps that a kustomization generates from files.
    fn config_maps(&self, root: NodeId) -> Vec<(String, Vec<String>)> {
        let scan = self.scan;
        let Some(generators) = scan.get(root, "configMapGenerator") else { return Vec::new() };
        let generated = |item: NodeId| {
            let name = scan.get_scalar(item, "name")?.to_owned();
            let files: Vec<NodeId> = scan.get(item, "files").map(|list| scan.items(list).collect()).unwrap_or_default();
            let files = files.into_iter().filter_map(|file| scan.scalar(file));
            let files = files.map(|text| text.split_once('=').map_or(text, |(_, file)| file).to_owned());
            Some((name, files.collect()))
        };
        scan.items(generators).filter_map(generated).collect()
    }

    /// Reads the entries of `images` below a mapping.
    pub(in crate::manifest) fn entries(&mut self, parent: NodeId, refs: &[(NodeId, String)]) -> Vec<ImageEntry> {
        let scan = self.scan;
        let Some(images) = scan.get(parent, "images") else { return Vec::new() };
        let entries: Vec<NodeId> = scan.items(images).collect();
        entries.into_iter().filter_map(|entry| self.entry(entry, refs)).collect()
    }

    fn entry(&mut self, entry: NodeId, refs: &[(NodeId, String)]) -> Option<ImageEntry> {
        let scan = self.scan;
        let (name_key, name) = scan.pair(entry, "name")?;
        let name_text = scan.scalar(name)?;
        let new_name =
            scan.pair(entry, "newName").filter(|(_, value)| scan.scalar(*value).is_some_and(|v| !v.is_empty()));
        let new_tag = scan.pair(entry, "newTag");
        let digest = scan.pair(entry, "digest");
        let written_name = new_name.and_then(|(_, value)| scan.scalar(value)).unwrap_or(name_text).to_owned();
        let all = [Some(name), new_name.map(|p| p.1), new_tag.map(|p| p.1), digest.map(|p| p.1)];
        let is_named_otherwise = all.into_iter().flatten().any(|value| self.is_claimed(value));
        self.claim(all.into_iter().flatten());
        let text = |pair: Option<(NodeId, NodeId)>| pair.map(|(_, value)| scan.scalar(value).unwrap_or("?"));
        let overrides = text(new_tag).or(text(digest)).is_some_and(|text| !text.is_empty());
        let summary = ImageEntry { name: name_text.to_owned(), result: written_name.clone(), overrides };
        if is_named_otherwise {
            return Some(summary);
        }
        let whole = || written_name.parse::<Reference>().ok().filter(|found| !found.version.is_empty());
        if let Some((_, value)) = new_name.filter(|_| text(new_tag).or(text(digest)).is_none())
            && let Some(found) = whole()
        {
            return Some(self.renamed(value, found, summary));
        }
        let mut version = version_of(text(new_tag).unwrap_or_default());
        if let (Some(version), Some(text)) = (&mut version, text(digest).filter(|text| !text.is_empty())) {
            match text.parse() {
                Ok(digest) => version.digest = Some(digest),
                Err(_) => return Some(summary),
            }
        }
        // If it is not a tag (`${TAG}`), the entry overrides fields, but cannot be edited.
        let (Some(version), Ok(repository)) = (version, written_name.parse::<Repository>()) else {
            return Some(summary);
        };
        let anchor_key = new_name.map_or(name_key, |(key, _)| key);
        let written_digest = digest;
        let (tag, digest) = (new_tag.map(|pair| scan.resolved(pair)), digest.map(|pair| scan.resolved(pair)));
        let slots = Slots::Entry { tag_key: "newTag", anchor_key, tag, digest, refs: refs.to_vec() };
        let held_by = new_tag.or(written_digest).map(|(_, value)| value);
        let mut spot = self.spot(Shape::Kustomization, held_by.unwrap_or(name), version, slots);
        if held_by.is_none() {
            // The key that an edit would add.
            spot.path = format!("{}.newTag", scan.path(entry));
        }
        self.fields.push(spot.field(repository, written_name, true));
        Some(summary)
    }

    /// Adds the field of an entry whose `newName` holds the version.
    fn renamed(&mut self, new_name: NodeId, found: Reference, summary: ImageEntry) -> ImageEntry {
        let result = Reference::written_name(&summary.result).to_owned();
        let slots = Slots::Whole { scalar: self.scan.resolve(new_name) };
        let spot = self.spot(Shape::Kustomization, new_name, found.version, slots);
        self.fields.push(spot.field(found.repository, result.clone(), true));
        ImageEntry { result, overrides: true, ..summary }
    }

    /// Adds the field of a Flux OCIRepository whose `ref` gives a tag or a digest; with a semver range, Flux updates it
    /// itself.
    pub(in crate::manifest) fn oci_repository(&mut self, root: NodeId) -> Option<()> {
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
        self.claim([tag, digest].into_iter().flatten().map(|(_, value)| value));
        let (tag, digest) = (tag.map(|pair| scan.resolved(pair)), digest.map(|pair| scan.resolved(pair)));
        let slots = Slots::Entry { tag_key: "tag", anchor_key, tag, digest, refs: Vec::new() };
        let spot = self.spot(Shape::OciRepository, node, version, slots);
        self.fields.push(spot.field(repository, written_name, false));
        Some(())
    }
}

/// Returns the commit that a remote base is pinned to: the `ref` in a URL's query, if it is a git SHA.
fn git_ref(resource: &str) -> Option<&str> {
    let (_, query) = resource.split_once('?')?;
    let value = query.split('&').find_map(|pair| pair.strip_prefix("ref="))?;
    let is_sha = (7..=64).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_hexdigit());
    is_sha.then_some(value)
}
