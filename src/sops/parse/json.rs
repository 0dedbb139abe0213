//! JSON files, and binary files, which SOPS wraps in JSON, parsed with the positions of all values.

use crate::sops::error::SopsError;
use crate::sops::format::METADATA_KEY;
use crate::sops::go_scalar::parse_float;
use crate::sops::plaintext::Plaintext;
use crate::sops::raw::{MetadataSpans, Raw};
use crate::sops::tree::{Item, Leaf, Node, Writing};

use super::parsed::Parsed;

/// People do not nest deeper than this, and deeper nesting must not exhaust the stack.
const DEEPEST: usize = 200;

/// Parses a file whose outermost value is an object.
pub fn parse(bytes: &[u8]) -> Result<Parsed, SopsError> {
    let text = std::str::from_utf8(bytes).map_err(|error| unreadable("not UTF-8 text", error.valid_up_to()))?;
    let mut reader = Reader { text, at: 0, depth: 0 };
    reader.blanks();
    let root = reader.value()?;
    reader.blanks();
    if reader.at < text.len() {
        return Err(unreadable("text after the end of the JSON value", reader.at));
    }
    let Json::Object(pairs) = root.json else { return Err(unreadable("not a JSON object", 0)) };
    let mut parsed = Parsed::default();
    let mut items = Vec::new();
    for (key, value) in pairs {
        if key.text != METADATA_KEY {
            items.push(Item::Pair(key.text, node(value)));
            continue;
        }
        let field = |name: &str| match &value.json {
            Json::Object(pairs) => {
                pairs.iter().rev().find(|(key, _)| key.text == name).map(|(_, value)| value.at.clone())
            }
            _ => None,
        };
        parsed.spans = vec![MetadataSpans {
            mac: field("mac").unwrap_or_default(),
            last_modified: field("lastmodified").unwrap_or_default(),
            block: key.at.start..value.at.end,
        }];
        parsed.metadata = Some(raw(value));
    }
    parsed.documents = vec![items];
    Ok(parsed)
}

type Range = std::ops::Range<usize>;

struct Value {
    json: Json,
    at: Range,
}

enum Json {
    Object(Vec<(Key, Value)>),
    Array(Vec<Value>),
    Text(String),
    Number(f64),
    Bool(bool),
    Null,
}

struct Key {
    text: String,
    at: Range,
}

fn node(value: Value) -> Node {
    let plain = match value.json {
        Json::Null => return Node::Null,
        Json::Object(pairs) => {
            return Node::Map(pairs.into_iter().map(|(key, value)| Item::Pair(key.text, node(value))).collect());
        }
        Json::Array(values) => return Node::List(values.into_iter().map(|value| Item::Element(node(value))).collect()),
        Json::Text(text) => Plaintext::text(text),
        // Go reads every JSON number as a float.
        Json::Number(number) => Plaintext::float(number),
        Json::Bool(value) => Plaintext::boolean(value),
    };
    Node::Leaf(Leaf { plain, at: value.at, writing: Writing::Quoted })
}

fn raw(value: Value) -> Raw {
    match value.json {
        Json::Object(pairs) => {
            // If a key occurs twice, Go takes the last value.
            let mut kept: Vec<(String, Raw)> = Vec::new();
            for (key, value) in pairs {
                kept.retain(|(name, _)| *name != key.text);
                kept.push((key.text, raw(value)));
            }
            Raw::Map(kept)
        }
        Json::Array(values) => Raw::List(values.into_iter().map(raw).collect()),
        Json::Text(text) => Raw::Text(text),
        Json::Number(number) => Raw::Text(number.to_string()),
        Json::Bool(value) => Raw::Text(value.to_string()),
        Json::Null => Raw::Text(String::new()),
    }
}

fn unreadable(what: &str, at: usize) -> SopsError {
    SopsError::Unreadable(format!("{what} (byte {at})"))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn fail<T>(&self) -> Result<T, SopsError> {
        let what = if self.at >= self.text.len() { "the JSON text is truncated" } else { "not valid JSON" };
        Err(unreadable(what, self.at))
    }

    fn value(&mut self) -> Result<Value, SopsError> {
        let start = self.at;
        let json = match self.peek() {
            Some(b'{') => self.object()?,
            Some(b'[') => self.array()?,
            Some(b'"') => Json::Text(self.string()?),
            Some(b't') => self.word("true", Json::Bool(true))?,
            Some(b'f') => self.word("false", Json::Bool(false))?,
            Some(b'n') => self.word("null", Json::Null)?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => return self.fail(),
        };
        Ok(Value { json, at: start..self.at })
    }

    fn word(&mut self, word: &str, json: Json) -> Result<Json, SopsError> {
        if !self.text[self.at..].starts_with(word) {
            return self.fail();
        }
        self.at += word.len();
        Ok(json)
    }

    fn number(&mut self) -> Result<Json, SopsError> {
        let rest = &self.text[self.at..];
        let length = rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(rest.len());
        let body = rest[..length].strip_prefix('-').unwrap_or(&rest[..length]);
        let leading_zero = body.len() > 1 && body.starts_with('0') && body.as_bytes()[1].is_ascii_digit();
        let valid = body.starts_with(|c: char| c.is_ascii_digit()) && !leading_zero;
        let open_fraction = body.split(['e', 'E']).next().is_some_and(|mantissa| mantissa.ends_with('.'));
        match parse_float(&rest[..length]).filter(|_| valid && !open_fraction) {
            Some(number) => {
                self.at += length;
                Ok(Json::Number(number))
            }
            None => self.fail(),
        }
    }

    fn enter(&mut self) -> Result<(), SopsError> {
        self.at += 1;
        self.depth += 1;
        if self.depth > DEEPEST { Err(unreadable("JSON nested too deeply", self.at)) } else { Ok(()) }
    }

    /// Returns whether another value of a collection follows.
    fn more(&mut self, close: u8) -> Result<bool, SopsError> {
        self.blanks();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.blanks();
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            _ => self.fail(),
        }
    }

    fn is_empty(&mut self, close: u8) -> bool {
        self.blanks();
        let empty = self.peek() == Some(close);
        if empty {
            self.at += 1;
            self.depth -= 1;
        }
        empty
    }

    fn object(&mut self) -> Result<Json, SopsError> {
        self.enter()?;
        let mut pairs = Vec::new();
        if self.is_empty(b'}') {
            return Ok(Json::Object(pairs));
        }
        loop {
            let start = self.at;
            let text = self.string()?;
            let at = start..self.at;
            self.blanks();
            if self.peek() != Some(b':') {
                return self.fail();
            }
            self.at += 1;
            self.blanks();
            pairs.push((Key { text, at }, self.value()?));
            if !self.more(b'}')? {
                return Ok(Json::Object(pairs));
            }
        }
    }

    fn array(&mut self) -> Result<Json, SopsError> {
        self.enter()?;
        let mut values = Vec::new();
        if self.is_empty(b']') {
            return Ok(Json::Array(values));
        }
        loop {
            values.push(self.value()?);
            if !self.more(b']')? {
                return Ok(Json::Array(values));
            }
        }
    }

    fn string(&mut self) -> Result<String, SopsError> {
        if self.peek() != Some(b'"') {
            return self.fail();
        }
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = &self.text[self.at..];
            let Some(c) = rest.chars().next() else { return self.fail() };
            match c {
                '"' => {
                    self.at += 1;
                    return Ok(text);
                }
                '\\' => {
                    self.at += 1;
                    text.push(self.escape()?);
                }
                c if c < ' ' => return self.fail(),
                c => {
                    self.at += c.len_utf8();
                    text.push(c);
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, SopsError> {
        let Some(byte) = self.peek() else { return self.fail() };
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => byte as char,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let Some(first) = self.hex() else { return self.fail() };
                self.at += 4;
                // An unpaired surrogate is replaced, as in Go.
                let second = self.text[self.at..].starts_with("\\u").then(|| {
                    self.at += 2;
                    self.hex()
                });
                match (char::from_u32(first), second.flatten()) {
                    (None, Some(second)) if (0xd800..0xdc00).contains(&first) && (0xdc00..0xe000).contains(&second) => {
                        self.at += 4;
                        char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)).unwrap_or('\u{fffd}')
                    }
                    (one, second) => {
                        self.at -= if second.is_some() || self.text[..self.at].ends_with("\\u") { 2 } else { 0 };
                        one.unwrap_or('\u{fffd}')
                    }
                }
            }
            _ => return self.fail(),
        })
    }

    fn hex(&self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(json: &str) -> Vec<String> {
        let parsed = parse(json.as_bytes()).expect("valid JSON");
        let shown = |node: &Node| match node {
            Node::Leaf(leaf) => format!(
                "{} {} = {}",
                leaf.plain.kind.name(),
                &json[leaf.at.clone()],
                String::from_utf8_lossy(leaf.plain.expose())
            ),
            Node::Null => "null".to_owned(),
            _ => "more".to_owned(),
        };
        parsed.documents[0]
            .iter()
            .filter_map(|item| match item {
                Item::Pair(_, node) => Some(shown(node)),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn values_have_types_and_places() {
        assert_eq!(
            texts("{\"a\": 1, \"b\": -1.50e1, \"c\": true, \"d\": null, \"e\": [], \"f\":\"x\"}\n"),
            ["float 1 = 1", "float -1.50e1 = -15", "bool true = True", "null", "more", "str \"x\" = x"]
        );
        assert_eq!(
            texts(r#"{"a":"\u00e9\ud83d\ude00\ud83dx\ud83d\u0041\n"}"#),
            ["str \"\\u00e9\\ud83d\\ude00\\ud83dx\\ud83d\\u0041\\n\" = é😀\u{fffd}x\u{fffd}A\n"]
        );
    }

    #[test]
    fn invalid_json_is_refused() {
        for json in ["", "[]", "{", "{\"a\"}", "{\"a\":01}", "{\"a\":1.}", "{\"a\":1,}", "{} x", "{\"a\":\"\n\"}"] {
            assert!(parse(json.as_bytes()).is_err(), "{json}");
        }
        assert!(parse("{\"a\":".repeat(100_000).as_bytes()).is_err());
    }
}
