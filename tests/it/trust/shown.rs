//! What signatures of commits are like is shown, and git says the same about them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::agent::Agent;
use crate::support::git::{git, make_key};
use crate::support::infra::Stage;
use crate::support::process::wait_until;

use super::signers::{FILE, Person, bot, config, end_agents, gnupg, public, run, stage, sync};

/// A repository whose app was moved by commits with every kind of signature, and what judges them.
struct Signed {
    stage: Stage,
    config: PathBuf,
    allowed: String,
    programs: Vec<PathBuf>,
}

impl Drop for Signed {
    fn drop(&mut self) {
        self.programs.iter().for_each(|program| end_agents(program));
    }
}

/// What git says about a commit: `%G?`, the signer, and the fingerprint of the key.
struct Git {
    letter: String,
    signer: String,
    key: String,
    verifies: bool,
}

impl Signed {
    fn new() -> Signed {
        let stage = stage();
        let key = |name: &str| stage.home().join(name);
        let mut lines = vec![bot(&stage)];
        for (name, who, options) in [
            ("ada", "ada@example.com", ""),
            ("anyone", "*", ""),
            ("expired", "carl@example.com", "valid-before=\"20200101\""),
            ("early", "dora@example.com", "valid-after=\"20990101Z\""),
            ("file", "eve@example.com", "namespaces=\"file\""),
            ("stranger", "", ""),
        ] {
            make_key(&key(name), &["-t", "ed25519"]);
            if !who.is_empty() {
                lines.push(format!("{who} {options} {}", public(&key(name))));
            }
        }
        let allowed = key("allowed_signers");
        fs::write(&allowed, lines.join("\n")).expect("written");
        let (listed, certificate) = gnupg(&key("gnupg-listed"), "ed25519");
        let (stranger, _) = gnupg(&key("gnupg-stranger"), "ed25519");
        let config = config(&stage, &[allowed.display().to_string(), certificate]);
        let allowed = format!("gpg.ssh.allowedSignersFile={}", allowed.display());
        let signed = Signed { stage, config, allowed, programs: vec![listed, stranger] };
        signed.commit_all();
        signed
    }

    fn commit_all(&self) {
        let person = Person::new(&self.stage);
        for name in ["ada", "anyone", "expired", "early", "file", "stranger"] {
            let key = format!("user.signingKey={}", self.stage.home().join(name).display());
            person.deploy(name, &["-c", "gpg.format=ssh", "-c", &key, "-c", "commit.gpgSign=true"]);
        }
        for (name, program) in ["pgp", "pgp-stranger"].iter().zip(&self.programs) {
            let program = format!("gpg.program={}", program.display());
            let options = ["-c", &program, "-c", "user.signingKey=ada@example.com", "-c", "commit.gpgSign=true"];
            person.deploy(name, &options);
        }
        person.deploy("unsigned", &[]);
        for (name, signed) in [("tampered", "ada"), ("pgp-tampered", "pgp")] {
            self.tamper(&person, name, signed);
        }
        sync(&self.stage, &self.config);
    }

    /// Makes a commit with the signature of another one.
    fn tamper(&self, person: &Person, tag: &str, signed: &str) {
        person.deploy(tag, &[]);
        let own = git(&person.work, &["cat-file", "commit", "HEAD"]);
        let signed = git(&person.work, &["log", "--format=%H", "--fixed-strings", &format!("--grep=move to {signed}")]);
        let signed = signed.lines().last().expect("a commit");
        let other = git(&person.work, &["cat-file", "commit", signed]);
        let start = other.find("gpgsig ").expect("a signature");
        let end = other.find("\n\n").expect("a header");
        let text = own.replacen("\n\n", &format!("\n{}\n\n", &other[start..end]), 1);
        let file = self.stage.home().join("tampered");
        fs::write(&file, text).expect("written");
        let id = git(&person.work, &["hash-object", "-t", "commit", "-w", &file.display().to_string()]);
        git(&person.work, &["reset", "--quiet", "--hard", id.trim()]);
        git(&person.work, &["push", "--quiet", "--force", "origin", "HEAD:main"]);
    }

    /// What git says about a commit with the listed certificate.
    fn git(&self, commit: &str) -> Git {
        let program = format!("gpg.program={}", self.programs[0].display());
        let git = |arguments: &[&str]| {
            let mut command = Command::new("git");
            command.current_dir(&self.stage.origin.path).args(["-c", &self.allowed, "-c", &program]);
            command.args(arguments).output().expect("git starts")
        };
        let shown = git(&["log", "-1", "--format=%G?%n%GS%n%GF", commit]);
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        let mut lines = shown.lines().map(str::to_owned);
        let mut line = || lines.next().unwrap_or_default();
        let (letter, signer, key) = (line(), line(), line());
        Git { letter, signer, key, verifies: git(&["verify-commit", commit]).status.success() }
    }

    fn history(&self, config: &Path) -> Vec<Value> {
        let shown = run(&self.stage, config, &["history", "--output", "json"]).ok().json();
        shown.as_array().expect("a list").clone()
    }
}

#[test]
fn history_shows_what_git_says_about_each_signature() {
    let signed = Signed::new();
    let history = signed.history(&signed.config);
    let mut shown = Vec::new();
    for entry in &history {
        let text = |key: &str| entry["signature"][key].as_str().unwrap_or_default().to_owned();
        let (verdict, signer, key, reason) = (text("verdict"), text("signer"), text("key"), text("reason"));
        let git = signed.git(entry["commit"].as_str().expect("an ID"));
        let to = entry["to"].as_str().expect("a tag").to_owned();
        assert_eq!(text("commit"), entry["commit"].as_str().expect("an ID"), "{to}");
        assert_eq!(verdict == "accepted", git.verifies, "{to}: {entry:#} {}", git.letter);
        assert_eq!(entry["actorProof"] == "signature", git.verifies, "{to}");
        // For a commit that was changed, git names no key, and we do; for an OpenPGP key that it lacks, only the ID.
        if !git.key.is_empty() {
            assert_eq!(key, git.key, "{to}");
        }
        if verdict == "accepted" && !signer.is_empty() {
            assert_eq!(signer, git.signer, "{to}");
        }
        let letters = match verdict.as_str() {
            "accepted" => "G U",
            "refused" => "B U",
            "unknown-key" => "U E",
            _ => "N",
        };
        assert!(letters.split(' ').any(|letter| letter == git.letter), "{to}: {verdict} {}", git.letter);
        shown.push((to, verdict, signer, reason));
    }
    let other = "it was not made for this commit";
    let expected = [
        ("bbbbbb2", "accepted", "bot@example.com", ""),
        ("pgp-tampered", "refused", "Ada <ada@example.com>", other),
        ("tampered", "refused", "ada@example.com", other),
        ("unsigned", "unsigned", "", ""),
        ("pgp-stranger", "unknown-key", "", ""),
        ("pgp", "accepted", "Ada <ada@example.com>", ""),
        ("stranger", "unknown-key", "", ""),
        ("file", "refused", "eve@example.com", "the key's namespaces do not include git"),
        ("early", "refused", "dora@example.com", "the commit is older than the key's valid-after"),
        ("expired", "refused", "carl@example.com", "the commit is newer than the key's valid-before"),
        ("anyone", "accepted", "", ""),
        ("ada", "accepted", "ada@example.com", ""),
    ];
    let expected = expected
        .map(|(to, verdict, signer, reason)| (to.to_owned(), verdict.to_owned(), signer.to_owned(), reason.to_owned()));
    assert_eq!(shown, expected);
    // Where all commits count, nobody asks.
    assert!(signed.history(&signed.stage.config()).iter().all(|entry| entry.get("signature").is_none()));

    let text = run(&signed.stage, &signed.config, &["history"]).ok().stdout;
    let key = history[11]["signature"]["key"].as_str().expect("a key");
    for expected in [
        format!("signed by ada@example.com ({key})"),
        format!(
            "signed by Ada <ada@example.com> ({}), refused because {other}",
            history[5]["signature"]["key"].as_str().expect("a key")
        ),
        "not signed".to_owned(),
        "signed with an unknown key (SHA256:".to_owned(),
    ] {
        assert!(text.contains(&expected), "{expected}\n{text}");
    }
    let csv = run(&signed.stage, &signed.config, &["history", "--output", "csv"]).ok().stdout;
    assert!(csv.lines().any(|line| line.ends_with(&format!("accepted,ada@example.com,{key},"))), "{csv}");
    let plain = run(&signed.stage, &signed.stage.config(), &["history"]).ok().stdout;
    assert!(!plain.contains("SIGNATURE"), "{plain}");
    page_and_audit(&signed, key);
}

fn page_and_audit(signed: &Signed, key: &str) {
    let text = fs::read_to_string(&signed.config).expect("there");
    let stages =
        format!("stages:\n  - {{ name: beta, paths: [x.yaml] }}\n  - {{ name: live, paths: [{FILE}], from: beta }}\n");
    let staged = signed.stage.home().join("staged.yaml");
    fs::write(&staged, format!("{text}{stages}")).expect("written");
    let run = run(&signed.stage, &staged, &["audit"]);
    assert_eq!(run.code, 3, "{run:#?}");
    let audit = run.stdout;
    for expected in [format!(", signed by ada@example.com ({key}): "), ", not signed: move to unsigned)".to_owned()] {
        assert!(audit.contains(&expected), "{expected}\n{audit}");
    }
    let agent = Agent::start(signed.stage.home(), &signed.config);
    let page = || agent.get(&format!("/images/{}", signed.stage.image("app"))).body;
    wait_until("the page shows signatures", || page().contains("refused because"));
    let page = page();
    for expected in ["signed by ", "not signed", "signed with an unknown key", "it was not made for this commit"] {
        assert!(page.contains(expected), "{expected}\n{page}");
    }
}
