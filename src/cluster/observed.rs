//! What the cluster holds at one moment, as far as commits are concerned. Pure: decides from it which objects deploy which
//! changes, and how far they are.

use std::collections::BTreeMap;

use super::argocd::Application;
use super::config::{Argocd, ObjectName, ObjectRef};
use super::git_repository::Target;
use super::helm_release::HelmRelease;
use super::kustomization::{Kustomization, applies};
use super::rollout::{Deployer, ImageChange, LastApplied, Product, Progress};

/// The maximum number of files and problems that are named.
const NAMED: usize = 3;

/// The objects of the cluster that deploy the repository.
#[derive(Debug, Default)]
pub struct Observed {
    /// The GitRepository, if Flux is watched.
    source: Option<ObjectRef>,
    /// The namespaces of its Kustomizations.
    namespaces: Vec<ObjectName>,
    /// Its Kustomizations.
    kustomizations: Vec<Kustomization>,
    /// The HelmReleases of these, if they could be queried.
    pub releases: Option<Vec<HelmRelease>>,
    /// The state of the GitRepository, if it was queried.
    pub source_state: Option<String>,
    /// The settings for Argo CD, if it is watched.
    argocd: Option<Argocd>,
    /// Its applications.
    applications: Vec<Application>,
    /// Why a product could not be queried.
    pub failures: BTreeMap<Product, String>,
}

/// An object with the changes that it deploys.
#[derive(Debug)]
pub struct Share<'o> {
    /// The object.
    pub deployer: Deployer,
    /// The changes.
    pub changes: Vec<ImageChange>,
    object: Object<'o>,
    source_state: Option<&'o str>,
}

#[derive(Debug)]
enum Object<'o> {
    Kustomization(&'o Kustomization, Vec<&'o HelmRelease>),
    Application(&'o Application),
}

impl Observed {
    /// Adds the Kustomizations that apply a GitRepository, out of all in some namespaces.
    pub fn with_kustomizations(
        self,
        source: &ObjectRef,
        namespaces: &[ObjectName],
        all: Vec<Kustomization>,
    ) -> Observed {
        let kustomizations = all.into_iter().filter(|one| one.takes_from(source)).collect();
        Observed { source: Some(source.clone()), namespaces: namespaces.to_vec(), kustomizations, ..self }
    }

    /// Adds the applications that deploy a repository.
    pub fn with_applications(self, argocd: &Argocd, target: &Target, all: Vec<Application>) -> Observed {
        let applications = all.into_iter().filter(|one| one.is_of(target)).collect();
        Observed { argocd: Some(argocd.clone()), applications, ..self }
    }

    /// Returns the Kustomizations that deploy any of these changes.
    pub fn kustomizations_of<'o>(&'o self, changes: &'o [ImageChange]) -> impl Iterator<Item = &'o Kustomization> {
        self.kustomizations.iter().filter(|one| changes.iter().any(|change| self.applies(one, change)))
    }

    /// Returns the applications that deploy any of these changes.
    pub fn applications_of<'o>(&'o self, changes: &'o [ImageChange]) -> impl Iterator<Item = &'o Application> {
        let all = &self.applications;
        all.iter().filter(|one| changes.iter().any(|change| one.reaches(change, all)))
    }

    /// Returns the objects that deploy any of these changes, each with its share, and the changes that nothing deploys.
    pub fn shares(&self, changes: &[ImageChange]) -> (Vec<Share<'_>>, Vec<ImageChange>) {
        let (mut shares, mut is_claimed) = (Vec::new(), vec![false; changes.len()]);
        let mut share = |deployer: Deployer, applies: &dyn Fn(&ImageChange) -> bool| {
            let own = changes.iter().zip(&mut is_claimed).filter(|(change, _)| applies(change));
            let own: Vec<ImageChange> = own
                .map(|(change, is_claimed)| {
                    *is_claimed = true;
                    change.clone()
                })
                .collect();
            (deployer, own)
        };
        for one in &self.kustomizations {
            let deployer = Deployer { product: Product::Flux, name: one.name.clone() };
            let (deployer, changes) = share(deployer, &|change| self.applies(one, change));
            let object = Object::Kustomization(one, self.releases_of(one, &changes));
            shares.push(Share { deployer, changes, object, source_state: self.source_state.as_deref() });
        }
        for (one, argocd) in self.applications.iter().zip(self.argocd.iter().cycle()) {
            let deployer = Deployer { product: Product::ArgoCd, name: one.object(argocd) };
            let (deployer, changes) = share(deployer, &|change| one.reaches(change, &self.applications));
            shares.push(Share { deployer, changes, object: Object::Application(one), source_state: None });
        }
        shares.retain(|share| !share.changes.is_empty());
        let unclaimed = changes.iter().zip(is_claimed).filter(|(_, is_claimed)| !is_claimed);
        (shares, unclaimed.map(|(change, _)| change.clone()).collect())
    }

    fn applies(&self, one: &Kustomization, change: &ImageChange) -> bool {
        applies(one, change, self.kustomizations.iter())
    }

    /// Returns the HelmReleases of a Kustomization that depend on changes: those that the changed files declare. A
    /// kustomization may rename them; then all of its releases count.
    fn releases_of(&self, one: &Kustomization, changes: &[ImageChange]) -> Vec<&HelmRelease> {
        let is_declared = |name: &str| changes.iter().any(|change| change.releases.contains(name));
        let mut names: Vec<ObjectRef> = one.releases().collect();
        if changes.iter().all(|change| change.releases.is_empty()) {
            return Vec::new();
        }
        if names.iter().any(|name| is_declared(&name.name)) {
            names.retain(|name| is_declared(&name.name));
        }
        self.releases.iter().flatten().filter(|release| names.contains(&release.name)).collect()
    }

    /// Returns whether nothing in the cluster is going to change because of a commit anymore, so that nothing new will
    /// deploy its files either.
    pub fn is_settled(&self, holds: &dyn Fn(&str) -> bool) -> bool {
        let of_flux = self.kustomizations.iter().map(|one| one.progress(holds));
        let mut all = of_flux.chain(self.applications.iter().map(|one| one.progress(holds))).peekable();
        all.peek().is_some() && all.all(|progress| progress != Progress::Waiting)
    }

    /// Returns what was looked for, for changes that nothing deploys.
    pub fn unclaimed(&self, changes: &[ImageChange]) -> String {
        let mut files: Vec<&str> = changes.iter().map(|change| change.file.as_str()).collect();
        files.dedup();
        let more = files.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let files = format!("{}{more}", files[..files.len().min(NAMED)].join(", "));
        let namespaces: Vec<&str> = self.namespaces.iter().map(ObjectName::as_str).collect();
        let namespaces = namespaces.join(", ");
        let of_flux = self.source.iter();
        let of_flux = of_flux.map(|source| format!("no Kustomization in {namespaces} of the GitRepository {source}"));
        let of_argocd = self.argocd.iter().map(|argocd| format!("no selected Application in {}", argocd.namespace));
        let nobody: Vec<String> = of_flux.chain(of_argocd).collect();
        // Most often the path of one of them is wrong.
        let problems = self.kustomizations.iter().filter_map(Kustomization::fetch_problem).take(NAMED);
        let problems: String = problems.map(|problem| format!("; {problem}")).collect();
        format!("{} deploys {files}{problems}", nobody.join(" and "))
    }
}

impl Share<'_> {
    /// Returns the progress of the object with a commit; `holds` returns whether another commit is or contains that commit.
    pub fn progress(&self, holds: &dyn Fn(&str) -> bool) -> Progress {
        let (kustomization, releases) = match &self.object {
            Object::Application(one) => return one.progress(holds),
            Object::Kustomization(one, releases) => (one, releases),
        };
        let Progress::Applied { revision } = kustomization.progress(holds) else {
            return kustomization.progress(holds);
        };
        let unfinished = releases.iter().map(|release| release.progress(&revision));
        let mut unfinished: Vec<Progress> =
            unfinished.filter(|progress| !matches!(progress, Progress::Applied { .. })).collect();
        let failed = unfinished.iter().position(|progress| matches!(progress, Progress::Failed { .. }));
        match (failed, unfinished.is_empty()) {
            (_, true) => Progress::Applied { revision },
            (Some(failed), _) => unfinished.swap_remove(failed),
            (None, _) => unfinished.swap_remove(0),
        }
    }

    /// Returns whether the object fails, whatever the commit.
    pub fn is_failing(&self) -> bool {
        matches!(self.progress(&|_| true), Progress::Failed { .. })
    }

    /// Returns what the object had applied before it failed with a commit.
    pub fn last_applied(&self, holds: &dyn Fn(&str) -> bool) -> Option<LastApplied> {
        match &self.object {
            Object::Application(one) => one.last_applied(holds),
            Object::Kustomization(one, _) => one.last_applied(),
        }
    }

    /// Returns the state of the object, for a commit that it has not applied.
    pub fn words(&self, holds: &dyn Fn(&str) -> bool) -> String {
        let (kustomization, releases) = match &self.object {
            Object::Application(one) => return one.words(holds),
            Object::Kustomization(one, releases) => (one, releases),
        };
        let mut words = vec![kustomization.words()];
        if let Progress::Applied { revision } = kustomization.progress(holds) {
            let unfinished = |release: &&&HelmRelease| release.progress(&revision) == Progress::Waiting;
            words.extend(releases.iter().filter(unfinished).map(|release| release.words()));
        } else {
            words.extend(self.source_state.map(str::to_owned));
        }
        words.join("; ")
    }
}
