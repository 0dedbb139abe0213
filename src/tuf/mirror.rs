//! The files of a repository, by HTTP. Nothing in them is trusted before it was verified.

use reqwest::{Method, StatusCode};
use sigstore_tuf::transport::FetchFuture;
use sigstore_tuf::{Error, Repository};
use url::Url;

use crate::http::client::{Client, Request};
use crate::http::connection_failure;

/// The files below an address.
#[derive(Debug)]
pub struct Mirror {
    client: Client,
    /// Ends in a slash.
    base: Url,
}

impl Mirror {
    /// The files below an address.
    pub fn new(client: Client, mut base: Url) -> Mirror {
        if !base.path().ends_with('/') {
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        Mirror { client, base }
    }

    async fn get(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let url = self.base.join(name).map_err(|error| Error::transport(format!("{name} is not a name: {error}")))?;
        if !url.as_str().starts_with(self.base.as_str()) {
            return Err(Error::transport(format!("{name} is not below {}", self.base)));
        }
        let failed = |problem: String| Error::transport(format!("{url}: {problem}"));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let request = Request::new(Method::GET, url.clone());
        let response = self.client.send(&request, limit).await.map_err(|error| failed(connection_failure(&error)))?;
        match response.status {
            StatusCode::OK => Ok(Some(response.body)),
            // Storage without a right to list says so of files that do not exist.
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Ok(None),
            status => Err(failed(format!("the response is {status}"))),
        }
    }
}

impl Repository for Mirror {
    fn fetch_metadata<'a>(&'a self, name: &'a str, max_length: u64) -> FetchFuture<'a> {
        Box::pin(self.get(name, max_length))
    }

    fn fetch_target<'a>(&'a self, path: &'a str, max_length: u64) -> FetchFuture<'a> {
        Box::pin(async move { self.get(&format!("targets/{path}"), max_length).await })
    }
}
