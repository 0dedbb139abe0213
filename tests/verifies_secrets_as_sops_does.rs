//! What sops wrote is read, what sops refuses is refused, and what is written here, sops reads: in every format, type
//! and option, beside the real sops.

mod support;

use getrandom::SysRng;
use rand_core::UnwrapErr;
use serde_json::Value;
use support::sops::{Sops, keyring, new_key};
use tagalong::sops::block::Recipients;
use tagalong::sops::encrypt::{Recipe, encrypt};
use tagalong::sops::envelope;
use tagalong::sops::error::SopsError;
use tagalong::sops::format::Format;
use tagalong::sops::keyring::Keyring;
use tagalong::sops::open::{self, Revealed};
use tagalong::sops::plain::Type;
use tagalong::sops::reseal::reseal;
use tagalong::sops::rotate::rotate;
use tagalong::sops::selection::Selection;

/// Opens and verifies a file as tagalong does.
fn verify(bytes: &[u8], keyring: &Keyring) -> Result<Vec<Revealed>, SopsError> {
    let format = envelope::detect(bytes).ok_or(SopsError::NotSops)?;
    let envelope = envelope::read(bytes, format)?;
    let key = keyring.open(&envelope.metadata)?;
    open::verify(&envelope, &key)?;
    open::reveal(&envelope, &key)
}

/// Values without comments, numbers in one spelling: `place = value`.
fn shown(values: &[Revealed]) -> Vec<String> {
    let values = values.iter().filter(|value| value.plain.kind != Type::Comment);
    let text = |value: &Revealed| String::from_utf8_lossy(value.plain.expose()).into_owned();
    values.map(|value| format!("{} = {}", value.place, text(value))).collect()
}

const NOW: &str = "2026-11-21T08:00:00Z";

/// A recipe for one group of recipients; `rule` as in `.sops.yaml`.
fn recipe(groups: &[&[&str]], rule: &str) -> Recipe {
    let selection = rule.split("; ").find_map(|line| {
        let (key, pattern) = line.split_once(": ")?;
        Selection::of(key, pattern)
    });
    let groups = groups.iter().map(|group| group.iter().map(|&text| text.to_owned()).collect()).collect();
    Recipe {
        recipients: Recipients { groups, threshold: None },
        selection: selection.transpose().expect("a rule").unwrap_or_default(),
        mac_only_encrypted: rule.contains("mac_only_encrypted: true"),
    }
}

fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// What sops decrypted to JSON, in the same form.
fn flattened(json: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    flatten(String::new(), &serde_json::from_slice(json).expect("JSON"), &mut lines);
    lines.sort();
    lines
}

fn flatten(place: String, value: &Value, lines: &mut Vec<String>) {
    let text = match value {
        Value::Null => return,
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => {
            number.as_i64().map_or_else(|| number.as_f64().expect("a number").to_string(), |number| number.to_string())
        }
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| flatten(format!("{place}[{at}]"), item, lines));
            return;
        }
        Value::Object(pairs) => {
            for (key, value) in pairs {
                let plain = key.chars().all(|c| c.is_alphanumeric() || "_-$".contains(c));
                let step = if plain { key.clone() } else { format!("[\"{key}\"]") };
                let dot = if plain && !place.is_empty() { "." } else { "" };
                flatten(format!("{place}{dot}{step}"), value, lines);
            }
            return;
        }
    };
    lines.push(format!("{place} = {text}"));
}

const YAML: &str = r#"# what this is
apiVersion: v1
kind: Secret
metadata:
    name: app # inline
    labels: {}
stringData:
    # above
    password: hunter2
    port: 5432
    octal: 017
    hex: 0x1F
    ratio: 1.50
    big: 1e21
    tiny: 1e-9
    yes: yes
    on: true
    off: False
    day: 2026-04-01
    instant: 2026-04-01T10:00:00+02:00
    nothing: null
    tilde: ~
    empty: ""
    words: plain words
    quoted: 'it''s'
    escaped: "a\tb\u00e9"
    umlaut: grüße
    block: |
        one
        # not a comment
        two
    folded: >-
        a
        b
list:
    - a
    - 1
    - [x, {y: 2}]
    - {}
    - []
    - - nested
      - more
    # in the list, where sops makes an item of it
clear_unencrypted: stays
under_unencrypted:
    deep: stays
x.y/z: dotted
"#;

/// What may be encrypted, as `.sops.yaml` says it.
const RULES: &[&str] = &[
    "",
    "mac_only_encrypted: true",
    "unencrypted_suffix: Data",
    "encrypted_suffix: Data",
    "encrypted_regex: ^(data|stringData)$",
    "unencrypted_regex: ^(apiVersion|kind|metadata|list)$",
    "encrypted_comment_regex: above|list",
    "unencrypted_comment_regex: above|list",
    "encrypted_regex: ^stringData$; mac_only_encrypted: true",
    "encrypted_comment_regex: above|inline; mac_only_encrypted: true",
];

#[test]
fn yaml_of_every_type_is_read() {
    let sops = Sops::new();
    for rule in RULES {
        let file = sops.encrypt("a.yaml", YAML, rule);
        let values = verify(&file, &sops.keyring()).unwrap_or_else(|error| panic!("{rule}: {error}"));
        let json = sops.decrypt("a.yaml", &file, &["--output-type", "json"]);
        let mut ours = shown(&values);
        ours.sort();
        assert_eq!(ours, flattened(&json.expect("decrypted")), "{rule}");
    }
}

#[test]
fn what_is_encrypted_here_sops_decrypts() {
    let sops = Sops::new();
    for rule in RULES {
        let recipe = recipe(&[&[&sops.recipient]], rule);
        let file = encrypt(YAML.as_bytes(), Format::Yaml, &recipe, NOW, &mut rng()).expect("encrypted");
        let text = String::from_utf8_lossy(&file);
        let json = sops.decrypt("a.yaml", &file, &["--output-type", "json"]);
        let json = json.unwrap_or_else(|error| panic!("{rule}: {error}\n{text}"));
        let mut ours = shown(&verify(&file, &sops.keyring()).expect("verified"));
        ours.sort();
        assert_eq!(ours, flattened(&json), "{rule}");
        // Comments come back where they were.
        let yaml = sops.decrypt("a.yaml", &file, &[]).expect("decrypted");
        let original = sops.decrypt("b.yaml", sops.encrypt("b.yaml", YAML, rule), &[]).expect("decrypted");
        assert_eq!(String::from_utf8_lossy(&yaml), String::from_utf8_lossy(&original), "{rule}\n{text}");
    }
}
