//! Images as other tools push them: a generated OCI layout, copied by skopeo.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::registry::{Registry, digest};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// An OCI layout with an index of two platforms and an attestation.
pub struct Layout {
    folder: PathBuf,
}

impl Layout {
    /// Creates the layout; `created` is the build date in the images.
    pub fn make(folder: &Path, created: &str) -> Layout {
        let layout = Layout { folder: folder.to_owned() };
        fs::create_dir_all(folder.join("blobs/sha256")).expect("a folder");
        fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("written");
        let mut listed: Vec<Value> =
            ["amd64", "arm64"].map(|architecture| layout.image(architecture, created)).to_vec();
        let mut attestation = layout.image("unknown", "2099-01-01T00:00:00Z");
        attestation["platform"] = json!({ "architecture": "unknown", "os": "unknown" });
        attestation["annotations"] = json!({
            "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": listed[0]["digest"],
        });
        listed.push(attestation);
        let index = layout.store(INDEX, &json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": listed }));
        let root = json!({ "schemaVersion": 2, "manifests": [index] });
        fs::write(folder.join("index.json"), root.to_string()).expect("written");
        layout
    }

    /// Pushes it with skopeo, with more arguments for `skopeo copy`.
    pub fn push(&self, registry: &Registry, repository: &str, tag: &str, arguments: &[&str]) {
        let output = Command::new("skopeo")
            .args(["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"])
            .args(arguments)
            .arg(format!("oci:{}", self.folder.display()))
            .arg(format!("docker://{}/{repository}:{tag}", registry.host()))
            .output()
            .expect("skopeo starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn image(&self, architecture: &str, created: &str) -> Value {
        let layer =
            vec![b'x'; 4096].into_iter().chain(format!("{architecture} {created}").bytes()).collect::<Vec<u8>>();
        let layer_digest = self.blob(&layer);
        let config = json!({
            "created": created, "architecture": architecture, "os": "linux", "config": {},
            "rootfs": { "type": "layers", "diff_ids": [layer_digest] },
        });
        let config = config.to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": self.blob(&config), "size": config.len() },
            "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer_digest, "size": layer.len() }],
        });
        let mut descriptor = self.store(MANIFEST, &manifest);
        descriptor["platform"] = json!({ "architecture": architecture, "os": "linux" });
        descriptor
    }

    fn store(&self, kind: &str, content: &Value) -> Value {
        let bytes = content.to_string().into_bytes();
        json!({ "mediaType": kind, "digest": self.blob(&bytes), "size": bytes.len() })
    }

    fn blob(&self, bytes: &[u8]) -> String {
        let digest = digest(bytes);
        let name = digest.strip_prefix("sha256:").expect("sha256");
        fs::write(self.folder.join("blobs/sha256").join(name), bytes).expect("written");
        digest
    }
}
