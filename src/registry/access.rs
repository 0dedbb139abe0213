//! Tries whether the tags of a repository may be listed, without reading the list.

use reqwest::{Method, StatusCode};

use crate::image::Repository;

use super::client::Client;
use super::endpoint::{Endpoint, SMALL};
use super::error::RegistryError;
use super::response::{is_html, is_registry_error, not_a_registry};

impl Client {
    /// Checks that the tags of a repository may be listed, with the shortest page that the registry gives.
    ///
    /// # Errors
    /// The credentials are not good for it, it does not exist, or the registry cannot be reached.
    pub async fn try_listing(&self, repository: &Repository) -> Result<(), RegistryError> {
        self.within_time(repository, "listing tags", self.try_listing_now(repository)).await
    }

    async fn try_listing_now(&self, repository: &Repository) -> Result<(), RegistryError> {
        if let Some(chart) = self.chart(repository) {
            return chart.list(None).await.map(drop);
        }
        let endpoints = self.endpoints(repository)?;
        if let Some(mirror) = endpoints.trusted_mirror() {
            match try_at(mirror, repository).await {
                Ok(()) => return Ok(()),
                Err(error) => mirror.log_skipped(&error),
            }
        }
        match try_at(&endpoints.origin, repository).await {
            // Some registries list everything, whatever is asked for.
            Err(RegistryError::TooLarge { .. }) => self.tags(repository).await.map(drop),
            tried => tried,
        }
    }
}

async fn try_at(endpoint: &Endpoint, repository: &Repository) -> Result<(), RegistryError> {
    let mut request = endpoint.request(Method::GET, "tags/list", "application/json", SMALL);
    let separator = if request.target.contains('?') { '&' } else { '?' };
    request.target = format!("{}{separator}n=1", request.target);
    let response = endpoint.send(&request).await?;
    match response.status {
        StatusCode::OK if !is_html(&response) => Ok(()),
        StatusCode::NOT_FOUND if is_registry_error(&response) => Err(RegistryError::NoRepository(repository.clone())),
        _ => Err(not_a_registry(repository.host(), &response)),
    }
}
