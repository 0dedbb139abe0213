//! All objects of Flux's image automation, converted to policies and settings.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use crate::survey::proposed_policy::ProposedPolicy;

use super::meaning::{Meaning, meanings};
use super::object::{FluxObject, Kind};
use super::policy;

/// What Flux's objects become.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FluxSettings {
    /// The policies.
    pub policies: Vec<ProposedPolicy>,
    /// `git.url`.
    pub url: Option<String>,
    /// `git.branch`.
    pub branch: Option<String>,
    /// `git.pushBranch`.
    pub push_branch: Option<String>,
    /// `git.pushOptions`.
    pub push_options: Vec<String>,
    /// `git.paths`.
    pub paths: BTreeSet<String>,
    /// `git.author`: name and address.
    pub author: Option<(String, String)>,
    /// `agent.interval`.
    pub interval: Option<String>,
    /// `agent.suspend`.
    pub suspend: bool,
    /// The hosts of registries without TLS.
    pub plain_http: BTreeSet<String>,
    /// What became of every key.
    pub meanings: Vec<Meaning>,
}

/// Converts objects.
pub fn convert(objects: &[FluxObject]) -> FluxSettings {
    let mut settings = FluxSettings::default();
    let of = |kind: Kind| objects.iter().filter(move |object| object.kind == kind);
    let automations: Vec<&FluxObject> = of(Kind::ImageUpdateAutomation).collect();
    settings.meanings = objects.iter().flat_map(meanings).collect();
    for automation in &automations {
        settings.take_automation(automation, &of(Kind::GitRepository).collect::<Vec<&FluxObject>>());
    }
    // A second automation may read all files.
    if automations.iter().any(|automation| path_of(automation).is_none()) {
        settings.paths.clear();
    }
    settings.interval = interval(objects);
    let marked_only = !automations.is_empty();
    let repositories: Vec<&FluxObject> = of(Kind::ImageRepository).collect();
    for repository in repositories.iter().filter(|repository| repository.is_set("insecure")) {
        let host = repository.get("image").and_then(|image| image.split_once('/')).map(|(host, _)| host.to_owned());
        settings.plain_http.extend(host);
    }
    for object in of(Kind::ImagePolicy) {
        if let Err(reason) = settings.take_policy(object, &repositories, &automations, marked_only) {
            settings.meanings.push(Meaning::of(object, "", "", &format!("not converted: {reason}")));
        }
    }
    settings
}

impl FluxSettings {
    fn take_automation(&mut self, automation: &FluxObject, sources: &[&FluxObject]) {
        let source = automation.get("sourceRef.name").and_then(|name| {
            let namespace = automation.get("sourceRef.namespace").or(automation.namespace.as_deref());
            sources.iter().find(|source| source.is_named(namespace, name))
        });
        let from_source = |key: &str| source.and_then(|source| source.get(key));
        let branch = automation.get("git.checkout.ref.branch").or_else(|| from_source("ref.branch"));
        let push_branch = automation.get("git.push.branch").filter(|push| Some(*push) != branch);
        let author = automation.get("git.commit.author.email").map(|email| {
            let name = automation.get("git.commit.author.name").filter(|name| !name.is_empty());
            let name = name.unwrap_or_else(|| email.split('@').next().unwrap_or(email));
            (name.to_owned(), email.to_owned())
        });
        self.once(automation, "url", |own| &mut own.url, from_source("url").map(str::to_owned));
        self.once(automation, "git.checkout.ref.branch", |own| &mut own.branch, branch.map(str::to_owned));
        self.once(automation, "git.push.branch", |own| &mut own.push_branch, push_branch.map(str::to_owned));
        self.once(automation, "git.commit.author", |own| &mut own.author, author);
        self.paths.extend(path_of(automation).map(str::to_owned));
        self.suspend |= automation.is_set("suspend");
        for (key, value) in &automation.keys {
            if let Some(option) = key.strip_prefix("git.push.options") {
                let option = option.trim_matches(['.', '[', ']', '"']);
                let text = if value.is_empty() { option.to_owned() } else { format!("{option}={value}") };
                if !self.push_options.contains(&text) {
                    self.push_options.push(text);
                }
            }
        }
    }

    /// Takes a setting that one agent has only once; a second value is reported.
    fn once<T: PartialEq>(
        &mut self,
        automation: &FluxObject,
        key: &str,
        slot: impl Fn(&mut FluxSettings) -> &mut Option<T>,
        value: Option<T>,
    ) {
        let Some(value) = value else { return };
        match slot(self) {
            Some(taken) if *taken != value => {
                let became = "not converted: another automation has a different value; run a second agent for this one";
                self.meanings.push(Meaning::of(automation, key, "", became));
            }
            slot => *slot = Some(value),
        }
    }

    fn take_policy(
        &mut self,
        object: &FluxObject,
        repositories: &[&FluxObject],
        automations: &[&FluxObject],
        marked_only: bool,
    ) -> Result<(), String> {
        let name = object.get("imageRepositoryRef.name").ok_or("it names no ImageRepository")?;
        let namespace = object.get("imageRepositoryRef.namespace").or(object.namespace.as_deref());
        let repository = repositories.iter().find(|repository| repository.is_named(namespace, name));
        let repository = repository.ok_or_else(|| format!("the ImageRepository {name} is not among the objects"))?;
        if marked_only && !automations.iter().any(|automation| selects(automation, object)) {
            return Err("no ImageUpdateAutomation selects it".to_owned());
        }
        let policy = policy::policy(object, repository, marked_only)?;
        let is_same = |other: &ProposedPolicy| {
            ProposedPolicy { because: Vec::new(), ..other.clone() }
                == ProposedPolicy { because: Vec::new(), ..policy.clone() }
        };
        match self.policies.iter_mut().find(|other| other.images == policy.images) {
            Some(other) if is_same(other) => other.because.extend(policy.because),
            Some(_) => {
                return Err(
                    "another ImagePolicy for the same image chooses differently; an image has one policy here, \
                            so use a second agent with other `git.paths`"
                        .to_owned(),
                );
            }
            None => self.policies.push(policy),
        }
        Ok(())
    }
}

fn path_of(automation: &FluxObject) -> Option<&str> {
    let path = automation.get("update.path")?;
    let path = path.strip_prefix("./").unwrap_or(path).trim_matches('/');
    (!matches!(path, "" | ".")).then_some(path)
}

/// Returns whether an automation selects a policy by its labels. Expressions are not evaluated; they are reported.
fn selects(automation: &FluxObject, policy: &FluxObject) -> bool {
    let prefix = "policySelector.matchLabels";
    let wanted = automation.keys.iter().filter_map(|(key, value)| Some((key.strip_prefix(prefix)?, value)));
    let labels: BTreeMap<&str, &str> =
        policy.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    wanted.into_iter().all(|(key, value)| labels.get(key.trim_matches(['.', '[', ']', '"'])) == Some(&value.as_str()))
}

/// Returns the shortest interval of all objects.
fn interval(objects: &[FluxObject]) -> Option<String> {
    let images = objects.iter().filter(|object| object.kind != Kind::GitRepository);
    let intervals = images.filter_map(|object| object.get("interval")?.parse::<SignedDuration>().ok());
    let shortest = intervals.filter(SignedDuration::is_positive).min()?;
    let seconds = shortest.as_secs().max(1);
    Some(if seconds % 60 == 0 { format!("{}m", seconds / 60) } else { format!("{seconds}s") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(text: &str) -> Vec<FluxObject> {
        FluxObject::read(text.as_bytes()).expect("valid YAML")
    }

    const API: &str = "apiVersion: image.toolkit.fluxcd.io/v1\n";

    #[test]
    fn policies_of_one_image_that_differ_are_reported() {
        let policy = |name: &str, range: &str| {
            format!(
                "{API}kind: ImagePolicy\nmetadata: {{name: {name}}}\nspec: {{imageRepositoryRef: {{name: app}}, policy: {{semver: {{range: '{range}'}}}}}}\n---\n"
            )
        };
        let repository =
            format!("{API}kind: ImageRepository\nmetadata: {{name: app}}\nspec: {{image: r.io/app}}\n---\n");
        let all = [repository, policy("a", "^1"), policy("b", "^1"), policy("c", "^2"), policy("d", "?")].concat();
        let settings = convert(&objects(&all));
        assert_eq!(settings.policies.len(), 1);
        assert_eq!(settings.policies[0].because.len(), 2);
        let reasons: Vec<&str> = settings
            .meanings
            .iter()
            .filter(|meaning| meaning.key.is_empty())
            .map(|meaning| meaning.became.as_str())
            .collect();
        assert!(reasons[0].contains("another ImagePolicy for the same image"), "{reasons:?}");
        assert!(reasons[1].contains("its range cannot be used here"), "{reasons:?}");
    }

    #[test]
    fn only_selected_policies_are_taken() {
        let policy = |name: &str, label: &str| {
            format!(
                "{API}kind: ImagePolicy\nmetadata: {{name: {name}, labels: {{app.kubernetes.io/team: {label}}}}}\nspec: {{imageRepositoryRef: {{name: {name}}}, policy: {{alphabetical: {{order: asc}}}}}}\n---\n{API}kind: ImageRepository\nmetadata: {{name: {name}}}\nspec: {{image: r.io/{name}}}\n---\n"
            )
        };
        let automation = format!(
            "{API}kind: ImageUpdateAutomation\nmetadata: {{name: x}}\nspec: {{policySelector: {{matchLabels: {{app.kubernetes.io/team: a}}}}, update: {{path: ./clusters/a/}}, interval: 30m, git: {{push: {{options: {{ci.skip: ''}}}}}}}}\n---\n"
        );
        let settings = convert(&objects(&[policy("one", "a"), policy("two", "b"), automation].concat()));
        let images: Vec<&str> =
            settings.policies.iter().flat_map(|policy| policy.images.iter().map(String::as_str)).collect();
        assert_eq!(images, ["r.io/one"]);
        assert!(settings.policies[0].marked_only);
        assert_eq!(settings.paths, BTreeSet::from(["clusters/a".to_owned()]));
        assert_eq!((settings.interval.as_deref(), settings.push_options), (Some("30m"), vec!["ci.skip".to_owned()]));
    }
}
