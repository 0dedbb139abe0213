//! The lock file of a chart's dependencies, which follows them: Helm refuses to build a chart whose `Chart.lock` does not
//! match its `Chart.yaml`. Its digest is that of the JSON of both lists (Helm 3, `resolver.HashReq`).

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::yaml::node::{Kind, NodeId};
use crate::yaml::scan::Scan;
use crate::yaml::splice::{Change, apply};

use super::file_kind::is_chart;

/// A dependency, with the fields in the order of Helm's type.
#[derive(Debug, Serialize)]
struct Dependency {
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    version: String,
    repository: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    condition: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    enabled: bool,
    #[serde(rename = "import-values", skip_serializing_if = "Vec::is_empty")]
    import_values: Vec<Import>,
    #[serde(skip_serializing_if = "String::is_empty")]
    alias: String,
}

/// An entry of `import-values`.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Import {
    Key(String),
    Keys(BTreeMap<String, String>),
}

/// Returns the lock file of a chart; `None` for other files.
pub fn lock_of(file: &str) -> Option<String> {
    let folder = file.strip_suffix("Chart.yaml").filter(|_| is_chart(file))?;
    Some(format!("{folder}Chart.lock"))
}

/// Returns the chart that a lock file belongs to; `None` for other files.
pub fn chart_of(lock: &str) -> Option<String> {
    let folder = lock.strip_suffix("Chart.lock")?;
    (folder.is_empty() || folder.ends_with('/')).then(|| format!("{folder}Chart.yaml"))
}

/// Returns a lock file with the versions that a chart's dependencies have after an edit. `None` if it did not match the
/// chart before: then it has to be made again by Helm anyway.
pub fn follow(before: &[u8], after: &[u8], lock: &[u8]) -> Option<Vec<u8>> {
    let (before, after, scan) = (Scan::read(before).ok()?, Scan::read(after).ok()?, Scan::read(lock).ok()?);
    let (before, after) = (dependencies(&before)?, dependencies(&after)?);
    let mut locked = dependencies(&scan)?;
    let root = scan.documents().next()?.1;
    let digest = scan.get(root, "digest")?;
    let same_name = |(one, other): (&Dependency, &Dependency)| one.name == other.name;
    let fits = before.len() == locked.len() && before.len() == after.len() && before.iter().zip(&locked).all(same_name);
    if !fits || scan.scalar(digest)? != digest_of(&before, &locked)? {
        return None;
    }
    let mut changes = Vec::new();
    let nodes = items(&scan)?;
    for (index, (_, new)) in before.iter().zip(&after).enumerate().filter(|(_, (old, new))| old.version != new.version)
    {
        changes.push(Change::Value { node: scan.get(*nodes.get(index)?, "version")?, text: new.version.clone() });
        locked[index].version.clone_from(&new.version);
    }
    changes.push(Change::Value { node: digest, text: digest_of(&after, &locked)? });
    apply(lock, &scan, &changes).ok()
}

fn items(scan: &Scan<'_>) -> Option<Vec<NodeId>> {
    let root = scan.documents().next()?.1;
    Some(scan.items(scan.get(root, "dependencies")?).collect())
}

/// Reads the dependencies of a chart or its lock file; `None` if one of them has a form that Helm would not read like
/// this.
fn dependencies(scan: &Scan<'_>) -> Option<Vec<Dependency>> {
    let text = |item: NodeId, key: &str| match scan.get(item, key) {
        Some(value) => scan.scalar(value).map(str::to_owned),
        None => Some(String::new()),
    };
    let texts = |list: NodeId| scan.items(list).map(|item| scan.scalar(item).map(str::to_owned)).collect();
    let read = |item: NodeId| {
        Some(Dependency {
            name: text(item, "name")?,
            version: text(item, "version")?,
            repository: text(item, "repository")?,
            condition: text(item, "condition")?,
            tags: scan.get(item, "tags").map_or(Some(Vec::new()), texts)?,
            enabled: text(item, "enabled")? == "true",
            import_values: match scan.get(item, "import-values") {
                Some(list) => scan.items(list).map(|item| import(scan, item)).collect::<Option<_>>()?,
                None => Vec::new(),
            },
            alias: text(item, "alias")?,
        })
    };
    items(scan)?.into_iter().map(read).collect()
}

fn import(scan: &Scan<'_>, item: NodeId) -> Option<Import> {
    if let Kind::Scalar { value, .. } = scan.kind(scan.resolve(item)) {
        return Some(Import::Key(value.clone()));
    }
    let pair = |(key, value): (NodeId, NodeId)| Some((scan.scalar(key)?.to_owned(), scan.scalar(value)?.to_owned()));
    Some(Import::Keys(scan.pairs(item).map(pair).collect::<Option<_>>()?))
}

fn digest_of(required: &[Dependency], locked: &[Dependency]) -> Option<String> {
    let json = serde_json::to_string(&[required, locked]).ok()?;
    let hash = Sha256::digest(escaped(&json));
    Some(format!("sha256:{}", hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}

/// Escapes what Go's JSON escapes in addition. None of it occurs outside strings.
fn escaped(json: &str) -> String {
    let escapes =
        [('<', "\\u003c"), ('>', "\\u003e"), ('&', "\\u0026"), ('\u{2028}', "\\u2028"), ('\u{2029}', "\\u2029")];
    escapes.iter().fold(json.to_owned(), |json, (from, to)| json.replace(*from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `helm dependency update` of Helm 3.22, before and after an edit of `Chart.yaml`.
    const LOCK: &str = "\
dependencies:
- name: redis
  repository: http://127.0.0.1:8099
  version: 1.0.0
- name: redis
  repository: http://127.0.0.1:8099
  version: 1.1.0
- name: local
  repository: file://../local
  version: 0.1.0
digest: sha256:11e74d9aa6af42f488aea78fdaa2b1df4969fd9c9386ef8e79b72b725cd744ac
generated: \"2026-11-26T23:37:30.54602814Z\"
";
    const DIGEST_AFTER: &str = "sha256:163321950299c559d91efc84c7da6f64f4d96ed837081dd91bf7a2653994be72";
    const CHART: &str = "\
apiVersion: v2
name: parent
version: 0.1.0
dependencies:
- name: redis
  version: 1.0.0 # moved
  repository: http://127.0.0.1:8099
  alias: cache
  condition: cache.enabled
  tags: [back, front]
  import-values:
  - data
  - parent: z
    child: a
- name: redis
  version: \">=1.0.0 <2.0.0\"
  repository: http://127.0.0.1:8099
- name: local
  version: 0.1.0
  repository: file://../local
";

    #[test]
    fn a_lock_follows_its_chart_as_helm_would_write_it() {
        let after = CHART.replace("1.0.0 # moved", "1.1.0 # moved");
        let followed = follow(CHART.as_bytes(), after.as_bytes(), LOCK.as_bytes()).expect("a lock");
        let (old, _) = LOCK.split_once("digest: ").expect("a digest");
        let expected = format!(
            "{}digest: {DIGEST_AFTER}\ngenerated: \"2026-11-26T23:37:30.54602814Z\"\n",
            old.replacen("version: 1.0.0", "version: 1.1.0", 1)
        );
        assert_eq!(String::from_utf8(followed).expect("text"), expected);
    }

    #[test]
    fn a_lock_that_did_not_match_is_left_alone() {
        let after = CHART.replace("1.0.0 # moved", "1.1.0");
        let left = |chart: &str, lock: &str| follow(chart.as_bytes(), after.as_bytes(), lock.as_bytes()).is_none();
        assert!(left(&CHART.replace("cache.enabled", "x"), LOCK));
        assert!(left(CHART, &LOCK.replace("11e74d", "000000")));
        assert!(left(CHART, &LOCK.replacen("- name: redis\n", "- name: other\n", 1)));
        assert!(left(CHART, "dependencies: []\ndigest: sha256:0\n"));
        assert!(left(CHART, "not: a lock\n"));
    }

    #[test]
    fn a_lock_is_beside_its_chart() {
        assert_eq!(lock_of("charts/shop/Chart.yaml").as_deref(), Some("charts/shop/Chart.lock"));
        assert_eq!(chart_of("Chart.lock").as_deref(), Some("Chart.yaml"));
        assert!(lock_of("MyChart.yaml").is_none() && chart_of("a/MyChart.lock").is_none());
    }
}
