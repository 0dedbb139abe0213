//! Age identities, read from where sops looks for them and from the places that the configuration names.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroize;

use crate::fault::{Explain, Fault};
use crate::secret::Secret;
use crate::sops::age::identity::IdentityError;
use crate::sops::keyring::Keyring;

/// The extension of key files in a folder, as Flux mounts them.
const EXTENSION: &str = "agekey";

/// The reason why identities could not be loaded. It names the place, never the key.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum KeysError {
    /// A file or folder cannot be read.
    #[error("cannot read age identities from {}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A file is not text.
    #[error("{}: not a text file, so it holds no age identity", file.display())]
    NoText { file: PathBuf },
    /// A file or variable holds something other than identities.
    #[error("{place}: {source}")]
    Identity { place: String, source: IdentityError },
    /// A folder has no key file.
    #[error("{}: this folder holds no *.{EXTENSION} file", folder.display())]
    Empty { folder: PathBuf },
}

impl Explain for KeysError {
    fn fault(&self) -> Fault {
        match self {
            KeysError::Unreadable { source, .. } if source.kind() != io::ErrorKind::NotFound => Fault::Local,
            _ => Fault::BadInput,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            KeysError::Unreadable { .. } => Some("check the path and its permissions".to_owned()),
            KeysError::NoText { .. } => Some("use a key file as written by age-keygen".to_owned()),
            KeysError::Identity { source, .. } => source.help(),
            KeysError::Empty { .. } => Some(format!("name the file itself, or give it the extension .{EXTENSION}")),
        }
    }
}

/// The places that identities come from. They are read again at each call, so that rotated files take effect.
#[derive(Debug, Clone, Default)]
pub struct KeySources {
    /// Identities in the environment itself (`SOPS_AGE_KEY`).
    inline: Option<Secret<String>>,
    /// Files and folders that must exist.
    named: Vec<PathBuf>,
    /// The user's own file, which may be missing.
    usual: Option<PathBuf>,
}

impl KeySources {
    /// Makes the sources that sops would use in an environment, plus the given files and folders.
    pub fn new(environment: &dyn Fn(&str) -> Option<String>, named: &[PathBuf]) -> KeySources {
        let set = |name: &str| environment(name).filter(|value| !value.is_empty());
        let from_environment = ["SOPS_AGE_KEY_FILE", "SOPS_AGE_SSH_PRIVATE_KEY_FILE"].into_iter().filter_map(set);
        let base = set("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".config")));
        KeySources {
            inline: set("SOPS_AGE_KEY").map(Secret::new),
            named: from_environment.map(PathBuf::from).chain(named.iter().cloned()).collect(),
            usual: base.map(|base| base.join("sops/age/keys.txt")),
        }
    }

    /// Loads the identities of all sources; an empty keyring if there are none.
    pub fn keyring(&self) -> Result<Keyring, KeysError> {
        let mut keyring = Keyring::new();
        if let Some(text) = &self.inline {
            add(&mut keyring, "SOPS_AGE_KEY", text)?;
        }
        for path in &self.named {
            if path.is_dir() {
                add_folder(&mut keyring, path)?;
            } else {
                add_file(&mut keyring, path)?;
            }
        }
        match self.usual.as_deref().map(|file| add_file(&mut keyring, file)) {
            Some(Err(KeysError::Unreadable { source, .. })) if is_not_found(&source) => {}
            other => other.unwrap_or(Ok(()))?,
        }
        Ok(keyring)
    }
}

fn is_not_found(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn add_folder(keyring: &mut Keyring, folder: &Path) -> Result<(), KeysError> {
    let fail = |source| KeysError::Unreadable { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        // Files of a mounted Secret are symbolic links.
        if path.extension().is_some_and(|ending| ending == EXTENSION) && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(KeysError::Empty { folder: folder.to_owned() });
    }
    files.sort();
    files.iter().try_for_each(|file| add_file(keyring, file))
}

fn add_file(keyring: &mut Keyring, file: &Path) -> Result<(), KeysError> {
    let bytes = fs::read(file).map_err(|source| KeysError::Unreadable { path: file.to_owned(), source })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        error.into_bytes().zeroize();
        KeysError::NoText { file: file.to_owned() }
    })?;
    add(keyring, &file.display().to_string(), &Secret::new(text))
}

fn add(keyring: &mut Keyring, place: &str, text: &Secret<String>) -> Result<(), KeysError> {
    keyring.add_file(text).map_err(|source| KeysError::Identity { place: place.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::sops::age::bech32;

    fn key(seed: u8) -> String {
        bech32::encode("age-secret-key-", &[seed; 32]).expect("a key").to_ascii_uppercase()
    }

    fn sources(variables: &[(&str, &str)], named: &[&Path]) -> KeySources {
        let map: BTreeMap<String, String> = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let named: Vec<PathBuf> = named.iter().map(|path| path.to_path_buf()).collect();
        KeySources::new(&|name| map.get(name).cloned(), &named)
    }

    fn count(sources: &KeySources) -> usize {
        sources.keyring().expect("keys").recipients().count()
    }

    #[test]
    fn identities_come_from_every_place_that_sops_knows() {
        let home = tempfile::tempdir().expect("a folder");
        let at = |name: &str| home.path().join(name);
        assert_eq!(count(&sources(&[], &[])), 0);
        let text = home.path().display().to_string();
        assert_eq!(count(&sources(&[("HOME", &text), ("SOPS_AGE_KEY", "")], &[])), 0);
        fs::create_dir_all(at(".config/sops/age")).expect("a folder");
        fs::write(at(".config/sops/age/keys.txt"), format!("# created: today\n{}\n", key(1))).expect("written");
        assert_eq!(count(&sources(&[("HOME", &text)], &[])), 1);
        assert_eq!(count(&sources(&[("HOME", &text), ("XDG_CONFIG_HOME", "/nowhere")], &[])), 0);
        fs::write(at("more"), format!("{}\n{}\n", key(2), key(3))).expect("written");
        let more = at("more").display().to_string();
        let both = [("HOME", text.as_str()), ("SOPS_AGE_KEY", &key(4)), ("SOPS_AGE_KEY_FILE", &more)];
        assert_eq!(count(&sources(&both, &[])), 4);
        fs::create_dir(at("mounted")).expect("a folder");
        fs::write(at("mounted/a.agekey"), key(5)).expect("written");
        fs::write(at("mounted/b.agekey"), key(6)).expect("written");
        fs::write(at("mounted/notes.txt"), "no key").expect("written");
        assert_eq!(count(&sources(&both, &[&at("mounted")])), 6);
    }

    #[test]
    fn errors_name_file_and_line_and_never_the_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("keys");
        let broken = format!("# mine\n{}X\n", key(7));
        fs::write(&file, &broken).expect("written");
        let said = |sources: &KeySources| {
            let error = sources.keyring().expect_err("no keys");
            let all = format!("{error} {error:?} {sources:?} {}", error.help().unwrap_or_default());
            assert!(!all.contains(&key(7)[15..]), "{all}");
            error.to_string()
        };
        assert_eq!(said(&sources(&[], &[&file])), format!("{}: line 2: not a valid age identity", file.display()));
        assert_eq!(said(&sources(&[("SOPS_AGE_KEY", &broken)], &[])), "SOPS_AGE_KEY: line 2: not a valid age identity");
        let gone = folder.path().join("gone");
        assert!(said(&sources(&[("SOPS_AGE_KEY_FILE", &gone.display().to_string())], &[])).contains("gone"));
        assert!(said(&sources(&[], &[folder.path()])).contains("no *.agekey"));
        fs::write(&file, [0xff, 0xfe]).expect("written");
        assert!(said(&sources(&[], &[&file])).contains("not a text file"));
    }
}
