//! The secrets of incoming webhooks.

use crate::agent::webhook::config::Webhook;
use crate::agent::webhook::endpoint;
use crate::fault::Fault;

use super::row::Row;

/// Checks that each secret can be read and is what its sender has.
pub fn check(webhooks: &[Webhook]) -> Vec<Row> {
    webhooks.iter().map(one).map(|row| row.needed_to("recognize the sender of an event")).collect()
}

fn one(webhook: &Webhook) -> Row {
    let file = webhook.secret_file.display();
    let row = |detail| Row::new("webhook", webhook.kind.to_string(), Ok(detail));
    match endpoint::secret(webhook) {
        Err(reason) => Row {
            ok: false,
            help: Some("write the secret that the sender has to the file, and make it readable".to_owned()),
            fault: Some(Fault::BadInput),
            ..row(format!("cannot use the secret in {file}: {reason}"))
        },
        // A line break at the end does not count, so this is almost always a mistake.
        Ok(secret) if secret.expose().trim() != secret.expose() || secret.expose().contains('\n') => Row {
            help: Some("remove them unless the sender has them too".to_owned()),
            ..row(format!("the secret in {file} contains line breaks, or blanks at its ends")).warning()
        },
        Ok(_) => row("the secret can be read".to_owned()),
    }
}
