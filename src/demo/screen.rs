//! The output of the demo.

use anstyle::{AnsiColor, Style};

use crate::cycle::report::FileChange;

/// The output of the demo.
pub struct Screen<'s, E> {
    /// Prints text.
    pub print: &'s dyn Fn(&str) -> Result<(), E>,
    /// Prints changes as a diff.
    pub diff: &'s dyn Fn(&[FileChange]) -> Result<(), E>,
}

impl<E> Screen<'_, E> {
    /// Prints the title of a step.
    pub fn heading(&self, text: &str) -> Result<(), E> {
        let style = Style::new().bold().fg_color(Some(AnsiColor::Cyan.into()));
        (self.print)(&format!("\n{style}{text}{style:#}\n"))
    }
}
