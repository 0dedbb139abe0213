//! Names of images that are not in the field's own file.

use tagalong::cycle::tree::cache::TreeCache;
use tagalong::manifest::field_rules::FieldRules;
use tagalong::manifest::paths::PathFilter;
use tagalong::manifest::prefilter::Prefilter;

use crate::support::git::Origin;
use crate::support::infra::Stage;
use crate::support::tagalong::run;

const OVERRIDE: &str = "image: {tag: v1}\n";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("written");
    }
    folder
}

#[test]
fn images_says_which_file_names_an_image_and_what_nothing_names() {
    let folder = folder(&[
        ("app/values.yaml", "image: {repository: ghcr.io/acme/app}\n"),
        ("app/values-prod.yaml", "image: {tag: v1}\nworker: {image: {tag: v2}}\njob: {imageTag: v3}\n"),
        ("app/notes.yaml", "release: {name: x, version: v1}\n"),
    ]);
    let dir = folder.path().display().to_string();
    let listed = run(folder.path(), &["images", "--dir", &dir]).ok();
    assert!(listed.stdout.contains("NAMED IN"), "{}", listed.stdout);
    let row = listed.stdout.lines().find(|line| line.contains("ghcr.io/acme/app")).expect("a row");
    assert!(row.starts_with("app/values-prod.yaml:1") && row.trim_end().ends_with("app/values.yaml"), "{row}");
    let note = "app/values-prod.yaml: no field for worker.image.tag in line 2 and 1 more: it looks like the tag of an image, but no file names the image";
    assert!(listed.stderr.contains(note), "{}", listed.stderr);
    assert!(!listed.stderr.contains("notes.yaml"), "{}", listed.stderr);
    let json = run(folder.path(), &["images", "--dir", &dir, "--output", "json"]).ok().json();
    let keys: Vec<&String> = json[0].as_object().expect("an object").keys().collect();
    assert_eq!(json[0]["shape"], "helm");
    assert!(keys.iter().all(|key| *key != "namedIn"), "the keys of the output are a promise: {keys:?}");
}

#[test]
fn a_changed_name_counts_although_the_field_s_file_is_the_same() {
    let work = tempfile::tempdir().expect("a folder");
    let origin = Origin::create(
        &work.path().join("infra.git"),
        &[("app/values.yaml", "image: {repository: acme/one}\n"), ("app/values-prod.yaml", OVERRIDE)],
    );
    let paths = || PathFilter::new::<&str>(&[]).expect("no globs");
    let warm = TreeCache::new(paths());
    let mut clone = super::tree_cache::clone_of(&origin, work.path());
    let one_and_two = ["acme/one", "acme/two"].map(|name| name.parse().expect(name));
    let prefilters = [Prefilter::Everything, Prefilter::from_images(one_and_two.iter())];
    let steps: [(&dyn Fn(), Option<&str>); 4] = [
        (&|| {}, Some("docker.io/acme/one")),
        (
            &|| drop(origin.commit("renamed", &[("app/values.yaml", "image: {repository: acme/two}\n")])),
            Some("docker.io/acme/two"),
        ),
        (&|| drop(origin.commit("no name", &[("app/values.yaml", "a: b\n")])), None),
        (
            &|| drop(origin.commit("above", &[("values.yaml", "image: {repository: acme/one}\n")])),
            Some("docker.io/acme/one"),
        ),
    ];
    for (step, wanted) in steps {
        step();
        let tip;
        (clone, tip) = clone.fetch().expect("a fetch");
        for prefilter in &prefilters {
            let look =
                |cache: &TreeCache| cache.inventory(&clone, tip, &FieldRules::default(), prefilter).expect("read");
            assert_eq!(look(&warm), look(&TreeCache::new(paths())));
            let inventory = look(&warm);
            let named: Vec<&str> = inventory.fields.iter().map(|located| located.field.repository.as_str()).collect();
            assert_eq!(named, wanted.into_iter().collect::<Vec<_>>(), "{prefilter:?}");
        }
    }
}

#[test]
fn a_value_of_several_images_moves_to_the_newest_tag_that_all_have() {
    const OLD: &str = "2026-01-01T00:00:00Z";
    const NEW: &str = "2026-02-01T00:00:00Z";
    const NEWEST: &str = "2026-03-01T00:00:00Z";
    let rule = "fields:\n- {file: values.yaml, path: image.tag, images: [\"{image.registry}/{services.*}\"]}\n";
    let values = "image: {registry: HOST/org, tag: aaaaaa1}\nservices: {one: api, two: web}\n";
    let stage = Stage::new(&[("tagalong.yaml", rule), ("values.yaml", values)]);
    for image in ["org/api", "org/web"] {
        stage.registry.push(image, "aaaaaa1", OLD);
    }
    stage.registry.push("org/api", "cccccc1", NEWEST);
    let report = stage.tagalong(&["sync", "--output", "json"]).ok().json();
    assert_eq!(report["commit"], serde_json::Value::Null, "{report:#}");
    let said = report["skipped"].to_string();
    assert!(said.contains("cccccc1 is missing in") && said.contains("org/web"), "{report:#}");

    for image in ["org/api", "org/web"] {
        stage.registry.push(image, "bbbbbb1", NEW);
    }
    let report = stage.tagalong(&["sync", "--output", "json"]).ok().json();
    assert_eq!(report["updates"].as_array().map(Vec::len), Some(2), "{report:#}");
    assert!(stage.origin.read("values.yaml").contains("tag: bbbbbb1}"), "{report:#}");
    assert!(report["skipped"].to_string().contains("cccccc1 is missing in"), "{report:#}");
}
