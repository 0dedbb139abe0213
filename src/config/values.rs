//! Parsers of values that several sections share.

use std::path::PathBuf;
use std::time::Duration;

use crate::image::Repository;
use crate::plan::template::Template;

/// Parses the path of a file or folder.
pub fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("the path is empty".to_owned()) } else { Ok(PathBuf::from(text)) }
}

/// Parses a duration such as `30s`, `5m`, `1h`, `1h30m` or `250ms`, but not zero.
pub fn duration(text: &str) -> Result<Duration, String> {
    if text.bytes().all(|digit| digit.is_ascii_digit()) && !text.is_empty() {
        return Err(format!("`{text}` has no unit; write `{text}s` if it is meant in seconds"));
    }
    let fail = || format!("`{text}` is not a valid duration; use a value such as 30s, 5m or 1h");
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| fail())?;
    let duration = Duration::try_from(parsed).map_err(|_| fail())?;
    if duration.is_zero() { Err(fail()) } else { Ok(duration) }
}

/// Parses a template, and renders it once to prove that it works.
pub fn template(text: &str) -> Result<Template, String> {
    Template::parse(text).map_err(|error| error.to_string())
}

/// Parses a registry host as written in image names.
pub fn registry_host(text: &str) -> Result<String, String> {
    match format!("{text}/x").parse::<Repository>() {
        Ok(name) if name.host() == text => Ok(text.to_owned()),
        _ => Err(format!(
            "`{text}` is not a registry host; write it as in image names, such as ghcr.io or 127.0.0.1:5000"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("30"), Err("`30` has no unit; write `30s` if it is meant in seconds".to_owned()));
        for text in ["", "30", "s", "-5s", "0s", "soon"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
