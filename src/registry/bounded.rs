//! Values in the JSON of registries that take no more memory than they may, however long they are in the document.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};

/// A text of which at most `MAX` bytes are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Text<const MAX: usize>(pub String);

/// A list of which at most `MAX` elements are kept, and all are counted.
#[derive(Debug, Clone)]
pub(super) struct List<T, const MAX: usize> {
    /// The first elements.
    pub kept: Vec<T>,
    /// The number of all elements.
    pub count: usize,
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor<const MAX: usize>;

        impl<const MAX: usize> Visitor<'_> for TextVisitor<MAX> {
            type Value = Text<MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<MAX>, E> {
                let end = (0..=MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
                Ok(Text(text[..end.unwrap_or_default()].to_owned()))
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T, const MAX: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for ListVisitor<T, MAX> {
            type Value = List<T, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<List<T, MAX>, A::Error> {
                let mut list = List { kept: Vec::new(), count: 0 };
                while list.kept.len() < MAX
                    && let Some(element) = elements.next_element()?
                {
                    list.kept.push(element);
                }
                list.count = list.kept.len();
                while elements.next_element::<IgnoredAny>()?.is_some() {
                    list.count += 1;
                }
                Ok(list)
            }
        }

        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_and_lists_are_cut_and_counted() {
        let text = |json: &str| serde_json::from_str::<Text<4>>(json).expect("a text").0;
        assert_eq!(
            (text(r#""abc""#), text(r#""abcdef""#), text(r#""abcéf""#)),
            ("abc".into(), "abcd".into(), "abc".into())
        );
        let list = |json: &str| serde_json::from_str::<List<u8, 2>>(json).map(|list| (list.kept, list.count));
        assert_eq!(list("[]").expect("a list"), (vec![], 0));
        assert_eq!(list("[1,2]").expect("a list"), (vec![1, 2], 2));
        assert_eq!(list(r#"[1,2,"x",{}]"#).expect("a list"), (vec![1, 2], 4));
        assert!(list("[1,2,").is_err() && list("{}").is_err());
    }
}
