//! Checks that the pods of an image can pull it: that their pull secrets, as far as they are in the repository, can be
//! opened and have an entry for the image's registry.

use std::cell::OnceCell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use tokio::task::block_in_place;

use crate::fault::{Explain, Fault};
use crate::image::{Repository, Version};
use crate::manifest::closure::Closures;
use crate::manifest::pods::{GeneratedSecret, Pod, PodFacts, SecretPlace, Subset};
use crate::manifest::pull_secret::{KEY, LEGACY_KEY};
use crate::path::{join, parent_of};
use crate::plan::decide::Update;
use crate::plan::gate;
use crate::registry::client::Client;
use crate::registry::credentials::{self, Credential};
use crate::repo::error::RepoError;
use crate::secret::Secret;
use crate::sops::error::SopsError;
use crate::sops::keyring::Keyring;
use crate::sops::open::{self, Decrypted};

use super::verify::{PullSecrets, Secrets};
use crate::cycle::error::CycleError;
use crate::cycle::services::Services;
use crate::cycle::time_limit::before;
use crate::cycle::tip::Tip;
use crate::cycle::tree::walk::Listing;

/// The time for testing pull secrets in a cycle. Those for which there is none left keep nothing back.
const PROBES: Duration = Duration::from_secs(60);

/// The problems with pull secrets, by file and image.
pub type Flaws = BTreeMap<(String, Repository), String>;

/// Returns the problems with the pull secrets that pods would use to pull the images of updates, and notes about those that
/// could not be tested.
pub async fn flaws(
    services: &Services,
    tip: &Tip,
    closures: &Closures,
    updates: &[Update],
) -> Result<(Flaws, Vec<String>), CycleError> {
    let checks = services.secrets.pull_secrets();
    let mut flaws = Flaws::new();
    if checks == PullSecrets::Off {
        return Ok((flaws, Vec::new()));
    }
    let end = Instant::now() + PROBES;
    let assessments = block_in_place(|| assessments(&services.secrets, tip, closures, updates))?;
    let mut untested: BTreeMap<Untested, usize> = BTreeMap::new();
    for (pull, assessment) in assessments {
        let flaw = match assessment {
            Assessment::Unknown => None,
            Assessment::Useless(text) => Some(text),
            Assessment::Entries(entries) if checks == PullSecrets::Probe => {
                probe(&services.registry, &pull, entries, end).await.unwrap_or_else(|why| {
                    *untested.entry(why).or_default() += 1;
                    None
                })
            }
            Assessment::Entries(_) => None,
        };
        if let Some(flaw) = flaw {
            let Pull { file, image: (image, _), owner } = pull;
            flaws.insert((file, image), format!("{owner}: {flaw}"));
        }
    }
    let note = |(Untested { image, why }, pods): (Untested, usize)| {
        let of = if pods == 1 { "a pod".to_owned() } else { format!("{pods} pods") };
        format!("{image}: the pull secrets of {of} could not be tested: {why}")
    };
    Ok((flaws, untested.into_iter().map(note).collect()))
}

/// The reason why the pull secrets for an image were not tested. Many pods may share it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Untested {
    image: Repository,
    why: String,
}

/// A pod's pull of an image.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pull {
    file: String,
    image: (Repository, Version),
    /// The workload.
    owner: String,
}

/// The assessment of a pull by the files of the repository.
enum Assessment {
    /// Unknown: there is no pull secret, or one that is created elsewhere or cannot be decrypted here.
    Unknown,
    /// No pull secret is usable.
    Useless(String),
    /// There are entries for the registry.
    Entries(Vec<HostEntry>),
}

/// An entry for the image's registry.
struct HostEntry {
    credential: Credential,
    /// The pull secret and its file.
    from: String,
}

/// The use of a pull secret for an image.
enum SecretUse {
    Entry(HostEntry),
    Useless(String),
    /// It cannot be decrypted here.
    Unknown,
}

/// The files of a tip that decide about pulls.
struct TipSecrets<'t> {
    tip: &'t Tip,
    secrets: &'t Secrets,
    keyring: Keyring,
    listing: Arc<Listing>,
    /// The facts about credentials in all files, once they were read.
    all: OnceCell<BTreeMap<String, Arc<PodFacts>>>,
}

fn assessments(
    secrets: &Secrets,
    tip: &Tip,
    closures: &Closures,
    updates: &[Update],
) -> Result<BTreeMap<Pull, Assessment>, CycleError> {
    let listing = tip.listing()?;
    let tip_secrets = TipSecrets { tip, secrets, keyring: secrets.keyring()?, listing, all: OnceCell::new() };
    let mut assessments = BTreeMap::new();
    let files: BTreeSet<&str> = updates.iter().map(|update| update.file.as_str()).collect();
    let around = closures.around_each(&files, tip_secrets.listing.keys().map(String::as_str));
    // All files that are deployed with any of them are read at once.
    let all: BTreeSet<&str> = around.values().flatten().copied().collect();
    secrets.pods(tip, &tip_secrets.listing, all.into_iter(), Subset::Everything)?;
    for update in updates {
        let closure = around.get(update.file.as_str()).into_iter().flatten().copied();
        let around =
            DeployedFiles::of(&tip_secrets, secrets.pods(tip, &tip_secrets.listing, closure, Subset::Everything)?);
        for pod in &around.pods_of(update) {
            let image = gate::wanted(update);
            let pull = Pull { file: update.file.clone(), image, owner: pod.owner.clone() };
            if let Entry::Vacant(vacant) = assessments.entry(pull) {
                vacant.insert(around.assess(pod, &update.field.repository)?);
            }
        }
    }
    Ok(assessments)
}

/// The files that are deployed together with a field.
struct DeployedFiles<'t> {
    tip_secrets: &'t TipSecrets<'t>,
    files: BTreeMap<String, Arc<PodFacts>>,
    /// The namespace of all objects, if kustomizations set the same one.
    namespace: Option<String>,
}

impl<'t> DeployedFiles<'t> {
    fn of(tip_secrets: &'t TipSecrets<'t>, files: BTreeMap<String, Arc<PodFacts>>) -> DeployedFiles<'t> {
        let namespaces: BTreeSet<String> = files.values().filter_map(|facts| facts.namespace.clone()).collect();
        let namespace = if namespaces.len() == 1 { namespaces.into_iter().next() } else { None };
        DeployedFiles { tip_secrets, files, namespace }
    }

    /// Returns the pods that run the image of an update. A release counts only for its own fields.
    fn pods_of(&self, update: &Update) -> Vec<&Pod> {
        let image = &update.field.repository;
        // Flux and Argo CD fetch charts with credentials of their own.
        if image.is_chart() {
            return Vec::new();
        }
        let is_image = |name: &str| name.parse::<Repository>().is_ok_and(|name| name == *image);
        let renames = || self.files.values().flat_map(|facts| &facts.renames);
        let runs = |name: &String| {
            let renamed = renames().any(|(from, to)| from == name && is_image(to));
            renamed || is_image(name)
        };
        let pods = self.files.iter().flat_map(|(file, facts)| facts.pods.iter().map(move |pod| (file, pod)));
        let concerned = pods.filter(|(file, pod)| {
            if pod.is_release {
                **file == update.file && pod.document == update.field.document
            } else {
                pod.images.iter().any(runs)
            }
        });
        concerned.map(|(_, pod)| pod).collect()
    }

    fn assess(&self, pod: &Pod, image: &Repository) -> Result<Assessment, RepoError> {
        let (mut entries, mut useless) = (Vec::new(), Vec::new());
        for name in self.names_of(pod)? {
            let uses = self.uses(pod, &name, image)?;
            if uses.is_empty() {
                return Ok(Assessment::Unknown);
            }
            for one in uses {
                match one {
                    SecretUse::Unknown => return Ok(Assessment::Unknown),
                    SecretUse::Useless(why) => useless.push(why),
                    SecretUse::Entry(entry) => entries.push(entry),
                }
            }
        }
        Ok(match (entries.is_empty(), useless.is_empty()) {
            (false, _) => Assessment::Entries(entries),
            (true, false) => Assessment::Useless(useless.join("; ")),
            (true, true) => Assessment::Unknown,
        })
    }

    /// Returns the names of a pod's pull secrets: its own including those from patches, or else those of its service
    /// account.
    fn names_of(&self, pod: &Pod) -> Result<BTreeSet<String>, RepoError> {
        let pods = self.files.values().flat_map(|facts| &facts.pods);
        let own: BTreeSet<String> = pods
            .filter(|other| other.owner == pod.owner && self.is_near(&pod.namespace, &other.namespace))
            .flat_map(|other| other.pull_secrets.clone())
            .collect();
        if !own.is_empty() {
            return Ok(own);
        }
        let inside = self.files.values().flat_map(|facts| &facts.accounts);
        let inside = inside.filter(|account| self.is_near(&pod.namespace, &account.namespace));
        let outside = self.tip_secrets.all()?.values().flat_map(|facts| &facts.accounts);
        let outside = outside.filter(|account| self.is_known_to_be_in(pod, &account.namespace));
        let own = inside.chain(outside).filter(|account| account.name == pod.account);
        Ok(own.flat_map(|account| account.pull_secrets.clone()).collect())
    }

    /// Returns the uses of the Secrets with a name; empty if the repository has none of that name.
    fn uses(&self, pod: &Pod, name: &str, image: &Repository) -> Result<Vec<SecretUse>, RepoError> {
        let mut uses = Vec::new();
        for (file, facts) in &self.files {
            for place in facts.secrets.iter().filter(|place| place.name == name) {
                if self.is_near(&pod.namespace, &place.namespace) {
                    uses.push(self.tip_secrets.secret(file, place, image)?);
                }
            }
            for generated in facts.generated.iter().filter(|generated| generated.name == name) {
                uses.push(self.tip_secrets.generated(file, generated, image)?);
            }
        }
        if !uses.is_empty() {
            return Ok(uses);
        }
        for (file, facts) in self.tip_secrets.all()? {
            for place in facts.secrets.iter().filter(|place| place.name == name) {
                if self.is_known_to_be_in(pod, &place.namespace) {
                    uses.push(self.tip_secrets.secret(file, place, image)?);
                }
            }
        }
        Ok(uses)
    }

    /// Returns whether two objects that are deployed together may be in the same namespace.
    fn is_near(&self, one: &Option<String>, other: &Option<String>) -> bool {
        self.namespace.is_some() || one.is_none() || other.is_none() || one == other
    }

    /// Returns whether an object from elsewhere is known to be in the namespace of a pod.
    fn is_known_to_be_in(&self, pod: &Pod, namespace: &Option<String>) -> bool {
        let own = self.namespace.as_ref().or(pod.namespace.as_ref());
        own.is_some() && own == namespace.as_ref()
    }
}

impl TipSecrets<'_> {
    /// Returns the facts about credentials in all files of the tip that have any.
    fn all(&self) -> Result<&BTreeMap<String, Arc<PodFacts>>, RepoError> {
        if let Some(all) = self.all.get() {
            return Ok(all);
        }
        let files = self.listing.keys().map(String::as_str);
        let mut all = self.secrets.pods(self.tip, &self.listing, files, Subset::Credentials)?;
        all.retain(|_, facts| !facts.accounts.is_empty() || !facts.secrets.is_empty());
        Ok(self.all.get_or_init(|| all))
    }

    /// Returns the values of a file, or `None` if no available identity decrypts it.
    fn values(&self, file: &str) -> Result<Option<Result<Vec<Decrypted>, SopsError>>, RepoError> {
        let bytes = match self.tip.file(file) {
            Err(error @ RepoError::TooLarge { .. }) => return Ok(Some(Err(SopsError::Unreadable(error.to_string())))),
            read => Secret::new(read?.unwrap_or_default()),
        };
        Ok(match open::values(file, bytes.expose(), &self.keyring) {
            Err(SopsError::NoIdentity { .. } | SopsError::Foreign { .. } | SopsError::TooFewGroups { .. }) => None,
            values => Some(values),
        })
    }

    fn secret(&self, file: &str, place: &SecretPlace, image: &Repository) -> Result<SecretUse, RepoError> {
        let from = format!("the pull secret {} ({file}, document {})", place.name, place.document);
        let values = match self.values(file)? {
            None => return Ok(SecretUse::Unknown),
            Some(Err(error)) => return Ok(SecretUse::Useless(format!("{from} cannot be opened: {error}"))),
            Some(Ok(values)) => values,
        };
        let value = |section: &str, key: &str| {
            let way = format!("{}{section}[\"{key}\"]", place.way);
            values.iter().find(|value| value.document == place.document && value.place == way)
        };
        let decoded = |value: &Decrypted| {
            let text: Vec<u8> = value.plain.expose().iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
            STANDARD.decode(Secret::new(text).expose()).unwrap_or_default()
        };
        let found = [KEY, LEGACY_KEY].into_iter().find_map(|key| {
            let clear = value("stringData", key).map(|value| value.plain.expose().to_vec());
            clear.or_else(|| value("data", key).map(decoded))
        });
        Ok(match found {
            // The values that Flux substitutes are not known here.
            Some(text) if text.starts_with(b"${") => SecretUse::Unknown,
            Some(text) => entry(Secret::new(text), image, from),
            None => SecretUse::Useless(format!("{from} has no {KEY}, so it is not a pull secret")),
        })
    }

    fn generated(
        &self,
        kustomization: &str,
        secret: &GeneratedSecret,
        image: &Repository,
    ) -> Result<SecretUse, RepoError> {
        let from = format!("the pull secret {} ({kustomization})", secret.name);
        let Some((_, source)) = secret.files.iter().find(|(key, _)| key == KEY || key == LEGACY_KEY) else {
            return Ok(SecretUse::Useless(format!("{from} has no {KEY}, so it is not a pull secret")));
        };
        let source = join(parent_of(kustomization), source).filter(|source| self.listing.contains_key(source));
        let Some(source) = source else { return Ok(SecretUse::Unknown) };
        let from = format!("{from}, from {source},");
        Ok(match self.values(&source)? {
            None => SecretUse::Unknown,
            Some(Err(error)) => SecretUse::Useless(format!("{from} cannot be opened: {error}")),
            Some(Ok(values)) => entry(whole(&values), image, from),
        })
    }
}

/// Returns the JSON document that values come from, which is either a single value or made of all of them.
fn whole(values: &[Decrypted]) -> Secret<Vec<u8>> {
    if let [only] = values
        && only.path == ["data"]
    {
        return Secret::new(only.plain.expose().to_vec());
    }
    let mut root = Value::Object(Map::new());
    for value in values {
        let mut at = &mut root;
        for key in &value.path {
            if !at.is_object() {
                *at = Value::Object(Map::new());
            }
            at = &mut at[key.as_str()];
        }
        *at = Value::from(String::from_utf8_lossy(value.plain.expose()));
    }
    Secret::new(root.to_string().into_bytes())
}

/// Returns the use of a Docker config file for an image.
fn entry(text: Secret<Vec<u8>>, image: &Repository, from: String) -> SecretUse {
    let host = image.host();
    let hosts = credentials::hosts_in(&text);
    match credentials::in_pull_secret(text, host, image.path()) {
        Ok(Some(credential @ Credential::Password { .. })) => SecretUse::Entry(HostEntry { credential, from }),
        Ok(Some(Credential::RefreshToken(_))) => {
            SecretUse::Useless(format!("{from} holds a refresh token for {host}, which a kubelet cannot use"))
        }
        Ok(None) if hosts.is_empty() => SecretUse::Useless(format!("{from} has no entry for any registry")),
        Ok(None) => SecretUse::Useless(format!("{from} has no entry for {host}, only for {}", hosts.join(", "))),
        Err(reason) => SecretUse::Useless(format!("{from} cannot be used: {reason}")),
    }
}

/// Tests entries against the registry. Returns the problem if it accepts none of them. An entry that cannot be tested
/// keeps nothing back.
async fn probe(
    registry: &Client,
    pull: &Pull,
    entries: Vec<HostEntry>,
    end: Instant,
) -> Result<Option<String>, Untested> {
    let (repository, version) = &pull.image;
    let untested = |why: String| Untested { image: repository.clone(), why };
    let mut refused = Vec::new();
    for HostEntry { credential, from } in entries {
        match before(Some(end), registry.check_credential(repository, version, credential, from.clone())).await {
            Some(Ok(())) => return Ok(None),
            None => return Err(untested("there was no time left in this cycle".to_owned())),
            Some(Err(error)) if error.fault() == Fault::Denied || error.is_not_found() => {
                refused.push(format!("{from} was rejected: {error}"));
            }
            Some(Err(error)) => return Err(untested(error.to_string())),
        }
    }
    Ok(Some(refused.join("; ")))
}
