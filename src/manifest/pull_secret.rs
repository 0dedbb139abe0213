//! Pull secrets: the Secrets with the registry credentials of a kubelet.

use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::secret::Secret;
use crate::yaml::plain::is_ambiguous;
use crate::yaml::scan::Scan;

/// The type of a pull secret.
pub const TYPE: &str = "kubernetes.io/dockerconfigjson";

/// The key of its only value, a Docker config file.
pub const KEY: &str = ".dockerconfigjson";

/// The key of pull secrets in the legacy format, before `auths`.
pub const LEGACY_KEY: &str = ".dockercfg";

/// A valid name of a Kubernetes object (RFC 1123 subdomain).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

/// A text that is not a valid name of a Kubernetes object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a valid Kubernetes name: use a-z, 0-9, - and ., with a letter or digit at both ends")]
pub struct NameError(String);

impl Name {
    /// Returns the text of the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name as YAML, quoted if some reader would take it for a number or a boolean.
    fn in_yaml(&self) -> String {
        if is_ambiguous(&self.0) { format!("\"{}\"", self.0) } else { self.0.clone() }
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Name, NameError> {
        let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let is_label = |part: &str| part.starts_with(is_end) && part.ends_with(is_end) && part.chars().all(is_inner);
        let good = text.len() <= 253 && text.split('.').all(is_label);
        if good { Ok(Name(text.to_owned())) } else { Err(NameError(text.to_owned())) }
    }
}

/// A pull secret to be written.
#[derive(Debug)]
pub struct PullSecret {
    /// Its namespace.
    pub namespace: Name,
    /// Its name.
    pub name: Name,
}

impl PullSecret {
    /// Returns the plaintext manifest with a Docker config file.
    pub fn manifest(&self, docker_config: &Secret<String>) -> Secret<String> {
        let (name, namespace, value) = (self.name.in_yaml(), self.namespace.in_yaml(), encoded(docker_config));
        let value = value.expose();
        Secret::new(format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n  namespace: {namespace}\ntype: {TYPE}\ndata:\n  {KEY}: {value}\n"
        ))
    }

    /// Returns whether a file is the manifest of this Secret and of nothing else, encrypted or not.
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        let Ok(scan) = Scan::read(bytes) else { return false };
        let mut documents = scan.documents().map(|(_, root)| root);
        let (Some(root), None) = (documents.next(), documents.next()) else { return false };
        let metadata = |key: &str| scan.get(root, "metadata").and_then(|metadata| scan.get_scalar(metadata, key));
        scan.get_scalar(root, "kind") == Some("Secret")
            && metadata("name") == Some(self.name.as_str())
            && metadata("namespace") == Some(self.namespace.as_str())
    }
}

/// Returns a Docker config file as it is stored in `data`.
pub fn encoded(docker_config: &Secret<String>) -> Secret<String> {
    Secret::new(STANDARD.encode(docker_config.expose()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(namespace: &str, name: &str) -> PullSecret {
        PullSecret { namespace: namespace.parse().expect("a name"), name: name.parse().expect("a name") }
    }

    #[test]
    fn names_are_those_of_kubernetes() {
        for good in ["a", "ghcr.io", "pull-1", "123", "on"] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a..b", "a_b", "a/b", "a\nb", &"a".repeat(254)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_manifest_is_recognised_as_its_own() {
        let own = secret("123", "on");
        let text = own.manifest(&Secret::new("{}".to_owned()));
        assert!(own.is_in(text.expose().as_bytes()), "{}", text.expose());
        assert!(text.expose().contains("name: \"on\"") && text.expose().ends_with("  .dockerconfigjson: e30=\n"));
        assert!(!secret("a", "on").is_in(text.expose().as_bytes()));
        assert!(!own.is_in(format!("{0}---\n{0}", text.expose()).as_bytes()));
        assert!(!own.is_in(b"kind: [") && !own.is_in(b""));
    }
}
