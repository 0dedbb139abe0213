//! Decides which redirects are followed, and who receives secrets.
//!
//! Secrets stay with the origin (scheme, host and port) that they are for: as soon as a redirect leaves it, they are
//! left out, and they stay out even if a later redirect leads back. Redirects never lead from https to http, or into a
//! network that is more private than the first server's, unless the configuration names the host.

use std::fmt;
use std::str::FromStr;

use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Method, StatusCode};
use url::{Origin, Url};

use super::excerpt::excerpt;
use super::reach::Reach;

/// The most redirects that are followed.
const LIMIT: usize = 5;

/// The longest name of a host (RFC 1035, section 2.3.4), and the longest URL that is followed, in bytes.
const LONGEST_HOST: usize = 255;
const LONGEST_URL: usize = 16 << 10;

/// A host that redirects may lead to even if its address is private.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectHost {
    host: url::Host,
    /// The port; `None` is the default port of the scheme.
    port: Option<u16>,
}

/// A text that is not a host with an optional port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a host with an optional port, such as storage.example.com or 10.0.20.10:9000")]
pub struct RedirectHostError;

impl FromStr for RedirectHost {
    type Err = RedirectHostError;

    fn from_str(text: &str) -> Result<RedirectHost, RedirectHostError> {
        if text.contains(['/', '@', '?', '#', '\\']) {
            return Err(RedirectHostError);
        }
        let url = Url::parse(&format!("https://{text}")).map_err(|_| RedirectHostError)?;
        let host = url.host().ok_or(RedirectHostError)?.to_owned();
        Ok(RedirectHost { host, port: url.port() })
    }
}

impl RedirectHost {
    fn is_of(&self, url: &Url) -> bool {
        let has_port = match self.port {
            Some(port) => url.port_or_known_default() == Some(port),
            None => url.port().is_none(),
        };
        has_port && url.host().is_some_and(|host| host.to_owned() == self.host)
    }
}

/// A redirect that was not followed, or led to a server that gets no credentials. Only the origin of its target is
/// named, because the path may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} ({to})")]
pub struct RedirectError {
    /// The target: scheme, host and port.
    pub to: String,
    /// The reason.
    pub problem: RedirectProblem,
}

/// The reason why a redirect was of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedirectProblem {
    /// There were too many.
    TooMany,
    /// It leads from https to http.
    Unencrypted,
    /// It leads into a more private network.
    Private,
    /// The request has a body, which is not sent to another origin.
    NotRepeated,
    /// The target is not an http or https URL.
    Invalid,
    /// The target requires credentials, which it does not get.
    Credentials,
}

impl fmt::Display for RedirectProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RedirectProblem::TooMany => write!(f, "it redirects more than {LIMIT} times"),
            RedirectProblem::Unencrypted => f.write_str("it redirects from https to http"),
            RedirectProblem::Private => f.write_str("it redirects to a private address"),
            RedirectProblem::NotRepeated => f.write_str("it redirects a request that is not repeated elsewhere"),
            RedirectProblem::Invalid => f.write_str("it redirects to an invalid URL"),
            RedirectProblem::Credentials => {
                f.write_str("it redirects to a server that requires credentials and does not get them")
            }
        }
    }
}

impl RedirectError {
    /// A problem with the server of a URL.
    pub fn new(url: &Url, problem: RedirectProblem) -> RedirectError {
        RedirectError { to: excerpt(&url.origin().ascii_serialization()), problem }
    }

    /// The target's host and port.
    pub fn host(&self) -> &str {
        self.to.split_once("://").map_or(self.to.as_str(), |(_, host)| host)
    }
}

/// A request on its way through redirects.
#[derive(Debug, Clone)]
pub struct Route {
    origin: Origin,
    url: Url,
    /// The reach of the first server.
    reach: Reach,
    hops: usize,
    has_left: bool,
}

impl Route {
    /// Starts at the first server, whose reach is that of its URL until [`Route::resolved`] knows better.
    pub fn new(url: Url) -> Route {
        Route { origin: url.origin(), reach: Reach::of_url(&url), url, hops: 0, has_left: false }
    }

    /// Takes note of the addresses behind the first server's name.
    pub fn resolved(&mut self, reach: Reach) {
        self.reach = self.reach.max(reach);
    }

    /// The URL of the next request.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Whether the next request goes to the first server's origin.
    pub fn is_at_origin(&self) -> bool {
        self.url.origin() == self.origin
    }

    /// Whether the next request goes to the first server's origin and has never left it, so that it may carry secrets.
    pub fn carries_secrets(&self) -> bool {
        !self.has_left
    }

    /// Where the name in the URL may lead; `None` for anywhere.
    pub fn limit(&self, allowed: &[RedirectHost]) -> Option<Reach> {
        let is_trusted = self.is_at_origin() || allowed.iter().any(|host| host.is_of(&self.url));
        (!is_trusted).then_some(self.reach)
    }

    /// Moves on to another URL, as if the server redirected there.
    ///
    /// # Errors
    /// The redirect must not be followed.
    pub fn go_to(&mut self, mut next: Url, allowed: &[RedirectHost]) -> Result<(), RedirectError> {
        let refused = |next: &Url, problem| Err(RedirectError::new(next, problem));
        let has_host = next.host_str().is_some_and(|host| host.len() <= LONGEST_HOST);
        if !matches!(next.scheme(), "https" | "http") || !has_host || next.as_str().len() > LONGEST_URL {
            return refused(&next, RedirectProblem::Invalid);
        }
        if self.hops == LIMIT {
            return refused(&next, RedirectProblem::TooMany);
        }
        if self.url.scheme() == "https" && next.scheme() != "https" {
            return refused(&next, RedirectProblem::Unencrypted);
        }
        // Credentials in a URL are the redirecting server's; nothing is sent on its behalf. Neither call fails, because
        // there is a host.
        let _ = next.set_username("");
        let _ = next.set_password(None);
        let here = std::mem::replace(&mut self.url, next);
        if self.limit(allowed).is_some_and(|limit| Reach::of_url(&self.url) > limit) {
            return refused(&std::mem::replace(&mut self.url, here), RedirectProblem::Private);
        }
        self.hops += 1;
        self.has_left |= !self.is_at_origin();
        Ok(())
    }

    /// Follows a redirect; returns `false` if the response is not one.
    ///
    /// Only GET and HEAD are followed to other origins. Any other request is repeated at its own origin if the server
    /// asks for just that (307 and 308), and nowhere else.
    ///
    /// # Errors
    /// The redirect must not be followed.
    pub fn follow(
        &mut self,
        method: &Method,
        status: StatusCode,
        headers: &HeaderMap,
        allowed: &[RedirectHost],
    ) -> Result<bool, RedirectError> {
        if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(false);
        }
        let Some(location) = headers.get(LOCATION) else { return Ok(false) };
        let next = location.to_str().ok().and_then(|location| self.url.join(location).ok());
        let next = next.ok_or_else(|| RedirectError::new(&self.url, RedirectProblem::Invalid))?;
        let is_repeatable = [Method::GET, Method::HEAD].contains(method)
            || matches!(status.as_u16(), 307 | 308) && next.origin() == self.origin;
        if !is_repeatable {
            return Err(RedirectError::new(&next, RedirectProblem::NotRepeated));
        }
        self.go_to(next, allowed).map(|()| true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().expect(text)
    }

    /// Follows redirects from a registry; returns whether secrets are still sent, or the problem.
    fn led(
        from: &str,
        reach: Reach,
        allowed: &[&str],
        method: &Method,
        steps: &[(u16, &str)],
    ) -> Result<bool, RedirectProblem> {
        let allowed: Vec<RedirectHost> = allowed.iter().map(|host| host.parse().expect("a host")).collect();
        let mut route = Route::new(url(from));
        route.resolved(reach);
        for (status, to) in steps {
            let headers = HeaderMap::from_iter([(LOCATION, to.parse().expect("a header"))]);
            let status = StatusCode::from_u16(*status).expect("a status");
            assert!(route.follow(method, status, &headers, &allowed).map_err(|error| error.problem)?, "{to}");
        }
        Ok(route.carries_secrets())
    }

    #[test]
    fn secrets_stay_with_their_origin() {
        let led = |to: &[&str]| {
            let steps: Vec<_> = to.iter().map(|to| (307, *to)).collect();
            led("https://r.example.com/v2/", Reach::Public, &[], &Method::GET, &steps)
        };
        assert_eq!(led(&["/other", "https://r.example.com:443/x", "//r.example.com/y"]), Ok(true));
        assert_eq!(led(&["https://s.example.com/x"]), Ok(false));
        assert_eq!(led(&["https://r.example.com:8443/x"]), Ok(false));
        assert_eq!(led(&["https://r.example.com.evil.net/"]), Ok(false));
        // A stranger may not choose the path of a request with secrets.
        assert_eq!(led(&["https://s.example.com/x", "https://r.example.com/v2/"]), Ok(false));
        assert_eq!(led(&["http://r.example.com/v2/"]), Err(RedirectProblem::Unencrypted));
        assert_eq!(led(&["https://s.example.com/", "http://s.example.com/"]), Err(RedirectProblem::Unencrypted));
        assert_eq!(led(&["ftp://r.example.com/"]), Err(RedirectProblem::Invalid));
        assert_eq!(led(&["data:text/plain,x"]), Err(RedirectProblem::Invalid));
        let (host, path) = (format!("https://{}/", "x".repeat(256)), format!("/{}", "x".repeat(16 << 10)));
        assert_eq!((led(&[&host]), led(&[&path])), (Err(RedirectProblem::Invalid), Err(RedirectProblem::Invalid)));
        assert_eq!(led(&["/1", "/2", "/3", "/4", "/5"]), Ok(true));
        assert_eq!(led(&["/1", "/2", "/3", "/4", "/5", "/6"]), Err(RedirectProblem::TooMany));
    }

    #[test]
    fn redirects_lead_into_no_other_network() {
        let led = |from: &str, reach, allowed: &[&str], to: &str| led(from, reach, allowed, &Method::GET, &[(302, to)]);
        let public = |to: &str| led("https://r.example.com/", Reach::Public, &[], to);
        for to in [
            "https://10.0.0.5/",
            "https://127.0.0.1/",
            "https://169.254.169.254/",
            "https://localhost/",
            "https://[::1]/",
        ] {
            assert_eq!(public(to), Err(RedirectProblem::Private), "{to}");
        }
        // What a name or an address of a private registry leads to.
        for (from, reach) in [("https://registry.svc/", Reach::Private), ("https://10.0.0.1/", Reach::Public)] {
            assert_eq!(led(from, reach, &[], "https://10.0.0.5:9000/"), Ok(false));
            assert_eq!(led(from, reach, &[], "https://127.0.0.1/"), Err(RedirectProblem::Private));
            assert_eq!(led(from, reach, &[], "https://169.254.169.254/"), Err(RedirectProblem::Private));
        }
        assert_eq!(led("http://127.0.0.1:5000/", Reach::Public, &[], "http://127.0.0.1:9000/"), Ok(false));
        let metadata = led("http://127.0.0.1:5000/", Reach::Loopback, &[], "http://169.254.169.254/");
        assert_eq!(metadata, Err(RedirectProblem::Private));
        let named = |allowed: &[&str]| led("https://r.example.com/", Reach::Public, allowed, "https://10.0.0.5:9000/");
        assert_eq!(named(&["10.0.0.5:9000"]), Ok(false));
        assert_eq!(named(&["10.0.0.5", "10.0.0.6:9000", "10.0.0.5:9001"]), Err(RedirectProblem::Private));
    }

    #[test]
    fn names_are_limited_unless_they_are_the_servers_own_or_configured() {
        let allowed = ["minio.storage.svc:9000".parse().expect("a host")];
        let mut route = Route::new(url("https://r.example.com/"));
        assert_eq!(route.limit(&allowed), None);
        route.go_to(url("https://s.example.com/"), &allowed).expect("public");
        assert_eq!(route.limit(&allowed), Some(Reach::Public));
        route.go_to(url("https://minio.storage.svc:9000/"), &allowed).expect("configured");
        assert_eq!(route.limit(&allowed), None);
    }

    #[test]
    fn bodies_are_repeated_only_where_they_were_sent() {
        let led = |status, to: &str| led("https://r.example.com/", Reach::Public, &[], &Method::POST, &[(status, to)]);
        assert_eq!(led(307, "/moved"), Ok(true));
        assert_eq!(led(302, "/moved"), Err(RedirectProblem::NotRepeated));
        assert_eq!(led(308, "https://s.example.com/"), Err(RedirectProblem::NotRepeated));
        let plain =
            RedirectError::new(&url("https://s.example.com/secret?x=y"), RedirectProblem::NotRepeated).to_string();
        assert!(plain.ends_with("(https://s.example.com)"), "{plain}");
    }

    #[test]
    fn hosts_in_the_configuration_are_read() {
        for text in ["storage.example.com", "10.0.0.5:9000", "[fd00::1]:9000", "minio:9000"] {
            assert!(text.parse::<RedirectHost>().is_ok(), "{text}");
        }
        for text in ["", "https://x", "x/y", "u@x", "x:y", "*.example.com/"] {
            assert!(text.parse::<RedirectHost>().is_err(), "{text}");
        }
    }
}
