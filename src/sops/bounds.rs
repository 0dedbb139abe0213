//! The largest files that are parsed for secrets. Parsed, a file takes many times its size, and an object in Kubernetes
//! is limited to a few megabytes anyway.

/// The most bytes of a file, or of one document of it.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// The most values of a document that is only read.
const MOST_YAML_VALUES: usize = 400_000;

/// The most values of a SOPS file, for which positions and comments are kept as well.
const MOST_SOPS_VALUES: usize = 100_000;

/// Returns whether a YAML document is too large to be read.
pub fn is_too_large_for_yaml(bytes: &[u8]) -> bool {
    exceeds(bytes, MOST_YAML_VALUES)
}

/// Returns whether a file is too large to be read as a SOPS file.
pub fn is_too_large_for_sops(bytes: &[u8]) -> bool {
    exceeds(bytes, MOST_SOPS_VALUES)
}

/// Counts the characters that end or begin values, of which there are at least as many as values. The text of a value
/// can contain them too, so this errs on the side of safety.
fn exceeds(bytes: &[u8], most_values: usize) -> bool {
    let is_mark = |byte: &&u8| matches!(byte, b',' | b':' | b'[' | b'{' | b'-' | b'?' | b'\n' | b'\r');
    bytes.len() > MOST_BYTES || bytes.len() > most_values && bytes.iter().filter(is_mark).count() > most_values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_values_and_many_bytes_are_too_large_and_long_texts_are_not() {
        assert!(is_too_large_for_sops("0,".repeat(MOST_SOPS_VALUES + 1).as_bytes()));
        assert!(!is_too_large_for_sops("x".repeat(MOST_BYTES).as_bytes()));
        assert!(is_too_large_for_yaml("x".repeat(MOST_BYTES + 1).as_bytes()));
        assert!(!is_too_large_for_yaml("a: b\n".repeat(100_000).as_bytes()));
    }
}
