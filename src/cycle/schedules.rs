//! The windows of a tree, with their calendars.

use crate::repo::error::RepoError;
use crate::stage::stages::Stages;
use crate::window::schedule::{Schedule, Window};

use super::tip::Tip;

/// Returns the windows of a tree. One whose calendar cannot be read is closed, and says why.
pub fn of(tip: &Tip, stages: &Stages) -> Result<Vec<Schedule>, RepoError> {
    stages.windows.iter().map(|window| schedule(tip, window)).collect()
}

fn schedule(tip: &Tip, window: &Window) -> Result<Schedule, RepoError> {
    let calendar = window.calendar.as_ref().map(|file| text(tip, &file.path)).transpose()?;
    Ok(Schedule::new(window.clone(), calendar))
}

/// Returns the text of a calendar, or the reason why it cannot be used.
fn text(tip: &Tip, path: &str) -> Result<Result<String, String>, RepoError> {
    match tip.file(path) {
        Ok(Some(bytes)) => Ok(String::from_utf8(bytes).map_err(|_| "it is not valid UTF-8".to_owned())),
        Ok(None) => Ok(Err("the file does not exist".to_owned())),
        Err(error @ RepoError::TooLarge { .. }) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}
