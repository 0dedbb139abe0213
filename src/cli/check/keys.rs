//! Age identities.

use crate::config::load::Config;
use crate::fault::Explain;

use super::row::Row;

/// Checks the age identities.
pub fn check(config: &Config) -> Row {
    let identities = config.secrets.keys.keyring().map(|keyring| match keyring.recipients().collect::<Vec<_>>() {
        none if none.is_empty() => "none found; encrypted files are checked only as far as possible without".to_owned(),
        recipients => format!("decrypt files for {}", recipients.join(", ")),
    });
    let identities = identities.as_ref().map(Clone::clone).map_err(|error| error as &dyn Explain);
    Row::new("keys", "age identities", identities).needed_to("verify and edit encrypted files")
}
