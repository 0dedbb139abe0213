//! The Docker config file of a pull secret: no helper is run, no content is repeated, and what is found is found again in
//! what is written.

use tagalong::manifest::pull_secret::{Name, PullSecret};
use tagalong::registry::credentials::{Credential, hosts_in, in_pull_secret, written};
use tagalong::secret::Secret;

const HOSTS: [&str; 3] = ["ghcr.io", "docker.io", "r.example.com:5000"];

pub fn run(bytes: &[u8]) {
    let text = || Secret::new(bytes.to_vec());
    for host in hosts_in(&text()) {
        assert!(!host.contains('@'), "a user may be a token");
    }
    for host in HOSTS {
        match in_pull_secret(text(), host, "acme/app") {
            Ok(Some(credential)) => is_found_again(host, &credential),
            Ok(None) => {}
            Err(message) => assert!(message.lines().count() == 1 && message.len() < 200, "{message}"),
        }
    }
    if let Ok(name) = String::from_utf8_lossy(bytes).parse::<Name>() {
        let secret = PullSecret { namespace: name.clone(), name };
        assert!(secret.is_in(secret.manifest(&Secret::new("{}".to_owned())).expose().as_bytes()));
    }
}

fn is_found_again(host: &str, credential: &Credential) {
    let Some(text) = written(host, credential) else { return };
    let again = in_pull_secret(Secret::new(text.expose().clone().into_bytes()), host, "acme/app");
    match (credential, again) {
        (Credential::Password { user, password }, Ok(Some(Credential::Password { user: u, password: p }))) => {
            assert!(*user == u && *password == p);
        }
        // A user with a colon cannot be written so that it reads as the same.
        (Credential::Password { user, .. }, Err(_)) => assert!(user.contains(':')),
        (_, again) => panic!("{again:?}"),
    }
}
