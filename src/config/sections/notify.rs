//! The section `notify`: a list of channels.

use std::path::Path;
use std::time::Duration;

use url::Url;

use crate::notify::config::{Channel, Forge, Service, StatusToken};
use crate::notify::event::Kind;
use crate::notify::secret_source::SecretSource;
use crate::notify::webhook::Body;
use crate::secret::Secret;

use crate::config::reader::{Environment, Section};

use super::github_app;

/// The minimum time between two messages, unless configured.
const PAUSE: Duration = Duration::from_secs(10);

/// The time limit of a request for an access token.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Reads the list.
pub fn read(sections: Vec<Section<'_>>, environment: Environment<'_>) -> Vec<Channel> {
    let mut channels: Vec<Channel> = Vec::new();
    for mut section in sections {
        let ca_file = section.path("caFile");
        let service = service(&mut section, environment, ca_file.as_deref());
        let name = section.parsed_with("name", |text| Ok(text.to_owned()));
        let kinds = section.each_with("events", |text| Kind::of(text).ok_or_else(|| unknown(text)));
        let pause = section.duration("pause").unwrap_or(PAUSE);
        if let Some((kind, service)) = service {
            let name = name.unwrap_or_else(|| kind.to_owned());
            if channels.iter().any(|other| other.name == name) {
                section.error(format!("two channels are called `{name}`; give each its own `name`"));
            }
            let kinds = if kinds.is_empty() { Kind::ALL.into_iter().collect() } else { kinds.into_iter().collect() };
            channels.push(Channel { name, kinds, pause, ca_file, service });
        }
        section.finish();
    }
    channels
}

fn unknown(text: &str) -> String {
    format!("`{text}` is not an event; expected one of {}", Kind::ALL.map(Kind::name).join(", "))
}

/// The one service of a channel.
fn service(
    section: &mut Section<'_>,
    environment: Environment<'_>,
    ca_file: Option<&Path>,
) -> Option<(&'static str, Service)> {
    let mut found = Vec::new();
    for kind in ["slack", "discord", "teams", "matrix", "webhook", "gitea", "github"] {
        let Some(mut inner) = section.section(kind) else { continue };
        found.push((kind, one(kind, &mut inner, environment, ca_file)));
        inner.finish();
    }
    if found.len() != 1 {
        section.error("exactly one of slack, discord, teams, matrix, webhook, gitea and github is required");
    }
    let (kind, service) = found.pop()?;
    Some((kind, service?))
}

fn one(kind: &str, section: &mut Section<'_>, environment: Environment<'_>, ca_file: Option<&Path>) -> Option<Service> {
    let needed = |section: &mut Section<'_>, file, variable| place(section, environment, file, variable, true);
    match kind {
        "slack" => Some(Service::Slack { url: needed(section, "urlFile", "urlEnv")? }),
        "discord" => Some(Service::Discord { url: needed(section, "urlFile", "urlEnv")? }),
        "teams" => Some(Service::Teams { url: needed(section, "urlFile", "urlEnv")? }),
        "matrix" => {
            let (server, room) = (section.parsed_with("server", server), section.parsed_with("room", room));
            if section.lacks("server") || section.lacks("room") {
                section.error("`server` and `room` are required");
            }
            let token = needed(section, "tokenFile", "tokenEnv")?;
            Some(Service::Matrix { server: server?, room: room?, token })
        }
        "webhook" => {
            let url = needed(section, "urlFile", "urlEnv");
            let token = place(section, environment, "tokenFile", "tokenEnv", false);
            let secret = place(section, environment, "secretFile", "secretEnv", false);
            let text = |text: &str| Ok(text.to_owned());
            let content_type = section.parsed_with("contentType", text);
            let body = section.parsed_with("template", |text| {
                Body::new(Some(text.to_owned()), content_type.clone()).map_err(|error| error.to_string())
            });
            let body = body.or_else(|| Body::new(None, content_type).ok())?;
            Some(Service::Webhook { url: url?, body, token, secret })
        }
        "github" => Some(Service::GitHub(forge(section, environment, ca_file, true)?)),
        _ => Some(Service::Gitea(forge(section, environment, ca_file, false)?)),
    }
}

fn forge(
    section: &mut Section<'_>,
    environment: Environment<'_>,
    ca_file: Option<&Path>,
    is_github: bool,
) -> Option<Forge> {
    let server = section.parsed_with("server", server);
    let pages = server.clone().filter(|_| !is_github);
    let api = match (server, is_github) {
        (Some(server), true) => Some(server),
        (None, true) => Url::parse("https://api.github.com").ok(),
        (Some(server), false) => Url::parse(&format!("{}/api/v1", server.as_str().trim_end_matches('/'))).ok(),
        (None, false) => {
            if section.lacks("server") {
                section.error("`server` is required, for example https://gitea.example.com");
            }
            None
        }
    };
    let repository = section.parsed_with("repository", repository);
    if section.lacks("repository") {
        section.error("`repository` is required: owner/name of the infrastructure repository");
    }
    let context = section.parsed_with("context", |text| Ok(text.to_owned()));
    let app = if is_github { section.section("githubApp") } else { None };
    let has_app = app.is_some();
    let app = app.and_then(github_app::read_without_url);
    let stored = place(section, environment, "tokenFile", "tokenEnv", !has_app);
    if stored.is_some() && has_app {
        section.error("`githubApp` replaces the token; remove one or the other");
    }
    let context = context.unwrap_or_else(|| "tagalong".to_owned());
    let (api, repository) = (api?, repository?);
    let token = match (app, stored) {
        (Some(app), _) => {
            let owner = repository.split('/').next().map(str::to_owned);
            StatusToken::Issued(app.issuer(api.clone(), owner, ca_file.map(Path::to_owned), TIMEOUT))
        }
        (None, stored) => StatusToken::Stored(stored?),
    };
    Some(Forge { api, pages, repository, token, context })
}

/// Reads a URL or token from a file or an environment variable: it is never in the configuration itself.
fn place(
    section: &mut Section<'_>,
    environment: Environment<'_>,
    file: &'static str,
    variable: &'static str,
    is_needed: bool,
) -> Option<SecretSource> {
    let has_any = section.has(file) || section.has(variable);
    let from_file = section.path(file).map(SecretSource::File);
    let value = section.parsed_with(variable, |name| match environment(name) {
        Some(value) => Ok(SecretSource::Value(Secret::new(value.trim().to_owned()))),
        None => Err(format!("the environment variable {name} is not set")),
    });
    if from_file.is_some() && value.is_some() || is_needed && !has_any {
        section.error(format!("exactly one of {file} and {variable} is required"));
    }
    from_file.or(value)
}

fn server(text: &str) -> Result<Url, String> {
    let wrong = || "expected a URL such as https://git.example.com, without credentials".to_owned();
    let url = Url::parse(text).map_err(|_| wrong())?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if matches!(url.scheme(), "https" | "http") && is_plain { Ok(url) } else { Err(wrong()) }
}

fn room(text: &str) -> Result<String, String> {
    if text.starts_with('!') {
        Ok(text.to_owned())
    } else {
        Err("expected a room ID such as !abc:example.com; an alias (#…) does not work".to_owned())
    }
}

fn repository(text: &str) -> Result<String, String> {
    let is_word = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    match text.split_once('/') {
        Some((owner, name)) if is_word(owner) && is_word(name) => Ok(text.to_owned()),
        _ => Err(format!("expected owner/name, found `{text}`")),
    }
}
