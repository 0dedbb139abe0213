//! SLSA provenance: the builder, and the commit that an image was built from (slsa.dev/spec, provenance v1 and v0.2).

use serde_json::Value;

use super::flaw::Cause;
use super::foreign::shown;
use super::requirement::PredicateType;
use super::source_repository::SourceRepository;

/// The most sources that are named in messages.
const SHOWN: usize = 3;
/// The fewest digits of a commit that tell it from others.
const FEWEST: usize = 7;

/// What provenance says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Provenance {
    pub builder: Option<String>,
    pub source: SourceRepository,
    pub commit: String,
}

impl Provenance {
    /// Reads a predicate of one of the two types.
    ///
    /// # Errors
    /// It does not name exactly one source repository with a commit.
    pub fn read(predicate_type: &PredicateType, predicate: &Value) -> Result<Provenance, Cause> {
        let is_first = *predicate_type == PredicateType::SlsaProvenance02;
        let at = |path: &str| predicate.pointer(path);
        let (builder, declared, materials) = if is_first {
            (
                at("/builder/id"),
                vec![at("/invocation/configSource/uri")],
                vec![at("/invocation/configSource"), at("/materials")],
            )
        } else {
            let parameters = "/buildDefinition/externalParameters";
            let declared = ["workflow/repository", "configSource/uri", "source/uri"];
            let declared = declared.map(|key| at(&format!("{parameters}/{key}"))).to_vec();
            let places = [at(&format!("{parameters}/configSource")), at("/buildDefinition/resolvedDependencies")];
            (at("/runDetails/builder/id"), declared, places.to_vec())
        };
        let builder = builder.and_then(Value::as_str).map(str::to_owned);
        let declared = declared.into_iter().flatten().filter_map(Value::as_str).find_map(SourceRepository::parse);
        let (source, commit) = one_of(materials.into_iter().flatten().flat_map(sources).collect(), declared.as_ref())?;
        Ok(Provenance { builder, source, commit })
    }

    /// Checks the commit against the one in a tag.
    ///
    /// # Errors
    /// They differ, or the tag has too few digits.
    pub fn check_commit(&self, wanted: &str) -> Result<(), Cause> {
        let wanted = wanted.to_ascii_lowercase();
        if wanted.len() < FEWEST {
            return Err(Cause::ShortCommit(wanted.len()));
        }
        if self.commit.starts_with(&wanted) {
            return Ok(());
        }
        Err(Cause::OtherCommit { found: self.commit.clone(), wanted })
    }
}

/// Returns the repositories with commits among descriptors, of which there may be one or a list.
fn sources(descriptors: &Value) -> Vec<(SourceRepository, String)> {
    let list = descriptors.as_array().map_or(std::slice::from_ref(descriptors), Vec::as_slice);
    let source = |descriptor: &Value| {
        let repository = SourceRepository::parse(descriptor.get("uri")?.as_str()?)?;
        let digest = descriptor.get("digest")?;
        let commit = digest.get("gitCommit").or_else(|| digest.get("sha1"))?.as_str()?.to_ascii_lowercase();
        let is_commit = matches!(commit.len(), 40 | 64) && commit.bytes().all(|b| b.is_ascii_hexdigit());
        is_commit.then_some((repository, commit))
    };
    list.iter().filter_map(source).collect()
}

/// Returns the source among all repositories that went into a build: the one that the parameters of the build name, or
/// else the only one. A builder may well have fetched others, and none of those may stand for the image.
fn one_of(
    mut found: Vec<(SourceRepository, String)>,
    declared: Option<&SourceRepository>,
) -> Result<(SourceRepository, String), Cause> {
    if let Some(declared) = declared {
        found.retain(|(repository, _)| repository == declared);
    }
    found.sort();
    found.dedup();
    match found.len() {
        0 => Err(Cause::NoSource),
        1 => Ok(found.remove(0)),
        _ => {
            let named = found.iter().take(SHOWN).map(|(repository, commit)| format!("{repository} at {commit}"));
            Err(Cause::SeveralSources(shown(&named.collect::<Vec<_>>().join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COMMIT: &str = "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d";
    const OTHER: &str = "ffffffffffffffffffffffffffffffffffffffff";

    fn label(result: Result<Provenance, Cause>) -> &'static str {
        result.map_or_else(|cause| cause.label(), |_| "fine")
    }

    fn v1(predicate: &Value) -> Result<Provenance, Cause> {
        Provenance::read(&PredicateType::SlsaProvenance1, predicate)
    }

    fn of_github(dependencies: Value) -> Value {
        json!({
            "buildDefinition": {
                "buildType": "https://actions.github.io/buildtypes/workflow/v1",
                "externalParameters": { "workflow": { "ref": "refs/heads/main", "repository": "https://github.com/acme/shop", "path": ".github/workflows/x.yml" } },
                "resolvedDependencies": dependencies,
            },
            "runDetails": { "builder": { "id": "https://github.com/acme/shop/.github/workflows/x.yml@refs/heads/main" } },
        })
    }

    #[test]
    fn the_commit_of_the_declared_source_counts() {
        let shop =
            json!({ "uri": "git+https://github.com/acme/shop@refs/heads/main", "digest": { "gitCommit": COMMIT } });
        let action = json!({ "uri": "git+https://github.com/evil/action@v1", "digest": { "gitCommit": OTHER } });
        let read = v1(&of_github(json!([action, shop]))).expect("provenance");
        assert_eq!((read.source.as_str(), read.commit.as_str()), ("github.com/acme/shop", COMMIT));
        assert!(read.builder.is_some_and(|id| id.ends_with("@refs/heads/main")));
        assert_eq!(label(v1(&of_github(json!([action])))), "no-source");
        let twice = json!({ "uri": "https://github.com/acme/shop", "digest": { "sha1": OTHER } });
        assert_eq!(label(v1(&of_github(json!([shop, twice])))), "several-sources");
    }

    #[test]
    fn without_a_declared_source_there_has_to_be_one() {
        let of = |dependencies: Value| v1(&json!({ "buildDefinition": { "resolvedDependencies": dependencies } }));
        let shop = json!({ "uri": "https://git.example.com/acme/shop.git", "digest": { "sha1": COMMIT } });
        let base = json!({ "uri": "pkg:docker/alpine@3.20", "digest": { "sha256": "ab" } });
        assert_eq!(of(json!([base, shop])).expect("one").commit, COMMIT);
        let lib = json!({ "uri": "https://git.example.com/acme/lib.git", "digest": { "sha1": OTHER } });
        assert_eq!(label(of(json!([lib, shop]))), "several-sources");
        for none in [
            json!([]),
            json!(null),
            json!([base]),
            json!([{ "uri": "https://a.example/b", "digest": { "sha1": "12" } }]),
        ] {
            assert_eq!(label(of(none)), "no-source");
        }
    }

    #[test]
    fn the_older_version_names_its_source_in_the_invocation() {
        let predicate = json!({
            "builder": { "id": "https://github.com/slsa-framework/x@refs/tags/v2.0.0" },
            "invocation": { "configSource": { "uri": "git+https://github.com/acme/shop@refs/tags/v1", "digest": { "sha1": COMMIT } } },
            "materials": [
                { "uri": "git+https://github.com/acme/shop@refs/tags/v1", "digest": { "sha1": COMMIT } },
                { "uri": "git+https://github.com/acme/base", "digest": { "sha1": OTHER } },
            ],
        });
        let read = Provenance::read(&PredicateType::SlsaProvenance02, &predicate).expect("provenance");
        assert_eq!((read.source.as_str(), read.commit.as_str()), ("github.com/acme/shop", COMMIT));
        assert_eq!(label(v1(&predicate)), "no-source");
    }

    #[test]
    fn a_tag_abbreviates_the_commit() {
        let shop = json!({ "uri": "git+https://github.com/acme/shop", "digest": { "gitCommit": COMMIT } });
        let read = v1(&of_github(json!([shop]))).expect("provenance");
        for fine in [COMMIT, &COMMIT[..7], &COMMIT.to_uppercase()] {
            assert_eq!(read.check_commit(fine), Ok(()), "{fine}");
        }
        let refused = |wanted: &str| read.check_commit(wanted).expect_err(wanted).label();
        assert_eq!(refused(&COMMIT[..6]), "short-commit");
        assert_eq!(refused(""), "short-commit");
        assert_eq!(refused(&OTHER[..7]), "other-commit");
        assert_eq!(refused(&format!("{COMMIT}0")), "other-commit");
    }
}
