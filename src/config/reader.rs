//! Values to types. Errors are collected rather than returned, so that all of them can be reported at once.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde_saphyr::{Location, Spanned};

use crate::text::nearest;

use super::diagnostics::Diagnostics;
use super::document::{Node, Value, nothing};
use super::key::Kind;
use super::values::{duration, path};

/// The value of a key that may hold a string or a mapping.
pub enum TextOrSection<'m> {
    /// A string, or a value of another type that is reported as one that should be a string.
    Text(Node),
    /// A mapping.
    Section(Section<'m>),
}

/// The value of a key that may hold strings or a mapping.
pub enum TextsOrSection<'m> {
    /// A string or a list of strings; values of another type have been reported.
    Texts(Vec<Node>),
    /// A mapping.
    Section(Section<'m>),
}

/// Looks up an environment variable. Tests pass a map instead.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// A mapping that is being read: each key is taken once, and what is left at the end is reported as unknown.
pub struct Section<'m> {
    path: String,
    pairs: Vec<(Spanned<String>, Node)>,
    known: Vec<&'static str>,
    /// The known keys that are present, with any value but null or an empty list.
    present: Vec<&'static str>,
    at: Location,
    diagnostics: &'m Diagnostics,
}

impl<'m> Section<'m> {
    /// Starts reading a mapping. Anything else is reported, and reads as an empty mapping.
    pub fn new(path: &str, node: Node, diagnostics: &'m Diagnostics) -> Section<'m> {
        let at = node.referenced;
        let pairs = match node.value {
            Value::Map(pairs) => pairs,
            Value::Null => Vec::new(),
            other => {
                diagnostics.add(&at, path, format!("expected a mapping, found {}", other.kind()));
                Vec::new()
            }
        };
        Section { path: path.to_owned(), pairs, known: Vec::new(), present: Vec::new(), at, diagnostics }
    }

    /// Returns the place where the mapping starts.
    pub fn at(&self) -> &Location {
        &self.at
    }

    /// Returns the full name of a key.
    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Reports an error in the mapping as a whole.
    pub fn error(&self, what: impl fmt::Display) {
        self.diagnostics.add(&self.at, &self.path, what);
    }

    /// Takes the value of a key.
    pub fn take(&mut self, key: &'static str) -> Option<Node> {
        self.known.push(key);
        let index = self.pairs.iter().position(|(name, _)| name.value == key)?;
        let node = self.pairs.remove(index).1;
        match &node.value {
            Value::Null => return None,
            Value::List(items) if items.is_empty() => {}
            _ => self.present.push(key),
        }
        Some(node)
    }

    /// Whether a key that has been taken is missing, or an empty list. A key with an invalid value is not missing: its error
    /// has been reported.
    pub fn lacks(&self, key: &str) -> bool {
        !self.present.contains(&key)
    }

    /// Takes a mapping.
    pub fn section(&mut self, key: &'static str) -> Option<Section<'m>> {
        self.record(key, Kind::Section);
        self.take_or_empty(key).map(|node| self.subsection(key, node))
    }

    /// Takes a mapping. If there is a string instead, the error says what to write for it.
    pub fn section_instead_of(
        &mut self,
        key: &'static str,
        instead: impl Fn(&str) -> Option<String>,
    ) -> Option<Section<'m>> {
        self.record(key, Kind::Section);
        let node = self.take_or_empty(key)?;
        if let Value::Text(text) = &node.value
            && let Some(right) = instead(text)
        {
            self.add(key, &node, format!("expected a mapping, found a string; write `{right}`"));
            return None;
        }
        Some(self.subsection(key, node))
    }

    /// Takes a string or a mapping.
    pub fn text_or_section(&mut self, key: &'static str) -> Option<TextOrSection<'m>> {
        self.record(key, Kind::TextOrSection);
        let node = self.take_or_empty(key)?;
        match node.value {
            Value::Map(_) | Value::Null => Some(TextOrSection::Section(self.subsection(key, node))),
            _ => Some(TextOrSection::Text(node)),
        }
    }

    /// Takes a string, a list of strings, or a mapping.
    pub fn texts_or_section(&mut self, key: &'static str) -> Option<TextsOrSection<'m>> {
        self.record(key, Kind::TextsOrSection);
        let node = self.take_or_empty(key)?;
        Some(match node.value {
            Value::Map(_) | Value::Null => TextsOrSection::Section(self.subsection(key, node)),
            Value::List(items) => TextsOrSection::Texts(items),
            _ => TextsOrSection::Texts(vec![node]),
        })
    }

    /// Takes a list of strings and mappings.
    pub fn texts_and_sections(&mut self, key: &'static str) -> Vec<TextOrSection<'m>> {
        self.record(key, Kind::TextsAndSections);
        let path = self.path_of(key);
        if self.diagnostics.records_keys() {
            return vec![TextOrSection::Section(Section::new(&format!("{path}[]"), nothing(), self.diagnostics))];
        }
        let item = |(index, node): (usize, Node)| match node.value {
            Value::Map(_) => TextOrSection::Section(Section::new(&format!("{path}[{index}]"), node, self.diagnostics)),
            _ => TextOrSection::Text(node),
        };
        let list = self.list(key);
        list.into_iter().enumerate().map(item).collect()
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
                self.type_error(key, &node, "expected a list");
                Vec::new()
            }
        }
    }

    /// Takes a string that parses as `T`.
    pub fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, key: &'static str) -> Option<T> {
        self.parsed_with(key, |text| text.parse::<T>().map_err(|error| error.to_string()))
    }

    /// Takes a string that a function parses.
    pub fn parsed_with<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        self.record(key, Kind::Text);
        let node = self.take(key)?;
        self.interpret(key, &node, parse)
    }

    /// Takes a string or a number, as text that a function parses.
    pub fn text_or_number<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        self.record(key, Kind::TextOrNumber);
        let node = self.take(key)?;
        match &node.value {
            Value::Number(text) => self.checked(key, &node, parse(text)),
            _ => self.interpret(key, &node, parse),
        }
    }

    /// Takes one of several words.
    pub fn choice<T: Clone>(&mut self, key: &'static str, choices: &[(&'static str, T)]) -> Option<T> {
        self.record(key, Kind::Choice(choices.iter().map(|(word, _)| *word).collect()));
        let node = self.take_word(key)?;
        self.interpret(key, &node, |text| match choices.iter().find(|(word, _)| *word == text) {
            Some((_, choice)) => Ok(choice.clone()),
            None => Err(format!("invalid value `{text}`; {}", expected(choices.iter().map(|(word, _)| *word)))),
        })
    }

    /// Parses a string that has already been taken.
    pub fn interpret<T>(&self, key: &str, node: &Node, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let Value::Text(text) = &node.value else {
            let hint = if matches!(node.value, Value::Bool(_) | Value::Number(_)) { "; quote it" } else { "" };
            self.add(key, node, format!("expected a string, found {}{hint}", node.value.kind()));
            return None;
        };
        self.checked(key, node, parse(text))
    }

    /// Whether a key is present; does not take it.
    pub fn has(&self, key: &str) -> bool {
        self.pairs.iter().any(|(name, _)| name.value == key)
    }

    /// Starts reading a mapping that has already been taken.
    pub fn subsection(&self, key: &str, node: Node) -> Section<'m> {
        Section::new(&self.path_of(key), node, self.diagnostics)
    }

    /// Takes the path of a file or folder.
    pub fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        self.parsed_with(key, path)
    }

    /// Takes a list of strings that a function parses.
    pub fn each_with<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        self.record(key, Kind::Texts);
        let mut all = Vec::new();
        for node in self.list(key) {
            all.extend(self.interpret(key, &node, &parse));
        }
        all
    }

    /// Takes `off`, which gives `Some(None)`, or a string that a function parses.
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
                self.type_error(key, &node, "expected true or false");
                None
            }
        }
    }

    /// Takes a non-negative whole number.
    pub fn number(&mut self, key: &'static str) -> Option<u32> {
        self.record(key, Kind::Number);
        let node = self.take(key)?;
        match &node.value {
            Value::Number(text) => self.checked(
                key,
                &node,
                text.parse().map_err(|_| format!("expected a non-negative whole number, found `{text}`")),
            ),
            _ => {
                self.type_error(key, &node, "expected a whole number");
                None
            }
        }
    }

    /// Takes a duration such as `30s`, `5m` or `1h`.
    pub fn duration(&mut self, key: &'static str) -> Option<Duration> {
        self.record(key, Kind::Duration);
        let node = self.take(key)?;
        match &node.value {
            Value::Number(text) => self.checked(key, &node, duration(text)),
            _ => self.interpret(key, &node, duration),
        }
    }

    /// Ends the section: every key that was not taken is reported as unknown.
    pub fn finish(self) {
        for (key, _) in &self.pairs {
            let hint = match nearest(self.known.iter().copied(), &key.value) {
                Some(known) => format!("; did you mean `{known}`?"),
                None => format!("; expected one of {}", self.known.join(", ")),
            };
            self.diagnostics.add(&key.referenced, &self.path_of(&key.value), format!("unknown key{hint}"));
        }
    }

    /// Takes the value of a key that may be `off`, which YAML 1.1 reads as a boolean unless it is quoted.
    fn take_word(&mut self, key: &'static str) -> Option<Node> {
        let node = self.take(key)?;
        let is_off = node.value == Value::Bool(false);
        Some(if is_off { Node { value: Value::Text("off".to_owned()), ..node } } else { node })
    }

    fn record(&self, key: &str, kind: Kind) {
        self.diagnostics.record(self.path_of(key), kind);
    }

    /// Takes the value of a key, or an empty one where keys are recorded.
    fn take_or_empty(&mut self, key: &'static str) -> Option<Node> {
        let taken = self.take(key);
        if self.diagnostics.records_keys() { Some(nothing()) } else { taken }
    }

    fn checked<T>(&self, key: &str, node: &Node, result: Result<T, String>) -> Option<T> {
        result.map_err(|reason| self.add(key, node, reason)).ok()
    }

    fn type_error(&self, key: &str, node: &Node, needed: &str) {
        self.add(key, node, format!("{needed}, found {}", node.value.kind()));
    }

    fn add(&self, key: &str, node: &Node, what: impl fmt::Display) {
        self.diagnostics.add(&node.referenced, &self.path_of(key), what);
    }
}

/// `expected a`, `expected a, b or c`.
fn expected<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let words: Vec<&str> = words.collect();
    match words.as_slice() {
        [all @ .., last] if !all.is_empty() => format!("expected {} or {last}", all.join(", ")),
        words => format!("expected {}", words.concat()),
    }
}
