//! Signatures of commits.

use crate::clock;
use git2::ErrorCode;

use crate::repo::clone::{BareClone, CommitId};
use crate::repo::config::Config;
use crate::repo::error::RepoError;
use crate::repo::signing;

use super::accepted::Signers;

/// Verifies that commits made with a configuration would count. Returns the number of keys, or `None` if all commits
/// count.
///
/// # Errors
/// Keys that cannot be used, or none of which signs our own commits.
pub fn verify_own(config: &Config) -> Result<Option<usize>, RepoError> {
    let Signers::Only { keys, .. } = Signers::of(&config.signers)? else { return Ok(None) };
    let signing = config.signing.as_ref().ok_or(RepoError::Unsigned)?;
    let content = "a signature to verify\n";
    let signature = signing::sign(signing, content)?;
    if !keys.signed(&signature, content.as_bytes(), clock::now().as_second()) {
        return Err(RepoError::OwnSignature { file: signing.key.path().to_owned() });
    }
    Ok(Some(keys.count()))
}

impl BareClone {
    /// Returns whether the message of a commit counts: always without `trust.signers`, otherwise if one of them signed
    /// the commit.
    pub fn is_trusted(&self, id: CommitId) -> Result<bool, RepoError> {
        let Signers::Only { keys, .. } = &self.signers else { return Ok(true) };
        let doing = || RepoError::git(format!("reading the signature of commit {id}"));
        let _call = self.short_call();
        let (signature, content) = match self.repository.extract_signature(&id.0, None) {
            Ok(found) => found,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(false),
            Err(error) => return Err(doing()(error)),
        };
        let at = self.repository.find_commit(id.0).map_err(doing())?.time().seconds();
        Ok(std::str::from_utf8(&signature).is_ok_and(|signature| keys.signed(signature, &content, at)))
    }
}
