//! Names of source repositories. The same one is `https://github.com/acme/shop`, `git+https://github.com/acme/shop.git`
//! or `git@github.com:acme/shop`, depending on the tool that wrote it.

use std::fmt;

/// A source repository by its host and path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceRepository(String);

impl SourceRepository {
    /// Reads the name of a repository in any of its forms; `None` if it has no host or no path.
    ///
    /// Scheme, `git+`, user, `.git`, fragment and a final `@ref` are left out. Hosts are in lower case.
    pub fn parse(text: &str) -> Option<SourceRepository> {
        let text = text.strip_prefix("git+").unwrap_or(text);
        let text = text.split(['#', '?']).next()?;
        let (rest, is_url) = match text.split_once("://") {
            Some((_, rest)) => (rest, true),
            None => (text, false),
        };
        // The user of an authority, never the `@ref` behind a path.
        let authority_end = rest.find('/').unwrap_or(rest.len());
        let rest = rest[..authority_end].rfind('@').map_or(rest, |at| &rest[at + 1..]);
        let end = rest.find(if is_url { &['/'][..] } else { &['/', ':'][..] })?;
        let (host, path) = (&rest[..end], &rest[end + 1..]);
        let path = path.rfind('@').map_or(path, |at| &path[..at]).trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        let is_plain = |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
        let climbs = path.split('/').any(|part| matches!(part, "" | "." | ".."));
        (is_plain(host) && is_plain(path) && !climbs)
            .then(|| SourceRepository(format!("{}/{path}", host.to_ascii_lowercase())))
    }

    /// Returns host and path: `github.com/acme/shop`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourceRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_of_a_name_are_the_same_repository() {
        for text in [
            "https://github.com/acme/shop",
            "https://GitHub.com/acme/shop.git",
            "git+https://github.com/acme/shop@refs/heads/main",
            "git+https://github.com/acme/shop.git@refs/tags/v1.0",
            "https://github.com/acme/shop.git#refs/heads/main",
            "ssh://git@github.com/acme/shop.git",
            "git@github.com:acme/shop.git",
            "https://token@github.com/acme/shop/",
            "github.com/acme/shop",
        ] {
            assert_eq!(SourceRepository::parse(text).expect(text).as_str(), "github.com/acme/shop", "{text}");
        }
        let port = SourceRepository::parse("https://git.example.com:8443/a/b.git").expect("a name");
        assert_eq!(port.as_str(), "git.example.com:8443/a/b");
    }

    #[test]
    fn other_repositories_are_told_apart() {
        let parse = |text: &str| SourceRepository::parse(text).map(|name| name.as_str().to_owned());
        let wanted = parse("https://github.com/acme/shop");
        for text in [
            "https://github.com/acme/Shop",
            "https://github.com/acme/shop/x",
            "https://github.com@evil.example/acme/shop",
            "https://evil.example/github.com/acme/shop",
            "https://github.com.evil.example/acme/shop",
            "https://github.com/evil/x@y/../../acme/shop",
            "https://github.com/acme/../acme/shop",
        ] {
            assert_ne!(parse(text), wanted, "{text}");
        }
        for text in
            ["", "shop", "https://", "https:///acme", "https://github.com/", "https://github.com/a b", "/srv/git"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
