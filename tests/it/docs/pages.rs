//! The pages of the documentation, and the blocks of code in them.

use std::fs;
use std::path::{Path, PathBuf};

/// Every page with its text: those at the root, and those in `docs` and `deploy`.
pub fn documents() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let at_the_root = walkdir::WalkDir::new(root).max_depth(1);
    let files = [at_the_root, walkdir::WalkDir::new(root.join("docs")), walkdir::WalkDir::new(root.join("deploy"))];
    let paths = files.into_iter().flatten().map(|entry| entry.expect("readable").into_path());
    let documents = paths.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    documents.map(|path| (path.clone(), fs::read_to_string(path).expect("text"))).collect()
}

/// The blocks of code in a language, without their indentation.
pub fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.trim_start().strip_prefix("```") else { continue };
        let indent = line.len() - line.trim_start().len();
        let inside = lines.by_ref().take_while(|line| line.trim_start() != "```");
        let block: String = inside.map(|line| format!("{}\n", line.get(indent..).unwrap_or_default())).collect();
        if info == language {
            blocks.push(block);
        }
    }
    blocks
}

#[test]
fn blocks_end_where_they_end_and_lose_their_indentation() {
    let text = "a\n```sh\nx\n```\n1. b\n   ```yaml\n   a:\n     b\n   ```\n   ```sh\n   y\n   ```\n";
    assert_eq!(blocks(text, "sh"), ["x\n", "y\n"]);
    assert_eq!(blocks(text, "yaml"), ["a:\n  b\n"]);
}
