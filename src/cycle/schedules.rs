//! The windows of a tree, with their calendars.

use jiff::Timestamp;

use crate::repo::error::RepoError;
use crate::stage::board;
use crate::stage::candidate::Wait;
use crate::stage::definition::Stage;
use crate::stage::stages::Stages;
use crate::window::schedule::{Schedule, Window};

use super::tip::Tip;

/// Returns the bytes of a file of a tree.
pub type ReadFile<'r> = dyn Fn(&str) -> Result<Option<Vec<u8>>, RepoError> + 'r;

/// Returns the windows of a tree. One whose calendar cannot be read is closed, and says why.
pub fn of(tip: &Tip, stages: &Stages) -> Result<Vec<Schedule>, RepoError> {
    stages.windows.iter().map(|window| schedule(&|path| tip.file(path), window)).collect()
}

/// Returns what a promotion to a stage waits for at some time, if one of its windows is closed.
pub fn closed(schedules: &[Schedule], stage: &Stage, at: Timestamp) -> Option<Wait> {
    stage.windows.iter().find_map(|name| {
        let schedule = schedules.iter().find(|schedule| schedule.name() == name.as_str())?;
        board::closed(name, &schedule.state_at(at))
    })
}

/// Returns a window with its calendar, which `read` gets from some tree.
pub fn schedule(read: &ReadFile<'_>, window: &Window) -> Result<Schedule, RepoError> {
    let calendar = window.calendar.as_ref().map(|file| text(read, &file.path)).transpose()?;
    Ok(Schedule::new(window.clone(), calendar))
}

/// Returns the text of a calendar, or the reason why it cannot be used.
fn text(read: &ReadFile<'_>, path: &str) -> Result<Result<String, String>, RepoError> {
    match read(path) {
        Ok(Some(bytes)) => Ok(String::from_utf8(bytes).map_err(|_| "it is not valid UTF-8".to_owned())),
        Ok(None) => Ok(Err("the file does not exist".to_owned())),
        Err(error @ RepoError::TooLarge { .. }) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}
