//! A GitHub App and its access tokens.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::identity::renewed::Renewed;
use crate::identity::scope::Scope;
use crate::secret::Secret;

use super::api::Api;
use super::config::AppConfig;
use super::error::AppError;
use super::permissions::needed;

/// The most tokens that are kept. Images can name any number of repositories.
const MOST: usize = 512;

/// An access token, once there is one.
type Token = Arc<Renewed<Secret<String>, AppError>>;

/// A GitHub App. Its access tokens are kept and renewed, one for each repository and use.
pub struct App {
    config: AppConfig,
    tokens: Mutex<BTreeMap<(String, Scope), Token>>,
}

impl App {
    /// Creates an app. Does not connect yet.
    pub fn new(config: AppConfig) -> Arc<App> {
        Arc::new(App { config, tokens: Mutex::default() })
    }

    /// The ID of the app.
    pub fn id(&self) -> &str {
        &self.config.id
    }

    /// Returns an access token for a repository (owner and name): the one from before if it is still valid and the private
    /// key is the same, else a new one.
    ///
    /// # Errors
    /// The private key cannot be used, or GitHub cannot be reached or refuses.
    pub async fn token(self: &Arc<App>, repository: &str, scope: Scope) -> Result<Secret<String>, AppError> {
        let (app, repository) = (Arc::clone(self), repository.to_owned());
        let wanted = format!("an access token for {repository}");
        // In a task of its own, which continues even if a caller waits for it on the thread that another caller needs.
        let task = tokio::spawn(async move { app.kept_or_new(&repository, scope).await });
        let ended = task.await.map_err(|_| "the task was aborted".to_owned());
        ended
            .unwrap_or_else(|reason| Err(AppError::Unreachable { host: self.config.host().to_owned(), wanted, reason }))
    }

    /// Forgets an access token, because a server has refused it.
    pub async fn forget(&self, repository: &str, scope: Scope) {
        self.entry(repository, scope).forget().await;
    }

    async fn kept_or_new(&self, repository: &str, scope: Scope) -> Result<Secret<String>, AppError> {
        let config = &self.config;
        let pem = std::fs::read(&config.private_key_file).map(Secret::new);
        let pem = pem.map_err(|error| AppError::Unreadable {
            app: config.id.clone(),
            file: config.private_key_file.clone(),
            reason: error.to_string(),
        })?;
        let inputs = Sha256::digest(pem.expose()).into();
        let issue = async || {
            let api = Api::new(config, pem.expose())?;
            let installation = match config.installation_for(repository) {
                Some(installation) => installation,
                None => api.installation(repository).await?,
            };
            let issued = api.access_token(installation, repository, needed(scope)).await?;
            tracing::debug!(app = %config.id, repository, ?scope, "a new access token of the GitHub App");
            Ok(issued)
        };
        let on_failure = |error: &AppError| {
            tracing::warn!(%error, repository, "an access token could not be renewed; the old one is still valid");
        };
        self.entry(repository, scope).get(inputs, issue, on_failure).await
    }

    fn entry(&self, repository: &str, scope: Scope) -> Token {
        let mut tokens = self.tokens.lock();
        let key = (repository.to_ascii_lowercase(), scope);
        if tokens.len() >= MOST && !tokens.contains_key(&key) {
            tokens.clear();
        }
        Arc::clone(tokens.entry(key).or_default())
    }
}
