//! `Link` headers: following one never leaves the server, and the same link leads to the same page.

use reqwest::header::{HeaderMap, HeaderValue, LINK};
use tagalong::http::next_link;
use tagalong::registry::page_link::{target_of_link, url_of_target};
use url::Url;

pub fn run(bytes: &[u8]) {
    let server = Url::parse("https://registry.example.com:5000/").expect("a URL");
    let storage = Url::parse("https://storage.example.net/pages/1?token=a").expect("a URL");
    let page = server.join("v2/org/app/tags/list?n=100").expect("a URL");
    let values = bytes.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok());
    let headers: HeaderMap = values.map(|value| (LINK, value)).collect();
    let Some(link) = next_link(&headers) else { return };
    assert!(!link.contains('>') && bytes.len() >= link.len());
    for from in [&page, &storage] {
        let Some(target) = target_of_link(&server, from, &link) else { continue };
        assert!(target.starts_with('/'), "{target}");
        let next = url_of_target(&server, &target);
        assert_eq!(next.origin(), server.origin(), "{link} leads to {next}");
        assert!(next.username().is_empty() && next.password().is_none() && next.fragment().is_none());
        assert_eq!(target_of_link(&server, &server, next.as_str()), Some(target), "{link}");
    }
}
