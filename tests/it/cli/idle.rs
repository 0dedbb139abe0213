//! A policy or a path that has no effect is reported, with what it may have meant.

use crate::support::infra::Stage;

fn stage() -> Stage {
    let stage = Stage::new(&[
        ("tagalong.yaml", "policies:\n- { images: ['HOST/ogr/*'], tags: { semver: '*' } }\n"),
        ("apps/web.yaml", "image: HOST/org/web:aaaaaa1\n"),
        ("other/nginx.yaml", "image: HOST/aaa/nginx:1.0.0\n"),
    ]);
    stage.registry.push("org/web", "aaaaaa1", "2026-04-01T10:00:00Z");
    stage
}

#[test]
fn a_policy_that_matches_nothing_is_reported_with_similar_images() {
    let stage = stage();
    let host = stage.registry.host();
    let expected = format!(
        "the policy {host}/ogr/* matches no image field; the most similar images are {host}/org/web, {host}/aaa/nginx"
    );
    for command in ["sync", "status"] {
        let run = stage.tagalong(&[command]).ok();
        assert!(run.stderr.contains(&expected), "{command}: {run:#?}");
    }
    let check = stage.tagalong(&["check"]).ok();
    assert!(check.stdout.contains(&format!("warns   effect policies and paths: {expected}")), "{check:#?}");
    let rows = stage.tagalong(&["check", "--output", "json"]).ok().json();
    let row = rows.as_array().expect("a list").iter().find(|row| row["check"] == "effect").expect("a row");
    assert_eq!((&row["ok"], &row["detail"]), (&true.into(), &expected.as_str().into()));
}

#[test]
fn a_path_that_selects_nothing_is_reported_with_similar_paths() {
    let stage = stage();
    for command in ["sync", "status"] {
        let run = stage.tagalong(&[command, "--path", "app/**", "--path", "other/*", "--path", "apps"]).ok();
        assert!(run.stderr.contains("the path app/** matches no file; the most similar paths are apps,"), "{run:#?}");
        assert!(
            run.stderr.contains("the path other/* selects no image field that a policy or a stage governs"),
            "{run:#?}"
        );
        assert!(!run.stderr.contains("the path apps "), "{run:#?}");
    }
    let check = stage.tagalong(&["check", "--path", "app/**"]).ok();
    assert!(check.stdout.contains("the path app/** matches no file"), "{check:#?}");
}
