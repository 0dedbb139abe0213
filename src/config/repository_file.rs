//! The `tagalong.yaml` at the root of the infrastructure repository, which adds policies, fields and stages to those of the
//! agent.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use crate::cycle::engine::{ConfigSource, Hosts};
use crate::fault::Explain;
use crate::manifest::file_kind::REPOSITORY_FILE;
use crate::plan::tree_config::TreeConfig;

use super::diagnostics::Diagnostics;
use super::document::{self, Node};
use super::error::ConfigError;
use super::reader::Section;
use super::sections::policies::{field_rules, policy};
use super::sections::stages;

/// The agent's own policies and fields, to which those of the repository's file are added.
#[derive(Debug, Clone, Default)]
pub struct TreeConfigReader {
    /// Those of the agent's own file.
    pub own: TreeConfig,
    /// The hosts that policies in the repository may refer to.
    pub allowed_hosts: BTreeSet<String>,
    /// The hash of the agent's own file. If the repository has the same file, it adds nothing to it.
    pub own_file: Option<FileHash>,
}

/// The hash of a file (SHA-256).
pub type FileHash = [u8; 32];

/// Returns the hash of a file.
pub fn hash(bytes: &[u8]) -> FileHash {
    Sha256::digest(bytes).into()
}

impl TreeConfigReader {
    /// Returns the policies and fields for a tree, with those of the repository's file if it has one.
    pub fn read(&self, repository_file: Option<&[u8]>, hosts: Hosts) -> Result<TreeConfig, ConfigError> {
        let mut tree_config = self.own.clone();
        let Some(bytes) = repository_file.filter(|bytes| self.own_file != Some(hash(bytes))) else {
            tree_config.stages.check()?;
            return Ok(tree_config);
        };
        let root = document::parse(bytes, REPOSITORY_FILE).map_err(|error| ConfigError::Invalid(vec![error]))?;
        let diagnostics = Diagnostics::of(REPOSITORY_FILE);
        let allowed = (hosts == Hosts::Allowed).then_some(&self.allowed_hosts);
        let at = root.referenced;
        let found = read(root, allowed, &diagnostics);
        tree_config.policies.rules.extend(found.policies.rules);
        tree_config.field_rules.rules.extend(found.field_rules.rules);
        tree_config.field_rules.embedded |= found.field_rules.embedded;
        tree_config.stages.extend(found.stages);
        if let Err(error) = tree_config.stages.check() {
            diagnostics.add(&at, "stages", error);
        }
        diagnostics.into_result().map_err(ConfigError::Invalid)?;
        Ok(tree_config)
    }

    /// Converts the reader to the form that the engine takes.
    pub fn into_source(self) -> Box<ConfigSource> {
        Box::new(move |file, hosts| {
            self.read(file, hosts).map_err(|error| -> Box<dyn Explain + Send + Sync> { Box::new(error) })
        })
    }
}

/// Reads `tagalong.yaml` at the root of the infrastructure repository. It may contain policies, fields and stages, and
/// nothing else. Policies may refer only to `allowed_hosts`, so that nobody with write access to the repository can direct the
/// agent, or its credentials, to another host. `None` allows any host.
fn read(root: Node, allowed_hosts: Option<&BTreeSet<String>>, diagnostics: &Diagnostics) -> TreeConfig {
    let mut root = Section::new("", root, diagnostics);
    for key in ["git", "registries", "sources", "trust", "agent", "secrets", "notify", "cluster"] {
        if let Some(node) = root.take(key) {
            let what = "only `policies`, `fields`, `embedded`, `stages`, `releases` and `windows` are allowed in the repository; connections and credentials belong in the agent's own file";
            diagnostics.add(&node.referenced, key, what);
        }
    }
    let list = root.sections("policies");
    let (field_rules, stages) = (field_rules(&mut root), stages::read(&mut root));
    let mut tree_config = TreeConfig { field_rules, stages, ..TreeConfig::default() };
    for section in list {
        let at = *section.at();
        let Some(rule) = policy(section) else { continue };
        if rule.origin.is_some() {
            let what = "`signed` and `attestations` are not allowed in the repository, because whoever can push could change them; add the policy to the agent's own file, whose policies come first";
            diagnostics.add(&at, "policies", what);
        }
        for (pattern, allowed_hosts) in rule.images.iter().filter_map(|pattern| Some((pattern, allowed_hosts?))) {
            match pattern.host() {
                Some(host) if allowed_hosts.contains(host) => {}
                Some(host) => diagnostics.add(
                    &at,
                    "policies",
                    format!("the host {host} is not allowed here; list it under `registries` in the agent's own file"),
                ),
                None => diagnostics.add(&at, "policies", "patterns in the repository's file must name a host"),
            }
        }
        tree_config.policies.rules.push(rule);
    }
    root.finish();
    tree_config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agents_own_file_may_be_the_one_in_the_repository() {
        let file = b"git: {url: /srv/infra.git}\npolicies:\n- images: ['**']\n  tags: { sha: {} }\n";
        let reader = TreeConfigReader { own_file: Some(hash(file)), ..TreeConfigReader::default() };
        assert!(reader.read(Some(file), Hosts::Allowed).expect("the same file").policies.rules.is_empty());
        let changed = [&file[..], b"# changed\n"].concat();
        assert!(reader.read(Some(&changed), Hosts::Allowed).is_err(), "it may not set connections");
    }

    #[test]
    fn the_repository_may_name_policies_for_allowed_hosts_only() {
        let own = b"policies:\n- images: [ghcr.io/acme/*]\n  tags: { sha: {} }\n";
        let own = TreeConfigReader::default().read(Some(own), Hosts::Any).expect("any host");
        let reader = TreeConfigReader { own, allowed_hosts: BTreeSet::from(["ghcr.io".to_owned()]), own_file: None };
        let good = b"policies:\n- images: [ghcr.io/other/*]\n  tags: { sha: {} }\n";
        assert_eq!(reader.read(Some(good), Hosts::Allowed).expect("allowed").policies.rules.len(), 2);
        let refused = |text: &str| reader.read(Some(text.as_bytes()), Hosts::Allowed).expect_err("refused").to_string();
        assert!(
            refused("policies:\n- images: [evil.example.com/*]\n  tags: { sha: {} }\n")
                .contains("evil.example.com is not allowed")
        );
        assert!(refused("policies:\n- images: ['**']\n  tags: { sha: {} }\n").contains("must name a host"));
        assert!(
            refused("registries:\n- host: evil.example.com\n")
                .contains("only `policies`, `fields`, `embedded`, `stages`, `releases` and `windows` are allowed")
        );
        let keyed = "policies:\n- images: [ghcr.io/other/*]\n  tags: { sha: {} }\n  signed: { keys: [/etc/cosign.pub], transparency: ignore }\n";
        assert!(refused(keyed).contains("`signed` and `attestations` are not allowed in the repository"));
        assert!(reader.read(Some(keyed.as_bytes()), Hosts::Any).is_err());
        let any = b"policies:\n- images: [other.example.com/*]\n  tags: { sha: {} }\nfields:\n- {file: a.yaml, path: tag, image: nginx}\n";
        assert_eq!(reader.read(Some(any), Hosts::Any).expect("any host").field_rules.rules.len(), 1);
    }
}
