//! A Helm repository that is not an OCI registry: files with ETags, and the index of charts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::registry::digest;
use super::scripted::{Asked, Scripted};

type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A server of files.
pub struct ChartServer {
    pub server: Scripted,
    files: Files,
}

impl ChartServer {
    pub fn start() -> ChartServer {
        ChartServer::with_password(None)
    }

    /// Requires this header in all requests, if there is one.
    pub fn with_password(authorization: Option<&'static str>) -> ChartServer {
        let files = Files::default();
        let served = Arc::clone(&files);
        let server = Scripted::start(move |request: &Asked| {
            if authorization.is_some() && request.authorization.as_deref() != authorization {
                let challenge = ("WWW-Authenticate".to_owned(), "Basic realm=\"charts\"".to_owned());
                return Some((401, vec![challenge], Vec::new()));
            }
            let files = served.lock().expect("unpoisoned");
            let Some(bytes) = files.get(&request.target) else { return Some((404, Vec::new(), Vec::new())) };
            let etag = format!("\"{}\"", digest(bytes));
            if request.if_none_match.as_ref() == Some(&etag) {
                return Some((304, Vec::new(), Vec::new()));
            }
            Some((200, vec![("ETag".to_owned(), etag)], bytes.clone()))
        });
        ChartServer { server, files }
    }

    pub fn put(&self, target: &str, bytes: &[u8]) {
        self.files.lock().expect("unpoisoned").insert(target.to_owned(), bytes.to_vec());
    }

    pub fn remove(&self, target: &str) {
        self.files.lock().expect("unpoisoned").remove(target);
    }

    /// Puts an index at `/stable/index.yaml` with versions of the chart `shop`, and the archives that they refer to. A
    /// version may be followed by lines of its entry, separated by `;`.
    pub fn publish(&self, versions: &[&str]) {
        let mut index = "apiVersion: v1\nentries:\n  other:\n  - version: 99.0.0\n  shop:\n".to_owned();
        for entry in versions {
            let (version, lines) = entry.split_once(';').unwrap_or((entry, ""));
            let archive = format!("the archive of {version}").into_bytes();
            index.push_str(&format!("  - name: shop\n    version: {version}\n"));
            index.push_str(&format!("    digest: {}\n", digest(&archive).trim_start_matches("sha256:")));
            if !lines.contains("urls:") {
                index.push_str(&format!("    urls: [shop-{version}.tgz]\n"));
                self.put(&format!("/stable/shop-{version}.tgz"), &archive);
            }
            lines.split(';').filter(|line| !line.is_empty()).for_each(|line| index.push_str(&format!("    {line}\n")));
        }
        self.put("/stable/index.yaml", index.as_bytes());
    }

    /// The requests for the index, with whether they had an ETag.
    pub fn index_requests(&self) -> Vec<bool> {
        let asked = self.server.asked().into_iter().filter(|asked| asked.target.ends_with("index.yaml"));
        asked.map(|asked| asked.if_none_match.is_some()).collect()
    }
}
