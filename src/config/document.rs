//! YAML to values with their places.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Error, Location, Spanned, UserMessageFormatter};

use super::diagnostics::Diagnostic;

/// A value and its place in the file.
pub type Node = Spanned<Value>;

/// A value of any type.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Null.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as the parser prints it.
    Number(String),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Keys and values.
    Map(Vec<(Spanned<String>, Node)>),
}

impl Value {
    /// Returns the name of its type, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Parses a file. An empty one reads as nothing.
///
/// # Errors
/// It is not valid YAML.
pub fn parse(bytes: &[u8], file: &str) -> Result<Node, Diagnostic> {
    let parsed = serde_saphyr::from_slice::<Option<Node>>(bytes);
    parsed.map(|root| root.unwrap_or_else(nothing)).map_err(|error| {
        let at = error.location().map(|at| format!(":{}:{}", at.line(), at.column())).unwrap_or_default();
        // The parser's message is followed by a picture of the line; its first line says it all.
        let message = match error.without_snippet() {
            Error::DuplicateMappingKey { key: Some(key), .. } => format!("the key `{key}` is there twice"),
            Error::DuplicateMappingKey { key: None, .. } => "a key is there twice".to_owned(),
            other => other.render_with_formatter(&UserMessageFormatter),
        };
        Diagnostic { text: format!("{file}{at}: {}", message.lines().next().unwrap_or_default()) }
    })
}

/// A value that is nowhere in a file.
pub fn nothing() -> Node {
    let nowhere = Location::UNKNOWN;
    Node { value: Value::Null, referenced: nowhere, defined: nowhere }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(pair) = pairs.next_entry()? {
            map.push(pair);
        }
        Ok(Value::Map(map))
    }
}
