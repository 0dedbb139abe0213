//! A repository with stages, a registry that gets one image after another, people who edit and approve, and a clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use tagalong::cycle::history::moves::field_move;
use tagalong::image::{Repository, Version};
use tagalong::manifest::field_rules::FieldRules;
use tagalong::manifest::find;
use tagalong::manifest::inventory::Located;
use tagalong::manifest::paths::PathFilter;
use tagalong::plan::hold::CommitRecord;
use tagalong::plan::stage_order::SignedBy;
use tagalong::plan::trailer::{Effect, RecordedMove, Trailers};
use tagalong::policy::rule::ImagePattern;
use tagalong::stage::definition::{Approval, ApprovalBy, Check, From, ReleaseRule, Stage, Tags};
use tagalong::stage::release::{Build, Release};
use tagalong::stage::stages::Stages;
use tagalong::stage::timeline::{FieldMove, Point};

/// What a case begins with.
#[derive(Debug, Clone)]
pub struct Shape {
    /// For each stage after the first: the stages before it, whether all of them count, hours to soak, whether it has a
    /// check, whether it has a window, and how many approvals it needs.
    after: Vec<(u8, bool, u8, bool, bool, u8)>,
    images: usize,
    /// None, the same tag, or a tag each.
    release: Option<Tags>,
    /// A stage in which the first image has two fields.
    twice: usize,
    /// Whether all clocks are right.
    is_honest: bool,
}

impl Shape {
    pub fn any() -> impl Strategy<Value = Shape> {
        let need = prop::sample::select(vec![0u8, 0, 0, 1, 2]);
        let stage = (any::<u8>(), any::<bool>(), 0u8..3, prop::bool::weighted(0.2), prop::bool::weighted(0.2), need);
        let release = prop::sample::select(vec![None, Some(Tags::Same), Some(Tags::Each)]);
        (prop::collection::vec(stage, 1..4), 1usize..4, release, 0usize..6, any::<bool>())
            .prop_map(|(after, images, release, twice, is_honest)| Shape { after, images, release, twice, is_honest })
    }
}

/// A field.
#[derive(Debug)]
pub struct Place {
    pub stage: usize,
    pub image: usize,
    pub located: Located,
}

/// What a commit was.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Root,
    Noise,
    Order,
    Acknowledge { stage: usize, who: &'static str },
    Hand,
    Rollback,
    Deploy,
    Promotion { stage: usize, images: Vec<usize>, versions: Vec<u8>, approvals: usize },
    Glass { stage: usize, who: &'static str, is_signed: bool },
}

/// A commit of the branch.
#[derive(Debug)]
pub struct Commit {
    pub kind: Kind,
    pub claimed: Timestamp,
    pub record: Arc<CommitRecord>,
    pub moves: Vec<FieldMove>,
}

/// A commit before it is pushed.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    pub kind: Kind,
    /// Places with their new versions.
    pub changes: Vec<(usize, u8)>,
    pub trailers: String,
}

/// The repository and all that is around it.
#[derive(Debug)]
pub struct World {
    pub stages: Stages,
    pub places: Vec<Place>,
    pub images: usize,
    pub tags: Option<Tags>,
    pub commits: Vec<Commit>,
    /// The versions of all places after each commit.
    pub states: Vec<Vec<u8>>,
    pub now: Timestamp,
    /// The builds that each image has in the registry.
    pub registry: Vec<BTreeSet<u8>>,
    /// The checks that ended, by stage and commit.
    pub checks: BTreeMap<(usize, usize), bool>,
    /// Who approved what, by stage and release.
    pub approved: BTreeMap<(usize, String), BTreeSet<&'static str>>,
    /// The holds by name.
    pub holds: Vec<(usize, Option<u8>)>,
    /// The images and versions that were resumed, with the number of commits before.
    pub resumed: Vec<(usize, Option<u8>, usize)>,
    pub is_honest: bool,
    built: u8,
}

/// Commits are counted from here, as if the tip were far ahead of all of them.
pub const AGO: usize = 1_000_000;
const PEOPLE: [&str; 3] = ["ada", "bob", "eve"];

pub fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

/// Whether the only window is closed.
pub fn is_closed(at: Timestamp) -> bool {
    at.as_second() / 3600 % 3 == 0
}

pub fn version(number: u8) -> Version {
    Version::parse_tag(&format!("v{number}")).expect("a version")
}

pub fn digest(image: usize, number: u8) -> String {
    format!("sha256:{:064x}", image * 1000 + usize::from(number))
}

impl World {
    pub fn new(shape: Shape) -> World {
        let name = |index: usize| format!("s{index}").parse().expect("a name");
        let mut stages = Stages::default();
        for index in 0..=shape.after.len() {
            let (mask, all, soak, check, window, need) =
                index.checked_sub(1).map_or((0, false, 0, false, false, 0), |before| shape.after[before]);
            let mut from: Vec<_> = (0..index).filter(|bit| mask >> bit & 1 == 1).map(name).collect();
            if from.is_empty() && index > 0 {
                from.push(name(index - 1));
            }
            stages.stages.push(Stage {
                name: name(index),
                paths: PathFilter::new(&[format!("s{index}/**")]).expect("a path"),
                from: (index > 0).then_some(if all { From::All(from) } else { From::Any(from) }),
                soak: Duration::from_secs(u64::from(soak) * 3600),
                checks: if check { vec![Check::Status("e2e".to_owned())] } else { Vec::new() },
                windows: if window { vec!["w".parse().expect("a name")] } else { Vec::new() },
                approval: (need > 0).then_some(Approval {
                    need: need.into(),
                    by: ApprovalBy::Signature,
                    not_by_author: false,
                }),
            });
        }
        stages.releases.extend(shape.release.map(|tags| ReleaseRule {
            name: "all".parse().expect("a name"),
            images: vec![ImagePattern::parse("acme/*").expect("a pattern")],
            tags,
            complete_within: None,
        }));
        let mut places = Vec::new();
        for stage in 0..stages.stages.len() {
            for image in 0..shape.images {
                places.push(place(stage, image, "a"));
                if shape.twice == stage && image == 0 {
                    places.push(place(stage, image, "b"));
                }
            }
        }
        let now = Timestamp::from_second(1_780_000_200).expect("a time");
        let mut world = World {
            stages,
            images: shape.images,
            tags: shape.release,
            commits: Vec::new(),
            states: vec![vec![1; places.len()]],
            places,
            now,
            registry: vec![BTreeSet::from([1, 2]); shape.images],
            checks: BTreeMap::new(),
            approved: BTreeMap::new(),
            holds: Vec::new(),
            resumed: Vec::new(),
            is_honest: shape.is_honest,
            built: 2,
        };
        world.commit(Kind::Root, &[], "", SignedBy::default(), 0);
        world.states.remove(0);
        world
    }

    pub fn repository(&self, image: usize) -> &Repository {
        let place = self.places.iter().find(|place| place.image == image);
        &place.expect("it has a field").located.field.repository
    }

    /// The groups of images that are released together.
    pub fn groups(&self) -> Vec<Vec<usize>> {
        if self.tags.is_some() {
            vec![(0..self.images).collect()]
        } else {
            (0..self.images).map(|one| vec![one]).collect()
        }
    }

    pub fn release(&self, images: &[usize], versions: &[u8]) -> Release {
        let build = |(image, number): (&usize, &u8)| {
            let build = Build { tag: version(*number).tag, digest: digest(*image, *number).parse().expect("a digest") };
            (self.repository(*image).clone(), build)
        };
        Release::of(images.iter().zip(versions).map(build).collect()).expect("images")
    }

    pub fn tip(&self) -> &[u8] {
        self.states.last().expect("a root")
    }

    /// The places of images in a stage.
    pub fn places_in(&self, stage: usize, images: &[usize]) -> Vec<usize> {
        let is_own = |place: &Place| place.stage == stage && images.contains(&place.image);
        (0..self.places.len()).filter(|index| is_own(&self.places[*index])).collect()
    }

    pub fn push_planned(&mut self, planned: &Planned) -> bool {
        self.commit(planned.kind.clone(), &planned.changes, &planned.trailers, SignedBy::default(), 0)
    }

    /// Adds a commit whose clock is wrong by some minutes. Commits that change nothing they should are not made.
    fn commit(&mut self, kind: Kind, changes: &[(usize, u8)], trailers: &str, signed_by: SignedBy, skew: i64) -> bool {
        let index = self.commits.len();
        let before = self.tip().to_vec();
        let real: Vec<&(usize, u8)> = changes.iter().filter(|(place, to)| before[*place] != *to).collect();
        if real.is_empty() && !changes.is_empty() {
            return false;
        }
        let skew = if self.is_honest { 0 } else { skew };
        let claimed = self.now + SignedDuration::from_mins(skew);
        let mut message = format!("{}\n\n{trailers}", kind.name());
        let is_ours = !matches!(kind, Kind::Hand);
        for (place, to) in real.iter().filter(|_| is_ours) {
            let Located { file, field, .. } = &self.places[*place].located;
            let moved = RecordedMove {
                file: file.clone(),
                path: field.path.clone(),
                image: field.repository.clone(),
                from: version(before[*place]),
                to: version(*to),
            };
            message.push_str(&format!("Tagalong-Update: {}\n", moved.trailer()));
            let digest = digest(self.places[*place].image, *to);
            message.push_str(&format!("Tagalong-Order: {}:v{to}@{digest} promotion\n", field.repository));
        }
        let effect = if real.is_empty() { Effect::Nothing } else { Effect::Files };
        let record = Arc::new(CommitRecord {
            ago: AGO - index,
            commit: format!("{index:040x}"),
            when: claimed,
            author: "somebody".to_owned(),
            subject: kind.name().to_owned(),
            effect,
            is_trusted: true,
            trailers: Trailers::read(&message).counting(effect, true),
            signed_by,
            signature: None,
            refused: Vec::new(),
        });
        let at = Point { ago: AGO - index, commit: record.commit.clone(), when: claimed, claimed };
        let mut after = before.clone();
        let mut moves = Vec::new();
        for (place, to) in real {
            after[*place] = *to;
            let Located { file, field, .. } = &self.places[*place].located;
            let (from, to) = (Some(version(before[*place])), Some(version(*to)));
            let (path, image) = (field.path.clone(), field.repository.clone());
            moves.push(field_move(&record, at.clone(), file.clone(), path, image, from, to));
        }
        self.commits.push(Commit { kind, claimed, record, moves });
        self.states.push(after);
        true
    }

    /// Lets something happen that is not the agent's doing.
    pub fn happen(&mut self, what: u8, a: u8, b: u8, c: u8) {
        let stage = usize::from(a) % self.stages.stages.len();
        let image = usize::from(b) % self.images;
        let skew = i64::from(c as i8) * 5;
        match what {
            0 | 1 => {
                self.built += 1;
                for image in 0..self.images {
                    if a >> image & 1 == 0 {
                        self.registry[image].insert(self.built);
                    }
                }
            }
            2 => {
                self.registry[image].insert(self.built);
            }
            3..=5 => self.now += SignedDuration::from_mins(i64::from(a) % 180 + 1),
            6 | 7 => {
                let passed = !b.is_multiple_of(4);
                let commit = usize::from(c) % self.commits.len();
                // Mostly the newest ones.
                let commit = if b & 8 == 0 { self.commits.len() - 1 } else { commit };
                self.checks.extend((0..self.stages.stages.len()).map(|stage| ((stage, commit), passed)));
            }
            8 => self.edit(stage, image, b, c, skew),
            9 => self.return_to_before(stage, a, skew),
            10 => self.hold(image, c),
            11..=13 => self.approve(stage, a, b, c),
            14 | 15 => self.break_glass(stage, a, b, c),
            16 => {
                let who = PEOPLE[usize::from(b) % 3];
                let signed_by = signer(who);
                let trailers = format!("Tagalong-Acknowledge: s{stage}\n");
                self.commit(Kind::Acknowledge { stage, who }, &[], &trailers, signed_by, skew);
            }
            _ => {
                self.commit(Kind::Noise, &[], "", SignedBy::default(), skew * 3);
            }
        }
    }

    /// Somebody edits fields, with a message that orders things, which does not count.
    fn edit(&mut self, stage: usize, image: usize, b: u8, c: u8, skew: i64) {
        let to = c % (self.built + 1) + 1;
        let images = if b & 16 == 0 { vec![image] } else { (0..self.images).collect() };
        let mut places = self.places_in(stage, &images);
        if b & 32 == 0 {
            places.truncate(1);
        }
        let changes: Vec<(usize, u8)> = places.into_iter().map(|place| (place, to)).collect();
        let id = self.release(&images, &vec![to; images.len()]).id();
        let trailers = format!(
            "Tagalong-Approve: s{stage} {id} (v{to})\nTagalong-Rollback: {} v2 -> v1\nTagalong-Break-Glass: soak\n",
            self.repository(image)
        );
        self.commit(Kind::Hand, &changes, &trailers, signer("ada"), skew);
    }

    /// Somebody reverts the last change in a stage, by hand or with tagalong.
    fn return_to_before(&mut self, stage: usize, a: u8, skew: i64) {
        let images: Vec<usize> = (0..self.images).collect();
        let places = self.places_in(stage, &images);
        let of = |state: &Vec<u8>| places.iter().map(|place| state[*place]).collect::<Vec<u8>>();
        let now = of(self.states.last().expect("a root"));
        let Some(before) = self.states.iter().rev().map(of).find(|before| *before != now) else { return };
        let changes: Vec<(usize, u8)> = places.iter().copied().zip(before).collect();
        let is_by_hand = a & 64 == 0;
        let rollbacks: String = images
            .iter()
            .filter(|image| {
                changes.iter().any(|(place, to)| self.places[*place].image == **image && self.tip()[*place] != *to)
            })
            .map(|image| format!("Tagalong-Rollback: {} v2 -> v1\n", self.repository(*image)))
            .collect();
        if is_by_hand {
            self.commit(Kind::Hand, &changes, "", SignedBy::default(), skew);
        } else {
            self.commit(Kind::Rollback, &changes, &rollbacks, SignedBy::default(), 0);
        }
    }

    fn hold(&mut self, image: usize, c: u8) {
        let number = (c & 1 == 0).then_some(c / 4 % self.built + 1);
        let target =
            format!("{}{}", self.repository(image), number.map_or(String::new(), |number| format!(":v{number}")));
        if c & 2 == 0 {
            self.holds.push((image, number));
            self.commit(Kind::Order, &[], &format!("Tagalong-Hold: {target}\n"), SignedBy::default(), 0);
        } else {
            self.holds.retain(|(held, version)| *held != image || (number.is_some() && *version != number));
            self.resumed.push((image, number, self.commits.len()));
            self.commit(Kind::Order, &[], &format!("Tagalong-Resume: {target}\n"), SignedBy::default(), 0);
        }
    }

    /// Somebody approves what a stage holds now for another one, or withdraws that; not everybody may.
    fn approve(&mut self, stage: usize, a: u8, b: u8, c: u8) {
        let groups = self.groups();
        let images = &groups[usize::from(b) % groups.len()];
        let holder = usize::from(a / 8) % self.stages.stages.len();
        let held = |image: &usize| self.tip()[self.places_in(holder, &[*image])[0]];
        let versions: Vec<u8> = images.iter().map(held).collect();
        let id = self.release(images, &versions).id();
        let who = PEOPLE[usize::from(c) % 3];
        let verb = if c & 32 != 0 && c & 64 != 0 { "Disapprove" } else { "Approve" };
        let trailers = format!("Tagalong-{verb}: s{stage} {id} (x)\n");
        let entry = self.approved.entry((stage, id.to_string())).or_default();
        match (who, verb) {
            ("eve", _) => {}
            (_, "Approve") => {
                entry.insert(who);
            }
            _ => entry.clear(),
        }
        self.commit(Kind::Order, &[], &trailers, signer(who), 0);
    }

    /// Somebody breaks the glass, or only says so.
    fn break_glass(&mut self, stage: usize, a: u8, b: u8, c: u8) {
        let groups = self.groups();
        let images = &groups[usize::from(b) % groups.len()];
        let to = c % (self.built + 1) + 1;
        let changes: Vec<(usize, u8)> = self.places_in(stage, images).into_iter().map(|place| (place, to)).collect();
        let is_signed = a & 128 == 0;
        let who = PEOPLE[usize::from(a / 8) % 2];
        let trailers = format!("Tagalong-Break-Glass: windows,soak,checks,approval\nTagalong-Actor: {who}\n");
        let glass_breaker = is_signed.then(|| who.to_owned());
        let kind = Kind::Glass { stage, who, is_signed };
        self.commit(kind, &changes, &trailers, SignedBy { glass_breaker, ..SignedBy::default() }, 0);
    }
}

/// A signature that counts, unless it is Eve's.
fn signer(who: &str) -> SignedBy {
    SignedBy { approver: (who != "eve").then(|| who.to_owned()), ..SignedBy::default() }
}

fn place(stage: usize, image: usize, slot: &str) -> Place {
    let name = ["a", "b", "c"][image];
    let file = format!("s{stage}/{name}-{slot}.yaml");
    let text = format!("image: acme/{name}:v1\n");
    let facts = find::read(&file, text.as_bytes(), &FieldRules::default()).expect("valid YAML");
    let located = Located { file, field: facts.fields[0].clone(), shadowed_by: None, encrypted: false };
    Place { stage, image, located }
}

impl Kind {
    pub fn is_glass(&self) -> bool {
        matches!(self, Kind::Glass { .. })
    }

    /// Whether somebody took back what was there before.
    pub fn takes_back(&self) -> bool {
        matches!(self, Kind::Hand | Kind::Rollback)
    }

    pub fn name(&self) -> &'static str {
        match self {
            Kind::Root => "root",
            Kind::Noise => "noise",
            Kind::Order => "order",
            Kind::Acknowledge { .. } => "acknowledge",
            Kind::Hand => "hand",
            Kind::Rollback => "rollback",
            Kind::Deploy => "deploy",
            Kind::Promotion { .. } => "promotion",
            Kind::Glass { .. } => "glass",
        }
    }
}
