//! Links to further pages of a list, and the requests that follow them.

use url::Url;

/// Returns the path and query of a linked page, given the server and the URL of the response with the link. A link to
/// another server is ignored.
pub fn target_of_link(server: &Url, from: &Url, link: &str) -> Option<String> {
    let url = from.join(link).ok()?;
    let same = url.origin() == server.origin() || url.origin() == from.origin();
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    same.then(|| format!("{}{query}", url.path()))
}

/// Returns the URL of a path and query on a server. It is not resolved like a link: `//example.com/` is a path here, not
/// another server.
pub fn url_of_target(server: &Url, target: &str) -> Url {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let mut url = server.clone();
    url.set_path(path);
    url.set_query(query);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_paths_of_the_server() {
        let server: Url = "https://r.example.com/".parse().expect("a URL");
        let page = server.join("v2/app/tags/list?n=2").expect("a URL");
        let followed = |link: &str| Some(url_of_target(&server, &target_of_link(&server, &page, link)?).to_string());
        let next = Some("https://r.example.com/v2/app/tags/list?n=2&last=b".to_owned());
        assert_eq!(followed("/v2/app/tags/list?n=2&last=b"), next);
        assert_eq!(followed("list?n=2&last=b"), next);
        assert_eq!(followed("https://r.example.com/v2/app/tags/list?n=2&last=b"), next);
        assert_eq!(followed("?last=%2F%3Fb").as_deref(), Some("https://r.example.com/v2/app/tags/list?last=%2F%3Fb"));
        for elsewhere in
            ["//evil.net/x", "https://evil.net/x", "http://r.example.com/x", "https://r.example.com:8443/x"]
        {
            assert_eq!(followed(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn no_path_names_another_server() {
        let server: Url = "https://r.example.com/".parse().expect("a URL");
        for link in ["https://r.example.com//evil.net/x", "/.//evil.net/x", "https://r.example.com/\\evil.net/x"] {
            let target = target_of_link(&server, &server, link).expect("the same origin");
            assert_eq!(url_of_target(&server, &target).as_str(), "https://r.example.com//evil.net/x", "{link}");
        }
    }
}
