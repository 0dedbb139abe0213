//! What moved like a tag: values that commits replaced with other values that look like versions.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use super::changed_lines::replaced;
use super::line::{DocumentPath, Line};
use super::mover::Mover;
use super::tag_style::{TagStyle, split_reference};

/// The number of places that are remembered; a repository has far fewer.
const MOST_PLACES: usize = 50_000;
/// The number of tags that are remembered of a place.
const MOST_TAGS: usize = 12;
/// The number of values that a commit may replace in a file before it counts as an edit of something else.
const MOST_IN_A_FILE: usize = 60;

/// The file and the path of a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The path within its documents.
    pub path: DocumentPath,
}

/// The moves of one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// The number of moves.
    pub count: usize,
    /// The time of the first move that was seen.
    pub since: Timestamp,
    /// Who moved it how often.
    pub by: BTreeMap<Mover, usize>,
    /// Tags that it held, at most a few.
    pub tags: BTreeSet<String>,
    /// The newest value.
    pub newest: String,
    /// True if the value is a complete reference, of which only the tag moved.
    pub is_reference: bool,
}

/// A commit that changed files.
#[derive(Debug, Clone, Copy)]
pub struct Change<'c> {
    /// The name of its author.
    pub author: &'c str,
    /// Its time.
    pub time: Timestamp,
}

/// All moves of a history, which is read from the newest commit on.
#[derive(Debug, Clone, Default)]
pub struct Movements {
    /// The moves, by place.
    pub places: HashMap<Place, Movement>,
    /// The number of commits that were read.
    pub commits: usize,
    /// The time of the oldest commit that was read.
    pub since: Option<Timestamp>,
}

impl Movements {
    /// Counts a commit.
    pub fn count(&mut self, time: Timestamp) {
        self.commits += 1;
        self.since = Some(self.since.map_or(time, |since| since.min(time)));
    }

    /// Takes the moves in a file that a commit changed.
    pub fn take(&mut self, change: Change<'_>, file: &str, before: &[u8], after: &[u8]) {
        let (Ok(before), Ok(after)) = (std::str::from_utf8(before), std::str::from_utf8(after)) else { return };
        let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
        let lines = replaced(&before, &after);
        let moves = lines.iter().filter_map(|line| Some((line.at, Moved::of(line.before, line.after)?)));
        let moves: Vec<(usize, Moved<'_>)> = moves.take(MOST_IN_A_FILE + 1).collect();
        if moves.len() > MOST_IN_A_FILE {
            return;
        }
        for (at, moved) in moves {
            if let Some(path) = DocumentPath::of_line(&after, at) {
                self.add(change, Place { file: file.to_owned(), path }, &moved);
            }
        }
    }

    fn add(&mut self, change: Change<'_>, place: Place, moved: &Moved<'_>) {
        if self.places.len() >= MOST_PLACES && !self.places.contains_key(&place) {
            return;
        }
        let movement = self.places.entry(place).or_insert_with(|| Movement {
            count: 0,
            since: change.time,
            by: BTreeMap::new(),
            tags: BTreeSet::new(),
            newest: moved.value.to_owned(),
            is_reference: moved.is_reference,
        });
        movement.count += 1;
        movement.since = movement.since.min(change.time);
        *movement.by.entry(Mover::of(change.author)).or_default() += 1;
        for tag in [moved.to, moved.from] {
            if movement.tags.len() < MOST_TAGS {
                movement.tags.insert(tag.to_owned());
            }
        }
    }
}

/// A value that moved from one tag to another.
struct Moved<'t> {
    from: &'t str,
    to: &'t str,
    value: &'t str,
    is_reference: bool,
}

impl<'t> Moved<'t> {
    /// Compares the lines; `None` if they differ in anything but a tag.
    fn of(before: &'t str, after: &'t str) -> Option<Moved<'t>> {
        let (before, after) = (Line::read(before)?, Line::read(after)?);
        if before.key != after.key || before.value == after.value {
            return None;
        }
        if let (Some((name, from)), Some((other, to))) = (split_reference(before.value), split_reference(after.value)) {
            let is_move = name == other && from != to && is_version(from) && is_version(to);
            return is_move.then_some(Moved { from, to, value: after.value, is_reference: true });
        }
        let (from, to) = (before.value, after.value);
        let (old, new) = (TagStyle::of(from)?, TagStyle::of(to)?);
        let is_address = |text: &str| text.split('.').filter(|part| part.parse::<u8>().is_ok()).count() == 4;
        let counts_anything = old.is_plain_number() || new.is_plain_number() || is_address(from) && is_address(to);
        let is_move = !counts_anything || after.key.is_some_and(says_version);
        is_move.then_some(Moved { from, to, value: to, is_reference: false })
    }
}

fn is_version(tag: &str) -> bool {
    TagStyle::of(tag).is_some()
}

/// Returns whether a key says that its value is a version: a number under another key counts something, and four of them
/// are an address.
fn says_version(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["tag", "image", "version", "build", "release", "revision"].iter().any(|word| key.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moves(pairs: &[(&str, &str)]) -> Vec<String> {
        let mut movements = Movements::default();
        let change = Change { author: "Ada", time: Timestamp::UNIX_EPOCH };
        for (before, after) in pairs {
            movements.take(change, "a.yaml", before.as_bytes(), after.as_bytes());
        }
        let show =
            |(place, moved): (&Place, &Movement)| format!("{} {} {}", place.path.pattern(), moved.count, moved.newest);
        let mut shown: Vec<String> = movements.places.iter().map(show).collect();
        shown.sort();
        shown
    }

    #[test]
    fn tags_move_and_everything_else_does_not() {
        let tag = |text: &str| format!("app:\n  tag: {text}\n");
        assert_eq!(moves(&[(&tag("v2"), &tag("v3")), (&tag("v1"), &tag("v2"))]), ["app.tag 2 v3"]);
        assert_eq!(moves(&[("image: a/b:1.0\n", "image: a/b:1.1\n")]), ["image 1 a/b:1.1"]);
        assert_eq!(moves(&[("tag: '39' # x\n", "tag: '40' # y\n")]), ["tag 1 40"]);
        for (before, after) in [
            ("replicas: 2\n", "replicas: 3\n"),
            ("tag: v1\n", "version: v2\n"),
            ("image: a/b:1.0\n", "image: a/c:1.1\n"),
            ("memory: 1Gi\n", "memory: 2Gi\n"),
            ("name: a\n", "name: b\n"),
            ("tag: latest\n", "tag: stable\n"),
            ("server: 10.0.0.1\n", "server: 10.0.0.2\n"),
        ] {
            assert_eq!(moves(&[(before, after)]), Vec::<String>::new(), "{before}");
        }
    }

    #[test]
    fn a_file_in_which_everything_changed_does_not_count() {
        let file = |version: &str| (0..100).map(|index| format!("k{index}: {version}\n")).collect::<String>();
        assert_eq!(moves(&[(&file("1.0.0"), &file("2.0.0"))]), Vec::<String>::new());
    }
}
