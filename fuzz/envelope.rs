//! What every format of SOPS has to stand, whatever the bytes.

use std::sync::LazyLock;

use getrandom::SysRng;
use rand_core::UnwrapErr;
use tagalong::secret::Secret;
use tagalong::sops::age::bech32;
use tagalong::sops::audit::audit;
use tagalong::sops::encrypt::{Recipe, encrypt};
use tagalong::sops::envelope;
use tagalong::sops::error::SopsError;
use tagalong::sops::format::Format;
use tagalong::sops::keyring::Keyring;
use tagalong::sops::recipients::Recipients;
use tagalong::sops::open;
use tagalong::sops::selection::Selection;

const TIME: &str = "2026-11-21T08:00:00Z";

static KEYRING: LazyLock<Keyring> = LazyLock::new(|| {
    let identity = bech32::encode("age-secret-key-", &[1; 32]).expect("a key").to_ascii_uppercase();
    let mut keyring = Keyring::new();
    keyring.add_file(&Secret::new(identity)).expect("an identity");
    keyring
});

static RECIPE: LazyLock<Recipe> = LazyLock::new(|| Recipe {
    recipients: Recipients { groups: vec![KEYRING.recipients().map(str::to_owned).collect()], threshold: None },
    selection: Selection::default(),
    mac_only_encrypted: false,
});

/// Reading and judging never panics; and what can be encrypted opens again.
pub fn stands(format: Format, path: &str, bytes: &[u8]) {
    if let Ok(envelope) = envelope::read(bytes, format) {
        let _ = KEYRING.open(&envelope.metadata).and_then(|key| open::verify(&envelope, &key));
    }
    let _ = audit(path, bytes, &KEYRING, None);
    match encrypt(bytes, format, &RECIPE, TIME, &mut UnwrapErr(SysRng)) {
        Ok(sealed) => {
            let envelope = envelope::read(&sealed, format).expect("an envelope");
            let key = KEYRING.open(&envelope.metadata).expect("its key");
            open::verify(&envelope, &key).expect("its values");
        }
        Err(SopsError::Unverified) => panic!("what was written does not open"),
        Err(_) => {}
    }
}
