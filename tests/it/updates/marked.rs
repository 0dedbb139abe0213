//! `fields: marked` limits a policy to fields with a marker, as Flux does.

use crate::support::infra::Stage;

#[test]
fn only_marked_fields_follow_the_policy() {
    let policy = "policies:\n- { images: [HOST/a/*], tags: { semver: '*' }, fields: marked }\n";
    let kustomization = "images:\n- name: HOST/a/app\n  newTag: 1.0.0 # {\"$imagepolicy\": \"flux-system:app:tag\"}\n";
    let stage = Stage::new(&[
        ("tagalong.yaml", policy),
        ("marked.yaml", "image: HOST/a/app:1.0.0 # {\"$imagepolicy\": \"flux-system:app\"}\n"),
        ("own.yaml", "version: 1.0.0 # tagalong: image=HOST/a/app\n"),
        ("plain.yaml", "image: HOST/a/app:1.0.0 # {see $imagepolicy}\n"),
        ("k/kustomization.yaml", kustomization),
    ]);
    for tag in ["1.0.0", "1.1.0"] {
        stage.registry.push("a/app", tag, "2026-04-01T10:00:00Z");
    }
    let rows = stage.tagalong(&["images", "--output", "json"]).ok().json();
    let governed = rows.as_array().expect("a list").iter().filter(|row| !row["policy"].is_null()).count();
    assert_eq!(governed, 3, "{rows:#}");
    stage.tagalong(&["sync"]).ok();
    for file in ["marked.yaml", "own.yaml", "k/kustomization.yaml"] {
        assert!(stage.origin.read(file).contains("1.1.0"), "{file}");
    }
    assert!(stage.origin.read("plain.yaml").contains("1.0.0"));
}
