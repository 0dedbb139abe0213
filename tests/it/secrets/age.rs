//! Data keys are decrypted like age does, and age decrypts what is written here.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};
use tagalong::sops::age::file;
use tagalong::sops::age::identity::{Identity, IdentityError};
use tagalong::sops::age::recipient::Recipient;
use tagalong::sops::age::ssh::SshKeyError;
use tempfile::TempDir;

use crate::support;

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/age")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A C2SP test vector: the expected result, the identities, and the file.
fn judge(vector: &[u8]) -> Result<(), String> {
    let end = vector.windows(2).position(|pair| pair == b"\n\n").expect("a header") + 2;
    let header = std::str::from_utf8(&vector[..end]).expect("text");
    let field = |key: &str| header.lines().filter_map(|line| line.split_once(": ")).find(|(name, _)| *name == key);
    let expected = field("expect").expect("an expectation").1;
    let lines = header.lines().filter_map(|line| line.strip_prefix("identity: "));
    let identities: Vec<Identity> = lines.map(|line| Identity::parse(line).expect("an identity")).collect();
    let opened = file::decrypt(&vector[end..], &identities).ok();
    match (expected, opened) {
        ("success", Some(plain)) => {
            let wanted = field("payload").expect("a payload").1;
            let found = hex(&Sha256::digest(plain.expose()));
            if found == wanted { Ok(()) } else { Err("another payload".to_owned()) }
        }
        ("success", None) => Err("not opened".to_owned()),
        (expected, Some(_)) => Err(format!("opened in spite of {expected}")),
        (_, None) => Ok(()),
    }
}

#[test]
fn the_test_vectors_of_the_specification_pass() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(fixtures().join("testkit")).expect("vectors") {
        let path = entry.expect("an entry").path();
        count += 1;
        if let Err(why) = judge(&fs::read(&path).expect("bytes")) {
            wrong.push(format!("{}: {why}", path.display()));
        }
    }
    assert!(count > 80, "{count} vectors");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_post_quantum_file_from_another_implementation_decrypts() {
    let vector: serde_json::Value =
        serde_json::from_slice(&fs::read(fixtures().join("hybrid.json")).expect("a vector")).expect("JSON");
    let text = |key: &str| vector[key].as_str().expect("text");
    let identity = Identity::parse(text("identity")).expect("an identity");
    assert_eq!(identity.recipient().written(), text("recipient"));
    let plain = file::decrypt(text("armored").as_bytes(), [&identity]).expect("opened");
    assert_eq!(plain.expose(), &(0..32).collect::<Vec<u8>>());
    let recipient = Recipient::parse(text("recipient")).expect("a recipient");
    let ours = file::encrypt(b"sesame", &recipient).expect("encrypted");
    assert_eq!(file::decrypt(ours.as_bytes(), [&identity]).expect("opened").expose(), b"sesame");
}

/// Runs age or ssh-keygen in a folder.
fn run(folder: &Path, program: &str, args: &[&str]) -> Vec<u8> {
    let mut command = Command::new(program);
    let output = command.current_dir(folder).args(args).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; ./test installs it"));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn files_are_exchanged_with_the_real_age() {
    let folder = TempDir::new().expect("a folder");
    let folder = folder.path();
    run(folder, "age-keygen", &["-o", "age.key"]);
    run(folder, "ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", "ssh.key"]);
    fs::write(folder.join("plain"), "sesame").expect("written");
    for key in ["age.key", "ssh.key"] {
        let text = fs::read_to_string(folder.join(key)).expect("a key");
        let identities = Identity::parse_file(&text).expect("identities");
        let recipient = match key {
            "age.key" => String::from_utf8(run(folder, "age-keygen", &["-y", key])).expect("text"),
            _ => fs::read_to_string(folder.join("ssh.key.pub")).expect("a public key"),
        };
        let recipient = recipient.trim();
        assert_eq!(Recipient::parse(recipient), Some(identities[0].recipient()));
        let theirs = run(folder, "age", &["-e", "-a", "-r", recipient, "plain"]);
        assert_eq!(file::decrypt(&theirs, &identities).expect("opened").expose(), b"sesame");
        // A length for each way the last chunk can end.
        for length in [0, 1, 32, 65_536, 70_000] {
            let plain = vec![7; length];
            let ours = file::encrypt(&plain, &identities[0].recipient()).expect("encrypted");
            fs::write(folder.join("ours.age"), ours).expect("written");
            assert_eq!(run(folder, "age", &["-d", "-i", key, "ours.age"]), plain, "{key}, {length} bytes");
        }
    }
}

#[test]
fn unusable_identities_are_reported_without_printing_them() {
    let folder = TempDir::new().expect("a folder");
    let folder = folder.path();
    let error = |text: &str| Identity::parse_file(text).expect_err("not usable");
    assert_eq!(error("# c\n\nAGE-SECRET-KEY-1SESAME\n"), IdentityError::Line { line: 3 });
    assert_eq!(error("AGE-PLUGIN-YUBIKEY-1QQQQ\n"), IdentityError::Plugin { line: 1 });
    assert_eq!(error("age-encryption.org/v1\n-> scrypt x 1\n"), IdentityError::Passphrase);
    run(folder, "ssh-keygen", &["-q", "-t", "ed25519", "-N", "sesame", "-f", "locked"]);
    run(folder, "ssh-keygen", &["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", "rsa"]);
    let key = |name: &str| fs::read_to_string(folder.join(name)).expect("a key");
    assert_eq!(error(&key("locked")), IdentityError::Ssh(SshKeyError::Passphrase));
    assert_eq!(error(&key("rsa")), IdentityError::Ssh(SshKeyError::Kind));
    let cut: String = key("locked").lines().take(3).collect::<Vec<_>>().join("\n");
    assert_eq!(error(&cut), IdentityError::Ssh(SshKeyError::Form));
    assert!(Recipient::parse(&key("rsa.pub")).is_none());
    // Indented lines and Windows line endings are accepted.
    let (_, identity) = support::sops::new_key();
    assert_eq!(Identity::parse_file(&format!("# c\r\n  {identity}\r\n")).expect("read").len(), 1);
}
