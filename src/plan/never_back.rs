//! Compares what an update would write with what its field holds. Registries say how old an image is, and may say
//! something else tomorrow; so what commits recorded counts as well.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::image::{Repository, Version};
use crate::policy::dates::Dates;

use super::decide::Update;
use super::hold::CommitRecord;
use super::order_record::{OrderedBy, RecordedOrder};
use super::trailer::{Effect, RecordedMove};

/// The assumed limit for the difference between the clocks of a commit and of what it records. A later date is wrong.
const SKEW: SignedDuration = SignedDuration::from_hours(24);

/// The reason why an update would go back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GoesBack {
    /// The same order has already replaced it with what the field holds.
    Replaced {
        /// The time when that happened.
        when: Timestamp,
        /// The commit.
        commit: String,
    },
    /// It is older than what the field holds.
    Older {
        /// The event that was earlier: `built` or `pushed`.
        what: &'static str,
        /// The time of that event for the image that would be written.
        at: Timestamp,
        /// The time of that event for the image that the field holds.
        held_at: Timestamp,
    },
    /// Its contents are older than those that the field holds, whatever its annotation says.
    OlderContents {
        /// The time when they were built.
        at: Timestamp,
        /// The time when those that the field holds were built.
        held_at: Timestamp,
    },
    /// It no longer says when it was built.
    Undated,
}

impl fmt::Display for GoesBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GoesBack::Replaced { when, commit } => {
                let commit: String = commit.chars().take(7).collect();
                write!(f, "it was itself replaced by that at {when} (commit {commit})")?;
            }
            GoesBack::Older { what, at, held_at } => {
                write!(f, "it was {what} at {at}, before the current image ({held_at})")?;
            }
            GoesBack::OlderContents { at, held_at } => write!(
                f,
                "its contents were built at {at}, whatever its annotation says, before those of the current image \
                 ({held_at})"
            )?,
            GoesBack::Undated => {
                f.write_str("its tag has moved to an image that does not say credibly when it was built")?
            }
        }
        f.write_str("; if it is wanted, choose it with `tagalong set`")
    }
}

/// The records of commits about an update.
#[derive(Debug, Default)]
pub struct Recorded {
    /// The commit that replaced what the update would write with what the field holds, by the same order.
    replaced: Option<(Timestamp, String)>,
    /// The dates of the image that the field holds.
    pub held: Option<Dates>,
    /// The earliest dates of the image that the update would write.
    candidate: Dates,
}

impl Recorded {
    /// Finds what commits, given newest first, recorded about an update that would write `to`. `confirms` returns whether the
    /// commit at an index did what it records.
    pub fn of<E>(
        update: &Update,
        to: &Version,
        records: &[Arc<CommitRecord>],
        confirms: impl Fn(usize, &RecordedMove) -> Result<bool, E>,
    ) -> Result<Recorded, E> {
        let (by, image, held) = (update.ordered_by, &update.field.repository, &update.field.version);
        let refers = |meant: &Version, version: &Version| is_same(by, meant, version);
        let mut recorded = Recorded::default();
        let (mut held_since, mut is_settled) = (None, false);
        for (index, record) in records.iter().enumerate().filter(|(_, record)| record.effect != Effect::Nothing) {
            let mut moves = Vec::new();
            for moved in record.trailers.moves.iter().filter(|moved| moved.image == *image) {
                if record.effect == Effect::Unknown || confirms(index, moved)? {
                    moves.push(moved);
                }
            }
            let of_move = |order: &&RecordedOrder| moves.iter().any(|moved| moved.to.tag == order.version.tag);
            for order in orders(record, image).filter(of_move) {
                if refers(held, &order.version) {
                    recorded.held.get_or_insert(believed(&order.dates, record.when));
                }
                if refers(to, &order.version) {
                    let Dates { built, config, pushed } = believed(&order.dates, record.when);
                    let known = &mut recorded.candidate;
                    known.built = known.built.into_iter().chain(built).min();
                    known.config = known.config.into_iter().chain(config).min();
                    known.pushed = known.pushed.into_iter().chain(pushed).min();
                }
            }
            if is_settled {
                continue;
            }
            for moved in moves.iter().filter(|moved| moved.file == update.file && moved.path == update.field.path) {
                let is_by_same = orders(record, image).any(|order| order.by == by && refers(&moved.to, &order.version));
                if refers(held, &moved.to) && held_since.is_none() {
                    held_since = is_by_same.then(|| (record.when, record.commit.clone()));
                    is_settled = held_since.is_none();
                } else if refers(to, &moved.to) {
                    recorded.replaced = held_since.take().filter(|_| is_by_same);
                    is_settled = true;
                }
            }
        }
        Ok(recorded)
    }

    /// Returns why an update would go back, if it would. `candidate` and `held` are the dates of the images that it would
    /// write and that its field holds, as the registry knows them now.
    pub fn goes_back(&self, by: OrderedBy, candidate: &Dates, held: &Dates) -> Option<GoesBack> {
        if let Some((when, commit)) = self.replaced.clone() {
            return Some(GoesBack::Replaced { when, commit });
        }
        let recorded = self.held.unwrap_or_default();
        let earlier = |one: Option<Timestamp>, other: Option<Timestamp>| one.into_iter().chain(other).min();
        let (what, at, held_at) = match by {
            OrderedBy::Built | OrderedBy::Digest => (
                "built",
                candidate.built.and_then(|built| earlier(Some(built), self.candidate.built)),
                recorded.built.max(held.built),
            ),
            OrderedBy::Pushed => {
                ("pushed", earlier(candidate.pushed, self.candidate.pushed), recorded.pushed.max(held.pushed))
            }
            OrderedBy::Commit | OrderedBy::Name | OrderedBy::Promotion | OrderedBy::Request => return None,
        };
        match (at, held_at) {
            (Some(at), Some(held_at)) if at < held_at => return Some(GoesBack::Older { what, at, held_at }),
            (None, _) if by == OrderedBy::Built => return Some(GoesBack::Undated),
            _ => {}
        }
        // The same contents may well be pushed again.
        let contents = candidate.contents().filter(|_| by != OrderedBy::Pushed);
        let held_contents = recorded.contents().or_else(|| held.contents());
        let (at, held_at) = contents.zip(held_contents)?;
        (at < held_at).then_some(GoesBack::OlderContents { at, held_at })
    }
}

/// Returns whether two versions are the same to an order: if only digests move, a tag says nothing.
fn is_same(by: OrderedBy, meant: &Version, version: &Version) -> bool {
    meant.tag == version.tag && (by != OrderedBy::Digest || meant.digest == version.digest)
}

/// Returns the orders of an image that a commit records, of versions that it also records to have set.
fn orders<'r>(record: &'r CommitRecord, image: &Repository) -> impl Iterator<Item = &'r RecordedOrder> {
    let is_set = |order: &&RecordedOrder| record.sets(&order.image, &Version { digest: None, ..order.version.clone() });
    record.trailers.orders.iter().filter(move |order| order.image == *image).filter(is_set)
}

fn believed(dates: &Dates, when: Timestamp) -> Dates {
    let latest = when.checked_add(SKEW).unwrap_or(Timestamp::MAX);
    let believed = |at: Option<Timestamp>| at.filter(|at| *at <= latest);
    Dates { built: believed(dates.built), config: believed(dates.config), pushed: believed(dates.pushed) }
}

#[cfg(test)]
mod tests {
    use crate::image::Version;
    use crate::manifest::field_rules::FieldRules;
    use crate::plan::decide::WantedDigest;
    use crate::plan::trailer::Trailers;

    use super::*;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + day * 86_400).expect("a time")
    }

    fn version(text: &str) -> Version {
        Version::parse_tag(text).expect("a version")
    }

    fn digest(n: u8) -> String {
        format!("v@sha256:{}", n.to_string().repeat(64))
    }

    /// An update of a field that holds a version.
    fn update(by: OrderedBy, held: &str, to: &str) -> Update {
        let text = format!("image: acme/app:{held}\n");
        let facts = crate::manifest::find::read("a.yaml", text.as_bytes(), &FieldRules::default()).expect("YAML");
        Update {
            file: "a.yaml".to_owned(),
            field: facts.fields[0].clone(),
            tag: version(to).tag,
            digest: WantedDigest::Without,
            along: Vec::new(),
            ordered_by: by,
            goes_back: false,
            encrypted: false,
            entry: None,
        }
    }

    /// Commits, oldest first: the file, the versions, what decided, and the day when the image was built.
    fn records(steps: &[(&str, &str, &str, OrderedBy, i64)]) -> Vec<Arc<CommitRecord>> {
        let record = |(ago, (file, from, to, by, built)): (usize, &(&str, &str, &str, OrderedBy, i64))| {
            let lines = format!(
                "x\n\nTagalong-Update: {file} image acme/app {from} -> {to}\n\
                 Tagalong-Order: acme/app:{to} {by} built={built} pushed={built}\n",
                built = at(*built)
            );
            Arc::new(CommitRecord {
                ago,
                commit: format!("{ago:040x}"),
                when: at(100 - ago as i64),
                author: "Ada".to_owned(),
                subject: "x".to_owned(),
                effect: Effect::Files,
                is_trusted: true,
                trailers: Trailers::read(&lines),
                signed_by: Default::default(),
                signature: None,
                refused: Vec::new(),
            })
        };
        steps.iter().rev().enumerate().map(record).collect()
    }

    /// Returns the records of commits, all of which are confirmed.
    fn all_true(update: &Update, to: &str, records: &[Arc<CommitRecord>]) -> Recorded {
        Recorded::of(update, &version(to), records, |_, _| Ok::<_, ()>(true)).expect("no error")
    }

    fn built(day: i64) -> Dates {
        Dates { built: Some(at(day)), ..Dates::default() }
    }

    fn goes_back(
        by: OrderedBy,
        (held, to): (&str, &str),
        steps: &[(&str, &str, &str, OrderedBy, i64)],
        (candidate, held_now): (Dates, Dates),
    ) -> Option<GoesBack> {
        let recorded = all_true(&update(by, held, to), to, &records(steps));
        recorded.goes_back(by, &candidate, &held_now)
    }

    #[test]
    fn what_the_same_order_replaced_does_not_return() {
        use OrderedBy::{Built, Commit, Digest, Pushed, Request};
        let is_back = |by, held: &str, to: &str, steps: &[(&str, &str, &str, OrderedBy, i64)]| {
            let fine = Dates { built: Some(at(90)), pushed: Some(at(90)), config: None };
            matches!(goes_back(by, (held, to), steps, (fine, Dates::default())), Some(GoesBack::Replaced { .. }))
        };
        let forward = |by| [("a.yaml", "v0", "v1", by, 1), ("a.yaml", "v1", "v2", by, 2)];
        for by in [Built, Commit, Pushed] {
            assert!(is_back(by, "v2", "v1", &forward(by)), "{by}");
            assert!(!is_back(by, "v1", "v2", &forward(by)), "{by}: restored after a revert");
            assert!(!is_back(by, "v2", "v3", &forward(by)), "{by}: never seen");
            let other = if by == Built { Commit } else { Built };
            assert!(!is_back(by, "v2", "v1", &forward(other)), "{by}: another order before");
        }
        let elsewhere = [("b.yaml", "v0", "v1", Built, 1), ("a.yaml", "v1", "v2", Built, 2)];
        assert!(!is_back(Commit, "v2", "v1", &elsewhere), "another field");
        let request = [("a.yaml", "v0", "v1", Built, 1), ("a.yaml", "v1", "v2", Request, 2)];
        assert!(!is_back(Commit, "v2", "v1", &request), "a person set it");
        let resumed = [forward(Built).as_slice(), &[("a.yaml", "v2", "v1", Request, 1)]].concat();
        assert!(!is_back(Built, "v1", "v2", &resumed), "rolled back and resumed");
        let (one, two) = (digest(1), digest(2));
        let moving = [("a.yaml", "v", one.as_str(), Digest, 1), ("a.yaml", one.as_str(), two.as_str(), Digest, 2)];
        assert!(is_back(Digest, &two, &one, &moving));
        assert!(!is_back(Digest, &two, &digest(3), &moving));
    }

    #[test]
    fn the_older_of_what_is_recorded_and_what_is_said_counts() {
        use OrderedBy::{Built, Pushed};
        let steps = [("b.yaml", "v0", "v1", Built, 10), ("a.yaml", "v0", "v2", Built, 20)];
        let back = |by, to: &str, candidate: Dates, held: Dates| goes_back(by, ("v2", to), &steps, (candidate, held));
        let older = |at_day, held_day| Some(GoesBack::Older { what: "built", at: at(at_day), held_at: at(held_day) });
        assert_eq!(back(Built, "v3", built(30), built(20)), None);
        assert_eq!(back(Built, "v1", built(30), built(20)), older(10, 20), "recorded for another field");
        assert_eq!(back(Built, "v3", built(15), built(5)), older(15, 20), "the registry makes the current one older");
        assert_eq!(back(Built, "v3", built(25), built(27)), older(25, 27), "it says that the current one is newer");
        assert_eq!(back(Built, "v3", Dates::default(), built(20)), Some(GoesBack::Undated));
        let pushed = |day| Dates { pushed: Some(at(day)), ..built(1) };
        assert_eq!(back(Pushed, "v3", pushed(30), pushed(20)), None, "built long ago");
        assert!(matches!(back(Pushed, "v3", pushed(15), pushed(5)), Some(GoesBack::Older { what: "pushed", .. })));
        // A record from the future of its commit is a forgery.
        let forged = [("a.yaml", "v0", "v2", Built, 500)];
        assert_eq!(goes_back(Built, ("v2", "v3"), &forged, (built(150), built(20))), None);
    }

    #[test]
    fn contents_count_whatever_annotations_say() {
        let disguised = |day, config| Dates { config: Some(at(config)), ..built(day) };
        let back = |by, candidate, held| goes_back(by, ("v2", "v3"), &[], (candidate, held));
        let older = Some(GoesBack::OlderContents { at: at(1), held_at: at(20) });
        assert_eq!(back(OrderedBy::Built, disguised(30, 1), built(20)), older);
        assert_eq!(back(OrderedBy::Built, disguised(30, 20), disguised(25, 20)), None, "the same contents again");
        assert_eq!(back(OrderedBy::Pushed, disguised(30, 1), built(20)), None);
        assert_eq!(back(OrderedBy::Digest, built(30), Dates::default()), None, "nothing is known of the current one");
    }

    #[test]
    fn an_order_counts_only_beside_the_update_that_it_is_about() {
        let text = format!("x\n\nTagalong-Order: acme/app:v2 built built={}\n", at(20));
        let mut records = records(&[("a.yaml", "v0", "v9", OrderedBy::Built, 1)]);
        Arc::make_mut(&mut records[0]).trailers.orders = Trailers::read(&text).orders;
        let recorded = all_true(&update(OrderedBy::Built, "v2", "v3"), "v3", &records);
        assert_eq!(recorded.held, None);
    }
}
