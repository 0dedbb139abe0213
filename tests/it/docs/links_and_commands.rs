//! Links in the documentation resolve, and the commands in it parse.

use std::fs;

use clap::Parser;
use tagalong::cli::command_line::Cli;

use super::pages::{blocks, documents};

/// Whether a document has a heading with this anchor, as forges generate it.
fn has_heading(text: &str, anchor: &str) -> bool {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let anchors =
        headings.map(|heading| heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-"));
    anchors.into_iter().any(|made| made == anchor)
}

#[test]
fn links_resolve_to_files_and_headings() {
    let mut count = 0;
    for (file, text) in documents() {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            if path.contains("://") {
                continue;
            }
            count += 1;
            let linked = if path.is_empty() { file.clone() } else { file.parent().expect("a folder").join(path) };
            assert!(linked.exists(), "{}: {target}", file.display());
            if !anchor.is_empty() {
                let text = fs::read_to_string(&linked).expect("text");
                assert!(has_heading(&text, anchor), "{}: there is no heading for {target}", file.display());
            }
        }
    }
    assert!(count >= 20, "only {count} links were found");
    assert!(has_heading("## What is held, exactly\n", "what-is-held-exactly") && !has_heading("## A `b`\n", "a"));
}

#[test]
fn commands_parse() {
    let mut count = 0;
    for (file, text) in documents() {
        for block in blocks(&text, "sh") {
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

/// Splits a line into words like a shell, without expansions; a comment ends it.
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
