//! Files that sops wrote can be read, files that sops rejects are rejected, and sops can read what is written here: in
//! every format, type and option, compared with the real sops.

use getrandom::SysRng;
use rand_core::UnwrapErr;
use serde_json::Value;
use tagalong::sops::encrypt::{Recipe, encrypt};
use tagalong::sops::envelope;
use tagalong::sops::error::SopsError;
use tagalong::sops::format::Format;
use tagalong::sops::keyring::Keyring;
use tagalong::sops::open::{self, Decrypted};
use tagalong::sops::plaintext::Type;
use tagalong::sops::recipients::Recipients;
use tagalong::sops::rotate::rotate;
use tagalong::sops::selection::Selection;
use tagalong::sops::update_mac::update_mac;

use crate::support;
use crate::support::sops::{Sops, keyring, new_key};

/// Decrypts and verifies a file like tagalong.
fn verify(bytes: &[u8], keyring: &Keyring) -> Result<Vec<Decrypted>, SopsError> {
    let envelope = envelope::detect(bytes).ok_or(SopsError::NotSops)?.into_envelope()?;
    let key = keyring.open(&envelope.metadata)?;
    open::verify(&envelope, &key)?;
    open::decrypt_values(&envelope, &key)
}

/// The values without comments, numbers in one spelling: `place = value`.
fn shown(values: &[Decrypted]) -> Vec<String> {
    let values = values.iter().filter(|value| value.plain.kind != Type::Comment);
    let text = |value: &Decrypted| String::from_utf8_lossy(value.plain.expose()).into_owned();
    values.map(|value| format!("{} = {}", value.place, text(value))).collect()
}

const NOW: &str = "2026-11-21T08:00:00Z";

/// A recipe for one group of recipients; `rule` is as in `.sops.yaml`.
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

/// The JSON that sops decrypted, in the same form.
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

/// Options of `.sops.yaml` for what to encrypt.
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
fn sops_decrypts_what_is_encrypted_here() {
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
        // Comments return to their places.
        let yaml = sops.decrypt("a.yaml", &file, &[]).expect("decrypted");
        let original = sops.decrypt("b.yaml", sops.encrypt("b.yaml", YAML, rule), &[]).expect("decrypted");
        assert_eq!(String::from_utf8_lossy(&yaml), String::from_utf8_lossy(&original), "{rule}\n{text}");
    }
}

const JSON: &str = r#"{
  "text": "a\u00e9\n",
  "number": 17,
  "fraction": 1.5,
  "yes": true,
  "nothing": null,
  "empty": "",
  "list": [1, "two", {"three": 3}, []],
  "clear_unencrypted": 5
}
"#;

const DOTENV: &str = "# why\nA=1\nB=two words\nC=a\\nb\nEMPTY=\n\nD='quoted'\nE_unencrypted=stays\n";

const INI: &str = "top = 1\n; about\n[one]\n; why\na = 1\nb = two words\nempty =\nq = \"quoted\"\n\n[two]\na:x\nc_unencrypted = stays\n";

/// Files in the formats other than YAML: name, content, what sops decrypts it to.
fn others() -> Vec<(&'static str, Vec<u8>)> {
    let binary: Vec<u8> = (0..=255).collect();
    vec![
        ("a.json", JSON.into()),
        ("a.env", DOTENV.into()),
        ("lines.env", b"# why\r\nA=1\r\nB=two words\r\nC=\r".to_vec()),
        ("a.ini", INI.into()),
        (
            "quotes.ini",
            "[one]\na = `x` rest\nb = \"\"\"one\ntwo\"\"\" ; why\nc = \"\"\"x\ny\"\"\" z\"\"\" rest\nd = 1\n".into(),
        ),
        ("a.bin", binary),
        ("text.txt", b"sesame\n".to_vec()),
    ]
}

#[test]
fn other_formats_are_read_and_written() {
    let sops = Sops::new();
    for (name, content) in others() {
        for rule in ["", "mac_only_encrypted: true", "encrypted_regex: ^(a|A|B|text|list|data)$"] {
            let theirs = sops.encrypt(name, &content, rule);
            let detected = envelope::detect(&theirs).map(|detected| detected.format);
            assert_eq!(detected, Some(Format::from_path(name)), "{name}");
            let read = verify(&theirs, &sops.keyring()).unwrap_or_else(|error| panic!("{name}, {rule}: {error}"));
            let plain = sops.decrypt(name, &theirs, &[]).expect("decrypted");
            let recipe = recipe(&[&[&sops.recipient]], rule);
            let ours = encrypt(&content, Format::from_path(name), &recipe, NOW, &mut rng());
            let ours = ours.unwrap_or_else(|error| panic!("{name}, {rule}: {error}"));
            let again = sops.decrypt(name, &ours, &[]);
            let again = again.unwrap_or_else(|e| panic!("{name}, {rule}: {e}\n{}", String::from_utf8_lossy(&ours)));
            assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&plain), "{name}, {rule}");
            assert_eq!(shown(&verify(&ours, &sops.keyring()).expect("verified")), shown(&read), "{name}, {rule}");
        }
    }
}

#[test]
fn files_with_several_documents_are_read_and_written() {
    let sops = Sops::new();
    let file = "# one\na: 1\n---\nb: 2 # two\nc: |\n  x\n---\n# three\nd:\n- e\n";
    let theirs = sops.encrypt("a.yaml", file, "");
    let values = verify(&theirs, &sops.keyring()).expect("verified");
    assert_eq!(shown(&values), ["a = 1", "b = 2", "c = x\n", "d[0] = e"]);
    assert_eq!(values.last().expect("a value").document, 2);
    let ours = encrypt(file.as_bytes(), Format::Yaml, &recipe(&[&[&sops.recipient]], ""), NOW, &mut rng());
    let ours = ours.expect("encrypted");
    let plain = |file: &[u8]| String::from_utf8(sops.decrypt("a.yaml", file, &[]).expect("decrypted")).expect("text");
    assert_eq!(plain(&ours), plain(&theirs));
}

#[test]
fn formatting_is_kept() {
    let sops = Sops::new();
    for file in [
        "a: 1\r\nb: two # c\r\nc: |\r\n  x\r\n  y\r\n",
        "a: 1",
        "a:   'x'   # c\n\n\nb:\n- {c: \"d\", e: [f, 5]}\n-   g\n",
        "# only a comment above\n\na: >-\n   folded\n   text\nlast: x y\n  z\n",
        "---\na: 1\n...\n---\nb: 2\n",
        "a: &anchor 1\nb_unencrypted: {k: v}\n",
    ] {
        let recipe = recipe(&[&[&sops.recipient]], "");
        let ours = encrypt(file.as_bytes(), Format::Yaml, &recipe, NOW, &mut rng());
        let ours = ours.unwrap_or_else(|error| panic!("{file:?}: {error}"));
        let text = String::from_utf8(ours.clone()).expect("text");
        let theirs = sops.encrypt("a.yaml", file, "");
        let plain =
            |bytes: &[u8]| sops.decrypt("a.yaml", bytes, &[]).unwrap_or_else(|e| panic!("{file:?}: {e}\n{text}"));
        assert_eq!(String::from_utf8_lossy(&plain(&ours)), String::from_utf8_lossy(&plain(&theirs)), "{text}");
        assert_eq!(text.contains("\r\n"), file.contains("\r\n"));
        assert!(
            !text.replace("\r\n", "").contains('\r')
                && (!file.contains('\r') || !text.replace("\r\n", "").contains('\n'))
        );
    }
}

#[test]
fn key_groups_are_opened_and_written() {
    let sops = Sops::new();
    let keys: Vec<(String, String)> = (0..3).map(|_| new_key()).collect();
    let groups: String = keys.iter().map(|(recipient, _)| format!("      - age: [{recipient}]\n")).collect();
    let config = format!("creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n{groups}");
    let names: Vec<[&str; 1]> = keys.iter().map(|(recipient, _)| [recipient.as_str()]).collect();
    let names: Vec<&[&str]> = names.iter().map(|group| group.as_slice()).collect();
    let mut recipe = recipe(&names, "");
    recipe.recipients.threshold = Some(2);
    for (name, content) in
        [("a.yaml", "a: 1\n"), ("a.env", "A=1\n"), ("a.ini", "[s]\na = 1\n"), ("a.json", "{\"a\": 1}")]
    {
        let theirs = sops.encrypt_by(name, content, &config);
        let ours = encrypt(content.as_bytes(), Format::from_path(name), &recipe, NOW, &mut rng()).expect("encrypted");
        for file in [&theirs, &ours] {
            for pair in [[0, 1], [2, 1], [0, 2]] {
                let identities = pair.map(|at| keys[at].1.as_str());
                verify(file, &keyring(&identities)).unwrap_or_else(|error| panic!("{name}, {pair:?}: {error}"));
                sops.write(name, file);
                let output = sops.run_as(&identities.join("\n"), &["decrypt", name]);
                assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
            }
            let error = verify(file, &keyring(&[&keys[1].1])).expect_err("one share is not enough");
            assert!(matches!(error, SopsError::TooFewGroups { opened: 1, needed: 2, .. }), "{error}");
        }
    }
}

#[test]
fn a_changed_plaintext_value_updates_the_mac() {
    let sops = Sops::new();
    let yaml = "image: app:v1 # here\nlist: ['x']\nstringData:\n  password: hunter2\n---\nimage: app:v1\n";
    for (name, content, old, new) in [
        ("a.yaml", yaml, "app:v1", "app:v2"),
        ("a.json", "{\"image\": \"app:v1\",\n\"stringData\": {\"p\": 1}}\n", "app:v1", "app:v2"),
        ("a.env", "IMAGE=app:v1\nstringData=x\n", "app:v1", "app:v2"),
        ("a.ini", "[stringData]\np = x\n[other]\nimage = app:v1\n", "app:v1", "app:v2"),
    ] {
        for rule in ["encrypted_regex: ^stringData$", "encrypted_regex: ^stringData$; mac_only_encrypted: true"] {
            let file = sops.encrypt(name, content, rule);
            let edited = String::from_utf8(file.clone()).expect("text").replacen(old, new, 1).into_bytes();
            let sealed = update_mac(&file, &edited, &sops.keyring(), NOW, &mut rng());
            let sealed = sealed.unwrap_or_else(|error| panic!("{name}: {error}"));
            let plain = sops.decrypt(name, &sealed, &[]).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(String::from_utf8_lossy(&plain).contains(new), "{name}");
            let same = |bytes: &[u8]| -> Vec<String> {
                let text = String::from_utf8_lossy(bytes);
                let kept = text.lines().filter(|line| !line.contains("mac") && !line.contains("lastmodified"));
                kept.map(str::to_owned).collect()
            };
            assert_eq!(same(&sealed), same(&edited), "{name}");
        }
    }
}

#[test]
fn only_plaintext_values_may_change_when_the_mac_is_updated() {
    let sops = Sops::new();
    let file = sops.encrypt("a.yaml", "image: v1\na: {x: 1, y: 2}\nb: 3\n", "encrypted_regex: ^(a|b)$");
    let text = String::from_utf8(file.clone()).expect("text");
    let refused = |original: &str, edited: &str| {
        update_mac(original.as_bytes(), edited.as_bytes(), &sops.keyring(), NOW, &mut rng()).expect_err("refused")
    };
    let line = |key: &str| text.lines().find(|line| line.trim_start().starts_with(key)).expect("a line");
    let without_b = text.replace(&format!("{}\n", line("b:")), "");
    assert!(matches!(refused(&text, &without_b), SopsError::NotOnlyPlaintext { .. }));
    let renamed = text.replace("b: ENC", "a: ENC");
    assert!(matches!(refused(&text, &renamed), SopsError::NotOnlyPlaintext { .. }));
    let other_recipient = text.replace(&sops.recipient, &new_key().0);
    assert!(matches!(refused(&text, &other_recipient), SopsError::NotOnlyPlaintext { .. }));
    // Tampering is not covered up.
    let tampered = text.replace("image: v1", "image: v0");
    assert_eq!(refused(&tampered, &text), SopsError::MacMismatch);
}

#[test]
fn a_rotated_file_has_a_new_key_for_other_recipients() {
    let sops = Sops::new();
    let (recipient, identity) = new_key();
    let recipients = Recipients { groups: vec![vec![recipient.clone()]], threshold: None };
    let mut files = others();
    files.push(("a.yaml", YAML.into()));
    files.push(("many.yaml", b"a: 1\n---\nb: 2 # c\n".to_vec()));
    for (name, content) in files {
        let file = sops.encrypt(name, &content, "");
        let plain = sops.decrypt(name, &file, &[]).expect("decrypted");
        let rotated = rotate(&file, &sops.keyring(), &recipients, NOW, &mut rng());
        let rotated = rotated.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(matches!(verify(&rotated, &sops.keyring()), Err(SopsError::NoIdentity { .. })), "{name}");
        sops.write(name, &rotated);
        let output = sops.run_as(&identity, &["decrypt", name]);
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{name}: {words}\n{}", String::from_utf8_lossy(&rotated));
        assert_eq!(String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&plain), "{name}");
    }
}

/// A tampered file, and what was done to it.
type Mutant = (String, Vec<u8>);

/// What people and accidents do to a file: to all of its values, or to some and the MAC.
fn mutants(text: &str, all: bool, random: usize) -> Vec<Mutant> {
    let mut mutants: Vec<Mutant> = Vec::new();
    let mut add = |what: String, text: String| mutants.push((what, text.into_bytes()));
    let values: Vec<&str> =
        text.match_indices("ENC[").map(|(at, _)| &text[at..at + text[at..].find(']').expect("an end") + 1]).collect();
    let chosen = |index: usize| index < if all { 6 } else { 1 } || index + 1 == values.len();
    for (index, value) in values.iter().enumerate().filter(|(index, _)| chosen(*index)) {
        for part in ["data:", "iv:", "tag:"] {
            let at = value.find(part).expect("a part") + part.len();
            let other = if value[at..].starts_with('A') { "B" } else { "A" };
            add(
                format!("{part} of value {index}"),
                text.replacen(value, &format!("{}{other}{}", &value[..at], &value[at + 1..]), 1),
            );
            add(
                format!("{part} of value {index} not base64"),
                text.replacen(value, &value.replace(part, &format!("{part}*")), 1),
            );
        }
        for (from, to) in [
            ("type:str", "type:int"),
            ("type:str", "type:bytes"),
            ("type:int", "type:str"),
            ("type:float", "type:str"),
            ("type:bool", "type:str"),
            ("type:str", "type:comment"),
            ("type:time", "type:str"),
        ] {
            if value.contains(from) {
                add(format!("{to} of value {index}"), text.replacen(value, &value.replace(from, to), 1));
            }
        }
        let next = values[(index + 1) % values.len()];
        if next != *value {
            let swapped = text.replacen(value, "\u{0}", 1).replacen(next, value, 1).replacen('\u{0}', next, 1);
            add(format!("value {index} swapped with the next"), swapped);
            add(format!("value {index} copied over the next"), text.replacen(next, value, 1));
        }
        add(format!("value {index} in clear"), text.replacen(value, "sesame", 1));
        add(format!("value {index} cut"), text.replacen(value, &value[..value.len() - 3], 1));
    }
    let year = if text.contains("2026-") { "2026-" } else { "2025-" };
    add("lastmodified".to_owned(), text.replacen(year, "2001-", 1));
    add("clear value".to_owned(), text.replacen("stays", "goes", 1));
    for (index, line) in text.lines().enumerate().filter(|(index, _)| all || index % 3 == 0) {
        if line.contains("ENC[") || line.contains("stays") {
            add(format!("line {index} gone"), text.replacen(&format!("{line}\n"), "", 1));
            add(format!("line {index} twice"), text.replacen(&format!("{line}\n"), &format!("{line}\n{line}\n"), 1));
        }
    }
    for (from, to) in [
        ("FILE-----\\n", "FILE-----\\f\\n"),
        ("FILE-----\\n", "FILE-----\\n \\n"),
        ("[sops]", "[sops] ; why"),
        ("__map_recipient", "__iap_recipient"),
        ("__map_enc", "__iap_enc"),
    ] {
        if text.contains(from) {
            add(format!("{from} as {to}"), text.replacen(from, to, 1));
        }
    }
    let bytes = text.as_bytes();
    for part in 1..8 {
        mutants.push((format!("cut at {part}/8"), bytes[..bytes.len() * part / 8].to_vec()));
    }
    let mut state: u64 = 0x1545_f491_4f6c_dd1d;
    for _ in 0..random {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = (state >> 33) as usize % bytes.len();
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 1 << (state >> 20 & 3);
        mutants.push((format!("byte {at} flipped to {:?}", flipped[at] as char), flipped));
    }
    mutants
}

#[test]
fn files_that_sops_rejects_are_rejected() {
    // Each run generates other files, so that many runs find what one does not.
    let random = if support::is_large() { 1_500 } else { 0 };
    let yaml =
        "# c\na: one\nb: 2\nc: true\nd: 1.5\ne: 2026-04-01\nl:\n    - x\n    - y\nf_unencrypted: stays\nm:\n    g: h\n";
    let mut files = others();
    files.retain(|(name, _)| *name != "text.txt");
    files.push(("a.yaml", yaml.into()));
    let sops = Sops::new();
    let mut differing = Vec::new();
    for (name, content) in files {
        let rule = if name == "a.bin" { "mac_only_encrypted: true" } else { "" };
        let file = String::from_utf8(sops.encrypt(name, &content, rule)).expect("text");
        let cases = mutants(&file, name == "a.yaml", random);
        let check = |(what, bytes): &Mutant| {
            let sops = sops.again();
            let theirs = sops.decrypt(name, bytes, &[]);
            let ours = verify(bytes, &sops.keyring());
            // Some broken metadata makes sops itself crash, which says nothing about the file.
            let crashed = theirs.as_ref().is_err_and(|words| words.contains("goroutine "));
            let agree = crashed || theirs.is_ok() == ours.is_ok();
            (!agree).then(|| format!("{name}, {what}: sops {theirs:?}, tagalong {:?}", ours.map(|v| v.len())))
        };
        std::thread::scope(|scope| {
            let parts: Vec<_> = cases
                .chunks(cases.len().div_ceil(4))
                .map(|part| scope.spawn(|| part.iter().filter_map(check).collect::<Vec<_>>()))
                .collect();
            differing.extend(parts.into_iter().flat_map(|part| part.join().expect("no panic")));
        });
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn ssh_recipients_are_read_and_written() {
    let sops = Sops::new();
    let (recipient, identity) = sops.ssh_key();
    let config = format!("creation_rules:\n  - age: '{recipient}'\n");
    let theirs = sops.encrypt_by("a.yaml", "a: 1\n", &config);
    let ours = encrypt(b"a: 1\n", Format::Yaml, &recipe(&[&[&recipient]], ""), NOW, &mut rng()).expect("encrypted");
    for file in [&theirs, &ours] {
        assert_eq!(shown(&verify(file, &keyring(&[&identity])).expect("verified")), ["a = 1"]);
        assert!(matches!(verify(file, &sops.keyring()), Err(SopsError::NoIdentity { .. })));
        assert_eq!(sops.decrypt_by_ssh("a.yaml", file), b"a: 1\n");
    }
}

#[test]
fn values_that_sops_does_not_encrypt_are_rejected() {
    let sops = Sops::new();
    for (name, content) in [
        ("a.yaml", "5: x\n"),
        ("a.yaml", "true: x\n"),
        ("a.yaml", "a: 9223372036854775808\n"),
        ("a.yaml", "- a\n"),
        ("a.yaml", "just text\n"),
        ("a.yaml", ""),
        ("a.yaml", "# only\n"),
        ("a.yaml", "a: 1\nsops:\n  mac: x\n"),
        ("a.json", "[1]\n"),
        ("a.env", "no value\n"),
        ("a.env", "A=1\r\n\r\n"),
        ("a.ini", "no value\n"),
        ("a.ini", "\"\"\"=x\n"),
        ("a.ini", "` ` = x\n"),
    ] {
        sops.write(name, content);
        let theirs = sops.run(&["encrypt", "--age", &sops.recipient, name]);
        let ours =
            encrypt(content.as_bytes(), Format::from_path(name), &recipe(&[&[&sops.recipient]], ""), NOW, &mut rng());
        assert!(!theirs.status.success() && ours.is_err(), "{name} {content}: {ours:?}");
    }
}
