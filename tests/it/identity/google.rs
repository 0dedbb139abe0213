//! Google Cloud: the metadata server, and workload identity federation.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tagalong::fault::{Explain, Fault};
use tagalong::identity::provider::Provider;
use tagalong::registry::error::RegistryError;

use crate::support::clouds::{form, header};
use crate::support::registry::{Kind, Registry};
use crate::support::scripted::{Answer, Asked, Scripted, json as answer};

use super::{AT, app, client, environment, host, run};

const TOKEN: &str = "google-token-one-1";
/// `htpasswd -nbBC 5 oauth2accesstoken google-token-one-1`.
const HTPASSWD: &str = "oauth2accesstoken:$2y$05$3zf3CCMiUHckOztX7mUii.tejQaEFt9N6JDrYd0hLR0DxVazQnYC6";
const AUDIENCE: &str = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k";
const ACCOUNT: &str = "tagalong@acme.iam.gserviceaccount.com";

fn registry(folder: &Path) -> Registry {
    let at = folder.join("registry");
    let plain = Registry::start(&at, Kind::Plain);
    plain.push("org/app", "one", AT);
    drop(plain);
    fs::write(at.join("htpasswd"), HTPASSWD).expect("written");
    let auth = format!("auth:\n  htpasswd:\n    realm: tests\n    path: {}/htpasswd\n", at.display());
    Registry::start_with_auth(&at, &auth)
}

fn tags(registry: &str, variables: &[(&str, String)]) -> Result<usize, RegistryError> {
    let client = client(host(registry, Provider::Google), environment(variables));
    run(async { client.tags(&app(registry)).await.map(|tags| tags.len()) })
}

#[test]
fn the_metadata_server_gives_a_token() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = registry(folder.path());
    let metadata = Scripted::start(|request| {
        let is_right = request.target == "/computeMetadata/v1/instance/service-accounts/default/token"
            && header(request, "metadata-flavor").as_deref() == Some("Google");
        match is_right {
            true => answer(200, json!({ "access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer" }), &[]),
            false => answer(403, json!({}), &[]),
        }
    });
    assert_eq!(tags(&registry.host(), &[("GCE_METADATA_HOST", metadata.host())]).expect("tags"), 1);
    let bare = Scripted::start(|_| Some((404, Vec::new(), b"<html>no account</html>".to_vec())));
    let error = tags(&registry.host(), &[("GCE_METADATA_HOST", bare.host())]).expect_err("refused");
    let text = format!("{error} ({})", error.help().unwrap_or_default());
    assert!(text.contains("metadata server") && text.contains("404") && text.contains("service account"), "{text}");
    let error = tags(&registry.host(), &[("GCE_METADATA_HOST", "10.0.0.1".to_owned())]).expect_err("refused");
    assert!(error.to_string().contains("GCE_METADATA_HOST") && error.fault() == Fault::BadInput, "{error}");
}

/// STS: exchanges the one federated token.
fn sts(request: &Asked, access: &str) -> Answer {
    let expected = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("audience", AUDIENCE),
        ("scope", "https://www.googleapis.com/auth/cloud-platform"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("subject_token", "cluster-token-1"),
    ];
    let expected = expected.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    if request.target != "/v1/token" || form(request) != expected {
        let text = "The given credential is rejected by the attribute condition.";
        return answer(400, json!({ "error": "unauthorized_client", "error_description": text }), &[]);
    }
    answer(200, json!({ "access_token": access, "token_type": "Bearer", "expires_in": 3599 }), &[])
}

/// IAM: issues tokens of the service account to the holder of a federated one.
fn iam(request: &Asked) -> Answer {
    let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
    let expected = json!({ "scope": ["https://www.googleapis.com/auth/cloud-platform"], "lifetime": "1800s" });
    let target = format!("/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken");
    if request.authorization.as_deref() != Some("Bearer federated-access-1")
        || request.target != target
        || body != expected
    {
        let error = json!({ "code": 403, "message": "Permission 'iam.serviceAccounts.getAccessToken' denied", "status": "PERMISSION_DENIED" });
        return answer(403, json!({ "error": error }), &[]);
    }
    answer(200, json!({ "accessToken": TOKEN, "expireTime": "2099-01-01T00:00:00Z" }), &[])
}

/// A configuration, and the variables with which it is used.
fn federation(folder: &Path, configuration: &Value, services: [&Scripted; 2]) -> Vec<(&'static str, String)> {
    let file = folder.join("google.json");
    fs::write(&file, configuration.to_string()).expect("written");
    vec![
        ("GOOGLE_APPLICATION_CREDENTIALS", file.display().to_string()),
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_STS", format!("http://{}/", services[0].host())),
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS", format!("http://{}/", services[1].host())),
    ]
}

fn configuration(token_file: &Path) -> Value {
    json!({
        "type": "external_account", "audience": AUDIENCE,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": { "file": token_file, "format": { "type": "text" } },
        "universe_domain": "googleapis.com",
    })
}

#[test]
fn a_federated_token_is_exchanged_also_for_one_of_a_service_account() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = registry(folder.path());
    let (direct, first) =
        (Scripted::start(|request| sts(request, TOKEN)), Scripted::start(|request| sts(request, "federated-access-1")));
    let account = Scripted::start(iam);
    let file = folder.path().join("cluster-token");
    fs::write(&file, "cluster-token-1\n").expect("written");
    let plain = configuration(&file);
    let variables = federation(folder.path(), &plain, [&direct, &account]);
    assert_eq!(tags(&registry.host(), &variables).expect("tags"), 1);
    assert!(account.asked().is_empty());
    let mut of_account = plain.clone();
    of_account["service_account_impersonation_url"] = json!(format!(
        "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken"
    ));
    of_account["service_account_impersonation"] = json!({ "token_lifetime_seconds": 1800 });
    of_account["credential_source"]["format"] = json!({ "type": "json", "subject_token_field_name": "token" });
    fs::write(&file, r#"{"token":"cluster-token-1"}"#).expect("written");
    let variables = federation(folder.path(), &of_account, [&first, &account]);
    let client = client(host(&registry.host(), Provider::Google), environment(&variables));
    run(async {
        for _ in 0..2 {
            assert_eq!(client.tags(&app(&registry.host())).await.expect("tags").len(), 1);
        }
        let identity = client.identity_at(&registry.host()).expect("an identity");
        assert!(identity.contains(ACCOUNT), "{identity}");
    });
    assert_eq!((first.asked().len(), account.asked().len()), (1, 1));
    // STS gives a token that IAM does not accept.
    let variables = federation(folder.path(), &of_account, [&direct, &account]);
    let error = tags(&registry.host(), &variables).expect_err("refused");
    let text = format!("{error} ({})", error.help().unwrap_or_default());
    assert!(text.contains("getAccessToken' denied") && text.contains("workloadIdentityUser"), "{text}");
    fs::write(&file, r#"{"token":"cluster-token-2"}"#).expect("written");
    let error = tags(&registry.host(), &variables).expect_err("refused");
    let text = format!("{error} ({})", error.help().unwrap_or_default());
    assert!(text.contains("attribute condition") && text.contains("workload identity pool"), "{text}");
    assert!(!text.contains("cluster-token"), "{text}");
}

#[test]
fn a_configuration_cannot_choose_who_receives_tokens() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("cluster-token");
    fs::write(&file, "cluster-token-1").expect("written");
    let evil = Scripted::start(|request| sts(request, TOKEN));
    let closed = Scripted::start(|_| answer(401, json!({}), &[("WWW-Authenticate", "Basic realm=\"tests\"")]));
    let at = |key: &str, value: Value| {
        let mut configuration = configuration(&file);
        configuration[key] = value;
        let mut variables = federation(folder.path(), &configuration, [&evil, &evil]);
        // Without the endpoints of the environment, the file decides.
        variables.truncate(1);
        tags(&closed.host(), &variables).expect_err(key)
    };
    let url = format!("http://{}/v1/token", evil.host());
    let account = format!("http://{}/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken", evil.host());
    for (key, value, said) in [
        ("token_url", json!(url), "token_url"),
        ("token_url", json!("https://sts.googleapis.com.evil.net/v1/token"), "token_url"),
        ("credential_source", json!({ "url": url }), "credential_source"),
        ("credential_source", json!({ "executable": { "command": "/bin/sh" } }), "credential_source"),
        ("universe_domain", json!("evil.net"), "universe_domain"),
        ("type", json!("service_account"), "_json_key"),
        ("type", json!("authorized_user"), "external_account"),
    ] {
        let error = at(key, value);
        assert!(error.to_string().contains(said) && error.fault() == Fault::BadInput, "{key}: {error}");
    }
    // The first exchange is at a service of the environment, the second one where the file says.
    let mut configuration = configuration(&file);
    configuration["service_account_impersonation_url"] = json!(account);
    let mut variables = federation(folder.path(), &configuration, [&evil, &evil]);
    variables.truncate(2);
    let before = evil.asked().len();
    let error = tags(&closed.host(), &variables).expect_err("refused").to_string();
    assert!(error.contains("service_account_impersonation_url"), "{error}");
    assert!(evil.asked().iter().skip(before).all(|request| request.target == "/v1/token"));
    assert_eq!(before, 0);
}
