//! The query string of the status page: which images to show, and which page of them.

use url::form_urlencoded;

use crate::cycle::status::State;
use crate::fault::{Explain, Fault};
use crate::plan::skip::Reason;

/// The maximum length of a search text, in characters.
pub const MAX_TEXT: usize = 200;
/// The maximum number of characters of an invalid value that its error quotes.
const MAX_QUOTED: usize = 60;

/// Names for several states at once.
pub const GROUPS: [(&str, &[State]); 4] =
    [("attention", &ATTENTION), ("waiting", &WAITING), ("kept-back", &KEPT_BACK), ("blocked", &BLOCKED)];
/// The states in which somebody has to do something.
pub const ATTENTION: [State; 6] = [
    State::Kept(Reason::BlockedImage),
    State::Kept(Reason::BlockedSignature),
    State::Kept(Reason::BlockedSecret),
    State::Kept(Reason::RegistryError),
    State::Kept(Reason::Incomplete),
    State::Kept(Reason::NoCandidate),
];
/// The states in which an image waits for something that somebody has decided.
pub const WAITING: [State; 6] = [
    State::Kept(Reason::Held),
    State::Kept(Reason::Approval),
    State::Kept(Reason::Check),
    State::Kept(Reason::Window),
    State::Kept(Reason::Soaking),
    State::Kept(Reason::Suspended),
];
/// The states in which something keeps an image from being updated.
pub const KEPT_BACK: [State; 7] = [
    State::Kept(Reason::BlockedImage),
    State::Kept(Reason::BlockedSignature),
    State::Kept(Reason::BlockedSecret),
    State::Kept(Reason::RegistryError),
    State::Kept(Reason::Held),
    State::Kept(Reason::Suspended),
    State::Kept(Reason::NoCandidate),
];
const BLOCKED: [State; 3] =
    [State::Kept(Reason::BlockedImage), State::Kept(Reason::BlockedSignature), State::Kept(Reason::BlockedSecret)];

/// The number of images on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// The default.
    pub default: usize,
    /// The maximum.
    pub most: usize,
}

/// Which images to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Their states; empty for any.
    states: Vec<State>,
    /// Words that each of them must contain; empty for any.
    pub text: String,
    /// The stage that each of them must have a field in; empty for any.
    pub stage: String,
    /// The page, from 1.
    pub page: usize,
    /// The number of images on a page.
    pub limit: usize,
    /// Whether `limit` is the default, which links do not repeat.
    is_default_limit: bool,
}

/// An invalid query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum QueryError {
    #[error("`{0}` is not a known parameter")]
    Unknown(String),
    #[error("`{0}` is given more than once")]
    Twice(String),
    #[error("`{0}` is not an image state")]
    State(String),
    #[error("`{value}` is not a valid `{name}`")]
    Number { name: &'static str, value: String, most: usize },
    #[error("the search text is too long")]
    Long,
}

impl Explain for QueryError {
    fn fault(&self) -> Fault {
        Fault::BadInput
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            QueryError::Unknown(_) => "use `state`, `stage`, `q`, `page` and `limit`".to_owned(),
            QueryError::Twice(_) => "pass it once; separate several states by commas".to_owned(),
            QueryError::State(_) => {
                let names: Vec<&str> = names().collect();
                format!("use one or more of {}, separated by commas", names.join(", "))
            }
            QueryError::Number { most, .. } => format!("use a whole number from 1 to {most}"),
            QueryError::Long => format!("search for at most {MAX_TEXT} characters"),
        })
    }
}

impl Query {
    /// All images, from the first page on.
    pub fn all(sizes: Sizes) -> Query {
        let (states, text, stage) = Default::default();
        Query { states, text, stage, page: 1, limit: sizes.default, is_default_limit: true }
    }

    /// Parses a query string. A parameter without a value, as sent by forms, counts as absent.
    ///
    /// # Errors
    /// An unknown parameter, or an invalid value.
    pub fn parse(raw: Option<&str>, sizes: Sizes) -> Result<Query, QueryError> {
        let mut query = Query::all(sizes);
        let mut seen = Vec::new();
        for (name, value) in form_urlencoded::parse(raw.unwrap_or_default().as_bytes()) {
            if !matches!(&*name, "state" | "stage" | "q" | "page" | "limit") {
                return Err(QueryError::Unknown(shortened(&name)));
            }
            if seen.contains(&name) {
                return Err(QueryError::Twice(name.into_owned()));
            }
            let value = value.trim();
            match &*name {
                _ if value.is_empty() => {}
                "state" => query.states = states(value)?,
                "q" | "stage" if value.chars().count() > MAX_TEXT => return Err(QueryError::Long),
                "stage" => value.clone_into(&mut query.stage),
                "q" => value.clone_into(&mut query.text),
                "page" => query.page = number("page", value, u32::MAX as usize)?,
                _ => query.limit = number("limit", value, sizes.most)?,
            }
            seen.push(name);
        }
        query.is_default_limit = query.limit == sizes.default;
        Ok(query)
    }

    /// Whether images in a state match.
    pub fn takes(&self, state: State) -> bool {
        self.states.is_empty() || self.states.contains(&state)
    }

    /// Whether the query excludes some images.
    pub fn is_narrow(&self) -> bool {
        !self.states.is_empty() || !self.text.is_empty() || !self.stage.is_empty()
    }

    /// Returns the states that match, as written in a query; empty for any.
    pub fn state(&self) -> String {
        let is_it = |(_, states): &&(&str, &[State])| {
            states.len() == self.states.len() && states.iter().all(|state| self.states.contains(state))
        };
        match GROUPS.iter().find(is_it) {
            Some((name, _)) => (*name).to_owned(),
            None => self.states.iter().map(|state| state.name()).collect::<Vec<_>>().join(","),
        }
    }

    /// Returns the limit, unless it is the default.
    pub fn custom_limit(&self) -> Option<usize> {
        (!self.is_default_limit).then_some(self.limit)
    }

    /// Returns the query for another page of the same images.
    pub fn on(&self, page: usize) -> Query {
        Query { page, ..self.clone() }
    }

    /// Returns the query for the first page of images in other states; any state if there are none.
    pub fn with(&self, states: &[State]) -> Query {
        Query { states: states.to_vec(), page: 1, ..self.clone() }
    }

    /// Returns the words that have to occur, in lower case.
    pub fn words(&self) -> Vec<String> {
        self.text.split_whitespace().map(str::to_lowercase).collect()
    }

    /// Returns the query string, including the `?`.
    pub fn link(&self) -> String {
        let mut pairs = form_urlencoded::Serializer::for_suffix("?".to_owned(), 1);
        let mut add = |name: &str, value: &str| {
            pairs.append_pair(name, value);
        };
        if !self.states.is_empty() {
            add("state", &self.state());
        }
        if !self.stage.is_empty() {
            add("stage", &self.stage);
        }
        if !self.text.is_empty() {
            add("q", &self.text);
        }
        if self.page > 1 {
            add("page", &self.page.to_string());
        }
        if let Some(limit) = self.custom_limit() {
            add("limit", &limit.to_string());
        }
        pairs.finish()
    }
}

/// Returns all names that `state` accepts.
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

/// Returns the start of a text of any length.
fn shortened(text: &str) -> String {
    text.chars().take(MAX_QUOTED).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIZES: Sizes = Sizes { default: 100, most: 1000 };

    fn parse(raw: &str) -> Result<Query, QueryError> {
        Query::parse(Some(raw), SIZES)
    }

    #[test]
    fn empty_parameters_of_forms_are_ignored() {
        let all = Query::all(SIZES);
        assert_eq!(parse("state=&q=+&page="), Ok(all.clone()));
        assert_eq!(Query::parse(None, SIZES), Ok(all.clone()));
        assert_eq!((all.link().as_str(), all.is_narrow()), ("?", false));
    }

    #[test]
    fn links_preserve_the_query() {
        for (raw, link) in [
            ("state=blocked&q=a%26b+%C3%A9&page=2", "?state=blocked&q=a%26b+%C3%A9&page=2"),
            ("page=1&limit=100&state=blocked-secret,blocked-signature,blocked-image", "?state=blocked"),
            ("state=held,up-to-date,held&limit=7", "?state=up-to-date%2Cheld&limit=7"),
            ("q=x&stage=live&state=waiting", "?state=waiting&stage=live&q=x"),
        ] {
            let query = parse(raw).expect("a query");
            assert_eq!(query.link(), link);
            assert_eq!(parse(&link[1..]), Ok(query));
        }
        let query = parse("q=x&page=9").expect("a query");
        assert_eq!(query.with(&[State::Kept(Reason::Held)]).link(), "?state=held&q=x");
        assert_eq!(query.with(&[]).on(3).link(), "?q=x&page=3");
    }

    #[test]
    fn invalid_queries_are_explained() {
        for (raw, error, help) in [
            ("stat=held", "`stat` is not a known parameter", "use `state`"),
            ("state=hold", "`hold` is not an image state", "held"),
            ("state=held,", "`` is not an image state", "separated by commas"),
            ("page=0", "`0` is not a valid `page`", "from 1"),
            ("page=-1", "`-1` is not a valid `page`", "from 1"),
            ("page=99999999999999999999999", "is not a valid `page`", "to 4294967295"),
            ("limit=1001", "`1001` is not a valid `limit`", "to 1000"),
            ("q=a&q=b", "`q` is given more than once", "once"),
        ] {
            let wrong = parse(raw).expect_err(raw);
            assert!(wrong.to_string().contains(error), "{wrong}");
            assert!(wrong.help().expect("help").contains(help), "{wrong:?}");
        }
        let long = "x".repeat(5000);
        assert_eq!(parse(&format!("q={long}")), Err(QueryError::Long));
        assert!(parse(&format!("state={long}")).expect_err("wrong").to_string().len() < 200);
    }

    proptest! {
        #[test]
        fn any_query_is_answered_and_links_round_trip(raw in "\\PC{0,60}|(state|stage|q|page|limit)=\\PC{0,20}") {
            if let Ok(query) = parse(&raw) {
                prop_assert!(query.page >= 1 && (1..=SIZES.most).contains(&query.limit));
                prop_assert_eq!(parse(&query.link()[1..]), Ok(query));
            }
        }
    }
}
