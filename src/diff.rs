//! The lines in which two texts differ.

use similar::DiffOp;
use similar::algorithms::{Capture, Compact, Replace, myers};

/// Returns the steps from one text to another, by Myers' algorithm, with changes shifted to where people expect them.
///
/// This is the only call of the algorithm: the library is generic, so each further type of lines would be compiled again.
pub fn steps(before: &[&str], after: &[&str]) -> Vec<DiffOp> {
    let mut capture = Compact::new(Replace::new(Capture::new()), before, after);
    let Ok(()) = myers::diff(&mut capture, before, 0..before.len(), after, 0..after.len());
    capture.into_inner().into_inner().into_ops()
}

#[cfg(test)]
mod tests {
    use similar::DiffTag;

    use super::*;

    #[test]
    fn a_replaced_line_is_one_step() {
        let tags = |before: &[&str], after: &[&str]| -> Vec<DiffTag> {
            steps(before, after).into_iter().map(|step| step.tag()).collect()
        };
        assert_eq!(tags(&["a", "b", "c"], &["a", "B", "c"]), [DiffTag::Equal, DiffTag::Replace, DiffTag::Equal]);
        assert_eq!(tags(&["a"], &["a", "b"]), [DiffTag::Equal, DiffTag::Insert]);
        assert_eq!(tags(&[], &[]), []);
    }
}
