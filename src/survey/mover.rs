//! Who moves tags: the tools that are recognised by the names they commit under.

use serde::Serialize;

/// Who moved a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mover {
    /// Flux's image automation.
    Flux,
    /// Renovate.
    Renovate,
    /// Dependabot.
    Dependabot,
    /// Argo CD Image Updater.
    ArgoCdImageUpdater,
    /// Kargo.
    Kargo,
    /// Tagalong.
    Tagalong,
    /// A CI system or another bot.
    Bot,
    /// A person.
    Person,
}

/// Words in the names of tools, in lower case.
const TOOLS: [(&str, Mover); 7] = [
    ("renovate", Mover::Renovate),
    ("dependabot", Mover::Dependabot),
    ("argocd-image-updater", Mover::ArgoCdImageUpdater),
    ("kargo", Mover::Kargo),
    ("tagalong", Mover::Tagalong),
    ("fluxcd", Mover::Flux),
    ("flux", Mover::Flux),
];

/// Words in the names of bots. Short ones count only as whole words.
const BOTS: [&str; 12] = [
    "[bot]",
    "github-actions",
    "github actions",
    "gitlab",
    "jenkins",
    "woodpecker",
    "drone",
    "tekton",
    "automation",
    "continuous",
    "deployer",
    "pipeline",
];
const SHORT: [&str; 5] = ["bot", "ci", "cd", "cicd", "deploy"];

impl Mover {
    /// Recognises a mover by the name of a commit's author.
    pub fn of(author: &str) -> Mover {
        let name = author.to_lowercase();
        if let Some((_, mover)) = TOOLS.iter().find(|(word, _)| name.contains(word)) {
            return *mover;
        }
        let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
        if BOTS.iter().any(|word| name.contains(word)) || words.any(|word| SHORT.contains(&word)) {
            return Mover::Bot;
        }
        Mover::Person
    }

    /// Returns whether it is a tool that finds new versions by itself and proposes or pushes them.
    pub fn looks_for_versions(self) -> bool {
        !matches!(self, Mover::Bot | Mover::Person | Mover::Tagalong)
    }

    /// Returns the name for people.
    pub fn name(self) -> &'static str {
        match self {
            Mover::Flux => "Flux's image automation",
            Mover::Renovate => "Renovate",
            Mover::Dependabot => "Dependabot",
            Mover::ArgoCdImageUpdater => "Argo CD Image Updater",
            Mover::Kargo => "Kargo",
            Mover::Tagalong => "tagalong",
            Mover::Bot => "CI or another bot",
            Mover::Person => "people",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_bots_and_people_are_told_apart() {
        for (author, mover) in [
            ("fluxcdbot", Mover::Flux),
            ("renovate[bot]", Mover::Renovate),
            ("GOV.UK Continuous Integration User", Mover::Bot),
            ("github-actions[bot]", Mover::Bot),
            ("Acme CI", Mover::Bot),
            ("Ada Abbott", Mover::Person),
            ("Cid Cicero", Mover::Person),
        ] {
            assert_eq!(Mover::of(author), mover, "{author}");
        }
    }
}
