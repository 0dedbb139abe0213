//! `appVersion` of a chart, which is the tag of its image where the values give none.

use std::collections::BTreeSet;

use memchr::memmem::find;

use crate::image::{Reference, Repository};
use crate::path::parent_of;
use crate::yaml::scan::Scan;

use super::glob::name_of;
use super::image_name::ImageName;
use super::line::{DocumentPath, Step};
use super::movements::Place;
use super::tree::Tree;

/// Returns whether a place is the `appVersion` of a chart.
pub fn is_one(place: &Place) -> bool {
    name_of(&place.file) == "Chart.yaml" && place.path == DocumentPath(vec![Step::Key("appVersion".to_owned())])
}

/// Returns the image that has the `appVersion` of a chart as its tag: the only one in its values without a tag, if a
/// template uses the version as it is.
pub fn image(chart: &str, tree: &Tree<'_>) -> Result<ImageName, &'static str> {
    let folder = parent_of(chart);
    if !is_used(folder, tree) {
        return Err("no template of the chart uses it as a tag");
    }
    let file = format!("{folder}/values.yaml");
    let images = tree.files.contains(&file).then(|| (tree.read)(&file)).flatten().map(|bytes| untagged(&bytes));
    match images.unwrap_or_default().into_iter().collect::<Vec<Repository>>().as_slice() {
        [image] => Ok(ImageName::Elsewhere { image: image.clone(), file }),
        [] => Err("the values of the chart name no image without a tag"),
        _ => Err("the values of the chart name several images without a tag"),
    }
}

/// Returns whether the templates of a chart use its `appVersion`, and nowhere with something around it.
fn is_used(folder: &str, tree: &Tree<'_>) -> bool {
    let templates = format!("{folder}/templates/");
    let texts = tree.files.range(templates.clone()..).take_while(|file| file.starts_with(&templates));
    let texts: Vec<Vec<u8>> = texts.filter_map(|file| (tree.read)(file)).collect();
    let any = |word: &str| texts.iter().any(|text| find(text, word.as_bytes()).is_some());
    any(".Chart.AppVersion") && !any("v{{ .Chart.AppVersion") && !any("printf \"v%s\" .Chart.AppVersion")
}

/// Returns the images in values that have no tag.
fn untagged(bytes: &[u8]) -> BTreeSet<Repository> {
    let Ok(scan) = Scan::read(bytes) else { return BTreeSet::new() };
    let name = |id| {
        let name = scan.get_scalar(id, "repository")?;
        let tag = scan.get_scalar(id, "tag").unwrap_or_default();
        let reference: Reference = name.parse().ok().filter(|_| matches!(tag, "" | "~" | "null"))?;
        reference.version.is_empty().then_some(reference.repository)
    };
    scan.ids().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::inventory::Inventory;

    fn name(template: &str, values: &str) -> Result<ImageName, &'static str> {
        let files = [("a/Chart.yaml", ""), ("a/templates/x.yaml", template), ("a/values.yaml", values)];
        let paths: BTreeSet<String> = files.iter().map(|(path, _)| (*path).to_owned()).collect();
        let read = |path: &str| Some(files.iter().find(|(file, _)| *file == path)?.1.as_bytes().to_vec());
        let inventory = Inventory::default();
        image("a/Chart.yaml", &Tree { files: &paths, inventory: &inventory, name_templates: &[], read: &read })
    }

    #[test]
    fn it_is_the_tag_of_the_only_image_without_one() {
        let used = "image: {{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}\n";
        let values = "image: {repository: ghcr.io/a/b, tag: \"\"}\nother: {repository: ghcr.io/a/c, tag: v1}\n";
        let found = name(used, values);
        assert!(
            matches!(&found, Ok(ImageName::Elsewhere { image, .. }) if image.as_str() == "ghcr.io/a/b"),
            "{found:?}"
        );
        assert!(name("labels: {}\n", values).is_err());
        assert!(name("image: {{ .Values.image }}:v{{ .Chart.AppVersion }}\n", values).is_err());
        assert!(name(used, "a: {repository: ghcr.io/a/b}\nb: {repository: ghcr.io/a/c}\n").is_err());
    }
}
