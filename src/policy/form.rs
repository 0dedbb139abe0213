//! The form of a tag: everything around the commit, the version or the number that it names. Tags of one build differ
//! in form, and a field keeps the form that it has.

use std::cmp::Reverse;

use crate::image::Tag;

use super::tags::TagRule;

/// The number of digits of a full SHA; SHA-256 has more.
const WHOLE: usize = 40;

/// Architectures as tags spell them: Go's names, Docker's variants, and those of `uname`.
const ARCHITECTURES: [&str; 25] = [
    "386", "aarch64", "amd64", "arm", "arm32v5", "arm32v6", "arm32v7", "arm64", "arm64v8", "armel", "armhf", "armv5",
    "armv6", "armv7", "armv8", "i386", "i686", "loong64", "mips64le", "ppc64", "ppc64le", "riscv64", "s390x", "x64",
    "x86",
];

/// The form of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// The text around the commit, which is replaced by `*`, or the whole tag. Numbers in it change from build to
    /// build, so each is replaced by `#`.
    affixes: String,
    /// The number of digits of its commit; 0 if it names none.
    digits: usize,
    names_platform: bool,
}

/// The suitability of a tag for a field; the largest is the best. Earlier fields take precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Suitability {
    has_affixes_of_field: bool,
    is_whole_build: bool,
    is_like_field: bool,
    is_as_long_as_field: bool,
    /// The number of numbers in a version.
    numbers: usize,
    plainness: Reverse<usize>,
    digits: usize,
}

impl Form {
    /// Returns whether two tags differ only in the commit, version or number that they name, and perhaps in the length
    /// of an abbreviated commit.
    pub fn is_like(&self, other: &Form) -> bool {
        self.has_affixes_of(other) && self.is_whole() == other.is_whole()
    }

    /// Returns whether two tags have the same text around what they name.
    pub fn has_affixes_of(&self, other: &Form) -> bool {
        self.affixes == other.affixes
    }

    /// Returns the text of the tag around what it names.
    pub fn affixes(&self) -> &str {
        &self.affixes
    }

    /// Returns whether the name shows that the tag is for one platform.
    pub fn names_platform(&self) -> bool {
        self.names_platform
    }

    /// Returns the suitability of a tag of this form for a field with a tag of another form: the form of the field
    /// counts first, then an index is preferred to its platforms. Without a field, the plainest tag is preferred, then
    /// the longest SHA or the version with the most numbers.
    pub fn suits(&self, field: Option<&Form>, is_part: bool) -> Suitability {
        let is_of_field = |what: fn(&Form, &Form) -> bool| field.is_some_and(|field| what(self, field));
        let numbers = if self.digits == 0 { self.affixes.matches('#').count() } else { 0 };
        Suitability {
            has_affixes_of_field: is_of_field(Form::has_affixes_of),
            is_whole_build: !is_part,
            is_like_field: is_of_field(Form::is_like),
            is_as_long_as_field: is_of_field(|own, field| own.digits == field.digits),
            numbers,
            plainness: Reverse(self.affixes.len()),
            digits: self.digits,
        }
    }

    fn is_whole(&self) -> bool {
        self.digits >= WHOLE
    }
}

impl TagRule {
    /// Returns the form of a tag that fits.
    pub fn form_of(&self, tag: &Tag) -> Form {
        let text = tag.as_str();
        let commit = match self {
            TagRule::Sha { form, .. } => form.commit_place(tag),
            _ => None,
        };
        let mut names_platform = false;
        let mut plain = |text: &str| without_numbers(text, &mut names_platform);
        let (affixes, digits) = match commit {
            Some(place) => (format!("{}*{}", plain(&text[..place.start]), plain(&text[place.end..])), place.len()),
            None => (plain(text), 0),
        };
        Form { affixes, digits, names_platform }
    }
}

/// Replaces the numbers in a text by `#`, except those in the name of an architecture.
fn without_numbers(text: &str, names_platform: &mut bool) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut last = "";
    for piece in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let word = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_architecture = ARCHITECTURES.iter().any(|name| name.eq_ignore_ascii_case(word));
        *names_platform |= is_architecture;
        // `arm-v7` is not `arm-v6`.
        let is_variant = last.eq_ignore_ascii_case("arm") && matches!(word, "v5" | "v6" | "v7" | "v8");
        if is_architecture || is_variant {
            plain.push_str(piece);
        } else {
            push_without_numbers(&mut plain, piece);
        }
        last = word;
    }
    plain
}

fn push_without_numbers(plain: &mut String, piece: &str) {
    let mut is_number = false;
    for character in piece.chars() {
        if !character.is_ascii_digit() {
            plain.push(character);
        } else if !is_number {
            plain.push('#');
        }
        is_number = character.is_ascii_digit();
    }
}

#[cfg(test)]
mod tests {
    use super::super::order::Order;
    use super::super::range::Range;
    use super::super::tags::{Filter, ShaForm};
    use super::*;

    fn sha(tag: &str) -> Form {
        TagRule::Sha { form: ShaForm::Usual, order: Order::Built }.form_of(&tag.parse().expect("a tag"))
    }

    #[test]
    fn forms_leave_out_the_commit_and_numbers() {
        let whole = "a".repeat(40);
        assert!(sha("1a2b3c4").is_like(&sha("1a2b3c4d")));
        assert!(!sha("1a2b3c4").is_like(&sha(&whole)) && sha("1a2b3c4").has_affixes_of(&sha(&whole)));
        assert!(sha("main-1042-1a2b3c4").is_like(&sha("main-7-abcdef0")));
        assert!(sha("20260401T1200-1a2b3c4").is_like(&sha("20260402T0900-abcdef0")));
        assert!(!sha("main-1a2b3c4").is_like(&sha("1a2b3c4")));
        for (one, other) in [("amd64", "arm64"), ("armv6", "armv7"), ("arm-v6", "arm-v7"), ("386", "amd64")] {
            let form = |platform: &str| sha(&format!("linux-{platform}-1a2b3c4"));
            assert!(!form(one).is_like(&form(other)) && form(one).names_platform(), "{one} {other}");
        }
        assert!(!sha("charm-1a2b3c4").names_platform());
    }

    #[test]
    fn the_form_around_the_commit_of_a_pattern_counts() {
        let form = ShaForm::pattern("^(?P<sha>[0-9a-f]{7})(-[a-z0-9]+)?$", &Order::Built).expect("a pattern");
        let rule = TagRule::Sha { form, order: Order::Built };
        let form = |tag: &str| rule.form_of(&tag.parse().expect("a tag"));
        assert!(form("1a2b3c4-amd64").names_platform() && !form("1a2b3c4-amd64").is_like(&form("1a2b3c4")));
        assert!(form("1a2b3c4-amd64").is_like(&form("5d6e7f8-amd64")));
    }

    #[test]
    fn the_best_of_several_tags() {
        let best = |field: Option<&str>, tags: &[&'static str], form: &dyn Fn(&str) -> Form| {
            let field = field.map(form);
            *tags.iter().max_by_key(|tag| form(tag).suits(field.as_ref(), tag.contains("amd64"))).expect("some")
        };
        let whole = "1a2b3c4d1a2b3c4d1a2b3c4d1a2b3c4d1a2b3c4d";
        let tags = ["1a2b3c4", "main-1a2b3c4", whole, "1a2b3c4d1a", "amd64-1a2b3c4"];
        assert_eq!(best(Some("aaaaaaa"), &tags, &sha), "1a2b3c4");
        assert_eq!(best(Some("aaaaaaaaaa"), &tags, &sha), "1a2b3c4d1a");
        assert_eq!(best(Some(&"a".repeat(40)), &tags, &sha), whole);
        assert_eq!(best(Some("main-aaaaaaa"), &tags, &sha), "main-1a2b3c4");
        assert_eq!(best(Some("amd64-aaaaaaa"), &tags, &sha), "amd64-1a2b3c4");
        assert_eq!(best(Some("arm64-aaaaaaa"), &tags, &sha), "1a2b3c4");
        assert_eq!(best(None, &tags, &sha), whole);
        let semver = TagRule::Semver { range: Range::parse("*").expect("a range"), filter: Filter::default() };
        let version = |tag: &str| semver.form_of(&tag.parse().expect("a tag"));
        let tags = ["1.28", "1.28.0", "v1.28.0", "v1.28"];
        assert_eq!(best(None, &tags, &version), "1.28.0");
        assert_eq!(best(Some("v1.27.5"), &tags, &version), "v1.28.0");
        assert_eq!(best(Some("1.27"), &tags, &version), "1.28");
    }
}
