//! The releases that may enter a stage, and what they wait for.

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::arrival::{Upstream, arrivals, first_arrival, is_newer, is_same, taken_back};
use super::definition::{From, Stage};
use super::name::Name;
use super::release::Release;
use super::timeline::{Held, Point, Tenure};

/// The kinds of conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// A release is not complete.
    Incomplete,
    /// It was not long enough in the stage before.
    Soak,
    /// A check has not succeeded yet.
    Check,
    /// A check has failed.
    #[serde(rename = "check")]
    FailedCheck,
    /// A window is closed.
    Window,
    /// An approval is missing.
    Approval,
    /// It was rolled back, or is held.
    Held,
    /// It is not known which images it consists of, or they are not the same any more.
    Image,
}

/// Something that a release waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Wait {
    /// The condition.
    pub gate: Gate,
    /// What is missing.
    pub detail: String,
    /// When it will be fulfilled, if only time is missing.
    pub until: Option<Timestamp>,
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Gate::Incomplete => "incomplete",
            Gate::Soak => "soak",
            Gate::Check | Gate::FailedCheck => "check",
            Gate::Window => "window",
            Gate::Approval => "approval",
            Gate::Held => "held",
            Gate::Image => "image",
        })
    }
}

/// A release that was long enough in the stages before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Soaked {
    /// The release.
    pub release: Release,
    /// Where it was, one for each stage that counts.
    pub stays: Vec<Stay>,
}

/// The stay of a release in a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stay {
    /// The stage.
    pub stage: Name,
    /// The commit that deployed the release there.
    pub since: Point,
    /// True if it is still there.
    pub is_there: bool,
    /// The commit that replaced it, if one did.
    pub until: Option<String>,
    /// How long it has been there.
    pub lasted: SignedDuration,
}

/// The releases that may enter a stage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outlook {
    /// Those that were long enough in the stages before, newest first.
    pub soaked: Vec<Soaked>,
    /// Newer ones that were not, newest first, with what they wait for.
    pub waiting: Vec<(Release, Wait)>,
    /// Versions in the stages before that can never be promoted, with the reasons.
    pub unusable: Vec<Wait>,
}

/// Returns the releases that may enter a stage with these tenures, newest first. `hold_on` returns the reason if a release was
/// rolled back or is held in a stage before.
pub fn outlook(
    stage: &Stage,
    own: &[Tenure],
    upstream: &[Upstream],
    hold_on: &dyn Fn(&Name, &Release) -> Option<String>,
    now: Timestamp,
) -> Outlook {
    let mut outlook = Outlook::default();
    let current = own.first();
    let floor = taken_back(own, upstream);
    let reached = current.and_then(|current| first_arrival(&current.held, upstream));
    for (release, first) in arrivals(upstream) {
        if current.is_some_and(|current| is_same(&current.held, release)) || !is_newer(first, reached, current) {
            continue;
        }
        let below = floor.as_ref().filter(|(_, floor)| first.is_none_or(|first| first > *floor));
        let proof = match below {
            Some((newer, _)) => {
                let (older, newer, stage) = (release.short(), newer.short(), &stage.name);
                Err(wait(Gate::Held, format!("{older} is older than {newer}, which was taken back in {stage}")))
            }
            None => proof(stage, release, upstream, hold_on, now),
        };
        match proof {
            Ok(stays) => outlook.soaked.push(Soaked { release: release.clone(), stays }),
            Err(wait) => outlook.waiting.push((release.clone(), wait)),
        }
    }
    let same = |tenure: &&Tenure| current.is_none_or(|current| current.held != tenure.held);
    for upstream in upstream {
        outlook
            .unusable
            .extend(upstream.tenures.first().filter(same).and_then(|tenure| unusable(&upstream.stage, &tenure.held)));
    }
    outlook
}

/// Returns where a release was long enough, or what it waits for.
fn proof(
    stage: &Stage,
    release: &Release,
    upstream: &[Upstream],
    hold_on: &dyn Fn(&Name, &Release) -> Option<String>,
    now: Timestamp,
) -> Result<Vec<Stay>, Wait> {
    let stays = upstream.iter().map(|upstream| stay(stage.soak, release, upstream, hold_on, now));
    match &stage.from {
        Some(From::All(_)) => stays.collect(),
        _ => {
            let mut nearest: Option<Wait> = None;
            for stay in stays {
                match stay {
                    Ok(stay) => return Ok(vec![stay]),
                    Err(wait) => {
                        let is_nearer = nearest.as_ref().is_none_or(|nearest| order(&wait) < order(nearest));
                        nearest = if is_nearer { Some(wait) } else { nearest };
                    }
                }
            }
            Err(nearest.unwrap_or_else(|| wait(Gate::Soak, "it was in no stage before".to_owned())))
        }
    }
}

/// Puts waits that end soonest first.
fn order(wait: &Wait) -> (bool, Option<Timestamp>) {
    (wait.until.is_none(), wait.until)
}

/// Returns the last stay of a release in a stage, if it was long enough.
fn stay(
    soak: Duration,
    release: &Release,
    upstream: &Upstream,
    hold_on: &dyn Fn(&Name, &Release) -> Option<String>,
    now: Timestamp,
) -> Result<Stay, Wait> {
    let stage = &upstream.stage;
    let is_same = |tenure: &&Tenure| tenure.held.release().is_some_and(|own| own.is(release));
    let mut last: Option<Stay> = None;
    for tenure in upstream.tenures.iter().filter(is_same) {
        let Some(since) = tenure.since.clone() else { continue };
        // The newest tenure comes first: what was taken back last stays back.
        if tenure.end.as_ref().is_some_and(|end| end.takes_back) {
            if last.is_some() {
                break;
            }
            let detail = format!("{} was taken back in {stage}", release.short());
            return Err(wait(Gate::Held, detail));
        }
        let until = tenure.end.as_ref().map_or(now, |end| end.at.earliest());
        let lasted = until.duration_since(since.when).max(SignedDuration::ZERO);
        let is_longer = last.as_ref().is_none_or(|last| last.lasted < lasted);
        if is_longer {
            let until = tenure.end.as_ref().map(|end| end.at.commit.clone());
            last = Some(Stay { stage: stage.clone(), since, is_there: tenure.end.is_none(), until, lasted });
        }
        if tenure.end.is_none() {
            break;
        }
    }
    let Some(stay) = last else {
        return Err(wait(Gate::Soak, format!("{} is not in {stage}", release.short())));
    };
    if let Some(why) = hold_on(stage, release) {
        return Err(wait(Gate::Held, format!("{stage}: {why}")));
    }
    let soak = SignedDuration::try_from(soak).unwrap_or(SignedDuration::MAX);
    if stay.lasted >= soak {
        return Ok(stay);
    }
    if stay.is_there {
        let until = stay.since.when.checked_add(soak).unwrap_or(Timestamp::MAX);
        let detail = format!("soaking in {stage} until {}", until.strftime("%Y-%m-%dT%H:%M:%SZ"));
        return Err(Wait { gate: Gate::Soak, detail, until: Some(until) });
    }
    let detail = format!("{} was in {stage} for {:#} only, and {:#} are required", release.short(), stay.lasted, soak);
    Err(wait(Gate::Soak, detail))
}

fn unusable(stage: &Name, held: &Held) -> Option<Wait> {
    match held {
        Held::Unrecorded(versions) => {
            let named: Vec<String> =
                versions.iter().map(|(image, version)| format!("{} {version}", image.short_name())).collect();
            let detail = format!(
                "nothing records which images {} in {stage} were when they were deployed, because they were not deployed by tagalong",
                named.join(", ")
            );
            Some(wait(Gate::Image, detail))
        }
        Held::Mixed(image) => {
            Some(wait(Gate::Image, format!("the fields of {image} in {stage} hold different versions")))
        }
        Held::Release(_) | Held::Nothing => None,
    }
}

fn wait(gate: Gate, detail: String) -> Wait {
    Wait { gate, detail, until: None }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::manifest::paths::PathFilter;

    use super::super::release::Build;
    use super::super::timeline::End;
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_775_000_000 + hour * 3600).expect("a time")
    }

    fn release(digit: char) -> Release {
        let digest = format!("sha256:{}", digit.to_string().repeat(64)).parse().expect("a digest");
        let build = Build { tag: format!("v{digit}").parse().ok(), digest };
        Release::of(BTreeMap::from([("ghcr.io/acme/app".parse().expect("an image"), build)])).expect("an image")
    }

    /// The history of a stage, from the oldest: a release and the hour of its arrival.
    fn history(stage: &str, arrivals: &[(char, i64)]) -> Upstream {
        let point = |index: usize, hour: i64| Point {
            ago: 1000 - (hour as usize) * 10 + index.min(1),
            commit: format!("{stage}{hour}"),
            when: at(hour),
            claimed: at(hour),
        };
        let mut tenures = Vec::new();
        for (index, (digit, hour)) in arrivals.iter().enumerate() {
            let end = arrivals.get(index + 1).map(|(_, next)| End { at: point(0, *next), takes_back: false });
            let held = Held::Release(release(*digit));
            tenures.insert(0, Tenure { held, since: Some(point(0, *hour)), end });
        }
        Upstream { stage: stage.parse().expect("a name"), tenures }
    }

    fn stage(soak: u64, from: From) -> Stage {
        Stage {
            name: "live".parse().expect("a name"),
            paths: PathFilter::default(),
            from: Some(from),
            soak: Duration::from_secs(soak * 3600),
            checks: Vec::new(),
            windows: Vec::new(),
            approval: None,
        }
    }

    fn any(names: &[&str]) -> From {
        From::Any(names.iter().map(|name| name.parse().expect("a name")).collect())
    }

    fn soaked(outlook: &Outlook) -> String {
        outlook.soaked.iter().map(|soaked| soaked.release.short()).collect::<Vec<_>>().join(" ")
    }

    fn look(stage: &Stage, current: &Upstream, upstream: &[Upstream], hour: i64) -> Outlook {
        outlook(stage, &current.tenures, upstream, &|_, _| None, at(hour))
    }

    #[test]
    fn a_release_has_to_soak() {
        let (live, beta) = (history("live", &[('1', 5)]), history("beta", &[('1', 0), ('2', 10)]));
        let stage = stage(2, any(&["beta"]));
        let early = look(&stage, &live, std::slice::from_ref(&beta), 11);
        assert_eq!(soaked(&early), "");
        assert_eq!(early.waiting[0].1.until, Some(at(12)));
        assert_eq!(soaked(&look(&stage, &live, &[beta], 12)), "v2");
    }

    #[test]
    fn a_stage_that_moves_fast_starves_nobody() {
        let live = history("live", &[('1', 1)]);
        let beta = history("beta", &[('1', 0), ('2', 10), ('3', 13), ('4', 14), ('5', 15)]);
        let found = look(&stage(2, any(&["beta"])), &live, &[beta], 16);
        assert_eq!(soaked(&found), "v2");
        let waiting: Vec<String> = found.waiting.iter().map(|(release, _)| release.short()).collect();
        assert_eq!(waiting, ["v5", "v4", "v3"]);
        assert_eq!(found.waiting[0].1.until, Some(at(17)));
        assert_eq!(found.waiting[1].1.until, None, "it left before it had soaked");
    }

    #[test]
    fn nothing_goes_back() {
        let beta = history("beta", &[('1', 0), ('2', 10), ('1', 20)]);
        let live = history("live", &[('2', 15)]);
        assert_eq!(look(&stage(2, any(&["beta"])), &live, &[beta], 40), Outlook::default());
    }

    #[test]
    fn what_was_never_before_is_only_followed_by_what_came_later() {
        let live = history("live", &[('9', 15)]);
        let beta = history("beta", &[('1', 0), ('2', 20)]);
        assert_eq!(soaked(&look(&stage(2, any(&["beta"])), &live, &[beta], 40)), "v2");
    }

    #[test]
    fn held_releases_do_not_flow_downstream() {
        let (live, beta) = (history("live", &[('1', 5)]), history("beta", &[('1', 0), ('2', 10), ('3', 20)]));
        let stage = stage(2, any(&["beta"]));
        let held = |_: &Name, release: &Release| (release.short() == "v3").then(|| "rolled back".to_owned());
        let found = outlook(&stage, &live.tenures, &[beta], &held, at(40));
        assert_eq!(soaked(&found), "v2");
        assert_eq!(found.waiting[0].1, wait(Gate::Held, "beta: rolled back".to_owned()));
    }

    #[test]
    fn what_was_taken_back_stays_back_until_it_is_deployed_again() {
        let live = history("live", &[('1', 5)]);
        let mut beta = history("beta", &[('1', 0), ('2', 10), ('3', 14)]);
        beta.tenures[1].end.as_mut().expect("an end").takes_back = true;
        let stage = stage(2, any(&["beta"]));
        let found = look(&stage, &live, &[beta], 15);
        assert_eq!((soaked(&found).as_str(), found.waiting.len()), ("", 2));
        assert_eq!(found.waiting[1].1.gate, Gate::Held);
        let mut again = history("beta", &[('1', 0), ('2', 10), ('1', 14), ('2', 20)]);
        again.tenures[2].end.as_mut().expect("an end").takes_back = true;
        assert_eq!(soaked(&look(&stage, &live, std::slice::from_ref(&again), 23)), "v2");
        // It has soaked by then, so it stays proven when a newer one replaces it.
        let mut replaced = history("beta", &[('1', 0), ('2', 10), ('1', 14), ('2', 20), ('3', 23)]);
        replaced.tenures[3].end.as_mut().expect("an end").takes_back = true;
        assert_eq!(soaked(&look(&stage, &live, &[replaced], 24)), "v2");
    }

    #[test]
    fn returning_to_what_nobody_recorded_is_no_arrival() {
        let (live, mut beta) = (history("live", &[('2', 15)]), history("beta", &[('2', 10), ('1', 20)]));
        assert_eq!(soaked(&look(&stage(2, any(&["beta"])), &live, std::slice::from_ref(&beta), 40)), "v1");
        let version = crate::image::Version::parse_tag("v1").expect("a version");
        let versions = BTreeMap::from([("ghcr.io/acme/app".parse().expect("an image"), version)]);
        beta.tenures.push(Tenure { held: Held::Unrecorded(versions), since: None, end: None });
        assert_eq!(look(&stage(2, any(&["beta"])), &live, &[beta], 40), Outlook::default());
    }

    #[test]
    fn one_of_several_stages_is_enough_unless_all_are_required() {
        let live = history("live", &[('1', 5)]);
        let upstream = [history("a", &[('1', 0), ('2', 10)]), history("b", &[('1', 0), ('2', 30)])];
        assert_eq!(soaked(&look(&stage(5, any(&["a", "b"])), &live, &upstream, 32)), "v2");
        let names = |from: From| match from {
            From::Any(names) | From::All(names) => names,
        };
        let all = stage(5, From::All(names(any(&["a", "b"]))));
        let waiting = look(&all, &live, &upstream, 32);
        assert_eq!((soaked(&waiting).as_str(), waiting.waiting[0].1.until), ("", Some(at(35))));
        let found = look(&all, &live, &upstream, 35);
        assert_eq!((soaked(&found).as_str(), found.soaked[0].stays.len()), ("v2", 2));
    }

    #[test]
    fn what_is_older_than_a_release_that_was_taken_back_stays_out() {
        let beta = history("beta", &[('1', 0), ('2', 10), ('3', 20), ('4', 30)]);
        let mut live = history("live", &[('1', 5), ('2', 15), ('3', 25), ('1', 26)]);
        live.tenures[1].end.as_mut().expect("an end").takes_back = true;
        let stage = stage(1, any(&["beta"]));
        let found = look(&stage, &live, std::slice::from_ref(&beta), 29);
        // The one that was taken back is for the gate that knows how holds end.
        assert_eq!(soaked(&found), "v3");
        assert!(found.waiting.iter().any(|(release, wait)| release.short() == "v2" && wait.gate == Gate::Held));
        assert_eq!(soaked(&look(&stage, &live, &[beta], 40)), "v4 v3");
    }

    #[test]
    fn what_another_stage_before_holds_without_a_record_has_arrived_already() {
        let versions = |digit: char| {
            let version = crate::image::Version::parse_tag(&format!("v{digit}")).expect("a version");
            Held::Unrecorded(BTreeMap::from([("ghcr.io/acme/app".parse().expect("an image"), version)]))
        };
        let (mut a, b, mut live) =
            (history("a", &[('3', 10)]), history("b", &[('3', 30)]), history("live", &[('2', 20)]));
        (a.tenures[0].held, live.tenures[0].held) = (versions('3'), versions('2'));
        let stage = stage(1, any(&["a", "b"]));
        assert_eq!(soaked(&look(&stage, &live, &[a, b.clone()], 40)), "");
        assert_eq!(soaked(&look(&stage, &live, &[history("a", &[('1', 10)]), b], 40)), "v3");
    }

    #[test]
    fn versions_without_a_record_are_explained() {
        let mut beta = history("beta", &[('1', 0)]);
        let versions =
            BTreeMap::from([("ghcr.io/acme/app".parse().expect("an image"), crate::image::Version::default())]);
        beta.tenures.insert(0, Tenure { held: Held::Unrecorded(versions), since: None, end: None });
        let found = look(&stage(0, any(&["beta"])), &history("live", &[('1', 5)]), &[beta], 10);
        assert_eq!(found.unusable[0].gate, Gate::Image);
    }
}
