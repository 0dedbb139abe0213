//! Approvals and acknowledgments: what the orders about stages of a branch amount to.

use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;

use crate::stage::name::Name;
use crate::stage::release::ReleaseId;

use super::hold::CommitRecord;
use super::stage_order::{RefusedApproval, StageOrder, StageRelease};
use super::trailer::{decode_word, encode_word, single_line};

/// An approval that was not withdrawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The stage and the release.
    pub what: StageRelease,
    /// The person and the commit.
    pub by: Signature,
}

/// An acknowledgment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// The stage.
    pub stage: Name,
    /// The person and the commit.
    pub by: Signature,
    /// True if the person signed it; false if the name is only claimed.
    pub is_proved: bool,
}

/// Who gave an order, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The person.
    pub who: String,
    /// The ID of the commit.
    pub commit: String,
    /// The time of the commit.
    pub when: Timestamp,
    /// The reason that was given.
    pub reason: String,
}

/// What the orders about stages amount to, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StageOrders {
    /// The approvals that were not withdrawn.
    pub approvals: Vec<Approval>,
    /// All acknowledgments.
    pub acknowledged: Vec<Acknowledged>,
    /// The latest approvals that do not count because of their signatures.
    pub refused: Vec<RefusedApproval>,
}

/// The number of approvals that do not count and are remembered. Anybody who can push can make more.
const REFUSED: usize = 20;

impl StageOrders {
    /// Applies commits, given newest first, to the orders before them.
    pub fn after(mut self, records: &[Arc<CommitRecord>]) -> StageOrders {
        for record in records.iter().rev() {
            record.trailers.stage_orders.iter().for_each(|order| self.apply(order, record));
            self.refused.extend(record.refused.iter().cloned());
        }
        self.refused.drain(..self.refused.len().saturating_sub(REFUSED));
        self
    }

    /// Returns the approvals of a release for a stage.
    pub fn approvals_of(&self, stage: &Name, release: &ReleaseId) -> impl Iterator<Item = &Approval> {
        self.approvals.iter().filter(move |approval| approval.what.is(stage, release))
    }

    /// Returns the approvals of a release for a stage that do not count, oldest first.
    pub fn refused_for(&self, stage: &Name, release: &ReleaseId) -> impl Iterator<Item = &RefusedApproval> {
        self.refused.iter().filter(move |refused| refused.what.is(stage, release))
    }

    fn apply(&mut self, order: &StageOrder, record: &CommitRecord) {
        let approver = record.signed_by.approver.as_ref();
        match order {
            StageOrder::Approve(what) => {
                let Some(who) = approver else { return };
                let is_theirs = |approval: &Approval| approval.by.who == *who;
                if !self.approvals_of(&what.stage, &what.release.id).any(is_theirs) {
                    self.approvals.push(Approval { what: what.clone(), by: Signature::of(record, who) });
                }
            }
            StageOrder::Disapprove(what) if approver.is_some() => {
                self.approvals.retain(|approval| !approval.what.is(&what.stage, &what.release.id));
            }
            StageOrder::Disapprove(_) => {}
            StageOrder::Acknowledge(stage) => {
                let signer = approver.or(record.signed_by.glass_breaker.as_ref());
                let claimed = || record.trailers.actor.as_ref().unwrap_or(&record.author);
                let who = signer.or_else(|| record.signed_by.is_unproved.then(claimed));
                self.acknowledged.extend(who.map(|who| Acknowledged {
                    stage: stage.clone(),
                    by: Signature::of(record, who),
                    is_proved: signer.is_some(),
                }));
            }
        }
    }

    /// Writes them as lines.
    pub fn lines(&self) -> String {
        let mut lines = String::new();
        for Approval { what, by } in &self.approvals {
            let _ = writeln!(lines, "approval {} {}", encode_word(&what.value()), by.words());
        }
        for Acknowledged { stage, by, is_proved } in &self.acknowledged {
            let kind = if *is_proved { "acknowledged" } else { "claimed" };
            let _ = writeln!(lines, "{kind} {stage} {}", by.words());
        }
        for RefusedApproval { what, commit, why } in &self.refused {
            let _ = writeln!(lines, "refused {} {commit} {}", encode_word(&what.value()), single_line(why));
        }
        lines
    }

    /// Reads such lines; `None` unless all of them can be read.
    pub fn read(lines: &str) -> Option<StageOrders> {
        let mut orders = StageOrders::default();
        for line in lines.lines() {
            let (kind, rest) = line.split_once(' ')?;
            let (what, rest) = rest.split_once(' ')?;
            match kind {
                "approval" => {
                    let (what, by) = (StageRelease::read(&decode_word(what))?, Signature::read(rest)?);
                    orders.approvals.push(Approval { what, by });
                }
                "acknowledged" | "claimed" => {
                    let (stage, is_proved) = (what.parse().ok()?, kind == "acknowledged");
                    orders.acknowledged.push(Acknowledged { stage, by: Signature::read(rest)?, is_proved });
                }
                "refused" => {
                    let (what, (commit, why)) = (StageRelease::read(&decode_word(what))?, rest.split_once(' ')?);
                    let (commit, why) = (commit.to_owned(), why.to_owned());
                    orders.refused.push(RefusedApproval { what, commit, why });
                }
                _ => return None,
            }
        }
        Some(orders)
    }
}

impl StageRelease {
    fn is(&self, stage: &Name, release: &ReleaseId) -> bool {
        self.stage == *stage && self.release.id == *release
    }
}

impl Signature {
    fn of(record: &CommitRecord, who: &str) -> Signature {
        let reason = record.trailers.reason.clone().unwrap_or_default();
        Signature { who: who.to_owned(), commit: record.commit.clone(), when: record.when, reason }
    }

    fn words(&self) -> String {
        format!("{} {} {} {}", self.when, self.commit, encode_word(&self.who), single_line(&self.reason))
    }

    fn read(words: &str) -> Option<Signature> {
        let mut words = words.splitn(4, ' ');
        let (when, commit) = (words.next()?.parse().ok()?, words.next()?.to_owned());
        let (who, reason) = (decode_word(words.next()?), words.next()?.to_owned());
        Some(Signature { who, commit, when, reason })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::stage_order::SignedBy;
    use super::super::trailer::{Effect, Trailers};
    use super::*;

    const ADA: &str = "ada@example.com";

    fn record(message: &str, effect: Effect, approver: Option<&str>) -> Arc<CommitRecord> {
        let is_trusted = true;
        Arc::new(CommitRecord {
            ago: 0,
            commit: "c0ffee5".repeat(6),
            when: Timestamp::from_second(1_000_000).expect("a time"),
            author: "Eve".to_owned(),
            subject: "x".to_owned(),
            effect,
            is_trusted,
            trailers: Trailers::read(message).counting(effect, is_trusted),
            signed_by: SignedBy { approver: approver.map(str::to_owned), ..SignedBy::default() },
            signature: None,
            refused: Vec::new(),
        })
    }

    fn line(verb: &str, stage: &str, digit: char) -> String {
        format!("x\n\nTagalong-{verb}: {stage} {} (v1)\nTagalong-Reason: tested\n", digit.to_string().repeat(64))
    }

    fn id(digit: char) -> ReleaseId {
        ReleaseId::parse(&digit.to_string().repeat(64)).expect("an ID")
    }

    /// Who approved release 1 for live, after messages from the oldest to the newest, each with its signer.
    fn approvers(steps: &[(&str, &str, char, Option<&str>)]) -> Vec<String> {
        let records: Vec<_> = steps
            .iter()
            .rev()
            .map(|(verb, stage, digit, who)| record(&line(verb, stage, *digit), Effect::Nothing, *who))
            .collect();
        let orders = StageOrders::default().after(&records);
        let live = "live".parse().expect("a name");
        orders.approvals_of(&live, &id('1')).map(|approval| approval.by.who.clone()).collect()
    }

    #[test]
    fn approvals_count_until_they_are_withdrawn() {
        let approve = |who| ("Approve", "live", '1', who);
        let disapprove = |who| ("Disapprove", "live", '1', who);
        assert_eq!(approvers(&[approve(Some(ADA)), approve(Some("bob"))]), [ADA, "bob"]);
        assert_eq!(approvers(&[approve(Some(ADA)), approve(Some(ADA))]), [ADA], "one person is one approval");
        assert_eq!(approvers(&[approve(None)]), [""; 0], "nobody signed it");
        assert_eq!(approvers(&[("Approve", "paper", '1', Some(ADA)), ("Approve", "live", '2', Some(ADA))]), [""; 0]);
        assert_eq!(approvers(&[approve(Some(ADA)), approve(Some("bob")), disapprove(Some("eve"))]), [""; 0]);
        assert_eq!(approvers(&[approve(Some(ADA)), disapprove(None)]), [ADA]);
        assert_eq!(approvers(&[approve(Some(ADA)), ("Disapprove", "live", '2', Some(ADA))]), [ADA]);
        assert_eq!(approvers(&[disapprove(Some(ADA)), approve(Some(ADA))]), [ADA], "on second thoughts");
    }

    #[test]
    fn only_the_latest_approvals_that_do_not_count_are_kept() {
        let what = StageRelease::read(&format!("live {} (v1)", "1".repeat(64))).expect("an approval");
        let refused = |number: usize| {
            let mut record = record("x", Effect::Nothing, None);
            let refused = RefusedApproval { what: what.clone(), commit: number.to_string(), why: "x".to_owned() };
            Arc::make_mut(&mut record).refused = vec![refused];
            record
        };
        let newest_first: Vec<_> = (0..1000).rev().map(refused).collect();
        let orders = StageOrders::default().after(&newest_first);
        assert_eq!(
            (orders.refused.len(), orders.refused.last().map(|one| one.commit.as_str())),
            (REFUSED, Some("999"))
        );
        let live = "live".parse().expect("a name");
        assert_eq!(
            (orders.refused_for(&live, &id('1')).count(), orders.refused_for(&live, &id('2')).count()),
            (REFUSED, 0)
        );
    }

    #[test]
    fn acknowledgments_are_signed_where_anybody_can_sign() {
        let acknowledged = |signed_by: SignedBy| {
            let mut record = record("x\n\nTagalong-Acknowledge: live\nTagalong-Actor: Bob\n", Effect::Nothing, None);
            Arc::make_mut(&mut record).signed_by = signed_by;
            let found = StageOrders::default().after(&[record]).acknowledged;
            found.into_iter().map(|one| (one.by.who, one.is_proved)).next()
        };
        let breaker = SignedBy { glass_breaker: Some(ADA.to_owned()), ..SignedBy::default() };
        assert_eq!(acknowledged(breaker), Some((ADA.to_owned(), true)));
        assert_eq!(acknowledged(SignedBy::default()), None);
        let unproved = SignedBy { is_unproved: true, ..SignedBy::default() };
        assert_eq!(acknowledged(unproved), Some(("Bob".to_owned(), false)));
    }

    #[test]
    fn orders_survive_a_round_trip_through_lines() {
        let sign = |who: &str, reason: &str| Signature {
            who: who.to_owned(),
            commit: "c0ffee5".to_owned(),
            when: Timestamp::from_second(1_000_000).expect("a time"),
            reason: reason.to_owned(),
        };
        let what = StageRelease::read(&format!("live {} (v1)", "1".repeat(64))).expect("an approval");
        let acknowledged =
            |is_proved| Acknowledged { stage: "live".parse().expect("a name"), by: sign("b%20ob", ""), is_proved };
        let refused =
            RefusedApproval { what: what.clone(), commit: "c0ffee6".to_owned(), why: "not signed".to_owned() };
        let orders = StageOrders {
            approvals: vec![Approval { what, by: sign("Ada Lovelace", "it works") }],
            acknowledged: vec![acknowledged(true), acknowledged(false)],
            refused: vec![refused],
        };
        assert_eq!(StageOrders::read(&orders.lines()), Some(orders.clone()));
        assert_eq!(StageOrders::read(&format!("{}approval x", orders.lines())), None);
        assert_eq!(StageOrders::read(""), Some(StageOrders::default()));
    }

    proptest! {
        /// The text of a squashed pull request can be anything.
        #[test]
        fn text_in_a_commit_that_changes_files_approves_nothing(
            before in "(.{0,20}\n){0,3}",
            verb in prop::sample::select(vec!["Approve", "Disapprove", "Acknowledge"]),
            after in "(.{0,20}\n){0,3}",
            has_record in any::<bool>(),
            is_known in any::<bool>(),
        ) {
            let recorded = if has_record { "Tagalong-Update: a.yaml image acme/app v1 -> v2\n" } else { "" };
            let order = if verb == "Acknowledge" { "Tagalong-Acknowledge: live".to_owned() } else { line(verb, "live", '1') };
            let message = format!("x\n\n{before}{recorded}{order}\n{after}");
            let approved = record(&line("Approve", "live", '1'), Effect::Nothing, Some(ADA));
            let orders = StageOrders::default().after(&[approved]);
            let effect = if is_known { Effect::Files } else { Effect::Unknown };
            let squashed = record(&message, effect, Some(ADA));
            prop_assert_eq!(orders.clone().after(&[squashed]), orders.clone());
            let alone = record(&message, Effect::Nothing, Some(ADA));
            prop_assert!(verb == "Approve" || orders.clone().after(&[alone]) != orders, "an order that would count alone");
        }
    }
}
