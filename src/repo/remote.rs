//! The connection: callbacks for credentials, host keys, and the server's words.
//!
//! libgit2 asks for credentials for ever and loses the reason of a refusal on its way through C; so the callbacks count
//! their attempts and leave the real error behind for the caller.

use std::cell::RefCell;
use std::rc::Rc;

use git2::{
    CertificateCheckStatus, Cred, CredentialType, Direction, ErrorClass, ErrorCode, Oid, ProxyOptions, RemoteCallbacks,
    RemoteHead, RemoteRedirect,
};

use super::config::{Branch, Config};
use super::credentials::Offer;
use super::error::{RepoError, Words};
use super::known_hosts::{self, Fingerprint, Verdict};
use super::{library, local};

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
    library::prepare(config)?;
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

fn check_host_key(config: &Config, kind: &str, key: &[u8]) -> Result<(), RepoError> {
    let host = known_hosts::host_name(config.url.authority());
    let file = config.ssh.known_hosts_file.clone();
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        // No file is an empty file: the error then tells the line to begin it with.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(RepoError::Unreadable { file, source }),
    };
    let fingerprint = Fingerprint::of(key);
    let pinned = config.ssh.host_fingerprints.contains(&fingerprint);
    match known_hosts::look_up(&text, &host, kind, key) {
        Verdict::Trusted => Ok(()),
        _ if pinned => Ok(()),
        Verdict::Changed => Err(RepoError::HostKeyChanged { host, file }),
        Verdict::Unknown => {
            let line = known_hosts::line(&host, kind, key);
            Err(RepoError::UnknownHost { host, file, line, fingerprint })
        }
    }
}

/// Connects and asks where the branch is, without fetching or writing anything.
pub fn probe(config: &Config) -> Result<String, RepoError> {
    if let Some(path) = config.url.local_path() {
        let branches = local::branches(config, path)?;
        return tip_of(config, local::named(&branches)).map(|tip| tip.to_string());
    }
    let trail = SharedTrail::default();
    let mut remote =
        git2::Remote::create_detached(config.url.expose()).map_err(RepoError::git("preparing the remote"))?;
    let connection = remote
        .connect_auth(Direction::Fetch, Some(callbacks(config, &trail)?), Some(proxy()))
        .map_err(|error| reason(config, &trail, error))?;
    let heads = connection.list().map_err(|error| reason(config, &trail, error))?;
    tip_of(config, named(heads)).map(|tip| tip.to_string())
}

/// The branch's tip among all references of the remote.
pub(super) fn tip_of<'h>(
    config: &Config,
    heads: impl Iterator<Item = (&'h str, Oid)> + Clone,
) -> Result<Oid, RepoError> {
    let wanted = config.branch.reference();
    if let Some((_, tip)) = heads.clone().find(|(name, _)| *name == wanted) {
        return Ok(tip);
    }
    let branches = heads.filter_map(|(name, _)| name.strip_prefix("refs/heads/"));
    let existing: Vec<String> = branches.take(5).map(str::to_owned).collect();
    let (url, branch) = (config.url.clone(), config.branch.clone());
    Err(if existing.is_empty() { RepoError::Empty { url } } else { RepoError::BranchMissing { url, branch, existing } })
}

/// What a remote lists, as [`tip_of`] takes it.
pub(super) fn named<'h>(heads: &'h [RemoteHead<'_>]) -> impl Iterator<Item = (&'h str, Oid)> + Clone {
    heads.iter().map(|head| (head.name(), head.oid()))
}

/// Where a branch is, among all that the remote lists.
pub(super) fn find(heads: &[RemoteHead<'_>], branch: &Branch) -> Option<Oid> {
    let wanted = branch.reference();
    heads.iter().find(|head| head.name() == wanted).map(RemoteHead::oid)
}

/// The reason of a failed network operation: what a callback left, else what the library says.
pub(super) fn reason(config: &Config, trail: &SharedTrail, error: git2::Error) -> RepoError {
    if let Some(left) = trail.borrow_mut().error.take() {
        return left;
    }
    let url = config.url.clone();
    // Over ssh a refused key is asked for once more, and then the callback has left its word. What else is called a matter
    // of authentication is a connection that broke on the way; but one that has seen many keys of an agent may have had
    // enough of them.
    let broke = url.scheme() == "ssh" && config.ssh.key_file.is_some();
    if error.code() == ErrorCode::Auth && !broke {
        let offer = Offer::read(config).unwrap_or(Offer::Nothing);
        return offer.refused(config, "git");
    }
    let about_key = ["private key", "passphrase"].iter().any(|words| error.message().contains(words));
    if let Some(file) = config.ssh.key_file.as_ref().filter(|_| about_key && url.scheme() == "ssh") {
        let words = "it is no private key that can be read, or the passphrase does not open it".to_owned();
        return RepoError::Key { file: file.clone(), source: Words(words) };
    }
    RepoError::Unreachable { url, source: Words(redacted(config, error.message())) }
}

/// Words that may repeat the URL, without what is secret in it.
pub(super) fn redacted(config: &Config, words: &str) -> String {
    words.replace(config.url.expose(), &config.url.to_string())
}
