//! The proxy of a client: one of its own, those of the environment, or none.

use std::fmt;
use std::str::FromStr;

use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

use crate::secret::Secret;

/// The schemes of proxies: HTTP, HTTP over TLS, and SOCKS 5, with names resolved here or by the proxy.
const SCHEMES: [&str; 4] = ["http", "https", "socks5", "socks5h"];

/// The proxy of a client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Proxy {
    /// The one that the environment names for a host, if any (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`).
    #[default]
    Environment,
    /// None, whatever the environment says.
    Direct,
    /// This one, whatever the environment says.
    At(ProxyUrl),
}

/// The URL of a proxy, without credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyUrl(Url);

/// The user and the password for a proxy.
#[derive(Debug, Clone)]
pub struct ProxyCredentials {
    user: String,
    password: Secret<String>,
}

/// A text that does not name a proxy. It is not repeated, because it may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// It is not the URL of a proxy.
    #[error("expected direct, or the scheme, host and port of a proxy, such as http://proxy.example.com:3128")]
    Url,
    /// It contains a user or a password.
    #[error("the URL contains credentials; write them to a file and name it in proxyCredentialsFile")]
    Credentials,
}

impl FromStr for Proxy {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Proxy, ProxyError> {
        if text == "direct" { Ok(Proxy::Direct) } else { text.parse().map(Proxy::At) }
    }
}

impl FromStr for ProxyUrl {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<ProxyUrl, ProxyError> {
        let url = Url::parse(text).map_err(|_| ProxyError::Url)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ProxyError::Credentials);
        }
        let is_proxy = SCHEMES.contains(&url.scheme())
            && url.host_str().is_some_and(|host| !host.is_empty())
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none();
        if is_proxy { Ok(ProxyUrl(url)) } else { Err(ProxyError::Url) }
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl ProxyCredentials {
    /// Parses `user:password`. A line break at the end does not count.
    ///
    /// # Errors
    /// The problem, in words that do not repeat the text.
    pub fn parse(text: &Secret<Vec<u8>>) -> Result<ProxyCredentials, &'static str> {
        let text = std::str::from_utf8(text.expose()).map_err(|_| "it is not text")?;
        let (user, password) = text.trim_end_matches(['\r', '\n']).split_once(':').ok_or("expected user:password")?;
        if user.is_empty() || user.contains(char::is_control) || password.contains(char::is_control) {
            return Err("expected user:password on one line");
        }
        Ok(ProxyCredentials { user: user.to_owned(), password: Secret::new(password.to_owned()) })
    }
}

impl Proxy {
    /// Returns the URL of the proxy for requests to `url`, without credentials. `None` means that there is no proxy.
    pub fn used_for(&self, url: &Url) -> Option<String> {
        match self {
            Proxy::Direct => None,
            Proxy::At(proxy) => Some(proxy.to_string()),
            Proxy::Environment => {
                let url: hyper::Uri = url.as_str().parse().ok()?;
                let proxy = Matcher::from_system().intercept(&url)?;
                Some(proxy.uri().to_string().trim_end_matches('/').to_owned())
            }
        }
    }

    /// Sets the proxy of a client.
    ///
    /// # Errors
    /// The proxy cannot be used.
    pub fn set(
        &self,
        builder: reqwest::ClientBuilder,
        credentials: Option<&ProxyCredentials>,
    ) -> reqwest::Result<reqwest::ClientBuilder> {
        Ok(match self {
            Proxy::Environment => builder,
            Proxy::Direct => builder.no_proxy(),
            Proxy::At(ProxyUrl(url)) => {
                let mut proxy = reqwest::Proxy::all(url.clone())?;
                if let Some(ProxyCredentials { user, password }) = credentials {
                    proxy = proxy.basic_auth(user, password.expose());
                }
                // Proxies of the environment do not apply once there is one of its own.
                builder.proxy(proxy)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_read_and_passwords_not_repeated() {
        assert_eq!("direct".parse(), Ok(Proxy::Direct));
        for text in ["http://proxy:3128", "https://proxy.example.com", "socks5://10.0.0.1:1080", "socks5h://p:1080"] {
            let Ok(Proxy::At(url)) = text.parse() else { panic!("{text}") };
            assert_eq!(url.to_string(), text);
        }
        for text in ["proxy:3128", "ftp://proxy", "http://", "socks5://", "http://proxy/x", "http://proxy?x", "none"] {
            assert_eq!(text.parse::<Proxy>(), Err(ProxyError::Url), "{text}");
        }
        for text in ["http://me:sesame@proxy:3128", "socks5://me@proxy:1080"] {
            assert_eq!(text.parse::<Proxy>(), Err(ProxyError::Credentials), "{text}");
        }
    }

    #[test]
    fn credentials_are_a_user_and_a_password() {
        let parse = |text: &[u8]| ProxyCredentials::parse(&Secret::new(text.to_vec()));
        let both = |text: &str| parse(text.as_bytes()).map(|both| (both.user, both.password.expose().clone()));
        assert_eq!(both("me:se:same @\r\n"), Ok(("me".to_owned(), "se:same @".to_owned())));
        assert_eq!(both("me:"), Ok(("me".to_owned(), String::new())));
        for text in ["", "me", ":sesame", "me:a\nb:c", "me:\0"] {
            assert!(both(text).is_err_and(|error| !error.contains("sesame")), "{text:?}");
        }
        assert!(parse(b"\xff:x").is_err());
    }

    #[test]
    fn a_setting_takes_precedence_over_the_environment() {
        let url = "https://registry.example.com/".parse().expect("a URL");
        assert_eq!(Proxy::Direct.used_for(&url), None);
        let own: Proxy = "http://proxy:3128/".parse().expect("a proxy");
        assert_eq!(own.used_for(&url).as_deref(), Some("http://proxy:3128"));
    }
}
