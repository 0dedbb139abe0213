//! The part of a scan that is about `minimumAge`: images that are too young are not chosen.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use crate::image::{Tag, Version};
use crate::plan::findings::NoFindings;
use crate::policy::dates;
use crate::policy::minimum_age::{Arrival, Ripe, unknown_age};
use crate::policy::order::Standing;
use crate::policy::seen::Seen;

use super::builds::Contents;
use super::scan::Scanner;
use super::validity::Presence;

/// The number of newest tags whose push times are queried.
const ARRIVALS: usize = 100;

impl Scanner<'_> {
    /// Drops the newest tags until one is old enough for the policy.
    pub(super) async fn old_enough(&mut self, mut seen: Vec<Seen>) -> Result<Vec<Seen>, NoFindings> {
        if self.rule.minimum_age.is_none() {
            return Ok(seen);
        }
        let rule = &self.rule.tags;
        if rule.is_descending() {
            seen.sort_by_cached_key(|seen| (rule.rank(&seen.tag).is_err(), rule.rank(&seen.tag).ok()));
        } else {
            seen.sort_by_cached_key(|seen| Reverse((rule.rank(&seen.tag).ok(), seen.standing)));
        }
        let can_win = |seen: &Seen| rule.rank(&seen.tag).is_ok() && (rule.order().is_none() || seen.standing.is_some());
        let fitting = seen.iter().filter(|seen| can_win(seen)).count();
        let mut young = 0;
        for candidate in seen.iter().take(fitting.min(self.rule.inspect_limit as usize)) {
            let version = Version::from(candidate.tag.clone());
            match self.registry.inspect(self.repository, &version, self.inspector.part_cache).await {
                Ok(image) => {
                    let built = image.created.map(|at| self.believe(at));
                    let (tag, digest) = (&candidate.tag, &image.digest);
                    let arrival = self.registry.known_arrival(self.repository, tag, digest, self.now).await;
                    let ripe = built.and_then(Result::ok).and_then(|built| self.ripe(built, Some(arrival)));
                    if ripe.is_some_and(|ripe| ripe.at <= self.now) {
                        break;
                    }
                    self.note_young(&candidate.tag, ripe, built.and_then(Result::err));
                    young += 1;
                }
                // It keeps its place, and the gate reports it.
                Err(error) if error.concerns_image() => {
                    self.validity.end_unless(candidate.tag.clone(), Presence::Broken(error.to_string()));
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        if fitting > 0 && young == fitting {
            return Err(self.all_young(young));
        }
        Ok(seen.split_off(young))
    }

    /// Drops tags that are not old enough for the policy. A tag without a date stays, but is not chosen.
    pub(super) async fn leave_out_young(
        &mut self,
        seen: &mut Vec<Seen>,
        contents: &Contents,
    ) -> Result<(), NoFindings> {
        if self.rule.minimum_age.is_none() {
            return Ok(());
        }
        let arrivals = self.arrivals(seen, contents).await;
        let ripe = |seen: &Seen| self.ripe(built(seen)?, arrivals.get(&seen.tag).copied());
        let before = seen.len();
        let (young, old): (Vec<Seen>, Vec<Seen>) =
            std::mem::take(seen).into_iter().partition(|seen| ripe(seen).is_some_and(|ripe| ripe.at > self.now));
        *seen = old;
        let soonest = young.iter().filter_map(&ripe).map(|ripe| ripe.at).min();
        let newest = young.into_iter().max_by_key(|seen| seen.standing).map(|seen| (ripe(&seen), seen.tag));
        self.validity.end_at(soonest);
        if let Some((ripe, tag)) = newest {
            self.note_young(&tag, ripe, None);
        }
        if before > 0 && seen.is_empty() { Err(self.all_young(before)) } else { Ok(()) }
    }

    /// Returns when the images of tags arrived. Push times are queried only for the newest of those that could be old
    /// enough; a gate checks the one that is chosen.
    async fn arrivals(&self, seen: &[Seen], contents: &Contents) -> HashMap<Tag, Arrival> {
        let images = seen.iter().filter_map(|seen| Some((&seen.tag, &contents.get(&seen.tag)?.digest)));
        let mut arrivals = self.registry.known_arrivals(self.repository, images, self.now);
        if !self.registry.reports_push_times(self.repository) {
            return arrivals;
        }
        let could_be_old =
            |seen: &&Seen| built(seen).and_then(|built| self.ripe(built, None)).is_some_and(|ripe| ripe.at <= self.now);
        let mut newest: Vec<&Seen> = seen.iter().filter(could_be_old).collect();
        newest.sort_by_key(|seen| Reverse(seen.standing));
        let wanted: BTreeSet<&Tag> = newest.into_iter().take(ARRIVALS).map(|seen| &seen.tag).collect();
        arrivals.extend(self.registry.reported_arrivals(self.repository, &wanted, self.now).await);
        arrivals
    }

    /// Returns when an image is old enough, if the policy has a minimum age.
    pub(super) fn ripe(&self, built: Timestamp, arrival: Option<Arrival>) -> Option<Ripe> {
        Ripe::of(self.rule, built, arrival)
    }

    fn note_young(&mut self, tag: &Tag, ripe: Option<Ripe>, lie: Option<Timestamp>) {
        self.validity.end_at(ripe.map(|ripe| ripe.at));
        let why = lie.map_or_else(unknown_age, dates::built_ahead);
        let why = ripe.map_or(why, |ripe| ripe.to_string());
        self.scan_notes.notes.push(format!("{}:{tag} {why}", self.repository));
    }

    fn all_young(&self, count: usize) -> NoFindings {
        NoFindings::Absent(format!("`minimumAge` excludes all matching tags ({count})"))
    }
}

fn built(seen: &Seen) -> Option<Timestamp> {
    match seen.standing {
        Some(Standing::At(at)) => Some(at),
        _ => None,
    }
}
