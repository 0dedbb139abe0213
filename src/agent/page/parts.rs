//! Small parts of the pages: times, names, versions, commits, commands and numbers.

use std::borrow::Cow;

use jiff::Timestamp;
use maud::{Markup, html};
use percent_encoding::utf8_percent_encode;

use crate::agent::link::{CommitLink, IN_PATHS};
use crate::cycle::stages::status::NextStatus;
use crate::cycle::status::State;
use crate::image::{Repository, Version};
use crate::plan::skip::Reason;
use crate::text;

/// The maximum length of an error or a reason that is shown, in characters.
const MAX_LENGTH: usize = 500;
/// The maximum length of a tag that is shown whole, and the length of what is shown of a longer one.
const MAX_TAG: usize = 28;
const SHORT_TAG: usize = 12;
/// The maximum length of a word of a text that is never broken.
const MAX_WORD: usize = 40;
/// The characters after which a name may be broken.
const BREAKS: [char; 4] = ['/', '.', '_', ':'];

/// A value that may be missing, which screen readers read as a word.
pub fn optional(value: Option<&str>) -> Markup {
    html! {
        @match value {
            Some(value) => (version(value)),
            None => { span aria-hidden="true" { "–" } span .unseen { "none" } },
        }
    }
}

/// A version: its tag, or the start of a long one, and the start of its digest. The rest is in its title.
pub fn version(text: &str) -> Markup {
    let (tag, digest) = match Version::parse_tag(text).ok() {
        Some(Version { tag, digest }) => (tag.map(|tag| short_tag(tag.as_str()).into_owned()), digest),
        None => (Some(short_tag(text).into_owned()), None),
    };
    let digest = digest.map(|digest| digest.as_str().chars().take(DIGEST.len() + 7).collect::<String>());
    let shown = [tag, digest].into_iter().flatten().collect::<Vec<_>>().join("@");
    let whole = (shown != text).then(|| text::cut(text, MAX_LENGTH));
    html! { code .tag title=[whole] { (text::line(&shown)) } }
}

/// Returns a tag, or the start of a long one. Of commits, people know the first digits.
fn short_tag(tag: &str) -> Cow<'_, str> {
    let is_hex = tag.len() > SHORT_TAG && tag.bytes().all(|b| b.is_ascii_hexdigit());
    if is_hex {
        return Cow::Borrowed(&tag[..SHORT_TAG]);
    }
    text::cut(tag, MAX_TAG)
}

/// The version that comes next: its tag, or the start of its ID.
pub fn coming(next: &NextStatus) -> Markup {
    match &next.tag {
        Some(tag) => version(tag.as_str()),
        None => version(&next.short()),
    }
}

/// A commit, with a link if there is one.
pub fn commit(id: &str, link: Option<&CommitLink>) -> Markup {
    let short: String = id.chars().take(7).collect();
    html! {
        @match link {
            Some(link) => a .nowrap href=(link.to(id)) { span .unseen { "commit " } code { (short) } },
            None => span .nowrap { span .unseen { "commit " } code { (short) } },
        }
    }
}

/// A time, relative to now for people, exact in its title and for machines.
pub fn time(at: Timestamp, now: Timestamp) -> Markup {
    let exact = at.strftime("%Y-%m-%d %H:%M:%S UTC");
    html! { time datetime=(at.strftime("%Y-%m-%dT%H:%M:%SZ")) title=(exact) { (relative(at, now)) } }
}

/// Returns a time relative to now, or its date if it is far away.
fn relative(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs();
    let (amount, unit) = match seconds.abs() {
        0..60 => return if seconds < 0 { "in a moment" } else { "just now" }.to_owned(),
        60..3600 => (seconds.abs() / 60, "min"),
        3600..172_800 => (seconds.abs() / 3600, "h"),
        172_800..5_184_000 => (seconds.abs() / 86_400, "days"),
        _ => return at.strftime("%Y-%m-%d").to_string(),
    };
    if seconds < 0 { format!("in {amount} {unit}") } else { format!("{amount} {unit} ago") }
}

/// A name or path, which may be broken only between its words.
pub fn name(text: &str) -> Markup {
    let shown = shortened(text);
    html! { @for (at, part) in shown.split_inclusive(BREAKS).enumerate() { @if at > 0 { wbr; } (part) } }
}

/// An image with a link to its page.
pub fn image(image: &Repository, root: &str) -> Markup {
    let (host, path) = (image.as_str().strip_suffix(image.path()).unwrap_or_default(), image.path());
    html! {
        a .name href=(image_address(image, root)) { span .host { (name(host)) } (name(path)) }
    }
}

/// Returns the address of the page of an image. Charts have their scheme as a folder of its own, because proxies may join
/// slashes.
pub fn image_address(image: &Repository, root: &str) -> String {
    let path = image.as_str().replacen("://", "/", 1);
    format!("{root}images/{}", utf8_percent_encode(&path, IN_PATHS))
}

/// A command to copy.
pub fn command(text: &str) -> Markup {
    let shown = shortened(text);
    html! {
        code .command {
            @for (at, word) in shown.split(' ').enumerate() {
                @if at > 0 { " " }
                @if !word.contains(['-', '/', '.']) { (word) }
                @else if word.len() <= MAX_WORD { span .nowrap { (word) } }
                @else { (name(word)) }
            }
        }
    }
}

/// A foreign text: addresses in it are links, times are times, digests are short, names are broken only between their words,
/// and tags not at all.
pub fn prose(text: &str) -> Markup {
    let shown = shortened(text);
    html! {
        @for (at, word) in shown.split(' ').enumerate() {
            @if at > 0 { " " }
            @let (core, end) = word.split_at(word.trim_end_matches(ENDS).len());
            @if core.starts_with("https://") || core.starts_with("http://") {
                a href=(core) { (name(core)) }
            } @else if let Ok(at) = core.parse::<Timestamp>() {
                (clock(at))
            } @else if let Some(short) = without_digest(core) {
                span title=(core) { (name(&short)) }
            } @else if core.contains('/') {
                (name(core))
            } @else if core.len() <= MAX_WORD && core.contains(['-', '.', ':', '@', '_']) {
                span .token { (core) }
            } @else {
                (core)
            }
            (end)
        }
    }
}

/// A time in a text, which stays a time of day.
fn clock(at: Timestamp) -> Markup {
    let (machine, shown) = (at.strftime("%Y-%m-%dT%H:%M:%SZ"), at.strftime("%-d %b %H:%M UTC"));
    html! { time .clock datetime=(machine) title=(at.strftime("%Y-%m-%d %H:%M:%S UTC")) { (shown) } }
}

/// Returns a word with a short digest, if there is one in it.
fn without_digest(word: &str) -> Option<String> {
    let (before, digest) = word.split_once(DIGEST)?;
    let is_digest = digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit());
    is_digest.then(|| format!("{before}{DIGEST}{}…", &digest[..7]))
}

/// The beginning of digests.
const DIGEST: &str = "sha256:";

/// The characters that end a sentence or a part of it.
const ENDS: [char; 5] = [',', ';', '.', ')', ':'];

/// The state of an image.
pub fn state(state: State) -> Markup {
    pill(label(state), tone(state))
}

/// A short text about a state. Its tone is only a hint: the text says it.
pub fn pill(text: &str, tone: &str) -> Markup {
    html! { span class={ "pill " (tone) } { (text) } }
}

/// Returns the text for a state.
pub fn label(state: State) -> &'static str {
    match state {
        State::UpToDate | State::Kept(Reason::UpToDate) => "up to date",
        State::Kept(Reason::NoCandidate) => "no candidate",
        State::Kept(Reason::Soaking) => "soaking",
        State::Kept(Reason::Check) => "waiting for checks",
        State::Kept(Reason::Window) => "window closed",
        State::Kept(Reason::Approval) => "waiting for approval",
        State::Kept(Reason::Incomplete) => "incomplete",
        State::Updating => "updating",
        State::Kept(Reason::Suspended) => "suspended",
        State::Kept(Reason::Held) => "held",
        State::Kept(Reason::RegistryError) => "registry error",
        State::Kept(Reason::BlockedSecret) => "blocked: secret",
        State::Kept(Reason::BlockedImage) => "blocked: image",
        State::Kept(Reason::BlockedSignature) => "blocked: signature",
    }
}

/// Returns the tone of a state: the name of its color in the style sheet.
pub fn tone(state: State) -> &'static str {
    match state {
        State::UpToDate | State::Kept(Reason::UpToDate) => "good",
        State::Updating => "busy",
        State::Kept(reason) => reason_tone(reason),
    }
}

fn reason_tone(reason: Reason) -> &'static str {
    match reason {
        Reason::UpToDate => "good",
        Reason::BlockedImage | Reason::BlockedSignature | Reason::BlockedSecret | Reason::RegistryError => "bad",
        Reason::NoCandidate
        | Reason::Incomplete
        | Reason::Soaking
        | Reason::Check
        | Reason::Window
        | Reason::Approval
        | Reason::Held
        | Reason::Suspended => "wait",
    }
}

/// Formats a number with separators: `4,312`.
pub fn number(value: usize) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a number with its noun: `1 field`, `2 fields`.
pub fn counted(value: usize, one: &str) -> String {
    format!("{} {one}{}", number(value), if value == 1 { "" } else { "s" })
}

/// Returns the first items of a list, and the number of the others.
pub fn first<T>(all: &[T], most: usize) -> (&[T], usize) {
    let shown = all.len().min(most);
    (&all[..shown], all.len() - shown)
}

/// Returns a foreign text, or the start of a very long one, without characters that would reorder the text around it.
pub fn shortened(text: &str) -> Cow<'_, str> {
    match text::lines(text) {
        Cow::Borrowed(text) => text::cut(text, MAX_LENGTH),
        Cow::Owned(text) => Cow::Owned(text::cut(&text, MAX_LENGTH).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn numbers_are_grouped_and_long_texts_cut_between_characters() {
        assert_eq!([0, 999, 4312, 1_000_000].map(number), ["0", "999", "4,312", "1,000,000"]);
        assert_eq!([counted(1, "field"), counted(1200, "field")], ["1 field", "1,200 fields"]);
        assert_eq!(shortened(&"é".repeat(MAX_LENGTH)), "é".repeat(MAX_LENGTH));
        assert_eq!(shortened(&"é".repeat(MAX_LENGTH + 1)), format!("{}…", "é".repeat(MAX_LENGTH)));
        assert_eq!(shortened("a\u{202e}b"), r"a\u{202e}b");
        assert_eq!((first(&[1, 2, 3], 2), first(&[1], 2)), ((&[1, 2][..], 1), (&[1][..], 0)));
    }

    #[test]
    fn times_are_relative_and_exact() {
        let now: Timestamp = "2026-11-27T12:00:00Z".parse().expect("a time");
        let shown = |seconds: i64| relative(now - SignedDuration::from_secs(seconds), now);
        let ago = [0, 59, 60, 3599, 3600, 172_799, 172_800, 5_183_999].map(shown);
        let expected =
            ["just now", "just now", "1 min ago", "59 min ago", "1 h ago", "47 h ago", "2 days ago", "59 days ago"];
        assert_eq!(ago, expected);
        assert_eq!([-30, -90, -7200, -400_000].map(shown), ["in a moment", "in 1 min", "in 2 h", "in 4 days"]);
        assert_eq!(shown(5_184_000), "2026-09-28");
        let whole = time(now, now).into_string();
        assert!(whole.contains("datetime=\"2026-11-27T12:00:00Z\" title=\"2026-11-27 12:00:00 UTC\""), "{whole}");
    }

    #[test]
    fn long_versions_are_short_and_whole_in_their_title() {
        let shown = |text: &str| version(text).into_string();
        assert_eq!(shown("1a2b3c4"), "<code class=\"tag\">1a2b3c4</code>");
        let (hex, digest) = ("1a2b3c4d5e6f7a8b9c0d1a2b3c4d5e6f7a8b9c0d", "0".repeat(64));
        assert_eq!(shown(hex), format!("<code class=\"tag\" title=\"{hex}\">1a2b3c4d5e6f</code>"));
        let pinned = format!("v1@sha256:{digest}");
        assert_eq!(shown(&pinned), format!("<code class=\"tag\" title=\"{pinned}\">v1@sha256:0000000</code>"));
        assert!(shown(&"x".repeat(100)).contains(&format!("{}…</code>", "x".repeat(MAX_TAG))));
    }

    #[test]
    fn names_break_between_words_and_addresses_are_links() {
        let image: Repository = "r.example:5000/org/app".parse().expect("an image");
        assert_eq!(image_address(&image, "../"), "../images/r.example:5000/org/app");
        let chart = Repository::of_chart("oci://ghcr.io/acme", "shop").expect("a chart");
        assert_eq!(image_address(&chart, ""), "images/oci/ghcr.io/acme/shop");
        assert_eq!(name("apps/a.yaml").into_string(), "apps/<wbr>a.<wbr>yaml");
        let text = prose("0 of 1 approvals for v1.2-rc in https://git.example/pulls/3; <b> in a/b").into_string();
        assert!(text.contains("<span class=\"token\">v1.2-rc</span>") && text.contains("&lt;b&gt;"), "{text}");
        assert!(text.contains("<a href=\"https://git.example/pulls/3\">") && text.contains("</a>; "), "{text}");
        let digest = "0123456789abcdef".repeat(4);
        let text = prose(&format!("r.io/a@sha256:{digest} until 2026-11-27T05:46:29Z; then")).into_string();
        assert!(text.contains("sha256:<wbr>0123456…</span> until <time class=\"clock\""), "{text}");
        assert!(
            text.contains(">27 Nov 05:46 UTC</time>; then")
                && text.contains(&format!("title=\"r.io/a@sha256:{digest}\"")),
            "{text}"
        );
        assert!(prose("javascript:alert(1)").into_string().contains("<span class=\"token\">"));
    }
}
