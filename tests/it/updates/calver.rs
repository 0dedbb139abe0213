//! Calendar versions are ordered by date, as their format says.

use crate::support::infra::Stage;

const OLD: &str = "2026-04-01T10:00:00Z";

#[test]
fn the_newest_calendar_version_is_chosen() {
    let stage = Stage::new(&[
        (
            "tagalong.yaml",
            "policies:\n- { images: [HOST/a/app], tags: { calver: YYYY.MM } }\n\
             - { images: [HOST/b/app], tags: { calver: 'YYYY.0M.0D[.MICRO]' } }\n\
             - { images: [HOST/c/app], tags: { calver: { format: YY.MM.MICRO, pattern: '^(.*)-alpine$', extract: $1 } } }\n",
        ),
        ("a.yaml", "image: HOST/a/app:2026.8\n"),
        ("b.yaml", "image: HOST/b/app:2026.04.01\n"),
        ("c.yaml", "image: HOST/c/app:26.4.1-alpine\n"),
    ]);
    // As text, and as versions, 2026.9 and 26.13.1 would be newer.
    for (app, tags) in [
        ("a/app", &["2026.8", "2026.9", "2026.10", "2026.13", "latest"][..]),
        ("b/app", &["2026.04.01", "2026.04.01.9", "2026.04.01.10", "2026.02.31.99"]),
        ("c/app", &["26.4.1-alpine", "26.4.20-alpine", "26.5.1", "26.13.1-alpine"]),
    ] {
        for tag in tags {
            stage.registry.push(app, tag, OLD);
        }
    }
    let report = stage.tagalong(&["sync", "--output", "json"]).ok().json();
    assert!(stage.origin.read("a.yaml").contains("app:2026.10\n"), "{report:#}");
    assert!(stage.origin.read("b.yaml").contains("app:2026.04.01.10\n"), "{report:#}");
    assert!(stage.origin.read("c.yaml").contains("app:26.4.20-alpine\n"), "{report:#}");
    let explained = stage.tagalong(&["explain", &format!("{}/a/app", stage.registry.host())]).ok().stdout;
    assert!(explained.contains("is not a calendar version of the form `YYYY.MM`"), "{explained}");
}

#[test]
fn an_invalid_format_is_reported_with_its_position() {
    let stage = Stage::new(&[("a.yaml", "image: HOST/a/app:2026.8\n")]);
    let config = stage.config();
    let text = std::fs::read_to_string(&config).expect("there");
    let text = text.replace("{ sha: { order: built } }", "{ calver: YYYYMM0D }");
    std::fs::write(&config, text).expect("written");
    let run = stage.tagalong(&["check"]).fails_with(2);
    assert!(
        run.stderr.contains("policies[0].tags.calver: `YYYYMM0D` is not a valid calendar version format"),
        "{run:#?}"
    );
    assert!(run.stderr.contains("MM varies in length"), "{run:#?}");
}
