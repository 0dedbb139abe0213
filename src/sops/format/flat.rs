//! Metadata of formats without nesting: `age__list_0__map_enc` is the field `enc` of the first item of `age`.

use crate::sops::metadata::Raw;

const MAP: &str = "__map_";
const LIST: &str = "__list_";

/// More items than this are no list of keys.
const MOST_ITEMS: usize = 1000;

/// One step into nested metadata.
enum Step<'a> {
    Key(&'a str),
    /// None for what is no place in a list: an item all the same, which is no key.
    Index(Option<usize>),
}

/// Flat keys and values, nested. `\n` in a value stands for a line end.
pub fn nest(flat: &[(String, String)]) -> Raw {
    let mut root = Raw::Map(Vec::new());
    for (key, value) in flat {
        if let Some(steps) = steps(key) {
            put(&mut root, &steps, value.replace("\\n", "\n"));
        }
    }
    root
}

/// Nested metadata as flat keys and values, in the order of keys.
pub fn flatten(raw: &Raw) -> Vec<(String, String)> {
    let mut flat = Vec::new();
    let Raw::Map(pairs) = raw else { return flat };
    pairs.iter().for_each(|(key, value)| spread(key.clone(), value, &mut flat));
    flat.sort();
    flat
}

fn spread(key: String, raw: &Raw, flat: &mut Vec<(String, String)>) {
    match raw {
        Raw::Text(text) | Raw::Word(text) => flat.push((key, text.replace('\n', "\\n"))),
        Raw::List(items) => {
            for (index, item) in items.iter().enumerate() {
                spread(format!("{key}{LIST}{index}"), item, flat);
            }
        }
        Raw::Map(pairs) => {
            for (name, value) in pairs {
                spread(format!("{key}{MAP}{name}"), value, flat);
            }
        }
    }
}

fn steps(key: &str) -> Option<Vec<Step<'_>>> {
    let next = |text: &str| [text.find(MAP), text.find(LIST)].into_iter().flatten().min().unwrap_or(text.len());
    let mut steps = vec![Step::Key(&key[..next(key)])];
    let mut rest = &key[next(key)..];
    while !rest.is_empty() {
        let (body, is_list) = match rest.strip_prefix(MAP) {
            Some(body) => (body, false),
            None => (rest.strip_prefix(LIST)?, true),
        };
        let name = &body[..next(body)];
        steps.push(if is_list {
            Step::Index(name.parse().ok().filter(|index| *index < MOST_ITEMS))
        } else {
            Step::Key(name)
        });
        rest = &body[next(body)..];
    }
    Some(steps)
}

fn put(node: &mut Raw, steps: &[Step<'_>], value: String) {
    let Some((step, rest)) = steps.split_first() else {
        *node = Raw::Text(value);
        return;
    };
    match step {
        Step::Key(key) => {
            if !matches!(node, Raw::Map(_)) {
                *node = Raw::Map(Vec::new());
            }
            let Raw::Map(pairs) = node else { return };
            let index = pairs.iter().position(|(name, _)| name == key).unwrap_or_else(|| {
                pairs.push(((*key).to_owned(), Raw::Text(String::new())));
                pairs.len() - 1
            });
            put(&mut pairs[index].1, rest, value);
        }
        Step::Index(index) => {
            if !matches!(node, Raw::List(_)) {
                *node = Raw::List(Vec::new());
            }
            let Raw::List(items) = node else { return };
            let index = index.unwrap_or(items.len());
            while items.len() <= index {
                items.push(Raw::Text(String::new()));
            }
            put(&mut items[index], rest, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_keys_come_and_go() {
        let flat = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let given = flat(&[
            ("age__list_0__map_enc", "a\\nb"),
            ("age__list_1__map_enc", "c"),
            ("key_groups__list_0__map_age__list_0__map_recipient", "r"),
            ("mac", "m"),
        ]);
        let nested = nest(&given);
        assert_eq!(flatten(&nested), given);
        let Raw::Map(pairs) = nested else { panic!("a mapping") };
        let enc = |text: &str| Raw::Map(vec![("enc".to_owned(), Raw::Text(text.to_owned()))]);
        assert_eq!(pairs[0], ("age".to_owned(), Raw::List(vec![enc("a\nb"), enc("c")])));
        assert_eq!(nest(&flat(&[("age__list_99999999999", "x")])), nest(&flat(&[("age__list_0", "x")])));
    }
}
