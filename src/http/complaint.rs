//! What a server says about a request that it refuses: its message, and what the credentials lack.

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;

use super::excerpt::excerpt;

/// The keys of messages in JSON: of Gitea, GitHub, GitLab, Bitbucket, Azure DevOps, Discord, Matrix and others.
const KEYS: [&str; 4] = ["message", "error", "error_description", "errors"];

/// What Gitea writes before the scopes that a token lacks.
const SCOPES: &str = "required scope(s)";

/// The length of the beginning by which a repeated secret is recognized, in bytes.
const BEGINNING: usize = 32;

/// What a server says about a request that it refuses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Complaint {
    /// Its message, shortened and safe to show.
    pub message: Option<String>,
    /// What the credentials lack, such as `the scope write:issue`.
    pub lacks: Option<String>,
}

impl Complaint {
    /// Reads an error response, without what repeats a secret.
    pub fn read(headers: &HeaderMap, body: &[u8], secrets: &[&str]) -> Complaint {
        let json = serde_json::from_slice::<Value>(body).ok().filter(Value::is_object);
        let message = match &json {
            Some(json) => message(json),
            None => plain(headers, body),
        };
        // An excerpt could end within a secret, so the whole text is searched.
        let is_harmless = |text: &String| !secrets.iter().any(|secret| is_repeated(secret, text));
        let message = message.filter(is_harmless).map(|text| excerpt(text.trim())).filter(|text| !text.is_empty());
        let lacks = lacks(headers, json.as_ref()).filter(is_harmless).map(|text| excerpt(&text));
        Complaint { message, lacks }
    }

    /// Returns the message as the end of a sentence: with a colon, or nothing.
    pub fn appended(message: Option<&String>) -> String {
        message.map(|message| format!(": {message}")).unwrap_or_default()
    }
}

/// Returns whether a text repeats a secret, or its beginning: servers cut long ones off, too.
pub fn is_repeated(secret: &str, text: &str) -> bool {
    !secret.is_empty() && text.contains(secret.get(..BEGINNING).unwrap_or(secret))
}

/// The message in an object. Its parts may be texts, lists or objects.
fn message(json: &Value) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    for part in KEYS.iter().filter_map(|key| shown(&json[*key])) {
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    (!parts.is_empty()).then(|| parts.join(": "))
}

fn shown(part: &Value) -> Option<String> {
    match part {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) if parts.iter().all(Value::is_string) => {
            Some(parts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; "))
        }
        // Bitbucket Data Center lists objects.
        Value::Array(parts) if parts.iter().all(|part| part["message"].is_string()) => {
            Some(parts.iter().filter_map(|part| part["message"].as_str()).collect::<Vec<_>>().join("; "))
        }
        // Teams and Bitbucket Cloud put the message one level deeper.
        Value::Object(inner) if inner.get("message").is_some_and(Value::is_string) => shown(&inner["message"]),
        other => Some(other.to_string()),
    }
}

/// The body, if it is meant to be read by people: Slack answers like that.
fn plain(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let is_plain = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    is_plain.then(|| String::from_utf8_lossy(body).into_owned())
}

fn lacks(headers: &HeaderMap, json: Option<&Value>) -> Option<String> {
    let text = |key: &str| json.and_then(|json| json[key].as_str());
    if let Some(scopes) = text("message").and_then(gitea_scopes) {
        return Some(format!("the scope {scopes}"));
    }
    // OAuth 2.0, RFC 6750 section 3.1: GitLab lists those that are enough.
    if let (Some("insufficient_scope"), Some(scope)) = (text("error"), text("scope")) {
        return Some(format!("the scope {}", scope.split_whitespace().collect::<Vec<_>>().join(" or ")));
    }
    // Bitbucket Cloud: all that the request needs.
    let required = json.and_then(|json| json["error"]["detail"]["required"].as_array());
    let required: Vec<&str> = required.into_iter().flatten().filter_map(Value::as_str).collect();
    if !required.is_empty() {
        return Some(format!("the scope {}", required.join(" and ")));
    }
    // GitHub, "Permissions required for fine-grained personal access tokens" and "Scopes for OAuth apps".
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty());
    let permission = header("x-accepted-github-permissions").map(|value| format!("the permission {value}"));
    permission.or_else(|| {
        let scopes = |name: &str| header(name).into_iter().flat_map(|list| list.split(", ")).collect::<Vec<_>>();
        let (accepted, has) = (scopes("x-accepted-oauth-scopes"), scopes("x-oauth-scopes"));
        // GitHub lists them with every response, also if something else is missing.
        let lacks_all = !accepted.is_empty() && !accepted.iter().any(|scope| has.contains(scope));
        lacks_all.then(|| format!("the scope {}", accepted.join(" or ")))
    })
}

/// The scopes in `token does not have at least one of required scope(s), required=[write:issue], token scope=…`. A token
/// needs all of them.
fn gitea_scopes(message: &str) -> Option<String> {
    let (_, rest) = message.split_once(SCOPES)?;
    let (_, rest) = rest.split_once('[')?;
    let (scopes, _) = rest.split_once(']')?;
    let scopes: Vec<&str> = scopes.split([' ', ',']).filter(|scope| !scope.is_empty()).collect();
    (!scopes.is_empty()).then(|| scopes.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&'static str, &str)], body: &str) -> (Option<String>, Option<String>) {
        let value = |text: &str| text.parse().expect("a value");
        let headers = headers.iter().map(|(name, text)| (name.parse().expect("a name"), value(text))).collect();
        let Complaint { message, lacks } = Complaint::read(&headers, body.as_bytes(), &[]);
        (message, lacks)
    }

    #[test]
    fn the_words_and_the_missing_scope_of_each_product_are_found() {
        let some = |message: &str, lacks: Option<&str>| (Some(message.to_owned()), lacks.map(str::to_owned));
        // Gitea, routers/api/v1/api.go
        let gitea =
            "token does not have at least one of required scope(s), required=[write:issue], token scope=read:issue";
        let body = serde_json::json!({ "message": gitea, "url": "https://git.example.com/api/swagger" }).to_string();
        assert_eq!(read(&[], &body), some(gitea, Some("the scope write:issue")));
        let older = r#"{"message":"token does not have at least one of required scope(s): [read:user write:issue]"}"#;
        assert_eq!(read(&[], older).1.as_deref(), Some("the scope read:user and write:issue"));
        // GitLab, lib/api/api_guard.rb
        let gitlab = r#"{"error":"insufficient_scope","error_description":"The request requires higher privileges.","scope":"api read_api"}"#;
        let said = "insufficient_scope: The request requires higher privileges.";
        assert_eq!(read(&[], gitlab), some(said, Some("the scope api or read_api")));
        assert_eq!(read(&[], r#"{"message":"403 Forbidden"}"#), some("403 Forbidden", None));
        // GitHub
        let github =
            r#"{"message":"Resource not accessible by personal access token","documentation_url":"https://docs"}"#;
        let permission = [("x-accepted-github-permissions", "pull_requests=write"), ("x-accepted-oauth-scopes", "")];
        let said = "Resource not accessible by personal access token";
        assert_eq!(read(&permission, github), some(said, Some("the permission pull_requests=write")));
        let scopes = [("x-accepted-oauth-scopes", "repo, repo:status")];
        assert_eq!(read(&scopes, github).1.as_deref(), Some("the scope repo or repo:status"));
        let enough = [("x-accepted-oauth-scopes", "repo"), ("x-oauth-scopes", "read:org, repo")];
        assert_eq!(read(&enough, github).1, None);
        // Bitbucket Cloud and Data Center
        let cloud = r#"{"type":"error","error":{"message":"lacks","detail":{"granted":["a"],"required":["b","c"]}}}"#;
        assert_eq!(read(&[], cloud), some("lacks", Some("the scope b and c")));
        let server = r#"{"errors":[{"context":null,"message":"one"},{"message":"two"}]}"#;
        assert_eq!(read(&[], server), some("one; two", None));
        // Slack, Discord, Matrix, Teams
        assert_eq!(read(&[("content-type", "text/plain")], "no_service"), some("no_service", None));
        assert_eq!(read(&[], r#"{"message":"Unknown Webhook","code":10015}"#), some("Unknown Webhook", None));
        assert_eq!(read(&[], r#"{"errcode":"M_FORBIDDEN","error":"not in room"}"#), some("not in room", None));
        assert_eq!(read(&[], r#"{"error":{"code":"X","message":"expired"}}"#), some("expired", None));
    }

    #[test]
    fn what_is_shown_is_short_and_harmless() {
        let hostile = serde_json::json!({ "message": format!("\u{1b}[2J\n{}", "x".repeat(1 << 16)) }).to_string();
        let message = read(&[], &hostile).0.expect("a message");
        assert!(message.chars().count() < 350 && !message.contains(['\u{1b}', '\n']), "{message}");
        for body in ["", "5", "\"x\"", "[]", "<html>", "{}", "{\"message\": null}"] {
            assert_eq!(read(&[("content-type", "text/html")], body), (None, None), "{body}");
        }
        assert_eq!(read(&[], r#"{"message":"required scope(s)"}"#).1, None);
    }

    #[test]
    fn no_part_of_a_secret_is_shown() {
        let echo = |text: &str, secret: &str| {
            let body = serde_json::json!({ "message": text }).to_string();
            Complaint::read(&HeaderMap::new(), body.as_bytes(), &["", secret]).message
        };
        assert_eq!(echo("no such token: open-sesame", "another").as_deref(), Some("no such token: open-sesame"));
        assert_eq!(echo("no such token: open-sesame", "open-sesame"), None);
        // A long one, of which an excerpt has only the beginning, and one that the server has cut off itself.
        let long = "s3cret-".repeat(200);
        assert_eq!(echo(&format!("no such token: {long}"), &long), None);
        assert_eq!(echo(&format!("no such token: {}...", &long[..40]), &long), None);
    }
}
