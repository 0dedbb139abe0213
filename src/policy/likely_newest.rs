//! Guesses which tags are the newest, for when only a few can be inspected.

use crate::image::Tag;

use super::number::Number;

/// Sorts tags by how likely they are to be the newest: first those with the highest number in front of the commit
/// (`main-1042-1a2b3c4`, `20260401-1a2b3c4`), then those that the registry lists last, because registries that keep the
/// order of pushes list the oldest first.
pub fn likely_newest_first(tags: Vec<Tag>) -> Vec<Tag> {
    let mut ranked: Vec<(Option<Number>, usize, Tag)> =
        tags.into_iter().enumerate().map(|(position, tag)| (number_before_commit(&tag), position, tag)).collect();
    ranked.sort_by(|a, b| (&b.0, b.1).cmp(&(&a.0, a.1)));
    ranked.into_iter().map(|(_, _, tag)| tag).collect()
}

/// Returns the last number before the commit.
fn number_before_commit(tag: &Tag) -> Option<Number> {
    let (before, _) = tag.as_str().rsplit_once('-')?;
    before.rsplit(['-', '_', '.']).find_map(Number::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_first_and_then_the_end_of_the_list() {
        let tags = ["aaaaaaa", "main-9-bbbbbbb", "ccccccc", "main-10-ddddddd", "20260401-eeeeeee"];
        let sorted = likely_newest_first(tags.iter().map(|tag| tag.parse().expect("a tag")).collect());
        let sorted: Vec<&str> = sorted.iter().map(Tag::as_str).collect();
        assert_eq!(sorted, ["20260401-eeeeeee", "main-10-ddddddd", "main-9-bbbbbbb", "ccccccc", "aaaaaaa"]);
    }
}
