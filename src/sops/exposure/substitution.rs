//! Values of Secrets that are not in plaintext: empty ones, those that SOPS encrypted, and those that Flux substitutes.

use crate::sops::cipher;

/// Returns whether a value reveals nothing.
pub fn is_covered(text: &str) -> bool {
    text.is_empty() || cipher::check_form(text).is_ok() || is_substituted(text)
}

/// Returns whether a text consists of substitutions (`${NAME}`) and of nothing else that could be part of a secret. The
/// defaults of substitutions count as well: `${NAME:=secret}` is as readable as `secret`.
fn is_substituted(text: &str) -> bool {
    let mut rest = text;
    let mut found = false;
    while let Some(at) = rest.find("${") {
        let name = &rest[at + 2..];
        let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
        if !rest[..at].chars().all(is_separator) || end == 0 || name.starts_with(|c: char| c.is_ascii_digit()) {
            return false;
        }
        found = true;
        rest = &name[end..];
    }
    found && rest.chars().all(is_separator)
}

fn is_separator(c: char) -> bool {
    c.is_ascii_punctuation() || c.is_ascii_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn substitutions_reveal_nothing_and_their_defaults_do() {
        for text in ["", "${PW}", "${USER}:${PW}", "${A:-${B}}", "${A:=}", "${A^^}", "\"${A}\"\n"] {
            assert!(is_covered(text), "{text}");
        }
        for text in
            ["x", "${}", "${1}", "${A:=x}", "${A:-${B:-x}}", "${A}x${B}", "x${A}", "${A}é", "${A/a/b}", "$A", "{}"]
        {
            assert!(!is_covered(text), "{text}");
        }
    }

    #[test]
    fn a_prefix_alone_is_not_an_encrypted_value() {
        assert!(!is_covered("ENC[AES256_GCM,hunter2]"));
        assert!(is_covered("ENC[AES256_GCM,data:YQ==,iv:YQ==,tag:YQ==,type:str]"));
    }
}
