//! The section `git`.

use std::time::Duration;

use crate::config::reader::Section;
use crate::config::values::template;
use crate::cycle::write::commits::Style;
use crate::manifest::paths::PathFilter;
use crate::plan::batch::Batch;
use crate::repo::config::{Branch, Https, Person, Signing, SigningKeyFile, Ssh};
use crate::secret::SafeUrl;

use super::forge::{self, ForgeAccess};
use super::identity::{self, IdentityKeys};
use super::pull_request::{self, PullRequest};
use super::transport::{https, ssh};

/// The section `git`.
#[derive(Debug, Default)]
pub struct GitSection {
    /// `url`.
    pub url: Option<SafeUrl>,
    /// `branch`.
    pub branch: Option<Branch>,
    /// `paths`.
    pub paths: PathFilter,
    /// `depth`.
    pub depth: Option<u32>,
    /// `historyLimit`.
    pub history_limit: Option<u32>,
    /// `timeout`.
    pub timeout: Option<Duration>,
    /// `attempts`.
    pub attempts: Option<u32>,
    /// `author`.
    pub author: Option<Person>,
    /// `committer`.
    pub committer: Option<Person>,
    /// `ssh`; without `knownHostsFile` its path is empty.
    pub ssh: Ssh,
    /// `https`.
    pub https: Https,
    /// `githubApp` and `provider`.
    pub identity: Option<IdentityKeys>,
    /// `signing`.
    pub signing: Option<Signing>,
    /// `message`, `batch`, and the title of pull requests.
    pub style: Style,
    /// `pushBranch`.
    pub push_branch: Option<Branch>,
    /// `pushOptions`.
    pub push_options: Vec<String>,
    /// `forge`.
    pub forge: Option<ForgeAccess>,
    /// `pullRequest`.
    pub pull_request: Option<PullRequest>,
}

/// Reads the section.
pub fn read(mut section: Section<'_>) -> GitSection {
    let paths = section.each_with("paths", |text| match PathFilter::new(&[text]) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    });
    let style = style(&mut section);
    let has_identity = identity::is_in(&section);
    let pull_request = section.section("pullRequest").map(|inner| pull_request::read(inner, has_identity));
    let (pull_request, title) = pull_request.unwrap_or_default();
    let https = section.section("https").map(https).unwrap_or_default();
    let config = GitSection {
        url: section.parsed("url"),
        branch: section.parsed("branch"),
        push_branch: section.parsed("pushBranch"),
        push_options: section.each_with("pushOptions", |text| {
            if text.contains(['\n', '\0']) || text.is_empty() {
                return Err("a push option must be a single line".to_owned());
            }
            Ok(text.to_owned())
        }),
        forge: section.section("forge").and_then(|inner| forge::read(inner, has_identity)),
        pull_request,
        // Each pattern was checked above.
        paths: PathFilter::new(&paths).unwrap_or_default(),
        depth: section.number("depth"),
        history_limit: section.number("historyLimit"),
        timeout: section.duration("timeout"),
        attempts: section.number("attempts"),
        author: section.section("author").and_then(person),
        committer: section.section("committer").and_then(person),
        ssh: section.section("ssh").map(ssh).unwrap_or_default(),
        identity: identity::read(&mut section, &https),
        https,
        signing: section.section("signing").and_then(signing),
        style: Style { title: title.unwrap_or_default(), ..style },
    };
    if !section.lacks("pullRequest") && section.lacks("pushBranch") {
        section.error("`pullRequest` requires `pushBranch`, the branch to be merged");
    }
    section.finish();
    config
}

fn style(section: &mut Section<'_>) -> Style {
    let message = section.parsed_with("message", template);
    let batch = section.choice("batch", &[("cycle", Batch::Cycle), ("app", Batch::App), ("image", Batch::Image)]);
    Style { message: message.unwrap_or_default(), batch: batch.unwrap_or_default(), ..Style::default() }
}

fn signing(mut section: Section<'_>) -> Option<Signing> {
    let ssh = section.path("sshKeyFile").map(SigningKeyFile::Ssh);
    let openpgp = section.path("openpgpKeyFile").map(SigningKeyFile::OpenPgp);
    let passphrase_file = section.path("passphraseFile");
    if ssh.is_some() == openpgp.is_some() {
        section.error("exactly one of sshKeyFile and openpgpKeyFile is required");
    }
    section.finish();
    Some(Signing { key: ssh.or(openpgp)?, passphrase_file })
}

fn person(mut section: Section<'_>) -> Option<Person> {
    let plain = |text: &str| {
        if text.contains(['<', '>', '\n']) || text.trim().is_empty() {
            return Err("must not be empty or contain `<`, `>` or line breaks".to_owned());
        }
        Ok(text.to_owned())
    };
    let (name, email) = (section.parsed_with("name", plain), section.parsed_with("email", plain));
    if section.lacks("name") || section.lacks("email") {
        section.error("`name` and `email` are required");
    }
    section.finish();
    Some(Person { name: name?, email: email? })
}
