//! The images that a cycle is about: all that policies govern, or a few that an event named.

use std::collections::BTreeSet;

use crate::image::Repository;

/// The images that a cycle is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Scope {
    /// All images.
    #[default]
    All,
    /// Only images that match one of these targets.
    Only(BTreeSet<Target>),
}

/// The name of an image as an event gives it, which may be incomplete.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// The registry host; if `None`, any host matches.
    pub host: Option<String>,
    /// The name within the registry.
    pub path: String,
    /// True if all images below the name match as well.
    pub with_below: bool,
}

impl Scope {
    /// Returns whether an image is in the scope.
    pub fn covers(&self, image: &Repository) -> bool {
        match self {
            Scope::All => true,
            Scope::Only(targets) => targets.iter().any(|target| target.covers(image)),
        }
    }
}

impl Target {
    /// Makes a target of one image.
    pub fn image(image: &Repository) -> Target {
        Target { host: Some(image.host().to_owned()), path: image.path().to_owned(), with_below: false }
    }

    /// Returns whether the target may refer to an image.
    pub fn covers(&self, image: &Repository) -> bool {
        let is_below = || image.path().strip_prefix(&self.path).is_some_and(|rest| rest.starts_with('/'));
        self.host.as_deref().is_none_or(|host| host == image.host())
            && (self.path == image.path() || self.with_below && is_below())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_cover_the_images_they_name() {
        let covers = |host: Option<&str>, path: &str, with_below: bool, image: &str| {
            let target = Target { host: host.map(str::to_owned), path: path.to_owned(), with_below };
            Scope::Only(BTreeSet::from([target])).covers(&image.parse().expect(image))
        };
        assert!(covers(Some("r.io"), "org/app", false, "r.io/org/app"));
        assert!(covers(None, "org/app", false, "r.io/org/app"));
        assert!(!covers(Some("r.io"), "org/app", false, "q.io/org/app"));
        assert!(!covers(Some("r.io"), "org/app", false, "r.io/org/app/worker"));
        assert!(covers(Some("r.io"), "org/app", true, "r.io/org/app/worker"));
        assert!(!covers(Some("r.io"), "org/app", true, "r.io/org/app-worker"));
        let all: Repository = "nginx".parse().expect("a name");
        assert!(Scope::All.covers(&all) && !Scope::Only(BTreeSet::new()).covers(&all));
    }
}
