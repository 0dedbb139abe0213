//! A fake GitHub as apps see it: it verifies their tokens with openssl, and issues access tokens that only do what was asked
//! for. Pull requests are those of [`super::forge`].

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::forge;
use super::git::HttpGit;
use super::scripted::{self, Answer, Asked, Scripted};

/// The ID of the app.
pub const APP: &str = "4711";
/// The ID of its installation.
pub const INSTALLATION: u64 = 90210;

/// An access token that was issued.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    pub token: String,
    pub repositories: Vec<String>,
    pub permissions: BTreeMap<String, String>,
}

/// What GitHub knows and does.
pub struct State {
    /// The repositories that the app is installed on.
    pub repositories: Vec<String>,
    /// The permissions of the installation.
    pub permissions: BTreeMap<String, String>,
    pub is_suspended: bool,
    /// How far its clock is ahead, in seconds.
    pub ahead: i64,
    /// How long tokens are valid, in seconds.
    pub lifetime: i64,
    /// A response to everything.
    pub refusal: Option<(u16, Value)>,
    /// All tokens so far, but for the revoked ones.
    pub issued: Vec<Token>,
    /// How many there were.
    count: usize,
    /// The tokens that the app has signed.
    pub signed: Vec<String>,
    /// Whether the git server gets to know of new tokens.
    pub is_git_told: bool,
    /// Commits with statuses, and their contexts.
    pub statuses: Vec<(String, String)>,
    pub forge: forge::State,
}

pub struct GitHub {
    server: Scripted,
    state: Arc<Mutex<State>>,
    pub key: PathBuf,
}

impl GitHub {
    /// Starts it with an app that is installed on `acme/infra`. The private key of the app is in a file in the folder, as
    /// GitHub generates it. The git server accepts only the newest token for
    /// each use of contents.
    pub fn start(folder: &Path, git: &Arc<HttpGit>) -> GitHub {
        let permissions =
            [("contents", "write"), ("pull_requests", "write"), ("statuses", "write"), ("checks", "read")];
        let state = State {
            repositories: vec!["acme/infra".to_owned()],
            permissions: permissions.map(|(name, level)| (name.to_owned(), level.to_owned())).into(),
            is_suspended: false,
            ahead: 0,
            lifetime: 3600,
            refusal: None,
            issued: Vec::new(),
            count: 0,
            signed: Vec::new(),
            is_git_told: true,
            statuses: Vec::new(),
            forge: forge::State { page: 100, ..forge::State::default() },
        };
        let state = Arc::new(Mutex::new(state));
        let key = folder.join("app.pem");
        make_key(&key);
        trust(&key);
        let (shared, git, key_file) = (Arc::clone(&state), Arc::clone(git), key.clone());
        let server = Scripted::start(move |asked| {
            let mut state = shared.lock().expect("unpoisoned");
            let mut answer = answer(&mut state, &git, &key_file, asked);
            let now = Timestamp::from_second(state.now()).expect("a time");
            let date = jiff::fmt::rfc2822::to_string(&now.to_zoned(jiff::tz::TimeZone::UTC)).expect("a date");
            if let Some((_, headers, _)) = &mut answer {
                headers.push(("Date".to_owned(), date.replace("+0000", "GMT")));
            }
            answer
        });
        GitHub { server, state, key }
    }

    /// The base URL of its API.
    pub fn api(&self) -> String {
        format!("http://{}/api/v3", self.server.host())
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("unpoisoned")
    }

    /// The permissions of the tokens so far, with their repositories: `infra contents=write`.
    pub fn issued(&self) -> Vec<String> {
        let shown = |token: &Token| {
            let permissions = token.permissions.iter().map(|(name, level)| format!(" {name}={level}"));
            format!("{}{}", token.repositories.join(","), permissions.collect::<String>())
        };
        self.state().issued.iter().map(shown).collect()
    }

    /// Revokes all tokens with a permission.
    pub fn revoke(&self, permission: &str) {
        self.state().issued.retain(|issued| !issued.permissions.contains_key(permission));
    }

    /// The `githubApp` section.
    pub fn section(&self) -> String {
        format!("githubApp: {{ appId: {APP}, privateKeyFile: {}, url: '{}' }}", self.key.display(), self.api())
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.server.asked()
    }
}

/// Generates a private key in PKCS#1, as GitHub does.
pub fn make_key(file: &Path) {
    openssl(&["genrsa", "-traditional", "-out", &file.display().to_string(), "2048"]);
}

/// Makes GitHub accept a private key, and no other.
pub fn trust(key: &Path) {
    let public = key.with_extension("pub");
    openssl(&["rsa", "-in", &key.display().to_string(), "-pubout", "-out", &public.display().to_string()]);
}

#[track_caller]
pub fn openssl(arguments: &[&str]) {
    let status = Command::new("openssl").args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.expect("openssl starts").success(), "openssl {arguments:?}");
}

impl State {
    fn now(&self) -> i64 {
        Timestamp::now().as_second() + self.ahead
    }
}

fn said(status: u16, body: Value) -> Answer {
    scripted::json(status, body, &[])
}

fn message(status: u16, text: &str) -> Answer {
    said(status, json!({ "message": text, "documentation_url": "https://docs.github.com/rest" }))
}

fn answer(state: &mut State, git: &HttpGit, key: &Path, asked: &Asked) -> Answer {
    if let Some((status, body)) = &state.refusal {
        return said(*status, body.clone());
    }
    let path = asked.target.split('?').next().unwrap_or_default();
    let Some(path) = path.strip_prefix("/api/v3") else { return message(404, "Not Found") };
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let bearer = asked.authorization.as_deref().and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if !matches!(parts.as_slice(), ["app", ..] | ["repos", _, _, "installation"]) {
        return as_installation(state, &parts, bearer, asked);
    }
    state.signed.push(bearer.to_owned());
    if let Err(reason) = verify(state, key, bearer) {
        return message(401, reason);
    }
    let installation = json!({
        "id": INSTALLATION, "app_id": 4711, "permissions": state.permissions,
        "suspended_at": state.is_suspended.then_some("2026-01-01T00:00:00Z"),
    });
    match (asked.method.as_str(), parts.as_slice()) {
        ("GET", ["repos", owner, name, "installation"]) => {
            let is_installed = state.repositories.contains(&format!("{owner}/{name}"));
            if is_installed { said(200, installation) } else { message(404, "Not Found") }
        }
        ("GET" | "POST", ["app", "installations", id, ..]) if *id != INSTALLATION.to_string() => {
            message(404, "Not Found")
        }
        ("GET", ["app", "installations", _]) => said(200, installation),
        ("POST", ["app", "installations", _, "access_tokens"]) => issue(state, git, asked),
        _ => message(404, "Not Found"),
    }
}

/// Verifies a token of the app, in GitHub's words.
fn verify(state: &State, key: &Path, token: &str) -> Result<(), &'static str> {
    let parts: Vec<&str> = token.split('.').collect();
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).expect("base64url without padding");
    let [header, claims, signature] = parts.as_slice() else { return Err("A JSON web token could not be decoded") };
    let object = |part: &str| serde_json::from_slice::<Value>(&decoded(part)).expect("JSON");
    assert_eq!(object(header), json!({ "alg": "RS256", "typ": "JWT" }));
    let folder = tempfile::tempdir().expect("a folder");
    let (signed, signature_file) = (folder.path().join("signed"), folder.path().join("signature"));
    fs::write(&signed, format!("{header}.{claims}")).expect("written");
    fs::write(&signature_file, decoded(signature)).expect("written");
    let verified = Command::new("openssl")
        .args(["dgst", "-sha256", "-verify"])
        .arg(key.with_extension("pub"))
        .arg("-signature")
        .args([&signature_file, &signed])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !verified.expect("openssl starts").success() {
        return Err("A JSON web token could not be decoded");
    }
    let claims = object(claims);
    let (from, until) = (claims["iat"].as_i64().expect("a number"), claims["exp"].as_i64().expect("a number"));
    if claims["iss"] != APP {
        return Err("Integration not found");
    }
    match state.now() {
        now if from > now => {
            Err("'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued")
        }
        now if until > now + 600 => Err("'Expiration time' claim ('exp') is too far in the future"),
        now if until <= now => Err(
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
        ),
        _ => Ok(()),
    }
}

fn issue(state: &mut State, git: &HttpGit, asked: &Asked) -> Answer {
    let body: Value = serde_json::from_str(&asked.body).expect("JSON");
    let repositories: Vec<String> = serde_json::from_value(body["repositories"].clone()).expect("names");
    let permissions: BTreeMap<String, String> = serde_json::from_value(body["permissions"].clone()).expect("levels");
    assert_eq!((repositories.len(), permissions.is_empty()), (1, false), "a token for more than is needed: {body}");
    if state.is_suspended {
        return message(403, "This installation has been suspended");
    }
    if !state.repositories.contains(&format!("acme/{}", repositories[0])) {
        return message(
            422,
            "There is at least one repository that does not exist or is not accessible to the parent installation.",
        );
    }
    let is_granted = |(name, level): (&String, &String)| match state.permissions.get(name).map(String::as_str) {
        Some("write") => true,
        Some("read") => level == "read",
        _ => false,
    };
    if !permissions.iter().all(is_granted) {
        return message(422, "The permissions requested are not granted to this installation.");
    }
    // Their length changes.
    let number = state.count;
    state.count += 1;
    let token = format!("ghs_sesame{number}{}", "x".repeat(26 + 7 * number));
    state.issued.push(Token { token: token.clone(), repositories, permissions: permissions.clone() });
    // Only the newest for each use is valid.
    let mut newest = BTreeMap::new();
    for issued in state.issued.iter().filter(|issued| issued.permissions.contains_key("contents")) {
        newest.insert((&issued.repositories, &issued.permissions), format!("x-access-token:{}", issued.token));
    }
    if state.is_git_told {
        git.set_token(&newest.into_values().collect::<Vec<String>>().join("\n"));
    }
    let until = Timestamp::from_second(state.now() + state.lifetime).expect("a time").to_string();
    said(201, json!({ "token": token, "expires_at": until, "permissions": permissions }))
}

/// A request with an access token.
fn as_installation(state: &mut State, parts: &[&str], token: &str, asked: &Asked) -> Answer {
    let Some(token) = state.issued.iter().find(|issued| issued.token == token) else {
        return message(401, "Bad credentials");
    };
    let needed: &[(&str, &str)] = match (asked.method.as_str(), &parts[3..]) {
        (_, []) => &[],
        ("PUT", ["pulls", _, "merge"]) => &[("contents", "write"), ("pull_requests", "write")],
        ("GET", ["pulls" | "issues", ..]) => &[("pull_requests", "read")],
        (_, ["pulls" | "issues", ..]) => &[("pull_requests", "write")],
        ("GET", ["commits", _, "status"]) => &[("statuses", "read")],
        ("GET", ["commits", _, "check-runs"]) => &[("checks", "read")],
        ("POST", ["statuses", _]) => &[("statuses", "write")],
        other => panic!("{other:?} is not known here"),
    };
    let has =
        |(name, level): &(&str, &str)| token.permissions.get(*name).is_some_and(|has| has == level || has == "write");
    if !needed.iter().all(has) {
        return message(403, "Resource not accessible by integration");
    }
    assert_eq!(token.repositories, [parts[2]], "a token of another repository");
    match &parts[3..] {
        // "Get a repository": no permissions of a user.
        [] => said(200, json!({ "full_name": format!("{}/{}", parts[1], parts[2]) })),
        ["statuses", _] if asked.body == "{}" => message(422, "Validation Failed"),
        ["statuses", commit] => {
            let body: Value = serde_json::from_str(&asked.body).expect("JSON");
            state.statuses.push(((*commit).to_owned(), body["state"].as_str().expect("a state").to_owned()));
            said(201, json!({ "id": 1 }))
        }
        ["commits", _, "status"] => said(200, json!({ "state": "success", "statuses": [] })),
        ["commits", _, "check-runs"] => said(200, json!({ "total_count": 0, "check_runs": [] })),
        _ => forge::as_github(&format!("/api/v3/repos/{}/{}", parts[1], parts[2]), &mut state.forge, asked),
    }
}
