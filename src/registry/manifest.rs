//! Manifests, indexes, and when an image was built (OCI image specification 1.1, sections "Image Manifest", "Image
//! Index", "Image Configuration", "Annotations"; and Docker's image manifest version 2, schema 2).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

/// What is asked for when a manifest is.
pub const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

const CREATED: &str = "org.opencontainers.image.created";

/// A manifest or an index; which of them shows in what it holds.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    /// The configuration, of a manifest.
    pub config: Option<Descriptor>,
    /// The manifests, of an index.
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

/// Something that a manifest points to.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Its digest.
    pub digest: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    platform: Option<Platform>,
}

#[derive(Debug, Clone, Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

#[derive(Debug, Deserialize)]
struct Configuration {
    created: Option<String>,
}

impl Manifest {
    /// When the annotation says the image was built.
    pub fn created(&self) -> Option<Timestamp> {
        self.annotations.get(CREATED).and_then(|text| usable(text))
    }

    /// The manifests of an index that are images: attestations and signatures are none.
    pub fn platforms(&self) -> impl Iterator<Item = &Descriptor> {
        self.manifests.iter().filter(|descriptor| {
            let unknown =
                descriptor.platform.as_ref().is_some_and(|p| p.os == "unknown" && p.architecture == "unknown");
            !unknown && !descriptor.annotations.contains_key("vnd.docker.reference.type")
        })
    }

    /// Whether it is an index of manifests.
    pub fn is_index(&self) -> bool {
        self.config.is_none() && !self.manifests.is_empty()
    }
}

/// When a configuration says the image was built.
pub fn created_of_configuration(bytes: &[u8]) -> Result<Option<Timestamp>, serde_json::Error> {
    let configuration: Configuration = serde_json::from_slice(bytes)?;
    Ok(configuration.created.as_deref().and_then(usable))
}

/// A time that can tell two images apart: reproducible builds write the epoch, some tools the year 1.
fn usable(text: &str) -> Option<Timestamp> {
    let at: Timestamp = text.parse().ok()?;
    (at > Timestamp::UNIX_EPOCH).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_that_mean_nothing_are_none() {
        assert!(usable("2026-11-01T10:00:00Z").is_some());
        assert!(usable("2026-11-01T10:00:00.123456789+02:00").is_some());
        assert_eq!(usable("1970-01-01T00:00:00Z"), None);
        assert_eq!(usable("0001-01-01T00:00:00Z"), None);
        assert_eq!(usable("yesterday"), None);
    }

    #[test]
    fn attestations_are_no_platforms() {
        let index: Manifest = serde_json::from_str(
            r#"{"manifests":[
                {"digest":"a","platform":{"os":"linux","architecture":"amd64"}},
                {"digest":"b","platform":{"os":"unknown","architecture":"unknown"}},
                {"digest":"c","annotations":{"vnd.docker.reference.type":"attestation-manifest"}}]}"#,
        )
        .expect("JSON");
        assert!(index.is_index());
        assert_eq!(index.platforms().map(|d| d.digest.as_str()).collect::<Vec<_>>(), ["a"]);
    }
}
