//! Checks that have passed. They are not queried again in later cycles.

use std::collections::{BTreeMap, VecDeque};

use crate::stage::definition::Check;

use super::question::{Finding, Question};

/// The most checks that are kept; the oldest are forgotten, and queried again if anything waits for them.
const MOST: usize = 5000;

/// The checks that have passed, by commit.
#[derive(Debug, Default)]
pub struct Kept {
    passed: BTreeMap<Key, Finding>,
    order: VecDeque<Key>,
}

type Key = (String, Vec<String>, Check);

impl Kept {
    /// Returns the finding about a check, if it has passed.
    pub fn get(&self, question: &Question, check: &Check) -> Option<&Finding> {
        self.passed.get(&key(question, check))
    }

    /// Keeps the finding about a check if it has passed; otherwise forgets that it had.
    pub fn put(&mut self, question: &Question, check: &Check, finding: &Finding) {
        let key = key(question, check);
        match finding {
            Finding::Passed { .. } => {
                if self.passed.insert(key.clone(), finding.clone()).is_none() {
                    self.order.push_back(key);
                }
                while self.order.len() > MOST {
                    let oldest = self.order.pop_front();
                    oldest.and_then(|oldest| self.passed.remove(&oldest));
                }
            }
            // A source that could not be queried does not contradict what it said before.
            Finding::Unknown { .. } => {}
            Finding::Failed { .. } | Finding::Waiting { .. } => {
                if self.passed.remove(&key).is_some() {
                    self.order.retain(|other| *other != key);
                }
            }
        }
    }
}

/// Statuses are about a commit as a whole, and what the cluster says is about files.
fn key(question: &Question, check: &Check) -> Key {
    let files = match check {
        Check::Status(_) => Vec::new(),
        Check::FluxReady | Check::ArgocdHealthy => question.changes.iter().map(|change| change.file.clone()).collect(),
    };
    (question.commit.clone(), files, check.clone())
}

#[cfg(test)]
mod tests {
    use crate::cluster::rollout::ImageChange;

    use super::*;

    fn question(commit: usize) -> Question {
        let (later, until, changes, checks) = Default::default();
        Question { commit: commit.to_string(), later, until, changes, checks, confirms: false }
    }

    #[test]
    fn only_what_has_passed_is_kept_and_not_for_ever() {
        let (check, mut kept) = (Check::FluxReady, Kept::default());
        let passed = Finding::Passed { detail: "success".to_owned(), url: None };
        let failed = Finding::Failed { detail: "failure".to_owned(), url: None };
        kept.put(&question(0), &check, &failed);
        assert!(kept.get(&question(0), &check).is_none());
        for commit in 0..=MOST {
            kept.put(&question(commit), &check, &passed);
        }
        assert!(kept.get(&question(0), &check).is_none() && kept.get(&question(1), &check).is_some());
        kept.put(&question(1), &check, &failed);
        assert!(kept.get(&question(1), &check).is_none());
        assert_eq!((kept.passed.len(), kept.order.len()), (MOST - 1, MOST - 1));
        let elsewhere = Question { changes: vec![ImageChange::default()], ..question(2) };
        assert!(kept.get(&elsewhere, &check).is_none() && kept.get(&question(2), &check).is_some());
    }
}
