//! The parts of a commit's message that are ours: a subject that says what moved, and trailers that machines read.
//!
//! Trailers are as `git interpret-trailers` knows them: the last paragraph, `Key: value` a line.

use std::collections::BTreeSet;

use crate::image::Version;

use super::gate::GatedUpdate;
use super::trailer::word;

/// The longest subject before it is cut to "and N more".
const SUBJECT: usize = 72;

/// The subject that says what these updates move.
pub(super) fn subject_of(updates: &[GatedUpdate]) -> String {
    let mut moves: Vec<String> = Vec::new();
    let mut seen = BTreeSet::new();
    for update in updates {
        let name = update.field.repository.short_name();
        let text = format!("{name} {} -> {}", short(&update.field.version), short(&update.to));
        if seen.insert(text.clone()) {
            moves.push(text);
        }
    }
    subject(&moves)
}

/// The trailers of these updates, one a line.
pub(super) fn trailers(updates: &[GatedUpdate]) -> String {
    let line = |update: &GatedUpdate| {
        format!(
            "Tagalong-Update: {} {} {} {} -> {}\n",
            word(&update.file),
            word(&update.field.path),
            update.field.repository,
            whole(&update.field.version),
            whole(&update.to)
        )
    };
    updates.iter().map(line).collect()
}

/// As many moves as fit, at least one, then how many more there are.
fn subject(moves: &[String]) -> String {
    for shown in (1..=moves.len()).rev() {
        let rest = moves.len() - shown;
        let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        let subject = format!("deploy: {}{more}", moves[..shown].join(", "));
        if shown == 1 || subject.chars().count() <= SUBJECT {
            return subject;
        }
    }
    "deploy".to_owned()
}

fn short(version: &Version) -> String {
    match (&version.tag, &version.digest) {
        (Some(tag), _) => tag.short().to_owned(),
        (None, Some(digest)) => digest.as_str().chars().take("sha256:".len() + 7).collect(),
        (None, None) => "(none)".to_owned(),
    }
}

fn whole(version: &Version) -> String {
    if version.is_empty() { "(none)".to_owned() } else { version.to_string() }
}

#[cfg(test)]
mod tests {
    use crate::manifest::conventions::Conventions;
    use crate::manifest::find;

    use super::*;

    fn update(file: &str, name: &str, from: &str, to: &str) -> GatedUpdate {
        let facts = find::read(file, format!("image: {name}:{from}\n").as_bytes(), &Conventions::default())
            .expect("valid YAML");
        let to = Version::parse_tag(to).expect("a tag");
        GatedUpdate { file: file.to_owned(), field: facts.fields[0].clone(), to, digest: None, built: None }
    }

    #[test]
    fn one_update_is_said_in_the_subject_and_in_a_trailer() {
        let long = "1a2b3c4d5e6f708192a3b4c5d6e7f80912345678";
        let updates = [update("apps/a b.yaml", "ghcr.io/acme/supervisor", long, "5d6e7f8")];
        assert_eq!(subject_of(&updates), "deploy: supervisor 1a2b3c4 -> 5d6e7f8");
        assert_eq!(
            trailers(&updates),
            format!("Tagalong-Update: apps/a%20b.yaml image ghcr.io/acme/supervisor {long} -> 5d6e7f8\n")
        );
    }

    #[test]
    fn many_updates_are_counted_and_equal_ones_said_once() {
        let of = |n: usize| update(&format!("{n}.yaml"), &format!("acme/service-number-{n}"), "v1", "v2");
        let updates = [of(1), of(1), of(2), of(3), of(4)];
        assert_eq!(subject_of(&updates), "deploy: service-number-1 v1 -> v2, service-number-2 v1 -> v2 and 2 more");
        assert_eq!(trailers(&updates).matches("Tagalong-Update: ").count(), 5);
    }
}
