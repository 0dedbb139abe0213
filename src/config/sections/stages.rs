//! The sections `stages`, `releases` and `windows`.

use std::str::FromStr;

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use crate::config::reader::{Section, TextOrSection, TextsOrSection};
use crate::manifest::paths::PathFilter;
use crate::policy::rule::ImagePattern;
use crate::stage::definition::{Approval, ApprovalBy, Check, From, ReleaseRule, Stage, Tags};
use crate::stage::name::Name;
use crate::stage::stages::Stages;
use crate::window::schedule::{CalendarFile, Means, Window};
use crate::window::weekly::Weekly;

/// Reads all three from the root of a file.
pub fn read(root: &mut Section<'_>) -> Stages {
    Stages {
        stages: root.sections("stages").into_iter().filter_map(stage).collect(),
        releases: root.sections("releases").into_iter().filter_map(release).collect(),
        windows: root.sections("windows").into_iter().filter_map(window).collect(),
    }
}

fn stage(mut section: Section<'_>) -> Option<Stage> {
    let name = required_name(&mut section);
    let globs = section.each_with("paths", |text| match PathFilter::new(&[text]) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    });
    if section.lacks("paths") {
        section.error("`paths` is required: the files of the stage, for example [\"apps/*/values-live.yaml\"]");
    }
    let from = from(&mut section);
    let soak = section.duration("soak").unwrap_or_default();
    let checks = section.texts_and_sections("checks").into_iter().filter_map(|item| check(&section, item)).collect();
    let windows = section.each_with("windows", name_of);
    let approval = section.section("approval").map(approval);
    if from.is_none() {
        for key in ["soak", "checks", "windows", "approval"].into_iter().filter(|key| !section.lacks(key)) {
            section.error(format!("`{key}` requires `from`: a stage without it follows the registry"));
        }
    }
    section.finish();
    let paths = PathFilter::new(&globs).ok()?;
    Some(Stage { name: name?, paths, from, soak, checks, windows, approval })
}

fn from(section: &mut Section<'_>) -> Option<From> {
    match section.texts_or_section("from")? {
        TextsOrSection::Texts(nodes) => {
            let names = nodes.iter().filter_map(|node| section.interpret("from", node, name_of));
            Some(From::Any(names.collect())).filter(|from| !from.names().is_empty())
        }
        TextsOrSection::Section(mut inner) => {
            let names = inner.each_with("all", name_of);
            if inner.lacks("all") {
                inner.error("`all` is required: the stages that a release has to pass, for example [beta, load-test]");
            }
            inner.finish();
            Some(From::All(names)).filter(|from| !from.names().is_empty())
        }
    }
}

fn check(section: &Section<'_>, item: TextOrSection<'_>) -> Option<Check> {
    match item {
        TextOrSection::Text(node) => section.interpret("checks", &node, |text| match text.trim() {
            "" => Err("the name of a check is empty".to_owned()),
            text => Ok(Check::Status(text.to_owned())),
        }),
        TextOrSection::Section(mut inner) => {
            let flux = inner.choice("flux", &[("ready", Check::FluxReady)]);
            let argocd = inner.choice("argocd", &[("healthy", Check::ArgocdHealthy)]);
            if inner.lacks("flux") == inner.lacks("argocd") {
                inner.error("write the context of a commit status, { flux: ready } or { argocd: healthy }");
            }
            inner.finish();
            flux.or(argocd)
        }
    }
}

fn approval(mut section: Section<'_>) -> Approval {
    let ways = [ApprovalBy::Review, ApprovalBy::Merge, ApprovalBy::Signature].map(|by| (by.name(), by));
    let by = section.choice("by", &ways);
    if section.lacks("by") {
        section.error("`by` is required: review, merge or signature");
    }
    let need = section.number("need").unwrap_or(1);
    if need == 0 {
        section.error("`need` has to be at least 1");
    }
    let not_by_author = section.choice("notBy", &[("author", true)]).unwrap_or(false);
    section.finish();
    Approval { need: need.max(1), by: by.unwrap_or(ApprovalBy::Signature), not_by_author }
}

fn release(mut section: Section<'_>) -> Option<ReleaseRule> {
    let name = required_name(&mut section);
    let images = section.each_with("images", |text| ImagePattern::parse(text).map_err(|error| error.to_string()));
    if section.lacks("images") {
        section.error("`images` is required: a list of patterns such as ghcr.io/acme/*");
    }
    let tags = section.choice("tag", &[("same", Tags::Same), ("each", Tags::Each)]).unwrap_or_default();
    let complete_within = section.duration("completeWithin");
    section.finish();
    Some(ReleaseRule { name: name?, images, tags, complete_within })
}

fn window(mut section: Section<'_>) -> Option<Window> {
    let name = required_name(&mut section);
    let zone = section.parsed_with("timeZone", |text| {
        let unknown =
            |_| format!("`{text}` is not a time zone; write a name of the IANA database, such as America/New_York");
        TimeZone::get(text).map_err(unknown)
    });
    if section.lacks("timeZone") {
        section.error("`timeZone` is required, for example America/New_York or UTC");
    }
    let closed = section.sections("closed").into_iter().filter_map(weekly).collect();
    let path = section.parsed_with("calendar", |text| match PathFilter::new(&[text]) {
        Ok(filter) if filter.names(text) => Ok(text.to_owned()),
        _ => Err(format!("`{text}` is not the path of a file, relative to the root of the repository")),
    });
    let means = section.choice("calendarMeans", &[("open", Means::Open), ("closed", Means::Closed)]);
    if means.is_some() && section.lacks("calendar") {
        section.error("`calendarMeans` requires `calendar`");
    }
    let lead = section.duration("lead").and_then(|lead| SignedDuration::try_from(lead).ok()).unwrap_or_default();
    section.finish();
    let calendar = path.map(|path| CalendarFile { path, means: means.unwrap_or(Means::Open) });
    Some(Window { closed, calendar, lead, ..Window::new(name?.as_str(), zone?) })
}

fn weekly(mut section: Section<'_>) -> Option<Weekly> {
    let text = |text: &str| Ok(text.to_owned());
    let (days, from, to) =
        (section.parsed_with("days", text), section.parsed_with("from", text), section.parsed_with("to", text));
    if section.lacks("days") {
        section.error("`days` is required, for example mon-fri");
    }
    let weekly = days.map(|days| Weekly::parse(&days, from.as_deref(), to.as_deref()));
    let weekly = weekly.transpose().map_err(|error| section.error(error)).ok().flatten();
    section.finish();
    weekly
}

fn required_name(section: &mut Section<'_>) -> Option<Name> {
    let name = section.parsed_with("name", name_of);
    if section.lacks("name") {
        section.error("`name` is required");
    }
    name
}

fn name_of(text: &str) -> Result<Name, String> {
    Name::from_str(text).map_err(|error| error.to_string())
}
