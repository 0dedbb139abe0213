//! Damaged, dishonest and hostile files: they are never reported as good, and never take more memory than a pod has.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tagalong::sops::rules::CreationRules;

use crate::support::sops::{Sops, new_key};
use crate::support::tagalong::{command, finished, run};

const SECRET: &str =
    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  password: hunter2\n  user: me\n";

/// The status and the reason for each file of a folder.
fn verdicts(home: &Path, identity: &str) -> Vec<(String, String)> {
    fs::write(home.join("key.txt"), identity).expect("written");
    let dir = home.join("work").display().to_string();
    let key = home.join("key.txt").display().to_string();
    let arguments = ["secrets", "verify", "--dir", &dir, "--age-key-file", &key, "--output", "json"];
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let json = run(home, &arguments).json();
    json["files"].as_array().expect("files").iter().map(|row| (text(row, "status"), text(row, "reason"))).collect()
}

#[test]
fn a_truncated_file_is_damaged_whatever_its_name() {
    let sops = Sops::new();
    let home = tempfile::tempdir().expect("a folder");
    fs::create_dir(home.path().join("work")).expect("made");
    let formats = [
        ("a.yaml", SECRET, "encrypted_regex: ^(data|stringData)$"),
        ("a.json", "{\"password\": \"hunter2\", \"user\": \"me\"}\n", ""),
        ("a.env", "PASSWORD=hunter2\nUSER=me\n", ""),
        ("a.ini", "[db]\npassword = hunter2\nuser = me\n", ""),
        ("a.bin", "hunter2", ""),
    ];
    for (name, text, rule) in formats {
        let whole = sops.encrypt(name, text, rule);
        let find = |needle: &[u8]| whole.windows(needle.len()).position(|window| window == needle).expect("there");
        let (first, mac) = (find(b",type:str]"), find(b"mac"));
        let cuts = (0..12).map(|n| first + 12 + (mac - first - 12) * n / 11);
        for (cut, unknown) in cuts.flat_map(|cut| [(cut, false), (cut, true)]) {
            let file = home.path().join("work").join(if unknown { "credentials" } else { name });
            fs::write(&file, &whole[..cut]).expect("written");
            let found = verdicts(home.path(), &sops.identity);
            let cut_text = String::from_utf8_lossy(&whole[..cut]);
            assert!(found.iter().any(|(status, _)| status == "failed"), "{}: {found:?}\n{cut_text}", file.display());
            fs::remove_file(&file).expect("removed");
        }
    }
    // A text about such values is not a SOPS file.
    let value = "password: ENC[AES256_GCM,data:YQ==,iv:YQ==,tag:YQ==,type:str]";
    let texts = [
        ("a.md", format!("# Values\n\nThey look like this:\n\n    {value}\n")),
        ("a.rs", format!("// {value}\nfn a() {{}}\n")),
    ];
    for (name, text) in texts {
        fs::write(home.path().join("work").join(name), text).expect("written");
    }
    assert_eq!(verdicts(home.path(), &sops.identity), []);
}

#[test]
fn a_recipient_that_the_metadata_does_not_list_is_reported() {
    let sops = Sops::new();
    let (hidden, other) = new_key();
    let home = tempfile::tempdir().expect("a folder");
    fs::create_dir(home.path().join("work")).expect("made");
    let file = String::from_utf8(sops.encrypt("s.yaml", SECRET, "encrypted_regex: ^(data|stringData)$")).expect("text");
    let start = file.find("-----BEGIN AGE").expect("armor");
    let indent = file[..start].rsplit('\n').next().expect("a line").to_owned();
    let end = file.find("-----END AGE ENCRYPTED FILE-----").expect("armor") + "-----END AGE ENCRYPTED FILE-----".len();
    let armor = file[start..end].replace(&format!("\n{indent}"), "\n") + "\n";
    let age = |arguments: &[&str], input: &[u8]| {
        fs::write(home.path().join("input"), input).expect("written");
        let output =
            Command::new("age").current_dir(home.path()).args(arguments).arg("input").output().expect("age starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    fs::write(home.path().join("identity"), &sops.identity).expect("written");
    let data_key = age(&["--decrypt", "--identity", "identity"], armor.as_bytes());
    for (recipients, expected) in
        [(vec![sops.recipient.as_str()], "ok"), (vec![&sops.recipient, &hidden], "wrong-recipients")]
    {
        let to: Vec<&str> = recipients.iter().flat_map(|recipient| ["--recipient", recipient]).collect();
        let entry = String::from_utf8(age(&[&["--armor"], &to[..]].concat(), &data_key)).expect("text");
        let entry = entry.trim_end().replace('\n', &format!("\n{indent}"));
        let text = format!("{}{entry}{}", &file[..start], &file[end..]);
        assert!(sops.decrypt("s.yaml", &text, &[]).is_ok(), "sops reads it");
        fs::write(home.path().join("work/s.yaml"), &text).expect("written");
        let found = verdicts(home.path(), &sops.identity);
        assert_eq!((found.len(), found[0].0.as_str()), (1, expected), "{found:?}");
        if expected != "ok" {
            assert!(
                sops.again()
                    .run_as(&other, &["decrypt", &home.path().join("work/s.yaml").display().to_string()])
                    .status
                    .success()
            );
            assert!(found[0].1.contains("encrypted to 2 recipients"), "{found:?}");
        }
    }
}

#[test]
fn rules_of_a_wrong_type_are_refused_like_sops_does() {
    let sops = Sops::new();
    let age = &sops.recipient;
    let rules = |text: &str| text.replace("AGE", age);
    let texts = [
        "creation_rules: [{ age: AGE }]\n",
        "creation_rules: [{ age: [AGE] }]\n",
        "creation_rules: [{ age: AGE, shamir_threshold: 1, mac_only_encrypted: yes }]\n",
        "creation_rules: [{ age: AGE, unknown: [x] }]\nother: 1\n",
        "creation_rules: [{ age: AGE, path_regex: 1 }, { age: AGE }]\n",
        "creation_rules: [{ age: AGE, path_regex: null, aws_profile: }]\nstores:\n",
        "creation_rules: [{ key_groups: [{ age: [AGE] }] }]\n",
        "creation_rules: [{ key_groups: [{ merge: [{ age: [AGE] }] }] }]\n",
        "creation_rules: nonsense\n",
        "creation_rules: { age: AGE }\n",
        "creation_rules: [nonsense]\n",
        "creation_rules: [[{ age: AGE }]]\n",
        "nonsense\n",
        "[creation_rules]\n",
        "creation_rules: [{ age: AGE, path_regex: [x] }, { age: AGE }]\n",
        "creation_rules: [{ age: AGE, encrypted_regex: { a: b } }]\n",
        "creation_rules: [{ age: AGE, mac_only_encrypted: perhaps }]\n",
        "creation_rules: [{ age: AGE, mac_only_encrypted: yEs }]\n",
        "creation_rules: [{ age: AGE, shamir_threshold: two }]\n",
        "creation_rules: [{ age: AGE, shamir_threshold: [1] }]\n",
        "creation_rules: [{ age: { x: AGE } }]\n",
        "creation_rules: [{ key_groups: { age: [AGE] } }]\n",
        "creation_rules: [{ key_groups: [AGE] }]\n",
        "creation_rules: [{ key_groups: [{ age: AGE }] }]\n",
        "creation_rules: [{ key_groups: [{ age: [[AGE]] }] }]\n",
        "creation_rules: [{ age: AGE }]\ndestination_rules: nonsense\n",
        "creation_rules: [{ age: AGE }]\nstores: nonsense\n",
        "creation_rules: [{ age: AGE }]\ncreation_rules: [{ age: AGE }]\n",
        "creation_rules: [{ age: AGE, age: AGE }]\n",
    ];
    for text in texts.map(rules) {
        sops.write(".sops.yaml", &text);
        sops.write("plain.yaml", "a: b\n");
        let theirs = sops.run(&["encrypt", "plain.yaml"]);
        let ours = CreationRules::parse(text.as_bytes()).map(|_| ()).map_err(|error| error.to_string());
        let said = String::from_utf8_lossy(&theirs.stderr);
        assert_eq!(ours.is_ok(), theirs.status.success(), "{text}ours: {ours:?}\nsops: {said}");
    }
    let home = tempfile::tempdir().expect("a folder");
    fs::create_dir(home.path().join("work")).expect("made");
    fs::write(home.path().join("work/.sops.yaml"), "creation_rules: nonsense\n").expect("written");
    let found = verdicts(home.path(), &sops.identity);
    assert_eq!(found, [("failed".to_owned(), "creation_rules is not a list".to_owned())]);
}

/// Runs with as little memory for data as a pod has (`ulimit -d`, in KiB).
const POD: &str = "ulimit -d 262144; exec \"$0\" \"$@\"";

#[test]
fn large_files_stay_within_the_memory_of_a_pod_and_are_unverified() {
    let head = "{\"apiVersion\": \"v1\", \"kind\": \"Secret\", \"metadata\": {\"name\": \"db\"}, ";
    let many = |bytes: usize| format!("{head}\"x\": [0{}]}}\n", ",0".repeat(bytes / 2));
    let encrypted =
        "\"sops\": {\"mac\": \"ENC[AES256_GCM,data:YQ==,iv:YQ==,tag:YQ==,type:str]\", \"lastmodified\": \"x\"}, ";
    let files = [
        ("a.json", many(4 << 20)),
        ("b.json", many(16 << 20)),
        ("c.yaml", many(4 << 20).replace(",0", "\n,0")),
        ("d.yaml", format!("kind: Secret\nx:\n{}", "- 0\n".repeat(1 << 20))),
        ("e.yaml", format!("kind: Secret\nx: {}\n", "x".repeat(16 << 20))),
        ("f.json", many(4 << 20).replace("\"x\"", &format!("{encrypted}\"x\""))),
        ("g.env", format!("sops_mac=ENC[AES256_GCM,x\nsops_version=1\n{}", "A=b\n".repeat(1 << 20))),
    ];
    let home = tempfile::tempdir().expect("a folder");
    fs::create_dir(home.path().join("work")).expect("made");
    for (name, text) in &files {
        fs::write(home.path().join("work").join(name), text).expect("written");
    }
    let program = command(home.path());
    let mut pod = Command::new("bash");
    pod.current_dir(home.path()).env("HOME", home.path()).stdin(Stdio::null());
    pod.args(["-c", POD]).arg(program.get_program());
    pod.args(["secrets", "verify", "--dir", "work", "--output", "json"]);
    let found = finished(pod.output().expect("bash starts"));
    assert_eq!(found.code, 3, "{}", found.stderr);
    let rows: Vec<String> = found.json()["files"]
        .as_array()
        .expect("files")
        .iter()
        .map(|row| format!("{} {}", row["file"].as_str().expect("text"), row["status"].as_str().expect("text")))
        .collect();
    let expected: Vec<String> = files.iter().map(|(name, _)| format!("{name} unverified")).collect();
    assert_eq!(rows, expected);
}
