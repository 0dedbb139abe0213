//! Any file: reading it never panics, and every span is the text of its value.

use tagalong::manifest::field_rules::{FieldRule, FieldRules};
use tagalong::manifest::find;
use tagalong::yaml::comment::comments_with;
use tagalong::yaml::scan::Scan;

pub fn run(bytes: &[u8]) {
    let Ok(scan) = Scan::read(bytes) else { return };
    // A span is found by counting the characters of its line.
    for id in scan.ids().take(2_000) {
        let place = scan.place(id);
        assert!(place.line > 0 && place.column > 0);
        scan.path(id);
        if let Some(span) = scan.span(id) {
            let value = scan.scalar(id).expect("only scalars have spans").trim_end_matches('\n');
            assert_eq!(scan.slice(span), value);
        }
    }
    comments_with(&scan, "a");
    let rules = vec![FieldRule::new("**", "*.tag", Some("acme/{1}")).expect("a rule")];
    let _ = find::read("kustomization.yaml", bytes, &FieldRules { rules, embedded: true });
    let _ = find::read("values.yaml", bytes, &FieldRules::default());
}
