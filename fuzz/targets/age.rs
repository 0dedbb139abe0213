//! Files and keys of age: reading them never panics, and a recipient is written as it was read.

use tagalong::sops::age::bech32;
use tagalong::sops::age::file;
use tagalong::sops::age::identity::Identity;
use tagalong::sops::age::recipient::Recipient;

pub fn run(bytes: &[u8]) {
    let key = |kind: &str| Identity::parse(&bech32::encode(kind, &[1; 32]).expect("a key").to_ascii_uppercase());
    let identities: Vec<Identity> = ["age-secret-key-", "age-secret-key-pq-"].into_iter().filter_map(key).collect();
    assert_eq!(identities.len(), 2);
    let _ = file::decrypt(bytes, &identities);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = Identity::parse_file(text);
    if let Some(recipient) = Recipient::parse(text) {
        assert_eq!(Recipient::parse(&recipient.written()), Some(recipient));
    }
}
