//! A gateway in front of the real registry that counts requests, and adds what that registry lacks: the referrers API.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::registry::Registry;
use super::scripted::{Answer, Asked, Scripted};

/// The referrers of images, by digest.
type Referrers = Arc<Mutex<BTreeMap<String, Vec<Value>>>>;

/// A part of paths, and the status and body with which it is answered.
type Odd = (&'static str, u16, &'static str);

/// A gateway in front of a registry.
pub struct Gateway {
    server: Scripted,
    referrers: Referrers,
    odd: Arc<Mutex<Option<Odd>>>,
    /// The number of requests that were counted before.
    counted: Mutex<usize>,
}

impl Gateway {
    /// Serves a registry with or without the referrers API.
    pub fn to(registry: &Registry, has_referrers: bool) -> Gateway {
        let (port, referrers, odd) = (registry.port(), Referrers::default(), Arc::<Mutex<Option<Odd>>>::default());
        let (listed, answered) = (Arc::clone(&referrers), Arc::clone(&odd));
        let server = Scripted::start(move |asked| {
            if let Some((_, status, body)) =
                answered.lock().expect("unpoisoned").filter(|(part, _, _)| asked.target.contains(part))
            {
                return Some((status, Vec::new(), body.as_bytes().to_vec()));
            }
            match asked.target.split_once("/referrers/") {
                Some((_, digest)) if has_referrers => {
                    let listed = listed.lock().expect("unpoisoned");
                    let kind = "application/vnd.oci.image.index.v1+json";
                    let list = listed.get(digest).cloned().unwrap_or_default();
                    let index = json!({ "schemaVersion": 2, "mediaType": kind, "manifests": list });
                    Some((200, vec![("Content-Type".to_owned(), kind.to_owned())], index.to_string().into_bytes()))
                }
                _ => forward(port, asked),
            }
        });
        Gateway { server, referrers, odd, counted: Mutex::default() }
    }

    /// The host and port as written in image names.
    pub fn host(&self) -> String {
        self.server.host()
    }

    /// Adds a referrer of an image.
    pub fn refer(&self, image: &str, referrer: Value) {
        self.referrers.lock().expect("unpoisoned").entry(image.to_owned()).or_default().push(referrer);
    }

    /// Answers all requests whose path contains a text with a status and a body, or no longer.
    pub fn answer(&self, odd: Option<Odd>) {
        *self.odd.lock().expect("unpoisoned") = odd;
    }

    /// The requests since the last call.
    pub fn requests(&self) -> Vec<String> {
        let asked = self.server.asked();
        let before = std::mem::replace(&mut *self.counted.lock().expect("unpoisoned"), asked.len());
        asked[before..].iter().map(|asked| format!("{} {}", asked.method, asked.target)).collect()
    }
}

/// Sends a request on and returns the response.
fn forward(port: u16, asked: &Asked) -> Answer {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let accept = asked.accept.as_deref().unwrap_or("*/*");
    let head = format!(
        "{} {} HTTP/1.0\r\nHost: 127.0.0.1\r\nAccept: {accept}\r\nConnection: close\r\n\r\n",
        asked.method, asked.target
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = text.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let kept = ["content-type", "docker-content-digest", "content-length", "link", "etag"];
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.filter(|(name, _)| {
        let name = name.to_ascii_lowercase();
        kept.contains(&name.as_str()) && (asked.method == "HEAD" || name != "content-length")
    });
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Some((status, headers, bytes[end + 4..].to_vec()))
}
