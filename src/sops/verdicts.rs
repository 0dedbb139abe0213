//! The verdicts on the files of a tree, whether it is a commit or a folder.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::audit::FileVerdict;
use super::inspect::Inspection;

/// A file that a kustomization generates a Secret from, and the kustomization.
pub type Source<'s> = (&'s str, &'s str);

/// Returns the verdicts on some files of a tree, and on the files that their kustomizations generate Secrets from, ordered
/// by path. `inspect` and `inspect_sources` read the files.
pub fn verdicts<E>(
    files: &[&str],
    exists: impl Fn(&str) -> bool,
    mut inspect: impl FnMut(&[&str]) -> Result<BTreeMap<String, Arc<Inspection>>, E>,
    inspect_sources: impl FnOnce(&[Source<'_>]) -> Result<Vec<Option<FileVerdict>>, E>,
) -> Result<Vec<FileVerdict>, E> {
    let found = inspect(files)?;
    let mut sources: BTreeMap<&str, &str> = BTreeMap::new();
    for (file, inspection) in &found {
        for source in inspection.sources.iter().filter(|source| exists(source)) {
            sources.entry(source).or_insert(file);
        }
    }
    let others: Vec<&str> = sources.keys().copied().filter(|source| !found.contains_key(*source)).collect();
    let more = if others.is_empty() { BTreeMap::new() } else { inspect(&others)? };
    let inspections = found.values().chain(more.values());
    let mut verdicts: Vec<FileVerdict> = inspections.flat_map(|inspection| inspection.verdicts.clone()).collect();
    let sources: Vec<Source<'_>> = sources.into_iter().collect();
    for verdict in inspect_sources(&sources)?.into_iter().flatten() {
        // One verdict on a file is enough, and the first is the more exact one.
        if !verdicts.iter().any(|other| other.file == verdict.file) {
            verdicts.push(verdict);
        }
    }
    verdicts.sort_by(|a, b| (&a.file, a.document).cmp(&(&b.file, b.document)));
    Ok(verdicts)
}
