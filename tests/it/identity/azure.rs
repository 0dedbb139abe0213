//! Azure: a federated token, an access token, a refresh token of the registry, and a registry that requires its tokens.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use tagalong::fault::{Explain, Fault};
use tagalong::identity::azure::{AccessToken, WorkloadIdentity};
use tagalong::identity::provider::Provider;
use tagalong::registry::config::HostConfig;
use tagalong::registry::error::RegistryError;

use crate::support::clouds::{self, CLIENT_ID, Shared, TENANT};
use crate::support::registry::{Kind, Registry};
use crate::support::scripted::{self, Scripted, json as answer};
use crate::support::tokens::{REFRESH_TOKEN, TokenServer};

use super::{AT, app, client, environment, host, run};

const SCOPE: &str = "https://containerregistry.azure.net/.default";
const ACCESS: &str = "entra-access-token-1";

/// Microsoft Entra ID, and a real registry behind a front with the exchange of Azure Container Registry.
struct Azure {
    folder: tempfile::TempDir,
    entra: Scripted,
    front: Scripted,
    tokens: TokenServer,
    _registry: Registry,
    /// The refresh token that the registry issues.
    refresh: Shared<String>,
}

impl Azure {
    fn start() -> Azure {
        let folder = tempfile::tempdir().expect("a folder");
        let tokens = TokenServer::start(&folder.path().join("tokens"));
        let plain = Registry::start(&folder.path().join("registry"), Kind::Plain);
        plain.push("org/app", "one", AT);
        drop(plain);
        let auth = tokens.registry_auth(&folder.path().join("tokens"));
        let registry = Registry::start_with_auth(&folder.path().join("registry"), &auth);
        let refresh = Shared::new(REFRESH_TOKEN.to_owned());
        let issued = refresh.clone();
        let entra = Scripted::start(|request| clouds::entra(request, "federated-1", SCOPE, ACCESS));
        let (behind, own) = (registry.host(), Arc::new(OnceLock::<String>::new()));
        let service = Arc::clone(&own);
        let front = Scripted::start(move |request| match request.target.as_str() {
            "/oauth2/exchange" => {
                let service = service.get().cloned().unwrap_or_default();
                clouds::acr_exchange(request, &service, ACCESS, &issued.get())
            }
            _ => scripted::forward(&behind, request),
        });
        own.set(front.host()).expect("once");
        let azure = Azure { folder, entra, front, tokens, _registry: registry, refresh };
        azure.write_token("federated-1");
        azure
    }

    fn token_file(&self) -> PathBuf {
        self.folder.path().join("federated")
    }

    fn write_token(&self, token: &str) {
        fs::write(self.token_file(), token).expect("written");
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AZURE_FEDERATED_TOKEN_FILE", self.token_file().display().to_string()),
            ("AZURE_CLIENT_ID", CLIENT_ID.to_owned()),
            ("AZURE_TENANT_ID", TENANT.to_owned()),
            ("AZURE_AUTHORITY_HOST", format!("http://{}/", self.entra.host())),
        ]
    }

    fn host(&self) -> HostConfig {
        let realm = Some(format!("http://{}", self.tokens.server.host()).parse().expect("an origin"));
        HostConfig { realm, ..host(&self.front.host(), Provider::Azure) }
    }

    fn exchanges(&self) -> usize {
        self.front.asked().iter().filter(|request| request.target == "/oauth2/exchange").count()
    }

    fn error(&self, variables: &[(&'static str, String)]) -> RegistryError {
        let client = client(self.host(), environment(variables));
        run(async { client.tags(&app(&self.front.host())).await.expect_err("refused") })
    }
}

#[test]
fn a_federated_token_becomes_a_token_of_the_registry() {
    let azure = Azure::start();
    let client = client(azure.host(), environment(&azure.variables()));
    run(async {
        for _ in 0..3 {
            assert_eq!(client.tags(&app(&azure.front.host())).await.expect("tags").len(), 1);
        }
        assert_eq!((azure.entra.asked().len(), azure.exchanges()), (1, 1));
        let identity = client.identity_at(&azure.front.host()).expect("an identity");
        assert!(identity.contains(CLIENT_ID), "{identity}");
        // The registry itself receives neither of the tokens before, and no server has one in a URL.
        let all = [azure.entra.asked(), azure.front.asked(), azure.tokens.server.asked()].concat();
        for secret in [ACCESS, "federated-1", REFRESH_TOKEN] {
            assert!(all.iter().all(|request| !request.target.contains(secret)), "{secret}");
        }
    });
}

#[test]
fn each_refusal_names_the_step_the_host_and_the_remedy() {
    let azure = Azure::start();
    let said = |error: &RegistryError| format!("{error} ({})", error.help().unwrap_or_default());
    azure.write_token("federated-unknown");
    let error = azure.error(&azure.variables());
    let text = said(&error);
    for part in [
        "exchange the federated token",
        &azure.entra.host(),
        "401: invalid_client: AADSTS700213",
        "create a federated credential",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(error.fault() == Fault::Denied && !text.contains("federated-unknown"), "{text}");
    for (index, name) in [(0, "AZURE_FEDERATED_TOKEN_FILE"), (1, "AZURE_CLIENT_ID"), (2, "AZURE_TENANT_ID")] {
        let mut variables = azure.variables();
        variables.remove(index);
        let error = azure.error(&variables);
        assert!(error.to_string().contains(name) && error.fault() == Fault::BadInput, "{error}");
    }
    let mut elsewhere = azure.variables();
    elsewhere[2].1 = "../x?".to_owned();
    assert!(azure.error(&elsewhere).to_string().contains("AZURE_TENANT_ID"));
    azure.write_token("federated-1");
    azure.refresh.set("another".to_owned());
    let error = azure.error(&azure.variables());
    assert!(matches!(error, RegistryError::IdentityDenied { .. }), "{error:?}");
    assert!(said(&error).contains("AcrPull"), "{}", said(&error));
}

#[test]
fn a_registry_that_refuses_the_exchange_is_told_apart() {
    let entra = Scripted::start(|request| clouds::entra(request, "federated-1", SCOPE, ACCESS));
    let registry = Scripted::start(|request| match request.target.as_str() {
        // It repeats what it was sent.
        "/oauth2/exchange" => answer(403, serde_json::json!({ "message": request.body }), &[]),
        _ => answer(401, serde_json::json!({}), &[("WWW-Authenticate", "Bearer realm=\"http://127.0.0.1:1/t\"")]),
    });
    let azure = Azure::start();
    let mut variables = azure.variables();
    variables[3].1 = format!("http://{}", entra.host());
    let client = client(host(&registry.host(), Provider::Azure), environment(&variables));
    let error = run(async { client.tags(&app(&registry.host())).await.expect_err("refused") });
    let text = format!("{error} ({})", error.help().unwrap_or_default());
    for part in ["refresh token of the registry", &registry.host(), "responded with 403", "AcrPull"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!text.contains(ACCESS), "{text}");
}

#[test]
fn an_access_token_for_another_resource_is_renewed_when_the_federated_token_changes() {
    const DEVOPS: &str = "499b84ac-1321-427f-aa17-267ca6975798/.default";
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("federated");
    fs::write(&file, "federated-1").expect("written");
    let accepted = Shared::new(("federated-1".to_owned(), "access-1".to_owned()));
    let script = accepted.clone();
    let entra = Scripted::start(move |request| {
        let (federated, access) = script.get();
        clouds::entra(request, &federated, DEVOPS, &access)
    });
    let variables = [
        ("AZURE_FEDERATED_TOKEN_FILE", file.display().to_string()),
        ("AZURE_CLIENT_ID", CLIENT_ID.to_owned()),
        ("AZURE_TENANT_ID", TENANT.to_owned()),
        ("AZURE_AUTHORITY_HOST", format!("http://{}", entra.host())),
    ];
    let identity = WorkloadIdentity::new(&environment(&variables)).expect("complete");
    let token = AccessToken::new(identity, DEVOPS);
    run(async {
        let get = async || token.get().await.expect("a token").expose().clone();
        assert_eq!((get().await.as_str(), get().await.as_str()), ("access-1", "access-1"));
        assert_eq!(entra.asked().len(), 1);
        assert!(!token.refused().await, "a new one would be refused as well");
        fs::write(&file, "federated-2").expect("written");
        assert_eq!(get().await, "access-1", "the next one is refused, and the old one still valid");
        accepted.set(("federated-3".to_owned(), "access-3".to_owned()));
        fs::write(&file, "federated-3").expect("written");
        assert_eq!(get().await, "access-3");
        assert_eq!(entra.asked().len(), 3);
    });
}
