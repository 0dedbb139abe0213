//! Approvals are signed commits without changes, by keys that the agent's own file lists.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::git::{git, make_key};
use crate::support::infra::Stage;
use crate::support::tagalong::{self, Run};

const STAGES: &str = "stages:\n\
    - { name: beta, paths: [beta.yaml] }\n\
    - { name: paper, paths: [paper.yaml], from: beta, approval: { by: review } }\n\
    - { name: live, paths: [live.yaml], from: paper, approval: { need: 2, by: signature } }\n";

/// A release, by its ID.
fn release(digit: char) -> String {
    digit.to_string().repeat(64)
}

/// A repository with stages. Ada and Bob may approve; Eve, who has a key too, may not, and Carl may break glass.
fn stage() -> Stage {
    let image = "image: HOST/org/app:aaaaaa1\n";
    let stage =
        Stage::new(&[("tagalong.yaml", STAGES), ("beta.yaml", image), ("paper.yaml", image), ("live.yaml", image)]);
    for name in ["ada", "bob", "carl", "eve"] {
        make_key(&stage.home().join(name), &["-t", "ed25519"]);
    }
    stage
}

fn line(stage: &Stage, name: &str, options: &str) -> String {
    let key = fs::read_to_string(stage.home().join(format!("{name}.pub"))).expect("a key");
    format!("{name}@example.com {options} {}", key.trim())
}

/// Writes a configuration in which these lines may approve, and Carl may break glass.
fn config(stage: &Stage, approvers: &[String]) -> PathBuf {
    let text = fs::read_to_string(stage.config()).expect("there");
    let list = |lines: &[String]| serde_json::to_string(lines).expect("JSON");
    let carl = list(&[line(stage, "carl", "")]);
    let file = stage.home().join("own.yaml");
    let trust = format!("trust:\n  approvers: {}\n  breakGlass: {carl}\n", list(approvers));
    fs::write(&file, format!("{text}{trust}")).expect("written");
    file
}

fn usual(stage: &Stage) -> PathBuf {
    config(stage, &[line(stage, "ada", "namespaces=\"git\""), line(stage, "bob", "")])
}

/// Runs a command as a person who signs with their key.
fn run_as(stage: &Stage, name: &str, config: &Path, arguments: &[&str]) -> Run {
    let (config, key) = (config.display().to_string(), stage.home().join(name).display().to_string());
    let more = ["--reason", "tested", "--actor", name, "--config", &config, "--signing-key-file", &key];
    tagalong::run(stage.home(), &[arguments, &more].concat())
}

fn files_changed(stage: &Stage) -> String {
    git(&stage.origin.path, &["diff", "--name-only", "main~1", "main"])
}

#[test]
fn an_approval_is_a_signed_commit_that_changes_nothing() {
    let stage = stage();
    let config = usual(&stage);
    let id = release('1');
    let run = run_as(&stage, "ada", &config, &["approve", "live", &id]).ok();
    assert_eq!(run.stdout.trim(), stage.origin.tip());
    assert_eq!(files_changed(&stage), "");
    let message = stage.origin.message();
    let expected = format!(
        "approve: live 111111111111\n\nTagalong-Approve: live {id} (111111111111)\nTagalong-Actor: ada\nTagalong-Reason: tested\n"
    );
    assert!(message.starts_with(&expected), "{message}");
    // git agrees on who signed it.
    let allowed = stage.home().join("allowed");
    fs::write(&allowed, line(&stage, "ada", "")).expect("written");
    let allowed = format!("gpg.ssh.allowedSignersFile={}", allowed.display());
    git(&stage.origin.path, &["-c", &allowed, "verify-commit", "main"]);
    // Once is enough for one person, by the ID or its start, and the next one counts too.
    let tip = stage.origin.tip();
    let again = run_as(&stage, "ada", &config, &["approve", "live", "1111111"]).ok();
    assert_eq!((again.stdout.as_str(), stage.origin.tip()), ("up to date\n", tip));
    assert!(
        again.stderr.contains("has been approved since") && again.stderr.contains("by ada@example.com"),
        "{again:#?}"
    );
    run_as(&stage, "bob", &config, &["approve", "live", "1111111"]).ok();
    assert!(stage.origin.message().contains(&format!("Tagalong-Approve: live {id} ")));
    stage.origin.is_sound();
}

#[test]
fn approvals_are_withdrawn_by_anyone_who_may_approve() {
    let stage = stage();
    let config = usual(&stage);
    let id = release('1');
    let none = run_as(&stage, "bob", &config, &["disapprove", "live", &id]).ok();
    assert!(none.stdout == "up to date\n" && none.stderr.contains("no approval of 111111111111"), "{none:#?}");
    run_as(&stage, "ada", &config, &["approve", "live", &id]).ok();
    run_as(&stage, "bob", &config, &["disapprove", "live", "11111111"]).ok();
    let message = stage.origin.message();
    assert!(
        message.starts_with("disapprove: live ") && message.contains(&format!("\nTagalong-Disapprove: live {id} (")),
        "{message}"
    );
    // So approving again is something new, and not known any more by the start of its ID.
    let unknown = run_as(&stage, "ada", &config, &["approve", "live", "11111111"]).fails_with(2);
    assert!(unknown.stderr.contains("no release is known by the name `11111111`"), "{unknown:#?}");
    let again = run_as(&stage, "ada", &config, &["approve", "live", &id]).ok();
    assert_eq!(again.stdout.trim(), stage.origin.tip());
}

/// Whether an approval of Ada's counts: hers is then up to date.
fn counts(stage: &Stage, config: &Path, digit: char) -> bool {
    let tip = stage.origin.tip();
    let run = run_as(stage, "ada", config, &["approve", "live", &release(digit)]).ok();
    // Nothing of this try remains.
    git(&stage.origin.path, &["update-ref", "refs/heads/main", &tip]);
    run.stdout == "up to date\n"
}

#[test]
fn only_signed_commits_without_changes_count() {
    let stage = stage();
    let config = usual(&stage);
    git(stage.home(), &["clone", "--quiet", "infra.git", "person"]);
    let work = stage.home().join("person");
    let commit = |who: &str, digit: char, options: &[&str]| {
        let message = format!("x\n\nTagalong-Approve: live {}\n", release(digit));
        let key = format!("user.signingKey={}", stage.home().join(who).display());
        let sign = ["-c", "gpg.format=ssh", "-c", &key, "commit", "--quiet", "-m", &message];
        git(&work, &[&sign[..], options].concat());
        git(&work, &["push", "--quiet", "origin", "HEAD:main"]);
    };
    commit("ada", '1', &["-S", "--allow-empty"]);
    commit("ada", '2', &["--allow-empty"]);
    commit("eve", '3', &["-S", "--allow-empty"]);
    fs::write(work.join("beta.yaml"), "image: other/app:bbbbbb2\n").expect("written");
    commit("ada", '4', &["-S", "--all"]);
    // A stage's approver is not one who may break glass.
    commit("carl", '5', &["-S", "--allow-empty"]);
    // The same words again, in a commit that Ada never saw.
    let signed = git(&work, &["log", "-1", "--format=%H", "--fixed-strings", "--grep", &release('1')]);
    let signed = git(&work, &["cat-file", "commit", signed.trim()]);
    let copied = work.join("copied");
    fs::write(&copied, signed.replace(&release('1'), &release('6'))).expect("written");
    let copied = git(&work, &["hash-object", "-t", "commit", "-w", &copied.display().to_string()]);
    let tree = git(&work, &["rev-parse", "HEAD^{tree}"]);
    let merge = ["commit-tree", tree.trim(), "-p", "HEAD", "-p", copied.trim(), "-m", "merged"];
    let merged = git(&work, &merge);
    git(&work, &["push", "--quiet", "origin", &format!("{}:main", merged.trim())]);
    let found: String = ('1'..='7').filter(|digit| counts(&stage, &config, *digit)).collect();
    assert_eq!(found, "1");
    // What was read before is not believed under other rules, with the same cache and without.
    let bob_alone = self::config(&stage, &[line(&stage, "bob", "")]);
    run_as(&stage, "ada", &bob_alone, &["approve", "live", &release('1')]).fails_with(2);
    let later = self::config(&stage, &[line(&stage, "ada", "valid-after=\"20200101\""), line(&stage, "bob", "")]);
    assert!(counts(&stage, &later, '1'));
    fs::remove_dir_all(stage.home().join(".cache")).expect("a cache");
    assert!(counts(&stage, &later, '1'));
}

#[test]
fn keys_count_while_they_are_valid() {
    let stage = stage();
    git(stage.home(), &["clone", "--quiet", "infra.git", "person"]);
    let work = stage.home().join("person");
    for (digit, date) in [('1', "2026-03-01T12:00:00Z"), ('2', "2026-05-01T12:00:00Z"), ('3', "2026-07-01T12:00:00Z")] {
        let message = format!("x\n\nTagalong-Approve: live {}\n", release(digit));
        let key = format!("user.signingKey={}", stage.home().join("ada").display());
        let mut command = std::process::Command::new("git");
        command.current_dir(&work).env("GIT_COMMITTER_DATE", date).env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.envs([("GIT_COMMITTER_NAME", "Ada"), ("GIT_COMMITTER_EMAIL", "ada@example.com")]);
        command.envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.com")]);
        command.args(["-c", "gpg.format=ssh", "-c", &key, "commit", "--quiet", "-S", "--allow-empty", "-m", &message]);
        assert!(command.status().expect("git starts").success());
    }
    git(&work, &["push", "--quiet", "origin", "HEAD:main"]);
    // Ada renewed her key in April and again in June; only the second one is the one above.
    make_key(&stage.home().join("new"), &["-t", "ed25519"]);
    let new = line(&stage, "new", "").replace("new@", "ada@");
    let old = line(&stage, "ada", "valid-after=\"20260401\",valid-before=\"20260601\"");
    let config = config(&stage, &[new, old]);
    let approved = |digit: char| {
        let tip = stage.origin.tip();
        let run = run_as(&stage, "new", &config, &["approve", "live", &release(digit)]).ok();
        git(&stage.origin.path, &["update-ref", "refs/heads/main", &tip]);
        run.stdout == "up to date\n"
    };
    assert_eq!(['1', '2', '3'].map(approved), [false, true, false]);
    let expired = run_as(&stage, "ada", &config, &["approve", "live", &release('4')]).fails_with(2);
    assert!(expired.stderr.contains("trust.approvers does not list its key, or not for now"), "{expired:#?}");
}

#[test]
fn who_may_not_approve_is_told_who_may_and_pushes_nothing() {
    let stage = stage();
    let (config, tip, id) = (usual(&stage), stage.origin.tip(), release('1'));
    let refused = |name: &str, arguments: &[&str]| run_as(&stage, name, &config, arguments).fails_with(2).stderr;
    for name in ["eve", "carl"] {
        let text = refused(name, &["approve", "live", &id]);
        assert!(text.contains("have no effect here: trust.approvers does not list its key"), "{text}");
        let help = text.lines().find(|line| line.starts_with("help: ")).expect("a remedy");
        assert!(help.contains("ada@example.com (SHA256:") && help.contains("bob@example.com (SHA256:"), "{help}");
        assert!(!help.contains("carl"), "{help}");
        assert!(refused(name, &["disapprove", "live", &id]).contains("trust.approvers"));
    }
    let text = refused("eve", &["acknowledge", "live"]);
    assert!(text.contains("trust.approvers or trust.breakGlass") && text.contains("carl@example.com"), "{text}");
    for (arguments, words) in [
        (&["approve", "lvie", &id][..], "there is no stage named `lvie`"),
        (&["approve", "paper", &id], "whose approvals are given by review"),
        (&["approve", "beta", &id], "the stage `beta` needs no approval"),
        (&["approve", "live", "v1"], "no release is known by the name `v1`"),
        (&["acknowledge", "lvie"], "help: stages: beta, paper, live"),
    ] {
        let text = refused("ada", arguments);
        assert!(text.contains(words), "{arguments:?}: {text}");
    }
    // Without any key, and where nobody may approve.
    let config = config.display().to_string();
    let unsigned =
        tagalong::run(stage.home(), &["approve", "live", &id, "--reason", "x", "--config", &config]).fails_with(2);
    assert!(unsigned.stderr.contains("git.signing is not set"), "{unsigned:#?}");
    let nobody = run_as(&stage, "ada", &stage.config(), &["approve", "live", &id]).fails_with(2);
    assert!(nobody.stderr.contains("trust.approvers is not set"), "{nobody:#?}");
    assert_eq!(stage.origin.tip(), tip);
}

#[test]
fn approvals_also_need_a_trusted_signer() {
    let stage = stage();
    let config = usual(&stage);
    let text = fs::read_to_string(&config).expect("there");
    let signers = |names: &[&str]| {
        let lines: Vec<String> = names.iter().map(|name| line(&stage, name, "")).collect();
        let list = serde_json::to_string(&lines).expect("JSON");
        fs::write(&config, text.replace("trust:\n", &format!("trust:\n  signers: {list}\n"))).expect("written");
    };
    signers(&["bob"]);
    let refused = run_as(&stage, "ada", &config, &["approve", "live", &release('1')]).fails_with(2);
    assert!(refused.stderr.contains("none of trust.signers accepts them"), "{refused:#?}");
    signers(&["ada", "bob"]);
    run_as(&stage, "ada", &config, &["approve", "live", &release('1')]).ok();
    assert!(counts(&stage, &config, '1'));
    signers(&["bob", "eve"]);
    let unknown = run_as(&stage, "bob", &config, &["disapprove", "live", "1111111"]).fails_with(2);
    assert!(unknown.stderr.contains("no release is known"), "no commit of hers counts any more: {unknown:#?}");
}

#[test]
fn skipped_gates_are_acknowledged_with_proof_where_anybody_can_prove_it() {
    let stage = stage();
    let config = usual(&stage);
    for name in ["carl", "bob"] {
        run_as(&stage, name, &config, &["acknowledge", "live"]).ok();
        let message = stage.origin.message();
        let start = format!("acknowledge: live\n\nTagalong-Acknowledge: live\nTagalong-Actor: {name}\n");
        assert!(message.starts_with(&start) && files_changed(&stage).is_empty(), "{message}");
    }
    let config = stage.config().display().to_string();
    tagalong::run(stage.home(), &["acknowledge", "live", "--reason", "seen", "--config", &config]).ok();
    assert!(stage.origin.message().contains("\nTagalong-Reason: seen\n"));
}

#[test]
fn an_approval_survives_a_lost_race_and_a_new_cache() {
    let stage = stage();
    let config = usual(&stage);
    // Another push comes between the fetch and the push of the first attempt.
    let work = stage.home().join("work");
    git(stage.home(), &["clone", "--quiet", "infra.git", "work"]);
    git(&work, &["commit", "--quiet", "--allow-empty", "-m", "another push"]);
    let other = git(&work, &["rev-parse", "HEAD"]);
    git(&work, &["push", "--quiet", "origin", "HEAD:refs/heads/other"]);
    let script = format!(
        "[ -e raced ] && exit 0\ntouch raced\nunset GIT_QUARANTINE_PATH\ngit update-ref refs/heads/main {}",
        other.trim()
    );
    stage.origin.hook("pre-receive", &script);
    run_as(&stage, "ada", &config, &["approve", "live", &release('1')]).ok();
    assert_eq!(stage.origin.subjects()[..2], ["approve: live 111111111111", "another push"]);
    fs::remove_dir_all(stage.home().join(".cache")).expect("a cache");
    assert!(counts(&stage, &config, '1'));
    stage.origin.is_sound();
}

#[test]
fn the_repository_cannot_say_who_may_approve() {
    let stage = stage();
    let eve = serde_json::to_string(&[line(&stage, "eve", "")]).expect("JSON");
    for key in ["approvers", "breakGlass"] {
        stage.origin.commit("trust me", &[("tagalong.yaml", &format!("{STAGES}trust: {{ {key}: {eve} }}\n"))]);
        let refused = run_as(&stage, "eve", &usual(&stage), &["approve", "live", &release('1')]).fails_with(2);
        assert!(refused.stderr.contains("trust: only `policies`"), "{refused:#?}");
        assert!(refused.stderr.contains("belong in the agent's own file"), "{refused:#?}");
    }
    // Mistakes in the own file are named.
    for (entry, words) in [
        ("ada@example.com", "cannot read ada@example.com"),
        ("* ssh-ed25519 nonsense", "trust.approvers: line 1: `ssh-ed25519` is not followed by a valid key"),
        ("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nx", "trust.approvers: only SSH keys"),
    ] {
        let refused =
            run_as(&stage, "ada", &config(&stage, &[entry.to_owned()]), &["approve", "live", "1"]).fails_with(2);
        assert!(refused.stderr.contains(words), "{refused:#?}");
    }
}
