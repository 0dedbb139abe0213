//! Image fields beyond the usual shapes: configured rules for unusual charts, and references inside longer texts.

use std::collections::BTreeMap;

use crate::yaml::node::NodeId;
use crate::yaml::scan::Scan;

use super::file_pattern::FilePattern;
use super::pattern::PathPattern;
use super::rule_image::{Around, FieldRuleError, ImageTemplate, OtherScalar, RuleImage};

/// The settings for image fields beyond the usual shapes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldRules {
    /// Rules for fields of unusual charts.
    pub rules: Vec<FieldRule>,
    /// True if references inside longer texts and block scalars are fields as well.
    pub embedded: bool,
}

impl FieldRules {
    /// Returns whether a rule needs a file whatever its extension is.
    pub fn take(&self, path: &str) -> bool {
        self.rules.iter().any(|rule| rule.files.names(path) || rule.reads(path))
    }

    /// Returns the scalars of a document that rules insert into the names of images in other files.
    pub(super) fn scalars_for_others(&self, path: &str, scan: &Scan<'_>, root: NodeId) -> BTreeMap<String, String> {
        let others = self.rules.iter().flat_map(FieldRule::others).filter(|other| other.may_be(path));
        let scalar = |other: &OtherScalar| {
            let (node, _) = other.pattern.find(scan, root).into_iter().next()?;
            Some((other.path.clone(), scan.scalar(node)?.to_owned()))
        };
        others.filter_map(scalar).collect()
    }
}

/// A rule: in certain files, the scalar at a path is the tag of an image, or of several.
#[derive(Debug, Clone)]
pub struct FieldRule {
    source: (String, String, Vec<String>),
    files: FilePattern,
    path: PathPattern,
    images: Vec<ImageTemplate>,
}

impl PartialEq for FieldRule {
    fn eq(&self, other: &FieldRule) -> bool {
        self.source == other.source
    }
}

impl Eq for FieldRule {}

/// A scalar that a rule selects.
#[derive(Debug)]
pub struct RuleMatch {
    /// The scalar.
    pub node: NodeId,
    /// The images whose tag it holds; none if the scalar is a complete reference.
    pub images: Vec<RuleImage>,
}

impl FieldRule {
    /// Makes a rule from a pattern of files, a path within their documents, and an image with `{…}` for parts that are
    /// elsewhere. Without an image, the scalar is a complete reference.
    pub fn new(file: &str, path: &str, image: Option<&str>) -> Result<FieldRule, FieldRuleError> {
        let images: Vec<String> = image.map(str::to_owned).into_iter().collect();
        FieldRule::make(file, path, &images, false)
    }

    /// Makes a rule for a scalar that is the tag of several images. Each may stand for several itself.
    pub fn for_several(file: &str, path: &str, images: &[String]) -> Result<FieldRule, FieldRuleError> {
        FieldRule::make(file, path, images, true)
    }

    fn make(file: &str, path: &str, images: &[String], may_expand: bool) -> Result<FieldRule, FieldRuleError> {
        let files = FilePattern::parse(file)?;
        let pattern = PathPattern::parse(path)?;
        let parse = |image: &String| ImageTemplate::parse(image, &files, &pattern, may_expand);
        let templates = images.iter().map(parse).collect::<Result<_, _>>()?;
        let source = (file.to_owned(), path.to_owned(), images.to_vec());
        Ok(FieldRule { source, files, path: pattern, images: templates })
    }

    /// Returns whether the rule applies to a file.
    pub fn applies_to(&self, file: &str) -> bool {
        self.files.wants(file)
    }

    /// Returns whether the reading of a file depends on the rule.
    pub fn concerns(&self, file: &str) -> bool {
        self.applies_to(file) || self.reads(file)
    }

    /// Returns whether the images of the rule depend on the path of the file that holds them.
    pub fn depends_on_path(&self) -> bool {
        self.files.has_captures()
    }

    fn others(&self) -> impl Iterator<Item = &OtherScalar> {
        self.images.iter().flat_map(ImageTemplate::others)
    }

    fn reads(&self, file: &str) -> bool {
        self.others().any(|other| other.may_be(file))
    }

    /// Returns the scalars of a document that the rule selects.
    pub fn find(&self, file: &str, scan: &Scan<'_>, root: NodeId) -> Vec<RuleMatch> {
        let captured = self.files.captured(file);
        let scalars = self.path.find(scan, root).into_iter().filter(|(node, _)| scan.scalar(*node).is_some());
        let images = |passed: &[String]| {
            let around = Around { scan, root, passed, captured: &captured };
            self.images.iter().flat_map(|image| image.images(&around)).collect()
        };
        scalars.map(|(node, passed)| RuleMatch { node, images: images(&passed) }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(image: RuleImage) -> String {
        match image {
            RuleImage::Here(Ok(image)) => image.to_string(),
            RuleImage::Here(Err(error)) => error.to_string(),
            RuleImage::Elsewhere(parts) => format!("{parts:?}"),
        }
    }

    #[test]
    fn a_value_may_belong_to_several_images() {
        let text = "image: {registry: ghcr.io/acme, tag: v1}\nnames: [api, web]\nservices: {one: {}, two: {}}\n";
        let scan = Scan::read(text.as_bytes()).expect("valid YAML");
        let (_, root) = scan.documents().next().expect("a document");
        let images = |images: &[&str]| -> Vec<String> {
            let images: Vec<String> = images.iter().map(|image| (*image).to_owned()).collect();
            let rule = FieldRule::for_several("{app}.yaml", "image.tag", &images).expect("a rule");
            rule.find("shop.yaml", &scan, root).into_iter().flat_map(|ruled| ruled.images).map(shown).collect()
        };
        assert_eq!(images(&["{image.registry}/{names[*]}"]), ["ghcr.io/acme/api", "ghcr.io/acme/web"]);
        assert_eq!(images(&["{image.registry}/{services.*}"]), ["ghcr.io/acme/one", "ghcr.io/acme/two"]);
        assert_eq!(images(&["ghcr.io/{app}/a", "ghcr.io/{app}/b"]), ["ghcr.io/shop/a", "ghcr.io/shop/b"]);
        assert!(images(&["{../values.yaml:image.registry}/a"])[0].contains("../values.yaml"));
        let rules = FieldRules {
            rules: vec![FieldRule::new("x", "tag", Some("{../values.yaml:image.registry}/a")).expect("a rule")],
            embedded: false,
        };
        assert!(rules.take("x") && rules.take("other/values.yaml") && !rules.take("y"));
        let scalars = rules.scalars_for_others("values.yaml", &scan, root);
        assert_eq!(scalars.into_iter().collect::<Vec<_>>(), [("image.registry".to_owned(), "ghcr.io/acme".to_owned())]);
    }

    #[test]
    fn images_are_put_together_from_the_document() {
        let text = "registry: ghcr.io/acme\nservices:\n  api: {name: app-api, tag: x}\n  web: {tag: y}\n";
        let scan = Scan::read(text.as_bytes()).expect("valid YAML");
        let (_, root) = scan.documents().next().expect("a document");
        let images = |path: &str, image: &str| -> Vec<String> {
            let rule = FieldRule::new("a.yaml", path, Some(image)).expect("a rule");
            let found = rule.find("a.yaml", &scan, root).into_iter().flat_map(|ruled| ruled.images);
            found.map(shown).collect()
        };
        assert_eq!(images("services.api.tag", "{registry}/app"), ["ghcr.io/acme/app"]);
        assert_eq!(images("services.*.tag", "{registry}/{1}"), ["ghcr.io/acme/api", "ghcr.io/acme/web"]);
        let named = images("services.*.tag", "{registry}/{services.*.name}");
        assert_eq!(named[0], "ghcr.io/acme/app-api");
        assert_eq!(
            named[1],
            "`ghcr.io/acme/…` is not a valid image name: a path in the rule does not lead to a scalar here"
        );
    }

    #[test]
    fn invalid_rules_are_refused() {
        for (file, path, image) in [
            ("/etc/x", "a", Some("ghcr.io/a/b")),
            ("a.yaml", "a..b", Some("ghcr.io/a/b")),
            ("a.yaml", "a", Some("ghcr.io/a/b:v1")),
            ("a.yaml", "a", Some("ghcr.io/{1}")),
            ("a.yaml", "a", Some("ghcr.io/{b")),
            ("a.yaml", "a", Some("ghcr.io/{b.*}")),
            ("a.yaml", "a", Some("")),
            ("a.yaml", "a", Some("{/etc/passwd:a}/b")),
            ("a.yaml", "a", Some("{b.yaml:a.*}/b")),
            ("a.yaml", "a", Some("{b.yaml:}/b")),
        ] {
            assert!(FieldRule::new(file, path, image).is_err(), "{file} {path} {image:?}");
        }
    }
}
