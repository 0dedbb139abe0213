//! Docker config files and credential helpers.

use std::collections::HashSet;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use docker_credential::{CredentialRetrievalError, DockerCredential};
use globset::GlobBuilder;
use serde_json::{Value, json};

use crate::secret::Secret;

use super::error::RegistryError;

/// The longest pattern of a host, in bytes. A host with scheme and port is shorter, and what a long pattern compiles to
/// can be large.
const LONGEST_PATTERN: usize = 300;

/// A credential for a registry.
#[derive(Debug, Clone)]
pub enum Credential {
    /// User and password, or user and token.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: Secret<String>,
    },
    /// A refresh token, which OAuth2 exchanges for an access token.
    RefreshToken(Secret<String>),
}

/// Looks up the credential for a repository of a host (an empty path means the host alone) in a Docker config file, as
/// written by `docker login` or podman, or in a Kubernetes pull secret (`.dockerconfigjson` or the older `.dockercfg`);
/// `None` if the file has none. The file is read on each call, so that it can be rotated. Runs credential helpers,
/// which may block.
pub fn look_up(file: &Path, host: &str, path: &str) -> Result<Option<Credential>, RegistryError> {
    let fail = |reason: String| RegistryError::CredentialsFile { file: file.to_owned(), reason };
    let text = Secret::new(std::fs::read(file).map_err(|error| fail(error.to_string()))?);
    find(text, host, path, Helpers::Run).map_err(fail)
}

/// Looks up the credential for a repository in the Docker config file of a pull secret. Credential helpers are not run:
/// someone who can write a Secret must not be able to choose programs to run here.
pub fn in_pull_secret(text: Secret<Vec<u8>>, host: &str, path: &str) -> Result<Option<Credential>, String> {
    find(text, host, path, Helpers::Ignored)
}

/// The registries with entries in a Docker config file.
pub fn hosts_in(text: &Secret<Vec<u8>>) -> Vec<String> {
    let root: Value = serde_json::from_slice(text.expose()).unwrap_or_default();
    let auths = if is_old_form(&root) { &root } else { &root["auths"] };
    // A user may precede the host.
    let shown = |key: &String| plain(key).rsplit('@').next().unwrap_or_default().to_owned();
    auths.as_object().into_iter().flatten().map(|(key, _)| shown(key)).collect()
}

/// Whether the credential helpers in a file are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Helpers {
    Run,
    Ignored,
}

fn find(text: Secret<Vec<u8>>, host: &str, path: &str, helpers: Helpers) -> Result<Option<Credential>, String> {
    // The parser's own message could repeat a part of the file.
    let root: Value = serde_json::from_slice(text.expose()).map_err(|_| "it is not valid JSON".to_owned())?;
    let text = if is_old_form(&root) {
        Secret::new(json!({ "auths": root }).to_string().into_bytes())
    } else if helpers == Helpers::Ignored {
        let auths = root["auths"].as_object().cloned().unwrap_or_default();
        Secret::new(json!({ "auths": auths }).to_string().into_bytes())
    } else {
        text
    };
    let auths = if is_old_form(&root) { &root } else { &root["auths"] };
    for name in names(auths, host, path) {
        // A file may have thousands of names for a host, and is not parsed for each of them.
        let entry = auths.get(&name).filter(|_| helpers == Helpers::Ignored);
        let own =
            entry.map(|entry| Secret::new(json!({ "auths": { (name.as_str()): entry } }).to_string().into_bytes()));
        let text = own.as_ref().unwrap_or(&text);
        match docker_credential::get_credential_from_reader(text.expose().as_slice(), &name) {
            Ok(DockerCredential::UsernamePassword(user, password)) => {
                return Ok(Some(Credential::Password { user, password: Secret::new(password) }));
            }
            Ok(DockerCredential::IdentityToken(token)) => {
                return Ok(Some(Credential::RefreshToken(Secret::new(token))));
            }
            Err(CredentialRetrievalError::NoCredentialConfigured) => {}
            // Helpers report a missing credential with this message, on stdout.
            Err(CredentialRetrievalError::HelperFailure { stdout, stderr, .. })
                if format!("{stdout}{stderr}").contains("credentials not found") => {}
            Err(CredentialRetrievalError::HelperFailure { helper, .. }) => {
                return Err(format!("{helper} failed"));
            }
            Err(CredentialRetrievalError::HelperCommunicationError) => {
                let helper = root["credHelpers"][&name].as_str().or(root["credsStore"].as_str()).unwrap_or_default();
                return Err(format!("cannot run docker-credential-{helper}; is it installed?"));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(None)
}

/// Writes a Docker config file with the credential for one host, as a kubelet reads it; `None` for a refresh token,
/// which a kubelet does not support.
pub fn written(host: &str, credential: &Credential) -> Option<Secret<String>> {
    let Credential::Password { user, password } = credential else { return None };
    let auth = Secret::new(STANDARD.encode(Secret::new(format!("{user}:{}", password.expose())).expose()));
    let [name, user, password, auth] = [hosts_of(host)[0], user, password.expose(), auth.expose()].map(quoted);
    let [name, user, password, auth] = [&name, &user, &password, &auth].map(Secret::expose);
    Some(Secret::new(format!(r#"{{"auths":{{{name}:{{"username":{user},"password":{password},"auth":{auth}}}}}}}"#)))
}

fn quoted(text: &str) -> Secret<String> {
    Secret::new(Value::from(text).to_string())
}

/// The names of a host. Docker Hub's entry has the name of its old index.
fn hosts_of(host: &str) -> Vec<&str> {
    match host {
        "docker.io" => vec!["https://index.docker.io/v1/", "docker.io", "registry-1.docker.io"],
        host => vec![host],
    }
}

/// Returns whether the file has the form before `auths`, with the hosts at the root.
fn is_old_form(root: &Value) -> bool {
    let known = ["auths", "credHelpers", "credsStore"];
    let is_entry = |entry: &Value| entry["auth"].is_string() || entry["username"].is_string();
    let entries = root.as_object().filter(|entries| !entries.is_empty());
    entries.is_some_and(|entries| !known.iter().any(|key| entries.contains_key(*key)) && entries.values().all(is_entry))
}

/// The names that a credential may be under, the most specific first: entries for a part of a registry
/// (`ghcr.io/acme`), then the host in its usual spellings, then patterns (`*.example.com`), as kubelet supports them.
fn names(auths: &Value, host: &str, path: &str) -> Vec<String> {
    let hosts = hosts_of(host);
    let keys: Vec<&str> = auths.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
    let mut names = Vec::new();
    let mut part = path;
    while !part.is_empty() {
        let wanted = format!("{host}/{part}");
        names.extend(keys.iter().filter(|key| plain(key) == wanted).map(|key| (*key).to_owned()));
        part = part.rsplit_once('/').map_or("", |(before, _)| before);
    }
    names.extend(hosts.iter().map(|host| (*host).to_owned()));
    names.extend(keys.iter().filter(|key| hosts.contains(&plain(key).as_str())).map(|key| (*key).to_owned()));
    let is_pattern_of_host = |key: &&&str| {
        if !key.contains('*') || key.len() > LONGEST_PATTERN {
            return false;
        }
        let glob = GlobBuilder::new(&plain(key)).literal_separator(true).build();
        glob.is_ok_and(|glob| glob.compile_matcher().is_match(host))
    };
    names.extend(keys.iter().filter(is_pattern_of_host).map(|key| (*key).to_owned()));
    // A helper is run once for each name.
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// Normalizes a key of `auths` to host and path.
fn plain(key: &str) -> String {
    let key = key.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    key.strip_suffix("/v1").or(key.strip_suffix("/v2")).unwrap_or(key).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        file
    }

    #[test]
    fn entries_are_found_by_host() {
        // "user:pass" and "hub:x"
        let file = file(
            r#"{"auths":{"127.0.0.1:5000":{"auth":"dXNlcjpwYXNz"},"https://index.docker.io/v1/":{"auth":"aHViOng="}}}"#,
        );
        let user = |host: &str| match look_up(file.path(), host, "").expect("readable") {
            Some(Credential::Password { user, .. }) => Some(user),
            _ => None,
        };
        assert_eq!(user("127.0.0.1:5000").as_deref(), Some("user"));
        assert_eq!(user("docker.io").as_deref(), Some("hub"));
        assert_eq!(user("ghcr.io"), None);
    }

    #[test]
    fn an_invalid_file_is_named_and_its_content_not_repeated() {
        let file = file(r#"{"auths": sesame"#);
        let error = look_up(file.path(), "ghcr.io", "").expect_err("broken").to_string();
        assert!(error.contains(&file.path().display().to_string()) && !error.contains("sesame"), "{error}");
    }

    #[test]
    fn pull_secrets_of_kubernetes_are_read_in_every_form() {
        // "mathias:one", "mathias:two", "mathias:any"
        let one = r#"{"auth":"bWF0aGlhczpvbmU="}"#;
        let password = |text: &str, host: &str, path: &str| match look_up(file(text).path(), host, path) {
            Ok(Some(Credential::Password { password, .. })) => Some(password.expose().clone()),
            Ok(_) => None,
            Err(error) => panic!("{error}"),
        };
        for key in
            ["gitea.d-ma.be", "https://gitea.d-ma.be", "https://gitea.d-ma.be/v2/", "gitea.d-ma.be/", "*.d-ma.be"]
        {
            let text = format!(r#"{{"auths":{{"{key}":{one}}}}}"#);
            assert_eq!(password(&text, "gitea.d-ma.be", "mathias/app").as_deref(), Some("one"), "{key}");
            assert_eq!(password(&text, "evil-gitea.example.com", "mathias/app"), None, "{key}");
        }
        let old = format!(r#"{{"https://gitea.d-ma.be":{one}}}"#);
        assert_eq!(password(&old, "gitea.d-ma.be", "").as_deref(), Some("one"));
        let words = r#"{"auths":{"r.io":{"username":"mathias","password":"three","email":"x@y"}}}"#;
        assert_eq!(password(words, "r.io", "a").as_deref(), Some("three"));
        assert_eq!(password(r#"{"auths":{"r.io":{}}}"#, "r.io", "a"), None);
        assert_eq!(password("{}", "r.io", "a"), None);
    }

    #[test]
    fn what_is_written_is_found_again() {
        let password = Secret::new("p\"a:s s".to_owned());
        let credential = Credential::Password { user: "me".to_owned(), password };
        for host in ["docker.io", "ghcr.io", "127.0.0.1:5000"] {
            let text = written(host, &credential).expect("a password");
            match look_up(file(text.expose()).path(), host, "a/b").expect("readable") {
                Some(Credential::Password { user, password }) => {
                    assert_eq!((user.as_str(), password.expose().as_str()), ("me", "p\"a:s s"));
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(written("ghcr.io", &Credential::RefreshToken(Secret::new("x".to_owned()))).is_none());
    }

    #[test]
    fn a_pull_secret_runs_no_helper() {
        let text = |text: &str| Secret::new(text.as_bytes().to_vec());
        let helpers = r#"{"credsStore":"no-such-helper","credHelpers":{"r.io":"no-such-helper"},"auths":{"q.io":{"auth":"bWF0aGlhczpvbmU="}}}"#;
        assert!(in_pull_secret(text(helpers), "r.io", "a").expect("readable").is_none());
        assert!(in_pull_secret(text(helpers), "q.io", "a").expect("readable").is_some());
        assert!(look_up(file(helpers).path(), "r.io", "a").is_err());
        assert_eq!(in_pull_secret(text("{ sesame"), "r.io", "a").expect_err("broken"), "it is not valid JSON");
        assert_eq!(hosts_in(&text(r#"{"auths":{"https://me@r.io/v2/":{},"q.io":{}}}"#)), ["r.io", "q.io"]);
        assert!(hosts_in(&text("x")).is_empty());
    }

    #[test]
    fn the_most_specific_entry_applies() {
        let text = r#"{"auths":{
            "ghcr.io":{"auth":"bWF0aGlhczphbnk="},
            "ghcr.io/acme":{"auth":"bWF0aGlhczpvbmU="},
            "ghcr.io/acme/app":{"auth":"bWF0aGlhczp0d28="}}}"#;
        let file = file(text);
        let password = |path: &str| match look_up(file.path(), "ghcr.io", path).expect("readable") {
            Some(Credential::Password { password, .. }) => password.expose().clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            ["acme/app", "acme/app-2", "acme/x/y", "other/app", ""].map(password),
            ["two", "one", "one", "any", "any"]
        );
    }
}
