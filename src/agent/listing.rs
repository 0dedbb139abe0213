//! The images of one cycle, sorted once, so that rendering a page of them costs no more than that page.

use crate::cycle::status::State;
use crate::image::Repository;
use crate::plan::skip::Reason;
use crate::stage::name::Name;

use super::query::Query;
use super::row::Row;

/// The states in the order in which people want to see them: those that need attention come first.
pub const BY_TROUBLE: [State; State::ALL.len()] = [
    State::Kept(Reason::BlockedImage),
    State::Kept(Reason::BlockedSignature),
    State::Kept(Reason::BlockedSecret),
    State::Kept(Reason::RegistryError),
    State::Kept(Reason::Held),
    State::Kept(Reason::Incomplete),
    State::Kept(Reason::Approval),
    State::Kept(Reason::Check),
    State::Kept(Reason::Suspended),
    State::Kept(Reason::NoCandidate),
    State::Kept(Reason::Window),
    State::Kept(Reason::Soaking),
    State::Updating,
    State::UpToDate,
];

/// All images of one cycle. It never changes, so requests share it instead of copying it.
#[derive(Debug, Default)]
pub struct Listing {
    /// By name.
    rows: Vec<Row>,
    /// Indices of `rows`, in the order of [`BY_TROUBLE`] and by name within a state.
    by_trouble: Vec<usize>,
    counts: Counts,
}

/// The number of images in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts([usize; State::ALL.len()]);

/// The order of a selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By the names of the images.
    Name,
    /// Those that need attention first, by name within a state.
    Trouble,
}

/// One page of the images that match a query.
#[derive(Debug)]
pub struct Selection<'l> {
    /// The images on the page; empty if the page is past the last one.
    pub rows: Vec<&'l Row>,
    /// The number of images that match.
    pub total: usize,
    /// The number of pages; 1 if nothing matches.
    pub pages: usize,
    /// The images that match the text and the stage of the query, whatever their state.
    pub counts: Counts,
}

impl Counts {
    /// Returns the number of images in one state.
    pub fn of(&self, state: State) -> usize {
        self.0[state.index()]
    }

    /// Returns the number of images in any of the states.
    pub fn sum(&self, states: &[State]) -> usize {
        states.iter().map(|state| self.of(*state)).sum()
    }

    fn add(&mut self, state: State) {
        self.0[state.index()] += 1;
    }
}

impl<'s> FromIterator<&'s State> for Counts {
    fn from_iter<I: IntoIterator<Item = &'s State>>(states: I) -> Counts {
        let mut counts = Counts::default();
        states.into_iter().for_each(|state| counts.add(*state));
        counts
    }
}

impl Listing {
    /// A listing of rows, given in any order.
    pub fn new(mut rows: Vec<Row>) -> Listing {
        rows.sort_by(|one, other| one.status.image.cmp(&other.status.image));
        let counts = rows.iter().map(|row| &row.status.state).collect();
        let mut by_trouble: Vec<usize> = (0..rows.len()).collect();
        by_trouble.sort_by_key(|row| BY_TROUBLE.iter().position(|state| *state == rows[*row].status.state));
        Listing { rows, by_trouble, counts }
    }

    /// Returns all rows, by name.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Returns the row of an image.
    pub fn row(&self, image: &Repository) -> Option<&Row> {
        let found = self.rows.binary_search_by(|row| row.status.image.cmp(image));
        found.ok().map(|at| &self.rows[at])
    }

    /// Returns the rows in any of the states, those that need attention first.
    pub fn in_states(&self, states: &[State]) -> impl Iterator<Item = &Row> {
        self.by_trouble.iter().map(|at| &self.rows[*at]).filter(|row| states.contains(&row.status.state))
    }

    /// Returns the number of images in each state.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Returns the page that a query asks for. Looks at each row once, and copies none.
    pub fn select(&self, query: &Query, order: Order) -> Selection<'_> {
        let row = |at: usize| match order {
            Order::Name => &self.rows[at],
            Order::Trouble => &self.rows[self.by_trouble[at]],
        };
        let words = query.words();
        let with_text = (0..self.rows.len())
            .map(row)
            .filter(|row| is_in(row, &query.stage) && words.iter().all(|word| has(row, word)));
        let (mut counts, mut found) = (Counts::default(), Vec::new());
        for row in with_text {
            counts.add(row.status.state);
            if query.takes(row.status.state) {
                found.push(row);
            }
        }
        let total = found.len();
        let pages = total.div_ceil(query.limit).max(1);
        let start = (query.page - 1).saturating_mul(query.limit);
        let rows = found.into_iter().skip(start).take(query.limit).collect();
        Selection { rows, total, pages, counts }
    }
}

/// Whether an image has a field in a stage; true without a stage.
fn is_in(row: &Row, stage: &str) -> bool {
    let has = |own: &Name| own.as_str() == stage;
    stage.is_empty() || row.status.current.iter().any(|place| place.stage.as_ref().is_some_and(has))
}

/// Whether a lowercase word is part of an image's name, of its current version or candidate, or of its files.
fn has(row: &Row, word: &str) -> bool {
    let status = &row.status;
    let has = |text: &str| text.to_lowercase().contains(word);
    has(status.image.as_str())
        || status.candidate.as_ref().is_some_and(|tag| has(tag.as_str()))
        || status.current.iter().any(|place| {
            has(&place.file)
                || place.tag.as_ref().is_some_and(|tag| has(tag.as_str()))
                || place.digest.as_ref().is_some_and(|digest| has(digest.as_str()))
        })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use crate::agent::query::Sizes;
    use crate::cycle::status::{FieldVersion, ImageStatus};

    use super::*;

    const SIZES: Sizes = Sizes { default: 2, most: 10 };

    fn row(name: &str, state: State) -> Row {
        let current = FieldVersion {
            file: format!("Apps/{name}/x.yaml"),
            path: "image".to_owned(),
            tag: Some("1a2b3c4".parse().expect("a tag")),
            digest: None,
            stage: (name == "c").then(|| "live".parse().expect("a name")),
            line: 1,
        };
        let status = ImageStatus {
            image: format!("r.io/org/{name}").parse().expect("an image"),
            policy: "p".to_owned(),
            state,
            candidate: None,
            current: vec![current],
            reasons: Vec::new(),
            holds: Vec::new(),
            source: None,
        };
        Row { status, since: Timestamp::UNIX_EPOCH, commit: None }
    }

    fn listing() -> Listing {
        let rows = [
            ("e", State::UpToDate),
            ("d", State::Kept(Reason::BlockedSecret)),
            ("c", State::Kept(Reason::NoCandidate)),
            ("b", State::Kept(Reason::BlockedImage)),
            ("a", State::UpToDate),
        ];
        Listing::new(rows.into_iter().map(|(name, state)| row(name, state)).collect())
    }

    /// The names on a page, and how many images and pages there are.
    fn page(listing: &Listing, query: &str, order: Order) -> (String, usize, usize) {
        let query = Query::parse(Some(query), SIZES).expect("a query");
        let selection = listing.select(&query, order);
        let names = selection.rows.iter().map(|row| row.status.image.short_name()).collect();
        (names, selection.total, selection.pages)
    }

    fn is(names: &str, total: usize, pages: usize) -> (String, usize, usize) {
        (names.to_owned(), total, pages)
    }

    #[test]
    fn each_state_has_a_place_in_the_order() {
        for state in State::ALL {
            assert_eq!(BY_TROUBLE.iter().filter(|other| **other == state).count(), 1, "{state}");
            assert_eq!(State::ALL[state.index()], state);
        }
    }

    #[test]
    fn pages_follow_one_another_and_end() {
        let listing = listing();
        let names = |order| ["", "page=2", "page=3", "page=4"].map(|query| page(&listing, query, order).0);
        assert_eq!(names(Order::Trouble), ["bd", "ca", "e", ""]);
        assert_eq!(names(Order::Name), ["ab", "cd", "e", ""]);
        assert_eq!(page(&listing, "page=4294967295&limit=10", Order::Name), is("", 5, 1));
        assert_eq!(page(&Listing::default(), "", Order::Name), is("", 0, 1));
    }

    #[test]
    fn states_and_words_narrow_what_is_found() {
        let listing = listing();
        assert_eq!(page(&listing, "state=blocked", Order::Trouble), is("bd", 2, 1));
        assert_eq!(page(&listing, "state=kept-back&page=2", Order::Trouble), is("c", 3, 2));
        assert_eq!(page(&listing, "q=ORG/e", Order::Trouble), is("e", 1, 1));
        assert_eq!(page(&listing, "q=apps/d+1A2B", Order::Trouble), is("d", 1, 1));
        assert_eq!(page(&listing, "q=apps/d&state=up-to-date", Order::Trouble), is("", 0, 1));
        assert_eq!(page(&listing, "stage=live", Order::Trouble), is("c", 1, 1));
        assert_eq!(page(&listing, "stage=beta", Order::Trouble), is("", 0, 1));
        let query = Query::parse(Some("q=apps/d&state=up-to-date"), SIZES).expect("a query");
        let counts = listing.select(&query, Order::Name).counts;
        assert_eq!((counts.of(State::Kept(Reason::BlockedSecret)), counts.sum(&State::ALL)), (1, 1));
        assert_eq!(listing.counts().of(State::UpToDate), 2);
    }

    #[test]
    fn an_image_is_found_by_its_name() {
        let listing = listing();
        let image = "r.io/org/c".parse().expect("an image");
        assert_eq!(listing.row(&image).expect("there").status.state, State::Kept(Reason::NoCandidate));
        assert!(listing.row(&"r.io/org/f".parse().expect("an image")).is_none());
    }
}
