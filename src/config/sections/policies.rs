//! The sections `policies`, `fields` and `embedded`.

use std::sync::Arc;

use crate::config::reader::{Section, TextOrSection};
use crate::manifest::field_rules::{FieldRule, FieldRules};
use crate::plan::tree_config::TreeConfig;
use crate::platform::PlatformError;
use crate::policy::calver::CalverFormat;
use crate::policy::order::{Order, SourceBranch};
use crate::policy::range::Range;
use crate::policy::rule::{INSPECT_LIMIT, ImagePattern, PolicySet, Rule};
use crate::policy::tag_patterns::{TagPattern, TagPatterns};
use crate::policy::tags::{Filter, RuleError, ShaForm, TagRule};
use crate::repo::config::Branch;
use crate::secret::SafeUrl;

use super::{origin, stages};

/// Reads these and the stages from the root of a file.
pub fn read(root: &mut Section<'_>) -> TreeConfig {
    let rules = root.sections("policies").into_iter().filter_map(policy).collect();
    TreeConfig { policies: PolicySet { rules }, field_rules: field_rules(root), stages: stages::read(root) }
}

/// Reads `fields` and `embedded` from the root of a file.
pub fn field_rules(root: &mut Section<'_>) -> FieldRules {
    let rules = root.sections("fields").into_iter().filter_map(field_rule).collect();
    FieldRules { rules, embedded: root.boolean("embedded").unwrap_or(false) }
}

fn field_rule(mut section: Section<'_>) -> Option<FieldRule> {
    let text = |text: &str| Ok(text.to_owned());
    let (file, path) = (section.parsed_with("file", text), section.parsed_with("path", text));
    let image = section.parsed_with("image", text);
    let images = section.each_with("images", text);
    let rule = match (file, path) {
        (Some(_), Some(_)) if image.is_some() && !images.is_empty() => {
            Err("give either `image` or `images`".to_owned())
        }
        (Some(file), Some(path)) if !images.is_empty() => {
            FieldRule::for_several(&file, &path, &images).map_err(|error| error.to_string())
        }
        (Some(file), Some(path)) => FieldRule::new(&file, &path, image.as_deref()).map_err(|error| error.to_string()),
        _ => {
            Err("`file` and `path` are required, for example `file: apps/*/values.yaml` and `path: image.tag`"
                .to_owned())
        }
    };
    let rule = rule.map_err(|error| section.error(error)).ok();
    section.finish();
    rule
}

/// Reads one policy.
pub fn policy(mut section: Section<'_>) -> Option<Rule> {
    let (images, is_of_charts) = patterns(&mut section);
    let track = section.choice("track", &[("digest", ())]).is_some();
    let version = section.parsed_with("version", |text| Range::parse(text).map_err(|error| error.to_string()));
    let tags = match (section.section_instead_of("tags", form_of_tags), is_of_charts) {
        (None, true) => chart_rule(&section, version),
        (Some(tags), false) => tag_rule(tags),
        (None, false) if !section.lacks("tags") => None,
        (None, false) if track => Some(TagRule::Held),
        (None, false) => {
            section.error("`tags` is required, for example `tags: { sha: { order: built } }`");
            None
        }
        (Some(_), true) => {
            section.error("`tags` is for `images`; charts take `version`, for example `version: ^1.4`");
            None
        }
    };
    let marked_only = section.choice("fields", &[("marked", true), ("all", false)]).unwrap_or(false);
    let pin = section.choice("pin", &[("digest", ())]).is_some();
    let mut patterns = |key| section.each_with(key, |text| TagPattern::parse(text).map_err(|error| error.to_string()));
    let tag_patterns = TagPatterns { allow: patterns("allow"), ignore: patterns("ignore") };
    let minimum_age = section.duration("minimumAge");
    let inspect_limit = section.number("inspectLimit").unwrap_or(INSPECT_LIMIT).max(1);
    let platforms =
        section.each_with("platforms", |text| text.parse().map_err(|error: PlatformError| error.to_string()));
    let fallback = section.boolean("fallback").unwrap_or(false);
    let keep = section.number("keep");
    let origin = origin::read(&mut section).map(Arc::new);
    report_misplaced_keys(&section, is_of_charts);
    section.finish();
    let name = images.first()?.0.clone();
    Some(Rule {
        name,
        images: images.into_iter().map(|(_, pattern)| pattern).collect(),
        tags: tags?,
        marked_only,
        pin,
        track,
        tag_patterns,
        minimum_age,
        inspect_limit,
        platforms,
        fallback,
        keep,
        origin,
    })
}

/// Reads the patterns of a policy, and whether they are of charts.
fn patterns(section: &mut Section<'_>) -> (Vec<(String, ImagePattern)>, bool) {
    let mut each = |key, parse: fn(&str) -> Result<ImagePattern, RuleError>| {
        section.each_with(key, |text| {
            parse(text).map(|pattern| (text.to_owned(), pattern)).map_err(|error| error.to_string())
        })
    };
    let (images, charts) = (each("images", ImagePattern::parse), each("charts", ImagePattern::parse_charts));
    match (section.lacks("images"), section.lacks("charts")) {
        (true, true) => section.error("`images` is required: a list of patterns such as ghcr.io/acme/*"),
        (false, false) => section.error("give either `images` or `charts`"),
        _ => {}
    }
    if section.lacks("charts") { (images, false) } else { (charts, true) }
}

/// Makes the rule of a policy for charts.
fn chart_rule(section: &Section<'_>, range: Option<Range>) -> Option<TagRule> {
    if section.lacks("version") {
        section.error("`version` is required: a range of versions such as ^1.4");
    }
    Some(TagRule::Semver { range: range?, filter: Filter::of_charts() })
}

/// Reports keys of charts in a policy for images, and the other way round.
fn report_misplaced_keys(section: &Section<'_>, is_of_charts: bool) {
    if !is_of_charts && !section.lacks("version") {
        section.error("`version` is for `charts`; images take `tags`");
    }
    for key in ["track", "pin", "platforms", "keep"] {
        if is_of_charts && !section.lacks(key) {
            section.error(format!("`{key}` is for `images`, not for `charts`"));
        }
    }
}

/// Returns what to write for a rule that is given by its name alone.
fn form_of_tags(name: &str) -> Option<String> {
    let form = match name {
        "sha" => "{ sha: { order: built } }",
        "semver" => "{ semver: '*' }",
        "calver" => "{ calver: YYYY.0M.MICRO }",
        "numerical" => "{ numerical: {} }",
        "alphabetical" => "{ alphabetical: {} }",
        _ => return None,
    };
    Some(format!("tags: {form}"))
}

fn tag_rule(mut section: Section<'_>) -> Option<TagRule> {
    let mut rules = Vec::new();
    let order = |order: &str| Some(format!("sha: {{ order: {order} }}"));
    match section.section_instead_of("sha", order) {
        Some(sha) => rules.push(sha_rule(sha)),
        None if !section.lacks("sha") => rules.push(None),
        None => {}
    }
    if let Some(form) = section.text_or_section("semver") {
        rules.push(semver_rule(&section, form));
    }
    if let Some(form) = section.text_or_section("calver") {
        rules.push(calver_rule(&section, form));
    }
    if let Some(numerical) = section.section("numerical") {
        rules.push(ordered(numerical).map(|(descending, filter)| TagRule::Numerical { descending, filter }));
    }
    if let Some(alphabetical) = section.section("alphabetical") {
        rules.push(ordered(alphabetical).map(|(descending, filter)| TagRule::Alphabetical { descending, filter }));
    }
    if rules.len() != 1 {
        section.error("exactly one of sha, semver, calver, numerical and alphabetical is required");
    }
    section.finish();
    rules.pop().flatten()
}

fn sha_rule(mut section: Section<'_>) -> Option<TagRule> {
    let has_history = section.has("source") || section.has("branch");
    let source = section.parsed::<SafeUrl>("source");
    let branch = section.parsed::<Branch>("branch").map_or_else(|| "main".to_owned(), |branch| branch.to_string());
    let commit = Order::Commit(SourceBranch { source, branch });
    let order = section.choice("order", &[("built", Order::Built), ("pushed", Order::Pushed), ("commit", commit)]);
    let order = order.unwrap_or_default();
    if has_history && !matches!(order, Order::Commit(_)) {
        section.error("`source` and `branch` require `order: commit`");
    }
    let has_pattern = section.has("pattern");
    let form = section.parsed_with("pattern", |text| ShaForm::pattern(text, &order).map_err(|error| error.to_string()));
    section.finish();
    match (has_pattern, form) {
        (_, Some(form)) => Some(TagRule::Sha { form, order }),
        (false, None) => Some(TagRule::Sha { form: ShaForm::Usual, order }),
        (true, None) => None,
    }
}

fn semver_rule(section: &Section<'_>, form: TextOrSection<'_>) -> Option<TagRule> {
    let parse = |text: &str| Range::parse(text).map_err(|error| error.to_string());
    let (range, filter) = parsed_and_filter(section, "semver", form, ("range", "\"^1.4\""), parse)?;
    Some(TagRule::Semver { range, filter })
}

fn calver_rule(section: &Section<'_>, form: TextOrSection<'_>) -> Option<TagRule> {
    let parse = |text: &str| CalverFormat::parse(text).map_err(|error| error.to_string());
    let (format, filter) = parsed_and_filter(section, "calver", form, ("format", "YYYY.0M.MICRO"), parse)?;
    Some(TagRule::Calver { format, filter })
}

/// Reads a rule that is a text, or a mapping with the text under `own` and a filter. `example` is for its error.
fn parsed_and_filter<T>(
    section: &Section<'_>,
    key: &'static str,
    form: TextOrSection<'_>,
    (own, example): (&'static str, &str),
    parse: impl Fn(&str) -> Result<T, String>,
) -> Option<(T, Filter)> {
    match form {
        TextOrSection::Text(node) => Some((section.interpret(key, &node, parse)?, Filter::default())),
        TextOrSection::Section(mut inner) => {
            let parsed = inner.parsed_with(own, parse);
            if inner.lacks(own) {
                inner.error(format!("`{own}` is required, for example {example}"));
            }
            let filter = filter(&mut inner);
            inner.finish();
            Some((parsed?, filter?))
        }
    }
}

fn ordered(mut section: Section<'_>) -> Option<(bool, Filter)> {
    let descending = section.choice("order", &[("asc", false), ("desc", true)]);
    let filter = filter(&mut section);
    section.finish();
    Some((descending.unwrap_or(false), filter?))
}

fn filter(section: &mut Section<'_>) -> Option<Filter> {
    let text = |text: &str| Ok(text.to_owned());
    let (pattern, extract) = (section.parsed_with("pattern", text), section.parsed_with("extract", text));
    let filter = Filter::new(pattern.as_deref(), extract.as_deref());
    filter.map_err(|error| section.error(error)).ok()
}
