//! The cache between tips is never visible: a warm one gives the same result as a cold one.

use std::path::Path;

use tagalong::cycle::tree::cache::TreeCache;
use tagalong::manifest::field_rules::{FieldRule, FieldRules};
use tagalong::manifest::paths::PathFilter;
use tagalong::manifest::prefilter::Prefilter;
use tagalong::repo::clone::BareClone;
use tagalong::repo::config::{Config, Https, Person, Ssh};

use crate::support::git::{Origin, git};

const DEPLOYMENT: &str = "spec:\n  containers:\n  - image: acme/app:v1\n";
const OVERLAY: &str = "resources: [../base]\nimages:\n- name: acme/app\n  newTag: v2\n";

#[test]
fn a_warm_cache_gives_the_same_as_a_cold_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let origin = Origin::create(
        &folder.path().join("infra.git"),
        &[
            ("base/app.yaml", DEPLOYMENT),
            ("base/kustomization.yaml", "resources: [app.yaml]\n"),
            ("other.yaml", "a: b\n"),
        ],
    );
    let rule = FieldRule::new("**", "version", Some("acme/app")).expect("a rule");
    let views = [
        (FieldRules::default(), Prefilter::Everything),
        (FieldRules::default(), Prefilter::from_images(["acme/app".parse().expect("a name")].iter())),
        (FieldRules { rules: vec![rule], embedded: false }, Prefilter::Everything),
    ];
    let paths = || PathFilter::new(&["base", "prod", "moved", "other.yaml", "new.yaml"]).expect("globs");
    let warm = TreeCache::new(paths());
    let mut clone = clone_of(&origin, folder.path());
    let steps: [&dyn Fn(); 11] = [
        &|| {},
        &|| drop(origin.commit("an overlay", &[("prod/kustomization.yaml", OVERLAY)])),
        &|| drop(origin.commit("another tag", &[("base/app.yaml", &DEPLOYMENT.replace("v1", "v3"))])),
        &|| drop(origin.commit("no image", &[("prod/kustomization.yaml", "resources: [../base, ../gone]\n")])),
        &|| drop(origin.commit("a version", &[("other.yaml", "version: v1\n"), ("new.yaml", "image: acme/app:v9\n")])),
        &|| with_git(&origin, &["rm", "-r", "prod"]),
        &|| drop(origin.commit("in place of a folder", &[("prod", "a file now\n"), ("base/app.yaml", "a: [\n")])),
        &|| drop(origin.commit("as it was", &[("base/app.yaml", DEPLOYMENT)])),
        &|| with_git(&origin, &["mv", "base", "moved"]),
        &|| drop(origin.commit("twins", &[("base/app.yaml", DEPLOYMENT), ("base/again.yaml", DEPLOYMENT)])),
        &|| drop(origin.commit("deep", &[(&format!("base/{}app.yaml", "a/".repeat(1_500)), DEPLOYMENT)])),
    ];
    for (number, step) in steps.iter().enumerate() {
        step();
        let tip;
        (clone, tip) = clone.fetch().expect("a fetch");
        for (field_rules, prefilter) in views.iter().cycle().take(4) {
            let look = |cache: &TreeCache| cache.inventory(&clone, tip, field_rules, prefilter).expect("read");
            assert_eq!(look(&warm), look(&TreeCache::new(paths())), "step {number}, {prefilter:?}");
        }
    }
}

/// Opens a clone of a repository, with its folder below another.
pub fn clone_of(origin: &Origin, folder: &Path) -> BareClone {
    let person = Person { name: "a".to_owned(), email: "a@example.com".to_owned() };
    let config = Config {
        url: origin.path.display().to_string().parse().expect("a URL"),
        branch: "main".parse().expect("a branch"),
        push_branch: None,
        push_options: Vec::new(),
        cache_dir: folder.join("cache"),
        depth: 0,
        history_limit: 0,
        ssh: Ssh::default(),
        https: Https::default(),
        author: person.clone(),
        committer: person,
        timeout: std::time::Duration::from_secs(30),
        signing: None,
        trust: Default::default(),
        metrics: Default::default(),
    };
    BareClone::open(config).expect("a clone")
}

/// Commits the changes that a git command makes.
fn with_git(origin: &Origin, command: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let work = folder.path().join("work");
    git(folder.path(), &["clone", "--quiet", &origin.path.display().to_string(), &work.display().to_string()]);
    git(&work, command);
    git(&work, &["-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "-m", "changed"]);
    git(&work, &["push", "--quiet"]);
}
