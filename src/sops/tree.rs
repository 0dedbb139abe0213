//! Files as SOPS sees them: documents of keys and values in order, with comments among them, each with its position in
//! the bytes.

use std::ops::Range;

use super::plaintext::Plaintext;
use super::selection::Selection;

/// An entry of a mapping or a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A key of a mapping and its value.
    Pair(String, Node),
    /// An item of a list.
    Element(Node),
    /// A comment.
    Comment(Leaf),
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Nothing: SOPS skips it.
    Null,
    /// A value that may be encrypted.
    Leaf(Leaf),
    /// A mapping.
    Map(Vec<Item>),
    /// A list.
    List(Vec<Item>),
}

/// A value that may be encrypted, and its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The value as it is written in the file, with its type.
    pub plain: Plaintext,
    /// Its bytes in the file, including quotes; for a comment, those after the `#`.
    pub at: Range<usize>,
    /// The way in which another value is written in its place.
    pub writing: Writing,
}

/// The way in which a value is written in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    /// Without quotes.
    Bare,
    /// In double quotes.
    Quoted,
    /// Not at all: an alias, or anything else without bytes of its own.
    Never,
}

/// One step of the path to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// A value on a walk.
pub struct Visit<'w, 't> {
    /// The value.
    pub leaf: &'t Leaf,
    /// The keys that lead to it.
    pub path: &'w [String],
    /// True if the file's rule says that it is encrypted.
    pub selected: bool,
    /// True if it is a comment.
    pub is_comment: bool,
    steps: &'w [Step],
}

impl Visit<'_, '_> {
    /// Returns the path to the value for display: `spec.containers[0].image`.
    pub fn place(&self) -> String {
        let mut place = String::new();
        for step in self.steps {
            match step {
                Step::Index(index) => place.push_str(&format!("[{index}]")),
                Step::Key(key) => {
                    let plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || "_-$".contains(c));
                    match (plain, place.is_empty()) {
                        (false, _) => place.push_str(&format!("[\"{key}\"]")),
                        (true, false) => place.push_str(&format!(".{key}")),
                        (true, true) => place.push_str(key),
                    }
                }
            }
        }
        if self.is_comment {
            place.push_str(if place.is_empty() { "a comment" } else { " (a comment)" });
        }
        place
    }
}

/// Visits every value and comment of a document, depth first and in order.
pub fn walk<'t, E>(
    document: &'t [Item],
    selection: &Selection,
    visit: &mut dyn FnMut(Visit<'_, 't>) -> Result<(), E>,
) -> Result<(), E> {
    Walker { selection, visit, path: Vec::new(), steps: Vec::new(), comments: Vec::new() }.items(document)
}

struct Walker<'v, 't, E> {
    selection: &'v Selection,
    visit: &'v mut dyn FnMut(Visit<'_, 't>) -> Result<(), E>,
    path: Vec<String>,
    steps: Vec<Step>,
    /// The comments since the last value, for each open level.
    comments: Vec<Vec<String>>,
}

impl<'t, E> Walker<'_, 't, E> {
    fn items(&mut self, items: &'t [Item]) -> Result<(), E> {
        self.comments.push(Vec::new());
        let mut index = 0;
        for item in items {
            let node = match item {
                Item::Comment(leaf) => {
                    let text = String::from_utf8_lossy(leaf.plain.expose()).into_owned();
                    self.comments.last_mut().into_iter().for_each(|level| level.push(text.clone()));
                    self.leaf(leaf, true)?;
                    continue;
                }
                Item::Pair(key, node) => {
                    self.path.push(key.clone());
                    self.steps.push(Step::Key(key.clone()));
                    node
                }
                Item::Element(node) => {
                    self.steps.push(Step::Index(index));
                    index += 1;
                    node
                }
            };
            match node {
                Node::Null => {}
                Node::Leaf(leaf) => self.leaf(leaf, false)?,
                Node::Map(items) | Node::List(items) => self.items(items)?,
            }
            self.steps.pop();
            if matches!(item, Item::Pair(..)) {
                self.path.pop();
            }
            self.comments.last_mut().into_iter().for_each(Vec::clear);
        }
        self.comments.pop();
        Ok(())
    }

    fn leaf(&mut self, leaf: &'t Leaf, is_comment: bool) -> Result<(), E> {
        let selected = self.selection.selects(&self.path, &self.comments, is_comment);
        (self.visit)(Visit { leaf, path: &self.path, selected, is_comment, steps: &self.steps })
    }
}
