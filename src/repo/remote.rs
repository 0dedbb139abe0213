//! The connection: credentials, host keys, and the server's words.
//!
//! libgit2 asks for credentials for ever and loses the reason of a refusal on its way through C; so the callbacks count
//! their attempts and leave the real error behind for the caller.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use git2::{
    CertificateCheckStatus, Cred, CredentialType, Direction, ErrorClass, ErrorCode, Oid, ProxyOptions, RemoteCallbacks,
    RemoteHead, RemoteRedirect,
};

use crate::secret::Secret;

use super::config::Config;
use super::error::{RepoError, Words};
use super::known_hosts::{self, Verdict};

/// What the callbacks leave behind.
#[derive(Default)]
pub(super) struct Trail {
    /// The real reason why the connection was given up.
    pub error: Option<RepoError>,
    /// What the server printed for people.
    pub words: String,
}

pub(super) type SharedTrail = Rc<RefCell<Trail>>;

/// Proxies are taken from the environment and git's own configuration.
pub(super) fn proxy() -> ProxyOptions<'static> {
    let mut proxy = ProxyOptions::new();
    proxy.auto();
    proxy
}

/// Redirects are followed at the first request only, as git does by default: later ones could carry credentials away.
pub(super) const REDIRECTS: RemoteRedirect = RemoteRedirect::Initial;

/// The callbacks of one connection. Credentials are read from their files now, so that a rotated one is taken up.
pub(super) fn callbacks<'c>(config: &'c Config, trail: &SharedTrail) -> Result<RemoteCallbacks<'c>, RepoError> {
    let offer = Offer::read(config)?;
    let mut callbacks = RemoteCallbacks::new();
    let mut attempts = 0;
    let left = Rc::clone(trail);
    callbacks.credentials(move |_, user, allowed| {
        let user = user.unwrap_or("git").to_owned();
        if allowed.contains(CredentialType::USERNAME) {
            return Cred::username(&user);
        }
        attempts += 1;
        let answer = if attempts > 1 { Err(offer.refused(config, &user)) } else { offer.credential(config, &user) };
        answer.map_err(|error| leave(&left, error))
    });
    let left = Rc::clone(trail);
    callbacks.certificate_check(move |cert, _| match cert.as_hostkey() {
        Some(key) => {
            let kind = key.hostkey_type().map(|kind| kind.name()).unwrap_or("unknown");
            let trusted = check_host_key(config, kind, key.hostkey().unwrap_or_default());
            trusted.map(|()| CertificateCheckStatus::CertificateOk).map_err(|error| leave(&left, error))
        }
        // For TLS the library's own check decides; anything but this would accept bad certificates.
        None => Ok(CertificateCheckStatus::CertificatePassthrough),
    });
    let left = Rc::clone(trail);
    callbacks.sideband_progress(move |text| {
        let mut trail = left.borrow_mut();
        if trail.words.len() < 4096 {
            trail.words.push_str(&String::from_utf8_lossy(text));
        }
        true
    });
    Ok(callbacks)
}

fn leave(trail: &SharedTrail, error: RepoError) -> git2::Error {
    let given_up = git2::Error::new(ErrorCode::User, ErrorClass::Callback, error.to_string());
    trail.borrow_mut().error = Some(error);
    given_up
}

/// What we have to show for ourselves.
enum Offer {
    Key { key: Secret<String>, passphrase: Option<Secret<String>>, file: PathBuf },
    Agent,
    Password { user: String, password: Secret<String>, from: String },
    Nothing,
}

impl Offer {
    fn read(config: &Config) -> Result<Offer, RepoError> {
        match config.url.scheme() {
            "ssh" => {
                let Some(file) = &config.ssh.key_file else { return Ok(Offer::Agent) };
                let passphrase = config.ssh.passphrase_file.as_deref().map(read_secret).transpose()?;
                Ok(Offer::Key { key: read_whole(file)?, passphrase, file: file.clone() })
            }
            "http" | "https" => Offer::for_http(config),
            _ => Ok(Offer::Nothing),
        }
    }

    fn for_http(config: &Config) -> Result<Offer, RepoError> {
        let in_url = url::Url::parse(config.url.expose()).ok();
        let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let user = in_url.as_ref().map(|url| decoded(url.username())).filter(|user| !user.is_empty());
        let password = in_url.as_ref().and_then(|url| url.password()).map(decoded);
        let offer = match (&config.https.token_file, password) {
            (Some(file), _) => {
                let user = config.https.username.clone().or(user).unwrap_or_else(|| "git".to_owned());
                Offer::Password { user, password: read_secret(file)?, from: file.display().to_string() }
            }
            (None, Some(password)) => Offer::Password {
                user: user.unwrap_or_else(|| "git".to_owned()),
                password: Secret::new(password),
                from: "the URL".to_owned(),
            },
            // Some forges take a token in the place of the user.
            (None, None) => match user {
                Some(token) => {
                    Offer::Password { user: token, password: Secret::new(String::new()), from: "the URL".to_owned() }
                }
                None => Offer::Nothing,
            },
        };
        let loopback = ["127.0.0.1", "localhost", "[::1]"].iter().any(|host| {
            config.url.authority().strip_prefix(host).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        });
        match offer {
            Offer::Password { .. } if config.url.scheme() == "http" && !loopback => {
                Err(RepoError::ClearText { url: config.url.clone() })
            }
            offer => Ok(offer),
        }
    }

    fn credential(&self, config: &Config, user: &str) -> Result<Cred, RepoError> {
        let made = match self {
            Offer::Key { key, passphrase, .. } => {
                Cred::ssh_key_from_memory(user, None, key.expose(), passphrase.as_ref().map(|p| p.expose().as_str()))
            }
            Offer::Agent => Cred::ssh_key_from_agent(user),
            Offer::Password { user, password, .. } => Cred::userpass_plaintext(user, password.expose()),
            Offer::Nothing => return Err(self.refused(config, user)),
        };
        made.map_err(|_| self.refused(config, user))
    }

    fn refused(&self, config: &Config, user: &str) -> RepoError {
        let with = match self {
            Offer::Key { file, passphrase, .. } => {
                let hint = if passphrase.is_none() { " (without a passphrase)" } else { "" };
                format!("user {user} with the key {}{hint}", file.display())
            }
            Offer::Agent => format!("user {user} with the keys of the ssh agent; no git.ssh.keyFile is set"),
            Offer::Password { from, .. } => format!("the token from {from}"),
            Offer::Nothing => "none were given; set git.https.tokenFile".to_owned(),
        };
        RepoError::Denied { url: config.url.clone(), with }
    }
}

fn read_whole(file: &Path) -> Result<Secret<String>, RepoError> {
    let text = std::fs::read_to_string(file);
    text.map(Secret::new).map_err(|source| RepoError::Unreadable { file: file.to_owned(), source })
}

/// A secret on one line; the final newline that editors add is no part of it.
fn read_secret(file: &Path) -> Result<Secret<String>, RepoError> {
    let whole = read_whole(file)?;
    Ok(Secret::new(whole.expose().trim_end_matches(['\n', '\r']).to_owned()))
}

fn check_host_key(config: &Config, kind: &str, key: &[u8]) -> Result<(), RepoError> {
    let host = known_hosts::host_name(config.url.authority());
    let file = config.ssh.known_hosts_file.clone();
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        // No file is an empty file: the error then tells the line to begin it with.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(RepoError::Unreadable { file, source }),
    };
    match known_hosts::look_up(&text, &host, kind, key) {
        Verdict::Trusted => Ok(()),
        Verdict::Changed => Err(RepoError::HostKeyChanged { host, file }),
        Verdict::Unknown => {
            let line = known_hosts::line(&host, kind, key);
            Err(RepoError::UnknownHost { host, file, line })
        }
    }
}

/// Connects and asks where the branch is, without fetching or writing anything.
pub fn probe(config: &Config) -> Result<String, RepoError> {
    let trail = SharedTrail::default();
    let mut remote =
        git2::Remote::create_detached(config.url.expose()).map_err(RepoError::git("preparing the remote"))?;
    let connection = remote
        .connect_auth(Direction::Fetch, Some(callbacks(config, &trail)?), Some(proxy()))
        .map_err(|error| reason(config, &trail, error))?;
    let heads = connection.list().map_err(|error| reason(config, &trail, error))?;
    tip_of(config, heads).map(|tip| tip.to_string())
}

/// The branch's tip among all that the remote lists.
pub(super) fn tip_of(config: &Config, heads: &[RemoteHead<'_>]) -> Result<Oid, RepoError> {
    let wanted = config.branch.reference();
    if let Some(head) = heads.iter().find(|head| head.name() == wanted) {
        return Ok(head.oid());
    }
    let branches = heads.iter().filter_map(|head| head.name().strip_prefix("refs/heads/"));
    let existing: Vec<String> = branches.take(5).map(str::to_owned).collect();
    let (url, branch) = (config.url.clone(), config.branch.clone());
    Err(if existing.is_empty() { RepoError::Empty { url } } else { RepoError::BranchMissing { url, branch, existing } })
}

/// The reason of a failed network operation: what a callback left, else what the library says.
pub(super) fn reason(config: &Config, trail: &SharedTrail, error: git2::Error) -> RepoError {
    if let Some(left) = trail.borrow_mut().error.take() {
        return left;
    }
    let url = config.url.clone();
    if config.url.local_path().is_some_and(|path| git2::Repository::open(path).is_err()) {
        return RepoError::Missing { url };
    }
    if error.code() == ErrorCode::Auth {
        let offer = Offer::read(config).unwrap_or(Offer::Nothing);
        return offer.refused(config, "git");
    }
    RepoError::Unreachable { url, source: Words(redacted(config, error.message())) }
}

/// Words that may repeat the URL, without what is secret in it.
pub(super) fn redacted(config: &Config, words: &str) -> String {
    words.replace(config.url.expose(), &config.url.to_string())
}
