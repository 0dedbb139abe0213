//! Metadata of formats without nesting: `age__list_0__map_enc` is the field `enc` of the first item of `age`.

use std::mem::discriminant;

use super::raw::Raw;

const MAP: &str = "__map_";
const LIST: &str = "__list_";

/// A list of keys does not have more items than this.
const MOST_ITEMS: usize = 1000;

/// Metadata is not nested deeper than this.
const MOST_STEPS: usize = 16;

/// The lists of a file do not have more items than this in total. The number in a key decides how many there are, so a
/// few bytes could ask for a lot of memory.
const MOST_ROOM: usize = 10_000;

/// One step into nested metadata.
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// Nests flat keys and values. `\n` in a value is a line break. A key that is both a value and a list or mapping occurs
/// twice in the result, and such an item of a list is not a key, whichever came first.
pub fn nest(flat: &[(String, String)]) -> Raw {
    let mut root = Raw::Map(Vec::new());
    let mut left = MOST_ROOM;
    for (key, value) in flat {
        if let Some(steps) = steps(key) {
            put(&mut root, &steps, value.replace("\\n", "\n"), &mut left);
        }
    }
    root
}

/// Flattens nested metadata to keys and values, in the order of keys.
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
        if steps.len() == MOST_STEPS {
            return None;
        }
        let (body, is_list) = match rest.strip_prefix(MAP) {
            Some(body) => (body, false),
            None => (rest.strip_prefix(LIST)?, true),
        };
        let name = &body[..next(body)];
        steps.push(if is_list {
            // As in sops, anything that is not a number is the first position.
            Step::Index(name.parse().ok().filter(|index| *index < MOST_ITEMS).unwrap_or(0))
        } else {
            Step::Key(name)
        });
        rest = &body[next(body)..];
    }
    Some(steps)
}

fn put(node: &mut Raw, steps: &[Step<'_>], value: String, left: &mut usize) {
    let Some((step, rest)) = steps.split_first() else {
        *node = Raw::Text(value);
        return;
    };
    let fits = |held: &Raw| discriminant(held) == discriminant(&room(rest));
    match (step, node) {
        (Step::Key(key), Raw::Map(pairs)) => {
            let held = pairs.iter().position(|(name, held)| name == key && fits(held));
            let index = held.unwrap_or_else(|| {
                pairs.push(((*key).to_owned(), room(rest)));
                pairs.len() - 1
            });
            put(&mut pairs[index].1, rest, value, left);
        }
        (Step::Index(index), Raw::List(items)) => {
            let hole = Raw::Map(Vec::new());
            let more = (index + 1).saturating_sub(items.len());
            let Some(rest_of_room) = left.checked_sub(more) else { return };
            *left = rest_of_room;
            items.resize(items.len() + more, hole.clone());
            let item = &mut items[*index];
            if *item == hole {
                *item = room(rest);
            }
            if fits(item) { put(item, rest, value, left) } else { *item = Raw::Text(String::new()) }
        }
        _ => unreachable!("a step is taken into what `room` made for it"),
    }
}

/// Returns an empty container for the next step.
fn room(steps: &[Step<'_>]) -> Raw {
    match steps.first() {
        None => Raw::Text(String::new()),
        Some(Step::Key(_)) => Raw::Map(Vec::new()),
        Some(Step::Index(_)) => Raw::List(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn keys_cannot_ask_for_endless_lists_or_depth() {
        fn count(raw: &Raw) -> usize {
            match raw {
                Raw::Text(_) | Raw::Word(_) => 0,
                Raw::List(items) => items.len() + items.iter().map(count).sum::<usize>(),
                Raw::Map(pairs) => pairs.iter().map(|(_, value)| count(value)).sum(),
            }
        }
        let keys: Vec<(String, String)> =
            (0..100).map(|n| (format!("a{n}__list_999__list_999"), "x".to_owned())).collect();
        let items = count(&nest(&keys));
        assert!((1_000..=MOST_ROOM).contains(&items), "{items}");
        let deep = flat(&[(&format!("a{}", "__map_a".repeat(100_000)), "x")]);
        assert_eq!(nest(&deep), Raw::Map(Vec::new()));
    }

    #[test]
    fn flat_keys_come_and_go() {
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

    #[test]
    fn conflicting_keys_are_detected_in_any_order() {
        let no_keys = [("age__list_0__map_enc", "a"), ("age__list_0__iap_recipient", "b")];
        let twice = [("mac", "a"), ("mac__map_b", "c")];
        for mut pairs in [no_keys, twice] {
            for _ in 0..2 {
                let Raw::Map(nested) = nest(&flat(&pairs)) else { panic!("a mapping") };
                let is_text = nested[0].1 == Raw::List(vec![Raw::Text(String::new())]);
                assert!(is_text || nested.len() == 2 && nested[0].0 == nested[1].0, "{nested:?}");
                pairs.reverse();
            }
        }
    }
}
