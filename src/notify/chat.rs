//! Slack, Discord, Teams and Matrix. Texts come from registries and repositories, so they are escaped: they cannot
//! mention anybody, hide a link behind other words or forge a line. Slack has no way to escape emphasis (`*bold*`).

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::json;
use url::Url;

use crate::secret::Secret;
use crate::text;

use super::error::NotifyError;
use super::event::Event;
use super::request::Request;

/// The most events that one message describes; further ones are only counted.
const LINES: usize = 15;
/// The longest title, in characters.
const TITLE: usize = 200;
/// The longest detail, in characters.
const DETAIL: usize = 500;
/// The longest title of an embed that Discord accepts, in characters.
const EMBED_TITLE: usize = 256;

/// Events as lines of a chat message.
struct Lines {
    lines: Vec<Line>,
    more: usize,
}

struct Line {
    title: String,
    detail: String,
    url: Option<String>,
    is_trouble: bool,
}

impl Lines {
    fn of(events: &[Event]) -> Lines {
        let line = |event: &Event| Line {
            title: text::cut(&text::line(&format!("{}: {}", event.kind.name(), event.title)), TITLE).into_owned(),
            detail: text::cut(&text::lines(&event.detail), DETAIL).into_owned(),
            url: event.url.clone(),
            is_trouble: event.kind.is_trouble(),
        };
        Lines { lines: events.iter().take(LINES).map(line).collect(), more: events.len().saturating_sub(LINES) }
    }

    /// The lines as one text, each formatted by `line`.
    fn text(&self, line: impl Fn(&Line) -> String) -> String {
        let mut lines: Vec<String> = self.lines.iter().map(line).collect();
        if self.more > 0 {
            lines.push(format!("and {} more", self.more));
        }
        lines.join("\n")
    }

    fn plain(&self) -> String {
        self.text(|line| {
            let rest = [Some(&line.detail).filter(|detail| !detail.is_empty()), line.url.as_ref()];
            let rest: String = rest.into_iter().flatten().map(|text| format!("\n{text}")).collect();
            format!("{}{rest}", line.title)
        })
    }
}

/// Slack's mrkdwn: only `&`, `<` and `>` can form links and mentions.
pub(super) fn slack(url: Url, events: &[Event]) -> Result<Request, NotifyError> {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let text = Lines::of(events).text(|line| {
        let sign = if line.is_trouble { ":warning: " } else { "" };
        let title = match &line.url {
            Some(url) => format!("<{}|{}>", escape(url), escape(&line.title)),
            None => escape(&line.title),
        };
        let detail = if line.detail.is_empty() { String::new() } else { format!("\n{}", escape(&line.detail)) };
        format!("{sign}{title}{detail}")
    });
    Ok(Request::json(url, &json!({ "text": text, "unfurl_links": false })))
}

/// Escapes a text for Discord's Markdown, which removes a backslash before any punctuation.
fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if r"\`*_~|#<>[]()@:".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Discord: embeds, with mentions disabled and Markdown escaped.
pub(super) fn discord(url: Url, events: &[Event]) -> Result<Request, NotifyError> {
    let lines = Lines::of(events);
    // Discord accepts at most ten embeds.
    let embeds = lines.lines.iter().take(10).map(|line| {
        let colour = if line.is_trouble { 0x00a4_0e26 } else { 0x0011_6329 };
        // The limit counts the backslashes too.
        let title = markdown(&line.title);
        let title = if title.chars().count() > EMBED_TITLE { markdown(&text::cut(&line.title, 120)) } else { title };
        let mut embed = json!({ "title": title, "description": markdown(&line.detail), "color": colour });
        if let Some(url) = &line.url {
            embed["url"] = url.as_str().into();
        }
        embed
    });
    let embeds: Vec<_> = embeds.collect();
    let more = events.len() - embeds.len();
    let content = if more > 0 { format!("and {more} more") } else { String::new() };
    Ok(Request::json(url, &json!({ "content": content, "embeds": embeds, "allowed_mentions": { "parse": [] } })))
}

/// Teams: an adaptive card of plain text blocks.
pub(super) fn teams(url: Url, events: &[Event]) -> Result<Request, NotifyError> {
    let lines = Lines::of(events);
    let mut body = Vec::new();
    for line in &lines.lines {
        let colour = if line.is_trouble { "attention" } else { "good" };
        body.push(run(&line.title, json!({ "weight": "bolder", "color": colour })));
        if !line.detail.is_empty() {
            body.push(run(&line.detail, json!({})));
        }
    }
    if lines.more > 0 {
        body.push(run(&format!("and {} more", lines.more), json!({})));
    }
    let link = |url: &String| json!({ "type": "Action.OpenUrl", "title": "Commit", "url": url });
    let actions: Vec<_> = lines.lines.iter().find_map(|line| line.url.as_ref()).map(link).into_iter().collect();
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
        "body": body, "actions": actions,
    });
    let attachment = json!({ "contentType": "application/vnd.microsoft.card.adaptive", "content": card });
    Ok(Request::json(url, &json!({ "type": "message", "attachments": [attachment] })))
}

/// Text in an adaptive card that is not read as Markdown.
fn run(text: &str, style: serde_json::Value) -> serde_json::Value {
    let mut run = json!({ "type": "TextRun", "text": text });
    if let (Some(run), Some(style)) = (run.as_object_mut(), style.as_object()) {
        run.extend(style.clone());
    }
    json!({ "type": "RichTextBlock", "inlines": [run] })
}

/// Matrix: `m.notice`, so that no bot answers. The key makes a delivery that is tried again one message.
pub(super) fn matrix(
    server: &Url,
    room: &str,
    token: &Secret<String>,
    events: &[Event],
    key: &str,
) -> Result<Request, NotifyError> {
    let room = utf8_percent_encode(room, NON_ALPHANUMERIC);
    let path = format!("_matrix/client/v3/rooms/{room}/send/m.room.message/{key}");
    let url = format!("{}/{path}", server.as_str().trim_end_matches('/'));
    let url = Url::parse(&url).map_err(|_| NotifyError::InvalidUrl)?;
    let body = json!({ "msgtype": "m.notice", "body": Lines::of(events).plain(), "m.mentions": {} });
    Ok(Request { method: Method::PUT, ..Request::json(url, &body) }.authorized("Bearer", token))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::notify::event::Kind;

    fn events() -> Vec<Event> {
        let mut event = Event::example(Kind::Blocked);
        event.title = "<!channel> & *bold*".to_owned();
        event.detail = "ä".repeat(600);
        event.url = Some("https://git.example.com/c/1".to_owned());
        let mut events = vec![event];
        events.extend((0..20).map(|_| Event::example(Kind::Updated)));
        events
    }

    fn url() -> Url {
        Url::parse("https://hooks.example.com/T0/secret").expect("a URL")
    }

    fn body(request: Result<Request, NotifyError>) -> Value {
        serde_json::from_str(&request.expect("a request").body).expect("JSON")
    }

    #[test]
    fn slack_is_sent_no_mention_and_no_more_than_fits() {
        let text = body(slack(url(), &events()))["text"].as_str().expect("text").to_owned();
        assert!(
            text.starts_with(":warning: <https://git.example.com/c/1|blocked: &lt;!channel&gt; &amp; *bold*>\nää"),
            "{text}"
        );
        assert!(text.ends_with("\nand 6 more") && text.lines().count() == LINES + 2, "{text}");
        assert!(text.lines().nth(1).expect("detail").chars().count() == DETAIL + 1);
    }

    #[test]
    fn discord_takes_ten_embeds_and_mentions_nobody() {
        let sent = body(discord(url(), &events()));
        assert_eq!(sent["embeds"].as_array().expect("embeds").len(), 10);
        assert_eq!(sent["content"], "and 11 more");
        assert_eq!(sent["allowed_mentions"]["parse"], json!([]));
        let mut event = Event::example(Kind::Blocked);
        event.title = "[free](https://evil.example) \n**v1**\u{202e}".to_owned();
        event.detail = "x\n# big\n<@&1> ||spoiler|| `code` \x1b[0m".to_owned();
        let sent = body(discord(url(), &[event.clone()]));
        let title = r"blocked\: \[free\]\(https\://evil.example\) \\n\*\*v1\*\*\\u{202e}";
        assert_eq!(sent["embeds"][0]["title"], title);
        let detail = "x\n\\# big\n\\<\\@&1\\> \\|\\|spoiler\\|\\| \\`code\\` \\\\u{1b}\\[0m";
        assert_eq!(sent["embeds"][0]["description"], detail);
        event.title = "*".repeat(1_000);
        let sent = body(discord(url(), &[event]));
        assert!(sent["embeds"][0]["title"].as_str().expect("a title").chars().count() <= EMBED_TITLE);
    }

    #[test]
    fn teams_is_sent_a_card_without_markdown() {
        let sent = body(teams(url(), &events()));
        let card = &sent["attachments"][0]["content"];
        assert_eq!(card["body"][0]["inlines"][0]["text"], "blocked: <!channel> & *bold*");
        assert_eq!(card["body"][0]["inlines"][0]["color"], "attention");
        assert_eq!(card["actions"][0]["url"], "https://git.example.com/c/1");
    }

    #[test]
    fn matrix_is_sent_the_same_message_under_the_same_key() {
        let server = Url::parse("https://matrix.example.com/").expect("a URL");
        let token = Secret::new("t0ken".to_owned());
        let request = matrix(&server, "!room:example.com", &token, &events(), "k1").expect("a request");
        assert_eq!(request.method, Method::PUT);
        assert_eq!(request.url.path(), "/_matrix/client/v3/rooms/%21room%3Aexample%2Ecom/send/m.room.message/k1");
        assert_eq!(request.headers[1].1.expose(), "Bearer t0ken");
        assert!(!format!("{:?}", request.headers).contains("t0ken"));
    }
}
