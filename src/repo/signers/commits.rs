//! Signatures of commits.

use crate::clock;
use git2::ErrorCode;

use crate::repo::clone::{BareClone, CommitId};
use crate::repo::config::Config;
use crate::repo::error::RepoError;
use crate::repo::signing;

use super::accepted::Signers;
use super::allowed::{self, AllowedKey};
use super::keys;
use super::people::{People, Role};
use super::verdict::Verdict;

/// Verifies that commits made with a configuration would count. Returns the number of keys, or `None` if all commits
/// count.
///
/// # Errors
/// Keys that cannot be used, or none of which signs our own commits.
pub fn verify_own(config: &Config) -> Result<Option<usize>, RepoError> {
    let Signers::Only { keys, .. } = Signers::of(&config.trust.signers)? else { return Ok(None) };
    let signing = config.signing.as_ref().ok_or(RepoError::Unsigned)?;
    let content = "a signature to verify\n";
    let signature = signing::sign(signing, content)?;
    if !keys.signed(&signature, content.as_bytes(), clock::now().as_second()) {
        return Err(RepoError::OwnSignature { file: signing.key.path().to_owned() });
    }
    Ok(Some(keys.count()))
}

/// The signature of a commit.
struct Signed {
    /// The armored signature.
    signature: String,
    /// The content that was signed.
    content: Vec<u8>,
    /// The time of the commit in seconds.
    at: i64,
}

impl BareClone {
    /// Returns the verdict of `trust.signers` on the signature of a commit: only if they accept it, its message counts.
    /// `None` without any, where all messages count.
    pub fn verdict(&self, id: CommitId) -> Result<Option<Verdict>, RepoError> {
        let Signers::Only { keys, .. } = &self.signers else { return Ok(None) };
        let verdict = |signed: Signed| keys.verdict(&signed.signature, &signed.content, signed.at);
        Ok(Some(self.signed(id)?.map_or(Verdict::Unsigned, verdict)))
    }

    /// Returns the signature of a commit, if it has one.
    fn signed(&self, id: CommitId) -> Result<Option<Signed>, RepoError> {
        let doing = || RepoError::git(format!("reading the signature of commit {id}"));
        let _call = self.short_call();
        let (signature, content) = match self.repository.extract_signature(&id.0, None) {
            Ok(found) => found,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
            Err(error) => return Err(doing()(error)),
        };
        let at = self.repository.find_commit(id.0).map_err(doing())?.time().seconds();
        let signature = String::from_utf8_lossy(&signature).into_owned();
        Ok(Some(Signed { signature, content: content.to_vec(), at }))
    }

    /// Returns the people with special rights.
    pub fn people(&self) -> &People {
        &self.people
    }

    /// Returns the verdict of those who have a right on the signature of a commit. Their key has to be valid at the time of
    /// the commit. `None` if nobody has the right.
    pub fn verdict_of(&self, id: CommitId, role: Role) -> Result<Option<Verdict>, RepoError> {
        let keys = self.people.with(role);
        if keys.is_empty() {
            return Ok(None);
        }
        let verdict = |signed: Signed| keys::ssh_verdict(keys, &signed.signature, &signed.content, signed.at);
        Ok(Some(self.signed(id)?.map_or(Verdict::Unsigned, verdict)))
    }

    /// Returns who our own signatures are by, among the people with any of some rights.
    ///
    /// # Errors
    /// Our commits are not signed, or not by any of those.
    pub fn own_signer(&self, roles: &[Role]) -> Result<String, RepoError> {
        let keys = || roles.iter().map(|role| role.key()).collect::<Vec<_>>().join(" or ");
        let listed = || roles.iter().flat_map(|role| self.people.with(*role));
        if listed().next().is_none() {
            return Err(RepoError::NobodyListed { keys: keys() });
        }
        let signing = self.config.signing.as_ref().ok_or(RepoError::NoSigningKey)?;
        let content = "a signature to verify\n";
        let (signature, at) = (signing::sign(signing, content)?, clock::now().as_second());
        let signer = |role: &Role| allowed::signer(self.people.with(*role), &signature, content.as_bytes(), at);
        match roles.iter().find_map(signer) {
            Some(key) => Ok(key.who()),
            None => Err(RepoError::NotListed {
                file: signing.key.path().to_owned(),
                keys: keys(),
                listed: listed().map(AllowedKey::describe).collect::<Vec<_>>().join(", "),
            }),
        }
    }
}
