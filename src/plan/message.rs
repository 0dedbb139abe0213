//! The fixed parts of a commit message: a subject that lists the updates, and trailers for machines.
//!
//! Trailers have the format of `git interpret-trailers`: the last paragraph, with `Key: value` lines.

use std::collections::BTreeSet;

use crate::image::{Repository, Version};
use crate::stage::promotion::{Evidence, Promotion};

use super::approved_promotion::ApprovedPromotion;
use super::forced::Forced;
use super::gate::GatedUpdate;
use super::order_record::RecordedOrder;
use super::stage_order::StageOrder;
use super::trailer::{Hold, RecordedMove, Target, single_line};
use super::version_text::whole;

/// The maximum length of a subject, before it is shortened to "and N more".
const SUBJECT: usize = 72;

/// The purpose of a commit, in addition to its updates.
#[derive(Debug, Clone, Default)]
pub struct Purpose {
    /// The kind of the commit.
    pub act: Act,
    /// The person or job that requested it.
    pub actor: Option<String>,
    /// The reason.
    pub reason: Option<String>,
    /// The conditions of a stage that it skips.
    pub break_glass: Vec<&'static str>,
    /// The versions that it sets although they are held.
    pub forced: Vec<(Repository, Version)>,
    /// The holds by name before it.
    pub held: Vec<Hold>,
}

/// The kind of a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Act {
    /// It moves fields.
    #[default]
    Deploy,
    /// It moves fields back.
    RollBack,
    /// It moves nothing and puts something on hold.
    Hold(Target),
    /// It moves nothing and ends holds.
    Resume(Target),
    /// It moves nothing and says something about a stage.
    Stage(StageOrder),
    /// It moves nothing and records who approved a promotion at the forge.
    Approved(ApprovedPromotion),
}

/// Returns the subject of a commit.
pub(super) fn subject_of(act: &Act, updates: &[GatedUpdate]) -> String {
    let verb = match act {
        Act::Deploy => match promotions(updates).as_slice() {
            [only] if updates.iter().all(|update| update.promotion().is_some()) => return promotion_subject(only),
            _ => "deploy",
        },
        Act::RollBack => "rollback",
        Act::Hold(target) => return format!("hold: {}", short_target(target)),
        Act::Resume(target) => return format!("resume: {}", short_target(target)),
        Act::Stage(order) => return order.subject(),
        Act::Approved(approved) => return approved.subject(),
    };
    let mut moves: Vec<String> = Vec::new();
    let mut seen = BTreeSet::new();
    for update in updates {
        let name = update.field.repository.short_name();
        let text = format!("{name} {} -> {}", short(&update.field.version), short(&update.to));
        if seen.insert(text.clone()) {
            moves.push(text);
        }
    }
    subject(verb, &moves)
}

/// Returns the trailers of a commit on top of `base`, one per line.
pub(super) fn trailers(updates: &[GatedUpdate], purpose: &Purpose, base: &str) -> String {
    let mut lines = Vec::new();
    for update in updates {
        let (image, from, to) = (&update.field.repository, whole(&update.field.version), whole(&update.to));
        lines.push(update_line(update));
        let rollback = format!("Tagalong-Rollback: {image} {from} -> {to}");
        if update.goes_back && !lines.contains(&rollback) {
            lines.push(rollback);
        }
    }
    // What a version was when it was deployed first counts, not what the registry says when it is restored.
    let orders: BTreeSet<String> = updates.iter().filter(|update| !update.goes_back).map(order_line).collect();
    lines.extend(orders);
    lines.extend(promotions(updates).into_iter().flat_map(lines_of));
    let origins: BTreeSet<String> = updates.iter().flat_map(origin_lines).collect();
    lines.extend(origins);
    match &purpose.act {
        Act::Hold(target) => lines.push(format!("Tagalong-Hold: {target}")),
        Act::Resume(target) => lines.push(format!("Tagalong-Resume: {target}")),
        Act::Stage(order) => lines.push(order.trailer()),
        Act::Approved(approved) => lines.extend(approved.trailers()),
        Act::Deploy | Act::RollBack => {}
    }
    if !purpose.break_glass.is_empty() {
        lines.push(format!("Tagalong-Break-Glass: {}", purpose.break_glass.join(",")));
    }
    lines.extend(forced(updates, purpose).iter().map(|forced| format!("Tagalong-Forced: {forced}")));
    lines.extend(purpose.actor.iter().map(|actor| format!("Tagalong-Actor: {}", single_line(actor))));
    lines.extend(purpose.reason.iter().map(|reason| format!("Tagalong-Reason: {}", single_line(reason))));
    lines.extend(purpose.held.iter().map(|hold| format!("Tagalong-Held: {}", hold.trailer())));
    lines.push(format!("Tagalong-Base: {base}\n"));
    lines.join("\n")
}

/// Returns what a person forced past a gate.
fn forced(updates: &[GatedUpdate], purpose: &Purpose) -> BTreeSet<Forced> {
    let mut forced = BTreeSet::new();
    for update in updates {
        let (image, from, to) = (&update.field.repository, &update.field.version, &update.to);
        if update.goes_back && purpose.act == Act::Deploy {
            forced.insert(Forced::Downgrade { image: image.clone(), from: from.clone(), to: to.clone() });
        }
        if purpose.forced.iter().any(|(held, version)| held == image && version.tag == to.tag) {
            forced.insert(Forced::Hold { image: image.clone(), version: to.clone() });
        }
    }
    forced
}

/// Returns the promotions that updates are part of, each once.
pub fn promotions(updates: &[GatedUpdate]) -> Vec<&Promotion> {
    let mut promotions: Vec<&Promotion> = Vec::new();
    for promotion in updates.iter().filter_map(GatedUpdate::promotion) {
        if !promotions.contains(&promotion) {
            promotions.push(promotion);
        }
    }
    promotions
}

fn promotion_subject(promotion: &Promotion) -> String {
    let Promotion { stage, group, release, .. } = promotion;
    let name = group.rsplit('/').next().unwrap_or(group);
    format!("promote: {name} {} to {stage}", release.short())
}

fn lines_of(promotion: &Promotion) -> Vec<String> {
    let evidence = promotion.evidence.iter().map(Evidence::trailer);
    std::iter::once(format!("Tagalong-Promote: {}", promotion.trailer())).chain(evidence).collect()
}

/// Returns the trailers that a squash of promotions has to keep, apart from those that record the updates themselves.
pub(super) fn promotion_lines(updates: &[GatedUpdate]) -> Vec<String> {
    let promoted = updates.iter().filter(|update| update.promotion().is_some());
    let orders: BTreeSet<String> = promoted.map(order_line).collect();
    let promoted = updates.iter().filter(|update| update.promotion().is_some());
    let origins: BTreeSet<String> = promoted.flat_map(origin_lines).collect();
    orders.into_iter().chain(promotions(updates).into_iter().flat_map(lines_of)).chain(origins).collect()
}

/// Returns the trailer that records an update.
pub(super) fn update_line(update: &GatedUpdate) -> String {
    let GatedUpdate { file, field, to, .. } = update;
    let (image, from) = (field.repository.clone(), field.version.clone());
    let recorded = RecordedMove { file: file.clone(), path: field.path.clone(), image, from, to: to.clone() };
    format!("Tagalong-Update: {}", recorded.trailer())
}

/// Returns the trailer that records what decided about an update.
fn order_line(update: &GatedUpdate) -> String {
    let version = Version { digest: update.digest.clone().or(update.to.digest.clone()), ..update.to.clone() };
    let image = update.field.repository.clone();
    let order = RecordedOrder { image, version, by: update.ordered_by, dates: update.dates };
    format!("Tagalong-Order: {}", order.trailer())
}

/// Returns the trailers that record the proven origin of an image.
fn origin_lines(update: &GatedUpdate) -> Vec<String> {
    let evidence = update.origin.iter().flat_map(|origin| origin.evidence(&update.field.repository));
    evidence.map(|evidence| evidence.trailer()).collect()
}

fn short_target(target: &Target) -> String {
    if target.version.is_empty() {
        target.image.short_name().to_owned()
    } else {
        format!("{} {}", target.image.short_name(), short(&target.version))
    }
}

/// Returns a subject with as many moves as fit, at least one, and the number of the others.
fn subject(verb: &str, moves: &[String]) -> String {
    for shown in (1..=moves.len()).rev() {
        let rest = moves.len() - shown;
        let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        let subject = format!("{verb}: {}{more}", moves[..shown].join(", "));
        if shown == 1 || subject.chars().count() <= SUBJECT {
            return subject;
        }
    }
    verb.to_owned()
}

pub(super) fn short(version: &Version) -> String {
    match (&version.tag, &version.digest) {
        (Some(tag), _) => tag.short().to_owned(),
        (None, Some(digest)) => digest.as_str().chars().take("sha256:".len() + 7).collect(),
        (None, None) => "(none)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(file: &str, name: &str, from: &str, to: &str) -> GatedUpdate {
        GatedUpdate::example(file, name, from, to)
    }

    #[test]
    fn a_single_update_is_in_the_subject_and_in_a_trailer() {
        let long = "1a2b3c4d5e6f708192a3b4c5d6e7f80912345678";
        let updates = [update("apps/a b.yaml", "ghcr.io/acme/supervisor", long, "5d6e7f8")];
        assert_eq!(subject_of(&Act::Deploy, &updates), "deploy: supervisor 1a2b3c4 -> 5d6e7f8");
        assert_eq!(
            trailers(&updates, &Purpose::default(), "ba5e"),
            format!(
                "Tagalong-Update: apps/a%20b.yaml image ghcr.io/acme/supervisor {long} -> 5d6e7f8\n\
                 Tagalong-Order: ghcr.io/acme/supervisor:5d6e7f8 built\n\
                 Tagalong-Base: ba5e\n"
            )
        );
    }

    #[test]
    fn many_updates_are_counted_and_equal_ones_listed_once() {
        let of = |n: usize| update(&format!("{n}.yaml"), &format!("acme/service-number-{n}"), "v1", "v2");
        let updates = [of(1), of(1), of(2), of(3), of(4)];
        assert_eq!(
            subject_of(&Act::Deploy, &updates),
            "deploy: service-number-1 v1 -> v2, service-number-2 v1 -> v2 and 2 more"
        );
        let trailers = trailers(&updates, &Purpose::default(), "ba5e");
        assert_eq!(trailers.matches("Tagalong-Update: ").count(), 5);
        assert_eq!(trailers.matches("Tagalong-Order: ").count(), 4);
    }

    #[test]
    fn trailers_record_who_moved_what_back_and_why() {
        let updates = [("a.yaml", true), ("b.yaml", true), ("c.yaml", false)]
            .map(|(file, goes_back)| GatedUpdate { goes_back, ..update(file, "acme/app", "v2", "v1") });
        let purpose = Purpose {
            act: Act::RollBack,
            actor: Some("Ada".to_owned()),
            reason: Some("it\nTagalong-Hold: x".to_owned()),
            ..Purpose::default()
        };
        assert_eq!(subject_of(&purpose.act, &updates), "rollback: app v2 -> v1");
        let move_of = |file: &str| format!("Tagalong-Update: {file} image docker.io/acme/app v2 -> v1\n");
        let back = "Tagalong-Rollback: docker.io/acme/app v2 -> v1\n";
        let order = "Tagalong-Order: docker.io/acme/app:v1 built\n";
        assert_eq!(
            trailers(&updates, &purpose, "ba5e"),
            format!(
                "{}{back}{}{}{order}Tagalong-Actor: Ada\nTagalong-Reason: it Tagalong-Hold: x\nTagalong-Base: ba5e\n",
                move_of("a.yaml"),
                move_of("b.yaml"),
                move_of("c.yaml")
            )
        );
    }

    #[test]
    fn what_was_forced_is_recorded_once_and_only_where_it_was() {
        let back = |file: &str| GatedUpdate { goes_back: true, ..update(file, "acme/app", "v2", "v1") };
        let updates = [back("a.yaml"), back("b.yaml"), update("c.yaml", "acme/other", "v1", "v2")];
        let other = |tag: &str| ("acme/other".parse().expect("a name"), Version::parse_tag(tag).expect("a tag"));
        let purpose = Purpose { forced: vec![other("v2"), other("v3")], ..Purpose::default() };
        let forced = |purpose: &Purpose| -> Vec<String> {
            let trailers = trailers(&updates, purpose, "ba5e");
            trailers.lines().filter_map(|line| line.strip_prefix("Tagalong-Forced: ").map(str::to_owned)).collect()
        };
        let downgrade = "downgrade docker.io/acme/app v2 -> v1";
        assert_eq!(forced(&purpose), [downgrade, "force docker.io/acme/other:v2"]);
        assert_eq!(forced(&Purpose::default()), [downgrade]);
        let rollback = Purpose { act: Act::RollBack, ..Purpose::default() };
        assert_eq!(forced(&rollback), [""; 0], "a rollback goes back by its nature");
    }

    #[test]
    fn the_message_of_a_hold_names_its_target() {
        let target = Target::read("ghcr.io/acme/app:1a2b3c4").expect("a target");
        let purpose = Purpose { act: Act::Hold(target), ..Purpose::default() };
        assert_eq!(subject_of(&purpose.act, &[]), "hold: app 1a2b3c4");
        let expected = "Tagalong-Hold: ghcr.io/acme/app:1a2b3c4\nTagalong-Base: ba5e\n";
        assert_eq!(trailers(&[], &purpose, "ba5e"), expected);
    }
}
