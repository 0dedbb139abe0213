//! Images that are released together: complete or not at all, in one commit.

use super::promotion::at;
use crate::support::git::git;
use crate::support::infra::Stage;
use crate::support::tagalong::Run;

const OLD: &str = "2026-04-01T10:00:00Z";
const NEW: &str = "2026-04-02T10:00:00Z";

fn stage() -> (Stage, String) {
    let files = ["beta/web.yaml", "beta/worker.yaml", "live/web.yaml", "live/worker.yaml"];
    let text =
        |file: &str| format!("image: HOST/org/{}:aaaaaa1\n", if file.contains("web") { "web" } else { "worker" });
    let files = files.map(|file| (file, text(file)));
    let stage = Stage::new(&files.each_ref().map(|(file, text)| (*file, text.as_str())));
    for image in ["org/web", "org/worker"] {
        stage.registry.push(image, "aaaaaa1", OLD);
    }
    let stages = format!(
        "releases: [{{ name: shop, images: ['{}/org/*'], completeWithin: 30m }}]\n\
         stages:\n- {{ name: beta, paths: ['beta/**'] }}\n- {{ name: live, paths: ['live/**'], from: beta }}\n",
        stage.registry.host()
    );
    (stage, stages)
}

fn sync(stage: &Stage, stages: &str) -> Run {
    at(stage, stages, 0, &["sync", "--output", "json"]).ok()
}

fn held(stage: &Stage) -> String {
    let tag = |file: &str| stage.origin.read(file).trim().rsplit(':').next().expect("a tag").to_owned();
    ["beta/web.yaml", "beta/worker.yaml", "live/web.yaml", "live/worker.yaml"].map(tag).join(" ")
}

#[test]
fn a_release_waits_for_its_last_image_and_moves_in_one_commit() {
    let (stage, stages) = stage();
    stage.registry.push("org/web", "aaaaaa2", NEW);
    let run = sync(&stage, &stages);
    assert_eq!(held(&stage), "aaaaaa1 aaaaaa1 aaaaaa1 aaaaaa1");
    let skipped = run.json()["skipped"].as_array().expect("a list").clone();
    let incomplete =
        skipped.iter().find(|skipped| skipped["reason"] == "incomplete").unwrap_or_else(|| panic!("{run:#?}"));
    let detail = incomplete["detail"].as_str().expect("a text");
    assert!(
        detail.starts_with("shop aaaaaa2 is incomplete: ") && detail.contains("org/worker does not have it"),
        "{detail}"
    );
    assert!(run.stderr.contains("shop aaaaaa2 has been incomplete for more than 30m"), "{run:#?}");
    let board = at(&stage, &stages, 0, &["stages"]).ok().stdout;
    assert!(board.contains("shop: beta: aaaaaa2") && board.contains("is incomplete"), "{board}");
    stage.registry.push("org/worker", "aaaaaa2", NEW);
    sync(&stage, &stages);
    assert_eq!(held(&stage), "aaaaaa2 aaaaaa2 aaaaaa1 aaaaaa1");
    sync(&stage, &stages);
    assert_eq!(held(&stage), "aaaaaa2 aaaaaa2 aaaaaa2 aaaaaa2");
    let files = git(&stage.origin.path, &["diff", "--name-only", "main~1", "main"]);
    assert_eq!(files, "live/web.yaml\nlive/worker.yaml\n");
    assert!(stage.origin.message().starts_with("promote: shop aaaaaa2 to live\n"), "{}", stage.origin.message());
}

#[test]
fn a_broken_image_keeps_the_whole_release_back() {
    let (stage, stages) = stage();
    stage.registry.push("org/web", "aaaaaa2", NEW);
    let digest = stage.registry.push("org/worker", "aaaaaa2", NEW);
    sync(&stage, &stages);
    assert_eq!(held(&stage), "aaaaaa2 aaaaaa2 aaaaaa1 aaaaaa1");
    let layer =
        stage.registry.manifest("org/worker", &digest)["layers"][0]["digest"].as_str().expect("a digest").to_owned();
    stage.registry.lose(&layer);
    let run = at(&stage, &stages, 0, &["sync", "--output", "json"]);
    assert_eq!((run.code, held(&stage).as_str()), (3, "aaaaaa2 aaaaaa2 aaaaaa1 aaaaaa1"), "{run:#?}");
    let text = run.stdout;
    assert!(text.contains("live/web.yaml: image stays because") && text.contains("of the same release"), "{text}");
}
