//! `.ci/release`: the same sources give the same binary, and the SBOM lists what is in it. Built with `./test --large`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support;

#[test]
fn a_release_is_reproducible_and_has_an_sbom() {
    if !support::is_large() {
        support::skipped("./test --large builds a release");
        return;
    }
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(root.join(".ci/release"));
    command.args(["--twice", "--without-advisories"]);
    // Only the steps are tested here, so the compiler need not optimize.
    command.envs([
        ("CARGO_PROFILE_DIST_OPT_LEVEL", "0"),
        ("CARGO_PROFILE_DIST_LTO", "off"),
        ("CARGO_PROFILE_DIST_CODEGEN_UNITS", "64"),
    ]);
    let output = command.output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("both builds have the same bytes"), "{said}");

    let dist = root.join("target/dist");
    let sums = Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&dist).output();
    assert!(sums.expect("sha256sum starts").status.success());
    let sbom = dist.join(format!("tagalong-{}.cdx.json", env!("CARGO_PKG_VERSION")));
    let sbom: serde_json::Value = serde_json::from_slice(&std::fs::read(sbom).expect("an SBOM")).expect("JSON");
    assert_eq!((&sbom["bomFormat"], &sbom["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let components = sbom["components"].as_array().expect("components");
    let listed: BTreeSet<String> = components
        .iter()
        .map(|component| format!("{} v{}", text(&component["name"]), text(&component["version"])))
        .collect();
    let missing: Vec<String> = dependencies(&root).into_iter().filter(|name| !listed.contains(name)).collect();
    assert_eq!(missing, Vec::<String>::new(), "in the binary but not in the SBOM");
}

fn text(value: &serde_json::Value) -> &str {
    value.as_str().expect("text")
}

/// The crates that are compiled into the binary, by cargo's own account, as `name vVERSION`.
fn dependencies(root: &Path) -> BTreeSet<String> {
    let arguments = ["tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    let output = Command::new("cargo").args(arguments).current_dir(root).output().expect("cargo starts");
    let text = String::from_utf8(output.stdout).expect("text");
    let crates = text.lines().filter(|line| !line.starts_with("tagalong "));
    crates.map(|line| line.trim_end_matches(" (*)").trim_end_matches(" (proc-macro)").to_owned()).collect()
}
