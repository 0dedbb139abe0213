//! The order of releases: that of their first arrivals in the stages before.

use super::name::Name;
use super::release::Release;
use super::timeline::{Held, Tenure};

/// The history of a release group in one of the stages before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// The stage.
    pub stage: Name,
    /// Its tenures, newest first.
    pub tenures: Vec<Tenure>,
}

/// Returns the newest release that was taken back in a stage, with its first arrival in the stages before. What is even older
/// does not take its place by itself.
pub(super) fn taken_back<'t>(own: &'t [Tenure], upstream: &[Upstream]) -> Option<(&'t Release, usize)> {
    let left = own.iter().filter(|tenure| tenure.end.as_ref().is_some_and(|end| end.takes_back));
    let released = left.filter_map(|tenure| Some((tenure, tenure.held.release()?)));
    let arrived = released.filter_map(|(tenure, release)| Some((release, first_arrival(&tenure.held, upstream)??)));
    arrived.min_by_key(|(_, ago)| *ago)
}

/// Returns whether a release that first arrived in the stages before some commits ago is newer than what a stage holds.
/// `reached` is the first arrival of that there, if it was ever there. Arrivals that are older than the history are `None`.
pub(super) fn is_newer(first: Option<usize>, reached: Option<Option<usize>>, current: Option<&Tenure>) -> bool {
    match (reached, current.and_then(|current| current.since.as_ref())) {
        (Some(reached), _) => first.is_some_and(|first| reached.is_none_or(|reached| first < reached)),
        // What the stage holds never was in the stages before, so only what arrived there later is newer.
        (None, Some(since)) => first.is_some_and(|first| first < since.ago),
        // It has been there for longer than is known, so whatever is known to have arrived came later.
        (None, None) => first.is_some() || current.is_none_or(|current| current.held == Held::Nothing),
    }
}

/// Returns when the stages before first held what a stage holds now, if they ever did.
pub(super) fn first_arrival(held: &Held, upstream: &[Upstream]) -> Option<Option<usize>> {
    let tenures = upstream.iter().flat_map(|upstream| &upstream.tenures);
    let same = tenures.filter(|tenure| held.agrees_with(&tenure.held));
    let arrivals: Vec<Option<usize>> = same.map(|tenure| tenure.since.as_ref().map(|since| since.ago)).collect();
    let is_unknown = arrivals.iter().any(Option::is_none);
    (!arrivals.is_empty()).then(|| arrivals.into_iter().flatten().max().filter(|_| !is_unknown))
}

/// Returns whether a stage holds a release, as far as it has its images.
pub(super) fn is_same(held: &Held, release: &Release) -> bool {
    held.release().is_some_and(|held| held.is_same_where_shared(release))
}

/// Returns all releases that the stages before have held, the one that arrived last first, with the number of commits
/// after its first arrival.
pub(super) fn arrivals(upstream: &[Upstream]) -> Vec<(&Release, Option<usize>)> {
    let mut arrivals: Vec<(&Release, Option<usize>)> = Vec::new();
    let left: Vec<&Tenure> = upstream.iter().flat_map(|upstream| left(&upstream.tenures)).collect();
    for tenure in upstream.iter().flat_map(|upstream| &upstream.tenures) {
        let Some(release) = tenure.held.release() else { continue };
        // Returning to what nobody recorded at first is no arrival either.
        let earlier = left.iter().filter(|left| left.held.has_same_tags(&tenure.held)).copied();
        let agos = std::iter::once(tenure).chain(earlier).map(|tenure| tenure.since.as_ref().map(|since| since.ago));
        let ago = agos.reduce(|one, other| one.zip(other).map(|(one, other)| one.max(other))).flatten();
        match arrivals.iter_mut().find(|(known, _)| known.is(release)) {
            // Its first arrival counts, so an unknown one is the oldest.
            Some((_, first)) => *first = first.zip(ago).map(|(first, ago)| first.max(ago)),
            None => arrivals.push((release, ago)),
        }
    }
    arrivals.sort_by_key(|(_, ago)| ago.unwrap_or(usize::MAX));
    arrivals
}

/// Returns the tenures of versions without a record that are still there, or that another tag replaced. A tag that moves
/// replaces itself.
fn left(tenures: &[Tenure]) -> impl Iterator<Item = &Tenure> {
    let pairs = tenures.iter().zip(tenures.iter().skip(1));
    let is_left = |(newer, older): &(&Tenure, &Tenure)| {
        matches!(older.held, Held::Unrecorded(_)) && !newer.held.has_same_tags(&older.held)
    };
    let last = tenures.first().filter(|last| matches!(last.held, Held::Unrecorded(_)));
    last.into_iter().chain(pairs.filter(is_left).map(|(_, older)| older))
}
