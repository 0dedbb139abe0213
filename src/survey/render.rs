//! The commented `tagalong.yaml` for what a survey found.

use crate::fault::documentation;

use super::evidence::day;
use super::field_proposals::Unresolved;
use super::findings::Findings;
use super::mover::Mover;
use super::proposed_field::ProposedField;
use super::proposed_policy::{ProposedPolicy, ProposedTags};
use super::stage_proposals::ProposedStage;
use super::unnamed::PLACEHOLDER;
use super::yaml_text::{comment, scalar};

/// The number of unresolved values that are listed.
const MOST_UNRESOLVED: usize = 25;

/// Writes the file.
pub fn render(findings: &Findings) -> String {
    let sections = [
        head(findings),
        git(findings),
        registries(findings),
        policies(findings),
        fields(findings),
        stages(findings),
        agent(findings),
    ];
    let mut text: Vec<String> = sections.into_iter().filter(|section| !section.is_empty()).collect();
    text.extend(Some(left_alone(findings)).filter(|section| !section.is_empty()));
    text.join("\n")
}

fn head(findings: &Findings) -> String {
    let mut text =
        comment(0, &format!("Written by `tagalong init`. {} describes every key.", documentation("configuration.md")));
    text.push_str("#\n");
    let history = &findings.history;
    let since = history.since.map(|since| format!(" since {}", day(since))).unwrap_or_default();
    text.push_str(&comment(
        0,
        &format!("Commits read: {}{since}. Files: {}.", history.commits, findings.surroundings.files),
    ));
    let fields = &findings.fields;
    let shapes = list(fields.shapes.iter().map(|(shape, count)| format!("{count} {shape}")));
    let shapes = if shapes.is_empty() { "none".to_owned() } else { shapes };
    text.push_str(&comment(0, &format!("Image fields found without rules: {shapes}.")));
    let hosts = fields.hosts.iter().filter(|(host, _)| *host != PLACEHOLDER);
    let hosts = list(hosts.map(|(host, count)| format!("{host} ({count})")));
    if !hosts.is_empty() {
        text.push_str(&comment(0, &format!("Registries, with their number of images: {hosts}.")));
    }
    if !history.movers.is_empty() {
        let movers = list(history.movers.iter().map(|(mover, count)| format!("{} ({count})", mover.name())));
        text.push_str(&comment(0, &format!("Moved by: {movers}.")));
    }
    for line in surroundings(findings) {
        text.push_str(&comment(0, &line));
    }
    text
}

fn surroundings(findings: &Findings) -> Vec<String> {
    let found = &findings.surroundings;
    let mut lines = Vec::new();
    if found.flux_files > 0 {
        lines.push(format!("Files with objects of Flux: {}.", found.flux_files));
    }
    if found.argo_cd_files > 0 {
        lines.push(format!("Files with objects of Argo CD: {}.", found.argo_cd_files));
    }
    if found.encrypted_files > 0 {
        let rules = if found.sops_rules.is_empty() { "none".to_owned() } else { found.sops_rules.join(", ") };
        lines.push(format!(
            "SOPS: {} encrypted files (rules: {rules}). Give the agent an age identity with `secrets.ageKeyFiles`, so that \
             it verifies them before it pushes.",
            found.encrypted_files
        ));
    }
    if !found.stages.is_empty() {
        let stages = list(found.stages.iter().map(|(stage, count)| format!("{stage} ({count} files)")));
        lines.push(format!(
            "Stages, by names of files and folders: {stages}. All of them follow the policies below; `stages` puts them \
             in order, and `git.paths` limits tagalong to some."
        ));
    }
    lines
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<String>>().join(", ")
}

fn git(findings: &Findings) -> String {
    let flux = &findings.flux;
    let mut text = String::new();
    let mut key = |name: &str, value: &str| text.push_str(&format!("  {name}: {value}\n"));
    if let Some(url) = flux.url.as_ref().or(findings.url.as_ref()) {
        key("url", &scalar(url));
    }
    let branch = flux.branch.as_ref().unwrap_or(&findings.branch);
    if branch != "main" && !branch.is_empty() {
        key("branch", &scalar(branch));
    }
    if let Some(branch) = flux.push_branch.as_ref().filter(|push| *push != branch) {
        key("pushBranch", &scalar(branch));
    }
    if !flux.push_options.is_empty() {
        key("pushOptions", &flow(&flux.push_options));
    }
    if !flux.paths.is_empty() {
        key("paths", &flow(flux.paths.iter()));
    }
    if let Some((name, email)) = &flux.author {
        key("author", &format!("{{ name: {}, email: {} }}", scalar(name), scalar(email)));
    }
    if text.is_empty() {
        return text;
    }
    let why = "Connections belong in the agent's own file: the `tagalong.yaml` in the repository may have `policies`, \
               `fields` and `embedded` only, unless it is the very file that the agent reads.";
    format!("{}git:\n{text}", comment(0, why))
}

fn flow<'t>(items: impl IntoIterator<Item = &'t String>) -> String {
    format!("[{}]", list(items.into_iter().map(|item| scalar(item))))
}

fn registries(findings: &Findings) -> String {
    if findings.flux.plain_http.is_empty() {
        return String::new();
    }
    let entry = |host: &String| format!("  - host: {}\n    plainHttp: true\n", scalar(host));
    let entries: String = findings.flux.plain_http.iter().map(entry).collect();
    format!("{}registries:\n{entries}", comment(0, "From `insecure: true` of Flux's ImageRepositories."))
}

fn policies(findings: &Findings) -> String {
    let mut text = String::new();
    for policy in findings.flux.policies.iter().chain(&findings.policies.policies) {
        for line in &policy.because {
            text.push_str(&comment(2, line));
        }
        for (host, answer) in findings.registries.iter().filter(|(host, _)| names_host(policy, host)) {
            text.push_str(&comment(2, &format!("{host}: {answer}")));
        }
        text.push_str(&one_policy(policy));
    }
    match text.is_empty() {
        true => comment(
            0,
            "No policies: no image moved in this history, and no tag names a commit. Add some once you know which images \
             tagalong should move.",
        ),
        false => format!("policies:\n{text}"),
    }
}

fn names_host(policy: &ProposedPolicy, host: &str) -> bool {
    policy.images.iter().any(|image| image.split('/').next() == Some(host))
}

fn one_policy(policy: &ProposedPolicy) -> String {
    let mut text = match policy.images.as_slice() {
        [image] => format!("  - images: [{}]\n", scalar(image)),
        images => format!(
            "  - images:\n{}",
            images.iter().map(|image| format!("      - {}\n", scalar(image))).collect::<String>()
        ),
    };
    text.push_str(&tags(&policy.tags));
    for (key, patterns) in [("allow", &policy.allow), ("ignore", &policy.ignore)] {
        if !patterns.is_empty() {
            text.push_str(&format!("    {key}: {}\n", flow(patterns)));
        }
    }
    if policy.marked_only {
        text.push_str("    fields: marked\n");
    }
    if let Some(key) = policy.digest {
        text.push_str(&format!("    {key}: digest\n"));
    }
    text
}

fn tags(tags: &ProposedTags) -> String {
    match tags {
        ProposedTags::None => String::new(),
        ProposedTags::Sha => "    tags: { sha: { order: built } }\n".to_owned(),
        ProposedTags::Compared {
            rule: rule @ ("semver" | "calver"), value: Some((_, value)), pattern: None, ..
        } => {
            format!("    tags: {{ {rule}: {} }}\n", scalar(value))
        }
        ProposedTags::Compared { rule, value, pattern, extract } => {
            let value = value.as_ref().map(|(key, value)| format!("{key}: {}", scalar(value)));
            let pattern = pattern.as_ref().map(|pattern| format!("pattern: {}", scalar(pattern)));
            let extract = extract.as_ref().map(|extract| format!("extract: {}", scalar(extract)));
            let keys = list([value, pattern, extract].into_iter().flatten());
            let keys = if keys.is_empty() { "{}".to_owned() } else { format!("{{ {keys} }}") };
            format!("    tags: {{ {rule}: {keys} }}\n")
        }
    }
}

fn fields(findings: &Findings) -> String {
    if findings.rules.is_empty() {
        return String::new();
    }
    let mut text = comment(0, "Values that moved like tags and that no shape recognizes as image fields.");
    text.push_str("fields:\n");
    findings.rules.iter().for_each(|rule| text.push_str(&one_rule(rule)));
    text
}

fn one_rule(rule: &ProposedField) -> String {
    let mut text = comment(2, &format!("{}; {}", rule.evidence, rule.because));
    if rule.is_incomplete {
        let todo = format!(
            "Nothing here says which registry these images are in: replace {PLACEHOLDER}, and add a policy for them."
        );
        text.push_str(&comment(2, &todo));
    }
    text.push_str(&format!("  - file: {}\n    path: {}\n", scalar(&rule.file), scalar(&rule.path)));
    if let Some(image) = &rule.image {
        text.push_str(&format!("    image: {}\n", scalar(image)));
    }
    text
}

/// Proposes stages in a comment, because they change what follows the registry.
fn stages(findings: &Findings) -> String {
    if findings.stages.is_empty() {
        return String::new();
    }
    let found = list(findings.stages.iter().map(|stage| {
        let ProposedStage { name, files, shared, .. } = stage;
        format!("{name} ({files} files with image fields; {shared} images that are in another one as well)")
    }));
    let mut text = comment(
        0,
        &format!(
            "Folders or files look like stages: {found}. With these lines, only the first one follows the registry, and \
             releases move from each to the next one. {} explains what else they can wait for.",
            documentation("stages.md")
        ),
    );
    let mut before: Option<&ProposedStage> = None;
    let mut lines = vec!["stages:".to_owned()];
    for stage in &findings.stages {
        lines.push(format!("  - name: {}", scalar(&stage.name)));
        lines.push(format!("    paths: [{}]", scalar(&stage.path)));
        lines.extend(before.map(|before| format!("    from: {}\n    soak: 1h", scalar(&before.name))));
        before = Some(stage);
    }
    text.extend(lines.join("\n").lines().map(|line| format!("# {line}\n")));
    text
}

fn agent(findings: &Findings) -> String {
    let flux = &findings.flux;
    let interval = flux.interval.as_ref().map(|interval| format!("  interval: {interval}\n")).unwrap_or_default();
    let suspend = if flux.suspend { "  suspend: true\n" } else { "" };
    if interval.is_empty() && suspend.is_empty() {
        return String::new();
    }
    format!("agent:\n{interval}{suspend}")
}

/// Lists what the file leaves alone, and why.
fn left_alone(findings: &Findings) -> String {
    let mut text = String::new();
    for (mover, images) in &findings.policies.left_to {
        let images = list(images.iter().cloned());
        let why = if *mover == Mover::Kargo { "promotes" } else { "moves" };
        text.push_str(&comment(0, &format!("No policy, because {} {why} them: {images}", mover.name())));
    }
    if findings.policies.unmoved > 0 {
        let count = findings.policies.unmoved;
        text.push_str(&comment(0, &format!("No policy for {count} images that did not move in this history.")));
    }
    if !findings.policies.mixed.is_empty() {
        let images = list(findings.policies.mixed.iter().cloned());
        text.push_str(&comment(0, &format!("No policy, because their tags have no common form: {images}")));
    }
    if !findings.unresolved.is_empty() {
        text.push_str(&comment(0, "Also moved like tags, but without a rule:"));
        for one in findings.unresolved.iter().take(MOST_UNRESOLVED) {
            text.push_str(&comment(0, &unresolved(one)));
        }
        if let Some(more) = findings.unresolved.len().checked_sub(MOST_UNRESOLVED).filter(|more| *more > 0) {
            text.push_str(&comment(
                0,
                &format!("- and {more} more: `tagalong init --dry-run --output json` lists all."),
            ));
        }
    }
    for meaning in &findings.flux.meanings {
        let key = if meaning.key.is_empty() { String::new() } else { format!(" spec.{}", meaning.key) };
        text.push_str(&comment(0, &format!("{}{key}: {}", meaning.object, meaning.became)));
    }
    text
}

/// Describes a value that no rule was found for.
pub fn unresolved(one: &Unresolved) -> String {
    format!("- {}: {}, {}: {}", one.file, one.path, one.evidence, one.reason)
}
