//! Debian's docker-registry, with images pushed through its own API.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, LOCATION};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::certificates::{self, Authority};
use super::process::{Server, free_port, wait_until};

/// The user and password of a registry that requires them.
pub const USER: &str = "puller";
pub const PASSWORD: &str = "open-sesame-7";
/// `htpasswd -nbBC 5 puller open-sesame-7`.
const HTPASSWD: &str = "puller:$2y$05$C9vZxqxQVeql7Du/kXD73eXd.nj.c0LGnvcRqxV/8phhMIpgBv/9O";

/// The setup of a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Plain,
    Htpasswd,
    Tls,
    /// TLS and a password.
    TlsHtpasswd,
    /// TLS with certificates of clients, by `clients.pem` in its folder or the authority of `fixtures/client-certificates`.
    Mutual,
}

impl Kind {
    fn is_tls(self) -> bool {
        matches!(self, Kind::Tls | Kind::TlsHtpasswd | Kind::Mutual)
    }

    fn has_users(self) -> bool {
        matches!(self, Kind::Htpasswd | Kind::TlsHtpasswd)
    }
}

/// A registry that runs until this value is dropped.
pub struct Registry {
    _server: Server,
    kind: Kind,
    port: u16,
    folder: PathBuf,
}

impl Registry {
    /// Starts a registry with its storage below `folder`.
    pub fn start(folder: &Path, kind: Kind) -> Registry {
        fs::create_dir_all(folder.join("storage")).expect("a folder");
        let mut config = String::new();
        if kind.is_tls() {
            certificates::make(folder);
            config = format!("  tls:\n    certificate: {0}/server.pem\n    key: {0}/server.key\n", folder.display());
        }
        if kind == Kind::Mutual {
            let clients = Authority::new("another authority for clients");
            fs::write(folder.join("clients.pem"), &clients.pem).expect("written");
            clients.client("the tests", 2020, 2100).write(folder, "client");
            let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/client-certificates/ca.pem");
            let own = folder.join("clients.pem");
            config += &format!("    clientcas: [{}, {}]\n", own.display(), fixtures.display());
        }
        let mut auth = String::new();
        if kind.has_users() {
            fs::write(folder.join("htpasswd"), HTPASSWD).expect("written");
            auth = format!("auth:\n  htpasswd:\n    realm: tests\n    path: {}/htpasswd\n", folder.display());
        }
        Registry::launch(folder, kind, &config, &auth)
    }

    /// Starts a registry with an `auth` section of the test's own.
    pub fn start_with_auth(folder: &Path, auth: &str) -> Registry {
        Registry::launch(folder, Kind::Plain, "", auth)
    }

    /// Starts a registry that sends notifications to an endpoint, with a bearer token.
    pub fn start_notifying(folder: &Path, url: &str, token: &str) -> Registry {
        fs::create_dir_all(folder.join("storage")).expect("a folder");
        let text = format!(
            "notifications:\n  endpoints:\n  - name: tests\n    url: {url}\n    headers: {{ Authorization: [\"Bearer {token}\"] }}\n    \
             timeout: 5s\n    threshold: 3\n    backoff: 100ms\n"
        );
        Registry::launch(folder, Kind::Plain, "", &text)
    }

    fn launch(folder: &Path, kind: Kind, config: &str, auth: &str) -> Registry {
        for _ in 0..5 {
            let port = free_port();
            let text = format!(
                "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}/storage\n  delete:\n    enabled: true\n\
                 http:\n  addr: 127.0.0.1:{port}\n{config}{auth}",
                folder.display()
            );
            fs::write(folder.join("config.yml"), text).expect("written");
            let log = fs::File::create(folder.join("log")).expect("a log");
            let output = log.try_clone().expect("a log");
            let mut server = Server::start("docker-registry", |command| {
                command.arg("serve").arg(folder.join("config.yml")).stderr(log).stdout(output)
            });
            wait_until("the registry listens", || {
                server.has_ended() || TcpStream::connect(("127.0.0.1", port)).is_ok()
            });
            if !server.has_ended() {
                return Registry { _server: server, kind, port, folder: folder.to_owned() };
            }
        }
        panic!("no registry: {}", fs::read_to_string(folder.join("log")).unwrap_or_default());
    }

    /// Host and port as written in image names.
    pub fn host(&self) -> String {
        // The certificate is for a name, not for an address.
        let name = if self.kind.is_tls() { "localhost" } else { "127.0.0.1" };
        format!("{name}:{}", self.port)
    }

    /// The certificate authority of a TLS registry.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// The certificate of a client that it accepts, and its key.
    pub fn client_files(&self) -> (PathBuf, PathBuf) {
        (self.folder.join("client.pem"), self.folder.join("client.key"))
    }

    /// Pushes an image of one platform, built at `created`, and returns its digest.
    pub fn push(&self, repository: &str, tag: &str, created: &str) -> String {
        self.block_on(async {
            let manifest = self.image(repository, tag, created, "amd64").await;
            self.put(repository, tag, "application/vnd.oci.image.manifest.v1+json", &manifest).await
        })
    }

    /// Pushes an image of one platform with labels, built at `created`, and returns its digest.
    pub fn push_labelled(&self, repository: &str, tag: &str, created: &str, labels: &[(&str, &str)]) -> String {
        let labels: serde_json::Map<String, serde_json::Value> =
            labels.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        self.block_on(async {
            let manifest = self.image_with(repository, tag, created, "amd64", json!({ "Labels": labels })).await;
            self.put(repository, tag, "application/vnd.oci.image.manifest.v1+json", &manifest).await
        })
    }

    /// Pushes a chart, like `helm push`, and returns the digest of its layer.
    pub fn push_chart(&self, repository: &str, tag: &str, created: &str) -> String {
        let (name, version) = (repository.rsplit('/').next().unwrap_or_default(), tag.replace('_', "+"));
        let layer = format!("the archive of {repository}:{tag}").into_bytes();
        let config = json!({ "apiVersion": "v2", "name": name, "version": version }).to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": { "mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": digest(&config), "size": config.len() },
            "layers": [{ "mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "digest": digest(&layer), "size": layer.len() }],
            "annotations": { "org.opencontainers.image.created": created, "org.opencontainers.image.version": version },
        });
        self.block_on(async {
            self.blob(repository, &layer).await;
            self.blob(repository, &config).await;
            let kind = "application/vnd.oci.image.manifest.v1+json";
            self.put(repository, tag, kind, &manifest.to_string().into_bytes()).await;
        });
        digest(&layer)
    }

    /// Pushes an index of two platforms and an attestation, like buildx.
    pub fn push_index(&self, repository: &str, tag: &str, created: &str) -> String {
        self.block_on(async {
            let kind = "application/vnd.oci.image.manifest.v1+json";
            let mut manifests = Vec::new();
            for (architecture, os) in [("amd64", "linux"), ("arm64", "linux"), ("unknown", "unknown")] {
                // An attestation created long after must not count.
                let at = if os == "unknown" { "2099-01-01T00:00:00Z" } else { created };
                let manifest = self.image(repository, &format!("{tag}-{architecture}"), at, architecture).await;
                let digest = self.put(repository, &digest(&manifest), kind, &manifest).await;
                manifests.push(json!({ "mediaType": kind, "digest": digest, "size": manifest.len(),
                    "platform": { "architecture": architecture, "os": os } }));
            }
            let kind = "application/vnd.oci.image.index.v1+json";
            let index =
                json!({ "schemaVersion": 2, "mediaType": kind, "manifests": manifests }).to_string().into_bytes();
            self.put(repository, tag, kind, &index).await
        })
    }

    /// Deletes content behind the registry's back, like a failing disk or a wrong cleanup.
    pub fn lose(&self, digest: &str) {
        let hex = digest.strip_prefix("sha256:").expect("sha256");
        let data = self.folder.join(format!("storage/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]));
        fs::remove_file(&data).unwrap_or_else(|error| panic!("{}: {error}", data.display()));
    }

    /// Changes content behind the registry's back.
    pub fn spoil(&self, digest: &str, bytes: &[u8]) {
        let hex = digest.strip_prefix("sha256:").expect("sha256");
        let data = self.folder.join(format!("storage/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]));
        fs::write(data, bytes).expect("written");
    }

    /// A manifest or index as JSON.
    pub fn manifest(&self, repository: &str, reference: &str) -> serde_json::Value {
        self.block_on(async {
            let url = format!("{}/v2/{repository}/manifests/{reference}", self.base());
            let accept = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                 application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
            let request = self.request(reqwest::Method::GET, &url).header("Accept", accept);
            let answer = request.send().await.expect("an answer");
            serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON")
        })
    }

    /// Gives an existing image another tag; `reference` is a tag or a digest.
    pub fn tag(&self, repository: &str, reference: &str, tag: &str) {
        self.block_on(async {
            let url = format!("{}/v2/{repository}/manifests/{reference}", self.base());
            let accept = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json";
            let request = self.request(reqwest::Method::GET, &url).header("Accept", accept);
            let answer = request.send().await.expect("an answer");
            let kind = answer.headers().get(CONTENT_TYPE).expect("a type").to_str().expect("text").to_owned();
            self.put(repository, tag, &kind, &answer.bytes().await.expect("a body")).await;
        });
    }

    /// The digests of an index's platforms, in order.
    pub fn platforms(&self, repository: &str, tag: &str) -> Vec<String> {
        let index = self.manifest(repository, tag);
        let manifests = index["manifests"].as_array().expect("an index").iter();
        let images = manifests.filter(|manifest| manifest["platform"]["os"] != "unknown");
        images.map(|manifest| manifest["digest"].as_str().expect("a digest").to_owned()).collect()
    }

    /// Removes a tag and keeps its image for the other tags.
    pub fn untag(&self, repository: &str, tag: &str) {
        let tags = self.folder.join(format!("storage/docker/registry/v2/repositories/{repository}/_manifests/tags"));
        fs::remove_dir_all(tags.join(tag)).expect("the tag was there");
    }

    /// Pushes a manifest or index as is.
    pub fn put_manifest(&self, repository: &str, tag: &str, manifest: &serde_json::Value) -> String {
        let kind = manifest["mediaType"].as_str().expect("a media type").to_owned();
        self.block_on(self.put(repository, tag, &kind, &manifest.to_string().into_bytes()))
    }

    /// Pushes a manifest with layers of its own, as signatures are stored, and returns its digest. `layers` are media type,
    /// content and annotations; `reference` is the tag, or `None` for the digest alone.
    pub fn put_artifact(
        &self,
        repository: &str,
        reference: Option<&str>,
        layers: &[(&str, &[u8], serde_json::Value)],
        more: serde_json::Value,
    ) -> String {
        let layer = |(kind, bytes, annotations): &(&str, &[u8], serde_json::Value)| json!({ "mediaType": kind, "digest": digest(bytes), "size": bytes.len(), "annotations": annotations });
        let config = b"{}";
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let mut manifest = json!({
            "schemaVersion": 2, "mediaType": kind,
            "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(config), "size": config.len() },
            "layers": layers.iter().map(layer).collect::<Vec<_>>(),
        });
        for (key, value) in more.as_object().expect("an object") {
            manifest[key] = value.clone();
        }
        let bytes = manifest.to_string().into_bytes();
        self.block_on(async {
            self.blob(repository, config).await;
            for (_, content, _) in layers {
                self.blob(repository, content).await;
            }
            self.put(repository, reference.unwrap_or(&digest(&bytes)), kind, &bytes).await
        })
    }

    /// Pushes a blob.
    pub fn put_blob(&self, repository: &str, bytes: &[u8]) {
        self.block_on(self.blob(repository, bytes));
    }

    /// Pushes a manifest or index, byte for byte, under a tag or its digest.
    pub fn put_bytes(&self, repository: &str, reference: &str, kind: &str, bytes: &[u8]) {
        self.block_on(self.put(repository, reference, kind, bytes));
    }

    /// The port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Deletes a manifest by its digest.
    pub fn delete(&self, repository: &str, digest: &str) {
        self.block_on(async {
            let url = format!("{}/v2/{repository}/manifests/{digest}", self.base());
            let answer = self.request(reqwest::Method::DELETE, &url).send().await.expect("an answer");
            assert_eq!(answer.status().as_u16(), 202);
        });
    }

    async fn image(&self, repository: &str, name: &str, created: &str, architecture: &str) -> Vec<u8> {
        self.image_with(repository, name, created, architecture, json!({})).await
    }

    async fn image_with(
        &self,
        repository: &str,
        name: &str,
        created: &str,
        architecture: &str,
        run: serde_json::Value,
    ) -> Vec<u8> {
        let layer = format!("the files of {repository}:{name}").into_bytes();
        let config = json!({ "created": created, "architecture": architecture, "os": "linux", "config": run, "rootfs": { "type": "layers", "diff_ids": [] } });
        let config = config.to_string().into_bytes();
        self.blob(repository, &layer).await;
        self.blob(repository, &config).await;
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(&config), "size": config.len() },
            "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest(&layer), "size": layer.len() }],
        });
        manifest.to_string().into_bytes()
    }

    async fn blob(&self, repository: &str, bytes: &[u8]) {
        let url = format!("{}/v2/{repository}/blobs/uploads/", self.base());
        let started = self.request(reqwest::Method::POST, &url).send().await.expect("an upload");
        let location = started.headers().get(LOCATION).expect("a location").to_str().expect("text").to_owned();
        let joint = if location.contains('?') { '&' } else { '?' };
        let url = format!("{location}{joint}digest={}", digest(bytes));
        let sent = self.request(reqwest::Method::PUT, &url).body(bytes.to_vec()).send().await.expect("an answer");
        assert_eq!(sent.status().as_u16(), 201, "{url}");
    }

    async fn put(&self, repository: &str, reference: &str, kind: &str, bytes: &[u8]) -> String {
        let url = format!("{}/v2/{repository}/manifests/{reference}", self.base());
        let request = self.request(reqwest::Method::PUT, &url).header(CONTENT_TYPE, kind).body(bytes.to_vec());
        let sent = request.send().await.expect("an answer");
        assert_eq!(sent.status().as_u16(), 201, "{}", sent.text().await.unwrap_or_default());
        digest(bytes)
    }

    fn base(&self) -> String {
        let scheme = if self.kind.is_tls() { "https" } else { "http" };
        format!("{scheme}://{}", self.host())
    }

    fn request(&self, method: reqwest::Method, url: &str) -> reqwest::RequestBuilder {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder().timeout(Duration::from_secs(20));
        if self.kind.is_tls() {
            let pem = fs::read(self.ca_file()).expect("a certificate");
            builder = builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem).expect("certificates"));
        }
        if self.kind == Kind::Mutual {
            let read = |name: &str| fs::read_to_string(self.folder.join(name)).expect("there");
            let pem = read("client.pem") + &read("client.key");
            builder = builder.identity(reqwest::Identity::from_pem(pem.as_bytes()).expect("an identity"));
        }
        let request = builder.build().expect("a client").request(method, url);
        if self.kind.has_users() { request.basic_auth(USER, Some(PASSWORD)) } else { request }
    }

    fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
    }
}

/// The `sha256:` digest of bytes.
pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
