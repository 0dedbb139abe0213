//! An ImagePolicy as a policy.

use crate::policy::range::Range;
use crate::policy::tags::Filter;
use crate::survey::proposed_policy::{ProposedPolicy, ProposedTags};

use super::object::FluxObject;

/// Returns the policy for an ImagePolicy and its ImageRepository, or the reason why there is none.
pub fn policy(policy: &FluxObject, repository: &FluxObject, marked_only: bool) -> Result<ProposedPolicy, String> {
    let image = repository.get("image").ok_or("its ImageRepository names no image")?;
    if policy.is_set("suspend") || repository.is_set("suspend") {
        return Err("it is suspended".to_owned());
    }
    let digest = match policy.get("digestReflectionPolicy") {
        Some("IfNotPresent") => Some("pin"),
        Some("Always") => Some("track"),
        _ => None,
    };
    Ok(ProposedPolicy {
        because: vec![format!("from {} and {}", policy.title(), repository.title())],
        images: vec![image.to_owned()],
        tags: tags(policy)?,
        ignore: repository
            .list("exclusionList")
            .filter(|pattern| *pattern != DEFAULT_EXCLUSION)
            .filter_map(glob)
            .collect(),
        allow: Vec::new(),
        marked_only,
        digest,
    })
}

/// What Flux excludes by default: signatures, which fit no rule here.
const DEFAULT_EXCLUSION: &str = r"^.*\.sig$";

fn tags(policy: &FluxObject) -> Result<ProposedTags, String> {
    let (pattern, extract) = (policy.get("filterTags.pattern"), policy.get("filterTags.extract"));
    // Flux takes an empty `extract` for the whole tag.
    let extract = extract.filter(|extract| !extract.is_empty());
    Filter::new(pattern, extract).map_err(|error| format!("its filterTags cannot be used here: {error}"))?;
    let (rule, value) = match (policy.get("policy.semver.range"), order(policy)) {
        (Some(range), _) => {
            Range::parse(range).map_err(|error| format!("its range cannot be used here: {error}"))?;
            ("semver", Some(("range", range.to_owned())))
        }
        (None, Some((rule, order))) => (rule, (order == "desc").then(|| ("order", "desc".to_owned()))),
        (None, None) => return Err("it has no `policy` that is known here".to_owned()),
    };
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Ok(ProposedTags::Compared { rule, value, pattern: owned(pattern), extract: owned(extract) })
}

/// Returns the rule of a policy that orders tags by number or by text, and its order. `{}` means the default.
fn order(policy: &FluxObject) -> Option<(&'static str, &str)> {
    ["numerical", "alphabetical"].into_iter().find_map(|rule| {
        let key = format!("policy.{rule}");
        let order = policy.get(&format!("{key}.order")).or_else(|| policy.get(&key).map(|_| "asc"))?;
        Some((rule, order))
    })
}

/// Writes a regular expression as a glob, if it is simple enough.
pub fn glob(pattern: &str) -> Option<String> {
    let (head, body) = match pattern.strip_prefix('^') {
        Some(body) => ("", body),
        None => ("*", pattern),
    };
    let (body, tail) = match body.strip_suffix('$') {
        Some(body) => (body, ""),
        None => (body, "*"),
    };
    let mut glob = head.to_owned();
    let mut rest = body;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix(".*") {
            if !glob.ends_with('*') {
                glob.push('*');
            }
            rest = after;
        } else if let Some(after) = rest.strip_prefix("\\.").or_else(|| rest.strip_prefix("\\-")) {
            glob.push_str(&rest[1..2]);
            rest = after;
        } else if first.is_ascii_alphanumeric() || matches!(first, '-' | '_') {
            glob.push(first);
            rest = &rest[1..];
        } else {
            return None;
        }
    }
    if !(tail.is_empty() || glob.ends_with('*')) {
        glob.push('*');
    }
    Some(glob)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simple_expressions_become_globs() {
        for (pattern, expected) in [
            (r"^.*\.sig$", Some("*.sig")),
            ("^main-.*", Some("main-*")),
            ("rc", Some("*rc*")),
            ("-arm64$", Some("*-arm64")),
            ("^v[0-9]+$", None),
            ("^(a|b)$", None),
        ] {
            assert_eq!(glob(pattern).as_deref(), expected, "{pattern}");
        }
    }
}
