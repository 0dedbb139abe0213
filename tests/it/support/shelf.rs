//! A registry with images that are generated on request, in any mood: for behavior that a real one cannot be made to
//! show, and for more tags than one could push.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use super::registry::digest;
use super::scripted::{Answer, Asked, Scripted, json as answer};

/// The layer that all images share.
const LAYER: &[u8] = b"a layer";

/// The behavior of the registry.
#[allow(dead_code, reason = "the soak tests use all of it")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Well,
    /// It responds with 503.
    Down,
    /// It accepts connections and sends nothing.
    Silent,
    /// It is slow.
    Slow,
    /// It is overloaded: 429.
    Full,
    /// It sends bytes that do not match their digest.
    Lying,
    /// It sends layers that are too short.
    Short,
    /// It lists tags without the latest push.
    Forgetful,
    /// It sends invalid JSON.
    Garbled,
    /// It asks for a wait of years, in one form after another.
    Stalling,
    /// It lists tags of the first image without end.
    Endless,
}

/// Status and headers of responses that ask for a wait of years.
const STALLING: [(u16, &[(&str, &str)]); 5] = [
    (429, &[("RateLimit-Reset", "18446744073709551615"), ("RateLimit-Remaining", "0")]),
    (429, &[("Retry-After", "999999999")]),
    (503, &[("Retry-After", "18446744073709551615")]),
    (429, &[("Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT")]),
    (200, &[("RateLimit-Reset", "18446744073709551615"), ("RateLimit-Remaining", "0")]),
];

/// The contents of the registry: for each image `org/app-NUMBER` the tags, with the second of 2020 in which they were
/// built, which is in the past on any clock that a test sets.
pub struct Shelf {
    pub mood: Mood,
    pub tags: Vec<Vec<(String, i64)>>,
    /// The number of requests so far.
    asked: usize,
}

impl Shelf {
    /// Serves a registry whose contents can change meanwhile.
    pub fn serve(tags: Vec<Vec<(String, i64)>>) -> (Arc<Mutex<Shelf>>, Scripted) {
        let shelf = Arc::new(Mutex::new(Shelf { mood: Mood::Well, tags, asked: 0 }));
        let served = Arc::clone(&shelf);
        let server = Scripted::start(move |request| {
            let mood = served.lock().expect("unpoisoned").mood;
            if mood == Mood::Slow {
                std::thread::sleep(Duration::from_millis(30));
            }
            served.lock().expect("unpoisoned").answer(request)
        });
        (shelf, server)
    }

    fn answer(&mut self, request: &Asked) -> Answer {
        self.asked += 1;
        match self.mood {
            Mood::Down => return answer(503, json!({}), &[]),
            Mood::Full => return answer(429, json!({}), &[("Retry-After", "0")]),
            Mood::Silent => return None,
            Mood::Garbled => return Some((200, Vec::new(), b"<html>".to_vec())),
            Mood::Stalling => {
                let (status, headers) = STALLING[self.asked % STALLING.len()];
                return answer(status, json!({ "tags": [] }), headers);
            }
            Mood::Endless if request.target.starts_with("/v2/org/app-0/tags/list") => return Some(endless(request)),
            Mood::Well | Mood::Slow | Mood::Lying | Mood::Short | Mood::Forgetful | Mood::Endless => {}
        }
        let path = request.target.split('?').next().unwrap_or_default();
        let below = path.strip_prefix("/v2/org/app-").and_then(|rest| rest.split_once('/'));
        let Some((image, what)) = below else { return answer(200, json!({}), &[]) };
        let tags = &self.tags[image.parse::<usize>().expect("a number")];
        if what == "tags/list" {
            let count = if self.mood == Mood::Forgetful { tags.len().div_ceil(2) } else { tags.len() };
            let names: Vec<&String> = tags[..count].iter().map(|(name, _)| name).collect();
            return answer(200, json!({ "tags": names }), &[]);
        }
        let (kind, name) = what.split_once('/').unwrap_or_default();
        let found = if kind == "manifests" {
            let named = |(tag, second): &&(String, i64)| tag == name || digest(&manifest(*second)) == name;
            tags.iter().find(named).map(|(_, second)| manifest(*second))
        } else if name == digest(LAYER) {
            Some(LAYER.to_vec())
        } else {
            tags.iter().map(|(_, second)| configuration(*second)).find(|bytes| digest(bytes) == name)
        };
        let Some(mut bytes) = found else { return answer(404, json!({ "errors": [] }), &[]) };
        let called = digest(&bytes);
        match self.mood {
            Mood::Lying => bytes.push(b' '),
            Mood::Short if name == digest(LAYER) => bytes.truncate(1),
            _ => {}
        }
        Some((200, vec![("Docker-Content-Digest".to_owned(), called)], bytes))
    }
}

/// A page of tags that no other page has, with a link to the next.
fn endless(request: &Asked) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let (path, page) = request.target.split_once("?page=").unwrap_or((&request.target, "0"));
    let page: u64 = page.parse().unwrap_or_default();
    let tags: Vec<String> = (0..3_000).map(|n| format!("e{:06x}", page * 3_000 + n)).collect();
    let path = path.split('?').next().unwrap_or_default();
    let headers = [("Link", format!("<{path}?page={}>; rel=\"next\"", page + 1)), ("ETag", format!("\"{page}\""))];
    let headers = headers.map(|(name, value)| (name.to_owned(), value)).to_vec();
    (200, headers, json!({ "tags": tags }).to_string().into_bytes())
}

fn configuration(second: i64) -> Vec<u8> {
    let created = jiff::Timestamp::from_second(1_577_836_800 + second).expect("a time").to_string();
    json!({ "created": created, "architecture": "amd64", "os": "linux" }).to_string().into_bytes()
}

fn manifest(second: i64) -> Vec<u8> {
    let part = |bytes: &[u8]| json!({ "digest": digest(bytes), "size": bytes.len(), "mediaType": "x" });
    let parts = json!({ "schemaVersion": 2, "layers": [part(LAYER)], "config": part(&configuration(second)) });
    parts.to_string().into_bytes()
}
