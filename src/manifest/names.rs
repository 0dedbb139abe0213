//! The names of images that are not in the field's own file: from policies and HelmRepositories of Flux, from values that are merged, and
//! from files that rules refer to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::image::Repository;
use crate::path::{join, parent_of};

use super::facts::FileFacts;
use super::field::{Field, NameSource, Pending};
use super::flux::{FluxPolicies, HelmRepositories, Name};
use super::rule_image::{FieldRuleError, NamePart, name_of};
use super::values::layers::Layers;

/// The names that the files of a tree define for each other.
pub(super) struct Names<'f> {
    flux: FluxPolicies<'f>,
    helm: HelmRepositories<'f>,
    layers: Layers<'f>,
    for_others: HashMap<&'f str, (&'f Arc<str>, &'f BTreeMap<String, String>)>,
}

/// The reason why a field has no name.
#[derive(Debug)]
pub(super) enum NoName {
    /// Nothing in the tree defines this policy.
    Policy(String),
    /// No values name the image. True if the value is the tag of one all the same.
    Values { is_likely: bool },
    /// Nothing in the tree defines the repository of this chart.
    Chart(String),
    /// A rule cannot be applied.
    Rule(FieldRuleError),
}

impl<'f> Names<'f> {
    /// Collects the names of all files that were read. `exists` knows all files of the tree.
    pub fn of(
        files: impl Iterator<Item = (&'f Arc<str>, &'f FileFacts)> + Clone,
        exists: &'f dyn Fn(&str) -> bool,
    ) -> Names<'f> {
        let flux = FluxPolicies::of(files.clone().flat_map(|(_, facts)| &facts.flux));
        let with_files = files.clone().flat_map(|(path, facts)| facts.flux.iter().map(move |object| (path, object)));
        let helm = HelmRepositories::of(with_files);
        let with_scalars = files.clone().filter(|(_, facts)| !facts.for_others.is_empty());
        let for_others = with_scalars.map(|(path, facts)| (path.as_ref(), (path, &facts.for_others))).collect();
        Names { flux, helm, layers: Layers::of(files, exists), for_others }
    }

    /// Returns the fields of a file with their names, and those for which there is none.
    pub fn fields<'p>(&self, file: &Arc<str>, facts: &'p FileFacts) -> (Vec<Field>, Vec<(&'p Pending, NoName)>) {
        let prefixed = |field: &Field| self.layers.prefixed(file, facts, field).unwrap_or_else(|| field.clone());
        let mut fields: Vec<Field> = facts.fields.iter().map(prefixed).collect();
        let mut nameless = Vec::new();
        for pending in &facts.pending {
            match self.name(file, facts, pending) {
                Ok((image, named_in)) => fields.push(pending.named(image, named_in.filter(|other| other != file))),
                Err(none) => nameless.push((pending, none)),
            }
        }
        if facts.pending.iter().any(|pending| matches!(pending.name, NameSource::Rule(_))) {
            // The other images of the same scalar must not move without one that is not known.
            let is_unknown = |field: &Field| {
                let of_rule = nameless.iter().filter(|(_, none)| matches!(none, NoName::Rule(_)));
                of_rule.map(|(pending, _)| pending.place()).any(|place| place == field.place)
            };
            fields.retain(|field| !is_unknown(field));
            tell_apart(&mut fields);
        }
        if !facts.pending.is_empty() {
            fields.sort_by_key(|field| (field.document, field.place));
        }
        (fields, nameless)
    }

    fn name(
        &self,
        file: &Arc<str>,
        facts: &FileFacts,
        pending: &Pending,
    ) -> Result<(Repository, Option<Arc<str>>), NoName> {
        match &pending.name {
            NameSource::Policy(policy) => {
                let image = self.flux.image(policy).ok_or_else(|| NoName::Policy(policy.clone()))?;
                Ok((image.clone(), None))
            }
            NameSource::Values { place, is_likely } => {
                let named = self.layers.name(file, facts, place);
                let (image, named_in) = named.ok_or(NoName::Values { is_likely: *is_likely })?;
                Ok((image, Some(named_in)))
            }
            NameSource::Chart { chart, repository } => self.chart(chart, repository),
            NameSource::Rule(parts) => self.by_rule(file, parts).map_err(NoName::Rule),
        }
    }

    fn chart(&self, chart: &str, repository: &Name) -> Result<(Repository, Option<Arc<str>>), NoName> {
        let named = self.helm.find(repository).and_then(|(url, file)| {
            let name = Repository::of_chart(url, chart).ok()?;
            Some((name, Some(Arc::clone(file))))
        });
        named.ok_or_else(|| NoName::Chart(repository.1.clone()))
    }

    fn by_rule(&self, file: &str, parts: &[NamePart]) -> Result<(Repository, Option<Arc<str>>), FieldRuleError> {
        let (mut name, mut named_in) = (String::new(), None);
        for part in parts {
            match part {
                NamePart::Text(text) => name.push_str(text),
                NamePart::Scalar { file: other, path } => {
                    let found = join(parent_of(file), other).and_then(|other| self.for_others.get(other.as_str()));
                    let scalar = found.and_then(|(other, scalars)| Some((*other, scalars.get(path)?)));
                    let (other, text) = scalar.ok_or_else(|| FieldRuleError::Image {
                        text: format!("{name}…"),
                        reason: format!("there is no scalar at {path} of {other}"),
                    })?;
                    name.push_str(text);
                    named_in = Some(Arc::clone(other));
                }
            }
        }
        Ok((name_of(&name)?, named_in))
    }
}

/// Notes on each field the other images of its scalar.
fn tell_apart(fields: &mut [Field]) {
    let images: Vec<BTreeSet<Repository>> = fields
        .iter()
        .map(|field| {
            let sharing = fields.iter().filter(|other| field.shares_scalar_with(other));
            sharing.map(|other| other.repository.clone()).filter(|image| *image != field.repository).collect()
        })
        .collect();
    for (field, images) in fields.iter_mut().zip(images) {
        field.serves_also = images.into_iter().collect();
    }
}
