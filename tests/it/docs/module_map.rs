//! The table of modules in `ARCHITECTURE.md` is the same as in `src/lib.rs`.

use std::fs;
use std::path::Path;

/// The rows of the first table with layers and modules, without the links.
fn rows(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.strip_prefix("//! ").unwrap_or(line));
    let table =
        lines.skip_while(|line| !line.starts_with("| layer | modules |")).take_while(|line| line.starts_with('|'));
    table.map(|line| line.replace("[`", "`").replace("`]", "`")).collect()
}

#[test]
fn the_architecture_has_the_table_of_the_crate() {
    let read = |file: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("text");
    let expected = rows(&read("src/lib.rs"));
    assert!(expected.len() > 10, "src/lib.rs has no table of layers and modules");
    assert_eq!(rows(&read("ARCHITECTURE.md")), expected);
}
