//! Resolves names, and keeps redirects away from private addresses.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::reach::Reach;

tokio::task_local! {
    /// The name that a redirect leads to, and the reach that its addresses may have. It applies to that name only,
    /// because the name of a proxy is resolved as well.
    static LIMIT: (String, Reach);
}

/// All addresses of a name are more private than the server that redirected there.
#[derive(Debug, thiserror::Error)]
#[error("the name leads to a private address")]
pub struct PrivateAddress;

/// The system's resolver, which remembers the reach of names. Clones share what they remember.
#[derive(Debug, Clone, Default)]
pub struct Resolver {
    seen: Arc<Mutex<HashMap<String, Reach>>>,
}

impl Resolver {
    /// The reach of a name that was resolved without a limit.
    pub fn reach(&self, name: &str) -> Option<Reach> {
        self.seen.lock().get(name).copied()
    }
}

/// Runs a request during which a name may only lead to addresses of this reach or a wider one.
pub async fn limited<T>(name: String, reach: Reach, request: impl Future<Output = T>) -> T {
    LIMIT.scope((name, reach), request).await
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let seen = Arc::clone(&self.seen);
        let name = name.as_str().to_owned();
        let limit = LIMIT.try_with(|(limited, reach)| (*limited == name).then_some(*reach)).ok().flatten();
        Box::pin(async move {
            let mut addresses: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let reach = |address: &SocketAddr| Reach::of(address.ip());
            match limit {
                Some(limit) => {
                    let had_any = !addresses.is_empty();
                    addresses.retain(|address| reach(address) <= limit);
                    if had_any && addresses.is_empty() {
                        return Err(PrivateAddress.into());
                    }
                }
                None => {
                    let widest = addresses.iter().map(reach).min();
                    seen.lock().extend(widest.map(|widest| (name, widest)));
                }
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
