//! A plaintext value with its type, as the bytes that SOPS encrypts and authenticates.

use crate::secret::Secret;

use super::go_scalar::{self, Resolved};

/// The type of a value, which SOPS stores with the encrypted value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A text, or any bytes.
    Str,
    /// An integer.
    Int,
    /// A number with a fraction.
    Float,
    /// True or false.
    Bool,
    /// A date or time.
    Time,
    /// A comment.
    Comment,
}

impl Type {
    /// Returns the name in `type:`.
    pub fn name(self) -> &'static str {
        match self {
            Type::Str => "str",
            Type::Int => "int",
            Type::Float => "float",
            Type::Bool => "bool",
            Type::Time => "time",
            Type::Comment => "comment",
        }
    }

    /// Returns the type with a name. Sops also knows `bytes`, but no released version can read such a value.
    pub fn from_name(name: &str) -> Option<Type> {
        use Type::*;
        [Str, Int, Float, Bool, Time, Comment].into_iter().find(|kind| kind.name() == name)
    }
}

/// A plaintext value. It is not printed, and is wiped from memory when dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plaintext {
    /// Its type.
    pub kind: Type,
    bytes: Secret<Vec<u8>>,
}

impl Plaintext {
    /// Makes a text.
    pub fn text(text: impl Into<Vec<u8>>) -> Plaintext {
        Plaintext { kind: Type::Str, bytes: Secret::new(text.into()) }
    }

    /// Makes a comment, without its `#`.
    pub fn comment(text: impl Into<Vec<u8>>) -> Plaintext {
        Plaintext { kind: Type::Comment, bytes: Secret::new(text.into()) }
    }

    /// Makes a float.
    pub fn float(number: f64) -> Plaintext {
        Plaintext { kind: Type::Float, bytes: Secret::new(go_scalar::write_float(number).into_bytes()) }
    }

    /// Makes a boolean, in the spelling that SOPS inherited from Python.
    pub fn boolean(value: bool) -> Plaintext {
        let bytes = if value { b"True".to_vec() } else { b"False".to_vec() };
        Plaintext { kind: Type::Bool, bytes: Secret::new(bytes) }
    }

    /// Resolves a plain scalar like Go's YAML: `None` for null, an error for an integer that is too large for SOPS.
    pub fn resolve(text: &str) -> Result<Option<Plaintext>, go_scalar::TooLarge> {
        Ok(match go_scalar::resolve(text)? {
            Resolved::Null => None,
            Resolved::Bool(value) => Some(Plaintext::boolean(value)),
            Resolved::Int(value) => Some(Plaintext::written(Type::Int, value.to_string())),
            Resolved::Float(value) => Some(Plaintext::float(value)),
            Resolved::Time(value) => Some(Plaintext::written(Type::Time, value)),
            Resolved::Text => Some(Plaintext::text(text)),
        })
    }

    /// Makes a value of a type from decrypted bytes, in the spelling that SOPS authenticates; `None` if they are not a
    /// value of that type.
    pub fn from_decrypted(kind: Type, bytes: Secret<Vec<u8>>) -> Option<Plaintext> {
        let text = || std::str::from_utf8(bytes.expose()).ok();
        Some(match kind {
            Type::Str | Type::Comment => Plaintext { kind, bytes },
            Type::Int => Plaintext::written(kind, go_scalar::parse_decimal(text()?)?.to_string()),
            Type::Float => Plaintext::float(go_scalar::parse_float(text()?)?),
            Type::Bool => Plaintext::boolean(go_scalar::parse_bool(text()?)?),
            Type::Time => Plaintext::written(kind, go_scalar::parse_rfc3339(text()?)?),
        })
    }

    /// Returns the bytes that are encrypted and that the MAC covers.
    pub fn expose(&self) -> &[u8] {
        self.bytes.expose()
    }

    /// Returns whether there is nothing to encrypt: SOPS stores empty texts and comments as they are.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }

    fn written(kind: Type, text: String) -> Plaintext {
        Plaintext { kind, bytes: Secret::new(text.into_bytes()) }
    }
}
