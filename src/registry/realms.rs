//! Token servers that may receive a registry's credentials: those at the registry's own origin, well-known ones of
//! public registries, and the one in the configuration. A registry may name any other one (its `realm`), but only for
//! anonymous tokens.

use std::str::FromStr;

use url::{Origin, Url};

/// Public registries whose token server has another origin than the registry itself.
///
/// Most have the same: ghcr.io, quay.io, gcr.io and Google's Artifact Registry, public.ecr.aws, Azure's registries,
/// registry.redhat.io, nvcr.io, and self-hosted Harbor and Gitea. Amazon's private registries need no token server.
const WELL_KNOWN: [(&str, &str); 7] = [
    ("https://registry-1.docker.io", "https://auth.docker.io"),
    ("https://registry.gitlab.com", "https://gitlab.com"),
    ("https://registry.digitalocean.com", "https://api.digitalocean.com"),
    ("https://docker.elastic.co", "https://docker-auth.elastic.co"),
    ("https://rg.fr-par.scw.cloud", "https://api.scaleway.com"),
    ("https://rg.nl-ams.scw.cloud", "https://api.scaleway.com"),
    ("https://rg.pl-waw.scw.cloud", "https://api.scaleway.com"),
];

/// The origin of a token server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenServer(Origin);

/// An invalid origin. It is not repeated, because it may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the scheme, host and port of a token server, such as https://auth.example.com")]
pub struct TokenServerError;

impl FromStr for TokenServer {
    type Err = TokenServerError;

    fn from_str(text: &str) -> Result<TokenServer, TokenServerError> {
        let url = Url::parse(text).map_err(|_| TokenServerError)?;
        let is_origin = matches!(url.scheme(), "https" | "http")
            && url.path() == "/"
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if is_origin { Ok(TokenServer(url.origin())) } else { Err(TokenServerError) }
    }
}

/// Whether a token server may receive the credentials of a registry.
pub fn may_have_credentials(realm: &Url, registry: &Url, configured: Option<&TokenServer>) -> bool {
    let (realm, registry) = (realm.origin(), registry.origin());
    let is_pair = |(of, at): &(&str, &str)| *of == registry.ascii_serialization() && *at == realm.ascii_serialization();
    realm == registry || configured.is_some_and(|configured| configured.0 == realm) || WELL_KNOWN.iter().any(is_pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_origins_receive_credentials() {
        let may = |registry: &str, realm: &str, configured: Option<&str>| {
            let configured = configured.map(|text| text.parse::<TokenServer>().expect(text));
            let [registry, realm] = [registry, realm].map(|url| url.parse::<Url>().expect(url));
            may_have_credentials(&realm, &registry, configured.as_ref())
        };
        for (registry, realm) in [
            ("https://registry-1.docker.io/", "https://auth.docker.io/token"),
            ("https://registry.gitlab.com/", "https://gitlab.com/jwt/auth"),
            ("https://ghcr.io/", "https://ghcr.io:443/token"),
            ("http://127.0.0.1:5000/", "http://127.0.0.1:5000/token"),
        ] {
            assert!(may(registry, realm, None), "{registry} {realm}");
        }
        for (registry, realm) in [
            ("https://registry-1.docker.io/", "http://auth.docker.io/token"),
            ("https://registry-1.docker.io/", "https://gitlab.com/jwt/auth"),
            ("https://registry-1.docker.io:5000/", "https://auth.docker.io/token"),
            ("https://r.example.com/", "https://auth.docker.io/token"),
            ("https://r.example.com/", "https://auth.example.com/token"),
            ("https://r.example.com/", "https://r.example.com:5001/token"),
            ("https://r.example.com/", "https://r.example.com.evil.net/token"),
            ("https://r.example.com/", "https://r.example.com@evil.net/token"),
        ] {
            assert!(!may(registry, realm, None), "{registry} {realm}");
        }
        let configured = Some("https://auth.example.com");
        assert!(may("https://r.example.com/", "https://auth.example.com/token", configured));
        assert!(!may("https://r.example.com/", "https://auth.example.com:8443/token", configured));
        assert!(!may("https://r.example.com/", "https://evil.net/token", configured));
    }

    #[test]
    fn a_token_server_is_an_origin() {
        assert!("https://auth.example.com:8443/".parse::<TokenServer>().is_ok());
        for text in ["auth.example.com", "https://u:hunter2@x", "https://x/token", "https://x?a", "ftp://x", ""] {
            let error = text.parse::<TokenServer>().expect_err(text).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn the_table_holds_origins() {
        for (registry, realm) in WELL_KNOWN {
            for text in [registry, realm] {
                assert_eq!(text.parse::<Url>().expect(text).origin().ascii_serialization(), text);
                assert!(text.starts_with("https://"), "{text}");
            }
        }
    }
}
