//! What each key of Flux's objects becomes, or why it has no counterpart.

use super::object::{FluxObject, Kind};

/// What a key of an object became.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Meaning {
    /// The object, as `ImagePolicy flux-system/app`.
    pub object: String,
    /// The key below `spec`.
    pub key: String,
    /// Its value.
    pub value: String,
    /// What it became.
    pub became: String,
}

impl Meaning {
    /// Makes one for a key.
    pub fn of(object: &FluxObject, key: &str, value: &str, became: &str) -> Meaning {
        Meaning { object: object.title(), key: key.to_owned(), value: value.to_owned(), became: became.to_owned() }
    }
}

/// Returns what all keys of an object become that the conversion does not decide by itself.
pub fn meanings(object: &FluxObject) -> Vec<Meaning> {
    let meaning = |(key, value): &(String, String)| {
        let became = match object.kind {
            Kind::GitRepository => return None,
            Kind::ImageRepository => of_repository(key, value),
            Kind::ImagePolicy => of_policy(key, value),
            Kind::ImageUpdateAutomation => of_automation(key, value),
        };
        Some(Meaning::of(object, key, value, became))
    };
    object.keys.iter().filter_map(meaning).collect()
}

const UNKNOWN: &str = "not converted: tagalong does not know this key";

fn of_repository(key: &str, value: &str) -> &'static str {
    match key {
        "image" => "`images` of the policy",
        "interval" => "`agent.interval`, the shortest one",
        "timeout" => "`registries[].timeout`, if 30s is not enough",
        "secretRef.name" => "`registries[].credentialsFile`: mount the Secret and name its .dockerconfigjson",
        "serviceAccountName" => "no counterpart: mount the pull secret of the service account as `credentialsFile`",
        "certSecretRef.name" => {
            "`registries[].caFile`: mount the Secret and name its ca.crt; client certificates have no counterpart"
        }
        "proxySecretRef.name" => "HTTPS_PROXY and NO_PROXY in the agent's environment",
        "insecure" if value == "true" => "`registries[].plainHttp`",
        "insecure" => "nothing to set: TLS is the default",
        "provider" if value == "generic" => "nothing to set: it is the default",
        "provider" => "`registries[].provider`; for the cloud's own registries, it is detected",
        "suspend" if value == "true" => "its policies are left out",
        "suspend" => "nothing to set",
        _ if key.starts_with("exclusionList[") => "`ignore` of the policy, where it can be written as a glob",
        _ if key.starts_with("accessFrom.") => "no counterpart: policies are not divided by namespace",
        _ => UNKNOWN,
    }
}

fn of_policy(key: &str, value: &str) -> &'static str {
    match key {
        "imageRepositoryRef.name" | "imageRepositoryRef.namespace" => "`images`: the image of that ImageRepository",
        "policy.semver.range" => "`tags.semver`",
        "policy.alphabetical" | "policy.numerical" => "the rule under `tags`, with its default order",
        "policy.alphabetical.order" => "`tags.alphabetical.order`",
        "policy.numerical.order" => "`tags.numerical.order`",
        "filterTags.pattern" => "`pattern` of the rule under `tags`",
        "filterTags.extract" => "`extract` of the rule under `tags`",
        "digestReflectionPolicy" if value == "IfNotPresent" => "`pin: digest`",
        "digestReflectionPolicy" if value == "Always" => "`track: digest`",
        "digestReflectionPolicy" => "nothing to set: digests are not written by default",
        "interval" => "`agent.interval`, the shortest one",
        "suspend" if value == "true" => "the policy is left out; `tagalong hold` stops an image with a commit",
        "suspend" => "nothing to set",
        _ => UNKNOWN,
    }
}

fn of_automation(key: &str, value: &str) -> &'static str {
    match key {
        "sourceRef.name" | "sourceRef.namespace" | "sourceRef.kind" | "sourceRef.apiVersion" => {
            "`git.url`, if the GitRepository is known"
        }
        "git.checkout.ref.branch" => "`git.branch`",
        "git.commit.author.name" | "git.commit.author.email" => "`git.author`",
        "git.commit.signingKey.secretRef.name" => {
            "`git.signing.openpgpKeyFile`: mount the Secret and name its key (git.asc, or the one in `identity`)"
        }
        "git.commit.messageTemplate" => {
            "not converted: `git.message` has other variables; the default names every image that moved"
        }
        "git.push.branch" => "`git.pushBranch`, if it is not the branch that is read",
        "git.push.refspec" => "no counterpart: commits are pushed to one branch; use a second agent for another ref",
        "interval" => "`agent.interval`, the shortest one",
        "update.path" if matches!(value, "." | "./" | "/") => "nothing to set: all files",
        "update.path" => "`git.paths`",
        "update.strategy" => "`fields: marked` of the policies, since Setters only edits marked fields",
        "suspend" if value == "true" => "`agent.suspend`",
        "suspend" => "nothing to set",
        _ if key.starts_with("git.checkout.ref.") => "no counterpart: commits are made on a branch",
        _ if key.starts_with("git.commit.messageTemplateValues") => "not converted: see messageTemplate",
        _ if key.starts_with("git.push.options") => "`git.pushOptions`",
        _ if key.starts_with("policySelector.matchLabels") => {
            "only the ImagePolicies with these labels became policies"
        }
        _ if key.starts_with("policySelector.") => "not converted: remove the policies that it does not select",
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All keys of the three kinds, as the API documents them (v1).
    const KEYS: [(Kind, &[&str]); 3] = [
        (
            Kind::ImageRepository,
            &[
                "image",
                "interval",
                "timeout",
                "secretRef.name",
                "serviceAccountName",
                "certSecretRef.name",
                "proxySecretRef.name",
                "exclusionList[0]",
                "accessFrom.namespaceSelectors[0].matchLabels.a",
                "provider",
                "insecure",
                "suspend",
            ],
        ),
        (
            Kind::ImagePolicy,
            &[
                "imageRepositoryRef.name",
                "imageRepositoryRef.namespace",
                "policy.semver.range",
                "policy.alphabetical.order",
                "policy.numerical.order",
                "filterTags.pattern",
                "filterTags.extract",
                "digestReflectionPolicy",
                "interval",
                "suspend",
            ],
        ),
        (
            Kind::ImageUpdateAutomation,
            &[
                "sourceRef.kind",
                "sourceRef.name",
                "sourceRef.namespace",
                "git.checkout.ref.branch",
                "git.checkout.ref.tag",
                "git.commit.author.name",
                "git.commit.author.email",
                "git.commit.signingKey.secretRef.name",
                "git.commit.messageTemplate",
                "git.commit.messageTemplateValues.cluster",
                "git.push.branch",
                "git.push.refspec",
                "git.push.options[\"merge_request.create\"]",
                "interval",
                "policySelector.matchLabels.app",
                "policySelector.matchExpressions[0].key",
                "update.path",
                "update.strategy",
                "suspend",
            ],
        ),
    ];

    #[test]
    fn every_key_of_the_api_has_a_meaning() {
        for (kind, keys) in KEYS {
            let keys = keys.iter().map(|key| ((*key).to_owned(), "x".to_owned())).collect();
            let object = FluxObject { kind, namespace: None, name: "a".to_owned(), labels: Vec::new(), keys };
            for Meaning { key, became, .. } in meanings(&object) {
                assert_ne!(became, UNKNOWN, "{kind:?} {key}");
            }
        }
    }
}
