//! Whether the pods around a field could pull what it would say: their pull secrets, as far as they live in the
//! repository, open and hold an entry for the image's registry.

use std::cell::OnceCell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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
use crate::cycle::tip::Tip;
use crate::cycle::tree::walk::Listing;

/// What is wrong with pull secrets, by file and image.
pub type Flaws = BTreeMap<(String, Repository), String>;

/// Returns what is wrong with the pull secrets that the images of updates would be pulled with.
pub async fn flaws(
    services: &Services,
    tip: &Tip,
    closures: &Closures,
    updates: &[Update],
) -> Result<Flaws, CycleError> {
    let checks = services.secrets.pull_secrets();
    let mut flaws = Flaws::new();
    if checks == PullSecrets::Off {
        return Ok(flaws);
    }
    let answers = block_in_place(|| answers(&services.secrets, tip, closures, updates))?;
    for (question, answer) in answers {
        let flaw = match answer {
            Answer::Open => None,
            Answer::Useless(words) => Some(words),
            Answer::Entries(entries) if checks == PullSecrets::Probe => {
                try_out(&services.registry, &question, entries).await
            }
            Answer::Entries(_) => None,
        };
        if let Some(flaw) = flaw {
            let Question { file, image: (image, _), owner } = question;
            flaws.insert((file, image), format!("{owner}: {flaw}"));
        }
    }
    Ok(flaws)
}

/// Whether a pod could pull an image.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Question {
    file: String,
    image: (Repository, Version),
    /// The workload.
    owner: String,
}

/// What the repository says to it.
enum Answer {
    /// Nothing: there is no pull secret, or one that is made elsewhere or cannot be opened here.
    Open,
    /// No pull secret is of any use.
    Useless(String),
    /// There are entries for the registry.
    Entries(Vec<HostEntry>),
}

/// An entry for the registry.
struct HostEntry {
    credential: Credential,
    /// The pull secret and its file.
    from: String,
}

/// What a pull secret is good for.
enum Use {
    Entry(HostEntry),
    None(String),
    /// It cannot be opened here.
    NotKnown,
}

/// Everything about a tip that pods are judged by.
struct View<'v> {
    tip: &'v Tip,
    secrets: &'v Secrets,
    keyring: Keyring,
    listing: Arc<Listing>,
    /// What all files say of credentials, once that was asked for.
    all: OnceCell<BTreeMap<String, Arc<PodFacts>>>,
}

fn answers(
    secrets: &Secrets,
    tip: &Tip,
    closures: &Closures,
    updates: &[Update],
) -> Result<BTreeMap<Question, Answer>, CycleError> {
    let listing = tip.listing()?;
    let view = View { tip, secrets, keyring: secrets.keyring()?, listing, all: OnceCell::new() };
    let mut answers = BTreeMap::new();
    let files: BTreeSet<&str> = updates.iter().map(|update| update.file.as_str()).collect();
    let around = closures.around_each(&files, view.listing.keys().map(String::as_str));
    // What all of them are deployed with is read at once.
    let all: BTreeSet<&str> = around.values().flatten().copied().collect();
    secrets.pods(tip, &view.listing, all.into_iter(), Subset::Everything)?;
    for update in updates {
        let closure = around.get(update.file.as_str()).into_iter().flatten().copied();
        let around = Around::of(&view, secrets.pods(tip, &view.listing, closure, Subset::Everything)?);
        for pod in &around.pods_of(update) {
            let image = gate::wanted(update);
            let question = Question { file: update.file.clone(), image, owner: pod.owner.clone() };
            if let Entry::Vacant(vacant) = answers.entry(question) {
                vacant.insert(around.answer(pod, &update.field.repository)?);
            }
        }
    }
    Ok(answers)
}

/// What is deployed together with a field.
struct Around<'v> {
    view: &'v View<'v>,
    files: BTreeMap<String, Arc<PodFacts>>,
    /// The namespace that all is put into, if kustomizations say so with one voice.
    namespace: Option<String>,
}

impl<'v> Around<'v> {
    fn of(view: &'v View<'v>, files: BTreeMap<String, Arc<PodFacts>>) -> Around<'v> {
        let namespaces: BTreeSet<String> = files.values().filter_map(|facts| facts.namespace.clone()).collect();
        let namespace = if namespaces.len() == 1 { namespaces.into_iter().next() } else { None };
        Around { view, files, namespace }
    }

    /// The pods that run the image of an update. A release is asked only for fields of its own.
    fn pods_of(&self, update: &Update) -> Vec<&Pod> {
        let image = &update.field.repository;
        let is_image = |name: &str| name.parse::<Repository>().is_ok_and(|name| name == *image);
        let renames = || self.files.values().flat_map(|facts| &facts.renames);
        let runs = |name: &String| {
            let renamed = renames().any(|(from, to)| from == name && is_image(to));
            renamed || is_image(name)
        };
        let pods = self.files.iter().flat_map(|(file, facts)| facts.pods.iter().map(move |pod| (file, pod)));
        let concerned = pods.filter(|(file, pod)| match pod.is_release {
            true => **file == update.file && pod.document == update.field.document,
            false => pod.images.iter().any(runs),
        });
        concerned.map(|(_, pod)| pod).collect()
    }

    fn answer(&self, pod: &Pod, image: &Repository) -> Result<Answer, RepoError> {
        let (mut entries, mut useless) = (Vec::new(), Vec::new());
        for name in self.names_of(pod)? {
            let uses = self.uses(pod, &name, image)?;
            if uses.is_empty() {
                return Ok(Answer::Open);
            }
            for one in uses {
                match one {
                    Use::NotKnown => return Ok(Answer::Open),
                    Use::None(why) => useless.push(why),
                    Use::Entry(entry) => entries.push(entry),
                }
            }
        }
        Ok(match (entries.is_empty(), useless.is_empty()) {
            (false, _) => Answer::Entries(entries),
            (true, false) => Answer::Useless(useless.join("; ")),
            (true, true) => Answer::Open,
        })
    }

    /// The names of a pod's pull secrets: its own with those that patches add, else those of its service account.
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
        let outside = self.view.all()?.values().flat_map(|facts| &facts.accounts);
        let outside = outside.filter(|account| self.is_known_to_be_in(pod, &account.namespace));
        let own = inside.chain(outside).filter(|account| account.name == pod.account);
        Ok(own.flat_map(|account| account.pull_secrets.clone()).collect())
    }

    /// What the Secrets of a name are good for; nothing when the repository has none of that name.
    fn uses(&self, pod: &Pod, name: &str, image: &Repository) -> Result<Vec<Use>, RepoError> {
        let mut uses = Vec::new();
        for (file, facts) in &self.files {
            for place in facts.secrets.iter().filter(|place| place.name == name) {
                if self.is_near(&pod.namespace, &place.namespace) {
                    uses.push(self.view.secret(file, place, image)?);
                }
            }
            for generated in facts.generated.iter().filter(|generated| generated.name == name) {
                uses.push(self.view.generated(file, generated, image)?);
            }
        }
        if !uses.is_empty() {
            return Ok(uses);
        }
        for (file, facts) in self.view.all()? {
            for place in facts.secrets.iter().filter(|place| place.name == name) {
                if self.is_known_to_be_in(pod, &place.namespace) {
                    uses.push(self.view.secret(file, place, image)?);
                }
            }
        }
        Ok(uses)
    }

    /// Whether two objects that are deployed together may be in one namespace.
    fn is_near(&self, one: &Option<String>, other: &Option<String>) -> bool {
        self.namespace.is_some() || one.is_none() || other.is_none() || one == other
    }

    /// Whether an object from elsewhere is in the namespace of a pod.
    fn is_known_to_be_in(&self, pod: &Pod, namespace: &Option<String>) -> bool {
        let own = self.namespace.as_ref().or(pod.namespace.as_ref());
        own.is_some() && own == namespace.as_ref()
    }
}

impl View<'_> {
    /// What the files of the tip say of credentials, of those that say anything.
    fn all(&self) -> Result<&BTreeMap<String, Arc<PodFacts>>, RepoError> {
        if let Some(all) = self.all.get() {
            return Ok(all);
        }
        let files = self.listing.keys().map(String::as_str);
        let mut all = self.secrets.pods(self.tip, &self.listing, files, Subset::Credentials)?;
        all.retain(|_, facts| !facts.accounts.is_empty() || !facts.secrets.is_empty());
        Ok(self.all.get_or_init(|| all))
    }

    /// The values of a file; `None` when no identity here opens it.
    fn values(&self, file: &str) -> Result<Option<Result<Vec<Decrypted>, SopsError>>, RepoError> {
        let bytes = Secret::new(self.tip.file(file)?.unwrap_or_default());
        Ok(match open::values(file, bytes.expose(), &self.keyring) {
            Err(SopsError::NoIdentity { .. } | SopsError::Foreign { .. } | SopsError::TooFewGroups { .. }) => None,
            values => Some(values),
        })
    }

    fn secret(&self, file: &str, place: &SecretPlace, image: &Repository) -> Result<Use, RepoError> {
        let from = format!("the pull secret {} ({file}, document {})", place.name, place.document);
        let values = match self.values(file)? {
            None => return Ok(Use::NotKnown),
            Some(Err(error)) => return Ok(Use::None(format!("{from} does not open: {error}"))),
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
            // What Flux substitutes is not known here.
            Some(text) if text.starts_with(b"${") => Use::NotKnown,
            Some(text) => entry(Secret::new(text), image, from),
            None => Use::None(format!("{from} has no {KEY}, so it is no pull secret")),
        })
    }

    fn generated(&self, kustomization: &str, secret: &GeneratedSecret, image: &Repository) -> Result<Use, RepoError> {
        let from = format!("the pull secret {} ({kustomization})", secret.name);
        let Some((_, source)) = secret.files.iter().find(|(key, _)| key == KEY || key == LEGACY_KEY) else {
            return Ok(Use::None(format!("{from} has no {KEY}, so it is no pull secret")));
        };
        let source = join(parent_of(kustomization), source).filter(|source| self.listing.contains_key(source));
        let Some(source) = source else { return Ok(Use::NotKnown) };
        let from = format!("{from}, from {source},");
        Ok(match self.values(&source)? {
            None => Use::NotKnown,
            Some(Err(error)) => Use::None(format!("{from} does not open: {error}")),
            Some(Ok(values)) => entry(whole(&values), image, from),
        })
    }
}

/// The JSON document that values come from: all of it within one value, or each value in its place.
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

/// What a Docker config file is good for.
fn entry(text: Secret<Vec<u8>>, image: &Repository, from: String) -> Use {
    let host = image.host();
    let hosts = credentials::hosts_in(&text);
    match credentials::in_pull_secret(text, host, image.path()) {
        Ok(Some(credential @ Credential::Password { .. })) => Use::Entry(HostEntry { credential, from }),
        Ok(Some(Credential::RefreshToken(_))) => {
            Use::None(format!("{from} holds a refresh token for {host}, which a kubelet cannot use"))
        }
        Ok(None) if hosts.is_empty() => Use::None(format!("{from} has no entry for any registry")),
        Ok(None) => Use::None(format!("{from} has no entry for {host}, only for {}", hosts.join(", "))),
        Err(reason) => Use::None(format!("{from} cannot be used: {reason}")),
    }
}

/// Tries entries out; what is wrong when the registry takes none of them. One that cannot be asked holds nothing back.
async fn try_out(registry: &Client, question: &Question, entries: Vec<HostEntry>) -> Option<String> {
    let (repository, version) = &question.image;
    let mut refused = Vec::new();
    for HostEntry { credential, from } in entries {
        match registry.check_credential(repository, version, credential, from.clone()).await {
            Ok(()) => return None,
            Err(error) if error.fault() == Fault::Denied || error.is_not_found() => {
                refused.push(format!("{from} is refused: {error}"));
            }
            Err(error) => {
                tracing::warn!(image = %repository, %error, "a pull secret could not be tried out");
                return None;
            }
        }
    }
    Some(refused.join("; "))
}
