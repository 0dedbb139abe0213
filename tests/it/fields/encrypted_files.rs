//! A plaintext image in a SOPS file moves if an identity is available, and sops finds nothing else changed.

use serde_json::json;

use crate::support::infra::Stage;
use crate::support::sops::Sops;
use crate::support::tagalong::run;

const OLD: &str = "2026-04-01T10:00:00Z";
const NEW: &str = "2026-04-02T10:00:00Z";

const RELEASE: &str = "# by hand\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata:\n    name: app\nspec:\n    values:\n        image:\n            repository: HOST/org/app\n            tag: aaaaaa1\n        password: hunter2\n";

#[test]
fn the_image_moves_and_the_file_still_decrypts() {
    let sops = Sops::new();
    let stage = Stage::new(&[("README.md", "x\n")]);
    let plain = RELEASE.replace("HOST", &stage.registry.host());
    let sealed = String::from_utf8(sops.encrypt("app.yaml", &plain, "encrypted_regex: ^password$")).expect("text");
    stage.origin.commit("a release", &[("app.yaml", &sealed)]);
    stage.registry.push("org/app", "aaaaaa1", OLD);
    stage.registry.push("org/app", "aaaaaa2", NEW);
    let config = stage.config().display().to_string();

    let refused = run(stage.home(), &["sync", "--output", "json", "--config", &config]);
    assert_eq!((refused.code, &refused.json()["skipped"][0]["reason"]), (3, &json!("blocked-secret")), "{refused:#?}");
    assert_eq!(stage.origin.read("app.yaml"), sealed);

    let folder = stage.home().join(".config/sops/age");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("keys.txt"), &sops.identity).expect("written");
    let moved = run(stage.home(), &["sync", "--output", "json", "--config", &config]).ok();
    assert!(!format!("{moved:?}").contains("hunter2"), "{moved:#?}");
    let written = stage.origin.read("app.yaml");
    let decrypted = sops.decrypt("app.yaml", &written, &[]).expect("sops decrypts it");
    let expected = sops.decrypt("app.yaml", &sealed, &[]).expect("sops decrypts it");
    let expected = String::from_utf8(expected).expect("text").replace("aaaaaa1", "aaaaaa2");
    assert_eq!(String::from_utf8(decrypted).expect("text"), expected);
    let changed: Vec<&str> =
        written.lines().zip(sealed.lines()).filter(|(new, old)| new != old).map(|(new, _)| new.trim()).collect();
    let keys = changed.iter().filter_map(|line| line.split_once(':')).map(|(key, _)| key);
    // Within the second in which sops encrypted the file, its time stays the same.
    let keys: Vec<&str> = keys.filter(|key| *key != "lastmodified").collect();
    assert_eq!(keys, ["tag", "mac"], "{changed:#?}");

    // By name, below --dir.
    let dir = stage.home().join("work");
    std::fs::create_dir(&dir).expect("a folder");
    std::fs::write(dir.join("app.yaml"), &sealed).expect("written");
    let image = format!("{}:aaaaaa3", stage.image("app"));
    run(stage.home(), &["set", &image, "--dir", &dir.display().to_string()]).ok();
    let written = std::fs::read_to_string(dir.join("app.yaml")).expect("text");
    assert!(written.contains("tag: aaaaaa3"), "{written}");
    sops.decrypt("app.yaml", &written, &[]).expect("sops decrypts it");
}
