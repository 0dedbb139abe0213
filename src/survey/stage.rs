//! Names of stages.

/// Names of stages, the earliest first.
const STAGES: [&str; 24] = [
    "dev",
    "develop",
    "development",
    "test",
    "testing",
    "int",
    "integration",
    "qa",
    "uat",
    "acceptance",
    "alpha",
    "beta",
    "demo",
    "sandbox",
    "stage",
    "staging",
    "stg",
    "preprod",
    "pre-prod",
    "paper",
    "canary",
    "prod",
    "production",
    "live",
];

/// Returns whether a word is the name of a stage.
pub fn is(word: &str) -> bool {
    STAGES.contains(&word.to_ascii_lowercase().as_str())
}

/// Returns whether a word of a file's or folder's name is that of a stage: `values-prod.yaml`.
pub fn is_in(name: &str) -> bool {
    is(name) || name.split(|c: char| !c.is_ascii_alphanumeric()).any(is)
}

/// Returns the position of a stage's name among the usual ones, to list the earliest first.
pub fn order(word: &str) -> usize {
    STAGES.iter().position(|stage| *stage == word.to_ascii_lowercase()).unwrap_or(STAGES.len())
}
