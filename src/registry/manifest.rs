//! Manifests, indexes and image configs (OCI image specification 1.1, sections "Image Manifest", "Image Index",
//! "Content Descriptors", "Image Configuration", "Annotations"; and Docker's image manifest version 2, schema 2).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use crate::platform::Platform;

/// The media types of manifests and indexes.
pub const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

const CREATED: &str = "org.opencontainers.image.created";
const REVISION: &str = "org.opencontainers.image.revision";
const SOURCE: &str = "org.opencontainers.image.source";

/// A manifest or an index, depending on its fields.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    /// The image config, of a manifest.
    pub config: Option<Descriptor>,
    /// Some writers omit it or write null.
    layers: Option<Vec<Descriptor>>,
    /// The manifests, of an index.
    manifests: Option<Vec<Descriptor>>,
}

/// A reference to content from a manifest (section "Content Descriptors").
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    #[serde(default)]
    media_type: String,
    /// Its digest.
    pub digest: String,
    /// Its size in bytes. The specification requires it; without it, any size is accepted.
    pub size: Option<u64>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    platform: Option<DescribedPlatform>,
}

#[derive(Debug, Clone, Deserialize)]
struct DescribedPlatform {
    architecture: String,
    os: String,
    variant: Option<String>,
}

/// The fields of an image config that matter here.
#[derive(Debug, Deserialize)]
pub struct ImageConfig {
    created: Option<String>,
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    variant: Option<String>,
    config: Option<ExecutionConfig>,
}

/// The execution parameters, of which only the labels matter here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ExecutionConfig {
    labels: Option<BTreeMap<String, String>>,
}

/// The commit and source repository that an image was built from, according to its labels or annotations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceLabels {
    /// The commit (`org.opencontainers.image.revision`).
    pub revision: Option<String>,
    /// The repository (`org.opencontainers.image.source`).
    pub source: Option<String>,
}

impl SourceLabels {
    fn from_labels(pairs: &BTreeMap<String, String>) -> SourceLabels {
        let label = |key: &str| pairs.get(key).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        SourceLabels { revision: label(REVISION), source: label(SOURCE) }
    }

    /// Adds the fields of `other` that are missing here.
    pub fn or(self, other: SourceLabels) -> SourceLabels {
        SourceLabels { revision: self.revision.or(other.revision), source: self.source.or(other.source) }
    }

    /// Returns whether both fields are present.
    pub fn is_complete(&self) -> bool {
        self.revision.is_some() && self.source.is_some()
    }
}

impl Manifest {
    /// When the image was built, according to its annotation.
    pub fn created(&self) -> Option<Timestamp> {
        self.annotations.get(CREATED).and_then(|text| usable(text))
    }

    /// The source labels among its annotations.
    pub fn source_labels(&self) -> SourceLabels {
        SourceLabels::from_labels(&self.annotations)
    }

    /// The manifests of an index that are images, not attestations or signatures.
    pub fn platforms(&self) -> impl Iterator<Item = &Descriptor> {
        self.manifests.iter().flatten().filter(|descriptor| {
            let unknown = descriptor.platform().is_some_and(|platform| platform.is_unknown());
            !unknown && !descriptor.annotations.contains_key("vnd.docker.reference.type")
        })
    }

    /// The layers of a manifest.
    pub fn layers(&self) -> impl Iterator<Item = &Descriptor> {
        self.layers.iter().flatten()
    }

    /// Returns whether it is an index.
    pub fn is_index(&self) -> bool {
        self.config.is_none() && self.manifests.is_some()
    }

    /// Returns whether it is neither a manifest nor an index.
    pub fn is_neither(&self) -> bool {
        self.config.is_none() && self.manifests.is_none()
    }
}

impl Descriptor {
    /// Its platform, according to the index.
    pub fn platform(&self) -> Option<Platform> {
        let platform = self.platform.as_ref()?;
        Some(Platform::new(&platform.os, &platform.architecture, platform.variant.as_deref()))
    }

    /// Returns whether a registry need not have it: layers that only their owner may distribute, whatever their
    /// compression (section "Non-Distributable Layers"; Docker calls them foreign).
    pub fn is_foreign(&self) -> bool {
        self.media_type.starts_with("application/vnd.oci.image.layer.nondistributable.")
            || self.media_type.starts_with("application/vnd.docker.image.rootfs.foreign.")
    }
}

impl ImageConfig {
    /// Parses an image config.
    pub fn read(bytes: &[u8]) -> Result<ImageConfig, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// When the image was built.
    pub fn created(&self) -> Option<Timestamp> {
        self.created.as_deref().and_then(usable)
    }

    /// The source labels among its labels.
    pub fn source_labels(&self) -> SourceLabels {
        let labels = self.config.as_ref().and_then(|config| config.labels.as_ref());
        labels.map(SourceLabels::from_labels).unwrap_or_default()
    }

    /// The platform of the image.
    pub fn platform(&self) -> Option<Platform> {
        let known = !self.os.is_empty() && !self.architecture.is_empty();
        known.then(|| Platform::new(&self.os, &self.architecture, self.variant.as_deref()))
    }
}

/// Parses a time that can order images: reproducible builds write the epoch, and some tools the year 1.
fn usable(text: &str) -> Option<Timestamp> {
    let at: Timestamp = text.parse().ok()?;
    (at > Timestamp::UNIX_EPOCH).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meaningless_build_times_are_ignored() {
        assert!(usable("2026-11-01T10:00:00Z").is_some());
        assert!(usable("2026-11-01T10:00:00.123456789+02:00").is_some());
        assert_eq!(usable("1970-01-01T00:00:00Z"), None);
        assert_eq!(usable("0001-01-01T00:00:00Z"), None);
        assert_eq!(usable("yesterday"), None);
    }

    #[test]
    fn attestations_are_not_platforms() {
        let index: Manifest = serde_json::from_str(
            r#"{"manifests":[
                {"digest":"a","platform":{"os":"linux","architecture":"amd64"}},
                {"digest":"b","platform":{"os":"unknown","architecture":"unknown"}},
                {"digest":"c","annotations":{"vnd.docker.reference.type":"attestation-manifest"}}]}"#,
        )
        .expect("JSON");
        assert!(index.is_index());
        assert_eq!(index.platforms().map(|d| d.digest.as_str()).collect::<Vec<_>>(), ["a"]);
        let empty: Manifest = serde_json::from_str(r#"{"manifests":[]}"#).expect("JSON");
        assert!(empty.is_index() && !empty.is_neither());
        let other: Manifest = serde_json::from_str(r#"{"schemaVersion":1,"fsLayers":[]}"#).expect("JSON");
        assert!(other.is_neither());
    }

    #[test]
    fn foreign_layers_need_not_exist() {
        let is_foreign = |kind: &str| {
            let text = format!(r#"{{"mediaType":"{kind}","digest":"a","size":1}}"#);
            serde_json::from_str::<Descriptor>(&text).expect("JSON").is_foreign()
        };
        assert!(is_foreign("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"));
        assert!(is_foreign("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"));
        assert!(!is_foreign("application/vnd.oci.image.layer.v1.tar+zstd"));
        assert!(!is_foreign("application/vnd.docker.image.rootfs.diff.tar.gzip"));
    }
}
