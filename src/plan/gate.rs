//! Makes a gated plan from a plan. Only [`pass`] makes a [`GatedPlan`] for git, and only a gated plan can be turned
//! into the bytes of a commit, so nothing reaches the branch without passing the gates.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::image::{Digest, Repository, Version};
use crate::manifest::edit::{self, EditError, FollowRefs, Move};
use crate::manifest::field::Field;
use crate::manifest::field_rules::FieldRules;
use crate::policy::dates::Dates;
use crate::policy::rule::PolicySet;
use crate::stage::promotion::{Entry, Promotion};

use super::decide::{Update, WantedDigest};
use super::order_record::OrderedBy;
use super::origin::Origin;
use super::skip::{Reason, Skipped};

/// The verification of one image, made right before it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// It is complete.
    Complete {
        /// Its digest.
        digest: Digest,
        /// Its dates.
        dates: Dates,
        /// Its proven origin, if that was verified.
        origin: Option<Arc<Origin>>,
    },
    /// It is missing or incomplete.
    Broken(String),
    /// It is complete, but there is no sufficient proof of its origin.
    Unproven(String),
    /// The registry could not answer.
    Unknown(String),
}

/// The image that an update would write, which has to be verified.
pub type Wanted = (Repository, Version);

/// The verifications of the images that a plan would write.
pub type Verifications = BTreeMap<Wanted, Verification>;

/// Returns the image that an update would write, which has to be verified.
pub fn wanted(update: &Update) -> Wanted {
    let digest = match &update.digest {
        WantedDigest::Exactly(digest) => Some(digest.clone()),
        WantedDigest::Without | WantedDigest::OfTag => None,
    };
    (update.field.repository.clone(), Version { tag: update.tag.clone(), digest })
}

/// Returns all images that have to be verified for an update: its own, and those whose fields read the same scalar.
pub fn all_wanted(update: &Update) -> Vec<Wanted> {
    let along = update.along.iter().map(|image| (image.clone(), Version { tag: update.tag.clone(), digest: None }));
    std::iter::once(wanted(update)).chain(along).collect()
}

/// An update that passed the gates.
#[derive(Debug, Clone)]
pub struct GatedUpdate {
    /// The file, relative to the root.
    pub file: String,
    /// The field on the tip.
    pub field: Field,
    /// The new version.
    pub to: Version,
    /// The digest of the image that will run.
    pub digest: Option<Digest>,
    /// True if it goes back on purpose, so that the version it leaves is held.
    pub goes_back: bool,
    /// The dates of that image.
    pub dates: Dates,
    /// The reason for the new version's place in the order.
    pub ordered_by: OrderedBy,
    /// The release that enters a stage with it.
    pub entry: Option<Arc<Entry>>,
    /// The proven origin of the image, if its policy requires one.
    pub origin: Option<Arc<Origin>>,
}

/// An image that is complete.
#[derive(Debug, Clone)]
struct VerifiedImage {
    digest: Digest,
    dates: Dates,
    origin: Option<Arc<Origin>>,
}

impl GatedUpdate {
    /// Returns the promotion that it is part of.
    pub fn promotion(&self) -> Option<&Promotion> {
        self.entry.as_ref()?.promotion.as_ref()
    }

    /// Returns what an update writes, or `None` if the field is already like that.
    fn of(update: &Update, verified: Option<VerifiedImage>) -> Option<GatedUpdate> {
        let dates = verified.as_ref().map(|verified| verified.dates).unwrap_or_default();
        let origin = verified.as_ref().and_then(|verified| verified.origin.clone());
        let verified = verified.map(|verified| verified.digest);
        let digest = match &update.digest {
            WantedDigest::Without => None,
            WantedDigest::OfTag => verified.clone(),
            WantedDigest::Exactly(digest) => Some(digest.clone()),
        };
        let to = Version { tag: update.tag.clone(), digest };
        if update.field.holds(&to) {
            return None;
        }
        let digest = verified.or(to.digest.clone());
        let (file, field, goes_back) = (update.file.clone(), update.field.clone(), update.goes_back);
        let (ordered_by, entry) = (update.ordered_by, update.entry.clone());
        Some(GatedUpdate { file, digest, field, to, goes_back, dates, ordered_by, entry, origin })
    }
}

/// A plan whose updates all passed the gates.
#[derive(Debug, Default)]
pub struct GatedPlan {
    updates: Vec<GatedUpdate>,
}

/// Passes the updates whose images are verified, with their origin if a policy requires that, and returns the others
/// with the reasons.
pub fn pass(
    updates: Vec<Update>,
    verifications: &Verifications,
    policies: &PolicySet,
) -> (GatedPlan, BTreeSet<Skipped>) {
    let mut gated = GatedPlan::default();
    let mut skipped = BTreeSet::new();
    for update in updates {
        match judge(&update, verifications).and_then(|gated| proven(&update, verifications, policies).map(|()| gated)) {
            Ok(update) => gated.updates.push(update),
            Err((reason, detail)) => {
                skipped.insert(Skipped::field(&update.file, &update.field, update.tag, reason, detail));
            }
        }
    }
    (gated, skipped)
}

/// Returns what an update writes, if all images that it would deploy are complete and its field is not like that
/// already.
pub fn judge(update: &Update, verifications: &Verifications) -> Result<GatedUpdate, (Reason, String)> {
    let not_queried = || (Reason::RegistryError, "the registry was not queried".to_owned());
    let mut first = None;
    for wanted in all_wanted(update) {
        match verifications.get(&wanted).ok_or_else(not_queried)? {
            Verification::Complete { digest, dates, origin } => {
                first.get_or_insert_with(|| VerifiedImage {
                    digest: digest.clone(),
                    dates: *dates,
                    origin: origin.clone(),
                });
            }
            Verification::Broken(detail) => return Err((Reason::BlockedImage, detail.clone())),
            Verification::Unproven(detail) => return Err((Reason::BlockedSignature, detail.clone())),
            Verification::Unknown(detail) => return Err((Reason::RegistryError, detail.clone())),
        }
    }
    let verified = first.ok_or_else(not_queried)?;
    let up_to_date = format!("holds {}, to which its tag points", verified.digest);
    GatedUpdate::of(update, Some(verified)).ok_or((Reason::UpToDate, up_to_date))
}

/// Checks that the origin of all images of an update is proven, if their policies require that.
fn proven(update: &Update, verifications: &Verifications, policies: &PolicySet) -> Result<(), (Reason, String)> {
    for wanted in all_wanted(update) {
        let is_proven = matches!(verifications.get(&wanted), Some(Verification::Complete { origin: Some(_), .. }));
        if policies.origin_of(&wanted.0).is_some() && !is_proven {
            let detail = format!("the origin of {}:{} was not verified", wanted.0, wanted.1);
            return Err((Reason::BlockedSignature, detail));
        }
    }
    Ok(())
}

/// Passes updates for files outside git without verification: no registry is known, and nothing is pushed.
pub fn pass_unverified(updates: &[Update]) -> GatedPlan {
    GatedPlan { updates: updates.iter().filter_map(|update| GatedUpdate::of(update, None)).collect() }
}

/// Updates the message authentication code of a SOPS file, from its bytes before and after an edit of plaintext values.
/// Returns the reason if that is not possible.
pub type UpdateMac<'r> = dyn Fn(&[u8], &[u8]) -> Result<Vec<u8>, String> + 'r;

/// The error of an edit that could not be made.
#[allow(missing_docs, reason = "the message explains the fields")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: cannot be edited")]
pub struct ChangeError {
    pub file: String,
    #[source]
    pub source: EditError,
}

impl GatedPlan {
    /// Returns the updates, in the order of files and positions.
    pub fn updates(&self) -> &[GatedUpdate] {
        &self.updates
    }

    /// Returns whether there are no updates.
    pub fn is_empty(&self) -> bool {
        self.updates.is_empty()
    }

    /// Returns the new bytes of one of its files. `update_mac` updates the message authentication code of a SOPS file;
    /// without it, such a file is rejected.
    pub fn edited(
        &self,
        file: &str,
        bytes: &[u8],
        follow: FollowRefs,
        field_rules: &FieldRules,
        update_mac: Option<&UpdateMac<'_>>,
    ) -> Result<Vec<u8>, ChangeError> {
        let updates = self.updates.iter().filter(|update| update.file == file);
        let moves: Vec<Move<'_>> = updates.map(|update| Move { field: &update.field, to: &update.to }).collect();
        let edited = match (edit::edit(file, bytes, &moves, follow, field_rules), update_mac) {
            (Err(EditError::Encrypted), Some(update_mac)) => {
                edit::edit_encrypted(file, bytes, &moves, follow, field_rules)
                    .and_then(|edited| update_mac(bytes, &edited).map_err(EditError::UpdateMac))
            }
            (edited, _) => edited,
        };
        edited.map_err(|source| ChangeError { file: file.to_owned(), source })
    }

    /// Returns the files that it changes.
    pub fn files(&self) -> BTreeSet<&str> {
        self.updates.iter().map(|update| update.file.as_str()).collect()
    }

    /// Returns the part of it with the wanted updates, in their order.
    pub fn part(&self, wanted: impl Fn(&GatedUpdate) -> bool) -> GatedPlan {
        GatedPlan { updates: self.updates.iter().filter(|update| wanted(update)).cloned().collect() }
    }

    /// Returns notes about other fields and images that its updates change, because they read the same scalars.
    pub fn moved_along(&self) -> impl Iterator<Item = String> + '_ {
        let shared = self.updates.iter().filter(|update| !update.field.moves_along.is_empty());
        let shared = shared.map(|update| {
            let others = update.field.moves_along.join(", ");
            format!(
                "{}: {} shares its value through an anchor, so {others} moves along",
                update.file, update.field.path
            )
        });
        let updated: BTreeSet<(&str, &Repository)> =
            self.updates.iter().map(|update| (update.file.as_str(), &update.field.repository)).collect();
        let served =
            self.updates.iter().flat_map(|update| update.field.serves_also.iter().map(move |image| (update, image)));
        let served = served.filter(move |(update, image)| !updated.contains(&(update.file.as_str(), *image)));
        shared.chain(served.map(|(update, image)| {
            format!("{}: {} is the tag of {image} too, which moves along", update.file, update.field.path)
        }))
    }

    /// Removes the updates of a file that cannot be edited, and those of releases that would be incomplete without it.
    pub fn drop_file(&mut self, file: &str) -> Vec<GatedUpdate> {
        let of_file = self.updates.iter().filter(|update| update.file == file);
        let broken: Vec<Arc<Entry>> = of_file.filter_map(|update| update.entry.clone()).collect();
        let is_dropped = |update: &GatedUpdate| {
            update.file == file || update.entry.as_ref().is_some_and(|entry| broken.contains(entry))
        };
        let (dropped, kept) = std::mem::take(&mut self.updates).into_iter().partition(is_dropped);
        self.updates = kept;
        dropped
    }
}

#[cfg(test)]
impl GatedUpdate {
    /// Makes an update of a file with one image, for tests.
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
            goes_back: false,
            dates: Dates::default(),
            ordered_by: OrderedBy::Built,
            entry: None,
            origin: None,
        }
    }
}
