//! SOPS files in every format: reading and judging one never panics, and what can be encrypted can be opened again.

use std::sync::LazyLock;

use getrandom::SysRng;
use rand_core::UnwrapErr;
use tagalong::secret::Secret;
use tagalong::sops::age::bech32;
use tagalong::sops::audit::audit;
use tagalong::sops::encrypt::{Recipe, encrypt};
use tagalong::sops::envelope;
use tagalong::sops::error::SopsError;
use tagalong::sops::exposure;
use tagalong::sops::exposure::reference::Role;
use tagalong::sops::format::Format;
use tagalong::sops::keyring::Keyring;
use tagalong::sops::open;
use tagalong::sops::recipients::Recipients;
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

pub fn yaml(bytes: &[u8]) {
    check(Format::Yaml, "a.yaml", bytes);
}

pub fn json(bytes: &[u8]) {
    check(Format::Json, "a.json", bytes);
}

pub fn dotenv(bytes: &[u8]) {
    check(Format::Dotenv, "a.env", bytes);
}

pub fn ini(bytes: &[u8]) {
    check(Format::Ini, "a.ini", bytes);
}

pub fn binary(bytes: &[u8]) {
    check(Format::Binary, "a", bytes);
}

fn check(format: Format, path: &str, bytes: &[u8]) {
    if let Ok(envelope) = envelope::read(bytes, format) {
        let _ = KEYRING.open(&envelope.metadata).and_then(|key| open::verify(&envelope, &key));
    }
    let reading = exposure::read::by_name(path, bytes);
    let _ = audit(path, bytes, &reading.findings.list, &KEYRING, None);
    for role in [Role::Kustomization, Role::Plugin, Role::PluginFolder] {
        exposure::read::by_role(bytes, role);
    }
    match encrypt(bytes, format, &RECIPE, TIME, &mut UnwrapErr(SysRng)) {
        Ok(encrypted) => {
            let envelope = envelope::read(&encrypted, format).expect("an envelope");
            let key = KEYRING.open(&envelope.metadata).expect("its key");
            open::verify(&envelope, &key).expect("its values");
        }
        Err(SopsError::Unverified) => panic!("what was written does not open"),
        Err(_) => {}
    }
}
