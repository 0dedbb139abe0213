//! The configurations that the recipes show work as they are written.

use std::fs;
use std::path::Path;

use crate::support::infra::Stage;

use super::promotion::at;

/// The blocks of YAML in a document.
fn configurations(document: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(document);
    let text = fs::read_to_string(file).expect("text");
    let blocks = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    // The policy is that of the test already.
    blocks.filter(|block| !block.starts_with("policies:")).collect()
}

#[test]
fn a_tag_file_for_each_environment() {
    let files = ["integration", "staging", "production"].map(|stage| format!("image-tags/{stage}/shop"));
    let before: Vec<(&str, &str)> = files.iter().map(|file| (file.as_str(), "image_tag: aaaaaa1\n")).collect();
    let stage = Stage::new(&before);
    stage.registry.push("org/shop", "aaaaaa1", "2026-04-01T10:00:00Z");
    stage.registry.push("org/shop", "aaaaaa2", "2026-04-02T10:00:00Z");
    let recipe = configurations("recipes/tag-file-per-environment.md");
    let recipe = recipe.replace("registry.example.com", &stage.registry.host());
    let held = || {
        let tags = files.iter().map(|file| stage.origin.read(file).trim().replace("image_tag: ", ""));
        tags.collect::<Vec<_>>().join(" ")
    };
    for (hours, expected) in [
        (0, "aaaaaa2 aaaaaa1 aaaaaa1"),
        (0, "aaaaaa2 aaaaaa2 aaaaaa1"),
        (0, "aaaaaa2 aaaaaa2 aaaaaa1"),
        (2, "aaaaaa2 aaaaaa2 aaaaaa2"),
    ] {
        at(&stage, &recipe, hours, &["sync"]).ok();
        assert_eq!(held(), expected);
    }
}

#[test]
fn stages_like_those_of_kargo() {
    let stage = Stage::new(&[("env/test/app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", "2026-04-01T10:00:00Z");
    for document in ["migration/kargo.md", "stages.md"] {
        let run = at(&stage, &configurations(document), 0, &["images", "--output", "json"]);
        assert_eq!(run.code, 0, "{document}: {run:#?}");
    }
}
