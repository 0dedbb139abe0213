//! User, host, port and path of a URL, and the command to run.

use git2::transport::Service;

use crate::secret::SafeUrl;

/// A server and a repository on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The user to log in as.
    pub user: String,
    /// The host, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The repository's path on the server.
    pub path: String,
}

impl Address {
    /// Returns the address in a URL, `ssh://user@host:port/path` or `user@host:path`.
    pub fn of(url: &SafeUrl) -> Address {
        let text = url.expose();
        let (authority, path) = match text.split_once("://") {
            Some((_, rest)) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            None => text.split_once(':').unwrap_or((text, "")),
        };
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let user = user.split(':').next().filter(|user| !user.is_empty()).unwrap_or("git");
        // A colon within the brackets is part of an IPv6 address.
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().unwrap_or(22)),
            _ => (host, 22),
        };
        let decoded = |text: &str| match text.contains('%') && url.expose().contains("://") {
            true => percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned(),
            false => text.to_owned(),
        };
        // ssh://host/~user/repo is a path in a home folder.
        let path = path.strip_prefix('/').filter(|rest| rest.starts_with('~')).unwrap_or(path);
        Address {
            user: decoded(user),
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port,
            path: decoded(path),
        }
    }

    /// Returns the command for the server's shell.
    pub fn command(&self, service: Service) -> String {
        let program = match service {
            Service::UploadPackLs | Service::UploadPack => "git-upload-pack",
            Service::ReceivePackLs | Service::ReceivePack => "git-receive-pack",
        };
        format!("{program} '{}'", self.path.replace('\'', r"'\''").replace('!', r"'\!'"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> (String, String, u16, String) {
        let Address { user, host, port, path } = Address::of(&url.parse().expect(url));
        (user, host, port, path)
    }

    fn parts(user: &str, host: &str, port: u16, path: &str) -> (String, String, u16, String) {
        (user.to_owned(), host.to_owned(), port, path.to_owned())
    }

    #[test]
    fn both_forms_of_a_url_are_read() {
        assert_eq!(address("ssh://ada@host:2222/srv/a.git"), parts("ada", "host", 2222, "/srv/a.git"));
        assert_eq!(address("ssh://ada:pw@host/a%20b.git"), parts("ada", "host", 22, "/a b.git"));
        assert_eq!(address("ssh://host/~ada/a.git"), parts("git", "host", 22, "~ada/a.git"));
        assert_eq!(address("ssh://[::1]:2222/a.git"), parts("git", "::1", 2222, "/a.git"));
        assert_eq!(address("ssh://[::1]/a.git"), parts("git", "::1", 22, "/a.git"));
        assert_eq!(address("git@github.com:acme/100%.git"), parts("git", "github.com", 22, "acme/100%.git"));
        assert_eq!(address("github.com:acme/a.git"), parts("git", "github.com", 22, "acme/a.git"));
    }

    #[test]
    fn a_path_is_one_word_for_the_shell() {
        let address = Address::of(&"git@host:a'b!;c".parse().expect("a URL"));
        assert_eq!(address.command(Service::UploadPackLs), r"git-upload-pack 'a'\''b'\!';c'");
        assert_eq!(address.command(Service::ReceivePack), r"git-receive-pack 'a'\''b'\!';c'");
    }
}
