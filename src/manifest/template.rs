//! Complete references on lines of Go templates that are the same however the template is rendered.
//!
//! A chart's template is not YAML, so it is read line by line. A line with a template action is left alone, and so is
//! every line inside an action or a comment that spans lines, or inside a block scalar. An edit replaces bytes of one
//! line, and every other line is as it was.

use std::ops::Range;

use crate::image::Reference;
use crate::yaml::place::{Lines, Place};

use super::field::{Field, Shape, Slots, Spot};
use super::value::{key_names_image, reference};

/// Returns the fields of a template; none if the file has no action at all, so that it is not a template.
pub(super) fn fields(bytes: &[u8]) -> Vec<Field> {
    let Ok(text) = std::str::from_utf8(bytes) else { return Vec::new() };
    if !text.contains("{{") || text.contains('\0') {
        return Vec::new();
    }
    let lines = Lines::of(text);
    let mut reader = Reader::default();
    let mut found: Vec<Field> = Vec::new();
    for number in 0..lines.count() {
        let range = lines.range(text, number);
        let line = text[range.clone()].trim_end_matches(['\r', '\n']);
        let Some((path, part)) = reader.line(line) else { continue };
        let same = found.iter().filter(|field| field.path.split('#').next() == Some(path.as_str())).count();
        let path = if same == 0 { path } else { format!("{path}#{}", same + 1) };
        let Ok(reference) = line[part.clone()].parse::<Reference>() else { continue };
        let written_name = Reference::written_name(&line[part.clone()]).to_owned();
        let place = Place { line: number + 1, column: line[..part.start].chars().count() + 1 };
        let part = range.start + part.start..range.start + part.end;
        let slots = Slots::Line { part };
        let spot =
            Spot { document: 0, path, place, shape: Shape::Template, version: reference.version, marked: false, slots };
        found.push(spot.field(reference.repository, written_name, false));
    }
    found
}

/// Replaces parts of a template. Returns `None` unless the result has the same lines except for those parts.
pub(super) fn replace(bytes: &[u8], mut changes: Vec<(Range<usize>, String)>) -> Option<Vec<u8>> {
    changes.sort_by_key(|(range, _)| range.start);
    changes.dedup();
    let before = fields(bytes);
    let mut edited = Vec::with_capacity(bytes.len() + 64);
    let mut at = 0;
    for (range, text) in &changes {
        edited.extend_from_slice(bytes.get(at..range.start)?);
        edited.extend_from_slice(text.as_bytes());
        at = range.end;
    }
    edited.extend_from_slice(bytes.get(at..)?);
    let after = fields(&edited);
    let is_same = |(one, other): (&Field, &Field)| {
        let Slots::Line { part } = &one.slots else { return false };
        let written = changes.iter().find(|(range, _)| range == part).map(|(_, text)| text.as_str());
        let kept = || std::str::from_utf8(&bytes[part.clone()]).ok();
        let wanted = written.or_else(kept).and_then(|text| text.parse::<Reference>().ok());
        one.place == other.place
            && one.path == other.path
            && wanted.is_some_and(|wanted| wanted.version == other.version)
    };
    let is_verified = before.len() == after.len() && before.iter().zip(&after).all(is_same);
    is_verified.then_some(edited)
}

/// The state between lines.
#[derive(Default)]
struct Reader {
    /// The delimiter that ends an action or a comment which spans lines.
    open: Option<&'static str>,
    /// The indentation of the key whose value is a block scalar.
    block: Option<usize>,
    /// The keys and items that the current line is below, with their columns. The number of an item counts those at the
    /// same column since the key above.
    above: Vec<(usize, Step)>,
}

enum Step {
    Key(String),
    Item(usize),
}

/// The delimiters of actions and comments: those of Go and of Jinja.
const DELIMITERS: [(&str, &str); 3] = [("{{", "}}"), ("{%", "%}"), ("{#", "#}")];

impl Reader {
    /// Reads a line. Returns the path of its key and the bytes of its value if that is a complete reference.
    fn line(&mut self, line: &str) -> Option<(String, Range<usize>)> {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let was_open = self.open.is_some();
        if self.is_action(line) {
            let start = DELIMITERS.iter().filter_map(|(start, _)| line.find(start)).min().unwrap_or_default();
            let is_inside = was_open || self.block.is_some_and(|block| indent > block);
            if !is_inside && indent < start {
                // The item or the key is there, whatever its value is.
                self.block = None;
                self.key(&line[..start], indent);
            }
            return None;
        }
        let content = &line[indent..];
        if content.is_empty() || content.starts_with('#') {
            return None;
        }
        if self.block.is_some_and(|block| indent > block) {
            return None;
        }
        self.block = None;
        let (key_at, key, value_at) = self.key(line, indent)?;
        let value = &line[value_at..];
        if value.starts_with(['|', '>']) {
            self.block = Some(key_at);
            return None;
        }
        let part = scalar(value)?;
        let part = value_at + part.start..value_at + part.end;
        let is_reference = key_names_image(key) && reference(Some(key), &line[part.clone()]).is_some();
        is_reference.then(|| (self.path(), part))
    }

    /// Returns whether a line contains an action, or is inside one.
    fn is_action(&mut self, line: &str) -> bool {
        let mut rest = line;
        let mut found = self.open.is_some();
        loop {
            if let Some(end) = self.open {
                let Some((_, after)) = rest.split_once(end) else { return true };
                (self.open, rest) = (None, after);
            }
            let next = DELIMITERS.iter().filter_map(|(start, end)| Some((rest.find(start)?, *end))).min();
            let Some((at, end)) = next else { return found };
            found = true;
            (self.open, rest) = (Some(end), &rest[at + 2..]);
        }
    }

    /// Reads the dashes and the key of a line, and returns the key with its column, and the column of the value.
    fn key<'l>(&mut self, line: &'l str, indent: usize) -> Option<(usize, &'l str, usize)> {
        let mut at = indent;
        while line[at..].starts_with("- ") {
            self.enter_item(at);
            at += 1;
            at += line[at..].len() - line[at..].trim_start_matches(' ').len();
        }
        let (key, rest) = line[at..].split_once(':')?;
        let is_plain =
            !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        if !is_plain || !(rest.is_empty() || rest.starts_with(' ')) {
            return None;
        }
        self.above.retain(|(column, _)| *column < at);
        self.above.push((at, Step::Key(key.to_owned())));
        let blanks = rest.len() - rest.trim_start_matches(' ').len();
        Some((at, key, at + key.len() + 1 + blanks))
    }

    fn enter_item(&mut self, at: usize) {
        let last = self.above.iter().rev().find_map(|(column, step)| match step {
            Step::Item(number) if *column == at => Some(*number + 1),
            _ => None,
        });
        // The items of a list may have the same column as its key.
        self.above.retain(|(column, step)| *column < at || *column == at && matches!(step, Step::Key(_)));
        self.above.push((at, Step::Item(last.unwrap_or_default())));
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for (_, step) in &self.above {
            match step {
                Step::Item(number) => path.push_str(&format!("[{number}]")),
                Step::Key(key) => {
                    path.push_str(if path.is_empty() { "" } else { "." });
                    path.push_str(key);
                }
            }
        }
        path
    }
}

/// Returns the bytes of a scalar without its quotes, if nothing but a comment follows.
fn scalar(value: &str) -> Option<Range<usize>> {
    let (start, end) = match value.chars().next()? {
        quote @ ('"' | '\'') => (1, 1 + value[1..].find(quote)?),
        _ => (0, value.find([' ', '\t']).unwrap_or(value.len())),
    };
    let after = &value[end + start..];
    let rest = after.trim_start_matches([' ', '\t']);
    let is_end = rest.is_empty() || rest.starts_with('#') && after.len() > rest.len();
    (is_end && start < end).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let shown =
            |field: &Field| format!("{}:{} {}:{}", field.place.line, field.path, field.repository, field.version);
        fields(text.as_bytes()).iter().map(shown).collect()
    }

    #[test]
    fn literal_lines_of_a_template_are_fields() {
        let text = "{{- if .Values.on }}\nspec:\n  containers:\n  - name: a\n    image: acme/a:1 # why\n  - image: \"acme/b:2\"\n    args: {{ .Values.args }}\n  initContainers:\n    - name: {{ .Values.name }}\n      image: 'acme/c:3'\n{{- end }}\n";
        assert_eq!(
            found(text),
            [
                "5:spec.containers[0].image docker.io/acme/a:1",
                "6:spec.containers[1].image docker.io/acme/b:2",
                "10:spec.initContainers[0].image docker.io/acme/c:3",
            ]
        );
    }

    #[test]
    fn everything_else_is_left_alone() {
        for text in [
            "image: acme/a:1\n",
            "{{ x }}\nimage: {{ .Values.image }}\n",
            "{{ x }}\nimage: \"acme/a:{{ .Values.tag }}\"\n",
            "{{/*\nimage: acme/a:1\n*/}}\n",
            "{{- $x := dict\n  \"a\" 1\n}}{{ y\n}}\n# image: acme/a:1\n",
            "{{ x }}\nconfig: |\n  image: acme/a:1\n\n  image: acme/b:1\n",
            "{{ x }}\nimage: acme/a:1 acme/b:1\n",
            "{{ x }}\nnote: acme/a:1\n",
            "{{ x }}\nimage: acme/a\n",
            "{{ x }}\n{# image:\nimage: acme/a:1\n#}\n",
        ] {
            assert_eq!(found(text), Vec::<String>::new(), "{text:?}");
        }
    }

    #[test]
    fn only_the_reference_changes() {
        let text = "{{ x }}\r\nimage: 'acme/a:1' # acme/a:1\r\nmore: {{ y }}";
        let [field] = fields(text.as_bytes()).try_into().expect("one field");
        let Slots::Line { part } = field.slots else { panic!("not a line") };
        let edited = |to: &str| replace(text.as_bytes(), vec![(part.clone(), to.to_owned())]);
        let wanted = "{{ x }}\r\nimage: 'acme/a:2' # acme/a:1\r\nmore: {{ y }}";
        assert_eq!(edited("acme/a:2").map(String::from_utf8), Some(Ok(wanted.to_owned())));
        assert_eq!(edited("acme/a:2'\nimage: acme/b:1"), None);
    }
}
