//! Flux is asked to look at each commit, and watched until it has applied it. A task of its own does both, so that nobody
//! waits for it; while nothing is waited for, nothing is asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::api::Cluster;
use super::config::Flux;
use super::error::ClusterError;
use super::kustomization::Kustomization;
use super::ledger::{Ledger, Lineage, Pushed, Word};
use super::receiver;

/// From one look to the next, at first.
const LOOK: Duration = Duration::from_secs(1);
/// The same later on.
const LATER_LOOK: Duration = Duration::from_secs(10);
/// As many looks are close together.
const CLOSE_LOOKS: u32 = 60;

/// What a watch has to say.
#[derive(Debug)]
pub enum News {
    /// What became of a commit.
    Word(Word),
    /// Something does not work; said once as long as it stays so.
    Trouble(Part, ClusterError),
    /// It works again.
    Over(Part),
}

/// What is done about Flux.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// It is asked to look.
    Asking,
    /// It is watched.
    Watching,
}

impl Part {
    /// All of them.
    pub const ALL: [Part; 2] = [Part::Asking, Part::Watching];

    /// A short lowercase name for metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Part::Asking => "asking",
            Part::Watching => "watching",
        }
    }
}

/// A watch over Flux, which ends with this value.
#[derive(Debug)]
pub struct Watch {
    pushes: mpsc::UnboundedSender<Pushed>,
    news: mpsc::UnboundedReceiver<News>,
    _end: DropGuard,
}

impl Watch {
    /// Begins one. `lineage` knows which commits hold which.
    pub fn begin(cluster: Cluster, flux: Flux, lineage: Arc<Lineage>) -> Watch {
        let (pushes, pushed) = mpsc::unbounded_channel();
        let (sender, news) = mpsc::unbounded_channel();
        let ledger = Ledger::new(flux.source.clone(), flux.timeout);
        let end = CancellationToken::new();
        let watcher = Watcher {
            cluster,
            flux,
            lineage,
            ledger,
            news: sender,
            troubles: BTreeMap::new(),
            is_asked: true,
            looks: 0,
        };
        let ended = end.clone();
        tokio::spawn(async move { ended.run_until_cancelled(watcher.run(pushed)).await });
        Watch { pushes, news, _end: end.drop_guard() }
    }

    /// A commit was pushed.
    pub fn pushed(&self, pushed: Pushed) {
        // The task is there as long as we are.
        let _ = self.pushes.send(pushed);
    }

    /// Waits for news.
    pub async fn news(&mut self) -> News {
        match self.news.recv().await {
            Some(news) => news,
            None => std::future::pending().await,
        }
    }
}

struct Watcher {
    cluster: Cluster,
    flux: Flux,
    lineage: Arc<Lineage>,
    ledger: Ledger,
    news: mpsc::UnboundedSender<News>,
    /// What is wrong, as it was told.
    troubles: BTreeMap<Part, String>,
    /// Whether Flux was asked to look at all that was pushed.
    is_asked: bool,
    /// How often was looked since the last push.
    looks: u32,
}

impl Watcher {
    async fn run(mut self, mut pushed: mpsc::UnboundedReceiver<Pushed>) {
        loop {
            let pause = if self.looks < CLOSE_LOOKS { LOOK } else { LATER_LOOK };
            tokio::select! {
                push = pushed.recv() => {
                    let Some(push) = push else { return };
                    (self.looks, self.is_asked) = (0, false);
                    let words = self.ledger.add(push);
                    self.tell(words);
                    self.ask().await;
                }
                () = tokio::time::sleep(pause), if !self.ledger.is_empty() => {
                    self.looks = self.looks.saturating_add(1);
                    if !self.is_asked {
                        self.ask().await;
                    }
                    self.look().await;
                }
            }
        }
    }

    /// Asks Flux to look now.
    async fn ask(&mut self) {
        let asked = match &self.flux.receiver {
            Some(receiver) => receiver::tell(receiver).await,
            None => self.cluster.annotate(&self.flux.source, Timestamp::now()).await,
        };
        self.is_asked = asked.is_ok();
        self.note(Part::Asking, asked.err());
    }

    /// Looks at what has become of the commits that wait.
    async fn look(&mut self) {
        let (words, error) = match self.kustomizations().await {
            Ok(all) => {
                let (ledger, lineage) = (&mut self.ledger, Arc::clone(&self.lineage));
                let learn = || ledger.learn(&all, Instant::now(), &*lineage);
                (tokio::task::block_in_place(learn), None)
            }
            Err(error) => (self.ledger.give_up(Instant::now(), &error.to_string()), Some(error)),
        };
        self.tell(words);
        self.note(Part::Watching, error);
    }

    async fn kustomizations(&self) -> Result<Vec<Kustomization>, ClusterError> {
        let mut all = Vec::new();
        for namespace in &self.flux.namespaces {
            all.extend(self.cluster.kustomizations(namespace.as_str()).await?);
        }
        Ok(all)
    }

    fn tell(&self, words: Vec<Word>) {
        for word in words {
            // Whoever does not listen any more is at its end.
            let _ = self.news.send(News::Word(word));
        }
    }

    fn note(&mut self, part: Part, error: Option<ClusterError>) {
        let before = self.troubles.remove(&part);
        let news = match error {
            None => before.map(|_| News::Over(part)),
            Some(error) => {
                let words = error.to_string();
                let is_news = before.as_ref() != Some(&words);
                self.troubles.insert(part, words);
                is_news.then_some(News::Trouble(part, error))
            }
        };
        if let Some(news) = news {
            let _ = self.news.send(news);
        }
    }
}
