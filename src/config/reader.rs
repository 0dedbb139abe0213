//! Values to types. Diagnostics are collected, not returned: the person who wrote the file sees all of them at once.

use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde_saphyr::{Location, Spanned};

use super::document::{Node, Value};
use super::keys::{Key, Kind};

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// `file:line:column: key: what is wrong`.
    pub text: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The diagnostics of one file.
#[derive(Debug)]
pub struct Diagnostics {
    file: String,
    found: RefCell<Vec<Diagnostic>>,
    recorded: Option<RefCell<Vec<Key>>>,
}

impl Diagnostics {
    /// None yet.
    pub fn of(file: &str) -> Diagnostics {
        Diagnostics { file: file.to_owned(), found: RefCell::default(), recorded: None }
    }

    /// Records the keys that are read, with every section read as if it were present. The values read this way are
    /// meaningless.
    pub fn recording_keys() -> Diagnostics {
        Diagnostics { recorded: Some(RefCell::default()), ..Diagnostics::of("") }
    }

    /// The recorded keys, in the order in which they were read.
    pub fn into_keys(self) -> Vec<Key> {
        self.recorded.map(RefCell::into_inner).unwrap_or_default()
    }

    fn records_keys(&self) -> bool {
        self.recorded.is_some()
    }

    /// Adds one.
    pub fn add(&self, at: &Location, path: &str, what: impl fmt::Display) {
        let colon = if path.is_empty() { "" } else { ": " };
        let text = format!("{}:{}:{}: {path}{colon}{what}", self.file, at.line(), at.column());
        self.found.borrow_mut().push(Diagnostic { text });
    }

    /// All of them.
    pub fn into_list(self) -> Vec<Diagnostic> {
        self.found.into_inner()
    }
}

/// What a key holds that may hold a text or a mapping.
pub enum TextOrSection<'m> {
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
    diagnostics: &'m Diagnostics,
}

impl<'m> Section<'m> {
    /// Begins to read a mapping; anything else is a mistake and reads as an empty one.
    pub fn new(path: &str, node: Node, diagnostics: &'m Diagnostics) -> Section<'m> {
        let at = node.referenced;
        let pairs = match node.value {
            Value::Map(pairs) => pairs,
            Value::Null => Vec::new(),
            other => {
                diagnostics.add(&at, path, format!("a mapping is needed, not {}", other.kind()));
                Vec::new()
            }
        };
        Section { path: path.to_owned(), pairs, known: Vec::new(), at, diagnostics }
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
    pub fn error(&self, what: impl fmt::Display) {
        self.diagnostics.add(&self.at, &self.path, what);
    }

    /// Takes the value of a key.
    pub fn take(&mut self, key: &'static str) -> Option<Node> {
        self.known.push(key);
        let index = self.pairs.iter().position(|(name, _)| name.value == key)?;
        Some(self.pairs.remove(index).1).filter(|node| node.value != Value::Null)
    }

    /// Takes a mapping.
    pub fn section(&mut self, key: &'static str) -> Option<Section<'m>> {
        self.record(key, Kind::Section);
        self.take_or_empty(key).map(|node| self.subsection(key, node))
    }

    /// Takes a text or a mapping.
    pub fn text_or_section(&mut self, key: &'static str) -> Option<TextOrSection<'m>> {
        self.record(key, Kind::TextOrSection);
        let node = self.take_or_empty(key)?;
        match node.value {
            Value::Map(_) | Value::Null => Some(TextOrSection::Section(self.subsection(key, node))),
            _ => Some(TextOrSection::Text(node)),
        }
    }

    /// Takes a list of mappings.
    pub fn sections(&mut self, key: &'static str) -> Vec<Section<'m>> {
        self.record(key, Kind::Sections);
        let path = self.path_of(key);
        if self.diagnostics.records_keys() {
            return vec![Section::new(&format!("{path}[]"), nothing(), self.diagnostics)];
        }
        let items = self.list(key).into_iter().enumerate();
        items.map(|(index, node)| Section::new(&format!("{path}[{index}]"), node, self.diagnostics)).collect()
    }

    /// Takes a list.
    fn list(&mut self, key: &'static str) -> Vec<Node> {
        match self.take(key) {
            None => Vec::new(),
            Some(Spanned { value: Value::List(items), .. }) => items,
            Some(node) => {
                self.type_error(key, &node, "a list is needed");
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
        self.record(key, Kind::Text);
        let node = self.take(key)?;
        self.interpret(key, &node, parse)
    }

    /// Takes one of several words.
    pub fn choice<T: Clone>(&mut self, key: &'static str, choices: &[(&'static str, T)]) -> Option<T> {
        self.record(key, Kind::Choice(choices.iter().map(|(word, _)| *word).collect()));
        let node = self.take_word(key)?;
        self.interpret(key, &node, |text| match choices.iter().find(|(word, _)| *word == text) {
            Some((_, choice)) => Ok(choice.clone()),
            None => Err(format!("`{text}` is not known; {}", there_are(choices.iter().map(|(word, _)| *word)))),
        })
    }

    /// What a function understands of a text that has been taken.
    pub fn interpret<T>(&self, key: &str, node: &Node, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let Value::Text(text) = &node.value else {
            self.type_error(key, node, "a text is needed (in quotes if need be)");
            return None;
        };
        self.checked(key, node, parse(text))
    }

    /// Whether a key is there, without taking it.
    pub fn has(&self, key: &str) -> bool {
        self.pairs.iter().any(|(name, _)| name.value == key)
    }

    /// Begins to read a mapping that has been taken.
    pub fn subsection(&self, key: &str, node: Node) -> Section<'m> {
        Section::new(&self.path_of(key), node, self.diagnostics)
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
        self.record(key, Kind::Texts);
        let mut all = Vec::new();
        for node in self.list(key) {
            all.extend(self.interpret(key, &node, &parse));
        }
        all
    }

    /// Takes `off`, which gives `Some(None)`, or a text that a function understands.
    pub fn unless_off<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Option<Option<T>> {
        self.record(key, Kind::Text);
        let node = self.take_word(key)?;
        self.interpret(key, &node, |text| if text == "off" { Ok(None) } else { parse(text).map(Some) })
    }

    /// Takes `true` or `false`.
    pub fn boolean(&mut self, key: &'static str) -> Option<bool> {
        self.record(key, Kind::Boolean);
        let node = self.take(key)?;
        match node.value {
            Value::Bool(value) => Some(value),
            _ => {
                self.type_error(key, &node, "true or false is needed");
                None
            }
        }
    }

    /// Takes a whole number from 0.
    pub fn number(&mut self, key: &'static str) -> Option<u32> {
        self.record(key, Kind::Number);
        let node = self.take(key)?;
        match &node.value {
            Value::Number(text) => {
                self.checked(key, &node, text.parse().map_err(|_| format!("`{text}` is no whole number from 0")))
            }
            _ => {
                self.type_error(key, &node, "a whole number is needed");
                None
            }
        }
    }

    /// Takes a duration such as `30s`, `5m` or `1h`.
    pub fn duration(&mut self, key: &'static str) -> Option<Duration> {
        self.record(key, Kind::Duration);
        let node = self.take(key)?;
        self.interpret(key, &node, duration)
    }

    /// Ends the section: what was not taken is unknown.
    pub fn finish(self) {
        for (key, _) in &self.pairs {
            let near = self.known.iter().find(|known| is_near(known, &key.value));
            let hint = match near {
                Some(known) => format!("; did you mean `{known}`?"),
                None => format!("; there are {}", self.known.join(", ")),
            };
            self.diagnostics.add(&key.referenced, &self.path_of(&key.value), format!("unknown key{hint}"));
        }
    }

    /// Takes the value of a key that may be `off`, which YAML 1.1 takes for a boolean when it is bare.
    fn take_word(&mut self, key: &'static str) -> Option<Node> {
        let node = self.take(key)?;
        let is_off = node.value == Value::Bool(false);
        Some(if is_off { Node { value: Value::Text("off".to_owned()), ..node } } else { node })
    }

    fn record(&self, key: &str, kind: Kind) {
        if let Some(recorded) = &self.diagnostics.recorded {
            recorded.borrow_mut().push(Key { path: self.path_of(key), kind });
        }
    }

    /// Takes the value of a key, or nothing in place of it where keys are noted.
    fn take_or_empty(&mut self, key: &'static str) -> Option<Node> {
        let taken = self.take(key);
        if self.diagnostics.records_keys() { Some(nothing()) } else { taken }
    }

    fn checked<T>(&self, key: &str, node: &Node, result: Result<T, String>) -> Option<T> {
        result.map_err(|reason| self.diagnostics.add(&node.referenced, &self.path_of(key), reason)).ok()
    }

    fn type_error(&self, key: &str, node: &Node, needed: &str) {
        self.diagnostics.add(&node.referenced, &self.path_of(key), format!("{needed}, not {}", node.value.kind()));
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
    if known == given {
        return true;
    }
    let (short, long) = if known.len() <= given.len() { (&known, &given) } else { (&given, &known) };
    let same_start = short.bytes().zip(long.bytes()).take_while(|(a, b)| a == b).count();
    let rest = |text: &str, skip: usize| text.get(skip..).unwrap_or_default().to_owned();
    let swapped = rest(short, same_start + 1) == rest(long, same_start + 1);
    let dropped = rest(short, same_start) == rest(long, same_start + 1);
    long.len() - short.len() <= 1 && long.len() > 2 && (swapped || dropped)
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
