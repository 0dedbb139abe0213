//! Armor: an age file as lines of base64 between two marks (strict PEM, RFC 7468).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
const END: &str = "-----END AGE ENCRYPTED FILE-----";
const COLUMNS: usize = 64;

/// The bytes of an armored file; blanks around it do not count.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut lines = text.trim().split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    if lines.next()? != BEGIN || lines.next_back()? != END {
        return None;
    }
    let lines: Vec<&str> = lines.collect();
    let (last, full) = lines.split_last()?;
    let shaped = full.iter().all(|line| line.len() == COLUMNS) && (1..=COLUMNS).contains(&last.len());
    shaped.then(|| STANDARD.decode(lines.concat()).ok()).flatten()
}

/// Bytes as an armored file.
pub fn encode(bytes: &[u8]) -> String {
    let body = STANDARD.encode(bytes);
    let mut text = format!("{BEGIN}\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(COLUMNS));
        text.push_str(line);
        text.push('\n');
        rest = tail;
    }
    text.push_str(END);
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn armor_comes_and_goes() {
        for length in [1, 47, 48, 49, 200] {
            let bytes: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let text = encode(&bytes);
            assert_eq!(decode(&text).as_ref(), Some(&bytes));
            assert_eq!(decode(&format!("\n {} ", text.replace('\n', "\r\n"))), Some(bytes));
        }
        let text = encode(&[7; 60]);
        assert_eq!(decode(&text.replace(END, "-----END AGE-----")), None);
        assert_eq!(decode(&text.replacen("Bwc", "Bw", 1)), None);
        assert_eq!(decode(BEGIN), None);
    }
}
