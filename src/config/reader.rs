//! Values to types. Mistakes are collected, not returned: the person who wrote the file sees all of them at once.

use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde_saphyr::{Location, Spanned};
use strsim::levenshtein;

use super::catalogue::{Key, Kind};
use super::document::{Node, Value};

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// `file:line:column: key: what is wrong`.
    pub text: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The mistakes of one file.
#[derive(Debug)]
pub struct Mistakes {
    file: String,
    found: RefCell<Vec<Mistake>>,
    asked: Option<RefCell<Vec<Key>>>,
}

impl Mistakes {
    /// None yet.
    pub fn of(file: &str) -> Mistakes {
        Mistakes { file: file.to_owned(), found: RefCell::default(), asked: None }
    }

    /// Notes the keys that are asked for, and has every section read as if it were there. What comes of it besides means
    /// nothing.
    pub fn noting_keys() -> Mistakes {
        Mistakes { asked: Some(RefCell::default()), ..Mistakes::of("") }
    }

    /// The keys that were asked for, in the order in which they were.
    pub fn into_keys(self) -> Vec<Key> {
        self.asked.map(RefCell::into_inner).unwrap_or_default()
    }

    fn notes_keys(&self) -> bool {
        self.asked.is_some()
    }

    /// Adds one.
    pub fn add(&self, at: &Location, path: &str, what: impl fmt::Display) {
        let colon = if path.is_empty() { "" } else { ": " };
        let text = format!("{}:{}:{}: {path}{colon}{what}", self.file, at.line(), at.column());
        self.found.borrow_mut().push(Mistake { text });
    }

    /// All of them.
    pub fn into_list(self) -> Vec<Mistake> {
        self.found.into_inner()
    }
}

/// What a key holds that may hold a text or a mapping.
pub enum Form<'m> {
    /// A text, or what is to be called one.
    Text(Node),
    /// A mapping.
    Section(Section<'m>),
}

/// The environment, so that a map can stand in for it.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// A mapping that is being read: each key is taken once, and what is left is unknown.
pub struct Section<'m> {
    path: String,
    pairs: Vec<(Spanned<String>, Node)>,
    known: Vec<&'static str>,
    at: Location,
    mistakes: &'m Mistakes,
}

impl<'m> Section<'m> {
    /// Begins to read a mapping; anything else is a mistake and reads as an empty one.
    pub fn new(path: &str, node: Node, mistakes: &'m Mistakes) -> Section<'m> {
        let at = node.referenced;
        let pairs = match node.value {
            Value::Map(pairs) => pairs,
            Value::Null => Vec::new(),
            other => {
                mistakes.add(&at, path, format!("a mapping is needed, not {}", other.kind()));
                Vec::new()
            }
        };
        Section { path: path.to_owned(), pairs, known: Vec::new(), at, mistakes }
    }

    /// Where the mapping starts.
    pub fn at(&self) -> &Location {
        &self.at
    }

    /// The full name of a key.
    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Says that something is wrong with the mapping as a whole.
    pub fn mistake(&self, what: impl fmt::Display) {
        self.mistakes.add(&self.at, &self.path, what);
    }

    /// Takes the value of a key.
    pub fn take(&mut self, key: &'static str) -> Option<Node> {
        self.known.push(key);
        let index = self.pairs.iter().position(|(name, _)| name.value == key)?;
        Some(self.pairs.remove(index).1).filter(|node| node.value != Value::Null)
    }

    /// Takes a mapping.
    pub fn section(&mut self, key: &'static str) -> Option<Section<'m>> {
        self.ask(key, Kind::Section);
        self.take_or_suppose(key).map(|node| self.inside(key, node))
    }

    /// Takes a text or a mapping.
    pub fn text_or_section(&mut self, key: &'static str) -> Option<Form<'m>> {
        self.ask(key, Kind::TextOrSection);
        let node = self.take_or_suppose(key)?;
        match node.value {
            Value::Map(_) | Value::Null => Some(Form::Section(self.inside(key, node))),
            _ => Some(Form::Text(node)),
        }
    }

    /// Takes a list of mappings.
    pub fn sections(&mut self, key: &'static str) -> Vec<Section<'m>> {
        self.ask(key, Kind::Sections);
        let path = self.path_of(key);
        if self.mistakes.notes_keys() {
            return vec![Section::new(&format!("{path}[]"), nothing(), self.mistakes)];
        }
        let items = self.list(key).into_iter().enumerate();
        items.map(|(index, node)| Section::new(&format!("{path}[{index}]"), node, self.mistakes)).collect()
    }

    /// Takes a list.
    fn list(&mut self, key: &'static str) -> Vec<Node> {
        match self.take(key) {
            None => Vec::new(),
            Some(Spanned { value: Value::List(items), .. }) => items,
            Some(node) => {
                self.wrong(key, &node, "a list is needed");
                Vec::new()
            }
        }
    }

    /// Takes a text that parses as `T`.
    pub fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, key: &'static str) -> Option<T> {
        self.parsed_with(key, |text| text.parse::<T>().map_err(|error| error.to_string()))
    }

    /// Takes a text that a function understands.
    pub fn parsed_with<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        self.ask(key, Kind::Text);
        let node = self.take(key)?;
        self.understood(key, &node, parse)
    }

    /// Takes one of several words.
    pub fn choice<T: Clone>(&mut self, key: &'static str, choices: &[(&'static str, T)]) -> Option<T> {
        self.ask(key, Kind::Choice(choices.iter().map(|(word, _)| *word).collect()));
        let node = self.take_word(key)?;
        self.understood(key, &node, |text| match choices.iter().find(|(word, _)| *word == text) {
            Some((_, choice)) => Ok(choice.clone()),
            None => Err(format!("`{text}` is not known; {}", there_are(choices.iter().map(|(word, _)| *word)))),
        })
    }

    /// What a function understands of a text that has been taken.
    pub fn understood<T>(&self, key: &str, node: &Node, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let Value::Text(text) = &node.value else {
            self.wrong(key, node, "a text is needed (in quotes if need be)");
            return None;
        };
        self.judge(key, node, parse(text))
    }

    /// Whether a key is there, without taking it.
    pub fn has(&self, key: &str) -> bool {
        self.pairs.iter().any(|(name, _)| name.value == key)
    }

    /// Begins to read a mapping that has been taken.
    pub fn inside(&self, key: &str, node: Node) -> Section<'m> {
        Section::new(&self.path_of(key), node, self.mistakes)
    }

    /// Takes the path of a file or folder.
    pub fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        self.parsed_with(key, |text| match text.is_empty() {
            true => Err("a path is needed".to_owned()),
            false => Ok(PathBuf::from(text)),
        })
    }

    /// Takes a list of texts that a function understands.
    pub fn each_with<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        self.ask(key, Kind::Texts);
        let mut all = Vec::new();
        for node in self.list(key) {
            all.extend(self.understood(key, &node, &parse));
        }
        all
    }

    /// Takes `off`, which gives `Some(None)`, or a text that a function understands.
    pub fn unless_off<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Option<Option<T>> {
        self.ask(key, Kind::Text);
        let node = self.take_word(key)?;
        self.understood(key, &node, |text| if text == "off" { Ok(None) } else { parse(text).map(Some) })
    }

    /// Takes `true` or `false`.
    pub fn boolean(&mut self, key: &'static str) -> Option<bool> {
        self.ask(key, Kind::Boolean);
        let node = self.take(key)?;
        match node.value {
            Value::Bool(value) => Some(value),
            _ => {
                self.wrong(key, &node, "true or false is needed");
                None
            }
        }
    }

    /// Takes a whole number from 0.
    pub fn number(&mut self, key: &'static str) -> Option<u32> {
        self.ask(key, Kind::Number);
        let node = self.take(key)?;
        match &node.value {
            Value::Number(text) => {
                self.judge(key, &node, text.parse().map_err(|_| format!("`{text}` is no whole number from 0")))
            }
            _ => {
                self.wrong(key, &node, "a whole number is needed");
                None
            }
        }
    }

    /// Takes a duration such as `30s`, `5m` or `1h`.
    pub fn duration(&mut self, key: &'static str) -> Option<Duration> {
        self.ask(key, Kind::Duration);
        let node = self.take(key)?;
        self.understood(key, &node, duration)
    }

    /// Ends the section: what was not taken is unknown.
    pub fn finish(self) {
        for (key, _) in &self.pairs {
            let near = self.known.iter().find(|known| is_near(known, &key.value));
            let hint = match near {
                Some(known) => format!("; did you mean `{known}`?"),
                None => format!("; there are {}", self.known.join(", ")),
            };
            self.mistakes.add(&key.referenced, &self.path_of(&key.value), format!("unknown key{hint}"));
        }
    }

    /// Takes the value of a key that may be `off`, which YAML 1.1 takes for a boolean when it is bare.
    fn take_word(&mut self, key: &'static str) -> Option<Node> {
        let node = self.take(key)?;
        let is_off = node.value == Value::Bool(false);
        Some(if is_off { Node { value: Value::Text("off".to_owned()), ..node } } else { node })
    }

    fn ask(&self, key: &str, kind: Kind) {
        if let Some(asked) = &self.mistakes.asked {
            asked.borrow_mut().push(Key { path: self.path_of(key), kind });
        }
    }

    /// Takes the value of a key, or nothing in place of it where keys are noted.
    fn take_or_suppose(&mut self, key: &'static str) -> Option<Node> {
        let taken = self.take(key);
        if self.mistakes.notes_keys() { Some(nothing()) } else { taken }
    }

    fn judge<T>(&self, key: &str, node: &Node, result: Result<T, String>) -> Option<T> {
        result.map_err(|reason| self.mistakes.add(&node.referenced, &self.path_of(key), reason)).ok()
    }

    fn wrong(&self, key: &str, node: &Node, needed: &str) {
        self.mistakes.add(&node.referenced, &self.path_of(key), format!("{needed}, not {}", node.value.kind()));
    }
}

/// A value that stands nowhere.
pub fn nothing() -> Node {
    let nowhere = Location::UNKNOWN;
    Node { value: Value::Null, referenced: nowhere, defined: nowhere }
}

/// `there is only a`, `there are a, b and c`.
fn there_are<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let words: Vec<&str> = words.collect();
    match words.as_slice() {
        [only] => format!("there is only `{only}`"),
        [all @ .., last] => format!("there are {} and {last}", all.join(", ")),
        [] => "there is none".to_owned(),
    }
}

/// Reads `30s`, `5m`, `1h`, `1h30m`, `250ms`; zero is no duration here.
pub fn duration(text: &str) -> Result<Duration, String> {
    let fail = || format!("`{text}` is no duration; write for example 30s, 5m or 1h");
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| fail())?;
    let duration = Duration::try_from(parsed).map_err(|_| fail())?;
    if duration.is_zero() { Err(fail()) } else { Ok(duration) }
}

/// One letter off, or only case and dashes apart.
pub fn is_near(known: &str, given: &str) -> bool {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_'], "");
    let (known, given) = (plain(known), plain(given));
    known == given || known.len().max(given.len()) > 2 && levenshtein(&known, &given) <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for text in ["", "30", "s", "-5s", "0s", "soon"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn near_keys_are_recognised() {
        assert!(is_near("keyFile", "keyfile") && is_near("keyFile", "key-file") && is_near("branch", "brnch"));
        assert!(is_near("branch", "brunch") && !is_near("branch", "url"));
    }
}
