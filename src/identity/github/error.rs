//! The errors of a GitHub App.

use std::path::PathBuf;

use crate::fault::{Explain, Fault};
use crate::http::complaint::Complaint;

/// An access token of a GitHub App could not be obtained.
#[derive(Debug, Clone, thiserror::Error)]
#[allow(missing_docs, reason = "the messages name the fields")]
pub enum AppError {
    /// A file cannot be read.
    #[error("cannot read {} for the GitHub App {app}: {reason}", file.display())]
    Unreadable { app: String, file: PathBuf, reason: String },
    /// The private key cannot be used.
    #[error("cannot use {} as the private key of the GitHub App {app}: {reason}", file.display())]
    Key { app: String, file: PathBuf, reason: &'static str },
    /// The certificate authorities cannot be used.
    #[error("cannot use the certificates in {}: {reason}", file.display())]
    Authorities { file: PathBuf, reason: String },
    /// The URL of the repository has no owner and name.
    #[error(
        "the GitHub App {app} needs the URL of a repository on GitHub: {url} does not end with an owner and a name"
    )]
    NotARepository { app: String, url: String },
    /// The token would be sent unencrypted.
    #[error("the API of the GitHub App {app} at {host} is plain http: the credentials would travel in clear text")]
    ClearText { app: String, host: String },
    /// The connection failed.
    #[error("cannot reach {host} to get {wanted}: {reason}")]
    Unreachable { host: String, wanted: String, reason: String },
    /// GitHub has a problem, or asks for a later retry.
    #[error("{host} responded with {status} when asked for {wanted}{}", Complaint::appended(message.as_ref()))]
    Unavailable { host: String, wanted: String, status: u16, message: Option<String> },
    /// GitHub does not accept the app's own token.
    #[error("{host} rejected the GitHub App {app} with the private key {}{}", file.display(), Complaint::appended(message.as_ref()))]
    Rejected {
        host: String,
        app: String,
        file: PathBuf,
        message: Option<String>,
        /// How far this machine's clock is ahead of GitHub's, in seconds.
        ahead: Option<i64>,
    },
    /// The app has no access to the repository.
    #[error("the GitHub App {app} is not installed on {repository} at {host}{}", Complaint::appended(message.as_ref()))]
    NotInstalled { host: String, app: String, repository: String, message: Option<String> },
    /// The configured installation does not exist, or is of another app.
    #[error("the GitHub App {app} has no installation {installation} at {host}{}", Complaint::appended(message.as_ref()))]
    UnknownInstallation { host: String, app: String, installation: u64, message: Option<String> },
    /// The installation is suspended.
    #[error("the installation {installation} of the GitHub App {app} at {host} is suspended")]
    Suspended { host: String, app: String, installation: u64 },
    /// The installation lacks permissions.
    #[error("the GitHub App {app} lacks a permission on {repository} at {host}: {missing}")]
    LacksPermission { host: String, app: String, repository: String, missing: String },
    /// GitHub refused the request for another reason.
    #[error("{host} refused {wanted} ({status}){}", Complaint::appended(message.as_ref()))]
    Refused { host: String, wanted: String, status: u16, message: Option<String> },
    /// The response does not match the API's schema.
    #[error("{host} gave an unexpected response when asked for {wanted}: {reason}")]
    InvalidResponse { host: String, wanted: String, reason: String },
}

impl Explain for AppError {
    fn fault(&self) -> Fault {
        match self {
            AppError::Unreadable { .. }
            | AppError::Key { .. }
            | AppError::Authorities { .. }
            | AppError::NotARepository { .. }
            | AppError::ClearText { .. } => Fault::BadInput,
            AppError::Unreachable { .. } | AppError::Unavailable { .. } | AppError::InvalidResponse { .. } => {
                Fault::Transient
            }
            AppError::Rejected { .. }
            | AppError::NotInstalled { .. }
            | AppError::UnknownInstallation { .. }
            | AppError::Suspended { .. }
            | AppError::LacksPermission { .. }
            | AppError::Refused { .. } => Fault::Denied,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            AppError::Unreadable { .. } => "check the path and its permissions".to_owned(),
            AppError::Key { .. } => {
                "set githubApp.privateKeyFile to the .pem file that GitHub generates in the settings of the app"
                    .to_owned()
            }
            AppError::Authorities { .. } => "check https.caFile; it must contain PEM certificates".to_owned(),
            AppError::NotARepository { .. } => {
                "check the URL, for example https://github.com/acme/infra.git".to_owned()
            }
            AppError::ClearText { .. } => "use https for githubApp.url".to_owned(),
            AppError::Unreachable { .. } => "check githubApp.url and the network".to_owned(),
            AppError::Unavailable { .. } => "the next cycle retries".to_owned(),
            AppError::Rejected { message, ahead, .. } => rejected(message.as_deref().unwrap_or_default(), *ahead),
            AppError::NotInstalled { repository, .. } => format!(
                "install the app for {repository}: in the settings of the app under Install App, or add the repository \
                 to its installation"
            ),
            AppError::UnknownInstallation { .. } => {
                "remove githubApp.installationId to have it looked up, or take it from the URL of the installation's \
                 settings"
                    .to_owned()
            }
            AppError::Suspended { .. } => {
                "an owner can end the suspension in the settings of the installation".to_owned()
            }
            AppError::LacksPermission { missing, .. } => format!(
                "give the app the repository permission {missing} in its settings; the owner of the installation then has \
                 to accept it"
            ),
            AppError::Refused { .. } => "check the settings of the app and of its installation".to_owned(),
            AppError::InvalidResponse { .. } => {
                "check githubApp.url; it must be the base URL of GitHub's API".to_owned()
            }
        })
    }
}

/// How far ahead of GitHub's our clock may be before a token is not accepted, and how far behind, in seconds.
const ACCEPTED: std::ops::RangeInclusive<i64> = -500..=50;

/// Returns what to do about a rejected token, which depends on GitHub's words and on its clock.
fn rejected(message: &str, ahead: Option<i64>) -> String {
    let is_about_time = ["'exp'", "'iat'", "Expiration time", "Issued at"].iter().any(|word| message.contains(word));
    match ahead.filter(|ahead| is_about_time || !ACCEPTED.contains(ahead)) {
        Some(ahead @ 2..) => format!("set the clock of this machine; it is {ahead} s ahead of GitHub's"),
        Some(ahead @ ..=-2) => format!("set the clock of this machine; it is {} s behind GitHub's", -ahead),
        _ if is_about_time => "check the clock of this machine".to_owned(),
        _ => {
            "check that the key in githubApp.privateKeyFile was generated for the app in githubApp.appId, and was not \
              deleted since"
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_clock_is_told_from_a_wrong_key() {
        let time = "'Expiration time' claim ('exp') is too far in the future";
        assert_eq!(rejected(time, None), "check the clock of this machine");
        assert_eq!(rejected(time, Some(900)), "set the clock of this machine; it is 900 s ahead of GitHub's");
        assert_eq!(rejected("", Some(-900)), "set the clock of this machine; it is 900 s behind GitHub's");
        assert!(rejected("", Some(-300)).contains("privateKeyFile"));
        assert!(rejected("A JSON web token could not be decoded", Some(2)).contains("privateKeyFile"));
    }
}
