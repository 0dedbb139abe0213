//! A plan to a gated plan. Only [`pass`] makes a [`GatedPlan`], and only a gated plan can be turned into the bytes of a
//! commit: so nothing reaches the branch past the gates.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::image::{Digest, Repository, Version};
use crate::manifest::edit::{self, EditError, FollowRefs, Move};
use crate::manifest::field::Field;
use crate::manifest::field_rules::FieldRules;

use super::decide::{DigestWish, Plan, Update};
use super::skip::{Reason, Skipped};

/// What the registry says of one image, asked right before it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageProof {
    /// It is there.
    Whole {
        /// Its digest.
        digest: Digest,
        /// When it was built, if it says.
        created: Option<Timestamp>,
    },
    /// It is not there, or not whole.
    Broken(String),
    /// It was built too recently for its policy.
    TooYoung(String),
    /// The registry could not say.
    Unknown(String),
}

/// What is wrong with the secrets that fields are deployed with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretFlaws {
    /// Of all fields of a file.
    files: BTreeMap<String, String>,
    /// Of the fields of an image in a file.
    images: BTreeMap<(String, Repository), String>,
}

impl SecretFlaws {
    /// Notes what is wrong for all fields of a file.
    pub fn add(&mut self, file: &str, flaw: String) {
        self.files.insert(file.to_owned(), flaw);
    }

    /// Notes what is wrong for the fields of an image in a file.
    pub fn add_image(&mut self, file: &str, image: &Repository, flaw: String) {
        self.images.insert((file.to_owned(), image.clone()), flaw);
    }

    /// All that is wrong.
    pub fn into_words(self) -> impl Iterator<Item = String> {
        self.files.into_values().chain(self.images.into_values())
    }

    /// What keeps an update back.
    fn of(&self, update: &GatedUpdate) -> Option<&String> {
        let of_image = || self.images.get(&(update.file.clone(), update.field.repository.clone()));
        self.files.get(&update.file).or_else(of_image)
    }
}

/// The image that an update would write: what has to be asked of the registry.
pub type Wanted = (Repository, Version);

/// What was found out about the images that a plan would write.
pub type Proofs = BTreeMap<Wanted, ImageProof>;

/// What an update would write, as far as the registry has to be asked about it.
pub fn wanted(update: &Update) -> Wanted {
    let digest = match &update.digest {
        DigestWish::Exactly(digest) => Some(digest.clone()),
        DigestWish::Without | DigestWish::OfTag => None,
    };
    (update.field.repository.clone(), Version { tag: update.tag.clone(), digest })
}

/// All that has to be asked of the registry about an update: its image, and those whose fields read the same scalar.
pub fn all_wanted(update: &Update) -> Vec<Wanted> {
    let along = update.along.iter().map(|image| (image.clone(), Version { tag: update.tag.clone(), digest: None }));
    std::iter::once(wanted(update)).chain(along).collect()
}

/// An update that passed the gates.
#[derive(Debug, Clone)]
pub struct GatedUpdate {
    /// The file, relative to the root.
    pub file: String,
    /// The field as it stands on the tip.
    pub field: Field,
    /// What it will hold.
    pub to: Version,
    /// The digest of the image that it will run.
    pub digest: Option<Digest>,
    /// Whether it goes back on purpose, so that what it leaves is held.
    pub goes_back: bool,
    /// When that image was built, where it is known.
    pub built: Option<Timestamp>,
}

/// An image that is whole.
#[derive(Debug, Clone)]
struct Proved {
    digest: Digest,
    created: Option<Timestamp>,
}

impl GatedUpdate {
    /// What an update writes; none when the field holds it already.
    fn of(update: Update, proved: Option<Proved>) -> Option<GatedUpdate> {
        let (proved, built) = proved.map_or((None, None), |proved| (Some(proved.digest), proved.created));
        let digest = match update.digest {
            DigestWish::Without => None,
            DigestWish::OfTag => proved.clone(),
            DigestWish::Exactly(digest) => Some(digest),
        };
        let to = Version { tag: update.tag, digest };
        if update.field.holds(&to) {
            return None;
        }
        let digest = proved.or(to.digest.clone());
        let (file, field, goes_back) = (update.file, update.field, update.goes_back);
        Some(GatedUpdate { file, digest, field, to, built, goes_back })
    }
}

/// A plan whose updates all passed the gates.
#[derive(Debug, Default)]
pub struct GatedPlan {
    updates: Vec<GatedUpdate>,
}

/// Lets through what is proved, and says what is not. A gate blocks only the fields that it concerns.
pub fn pass(plan: Plan, proofs: &Proofs, secrets: &SecretFlaws) -> (GatedPlan, BTreeSet<Skipped>) {
    let mut gated = GatedPlan::default();
    let mut skipped = plan.skipped;
    for update in plan.updates {
        let (file, field, tag) = (update.file.clone(), update.field.clone(), update.tag.clone());
        let mut skip = |tag, reason, detail| {
            skipped.insert(Skipped::field(&file, &field, tag, reason, detail));
        };
        match verdict(&update, proofs) {
            Ok(proved) => match GatedUpdate::of(update, Some(proved.clone())) {
                None => {
                    let detail = format!("holds {}, which its tag has now", proved.digest);
                    skip(field.version.tag.clone(), Reason::UpToDate, detail);
                }
                Some(update) => match secrets.of(&update) {
                    Some(flaw) => skip(tag, Reason::BlockedSecret, flaw.clone()),
                    None => gated.updates.push(update),
                },
            },
            Err((reason, detail)) => skip(tag, reason, detail),
        }
    }
    (gated, skipped)
}

/// What is proved of an update's image, when all that it would write is whole.
fn verdict(update: &Update, proofs: &Proofs) -> Result<Proved, (Reason, String)> {
    let unasked = || (Reason::RegistryError, "the registry was not asked".to_owned());
    let mut proved = Vec::new();
    for wanted in all_wanted(update) {
        match proofs.get(&wanted).ok_or_else(unasked)? {
            ImageProof::Whole { digest, created } => {
                proved.push(Proved { digest: digest.clone(), created: *created });
            }
            ImageProof::TooYoung(detail) => return Err((Reason::NoCandidate, detail.clone())),
            ImageProof::Broken(detail) => return Err((Reason::BlockedImage, detail.clone())),
            ImageProof::Unknown(detail) => return Err((Reason::RegistryError, detail.clone())),
        }
    }
    proved.into_iter().next().ok_or_else(unasked)
}

/// For files outside git: there is no registry to ask and nothing is pushed, so what was asked for is done.
pub fn pass_unproved(plan: Plan) -> (GatedPlan, BTreeSet<Skipped>) {
    let mut gated = GatedPlan::default();
    for update in plan.updates {
        gated.updates.extend(GatedUpdate::of(update, None));
    }
    (gated, plan.skipped)
}

/// Gives a SOPS file, from its bytes before and after an edit of clear values, a message authentication code that holds;
/// or says why it cannot.
pub type Reseal<'r> = dyn Fn(&[u8], &[u8]) -> Result<Vec<u8>, String> + 'r;

/// An edit that could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: cannot be edited")]
pub struct ChangeError {
    /// The file.
    pub file: String,
    /// Why.
    #[source]
    pub source: EditError,
}

impl GatedPlan {
    /// The updates, in the order of file and place.
    pub fn updates(&self) -> &[GatedUpdate] {
        &self.updates
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.updates.is_empty()
    }

    /// The new bytes of one of its files. One that SOPS has sealed is given a new message authentication code by
    /// `reseal`, or refused where there is none.
    pub fn edited(
        &self,
        file: &str,
        bytes: &[u8],
        follow: FollowRefs,
        field_rules: &FieldRules,
        reseal: Option<&Reseal<'_>>,
    ) -> Result<Vec<u8>, ChangeError> {
        let updates = self.updates.iter().filter(|update| update.file == file);
        let moves: Vec<Move<'_>> = updates.map(|update| Move { field: &update.field, to: &update.to }).collect();
        let edited = match (edit::edit(file, bytes, &moves, follow, field_rules), reseal) {
            (Err(EditError::Encrypted), Some(reseal)) => edit::edit_encrypted(file, bytes, &moves, follow, field_rules)
                .and_then(|edited| reseal(bytes, &edited).map_err(EditError::UpdateMac)),
            (edited, _) => edited,
        };
        edited.map_err(|source| ChangeError { file: file.to_owned(), source })
    }

    /// The files that it changes.
    pub fn files(&self) -> BTreeSet<&str> {
        self.updates.iter().map(|update| update.file.as_str()).collect()
    }

    /// A part of it: the updates that are wanted, in their order.
    pub fn part(&self, wanted: impl Fn(&GatedUpdate) -> bool) -> GatedPlan {
        GatedPlan { updates: self.updates.iter().filter(|update| wanted(update)).cloned().collect() }
    }

    /// What else its updates change, because it reads the same scalars.
    pub fn moved_along(&self) -> impl Iterator<Item = String> + '_ {
        let shared = self.updates.iter().filter(|update| !update.field.moves_along.is_empty());
        shared.map(|update| {
            let others = update.field.moves_along.join(", ");
            format!("{}: {} shares its value by an anchor: {others} moves along", update.file, update.field.path)
        })
    }

    /// Takes the updates of a file out again, because its edit was refused.
    pub fn drop_file(&mut self, file: &str) {
        self.updates.retain(|update| update.file != file);
    }
}

#[cfg(test)]
impl GatedUpdate {
    /// For tests: an update of a file with one image.
    pub(super) fn example(file: &str, name: &str, from: &str, to: &str) -> GatedUpdate {
        let facts =
            crate::manifest::find::read(file, format!("image: {name}:{from}\n").as_bytes(), &FieldRules::default())
                .expect("valid YAML");
        let to = Version::parse_tag(to).expect("a tag");
        GatedUpdate {
            file: file.to_owned(),
            field: facts.fields[0].clone(),
            to,
            digest: None,
            built: None,
            goes_back: false,
        }
    }
}
