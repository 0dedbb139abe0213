//! A client for a forge whose responses are scripted.

use std::collections::BTreeSet;
use std::fs;
use std::future::Future;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ::tagalong::forge::client::Forge;
use ::tagalong::forge::commit_status::CommitStatus;
use ::tagalong::forge::config::{ApiBase, Config, Kind};
use ::tagalong::forge::pull_request::{Person, PullRequest, State};
use ::tagalong::forge::review::Review;
use ::tagalong::identity::token_source::TokenSource;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::support::scripted::{Answer, Asked, Scripted};

pub const TOKEN: &str = "open-sesame-evidence";
/// The products with much in common. The others have tests of their own.
pub const KINDS: [Kind; 3] = [Kind::Gitea, Kind::GitHub, Kind::GitLab];
pub const COMMIT: &str = "1111111111111111111111111111111111111111";
pub const OTHER: &str = "2222222222222222222222222222222222222222";

/// A forge with one repository, and a client for it.
pub struct Scene {
    pub server: Scripted,
    pub forge: Arc<Forge>,
    _folder: tempfile::TempDir,
}

impl Scene {
    pub fn new(kind: Kind, script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Scene {
        let server = Scripted::start(move |asked| {
            let is_let_in = match kind {
                Kind::Gitea => asked.authorization.as_deref() == Some(&format!("token {TOKEN}")),
                Kind::GitHub | Kind::Bitbucket | Kind::BitbucketDataCenter => {
                    asked.authorization.as_deref() == Some(&format!("Bearer {TOKEN}"))
                }
                Kind::GitLab => asked.private_token.as_deref() == Some(TOKEN),
                Kind::AzureDevOps => {
                    asked.authorization.as_deref() == Some(&format!("Basic {}", STANDARD.encode(format!(":{TOKEN}"))))
                }
            };
            assert!(is_let_in, "{asked:?}");
            script(asked)
        });
        let (forge, _folder) = client(kind, &format!("http://{}", server.host()), "acme/infra", TOKEN);
        Scene { server, forge, _folder }
    }

    /// The requests so far: methods and targets below the repository.
    pub fn asked(&self) -> Vec<String> {
        let below = |target: &str| {
            let parts: Vec<&str> = target.splitn(2, "acme/infra").collect();
            let parts = if parts.len() == 2 { parts } else { target.splitn(2, "acme%2Finfra").collect() };
            parts.last().map(|rest| (*rest).to_owned()).unwrap_or_default()
        };
        self.server.asked().iter().map(|asked| format!("{} {}", asked.method, below(&asked.target))).collect()
    }

    /// The requests so far: methods and whole targets, without what they start with.
    pub fn asked_below(&self, start: &str) -> Vec<String> {
        let asked = self.server.asked();
        asked.iter().map(|asked| format!("{} {}", asked.method, asked.target.replace(start, ""))).collect()
    }

    /// The body of the last request.
    pub fn sent(&self) -> Value {
        serde_json::from_str(&self.server.asked().last().expect("a request").body).expect("JSON")
    }
}

/// A client for a repository of a forge, and the folder with its token.
pub fn client(kind: Kind, url: &str, repository: &str, token: &str) -> (Arc<Forge>, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let token_file = folder.path().join("token");
    fs::write(&token_file, format!("{token}\n")).expect("written");
    let config = Config {
        kind,
        api: url.parse::<ApiBase>().expect("a URL").completed(kind),
        repository: repository.to_owned(),
        head: "tagalong/live".to_owned(),
        base: "main".to_owned(),
        token: TokenSource::File(token_file),
        labels: Vec::new(),
        timeout: Duration::from_secs(5),
    };
    (Forge::new(config).expect("a client"), folder)
}

/// The runtime of all tests: clients have tasks on the one that they were made on.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime"));

/// Waits for work.
pub fn wait<T>(work: impl Future<Output = T>) -> T {
    RUNTIME.block_on(work)
}

/// A parameter of a request.
pub fn parameter(asked: &Asked, name: &str) -> Option<String> {
    let (_, query) = asked.target.split_once('?')?;
    let mut pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned();
    pairs.find(|(key, _)| key == name).map(|(_, value)| value)
}

/// The number of the requested page.
pub fn page(asked: &Asked) -> usize {
    parameter(asked, "page").map_or(1, |page| page.parse().expect("a number"))
}

/// Pull request 7 by the bot, with the head [`COMMIT`].
pub fn pull_request(author: &str) -> PullRequest {
    PullRequest {
        number: 7,
        url: "https://forge.example.com/pulls/7".to_owned(),
        text: String::new(),
        state: State::Open,
        head: Some(COMMIT.to_owned()),
        author: Some(Person { login: author.to_owned(), name: None, email: None }),
    }
}

/// Each reviewer with the verdict and its weight.
pub fn weights(reviews: &[Review]) -> Vec<String> {
    let mut all: Vec<String> =
        reviews.iter().map(|review| format!("{} {:?} {:?}", review.by.login, review.verdict, review.weight)).collect();
    all.sort();
    all
}

/// Context, state and word of each status.
pub fn states(statuses: &[CommitStatus]) -> Vec<String> {
    statuses.iter().map(|status| format!("{} {:?} {}", status.context, status.state, status.word)).collect()
}

/// Contexts by name.
pub fn contexts(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
