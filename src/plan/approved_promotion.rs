//! Records of approvals that were given at the forge, in commits that change no file: for promotions that arrived on the
//! branch by a commit that could not say so itself.

use crate::stage::name::Name;
use crate::stage::promotion::{APPROVAL, Evidence};
use crate::stage::release::ReleaseId;

use super::trailer::Trailers;

/// A promotion with its approvals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovedPromotion {
    /// The stage.
    pub stage: Name,
    /// The ID of the release.
    pub id: ReleaseId,
    /// The approvals.
    pub approvals: Vec<Evidence>,
}

impl ApprovedPromotion {
    /// Returns the subject of a commit that records it.
    pub fn subject(&self) -> String {
        format!("approved: {} {}", self.stage, self.id.short())
    }

    /// Returns its trailers: `Tagalong-Approved: WHO by WAY for STAGE RELEASE-ID`.
    pub fn trailers(&self) -> impl Iterator<Item = String> + '_ {
        self.approvals.iter().map(|approval| format!("{}{}", approval.trailer(), suffix(&self.stage, &self.id)))
    }
}

/// Returns the approvals of a promotion that a later commit without changes records.
pub fn recorded<'t>(trailers: &'t Trailers, stage: &Name, id: &ReleaseId) -> impl Iterator<Item = &'t str> + use<'t> {
    let suffix = suffix(stage, id);
    let approvals = trailers.evidence.iter().filter(|evidence| evidence.kind == APPROVAL);
    approvals.filter_map(move |approval| approval.detail.strip_suffix(suffix.as_str()))
}

fn suffix(stage: &Name, id: &ReleaseId) -> String {
    format!(" for {stage} {id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn approvals_are_read_for_their_promotion_only() {
        let name = |text: &str| text.parse::<Name>().expect("a name");
        let id = |digit: &str| ReleaseId::parse(&digit.repeat(64)).expect("an ID");
        let approvals = ["ada by merge", "bob by merge"].map(|text| Evidence::approved(text).expect("an approval"));
        let approved = ApprovedPromotion { stage: name("live"), id: id("1"), approvals: approvals.into() };
        let message = format!("x\n\n{}\n", approved.trailers().collect::<Vec<_>>().join("\n"));
        let trailers = Trailers::read(&message);
        let found = |stage: &str, digit: &str| recorded(&trailers, &name(stage), &id(digit)).count();
        assert_eq!((found("live", "1"), found("live", "2"), found("e", "1")), (2, 0, 0));
        assert_eq!(recorded(&trailers, &name("live"), &id("1")).next(), Some("ada by merge"));
    }
}
