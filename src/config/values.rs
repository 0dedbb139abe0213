//! Parsers of values that several sections share.

use std::time::Duration;

use crate::image::Repository;
use crate::plan::template::Template;

/// Reads `30s`, `5m`, `1h`, `1h30m`, `250ms`; zero is no duration here.
pub fn duration(text: &str) -> Result<Duration, String> {
    let fail = || format!("`{text}` is no duration; write for example 30s, 5m or 1h");
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| fail())?;
    let duration = Duration::try_from(parsed).map_err(|_| fail())?;
    if duration.is_zero() { Err(fail()) } else { Ok(duration) }
}

/// Reads a template, and tries it.
pub fn template(text: &str) -> Result<Template, String> {
    Template::parse(text).map_err(|error| error.to_string())
}

/// A registry host as image names write it.
pub fn registry_host(text: &str) -> Result<String, String> {
    match format!("{text}/x").parse::<Repository>() {
        Ok(name) if name.host() == text => Ok(text.to_owned()),
        _ => {
            Err(format!("`{text}` is no registry host; write it as image names do, such as ghcr.io or 127.0.0.1:5000"))
        }
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
        for text in ["", "30", "s", "-5s", "0s", "soon"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
