//! OpenPGP certificates and detached signatures by them (RFC 9580). A key that has expired still counts for what it signed
//! before, a revoked one for nothing.

use std::cmp::max_by_key;

use pgp::composed::{Deserializable, DetachedSignature, SignedPublicKey, SignedPublicSubKey};
use pgp::packet::{PublicKey, PublicSubkey, Signature, SignatureType};
use pgp::types::{KeyDetails, SignedUser, Tag};

use super::verdict::{SignedWith, Verdict};

/// A key that may sign.
#[derive(Debug)]
pub struct OpenPgpKey {
    key: Key,
    /// The user ID of its certificate.
    user: Option<String>,
    /// In seconds.
    created: i64,
    /// In seconds.
    expires: Option<i64>,
}

#[derive(Debug)]
enum Key {
    Primary(PublicKey),
    Subkey(PublicSubkey),
}

/// Reads certificates, armored or not, and returns their keys that may sign.
///
/// # Errors
/// Bytes that are not certificates, or hold no key that may sign.
pub fn read(bytes: &[u8]) -> Result<Vec<OpenPgpKey>, String> {
    let invalid = |error: pgp::errors::Error| format!("it is not a valid OpenPGP public key: {error}");
    let (certificates, _) = SignedPublicKey::from_reader_many(bytes).map_err(invalid)?;
    let mut keys = Vec::new();
    for certificate in certificates {
        keys.extend(signing_keys(&certificate.map_err(invalid)?));
    }
    match keys.len() {
        0 => Err("it contains no OpenPGP public key that may sign".to_owned()),
        _ => Ok(keys),
    }
}

/// Returns the verdict of the keys on an armored signature.
pub fn verdict(keys: &[OpenPgpKey], signature: &str, content: &[u8]) -> Verdict {
    let Ok((signature, _)) = DetachedSignature::from_string(signature) else {
        return Verdict::refused("it is not a valid OpenPGP signature");
    };
    let made = || keys.iter().filter(|key| key.has_made(&signature, content));
    let Some(first) = made().next() else { return named(keys, &signature.signature) };
    let problem = |key: &OpenPgpKey| problem(key, &signature.signature);
    match made().find(|key| problem(key).is_none()) {
        Some(key) => Verdict::Accepted(key.signed_with()),
        None => {
            Verdict::Refused { with: Some(first.signed_with()), reason: problem(first).unwrap_or_default().to_owned() }
        }
    }
}

impl OpenPgpKey {
    fn has_made(&self, signature: &DetachedSignature, content: &[u8]) -> bool {
        match &self.key {
            Key::Primary(key) => signature.verify(key, content).is_ok(),
            Key::Subkey(key) => signature.verify(key, content).is_ok(),
        }
    }

    fn signed_with(&self) -> SignedWith {
        let fingerprint = match &self.key {
            Key::Primary(key) => key.fingerprint(),
            Key::Subkey(key) => key.fingerprint(),
        };
        SignedWith { key: format!("{fingerprint:X}"), who: self.user.clone() }
    }
}

/// Returns why a signature by a key does not count.
fn problem(key: &OpenPgpKey, signature: &Signature) -> Option<&'static str> {
    let Some(created) = signature.created().map(|at| i64::from(at.as_secs())) else {
        return Some("it does not say when it was made");
    };
    let lasts = signature.signature_expiration_time().map_or(0, |span| i64::from(span.as_secs()));
    let problems = [
        (
            !matches!(signature.typ(), Some(SignatureType::Binary | SignatureType::Text)),
            "it is not a signature of data",
        ),
        (lasts != 0 && created + lasts < crate::clock::now().as_second(), "it has expired"),
        (created < key.created, "it is older than its key"),
        (key.expires.is_some_and(|expires| created >= expires), "its key had expired"),
    ];
    problems.into_iter().find_map(|(has_it, problem)| has_it.then_some(problem))
}

/// Returns the verdict on a signature that none of the keys made, by the key that it names.
fn named(keys: &[OpenPgpKey], signature: &Signature) -> Verdict {
    let fingerprint = signature.issuer_fingerprint().first().map(|fingerprint| format!("{fingerprint:X}"));
    let id = signature.issuer_key_id().first().map(|id| id.to_string().to_uppercase());
    // The ID of a key is the end of its fingerprint.
    let is_named = |with: &SignedWith| [&fingerprint, &id].into_iter().flatten().any(|name| with.key.ends_with(name));
    match keys.iter().map(OpenPgpKey::signed_with).find(is_named) {
        Some(with) => Verdict::Refused { with: Some(with), reason: "it was not made for this commit".to_owned() },
        None => Verdict::UnknownKey(fingerprint.or(id)),
    }
}

/// Returns the keys of a certificate that may sign: none if it is revoked.
fn signing_keys(certificate: &SignedPublicKey) -> Vec<OpenPgpKey> {
    let primary = &certificate.primary_key;
    if certificate.details.revocation_signatures.iter().any(|signature| signature.verify_key(primary).is_ok()) {
        return Vec::new();
    }
    let Some(own) = newest_self_signature(certificate) else { return Vec::new() };
    let created = i64::from(primary.created_at().as_secs());
    let expires = expiry(created, own);
    let flags = own.key_flags();
    // Old keys have no flags, and may do what their algorithm can.
    let may_sign = flags.sign() || !(flags.certify() || flags.encrypt_comms() || flags.encrypt_storage());
    let user = user(certificate);
    let first =
        may_sign.then(|| OpenPgpKey { key: Key::Primary(primary.clone()), user: user.clone(), created, expires });
    let others = certificate.public_subkeys.iter().filter_map(|subkey| signing_subkey(subkey, primary, expires));
    first.into_iter().chain(others.map(|other| OpenPgpKey { user: user.clone(), ..other })).collect()
}

/// Returns the user ID of a certificate: the one that it calls the primary one, or else the first.
fn user(certificate: &SignedPublicKey) -> Option<String> {
    let primary = &certificate.primary_key;
    let signed = |user: &&SignedUser| {
        user.signatures.iter().any(|signature| {
            signature.is_certification() && signature.verify_certification(primary, Tag::UserId, &user.id).is_ok()
        })
    };
    let users = || certificate.details.users.iter().filter(signed);
    let found = users().find(|user| user.is_primary()).or_else(|| users().next())?;
    Some(String::from_utf8_lossy(found.id.id()).into_owned())
}

fn signing_subkey(subkey: &SignedPublicSubKey, primary: &PublicKey, expires: Option<i64>) -> Option<OpenPgpKey> {
    let of = |kind| move |signature: &&Signature| signature.typ() == Some(kind);
    let is_valid = |signature: &&Signature| signature.verify_subkey_binding(primary, &subkey.key).is_ok();
    if subkey.signatures.iter().filter(of(SignatureType::SubkeyRevocation)).any(|signature| is_valid(&signature)) {
        return None;
    }
    let bindings = subkey.signatures.iter().filter(of(SignatureType::SubkeyBinding)).filter(is_valid);
    let binding = bindings.max_by_key(|signature| signature.created())?;
    let back = binding.embedded_signature()?;
    if !binding.key_flags().sign() || back.verify_primary_key_binding(&subkey.key, primary).is_err() {
        return None;
    }
    let created = i64::from(subkey.key.created_at().as_secs());
    let own = expiry(created, binding);
    let expires = [own, expires].into_iter().flatten().min();
    Some(OpenPgpKey { key: Key::Subkey(subkey.key.clone()), user: None, created, expires })
}

/// Returns the newest valid signature of a certificate about itself, which says what its primary key may do.
fn newest_self_signature(certificate: &SignedPublicKey) -> Option<&Signature> {
    let primary = &certificate.primary_key;
    let of_users = certificate.details.users.iter().flat_map(|user| {
        let by_itself = |signature: &&Signature| {
            signature.is_certification() && signature.verify_certification(primary, Tag::UserId, &user.id).is_ok()
        };
        user.signatures.iter().filter(by_itself)
    });
    let direct = certificate.details.direct_signatures.iter().filter(|signature| signature.verify_key(primary).is_ok());
    of_users.chain(direct).reduce(|one, other| max_by_key(one, other, |signature| signature.created()))
}

fn expiry(created: i64, signature: &Signature) -> Option<i64> {
    let span = signature.key_expiration_time().map_or(0, |span| i64::from(span.as_secs()));
    (span != 0).then_some(created + span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_certificate_is_refused() {
        for text in
            ["-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nnonsense\n-----END PGP PUBLIC KEY BLOCK-----\n", "\u{99}x"]
        {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
