//! Edits of any file: an edit changes nothing before its field and no line ending, and undoing it restores the original
//! bytes.

use tagalong::image::Version;
use tagalong::manifest::edit::{EditError, FollowRefs, Move, edit};
use tagalong::manifest::field::Field;
use tagalong::manifest::field_rules::FieldRules;
use tagalong::manifest::find;
use tagalong::yaml::plain::is_ambiguous;

const FILE: &str = "kustomization.yaml";

pub fn run(bytes: &[u8]) {
    let field_rules = FieldRules { embedded: true, ..FieldRules::default() };
    let Ok(facts) = find::read(FILE, bytes, &field_rules) else { return };
    let to = Version::parse_tag("fuzz-1a2b3c4").expect("a tag");
    // Each is edited twice, and each edit reads the whole file again.
    let count = (100_000 / bytes.len().max(1)).clamp(1, 20);
    for field in facts.fields.iter().take(count) {
        let Some(there) = moved(bytes, field, &to, &field_rules) else { continue };
        let (Some(tag), None) = (&field.version.tag, &field.version.digest) else { continue };
        let same = bytes.iter().zip(&there).take_while(|(a, b)| a == b).count();
        let left = bytes.len().min(there.len()) - same;
        let after = bytes.iter().rev().zip(there.iter().rev()).take(left).take_while(|(a, b)| a == b).count();
        assert!(same >= offset(bytes, field), "{field:?}: bytes before the field changed");
        let replaced = &bytes[same..bytes.len() - after];
        assert!(!replaced.contains(&b'\n') && !replaced.contains(&b'\r'), "{field:?}: a line end changed");
        // A tag that needs quotes gets them and keeps them.
        if is_ambiguous(tag.as_str()) {
            continue;
        }
        let read = find::read(FILE, &there, &field_rules).expect("the edit was proved");
        let twin = read.fields.iter().find(|twin| twin.path == field.path && twin.place == field.place);
        let twin = twin.unwrap_or_else(|| panic!("{field:?}: gone"));
        let back = moved(&there, twin, &field.version, &field_rules).expect("the way back");
        assert_eq!(String::from_utf8_lossy(&back), String::from_utf8_lossy(bytes), "{field:?}");
    }
}

fn moved(bytes: &[u8], field: &Field, to: &Version, field_rules: &FieldRules) -> Option<Vec<u8>> {
    match edit(FILE, bytes, &[Move { field, to }], FollowRefs::No, field_rules) {
        Ok(edited) => Some(edited),
        Err(EditError::Refused(refused)) if refused.is_bug() => panic!("{field:?}: {refused}"),
        Err(_) => None,
    }
}

/// The byte offset of a field's scalar.
fn offset(bytes: &[u8], field: &Field) -> usize {
    let text = std::str::from_utf8(bytes).expect("it was read");
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let skipped = text.len() - body.len();
    skipped + tagalong::yaml::place::Lines::of(body).offset(body, field.place.line - 1, field.place.column - 1)
}
