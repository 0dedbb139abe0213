//! The services by which clouds prove the identity of a workload, as far as their documentation describes them.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::scripted::{Answer, Asked, json as answer};

/// The access key that STS and the agent of Pod Identity issue.
pub const ACCESS_KEY: &str = "ASIATEMPORARY0000001";
pub const SECRET_KEY: &str = "temporary/secret+key/0000000000000000001";
pub const SESSION_TOKEN: &str = "session-token-0001//==";
pub const ROLE: &str = "arn:aws:iam::012345678901:role/tagalong";
pub const REGION: &str = "eu-west-1";
pub const TENANT: &str = "11111111-2222-3333-4444-555555555555";
pub const CLIENT_ID: &str = "66666666-7777-8888-9999-000000000000";

/// What a service is to do next, shared with a test.
#[derive(Clone, Default)]
pub struct Shared<T>(Arc<Mutex<T>>);

impl<T: Clone> Shared<T> {
    pub fn new(value: T) -> Shared<T> {
        Shared(Arc::new(Mutex::new(value)))
    }

    pub fn set(&self, value: T) {
        *self.0.lock().expect("unpoisoned") = value;
    }

    pub fn get(&self) -> T {
        self.0.lock().expect("unpoisoned").clone()
    }
}

/// The fields of a form.
pub fn form(request: &Asked) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(request.body.as_bytes()).into_owned().collect()
}

/// A header, by its lower-case name.
pub fn header(request: &Asked, wanted: &str) -> Option<String> {
    let lines = request.head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.to_owned()).next()
}

fn xml(status: u16, body: String) -> Answer {
    Some((status, vec![("Content-Type".to_owned(), "text/xml".to_owned())], body.into_bytes()))
}

/// An error of STS.
pub fn sts_error(status: u16, code: &str, message: &str) -> Answer {
    let body = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <Error>\n    <Type>Sender</Type>\n    \
         <Code>{code}</Code>\n    <Message>{message}</Message>\n  </Error>\n  <RequestId>1</RequestId>\n</ErrorResponse>\n"
    );
    xml(status, body)
}

/// STS: issues credentials for the one role and web identity.
pub fn sts(request: &Asked, token: &str) -> Answer {
    let form = form(request);
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    if request.method != "POST" || request.target != "/" || request.authorization.is_some() {
        return sts_error(400, "InvalidAction", "not a request of the query API");
    }
    if (field("Action"), field("Version")) != ("AssumeRoleWithWebIdentity", "2011-06-15") {
        return sts_error(400, "InvalidAction", "another action or version");
    }
    if field("RoleArn") != ROLE || field("RoleSessionName") != "tagalong" || field("DurationSeconds") != "900" {
        return sts_error(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity");
    }
    if field("WebIdentityToken") != token {
        return sts_error(400, "InvalidIdentityToken", "No OpenIDConnect provider found");
    }
    xml(
        200,
        format!(
            "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  \
             <AssumeRoleWithWebIdentityResult>\n    <Audience>sts.amazonaws.com</Audience>\n    <AssumedRoleUser>\n      \
             <AssumedRoleId>AROA1:tagalong</AssumedRoleId>\n      <Arn>{ROLE}</Arn>\n    </AssumedRoleUser>\n    \
             <Provider>oidc</Provider>\n    <Credentials>\n      <AccessKeyId>{ACCESS_KEY}</AccessKeyId>\n      \
             <SecretAccessKey>{SECRET_KEY}</SecretAccessKey>\n      <SessionToken>{SESSION_TOKEN}</SessionToken>\n      \
             <Expiration>2026-01-01T00:00:00Z</Expiration>\n    </Credentials>\n  </AssumeRoleWithWebIdentityResult>\n\
             </AssumeRoleWithWebIdentityResponse>\n"
        ),
    )
}

/// ECR: issues a password to the holder of credentials, whose signature is verified by another implementation.
pub fn ecr(request: &Asked, credentials: (&str, &str, Option<&str>), password: &str, seconds: u64) -> Answer {
    let error = |kind: &str, message: &str| answer(400, json!({ "__type": kind, "message": message }), &[]);
    let target = header(request, "x-amz-target").unwrap_or_default();
    if request.target != "/" || target != "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken" {
        return error("UnknownOperationException", "another operation");
    }
    if header(request, "content-type").as_deref() != Some("application/x-amz-json-1.1") || request.body != "{}" {
        return error("SerializationException", "another content");
    }
    let (access_key, secret_key, token) = credentials;
    let verdict = verify_signature(&json!({
        "method": request.method, "target": request.target, "head": request.head, "body": request.body,
        "access_key": access_key, "secret_key": secret_key, "token": token, "region": REGION, "service": "ecr",
    }));
    if verdict != "valid" {
        return error("InvalidSignatureException", &verdict);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let data = json!({
        "authorizationToken": STANDARD.encode(format!("AWS:{password}")), "expiresAt": (now + seconds) as f64 + 0.5,
        "proxyEndpoint": "https://012345678901.dkr.ecr.eu-west-1.amazonaws.com",
    });
    answer(200, json!({ "authorizationData": [data] }), &[("Content-Type", "application/x-amz-json-1.1")])
}

/// Verifies a signature with Python's own HMAC.
fn verify_signature(request: &Value) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/sigv4.py");
    let mut python = Command::new("python3");
    python.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = python.spawn().expect("python3 starts");
    child.stdin.take().expect("a pipe").write_all(request.to_string().as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    let text = if output.status.success() { output.stdout } else { output.stderr };
    String::from_utf8_lossy(&text).trim().to_owned()
}

/// Microsoft Entra ID: issues an access token for a federated token and a scope.
pub fn entra(request: &Asked, federated: &str, scope: &str, access: &str) -> Answer {
    let expected: BTreeMap<String, String> = [
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT_ID),
        ("scope", scope),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", federated),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    if request.method != "POST" || request.target != format!("/{TENANT}/oauth2/v2.0/token") {
        return answer(404, json!({ "error": "not_found" }), &[]);
    }
    if form(request) != expected {
        let text = "AADSTS700213: No matching federated identity record found for presented assertion subject \
                    'system:serviceaccount:flux-system:tagalong'. Trace ID: 1 Timestamp: 2026-01-01 00:00:00Z";
        return answer(
            401,
            json!({ "error": "invalid_client", "error_description": text, "error_codes": [700213] }),
            &[],
        );
    }
    answer(
        200,
        json!({ "token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": access }),
        &[],
    )
}

/// Azure Container Registry: issues a refresh token for an access token.
pub fn acr_exchange(request: &Asked, service: &str, access: &str, refresh: &str) -> Answer {
    let expected = [("grant_type", "access_token"), ("service", service), ("access_token", access)];
    let expected: BTreeMap<String, String> =
        expected.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    if request.method != "POST" || form(request) != expected {
        let error = json!({ "errors": [{ "code": "UNAUTHORIZED", "message": "authentication required" }] });
        return answer(401, error, &[]);
    }
    answer(200, json!({ "refresh_token": refresh }), &[])
}
