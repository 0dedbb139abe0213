//! Commit statuses on Gitea and GitHub, which have the same API.

use url::Url;

use crate::forge::commit_status::{CheckState, NewStatus};

use crate::identity::scope::Scope;
use crate::secret::Secret;

use super::config::{Forge, StatusToken};
use super::error::NotifyError;
use super::event::{Event, Kind};
use super::request::Request;

/// The request that sets the status of an event's commit, with a token; `None` if the event is not about a commit.
pub(super) async fn request(forge: &Forge, scheme: &str, events: &[Event]) -> Result<Option<Request>, NotifyError> {
    match unauthorized(forge, events)? {
        Some(request) => Ok(Some(request.authorized(scheme, &token(forge).await?))),
        None => Ok(None),
    }
}

async fn token(forge: &Forge) -> Result<Secret<String>, NotifyError> {
    match &forge.token {
        StatusToken::Stored(source) => source.read(),
        StatusToken::Issued(issuer) => Ok(issuer.token(&forge.repository, Scope::WriteStatuses).await?),
    }
}

/// Forgets the token, because the forge has refused it. Returns whether there may be another.
pub(super) async fn forget_token(forge: &Forge) -> bool {
    match &forge.token {
        StatusToken::Stored(_) => false,
        StatusToken::Issued(issuer) => issuer.refused(&forge.repository, Scope::WriteStatuses).await,
    }
}

/// The request without a token. The outcome in the cluster replaces the status of the push.
fn unauthorized(forge: &Forge, events: &[Event]) -> Result<Option<Request>, NotifyError> {
    let Some(event) = events.first() else { return Ok(None) };
    let state = match event.kind {
        Kind::Updated | Kind::Reconciled => CheckState::Success,
        Kind::ReconcileFailed => CheckState::Failure,
        _ => return Ok(None),
    };
    let Some(commit) = &event.commit else { return Ok(None) };
    let path = NewStatus::path(&forge.repository, commit);
    let url = format!("{}{path}", forge.api.as_str().trim_end_matches('/'));
    let url = Url::parse(&url).map_err(|_| NotifyError::InvalidUrl)?;
    let page = forge
        .pages
        .as_ref()
        .map(|pages| format!("{}/{}/commit/{commit}", pages.as_str().trim_end_matches('/'), forge.repository));
    let (context, description) = (forge.context.clone(), event.title.clone());
    let status = NewStatus { context, state, description, url: page.or_else(|| event.url.clone()) };
    let body = status.body();
    Ok(Some(Request::json(url, &body)))
}

#[cfg(test)]
mod tests {
    use crate::notify::secret_source::SecretSource;

    use super::*;

    #[test]
    fn only_events_about_a_commit_set_its_status() {
        let forge = Forge {
            api: Url::parse("https://git.example.com/api/v1").expect("a URL"),
            pages: None,
            repository: "org/infra".to_owned(),
            token: StatusToken::Stored(SecretSource::Value(Secret::new("t0ken".to_owned()))),
            context: "tagalong".to_owned(),
        };
        let sent = |kind| unauthorized(&forge, &[Event::example(kind)]).expect("no error");
        let marked = sent(Kind::Updated).expect("a request");
        let id = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(marked.url.path(), format!("/api/v1/repos/org/infra/statuses/{id}"));
        let body: serde_json::Value = serde_json::from_str(&marked.body).expect("JSON");
        assert_eq!((&body["state"], &body["context"]), (&"success".into(), &"tagalong".into()));
        let failed = sent(Kind::ReconcileFailed).expect("a request").body;
        assert_eq!(serde_json::from_str::<serde_json::Value>(&failed).expect("JSON")["state"], "failure");
        assert!(sent(Kind::Blocked).is_none());
        let without = Event { commit: None, ..Event::example(Kind::Updated) };
        assert!(unauthorized(&forge, &[without]).expect("no error").is_none());
    }

    #[test]
    fn statuses_link_to_the_pages_of_the_forge() {
        let page = |pages: Option<&str>| {
            let forge = Forge {
                api: Url::parse("https://git.example.com/gitea/api/v1").expect("a URL"),
                pages: pages.map(|pages| Url::parse(pages).expect("a URL")),
                repository: "org/infra".to_owned(),
                token: StatusToken::Stored(SecretSource::Value(Secret::new("t0ken".to_owned()))),
                context: "tagalong".to_owned(),
            };
            let internal = Some("http://gitea.git.svc:3000/org/infra/commit/1".to_owned());
            let event = Event { url: internal, ..Event::example(Kind::Updated) };
            let request = unauthorized(&forge, &[event]).expect("no error").expect("a request");
            let body: serde_json::Value = serde_json::from_str(&request.body).expect("JSON");
            body["target_url"].as_str().expect("an address").to_owned()
        };
        let expected = "https://git.example.com/gitea/org/infra/commit/0123456789abcdef0123456789abcdef01234567";
        assert_eq!(page(Some("https://git.example.com/gitea/")), expected);
        assert_eq!(page(None), "http://gitea.git.svc:3000/org/infra/commit/1");
    }
}
