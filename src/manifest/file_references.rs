//! Reads only the references of a kustomization to other files. Most kustomizations of a large tree hold no image of
//! interest; nothing else in them matters.
//!
//! In a block mapping at the root of a document, only keys and list items start in the first column (YAML 1.2.2,
//! section 8.2). So the lines that matter can be recognised without a parser, and the parser gets fewer of them. A file
//! with anything else in the first column is parsed as a whole. If the remaining lines are just lists of plain words,
//! as is nearly always the case, no parser is needed at all.

use crate::yaml::node::ScanError;

use super::facts::FileFacts;
use super::field_rules::FieldRules;
use super::file_kind::has_kustomization_name;
use super::find::read;
use super::kustomization::Kustomization;

/// The keys for the kind of the file, the files that it includes and the images that it names.
const KEYS: [&str; 12] = [
    "apiVersion",
    "kind",
    "resources",
    "bases",
    "components",
    "images",
    "patches",
    "patchesStrategicMerge",
    "generators",
    "transformers",
    "secretGenerator",
    "configMapGenerator",
];

/// Reads the references of a kustomization, but none of its fields.
pub fn read_file_references(path: &str, bytes: &[u8]) -> Result<FileFacts, ScanError> {
    let field_rules = FieldRules::default();
    let excerpt = std::str::from_utf8(bytes).ok().and_then(excerpt);
    let plain = excerpt.as_deref().filter(|_| has_kustomization_name(path)).and_then(plain);
    if let Some(kustomization) = plain {
        return Ok(FileFacts { kustomization: Some(kustomization), ..FileFacts::default() });
    }
    // If that fails, an alias may refer to a line that was left out, or the text is not YAML: the whole file gives a
    // better error.
    let excerpt = excerpt.and_then(|excerpt| read(path, excerpt.as_bytes(), &field_rules).ok());
    let facts = excerpt.map_or_else(|| read(path, bytes, &field_rules), Ok)?;
    Ok(FileFacts { kustomization: facts.kustomization, ..FileFacts::default() })
}

/// Returns the lines that matter; `None` if they cannot be recognised, or if there are none.
fn excerpt(text: &str) -> Option<String> {
    let mut excerpt = String::new();
    let (mut matters, mut begun, mut has_references) = (false, false, false);
    for line in text.split_inclusive('\n') {
        let first = line.bytes().next().unwrap_or(b'\n');
        match first {
            b' ' | b'\n' | b'#' => {}
            b'-' if !begun && line.trim_end() == "---" => {
                begun = true;
                continue;
            }
            // An item of the list of the previous key.
            b'-' if begun && line[1..].starts_with([' ', '\n']) => {}
            _ => {
                let (key, value) = line.split_once(':')?;
                let is_plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric());
                if !is_plain || key.is_empty() || !value.starts_with([' ', '\n']) {
                    return None;
                }
                begun = true;
                matters = KEYS.contains(&key);
                has_references |= matters && !matches!(key, "apiVersion" | "kind");
            }
        }
        if matters && first != b'#' {
            excerpt.push_str(line);
        }
    }
    has_references.then_some(excerpt)
}

/// The keys among [`KEYS`] that hold lists of files and nothing else: first the resources, then the others.
const LISTS: [&str; 6] = ["resources", "bases", "components", "patchesStrategicMerge", "generators", "transformers"];
/// The number of them that list resources.
const OF_RESOURCES: usize = 3;

/// Reads an excerpt that consists only of lists of plain words; `None` if it is anything else.
fn plain(excerpt: &str) -> Option<Kustomization> {
    let mut config_maps = Vec::new();
    let mut in_generators = false;
    let mut lists: [Option<Vec<String>>; LISTS.len()] = Default::default();
    // The list that items belong to, and their indentation.
    let mut open: Option<(usize, Option<usize>)> = None;
    for line in excerpt.lines() {
        let text = line.trim_matches(' ');
        let indent = line.len() - line.trim_start_matches(' ').len();
        if in_generators && (indent > 0 || text.starts_with("- ")) {
            generator_line(text, &mut config_maps)?;
            continue;
        }
        if let Some(item) = text.strip_prefix("- ") {
            let (list, own_indent) = open.as_mut()?;
            if *own_indent.get_or_insert(indent) != indent || !is_word(item) {
                return None;
            }
            lists[*list].as_mut()?.push(item.to_owned());
        } else if !text.is_empty() {
            let (key, value) = text.split_once(':').filter(|_| indent == 0)?;
            open = None;
            in_generators = false;
            match (key, value.trim_start_matches(' ')) {
                ("apiVersion", value) if is_word(value) => {}
                ("kind", "Kustomization" | "Component") => {}
                ("configMapGenerator", "") if config_maps.is_empty() => in_generators = true,
                (key, "") => {
                    let list = LISTS.iter().position(|list| *list == key)?;
                    if lists[list].replace(Vec::new()).is_some() {
                        return None;
                    }
                    open = Some((list, None));
                }
                _ => return None,
            }
        }
    }
    let (resources, files) = lists.split_at_mut(OF_RESOURCES);
    let of = |lists: &mut [Option<Vec<String>>]| lists.iter_mut().flatten().flat_map(std::mem::take).collect();
    Some(Kustomization { resources: of(resources), files: of(files), config_maps, ..Kustomization::default() })
}

/// Reads a line of a list of generators with a name and files in brackets, and nothing else.
fn generator_line(text: &str, config_maps: &mut Vec<(String, Vec<String>)>) -> Option<()> {
    let (is_first, pair) = text.strip_prefix("- ").map_or((false, text), |pair| (true, pair));
    if pair.is_empty() {
        return Some(());
    }
    match pair.split_once(": ")? {
        ("name", name) if is_first && is_word(name) => config_maps.push((name.to_owned(), Vec::new())),
        ("files", list) if !is_first => {
            let items = list.strip_prefix('[')?.strip_suffix(']')?.split(',').map(|item| item.trim_matches(' '));
            let (_, files) = config_maps.last_mut().filter(|(_, files)| files.is_empty())?;
            for item in items {
                is_word(item).then(|| files.push(item.to_owned()))?;
            }
        }
        _ => return None,
    }
    Some(())
}

/// Returns whether a text is a scalar with its literal value in every context.
fn is_word(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/' | b'_' | b'-');
    !text.is_empty() && !text.starts_with('-') && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATH: &str = "apps/kustomization.yaml";

    fn ties_and_whole(text: &str) -> (Result<FileFacts, ScanError>, Result<FileFacts, ScanError>) {
        (read_file_references(PATH, text.as_bytes()), read(PATH, text.as_bytes(), &FieldRules::default()))
    }

    #[test]
    fn irrelevant_lines_are_not_read() {
        let text = "# ours\n---\nkind: Kustomization\nlabels:\n- pairs: {a: b}\nresources:\n- a.yaml\n\n# next\n- ../b\nnamespace: x\nconfigurations:\n  - c.yaml\n";
        assert_eq!(excerpt(text).as_deref(), Some("kind: Kustomization\nresources:\n- a.yaml\n\n- ../b\n"));
        let facts = read_file_references(PATH, text.as_bytes()).expect("read");
        assert_eq!(facts.kustomization.expect("one").resources, ["a.yaml", "../b"]);
    }

    #[test]
    fn lists_of_words_need_no_parser() {
        let text = "kind: Kustomization\ncomponents:\n- ../c\nresources:\n  - a.yaml\n\n  - ../b  \ngenerators:\n- g.yaml\nbases:\n";
        let found = plain(text).expect("plain");
        assert_eq!(found.resources, ["a.yaml", "../b", "../c"]);
        assert_eq!((found.files, found.images), (vec!["g.yaml".to_owned()], Vec::new()));
        let text = "resources:\n- a.yaml\nconfigMapGenerator:\n  - name: app\n    files: [values.yaml, b.yaml]\n";
        let found = plain(text).expect("plain");
        assert_eq!(found.config_maps, [("app".to_owned(), vec!["values.yaml".to_owned(), "b.yaml".to_owned()])]);
        for text in [
            "configMapGenerator:\n- name: app\n  envs: [a.env]\n",
            "configMapGenerator:\n- name: app\n  files: [key=a.yaml]\n",
            "configMapGenerator:\n- name: app\n  files:\n  - a.yaml\n",
            "configMapGenerator:\n- files: [a.yaml]\n  name: app\n",
            "configMapGenerator:\n- name: app\n    files: [a.yaml\n",
            "resources: [a]\n",
            "resources:\n- a # why\n",
            "resources:\n- a\n  b\n",
            "resources:\n- a\n  - b\n",
            "resources:\n- a: b\n",
            "resources:\n- - a\n",
            "resources:\n- \"a\"\n",
            "resources:\n- a\nresources:\n- b\n",
            "kind: Deployment\nresources:\n- a\n",
            "images:\n- name: a\n",
        ] {
            assert_eq!(plain(text), None, "{text:?}");
        }
    }

    #[test]
    fn unusual_files_are_read_as_a_whole() {
        for text in [
            "\"resources\": [a]\n",
            "resources: [a,\nb]\n",
            "resources:\n\t- a\n",
            "\u{feff}resources: [a]\n",
            "%YAML 1.2\n---\nresources: [a]\n",
            "{resources: [a]}\n",
            "resources:\r\n- a\r\n",
            "resources: [a]\n---\nresources: [b]\n",
            "resources: [a]\n...\n",
            "resources:\n  - a\n<<: {bases: [b]}\n",
            "namespace: x\n",
            "resources:[a]\n",
            "",
        ] {
            assert_eq!(excerpt(text), None, "{text:?}");
        }
        let text = "x: &x\n- a.yaml\nresources: *x\n";
        let facts = read_file_references(PATH, text.as_bytes()).expect("read");
        assert_eq!(facts.kustomization.expect("one").resources, ["a.yaml"]);
    }

    /// A piece of a kustomization: a key with a value of some shape.
    fn piece() -> impl Strategy<Value = String> {
        let keys = prop::sample::select([&KEYS[..], &["namespace", "labels", "configMapGenerator", "x-y"]].concat());
        let values = prop::sample::select(vec![
            " a.yaml",
            " [a, ../b]",
            " [a,\n  b]",
            "\n- a\n- ../b",
            "\n  - a # why\n\n  - b",
            "\n# between\n- path: p.yaml\n  target: {kind: x}",
            "\n- name: ghcr.io/x/y\n  newTag: v1",
            "\n- name: s\n  envs: [e.env]\n  files:\n  - k=f\n  - g",
            " |\n  resources:\n  - no\n",
            " \"two\n  lines\"",
            " {a: b}",
            " &x [a]",
            " *x",
            "",
            " '",
            "\n-",
            "\n\t- a",
        ]);
        let ends = prop::sample::select(vec!["\n", "\n\n", " # end\n", "\r\n", "\n---\n", ""]);
        (keys, values, ends).prop_map(|(key, value, end)| format!("{key}:{value}{end}"))
    }

    proptest! {
        #[test]
        fn the_ties_are_those_of_the_whole(pieces in prop::collection::vec(piece(), 0..6)) {
            let text = pieces.concat();
            let (ties, whole) = ties_and_whole(&text);
            // Errors in parts that are not read do not matter.
            if let Ok(whole) = whole {
                prop_assert_eq!(ties.map(|facts| facts.kustomization), Ok(whole.kustomization), "{}", text);
            }
        }
    }
}
