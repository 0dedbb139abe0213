//! Manifests, indexes and image configs (OCI image specification 1.1, sections "Image Manifest", "Image Index",
//! "Content Descriptors", "Image Configuration", "Annotations"; and Docker's image manifest version 2, schema 2).

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::platform::Platform;

use super::bounded::{List, Text};

/// The media types of manifests and indexes.
pub const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

const CREATED: &str = "org.opencontainers.image.created";
const REVISION: &str = "org.opencontainers.image.revision";
const SOURCE: &str = "org.opencontainers.image.source";
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// The labels and annotations that matter here.
const LABELS: [&str; 4] = [CREATED, REVISION, SOURCE, REFERENCE_TYPE];

/// The longest label, digest or media type that is kept, in bytes: no valid one is longer.
const LONGEST_LABEL: usize = 1024;

/// The operating system, architecture or variant of a platform.
type PlatformPart = Text<64>;

/// The most parts that a manifest may have: a runtime supports 127 layers.
const MAX_PARTS: usize = 1024;
/// The most platforms that an index may list. Each takes requests of its own.
const MAX_PLATFORMS: usize = 256;

/// A manifest or an index, depending on its fields.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    #[serde(default)]
    annotations: Labels,
    /// The image config, of a manifest.
    pub config: Option<Descriptor>,
    /// Some writers omit it or write null.
    layers: Option<List<Descriptor, MAX_PARTS>>,
    /// The manifests, of an index.
    manifests: Option<List<Descriptor, MAX_PARTS>>,
}

/// The labels or annotations that matter here; all others are skipped.
#[derive(Debug, Clone, Default)]
struct Labels(BTreeMap<&'static str, Text<LONGEST_LABEL>>);

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LabelsVisitor;

        impl<'de> Visitor<'de> for LabelsVisitor {
            type Value = Labels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of labels")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut labels: A) -> Result<Labels, A::Error> {
                let mut kept = BTreeMap::new();
                while let Some(name) = labels.next_key::<Text<LONGEST_LABEL>>()? {
                    match LABELS.into_iter().find(|label| *label == name.0) {
                        Some(name) => drop(kept.insert(name, labels.next_value()?)),
                        None => drop(labels.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(Labels(kept))
            }
        }

        deserializer.deserialize_map(LabelsVisitor)
    }
}

impl Labels {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|text| text.0.as_str())
    }
}

/// A reference to content from a manifest (section "Content Descriptors").
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    #[serde(default)]
    media_type: Text<LONGEST_LABEL>,
    #[serde(rename = "digest")]
    written_digest: Text<LONGEST_LABEL>,
    /// Its size in bytes. The specification requires it; without it, any size is accepted.
    pub size: Option<u64>,
    #[serde(default)]
    annotations: Labels,
    platform: Option<DescribedPlatform>,
}

#[derive(Debug, Clone, Deserialize)]
struct DescribedPlatform {
    architecture: PlatformPart,
    os: PlatformPart,
    variant: Option<PlatformPart>,
}

/// The fields of an image config that matter here.
#[derive(Debug, Deserialize)]
pub struct ImageConfig {
    created: Option<Text<LONGEST_LABEL>>,
    #[serde(default)]
    os: PlatformPart,
    #[serde(default)]
    architecture: PlatformPart,
    variant: Option<PlatformPart>,
    config: Option<ExecutionConfig>,
}

/// The execution parameters, of which only the labels matter here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ExecutionConfig {
    labels: Option<Labels>,
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
    fn from_labels(labels: &Labels) -> SourceLabels {
        let label = |name: &str| labels.get(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
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
        self.annotations.get(CREATED).and_then(usable)
    }

    /// The source labels among its annotations.
    pub fn source_labels(&self) -> SourceLabels {
        SourceLabels::from_labels(&self.annotations)
    }

    /// The manifests of an index that are images, not attestations or signatures.
    pub fn platforms(&self) -> impl Iterator<Item = &Descriptor> {
        self.manifests.iter().flat_map(|manifests| &manifests.kept).filter(|descriptor| {
            let unknown = descriptor.platform().is_some_and(|platform| platform.is_unknown());
            !unknown && descriptor.annotations.get(REFERENCE_TYPE).is_none()
        })
    }

    /// The layers of a manifest.
    pub fn layers(&self) -> impl Iterator<Item = &Descriptor> {
        self.layers.iter().flat_map(|layers| &layers.kept)
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

impl Manifest {
    /// The problem if it lists more parts than an image can have.
    pub fn excess(&self) -> Option<String> {
        let count = |list: &Option<List<Descriptor, MAX_PARTS>>| list.as_ref().map_or(0, |list| list.count);
        let parts = count(&self.layers).max(count(&self.manifests));
        let platforms = if self.is_index() { self.platforms().count() } else { 0 };
        match (parts > MAX_PARTS, platforms > MAX_PLATFORMS) {
            (true, _) => Some(format!("it lists {parts} parts, more than {MAX_PARTS}")),
            (false, true) => Some(format!("it lists {platforms} platforms, more than {MAX_PLATFORMS}")),
            (false, false) => None,
        }
    }
}

impl Descriptor {
    /// Its digest as it is written, which may be anything.
    pub fn digest(&self) -> &str {
        &self.written_digest.0
    }

    /// Its platform, according to the index.
    pub fn platform(&self) -> Option<Platform> {
        let platform = self.platform.as_ref()?;
        let variant = platform.variant.as_ref().map(|variant| variant.0.as_str());
        Some(Platform::new(&platform.os.0, &platform.architecture.0, variant))
    }

    /// Returns whether a registry need not have it: layers that only their owner may distribute, whatever their
    /// compression (section "Non-Distributable Layers"; Docker calls them foreign).
    pub fn is_foreign(&self) -> bool {
        let media_type = &self.media_type.0;
        media_type.starts_with("application/vnd.oci.image.layer.nondistributable.")
            || media_type.starts_with("application/vnd.docker.image.rootfs.foreign.")
    }
}

impl ImageConfig {
    /// Parses an image config.
    pub fn read(bytes: &[u8]) -> Result<ImageConfig, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// When the image was built.
    pub fn created(&self) -> Option<Timestamp> {
        self.created.as_ref().and_then(|text| usable(&text.0))
    }

    /// The source labels among its labels.
    pub fn source_labels(&self) -> SourceLabels {
        let labels = self.config.as_ref().and_then(|config| config.labels.as_ref());
        labels.map(SourceLabels::from_labels).unwrap_or_default()
    }

    /// The platform of the image.
    pub fn platform(&self) -> Option<Platform> {
        let (os, architecture) = (self.os.0.as_str(), self.architecture.0.as_str());
        let variant = self.variant.as_ref().map(|variant| variant.0.as_str());
        (!os.is_empty() && !architecture.is_empty()).then(|| Platform::new(os, architecture, variant))
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
        assert_eq!(index.platforms().map(Descriptor::digest).collect::<Vec<_>>(), ["a"]);
        let empty: Manifest = serde_json::from_str(r#"{"manifests":[]}"#).expect("JSON");
        assert!(empty.is_index() && !empty.is_neither());
        let other: Manifest = serde_json::from_str(r#"{"schemaVersion":1,"fsLayers":[]}"#).expect("JSON");
        assert!(other.is_neither());
    }

    #[test]
    fn more_parts_than_an_image_can_have_are_counted_but_not_kept() {
        let list = |field: &str, count: usize| {
            let parts = vec![r#"{"digest":"a","size":1}"#; count].join(",");
            serde_json::from_str::<Manifest>(&format!(r#"{{"{field}":[{parts}]}}"#)).expect("JSON")
        };
        assert_eq!((list("layers", 1024).excess(), list("manifests", 256).excess()), (None, None));
        assert_eq!(list("layers", 30_000).excess().as_deref(), Some("it lists 30000 parts, more than 1024"));
        assert_eq!(list("manifests", 30_000).excess().as_deref(), Some("it lists 30000 parts, more than 1024"));
        assert_eq!(list("manifests", 257).excess().as_deref(), Some("it lists 257 platforms, more than 256"));
        assert_eq!(list("manifests", 30_000).platforms().count(), 1024);
    }

    #[test]
    fn labels_that_do_not_matter_are_skipped() {
        let long = "x".repeat(5000);
        let text = format!(
            r#"{{"config":{{"Labels":{{"a":{{"deep":[1]}},"{long}":"1","{REVISION}":" 0f ","{SOURCE}":"{long}"}}}}}}"#
        );
        let labels = ImageConfig::read(text.as_bytes()).expect("JSON").source_labels();
        assert_eq!(labels.revision.as_deref(), Some("0f"));
        assert_eq!(labels.source.map(|source| source.len()), Some(LONGEST_LABEL));
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
