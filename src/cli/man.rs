//! `tagalong man`

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command};
use clap_mangen::Man;

use super::error::CliError;
use super::help::topics::TOPICS;
use super::terminal;

/// Write the man pages, one for each command
///
/// Writes tagalong.1 and a page such as tagalong-secrets-verify.1 for every other command to the folder, which is created if
/// it is missing. Existing pages are replaced.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tagalong man ~/.local/share/man/man1 && man tagalong-status")]
pub struct Arguments {
    /// Folder to write to
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Writes the pages of a command line.
pub fn run(arguments: &Arguments, mut root: Command) -> Result<ExitCode, CliError> {
    let dir = &arguments.dir;
    let fail = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| CliError::File { doing, path, source }
    };
    std::fs::create_dir_all(dir).map_err(fail("create", dir))?;
    // This makes flags that all commands share part of each.
    root.build();
    let mut count = 0;
    for (name, command) in commands(&root) {
        let file = dir.join(format!("{name}.1"));
        let page = page(name, command).map_err(fail("write", &file))?;
        std::fs::write(&file, page).map_err(fail("write", &file))?;
        count += 1;
    }
    terminal::tell(&format!("wrote {count} pages to {}", dir.display()));
    Ok(ExitCode::SUCCESS)
}

/// Returns every command with the name of its page. The helps of nested commands have none.
fn commands(root: &Command) -> Vec<(String, &Command)> {
    let mut found = Vec::new();
    let mut open = vec![("tagalong".to_owned(), root)];
    while let Some((name, command)) = open.pop() {
        let nested = command.get_subcommands().filter(|nested| !nested.is_hide_set() && nested.get_name() != "help");
        open.extend(nested.map(|nested| (format!("{name}-{}", nested.get_name()), nested)));
        found.push((name, command));
    }
    found
}

fn page(name: String, command: &Command) -> io::Result<Vec<u8>> {
    let is_root = name == "tagalong";
    let man = Man::new(command.clone().disable_help_subcommand(true)).title(&name).manual("Tagalong Manual");
    let mut page = Vec::new();
    man.render(&mut page)?;
    for topic in TOPICS.iter().filter(|_| is_root) {
        page.extend(format!(".SH \"{}\"\n.nf\n", topic.title.to_uppercase()).into_bytes());
        page.extend((topic.text)().lines().flat_map(|line| format!("{}\n", escaped(line)).into_bytes()));
        page.extend(b".fi\n");
    }
    Ok(page)
}

/// Returns a line that a man page shows as it is.
fn escaped(line: &str) -> String {
    let text = line.replace('\\', r"\e").replace('-', r"\-");
    if text.starts_with(['.', '\'']) { format!(r"\&{text}") } else { text }
}
