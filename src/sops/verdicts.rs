//! The verdicts on the files of a tree, whether it is a commit or a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::path::{Links, child_of, parent_of};

use super::audit::{FileStatus, FileVerdict};
use super::exposure::read::{KUSTOMIZATION_NAMES, is_kustomization_name, is_manifest_name};
use super::exposure::reference::{Reference, Role};
use super::inspect::{self, Inspection};

/// The files of a tree.
#[derive(Clone, Copy)]
pub struct Tree<'t> {
    /// Returns whether there is a regular file at a path.
    pub exists: &'t dyn Fn(&str) -> bool,
    /// The symbolic links.
    pub links: &'t Links,
}

/// The functions that read the files of a tree.
pub trait Inspector {
    /// The reason why files cannot be read.
    type Error;

    /// Returns the inspections of files.
    fn files(&mut self, files: &[&str]) -> Result<BTreeMap<String, Arc<Inspection>>, Self::Error>;

    /// Returns the inspections of files by their uses, in the order of the references.
    fn references(&mut self, references: &[Reference]) -> Result<Vec<Arc<Inspection>>, Self::Error>;
}

/// Returns the verdicts on some files of a tree, and on all files that their kustomizations make into Secrets, ordered by
/// path.
pub fn verdicts<I: Inspector>(files: &[&str], tree: Tree<'_>, inspector: &mut I) -> Result<Vec<FileVerdict>, I::Error> {
    let mut judged = Judged { tree, found: inspector.files(files)?, verdicts: Vec::new(), used: BTreeSet::new() };
    let mut open: Vec<Reference> = judged.found.values().flat_map(|found| found.references.clone()).collect();
    open.extend(judged.linked_kustomizations());
    let mut seen: BTreeSet<Reference> = BTreeSet::new();
    let mut inspected: Vec<Arc<Inspection>> = Vec::new();
    while !open.is_empty() {
        let references = judged.resolve(std::mem::take(&mut open));
        let fresh: Vec<Reference> = references.into_iter().filter(|reference| seen.insert(reference.clone())).collect();
        let unknown: BTreeSet<&str> = fresh.iter().map(|reference| reference.path.as_str()).collect();
        let unknown: Vec<&str> = unknown.into_iter().filter(|path| !judged.found.contains_key(*path)).collect();
        if !unknown.is_empty() {
            judged.found.extend(inspector.files(&unknown)?);
        }
        let by_use: Vec<Reference> = fresh.into_iter().filter(|reference| judged.needs_use(reference)).collect();
        let found = if by_use.is_empty() { Vec::new() } else { inspector.references(&by_use)? };
        open.extend(found.iter().flat_map(|found| found.references.clone()));
        inspected.extend(found);
    }
    Ok(judged.finish(&inspected))
}

/// The inspections so far.
struct Judged<'t> {
    tree: Tree<'t>,
    found: BTreeMap<String, Arc<Inspection>>,
    /// Verdicts on references that lead nowhere.
    verdicts: Vec<FileVerdict>,
    /// The files that are deployed because a kustomization refers to them.
    used: BTreeSet<String>,
}

impl Judged<'_> {
    /// Returns the references to files of the tree, with symbolic links followed. Files that do not exist are left out,
    /// because kustomize refuses to build without them.
    fn resolve(&mut self, references: Vec<Reference>) -> Vec<Reference> {
        let mut resolved = Vec::new();
        for reference in references {
            match self.tree.links.resolve(&reference.path) {
                Some(path) if (self.tree.exists)(&path) => resolved.push(Reference { path, ..reference }),
                // The kustomizations in other folders are files of the tree like any others.
                Some(folder) if reference.role == Role::Plugin => {
                    let names = KUSTOMIZATION_NAMES.iter().map(|name| child_of(&folder, name));
                    let path = names.into_iter().find(|path| (self.tree.exists)(path));
                    resolved.extend(path.map(|path| Reference { path, role: Role::PluginFolder, ..reference }));
                }
                Some(_) => {}
                None => {
                    let reason = format!("`{}` is a symbolic link that leads out of the tree", reference.path);
                    self.verdicts.push(inspect::verdict(&reference.by, 0, FileStatus::Unverified, reason));
                }
            }
        }
        resolved
    }

    /// Returns whether the use of a file can change its verdict. Files that are named like manifests have been read
    /// like manifests.
    fn needs_use(&mut self, reference: &Reference) -> bool {
        match reference.role {
            Role::Manifest if is_manifest_name(&reference.path) => {
                self.used.insert(reference.path.clone());
                false
            }
            Role::Kustomization => !is_kustomization_name(&reference.path),
            _ => true,
        }
    }

    /// Returns references to the kustomizations that are symbolic links in a folder of one of the files.
    fn linked_kustomizations(&self) -> Vec<Reference> {
        let links = self.tree.links.paths().filter(|path| is_kustomization_name(path));
        let concerns = |folder: &str| {
            let below = child_of(folder, "");
            let from = self.found.range(below.clone()..).next();
            folder.is_empty() || from.is_some_and(|(file, _)| file.starts_with(&below))
        };
        let reference =
            |path: &str| Reference { path: path.to_owned(), role: Role::Kustomization, by: path.to_owned() };
        links.filter(|path| concerns(parent_of(path))).map(reference).collect()
    }

    /// Returns whether a file that cannot be read is part of a chart, which nothing deploys as it is.
    fn is_chart_template(&self, path: &str, inspection: &Inspection) -> bool {
        let charts = path.match_indices("templates/").filter(|(at, _)| *at == 0 || path[..*at].ends_with('/'));
        let mut charts = charts.map(|(at, _)| child_of(path[..at].trim_end_matches('/'), "Chart.yaml"));
        inspection.is_template && !self.used.contains(path) && charts.any(|chart| (self.tree.exists)(&chart))
    }

    fn finish(mut self, by_use: &[Arc<Inspection>]) -> Vec<FileVerdict> {
        let mut verdicts = std::mem::take(&mut self.verdicts);
        for (path, inspection) in &self.found {
            verdicts.extend(inspection.verdicts.iter().cloned());
            verdicts.extend(inspection.unread.iter().filter(|_| !self.is_chart_template(path, inspection)).cloned());
        }
        for verdict in by_use.iter().flat_map(|inspection| &inspection.verdicts) {
            // One bad verdict on a document is enough, and the first is the more exact one.
            let is_known = |other: &FileVerdict| {
                let is_bad =
                    matches!(other.status, FileStatus::Plaintext | FileStatus::Unverified | FileStatus::Failed);
                is_bad && other.file == verdict.file && other.document == verdict.document
            };
            if !verdicts.iter().any(is_known) {
                verdicts.push(verdict.clone());
            }
        }
        verdicts.sort_by(|a, b| (&a.file, a.document).cmp(&(&b.file, b.document)));
        verdicts.dedup();
        verdicts
    }
}
