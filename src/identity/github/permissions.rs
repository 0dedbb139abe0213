//! The permissions that each use of an access token needs (GitHub, "Permissions required for GitHub Apps").

use std::collections::BTreeMap;

use crate::identity::scope::Scope;

/// Permissions with their level: `read`, `write` or `admin`.
pub type Permissions = [(&'static str, &'static str)];

/// Returns the permissions that a use needs. Every app may read metadata.
pub fn needed(scope: Scope) -> &'static Permissions {
    match scope {
        Scope::ReadContents => &[("contents", "read")],
        Scope::WriteContents => &[("contents", "write")],
        // Labels and comments of pull requests are included.
        Scope::PullRequests => &[("pull_requests", "write")],
        Scope::Merge => &[("contents", "write"), ("pull_requests", "write")],
        Scope::ReadStatuses => &[("statuses", "read")],
        Scope::WriteStatuses => &[("statuses", "write")],
        Scope::ReadChecks => &[("checks", "read")],
    }
}

/// Returns the needed permissions that were not granted.
pub fn missing<'n>(needed: &'n Permissions, granted: &BTreeMap<String, String>) -> Vec<(&'n str, &'n str)> {
    let level = |text: &str| ["read", "write", "admin"].iter().position(|known| *known == text);
    let is_missing = |(name, wanted): &(&str, &str)| granted.get(*name).and_then(|has| level(has)) < level(wanted);
    needed.iter().copied().filter(is_missing).collect()
}

/// Returns permissions as GitHub's settings show them: `contents: write`.
pub fn shown<'p>(permissions: impl IntoIterator<Item = (&'p str, &'p str)>) -> String {
    let shown: Vec<String> = permissions.into_iter().map(|(name, level)| format!("{name}: {level}")).collect();
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_level_includes_the_lower_ones() {
        let granted: BTreeMap<String, String> = [("contents", "write"), ("statuses", "read"), ("checks", "?")]
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .into();
        let lacks = |scope| shown(missing(needed(scope), &granted));
        assert_eq!((lacks(Scope::ReadContents), lacks(Scope::WriteContents)), (String::new(), String::new()));
        assert_eq!(
            (lacks(Scope::ReadStatuses), lacks(Scope::WriteStatuses)),
            (String::new(), "statuses: write".to_owned())
        );
        assert_eq!(lacks(Scope::Merge), "pull_requests: write");
        assert_eq!(lacks(Scope::ReadChecks), "checks: read");
    }
}
