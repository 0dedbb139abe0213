//! The part of an address after the `?`: which images to show, and which page of them.

use url::form_urlencoded;

use crate::cycle::status::State;
use crate::fault::{Explain, Fault};
use crate::plan::skip::Reason;

/// The longest text to search for, in characters.
pub const MAX_TEXT: usize = 200;
/// The characters of a wrong value that its error repeats.
const MAX_QUOTED: usize = 60;

/// Names for several states at once.
pub const GROUPS: [(&str, &[State]); 2] = [("kept-back", &KEPT_BACK), ("blocked", &BLOCKED)];
/// The states in which something keeps an image from being updated.
pub const KEPT_BACK: [State; 6] = [
    State::Kept(Reason::BlockedImage),
    State::Kept(Reason::BlockedSecret),
    State::Kept(Reason::RegistryError),
    State::Kept(Reason::Held),
    State::Kept(Reason::Suspended),
    State::Kept(Reason::NoCandidate),
];
const BLOCKED: [State; 2] = [State::Kept(Reason::BlockedImage), State::Kept(Reason::BlockedSecret)];

/// The number of images on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Where the query does not say.
    pub usual: usize,
    /// At most.
    pub most: usize,
}

/// Which images to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Their states; empty for any.
    states: Vec<State>,
    /// Words that each of them has; empty for any.
    pub text: String,
    /// The page, from 1.
    pub page: usize,
    /// The number of images on a page.
    pub limit: usize,
    /// Whether `limit` is the usual one, which links do not repeat.
    is_usual: bool,
}

/// A query that cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum QueryError {
    #[error("`{0}` is not a known parameter")]
    Unknown(String),
    #[error("`{0}` is given more than once")]
    Twice(String),
    #[error("`{0}` is not a state of images")]
    State(String),
    #[error("`{value}` is not a valid `{name}`")]
    Number { name: &'static str, value: String, most: usize },
    #[error("the text to search for is too long")]
    Long,
}

impl Explain for QueryError {
    fn fault(&self) -> Fault {
        Fault::BadInput
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            QueryError::Unknown(_) => "use `state`, `q`, `page` and `limit`".to_owned(),
            QueryError::Twice(_) => "give it once; several states are joined by commas".to_owned(),
            QueryError::State(_) => {
                let names: Vec<&str> = names().collect();
                format!("use one or more of {}, joined by commas", names.join(", "))
            }
            QueryError::Number { most, .. } => format!("write a whole number from 1 to {most}"),
            QueryError::Long => format!("search for at most {MAX_TEXT} characters"),
        })
    }
}

impl Query {
    /// All images, from the first page on.
    pub fn all(sizes: Sizes) -> Query {
        Query { states: Vec::new(), text: String::new(), page: 1, limit: sizes.usual, is_usual: true }
    }

    /// Reads what follows the `?` of an address. A parameter without a value, as forms send them, counts as not given.
    ///
    /// # Errors
    /// A parameter or value that means nothing here.
    pub fn parse(raw: Option<&str>, sizes: Sizes) -> Result<Query, QueryError> {
        let mut query = Query::all(sizes);
        let mut seen = Vec::new();
        for (name, value) in form_urlencoded::parse(raw.unwrap_or_default().as_bytes()) {
            if !matches!(&*name, "state" | "q" | "page" | "limit") {
                return Err(QueryError::Unknown(shortened(&name)));
            }
            if seen.contains(&name) {
                return Err(QueryError::Twice(name.into_owned()));
            }
            let value = value.trim();
            match &*name {
                _ if value.is_empty() => {}
                "state" => query.states = states(value)?,
                "q" if value.chars().count() > MAX_TEXT => return Err(QueryError::Long),
                "q" => value.clone_into(&mut query.text),
                "page" => query.page = number("page", value, u32::MAX as usize)?,
                _ => query.limit = number("limit", value, sizes.most)?,
            }
            seen.push(name);
        }
        query.is_usual = query.limit == sizes.usual;
        Ok(query)
    }

    /// Whether images in a state are asked for.
    pub fn takes(&self, state: State) -> bool {
        self.states.is_empty() || self.states.contains(&state)
    }

    /// Whether some images are not asked for.
    pub fn is_narrow(&self) -> bool {
        !self.states.is_empty() || !self.text.is_empty()
    }

    /// The states that are asked for, as the query names them; empty for any.
    pub fn state(&self) -> String {
        let is_it = |(_, states): &&(&str, &[State])| {
            states.len() == self.states.len() && states.iter().all(|state| self.states.contains(state))
        };
        match GROUPS.iter().find(is_it) {
            Some((name, _)) => (*name).to_owned(),
            None => self.states.iter().map(|state| state.name()).collect::<Vec<_>>().join(","),
        }
    }

    /// The limit, where it is not the usual one.
    pub fn unusual_limit(&self) -> Option<usize> {
        (!self.is_usual).then_some(self.limit)
    }

    /// The same images, but another page of them.
    pub fn on(&self, page: usize) -> Query {
        Query { page, ..self.clone() }
    }

    /// The first page of images in other states; of any for none.
    pub fn with(&self, states: &[State]) -> Query {
        Query { states: states.to_vec(), page: 1, ..self.clone() }
    }

    /// The query as part of an address, from the `?` on.
    pub fn link(&self) -> String {
        let mut pairs = form_urlencoded::Serializer::for_suffix("?".to_owned(), 1);
        let mut add = |name: &str, value: &str| {
            pairs.append_pair(name, value);
        };
        if !self.states.is_empty() {
            add("state", &self.state());
        }
        if !self.text.is_empty() {
            add("q", &self.text);
        }
        if self.page > 1 {
            add("page", &self.page.to_string());
        }
        if let Some(limit) = self.unusual_limit() {
            add("limit", &limit.to_string());
        }
        pairs.finish()
    }
}

/// All names that `state` takes.
pub fn names() -> impl Iterator<Item = &'static str> {
    GROUPS.iter().map(|(name, _)| *name).chain(State::ALL.into_iter().map(State::name))
}

fn states(value: &str) -> Result<Vec<State>, QueryError> {
    let mut found: Vec<State> = Vec::new();
    for name in value.split(',').map(str::trim) {
        let group = GROUPS.iter().find(|(group, _)| *group == name).map(|(_, states)| states.to_vec());
        let one = || State::ALL.into_iter().find(|state| state.name() == name).map(|state| vec![state]);
        found.extend(group.or_else(one).ok_or_else(|| QueryError::State(shortened(name)))?);
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn number(name: &'static str, value: &str, most: usize) -> Result<usize, QueryError> {
    let number = value.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| QueryError::Number { name, value: shortened(value), most })
}

/// The start of a text that may be of any length.
fn shortened(text: &str) -> String {
    text.chars().take(MAX_QUOTED).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIZES: Sizes = Sizes { usual: 100, most: 1000 };

    fn parse(raw: &str) -> Result<Query, QueryError> {
        Query::parse(Some(raw), SIZES)
    }

    #[test]
    fn what_a_form_leaves_empty_is_not_asked() {
        let all = Query::all(SIZES);
        assert_eq!(parse("state=&q=+&page="), Ok(all.clone()));
        assert_eq!(Query::parse(None, SIZES), Ok(all.clone()));
        assert_eq!((all.link().as_str(), all.is_narrow()), ("?", false));
    }

    #[test]
    fn links_keep_all_of_a_query() {
        for (asked, link) in [
            ("state=blocked&q=a%26b+%C3%A9&page=2", "?state=blocked&q=a%26b+%C3%A9&page=2"),
            ("page=1&limit=100&state=blocked-secret,blocked-image", "?state=blocked"),
            ("state=held,up-to-date,held&limit=7", "?state=up-to-date%2Cheld&limit=7"),
        ] {
            let query = parse(asked).expect("a query");
            assert_eq!(query.link(), link);
            assert_eq!(parse(&link[1..]), Ok(query));
        }
        let query = parse("q=x&page=9").expect("a query");
        assert_eq!(query.with(&[State::Kept(Reason::Held)]).link(), "?state=held&q=x");
        assert_eq!(query.with(&[]).on(3).link(), "?q=x&page=3");
    }

    #[test]
    fn what_means_nothing_is_explained() {
        for (asked, error, help) in [
            ("stat=held", "`stat` is not a known parameter", "use `state`"),
            ("state=hold", "`hold` is not a state of images", "held"),
            ("state=held,", "`` is not a state of images", "joined by commas"),
            ("page=0", "`0` is not a valid `page`", "from 1"),
            ("page=-1", "`-1` is not a valid `page`", "from 1"),
            ("page=99999999999999999999999", "is not a valid `page`", "to 4294967295"),
            ("limit=1001", "`1001` is not a valid `limit`", "to 1000"),
            ("q=a&q=b", "`q` is given more than once", "once"),
        ] {
            let wrong = parse(asked).expect_err(asked);
            assert!(wrong.to_string().contains(error), "{wrong}");
            assert!(wrong.help().expect("help").contains(help), "{wrong:?}");
        }
        let long = "x".repeat(5000);
        assert_eq!(parse(&format!("q={long}")), Err(QueryError::Long));
        assert!(parse(&format!("state={long}")).expect_err("wrong").to_string().len() < 200);
    }

    proptest! {
        #[test]
        fn whatever_is_asked_is_answered_and_links_say_the_same(raw in "\\PC{0,60}|(state|q|page|limit)=\\PC{0,20}") {
            if let Ok(query) = parse(&raw) {
                prop_assert!(query.page >= 1 && (1..=SIZES.most).contains(&query.limit));
                prop_assert_eq!(parse(&query.link()[1..]), Ok(query));
            }
        }
    }
}
