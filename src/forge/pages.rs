//! Lists of a forge, page by page.

use serde::de::DeserializeOwned;

use super::config::Kind;
use super::error::ForgeError;
use super::transport::{Request, Transport};

/// The most pages of a list that are read.
const PAGES: usize = 40;

/// A page of a list: the list itself, or an object around it.
pub trait Page: DeserializeOwned {
    /// An item of the list.
    type Item;

    /// Returns the items of the page.
    fn items(self) -> Vec<Self::Item>;
}

impl<T: DeserializeOwned> Page for Vec<T> {
    type Item = T;

    fn items(self) -> Vec<T> {
        self
    }
}

/// Reads the pages of the list at `target`, whose query asks for large pages, until there is no other page or what was
/// found `is_enough`. Items are dropped unless they are to be kept.
pub async fn read<P: Page>(
    forge: &Transport,
    target: &str,
    is_kept: impl Fn(&P::Item) -> bool,
    is_enough: impl Fn(&[P::Item]) -> bool,
) -> Result<Vec<P::Item>, ForgeError> {
    let (mut kept, mut seen, mut largest) = (Vec::new(), 0, 0);
    for page in 1..=PAGES {
        let response = forge.send::<Option<P>>(Request::get(format!("{target}&page={page}"))).await?;
        let items = response.body.map(P::items).unwrap_or_default();
        let count = items.len();
        (seen, largest) = (seen + count, largest.max(count));
        kept.extend(items.into_iter().filter(|item| is_kept(item)));
        let has_next = match (forge.config.kind, response.total) {
            // Some of Gitea's lists report a total instead of a link, and old versions report neither.
            (Kind::Gitea, Some(total)) => count > 0 && seen < total,
            (Kind::Gitea, None) => response.has_next || (count > 0 && count >= largest),
            _ => response.has_next,
        };
        if !has_next || is_enough(&kept) {
            return Ok(kept);
        }
    }
    Err(endless(forge, target))
}

/// Reads the pages of a list from the target `first` on. `next` returns the target of the page that follows one.
pub async fn follow<P: Page>(
    forge: &Transport,
    first: String,
    next: impl Fn(&P) -> Result<Option<String>, ForgeError>,
) -> Result<Vec<P::Item>, ForgeError> {
    let (mut found, mut target) = (Vec::new(), first.clone());
    for _ in 1..=PAGES {
        let page = forge.send::<P>(Request::get(target)).await?.body;
        let following = next(&page)?;
        found.extend(page.items());
        match following {
            Some(following) => target = following,
            None => return Ok(found),
        }
    }
    Err(endless(forge, &first))
}

/// The error for a list that has too many pages.
fn endless(forge: &Transport, target: &str) -> ForgeError {
    let (host, path) = (forge.config.api.host().to_owned(), target.split('?').next().unwrap_or_default());
    let reason = format!("the list has more than {PAGES} pages");
    ForgeError::InvalidResponse { host, what: format!("GET {path}"), reason }
}
