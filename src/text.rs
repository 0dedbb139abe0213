//! Foreign text, made safe to show. Names of files, fields, tags and people, and the messages of servers, come from
//! outside: what could steer a terminal, forge a line or show other text than there is does not pass.

use std::borrow::Cow;

use strsim::osa_distance;

/// Returns whether a character acts instead of being shown: control characters, line and paragraph separators, invisible
/// characters, and those that change the direction of text (Unicode Standard Annex #9, section 2). The joiners of emojis
/// and Indic scripts are not among them.
pub fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Returns the text on one line, with active characters escaped as in Rust: `\n`, `\u{1b}`.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, is_active)
}

/// Returns the text with active characters escaped, except line breaks and tabs.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_active(c) && c != '\n' && c != '\t')
}

/// Returns the text on one line in plain words: active characters and white space become single blanks.
pub fn words(text: &str) -> String {
    let plain: String = text.chars().map(|c| if is_active(c) { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns a text, or the start of one that has more than `most` characters.
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// Returns a duration in its two largest units: `45s`, `12m`, `1h 4m`, `3d 2h`.
pub fn duration(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, minutes) => format!("{hours}h {minutes}m"),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}

/// Returns the known name that a mistyped one was probably meant to be: the one with the smallest distance, if that is at
/// most a third of its length. Case, dashes and underscores make no difference.
pub fn nearest<'k>(known: impl IntoIterator<Item = &'k str>, given: &str) -> Option<&'k str> {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_'], "");
    let wanted = plain(given);
    let distance = |name: &str| {
        let name = plain(name);
        let most = match name.len() {
            0..=2 => 0,
            length => (length / 3).max(1),
        };
        // Comparing a name with one that is as long as a file would take a while.
        let is_about_as_long = name.len().abs_diff(wanted.len()) <= most;
        is_about_as_long.then(|| osa_distance(&name, &wanted)).filter(|distance| *distance <= most)
    };
    let near = known.into_iter().filter_map(|name| Some((distance(name)?, name)));
    near.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

fn escaped(text: &str, acts: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if acts(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units() {
        let shown = [-1, 0, 59, 60, 3599, 3840, 86_399, 266_400].map(duration);
        assert_eq!(shown, ["0s", "0s", "59s", "1m", "59m", "1h 4m", "23h 59m", "3d 2h"]);
    }

    #[test]
    fn characters_that_act_are_escaped_and_all_others_kept() {
        let hostile = "a\x1b[2J\r\nb\u{202e}c\u{9b}d\u{2066}e\u{200b}\u{feff}\t";
        assert_eq!(line(hostile), r"a\u{1b}[2J\r\nb\u{202e}c\u{9b}d\u{2066}e\u{200b}\u{feff}\t");
        assert_eq!(lines("a\r\nb\tc\x07"), "a\\r\nb\tc\\u{7}");
        assert_eq!(words(" a\x1b \n b\u{202e}c\u{2028}"), "a b c");
        for plain in ["apps/a b.yaml", "größer → 5 ‰", "👩\u{200d}🚀", "עברית", r"C:\n"] {
            assert_eq!(line(plain), plain);
        }
    }

    #[test]
    fn of_similar_names_the_nearest_is_meant() {
        let keys = ["keyFile", "knownHostsFile", "branch", "pushBranch", "url"];
        assert_eq!(nearest(keys, "keyfile"), Some("keyFile"));
        assert_eq!(nearest(keys, "key-file"), Some("keyFile"));
        assert_eq!(nearest(keys, "brnach"), Some("branch"));
        assert_eq!(nearest(keys, "pushBrunch"), Some("pushBranch"));
        assert_eq!(nearest(["pushed", "push", "pull"], "pus"), Some("push"));
        assert_eq!(nearest(keys, "depth"), None);
        assert_eq!(nearest(keys, &"x".repeat(1_000_000)), None);
        assert_eq!(nearest(["a", "of"], "b"), None);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!((cut("ééé", 3), cut("éééé", 3)), ("ééé".into(), "ééé…".into()));
    }
}
