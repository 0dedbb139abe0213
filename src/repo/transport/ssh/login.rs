//! Authentication by key, certificate or ssh agent.

use std::sync::Arc;

use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode;
use russh::keys::ssh_key::{Signature, private::KeypairData};
use russh::keys::{Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg, decode_secret_key};
use russh::{SendError, Signer};

use crate::repo::credentials::{KeyOffer, Offer, agent_socket};
use crate::repo::error::{RepoError, Words};

use super::host_keys::Gatekeeper;
use super::pem;

/// What to authenticate with.
pub enum Identity {
    /// A key, with its certificate if it has one.
    Key(Arc<PrivateKey>, Option<Box<Certificate>>),
    /// The keys and certificates of the ssh agent.
    Agent,
}

impl Identity {
    /// Returns the identity for credentials, decrypting the key if necessary.
    pub fn of(offer: &Offer) -> Result<Identity, RepoError> {
        let Offer::Key(offer) = offer else { return Ok(Identity::Agent) };
        let KeyOffer { key, passphrase, certificate, file } = offer;
        let unusable = |words: String| RepoError::Key { file: file.clone(), source: Words(words) };
        let passphrase = passphrase.as_ref().map(|passphrase| passphrase.expose().as_str());
        let decrypted = passphrase.and_then(|passphrase| pem::decrypt(key.expose(), passphrase));
        let opened = match &decrypted {
            Some(plain) => decode_secret_key(plain.expose(), None),
            None => decode_secret_key(key.expose(), passphrase),
        };
        let key = opened.map_err(|_| {
            unusable("it is not a private key that can be read, or the passphrase does not open it".to_owned())
        })?;
        let certificate = certificate.as_deref().map(|text| {
            Certificate::from_openssh(text.trim())
                .map(Box::new)
                .map_err(|error| unusable(format!("the certificate beside it cannot be read: {error}")))
        });
        Ok(Identity::Key(Arc::new(key), certificate.transpose()?))
    }

    /// Authenticates; returns whether the server has accepted it.
    pub async fn log_in(self, handle: &mut Handle<Gatekeeper>, user: &str) -> Result<bool, russh::Error> {
        match self {
            Identity::Key(key, certificate) => {
                let hash = if key.algorithm().is_rsa() { rsa_hash(handle).await? } else { None };
                if let Some(certificate) = certificate
                    && with_certificate(handle, user, *certificate, hash, &mut KeySigner(Arc::clone(&key))).await
                {
                    return Ok(true);
                }
                let key = PrivateKeyWithHashAlg::new(key, hash);
                Ok(handle.authenticate_publickey(user, key).await?.success())
            }
            Identity::Agent => with_agent(handle, user).await,
        }
    }
}

/// Returns the hash for RSA signatures: the strongest, if the server does not say what it supports.
async fn rsa_hash(handle: &Handle<Gatekeeper>) -> Result<Option<HashAlg>, russh::Error> {
    let supported = handle.best_supported_rsa_hash().await?;
    Ok(Some(supported.flatten().unwrap_or(HashAlg::Sha512)))
}

async fn with_certificate<S: Signer>(
    handle: &mut Handle<Gatekeeper>,
    user: &str,
    certificate: Certificate,
    hash: Option<HashAlg>,
    signer: &mut S,
) -> bool {
    let shown = handle.authenticate_certificate_with(user, certificate, hash, signer).await;
    shown.is_ok_and(|result| result.success())
}

/// Tries the agent's keys and certificates in its order, until the server disconnects.
async fn with_agent(handle: &mut Handle<Gatekeeper>, user: &str) -> Result<bool, russh::Error> {
    let Some(socket) = agent_socket() else { return Ok(false) };
    let Ok(mut agent) = AgentClient::connect_uds(socket).await else { return Ok(false) };
    if let Some(binding) = handle.agent_session_binding() {
        // Agents without support for destination constraints reject this, and work anyway.
        let _ = agent.bind_session(binding, false).await;
    }
    for identity in agent.request_identities().await.unwrap_or_default() {
        if handle.is_closed() {
            break;
        }
        let is_in = match identity {
            AgentIdentity::PublicKey { key, .. } => {
                let hash = if key.algorithm().is_rsa() { rsa_hash(handle).await? } else { None };
                let shown = handle.authenticate_publickey_with(user, key, hash, &mut agent).await;
                shown.as_ref().is_ok_and(AuthResult::success)
            }
            AgentIdentity::Certificate { certificate, .. } => {
                let hash = if certificate.algorithm().is_rsa() { rsa_hash(handle).await? } else { None };
                with_certificate(handle, user, certificate, hash, &mut agent).await
            }
        };
        if is_in {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Signs with a key in memory.
struct KeySigner(Arc<PrivateKey>);

/// Signing failed.
struct CannotSign;

impl From<SendError> for CannotSign {
    fn from(_: SendError) -> CannotSign {
        CannotSign
    }
}

impl Signer for KeySigner {
    type Error = CannotSign;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        mut data: Vec<u8>,
    ) -> Result<Vec<u8>, CannotSign> {
        let signature: Signature = match self.0.key_data() {
            KeypairData::Rsa(pair) => (pair, hash).try_sign(&data),
            _ => self.0.try_sign(&data),
        }
        .map_err(|_| CannotSign)?;
        let mut encoded = Vec::new();
        signature.encode(&mut encoded).map_err(|_| CannotSign)?;
        encoded.encode(&mut data).map_err(|_| CannotSign)?;
        Ok(data)
    }
}
