//! Values that redact themselves: no type here prints what it holds.

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroize;

/// A value that must never be printed, such as a token, a password or a private key. It is wiped from memory when
/// dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Secret(value)
    }

    /// Returns the value itself. The name stands out so that each use is noticed in review.
    pub fn expose(&self) -> &T {
        &self.0
    }

    /// Returns the value itself, to be filled in.
    pub fn expose_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<T: Zeroize> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl From<String> for Secret<String> {
    fn from(value: String) -> Self {
        Secret::new(value)
    }
}

/// The URL of a repository or of an endpoint: `https://…`, `ssh://…`, `file://…`, an absolute path, or the scp form
/// `user@host:path`. Displayed, it shows no password, and no user either where a user may be a token (http, https).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SafeUrl(String);

/// The reason why a text is not the URL of a repository. It does not repeat the text, which may contain a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a URL: {reason}")]
pub struct UrlError {
    reason: &'static str,
}

impl SafeUrl {
    /// Returns the URL with its credentials, for the library that connects.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns `https`, `http`, `ssh` or `file`.
    pub fn scheme(&self) -> &str {
        match self.0.split_once("://") {
            Some((scheme, _)) => scheme,
            None if self.0.starts_with('/') => "file",
            None => "ssh",
        }
    }

    /// Returns the path on this machine, if the URL is one.
    pub fn local_path(&self) -> Option<&str> {
        match self.0.strip_prefix("file://") {
            Some(path) => Some(path),
            None => self.0.starts_with('/').then_some(self.0.as_str()),
        }
    }

    /// Returns host and port as written, without the user; empty for local paths.
    pub fn authority(&self) -> &str {
        let rest = match self.0.split_once("://") {
            Some(("file", _)) => return "",
            Some((_, rest)) => rest.split(['/', '?', '#']).next().unwrap_or_default(),
            None if self.0.starts_with('/') => return "",
            None => self.0.split(':').next().unwrap_or_default(),
        };
        rest.rsplit_once('@').map_or(rest, |(_, host)| host)
    }

    /// Returns the address at which a browser shows the repository: forges use the same host and path. It contains no
    /// credentials. `None` for a repository on this machine.
    pub fn page(&self) -> Option<url::Url> {
        let (host, path) = match (self.scheme(), self.0.split_once("://")) {
            ("file", _) => return None,
            // The scp form: user@host:path.
            (_, None) => (self.authority().to_owned(), self.0.split_once(':')?.1.to_owned()),
            (scheme, Some(_)) => {
                let url = url::Url::parse(&self.0).ok()?;
                let port = url.port().filter(|_| scheme != "ssh").map(|port| format!(":{port}")).unwrap_or_default();
                (format!("{}{port}", url.host_str()?), url.path().to_owned())
            }
        };
        let scheme = if self.scheme() == "http" { "http" } else { "https" };
        let (host, path) = browsed(host, path);
        let path = path.trim_matches('/').trim_end_matches(".git");
        url::Url::parse(&format!("{scheme}://{host}/{path}")).ok()
    }

    /// Returns the last two parts of the path, which are owner and name on many forges: `acme/infra`. `None` for a
    /// repository on this machine, and for paths with fewer parts.
    pub fn owner_and_name(&self) -> Option<String> {
        let page = self.page()?;
        let parts: Vec<&str> = page.path().split('/').filter(|part| !part.is_empty()).collect();
        match parts.as_slice() {
            [.., owner, name] => Some(format!("{owner}/{name}")),
            _ => None,
        }
    }

    /// Returns whether the host is this machine, so that nobody can listen in on the connection.
    pub fn is_loopback(&self) -> bool {
        ["127.0.0.1", "localhost", "[::1]"].iter().any(|host| {
            self.authority().strip_prefix(host).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        })
    }
}

/// Returns the host and the path for browsers. Azure DevOps and Bitbucket use others for ssh.
fn browsed(host: String, path: String) -> (String, String) {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (host.as_str(), parts.as_slice()) {
        ("ssh.dev.azure.com" | "vs-ssh.visualstudio.com", ["v3", organization, project, name]) => {
            ("dev.azure.com".to_owned(), format!("{organization}/{project}/_git/{name}"))
        }
        ("altssh.bitbucket.org", _) => ("bitbucket.org".to_owned(), path),
        (_, [before @ .., "_ssh", name]) => {
            let path = format!("{}/_git/{name}", before.join("/"));
            (host, path)
        }
        _ => (host, path),
    }
}

impl FromStr for SafeUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let fail = |reason| Err(UrlError { reason });
        if text.is_empty() {
            return fail("it is empty");
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return fail("it contains white space");
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            if !matches!(scheme, "https" | "http" | "ssh" | "file") {
                return fail("its scheme is not https, http, ssh or file");
            }
            if scheme == "file" && !rest.starts_with('/') {
                return fail("`file://` must be followed by an absolute path");
            }
            let url = SafeUrl(text.to_owned());
            if scheme != "file" && (url.authority().is_empty() || url::Url::parse(text).is_err()) {
                return fail("its host is not valid");
            }
            return Ok(url);
        }
        if text.starts_with('/') {
            return Ok(SafeUrl(text.to_owned()));
        }
        match text.split_once(':') {
            Some((host, path)) if !host.is_empty() && !host.contains('/') && !path.is_empty() => {
                Ok(SafeUrl(text.to_owned()))
            }
            _ => fail("write https://host/path, ssh://user@host/path, user@host:path or an absolute path"),
        }
    }
}

impl fmt::Display for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            return f.write_str(&self.0);
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        // A query may carry a token as well.
        let tail = tail.split(['?', '#']).next().unwrap_or_default();
        match authority.rsplit_once('@') {
            Some((user, host)) if scheme == "ssh" => {
                let user = user.split(':').next().unwrap_or_default();
                write!(f, "{scheme}://{user}@{host}{tail}")
            }
            Some((_, host)) => write!(f, "{scheme}://***@{host}{tail}"),
            None => write!(f, "{scheme}://{authority}{tail}"),
        }
    }
}

impl fmt::Debug for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret} {secret:?}"), "[redacted] [redacted]");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn a_url_shows_no_password_and_no_token() {
        let shown = |text: &str| text.parse::<SafeUrl>().expect(text).to_string();
        assert_eq!(shown("https://u:p@example.com:8443/a/b.git?token=x"), "https://***@example.com:8443/a/b.git");
        assert_eq!(shown("https://ghp_token@example.com/a"), "https://***@example.com/a");
        assert_eq!(shown("ssh://git:pw@example.com:22/a.git"), "ssh://git@example.com:22/a.git");
        assert_eq!(shown("git@example.com:a/b.git"), "git@example.com:a/b.git");
        assert_eq!(shown("/srv/git/infra.git"), "/srv/git/infra.git");
    }

    #[test]
    fn parts_of_a_url() {
        let url = |text: &str| text.parse::<SafeUrl>().expect(text);
        assert_eq!(url("git@example.com:a/b.git").scheme(), "ssh");
        assert_eq!(url("git@example.com:a/b.git").authority(), "example.com");
        assert_eq!(url("ssh://git@127.0.0.1:2222/a.git").authority(), "127.0.0.1:2222");
        assert_eq!(url("file:///srv/x.git").local_path(), Some("/srv/x.git"));
        assert_eq!(url("https://example.com/x").local_path(), None);
    }

    #[test]
    fn owner_and_name_are_the_end_of_the_path() {
        let named = |text: &str| text.parse::<SafeUrl>().expect(text).owner_and_name();
        for text in
            ["https://x:y@github.com/acme/infra.git", "git@github.com:acme/infra", "ssh://git@h:2/x/acme/infra/"]
        {
            assert_eq!(named(text).as_deref(), Some("acme/infra"), "{text}");
        }
        assert_eq!((named("https://github.com/acme"), named("/srv/acme/infra.git")), (None, None));
    }

    #[test]
    fn invalid_urls_are_refused_without_repeating_them() {
        for text in
            ["", "infra", "ftp://u:sesame@host/x", "https://", "file://relative", "a b:c", "https://u:sesame@/x"]
        {
            let error = text.parse::<SafeUrl>().expect_err(text);
            assert!(!error.to_string().contains("sesame"), "{error}");
        }
    }
}
