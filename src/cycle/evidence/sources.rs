//! The forge and the cluster, which know whether checks have passed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::task::block_in_place;

use crate::cluster;
use crate::cluster::api::Cluster;
use crate::cluster::argocd::{self, Application};
use crate::cluster::error::ClusterError;
use crate::cluster::flux_ready;
use crate::cluster::kustomization::Kustomization;
use crate::cluster::rollout::Ancestry;
use crate::cluster::rollout_state::RolloutState;
use crate::forge::client::Forge;
use crate::repo::config::Branch;
use crate::stage::definition::Check;

use super::error::EvidenceError;
use super::heard::{Heard, Response};
use super::kept::Kept;
use super::question::{Finding, Findings, Question};

/// Finds out whether checks have passed. Checks that have passed are remembered, pending and failed ones are queried again
/// in each cycle.
pub struct Evidence {
    forge: Option<Arc<Forge>>,
    settings: cluster::config::Config,
    /// Connected once a question requires it.
    cluster: OnceCell<Cluster>,
    kept: Mutex<Kept>,
    /// The clients for the pull requests from other branches, which know what was listed before.
    branches: Mutex<BTreeMap<String, Arc<Forge>>>,
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evidence").field("forge", &self.forge).field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Evidence {
    /// Uses a forge and the cluster, as far as they are configured. Does not connect yet.
    pub fn new(forge: Option<Arc<Forge>>, settings: cluster::config::Config) -> Evidence {
        Evidence { forge, settings, cluster: OnceCell::new(), kept: Mutex::default(), branches: Mutex::default() }
    }

    /// Uses a connection to the cluster that exists already.
    pub fn with_cluster(self, cluster: Cluster) -> Evidence {
        Evidence { cluster: OnceCell::new_with(Some(cluster)), ..self }
    }

    /// Returns a client for the pull requests from a branch, if a forge is configured. It is the same one each time.
    pub fn forge_for(&self, branch: &Branch) -> Option<Arc<Forge>> {
        let forge = self.forge.as_ref()?;
        let mut branches = self.branches.lock();
        let known = branches.entry(branch.to_string()).or_insert_with(|| forge.for_branch(branch.as_str()));
        Some(Arc::clone(known))
    }

    /// Returns what is found about each check of each question. Nothing is queried for checks that are known to have
    /// passed, and nothing twice in a cycle, which `heard` belongs to. `contains` returns whether the first commit is known
    /// to be or to contain the second one.
    pub async fn answer(&self, questions: &[Question], heard: &mut Heard, contains: &Ancestry) -> Vec<Findings> {
        let open: Vec<(&Question, Vec<&Check>)> =
            questions.iter().map(|question| (question, self.open_checks(question))).collect();
        self.query_statuses(&open, heard).await;
        let asks = |check: &Check| open.iter().any(|(_, checks)| checks.contains(&check));
        if asks(&Check::FluxReady) && heard.kustomizations.is_none() {
            heard.kustomizations = Some(self.kustomizations().await.map_err(Arc::new));
        }
        if asks(&Check::ArgocdHealthy) && heard.applications.is_none() {
            heard.applications = Some(self.applications().await.map_err(Arc::new));
        }
        // Whether a commit contains another one is read from the clone.
        block_in_place(|| {
            open.iter().map(|(question, checks)| self.findings(question, checks, heard, contains)).collect()
        })
    }

    /// Returns the checks of a question that have to be queried.
    fn open_checks<'q>(&self, question: &'q Question) -> Vec<&'q Check> {
        let kept = self.kept.lock();
        let is_open = |check: &&Check| question.confirms || kept.get(question, check).is_none();
        question.checks.iter().filter(is_open).collect()
    }

    /// Queries the statuses of the commits of all questions, and then those of their later tips for what has not passed.
    async fn query_statuses(&self, open: &[(&Question, Vec<&Check>)], heard: &mut Heard) {
        let deepest = open.iter().map(|(question, _)| question.tips().count()).max().unwrap_or_default();
        for level in 0..deepest {
            let mut wanted: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
            for (question, checks) in open {
                let Some(tip) = question.tips().nth(level) else { continue };
                let contexts = checks.iter().filter_map(|check| check.context());
                let contexts = contexts.filter(|context| !heard.has_passed(question, level, context));
                let new = contexts.filter(|context| !heard.has_status(tip, context)).map(str::to_owned);
                wanted.entry(tip).or_default().extend(new);
            }
            for (commit, contexts) in wanted.into_iter().filter(|(_, contexts)| !contexts.is_empty()) {
                self.query_commit(commit, contexts, heard).await;
            }
        }
    }

    async fn query_commit(&self, commit: &str, mut contexts: BTreeSet<String>, heard: &mut Heard) {
        contexts.extend(heard.statuses.get(commit).iter().flat_map(|(known, _)| known.iter().cloned()));
        let response = match (&heard.forge_error, &self.forge) {
            (Some(error), _) => Err(Arc::clone(error)),
            (None, None) => Err(Arc::new(EvidenceError::NoForge)),
            (None, Some(forge)) => forge.statuses(commit, &contexts).await.map_err(|error| Arc::new(error.into())),
        };
        if let Err(error) = &response
            && error.concerns_all()
        {
            heard.forge_error = Some(Arc::clone(error));
        }
        heard.statuses.insert(commit.to_owned(), (contexts, response));
    }

    async fn kustomizations(&self) -> Result<Vec<Kustomization>, EvidenceError> {
        let flux = self.settings.flux.as_ref().ok_or(EvidenceError::NoFlux)?;
        let mut all = Vec::new();
        for namespace in &flux.namespaces {
            all.extend(self.cluster().await?.kustomizations(namespace.as_str()).await?);
        }
        Ok(all)
    }

    async fn applications(&self) -> Result<Vec<Application>, EvidenceError> {
        let argocd = self.settings.argocd.as_ref().ok_or(EvidenceError::NoArgocd)?;
        Ok(self.cluster().await?.applications(argocd).await?)
    }

    async fn cluster(&self) -> Result<&Cluster, ClusterError> {
        self.cluster.get_or_try_init(Cluster::find).await
    }

    /// Returns what was found about a question, and keeps what has passed.
    fn findings(&self, question: &Question, open: &[&Check], heard: &Heard, contains: &Ancestry) -> Findings {
        let mut kept = self.kept.lock();
        let mut findings = Findings::new();
        for check in &question.checks {
            let known = kept.get(question, check).filter(|_| !open.contains(&check)).cloned();
            let finding = known.unwrap_or_else(|| {
                let finding = self.finding(question, check, heard, contains);
                kept.put(question, check, &finding);
                finding
            });
            findings.insert(check.clone(), finding);
        }
        findings
    }

    fn finding(&self, question: &Question, check: &Check, heard: &Heard, contains: &Ancestry) -> Finding {
        let holds = |commit: &str| question.is_held_by(commit, contains);
        match (check, &self.settings.flux, &self.settings.argocd) {
            (Check::Status(context), ..) => heard.finding(question, context),
            (Check::FluxReady, Some(flux), _) => {
                of_cluster(&heard.kustomizations, |all| flux_ready::state(all, &flux.source, &question.changes, &holds))
            }
            (Check::ArgocdHealthy, _, Some(argocd)) => {
                of_cluster(&heard.applications, |all| argocd::state(all, argocd, &question.changes, &holds))
            }
            (Check::FluxReady, None, _) => Finding::Unknown { fault: Arc::new(EvidenceError::NoFlux) },
            (Check::ArgocdHealthy, _, None) => Finding::Unknown { fault: Arc::new(EvidenceError::NoArgocd) },
        }
    }
}

/// Returns what objects of the cluster say.
fn of_cluster<T>(objects: &Option<Response<Vec<T>>>, state: impl Fn(&[T]) -> RolloutState) -> Finding {
    let state = match objects {
        Some(Ok(objects)) => state(objects),
        Some(Err(fault)) => return Finding::Unknown { fault: Arc::clone(fault) },
        None => RolloutState::Waiting("it has not been queried yet".to_owned()),
    };
    match state {
        RolloutState::Ready(detail) => Finding::Passed { detail, url: None },
        RolloutState::Waiting(detail) => Finding::Waiting { detail },
        RolloutState::Failed(detail) => Finding::Failed { detail, url: None },
    }
}
