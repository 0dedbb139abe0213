//! Version ranges as Flux and Helm users write them (Masterminds/semver): `^1.4`, `~1.2`, `>=1.0 <2.0`, `1.x`,
//! `1.2 - 2.3`, `||`; comparators of one alternative are joined by commas or spaces.
//!
//! A prerelease matches only an alternative that names a prerelease itself (`>=1.0.0-0`).

use semver::{BuildMetadata, Prerelease, Version};

/// A text that is not a valid range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a valid version range: cannot parse `{part}`; write for example ^1.4, ~1.2.0 or >=1.0.0 <2.0.0"
)]
pub struct RangeError {
    text: String,
    part: String,
}

/// A range of versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    text: String,
    alternatives: Vec<Alternative>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Alternative {
    /// The bounds, all of which must hold.
    bounds: Vec<Bound>,
    prereleases: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Bound {
    AtLeast(Version),
    Below(Version),
    Outside(Version, Version),
}

/// A version with parts missing or wild: `1`, `1.2`, `1.x`.
struct Partial {
    parts: [Option<u64>; 3],
    pre: Prerelease,
}

impl Range {
    /// Parses a range.
    pub fn parse(text: &str) -> Result<Range, RangeError> {
        let fail = |part: &str| RangeError { text: text.to_owned(), part: part.to_owned() };
        let mut alternatives = Vec::new();
        for alternative in text.split("||") {
            alternatives.push(Alternative::parse(alternative.trim()).map_err(|part| fail(&part))?);
        }
        Ok(Range { text: text.to_owned(), alternatives })
    }

    /// Returns the range as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether a version is in the range.
    pub fn matches(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|alternative| alternative.matches(version))
    }
}

impl Alternative {
    fn parse(text: &str) -> Result<Alternative, String> {
        let mut alternative = Alternative::default();
        if let Some((low, high)) = text.split_once(" - ") {
            alternative.add(">=", low.trim())?;
            alternative.add("<=", high.trim())?;
            return Ok(alternative);
        }
        let mut rest = text;
        if rest.is_empty() {
            return Err(String::new());
        }
        while !rest.is_empty() {
            let operator_end = rest.find(|c: char| !"<>=!^~".contains(c)).unwrap_or(rest.len());
            let (operator, tail) = rest.split_at(operator_end);
            let tail = tail.trim_start();
            let end = tail.find([' ', ',']).unwrap_or(tail.len());
            alternative.add(operator, &tail[..end])?;
            rest = tail[end..].trim_start_matches([' ', ',']);
        }
        Ok(alternative)
    }

    fn add(&mut self, operator: &str, version: &str) -> Result<(), String> {
        let partial = Partial::parse(version).ok_or_else(|| format!("{operator}{version}"))?;
        self.prereleases |= !partial.pre.is_empty();
        let (low, wild_end) = (partial.low(), partial.wild_end());
        let is_exact = wild_end.is_none();
        // The first version after everything that the partial version covers.
        let behind = wild_end.clone().unwrap_or_else(|| successor(&low));
        let bounds = match operator {
            "" | "=" | "==" => vec![Bound::AtLeast(low), Bound::Below(behind)],
            "!=" => vec![Bound::Outside(low, behind)],
            ">" => vec![Bound::AtLeast(behind)],
            ">=" | "=>" => vec![Bound::AtLeast(low)],
            "<" => vec![Bound::Below(low)],
            "<=" | "=<" => vec![Bound::Below(behind)],
            "~" | "~>" => {
                let end = match (partial.parts[0], partial.parts[1]) {
                    (Some(major), Some(minor)) => Some(release(major, minor + 1, 0)),
                    (Some(major), None) => Some(release(major + 1, 0, 0)),
                    (None, _) => None,
                };
                [Some(Bound::AtLeast(low)), end.map(Bound::Below)].into_iter().flatten().collect()
            }
            "^" => {
                let end = match partial.parts {
                    [None, ..] => None,
                    [Some(0), Some(0), Some(patch)] => Some(release(0, 0, patch + 1)),
                    [Some(0), Some(minor), _] => Some(release(0, minor + 1, 0)),
                    [Some(major), ..] => Some(release(major + 1, 0, 0)),
                };
                [Some(Bound::AtLeast(low)), end.map(Bound::Below)].into_iter().flatten().collect()
            }
            _ => return Err(format!("{operator}{version}")),
        };
        // `*` and `>=*` match every version and have no end.
        let any = partial.parts[0].is_none() && !is_exact;
        self.bounds.extend(bounds.into_iter().filter(|_| !any));
        Ok(())
    }

    fn matches(&self, version: &Version) -> bool {
        if !version.pre.is_empty() && !self.prereleases {
            return false;
        }
        self.bounds.iter().all(|bound| match bound {
            Bound::AtLeast(low) => version.cmp_precedence(low).is_ge(),
            // A prerelease of the end (2.0.0-rc.1 for <2.0.0) belongs to the end.
            Bound::Below(end) if end.pre.is_empty() => {
                let base = release(version.major, version.minor, version.patch);
                base.cmp_precedence(end).is_lt()
            }
            Bound::Below(end) => version.cmp_precedence(end).is_lt(),
            Bound::Outside(low, end) => version.cmp_precedence(low).is_lt() || version.cmp_precedence(end).is_ge(),
        })
    }
}

impl Partial {
    fn parse(text: &str) -> Option<Partial> {
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let text = text.split('+').next().unwrap_or_default();
        let (core, pre) = text.split_once('-').map_or((text, ""), |(core, pre)| (core, pre));
        let mut parts = [None; 3];
        let mut wild = false;
        for (index, part) in core.split('.').enumerate() {
            if matches!(part, "x" | "X" | "*") {
                wild = true;
                continue;
            }
            let number_form = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            if wild || !number_form {
                return None;
            }
            *parts.get_mut(index)? = Some(part.parse().ok()?);
        }
        let pre = Prerelease::new(pre).ok()?;
        (pre.is_empty() || parts[2].is_some()).then_some(Partial { parts, pre })
    }

    fn low(&self) -> Version {
        let [major, minor, patch] = self.parts.map(Option::unwrap_or_default);
        Version { pre: self.pre.clone(), ..release(major, minor, patch) }
    }

    /// Returns the first version after a partial one; `None` for a complete version.
    fn wild_end(&self) -> Option<Version> {
        match self.parts {
            [Some(_), Some(_), Some(_)] => None,
            [Some(major), Some(minor), None] => Some(release(major, minor + 1, 0)),
            [Some(major), None, _] => Some(release(major + 1, 0, 0)),
            [None, ..] => Some(release(u64::MAX, 0, 0)),
        }
    }
}

fn release(major: u64, minor: u64, patch: u64) -> Version {
    Version { major, minor, patch, pre: Prerelease::EMPTY, build: BuildMetadata::EMPTY }
}

/// Returns the smallest version above another: the next patch release for a release, the prerelease with `.0` appended
/// for a prerelease.
fn successor(version: &Version) -> Version {
    if version.pre.is_empty() {
        return release(version.major, version.minor, version.patch + 1);
    }
    let pre = Prerelease::new(&format!("{}.0", version.pre)).unwrap_or(Prerelease::EMPTY);
    Version { pre, ..version.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(range: &str, inside: &[&str], outside: &[&str]) {
        let parsed = Range::parse(range).expect(range);
        let matches = |text: &&&str| parsed.matches(&Version::parse(text).expect(text));
        assert_eq!(inside.iter().filter(|v| !matches(v)).count(), 0, "{range}: {inside:?}");
        assert_eq!(outside.iter().filter(matches).count(), 0, "{range}: {outside:?}");
    }

    #[test]
    fn ranges_contain_what_users_expect() {
        check("^1.4", &["1.4.0", "1.9.9"], &["1.3.9", "2.0.0", "1.5.0-rc.1", "2.0.0-rc.1"]);
        check("^0.2.3", &["0.2.3", "0.2.9"], &["0.2.2", "0.3.0"]);
        check("^0.0.3", &["0.0.3"], &["0.0.4"]);
        check("^0", &["0.0.1", "0.9.0"], &["1.0.0"]);
        check("~1.2.3", &["1.2.3", "1.2.9"], &["1.3.0"]);
        check("~1", &["1.0.0", "1.9.0"], &["2.0.0"]);
        check(">=1.0 <2.0", &["1.0.0", "1.9.9"], &["2.0.0", "0.9.9"]);
        check(">= 1.0, < 2.0", &["1.0.0", "1.9.9"], &["2.0.0"]);
        check("1.x || 3.*", &["1.2.3", "3.4.5"], &["2.0.0", "4.0.0"]);
        check("1.2 - 2.3", &["1.2.0", "2.3.9"], &["2.4.0", "1.1.9"]);
        check(">1.2", &["1.3.0"], &["1.2.9"]);
        check(">1.2.3", &["1.2.4"], &["1.2.3"]);
        check("<=1.2", &["1.2.9"], &["1.3.0"]);
        check("!=1.2.3", &["1.2.4"], &["1.2.3"]);
        check("*", &["0.0.1", "99.0.0"], &["1.0.0-rc.1"]);
        check(">=1.0.0-0", &["1.0.0-rc.1", "1.0.0", "2.0.0-beta"], &["0.9.0"]);
        check("=1.2.3", &["1.2.3", "1.2.3+build"], &["1.2.4"]);
        check("v1.2", &["1.2.7"], &["1.3.0"]);
    }

    #[test]
    fn invalid_ranges_are_refused_with_the_part() {
        for text in ["", "foo", "^", ">>1", "1.2.3.4", "1.x.2", "^1 ||", "1.2-rc"] {
            assert!(Range::parse(text).is_err(), "{text}");
        }
        let error = Range::parse("^1.4 <two").expect_err("no range").to_string();
        assert!(error.contains("`<two`"), "{error}");
    }
}
