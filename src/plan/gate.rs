//! A plan to a gated plan. Only [`pass`] makes a [`GatedPlan`], and only a gated plan can be turned into the bytes of a
//! commit: so nothing reaches the branch past the gates.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::image::{Digest, Repository, Version};
use crate::manifest::edit::{self, EditError, FollowRefs, Move};
use crate::manifest::field::Field;
use crate::manifest::field_rules::FieldRules;

use super::decide::{DigestWish, Update};
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
    /// The registry could not say.
    Unknown(String),
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
    /// What an update writes; `None` when the field holds it already.
    fn of(update: &Update, proved: Option<Proved>) -> Option<GatedUpdate> {
        let (proved, built) = proved.map_or((None, None), |proved| (Some(proved.digest), proved.created));
        let digest = match &update.digest {
            DigestWish::Without => None,
            DigestWish::OfTag => proved.clone(),
            DigestWish::Exactly(digest) => Some(digest.clone()),
        };
        let to = Version { tag: update.tag.clone(), digest };
        if update.field.holds(&to) {
            return None;
        }
        let digest = proved.or(to.digest.clone());
        let (file, field, goes_back) = (update.file.clone(), update.field.clone(), update.goes_back);
        Some(GatedUpdate { file, digest, field, to, built, goes_back })
    }
}

/// A plan whose updates all passed the gates.
#[derive(Debug, Default)]
pub struct GatedPlan {
    updates: Vec<GatedUpdate>,
}

/// Lets through the updates whose images are proved, and returns the others with the reasons.
pub fn pass(updates: Vec<Update>, proofs: &Proofs) -> (GatedPlan, BTreeSet<Skipped>) {
    let mut gated = GatedPlan::default();
    let mut skipped = BTreeSet::new();
    for update in updates {
        match judge(&update, proofs) {
            Ok(update) => gated.updates.push(update),
            Err((reason, detail)) => {
                skipped.insert(Skipped::field(&update.file, &update.field, update.tag, reason, detail));
            }
        }
    }
    (gated, skipped)
}

/// Returns what an update writes, if all images that it would deploy are whole and its field does not hold it already.
pub fn judge(update: &Update, proofs: &Proofs) -> Result<GatedUpdate, (Reason, String)> {
    let unasked = || (Reason::RegistryError, "the registry was not asked".to_owned());
    let mut first = None;
    for wanted in all_wanted(update) {
        match proofs.get(&wanted).ok_or_else(unasked)? {
            ImageProof::Whole { digest, created } => {
                first.get_or_insert_with(|| Proved { digest: digest.clone(), created: *created });
            }
            ImageProof::Broken(detail) => return Err((Reason::BlockedImage, detail.clone())),
            ImageProof::Unknown(detail) => return Err((Reason::RegistryError, detail.clone())),
        }
    }
    let proved = first.ok_or_else(unasked)?;
    let up_to_date = format!("holds {}, which its tag has now", proved.digest);
    GatedUpdate::of(update, Some(proved)).ok_or((Reason::UpToDate, up_to_date))
}

/// For files outside git: there is no registry to ask and nothing is pushed, so what was asked for is done.
pub fn pass_unproved(updates: &[Update]) -> GatedPlan {
    GatedPlan { updates: updates.iter().filter_map(|update| GatedUpdate::of(update, None)).collect() }
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
