//! What a file of values may need from other files, or give to them, judged by its lines: much faster than parsing it.
//! In doubt, more is assumed.

use super::keys::{has_host, is_name_part, is_tag_key};

/// The relation of a file of values to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::manifest) enum Outline {
    /// All names are complete, and all tags have one.
    Complete,
    /// Some names have no host, so that another file may give them a registry.
    WithoutHost,
    /// Some tags have no name.
    WithoutName,
}

/// The siblings that were seen so far.
#[derive(Debug, Default, Clone, Copy)]
struct Frame {
    indent: usize,
    tags: u32,
    names: u32,
    without_host: bool,
    has_registry: bool,
}

impl Frame {
    fn outline(self) -> Outline {
        if self.tags > self.names {
            Outline::WithoutName
        } else if self.without_host && !self.has_registry {
            Outline::WithoutHost
        } else {
            Outline::Complete
        }
    }
}

/// The last letters of keys that hold parts of references.
const PARTS: [&str; 10] =
    ["ag:", "AG:", "ag\":", "ersion:", "ERSION:", "ersion\":", "epository:", "epo:", "egistry:", "<<:"];

/// Reads the outline of a file.
pub(in crate::manifest) fn outline(bytes: &[u8]) -> Outline {
    let Ok(text) = std::str::from_utf8(bytes) else { return Outline::Complete };
    let mut frames: Vec<Frame> = Vec::new();
    let mut worst = Outline::Complete;
    for line in text.lines() {
        let mut content = line.trim_start_matches(' ');
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let mut indent = line.len() - content.len();
        while let Some(rest) = content.strip_prefix('-').filter(|rest| rest.is_empty() || rest.starts_with(' ')) {
            close(&mut frames, indent, &mut worst);
            content = rest.trim_start_matches(' ');
            indent = line.len() - content.len();
        }
        let Some((key, value)) = content.split_once(':') else { continue };
        let value = value.trim_start();
        close(&mut frames, indent + 1, &mut worst);
        let is_flow = value.starts_with('{') || content.starts_with('{');
        if key == "<<" || is_flow && PARTS.iter().any(|part| content.contains(part)) {
            worst = Outline::WithoutName;
        }
        if worst == Outline::WithoutName {
            return worst;
        }
        if frames.last().is_none_or(|frame| frame.indent < indent) {
            frames.push(Frame { indent, ..Frame::default() });
        }
        if let Some(frame) = frames.last_mut() {
            note(frame, key.trim_matches(['"', '\'', ' ']), word(value));
        }
    }
    close(&mut frames, 0, &mut worst);
    worst
}

/// Closes the frames from a column on.
fn close(frames: &mut Vec<Frame>, from: usize, worst: &mut Outline) {
    while let Some(frame) = frames.pop_if(|frame| frame.indent >= from) {
        *worst = frame.outline().max(*worst);
    }
}

fn note(frame: &mut Frame, key: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    if is_tag_key(key) {
        frame.tags += 1;
    } else if key.len() >= 8 && key[key.len().saturating_sub(7)..].eq_ignore_ascii_case("egistry") {
        frame.has_registry = true;
    } else if is_name_part(key, value, false) {
        frame.names += 1;
        frame.without_host |= !has_host(value);
    }
}

/// Returns a value without quotes and comment.
fn word(value: &str) -> &str {
    let value = value.split(" #").next().unwrap_or_default().trim_end();
    if value.starts_with('#') { "" } else { value.trim_matches(['"', '\'']) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_depend_on_others_are_recognized() {
        for text in [
            "image:\n  tag: v1\n",
            "a: x\nimage:\n  pullPolicy: x\n  tag: 'v1' # x\nb: y\n",
            "image: {tag: v1}\n",
            "image:\n  <<: *x\n",
            "list:\n- tag: v1\n- repository: ghcr.io/a/b\n  tag: v1\n",
            "image:\n  repository: ghcr.io/a/b\n  tag: v1\nimageTag: v1\n",
            "main:\n  version: v2\n",
        ] {
            assert_eq!(outline(text.as_bytes()), Outline::WithoutName, "{text}");
        }
        for text in ["image:\n  repository: acme/app\n  tag: v1\n", "image:\n  repository: 'app'\n"] {
            assert_eq!(outline(text.as_bytes()), Outline::WithoutHost, "{text}");
        }
        for text in [
            "image:\n  repository: ghcr.io/acme/app # the app\n  tag: v1\n",
            "image:\n  registry: ghcr.io\n  repository: acme/app\n  tag: v1\n",
            "list:\n  - repository: ghcr.io/a/b\n    tag: v1\n  - repository: ghcr.io/a/c\n    tag: v1\n",
            "# tag: v1\nimage:\n  tag: \"\"\nstage: v1\nnodes: {}\nlimits: {cpu: 1, memory: 1Gi}\n",
            "",
        ] {
            assert_eq!(outline(text.as_bytes()), Outline::Complete, "{text}");
        }
    }
}
