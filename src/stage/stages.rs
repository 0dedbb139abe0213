//! All stages of a tree.

use std::collections::BTreeSet;

use crate::window::schedule::Window;

use super::definition::{ReleaseRule, Stage};
use super::name::Name;

/// The stages, releases and windows of a tree.
#[derive(Debug, Clone, Default)]
pub struct Stages {
    /// The stages. A field belongs to the first one whose paths match its file.
    pub stages: Vec<Stage>,
    /// The groups of images that are released together.
    pub releases: Vec<ReleaseRule>,
    /// The windows.
    pub windows: Vec<Window>,
}

/// The error of stages that contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum StagesError {
    /// Two have the same name.
    #[error("there are two {kind} named `{name}`")]
    Twice { kind: &'static str, name: String },
    /// A stage refers to another one that does not exist.
    #[error("the stage `{stage}` names the {kind} `{name}`, which is not defined")]
    Unknown { stage: Name, kind: &'static str, name: Name },
    /// Releases would move in a circle.
    #[error("the stage `{0}` would receive releases from itself")]
    Circle(Name),
}

impl Stages {
    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// Adds others after these.
    pub fn extend(&mut self, others: Stages) {
        self.stages.extend(others.stages);
        self.releases.extend(others.releases);
        self.windows.extend(others.windows);
    }

    /// Returns the stage that a file belongs to.
    pub fn of(&self, file: &str) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.paths.wants(file))
    }

    /// Returns the stage with a name.
    pub fn named(&self, name: &Name) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.name == *name)
    }

    /// Returns whether the fields of a file follow the registry: those of other stages follow the stages before.
    pub fn follows_registry(&self, file: &str) -> bool {
        self.of(file).is_none_or(|stage| stage.from.is_none())
    }

    /// Returns the first contradiction.
    pub fn check(&self) -> Result<(), StagesError> {
        unique("stages", self.stages.iter().map(|stage| stage.name.as_str()))?;
        unique("releases", self.releases.iter().map(|release| release.name.as_str()))?;
        unique("windows", self.windows.iter().map(|window| window.name.as_str()))?;
        for stage in &self.stages {
            let unknown =
                |kind, name: &Name| StagesError::Unknown { stage: stage.name.clone(), kind, name: name.clone() };
            let upstream = stage.from.iter().flat_map(super::definition::From::names);
            if let Some(name) = upstream.clone().find(|name| self.named(name).is_none()) {
                return Err(unknown("stage", name));
            }
            let is_window = |name: &Name| self.windows.iter().any(|window| window.name == name.as_str());
            if let Some(name) = stage.windows.iter().find(|name| !is_window(name)) {
                return Err(unknown("window", name));
            }
            if self.reaches(upstream.collect(), &stage.name) {
                return Err(StagesError::Circle(stage.name.clone()));
            }
        }
        Ok(())
    }

    /// Returns whether releases of a stage get to others, directly or through further stages.
    fn reaches<'s>(&'s self, mut open: Vec<&'s Name>, stage: &Name) -> bool {
        let mut seen = BTreeSet::new();
        while let Some(name) = open.pop() {
            if name == stage {
                return true;
            }
            if seen.insert(name) {
                open.extend(
                    self.named(name).and_then(|stage| stage.from.as_ref()).into_iter().flat_map(|from| from.names()),
                );
            }
        }
        false
    }
}

fn unique<'n>(kind: &'static str, names: impl Iterator<Item = &'n str>) -> Result<(), StagesError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(StagesError::Twice { kind, name: name.to_owned() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::manifest::paths::PathFilter;

    use super::super::definition::From;
    use super::*;

    fn stage(name: &str, path: &str, from: &[&str]) -> Stage {
        let names = from.iter().map(|name| name.parse().expect("a name")).collect();
        Stage {
            name: name.parse().expect("a name"),
            paths: PathFilter::new(&[path]).expect("a path"),
            from: (!from.is_empty()).then_some(From::Any(names)),
            soak: Duration::ZERO,
            checks: Vec::new(),
            windows: Vec::new(),
            approval: None,
        }
    }

    fn stages(stages: Vec<Stage>) -> Stages {
        Stages { stages, ..Stages::default() }
    }

    #[test]
    fn the_first_stage_with_a_matching_path_has_a_file() {
        let stages = stages(vec![
            stage("beta", "a/**", &[]),
            stage("live", "a/live/**", &["beta"]),
            stage("rest", "**", &["beta"]),
        ]);
        assert_eq!(stages.check(), Ok(()));
        let of = |file: &str| stages.of(file).expect("a stage").name.to_string();
        assert_eq!((of("a/live/x.yaml").as_str(), of("b.yaml").as_str()), ("beta", "rest"));
        assert!(stages.follows_registry("a/x.yaml") && !stages.follows_registry("b.yaml"));
    }

    #[test]
    fn contradictions_are_found() {
        let error = |list: Vec<Stage>| stages(list).check().expect_err("refused").to_string();
        assert_eq!(error(vec![stage("a", "a", &[]), stage("a", "b", &[])]), "there are two stages named `a`");
        assert!(error(vec![stage("a", "a", &["b"])]).contains("names the stage `b`, which is not defined"));
        assert!(error(vec![stage("a", "a", &["a"])]).contains("from itself"));
        let circle = vec![stage("a", "a", &["c"]), stage("b", "b", &["a"]), stage("c", "c", &["b"])];
        assert!(error(circle).contains("from itself"));
        let window = Stage { windows: vec!["night".parse().expect("a name")], ..stage("a", "a", &[]) };
        assert!(error(vec![window]).contains("names the window `night`"));
    }
}
