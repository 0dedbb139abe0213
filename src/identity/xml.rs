//! The few parts of AWS's XML responses that matter: the text of elements, whose names are unique in them.

/// The text of the first element with a name. Elements inside it are not parsed.
pub fn text(body: &str, element: &str) -> Option<String> {
    let (_, rest) = body.split_once(&format!("<{element}>"))?;
    let (text, _) = rest.split_once(&format!("</{element}>"))?;
    Some(unescaped(text.trim()))
}

/// The code and the message of an error.
pub fn error(body: &[u8]) -> Option<String> {
    let body = std::str::from_utf8(body).ok()?;
    let code = text(body, "Code")?;
    Some(match text(body, "Message") {
        Some(message) => format!("{code}: {message}"),
        None => code,
    })
}

/// Replaces the predefined entities (XML 1.0, section 4.6). The ampersand is last, so that nothing is replaced twice.
fn unescaped(text: &str) -> String {
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&amp;", "&")];
    entities.iter().fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_and_unescaped() {
        let body =
            "<?xml version=\"1.0\"?>\n<A xmlns=\"x\"><Key>\n a+/= </Key><Key>b</Key><T>&amp;lt;&lt;a&gt;</T></A>";
        assert_eq!(text(body, "Key").as_deref(), Some("a+/="));
        assert_eq!(text(body, "T").as_deref(), Some("&lt;<a>"));
        for missing in ["A", "Ke", "None"] {
            assert_eq!(text(body, missing), None, "{missing}");
        }
        assert_eq!(text("<Key>cut off", "Key"), None);
        assert_eq!(error(b"<Error><Code>X</Code></Error>").as_deref(), Some("X"));
        assert_eq!((error(b"<html>"), error(b"\xff<Code>X</Code>")), (None, None));
    }
}
