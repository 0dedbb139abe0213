//! The documentation leads to what is there: its links, and the commands that it shows.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use tagalong::cli::Cli;

/// Every document, with its text.
fn documents() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open = vec![root.join("docs"), root.join("deploy")];
    let mut found = vec![root.join("README.md"), root.join("ARCHITECTURE.md"), root.join("CHANGELOG.md")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found.into_iter().map(|path| (path.clone(), fs::read_to_string(path).expect("text"))).collect()
}

#[test]
fn links_lead_to_files() {
    let mut count = 0;
    for (file, text) in documents() {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            count += 1;
            assert!(file.parent().expect("a folder").join(path).exists(), "{}: {target}", file.display());
        }
    }
    assert!(count >= 20, "only {count} links were found");
}

#[test]
fn commands_are_understood() {
    let mut count = 0;
    for (file, text) in documents() {
        for block in text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            for line in block.replace("\\\n", " ").lines() {
                let words = words(line);
                if words.first().is_none_or(|word| word != "tagalong") {
                    continue;
                }
                count += 1;
                if let Err(error) = Cli::try_parse_from(&words) {
                    panic!("{}: {line}\n{error}", file.display());
                }
            }
        }
    }
    assert!(count >= 15, "only {count} commands were found");
    assert!(Cli::try_parse_from(words("tagalong set a:1 --wait-imag 2m")).is_err());
}

/// The words of a line as a shell reads them, short of expansions; a comment ends it.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c == '#' && word.is_none() => break,
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}
