//! The keys under which values of charts hold the parts of a reference: `repository` and `tag`, `image` and
//! `imageVersion`, `SIDECAR_IMAGE` and `SIDECAR_IMAGE_TAG`.

use crate::image::Repository;

/// The keys that can hold the other parts of a reference whose tag is under a certain key, in order of preference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiblingKeys {
    /// Keys of the name.
    names: Vec<String>,
    /// Keys of the name that many things other than images have, such as `name`.
    weak_names: Vec<String>,
    /// Keys of a registry or another prefix of the name.
    registries: Vec<String>,
    /// Keys of the digest.
    pub digests: Vec<String>,
    /// True if the key says `version`, which many things other than images have.
    is_version: bool,
    /// True if the key alone says that this is the tag of an image, whatever is next to it.
    pub is_sure: bool,
}

/// The way in which the words of a key are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joint {
    Camel,
    Snake,
    Kebab,
    Upper,
}

impl Joint {
    /// Joins a prefix, which may be empty, and a word in lower case.
    fn join(self, prefix: &str, word: &str) -> String {
        match self {
            Joint::Upper if prefix.is_empty() => word.to_ascii_uppercase(),
            _ if prefix.is_empty() => word.to_owned(),
            Joint::Camel => format!("{prefix}{}{}", word[..1].to_ascii_uppercase(), &word[1..]),
            Joint::Snake => format!("{prefix}_{word}"),
            Joint::Kebab => format!("{prefix}-{word}"),
            Joint::Upper => format!("{prefix}_{}", word.to_ascii_uppercase()),
        }
    }
}

/// Returns the last word of a key in lower case, what is before it, and how they are joined.
fn last_word(key: &str) -> Option<(&str, &'static str, Joint)> {
    for (word, capital, upper) in [("tag", "Tag", "TAG"), ("version", "Version", "VERSION")] {
        if let Some(prefix) = key.strip_suffix(word) {
            return match prefix.as_bytes() {
                [] => Some(("", word, Joint::Camel)),
                [.., b'_'] => Some((&prefix[..prefix.len() - 1], word, Joint::Snake)),
                [.., b'-'] => Some((&prefix[..prefix.len() - 1], word, Joint::Kebab)),
                _ => None,
            };
        }
        if let Some(prefix) = key.strip_suffix(capital).filter(|prefix| !prefix.is_empty()) {
            return Some((prefix, word, Joint::Camel));
        }
        if let Some(prefix) = key.strip_suffix(upper) {
            return match prefix.strip_suffix('_') {
                Some(prefix) => Some((prefix, word, Joint::Upper)),
                None => prefix.is_empty().then_some(("", word, Joint::Upper)),
            };
        }
    }
    None
}

/// Returns whether a key may hold a tag.
pub fn is_tag_key(key: &str) -> bool {
    if !key.ends_with(['g', 'n', 'G', 'N']) {
        return false;
    }
    last_word(key).is_some_and(|(prefix, word, _)| word == "tag" || prefix.is_empty() || names_image(prefix))
}

/// Returns whether the last word of a key is that of an image: `image`, `sidecarImage`, `main_image`.
pub fn names_image(key: &str) -> bool {
    key.len() >= 5 && key.is_char_boundary(key.len() - 5) && key[key.len() - 5..].eq_ignore_ascii_case("image")
}

/// Returns whether a pair can hold a part of an image's name. `in_image` says whether its mapping is the value of a key
/// such as `image`.
pub fn is_name_part(key: &str, value: &str, in_image: bool) -> bool {
    let ends = |word: &str| {
        let start = key.len().checked_sub(word.len());
        start.and_then(|start| key.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(word))
    };
    let is_key = names_image(key)
        || ["repository", "repo", "registry", "imageName", "image_name", "image-name"].into_iter().any(ends)
        || key == "name" && (in_image || has_host(value));
    is_key && !value.is_empty() && value.len() < 300 && !value.contains(char::is_whitespace) && !value.contains("://")
}

impl SiblingKeys {
    /// Returns the keys to look for next to a key that may hold a tag; `None` if it cannot.
    pub fn of(tag_key: &str) -> Option<SiblingKeys> {
        // The cheapest test comes first: it rules out nearly all keys.
        if !tag_key.ends_with(['g', 'n', 'G', 'N']) {
            return None;
        }
        let (prefix, word, joint) = last_word(tag_key)?;
        let is_version = word == "version";
        let with = |words: &[&str]| words.iter().map(|word| joint.join(prefix, word)).collect::<Vec<_>>();
        let join_empty = |words: &[&str]| words.iter().map(|word| joint.join("", word)).collect::<Vec<_>>();
        let of_image = names_image(prefix);
        let is_container = matches!(prefix.to_ascii_lowercase().as_str(), "docker" | "container");
        if prefix.is_empty() {
            let names = if is_version { with(&["image"]) } else { with(&["repository", "image", "repo"]) };
            let weak = if is_version { with(&["repository", "name"]) } else { with(&["name"]) };
            let names = [names, vec![joint_name(joint), image_word(joint, "repository")]].concat();
            let registries = [with(&["registry"]), vec![image_word(joint, "registry")]].concat();
            let digests = with(&["digest"]);
            return Some(SiblingKeys {
                names,
                weak_names: weak,
                registries,
                digests,
                is_version,
                is_sure: !is_version,
            });
        }
        if of_image || is_container {
            let mut names = with(&["repository", "repo", "name"]);
            names.push(if is_container { joint.join(prefix, "image") } else { prefix.to_owned() });
            let is_plain = prefix.eq_ignore_ascii_case("image") || is_container;
            if is_plain {
                names.extend(join_empty(&["repository", "image"]));
            }
            let registries = [with(&["registry"]), join_empty(&["registry"])].concat();
            let digests =
                if is_plain { [with(&["digest"]), join_empty(&["digest"])].concat() } else { with(&["digest"]) };
            let weak_names = Vec::new();
            return Some(SiblingKeys { names, weak_names, registries, digests, is_version, is_sure: true });
        }
        // `backendTag` belongs to `backendImage`, but `kafkaVersion` may be anything.
        if is_version {
            return None;
        }
        let names = with(&["image", "repository"]);
        let registries = [with(&["registry"]), join_empty(&["registry"])].concat();
        let digests = with(&["digest"]);
        Some(SiblingKeys { names, weak_names: Vec::new(), registries, digests, is_version, is_sure: false })
    }

    /// Puts the name of the image together from its siblings. `get` returns the scalar under a sibling key,
    /// `global` the one at a path from the root of the values, and `in_image` says whether the mapping is the value of a
    /// key such as `image`. Returns the key that holds the last part of the name as well.
    pub fn name<'v>(
        &self,
        get: impl Fn(&str) -> Option<&'v str>,
        global: impl Fn(&str) -> Option<&'v str>,
        in_image: bool,
    ) -> Option<(&str, String)> {
        let text = |key: &String| get(key).filter(|text| !text.is_empty());
        let named = self.names.iter().find_map(|key| Some((key, text(key)?)));
        let weak = || self.weak_names.iter().find_map(|key| Some((key, text(key)?)));
        let (key, name) =
            named.or_else(|| weak().filter(|(_, name)| in_image || !self.is_version && has_host(name)))?;
        // An image whose version is next to it must look like an image; many things have a version.
        if self.is_version && !in_image && !name.contains('/') && self.prefix(&get, &global, key, name).is_none() {
            return None;
        }
        let prefix = self.prefix(&get, &global, key, name);
        let whole = match prefix {
            Some(prefix) => format!("{prefix}/{name}"),
            None => name.to_owned(),
        };
        whole.parse::<Repository>().ok().filter(|_| !is_source_code(&whole))?;
        Some((key, whole))
    }

    /// Returns what comes before the name: the registry next to it, the repository of which it is one image, or a
    /// registry for all images.
    fn prefix<'v>(
        &self,
        get: &impl Fn(&str) -> Option<&'v str>,
        global: &impl Fn(&str) -> Option<&'v str>,
        key: &str,
        name: &str,
    ) -> Option<&'v str> {
        let own = self.registries.iter().find_map(|key| get(key)).filter(|registry| !registry.is_empty());
        let of_all = || global("global.imageRegistry").filter(|registry| !registry.is_empty());
        let clean = |registry: &'v str| registry.trim_end_matches('/');
        let is_there = |registry: &&str| name.strip_prefix(*registry).is_none_or(|rest| !rest.starts_with('/'));
        if let Some(own) = own {
            return Some(clean(of_all().unwrap_or(own))).filter(is_there);
        }
        if has_host(name) {
            return None;
        }
        let whole = |key: &str| get(key).filter(|folder| has_host(folder) && !folder.ends_with(name));
        let folder = (key.eq_ignore_ascii_case("image") && self.is_version && !name.contains('/'))
            .then(|| whole("repository"))
            .flatten();
        let shared = || GLOBALS.iter().find_map(|path| global(path)).filter(|registry| has_host_alone(registry));
        folder.or_else(of_all).or_else(shared).map(clean)
    }
}

/// The paths at which charts hold a registry for all of their images.
const GLOBALS: [&str; 9] = [
    "global.image.registry",
    "global.registry",
    "global.dockerRegistry",
    "global.docker.registry",
    "global.containerRegistry",
    "docker.registry",
    "imageRegistry",
    "dockerRegistry",
    "registry",
];

fn joint_name(joint: Joint) -> String {
    image_word(joint, "name")
}

/// Returns `imageName`, `image_name` or `IMAGE_NAME`.
fn image_word(joint: Joint, word: &str) -> String {
    joint.join(if joint == Joint::Upper { "IMAGE" } else { "image" }, word)
}

/// Returns whether a name starts with a host, as only names of images and URLs do.
pub fn has_host(name: &str) -> bool {
    name.split_once('/').is_some_and(|(first, _)| first.contains(['.', ':']) || first == "localhost")
}

/// Hosts of source code, which serve no images.
const CODE_HOSTS: [&str; 3] = ["github.com", "gitlab.com", "bitbucket.org"];

/// Returns whether a name is that of a repository of source code.
pub fn is_source_code(name: &str) -> bool {
    name.ends_with(".git") || has_host(name) && name.split('/').next().is_some_and(|host| CODE_HOSTS.contains(&host))
}

/// Returns whether a text can be the registry of images: a host, with a path or without.
fn has_host_alone(text: &str) -> bool {
    !text.contains("://") && text.split('/').next().is_some_and(|first| first.contains(['.', ':']))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn name(tag_key: &str, in_image: bool, siblings: &[(&str, &str)]) -> Option<String> {
        let siblings: BTreeMap<&str, &str> = siblings.iter().copied().collect();
        let get = |key: &str| siblings.get(key).copied();
        SiblingKeys::of(tag_key)?.name(get, get, in_image).map(|(_, name)| name)
    }

    #[test]
    fn names_are_found_under_the_keys_that_charts_use() {
        for (tag_key, in_image, siblings, wanted) in [
            ("tag", false, &[("repository", "acme/app")][..], "acme/app"),
            ("tag", false, &[("registry", "r.io"), ("repository", "acme/app")], "r.io/acme/app"),
            ("tag", false, &[("registry", "r.io"), ("image", "acme/app")], "r.io/acme/app"),
            ("tag", true, &[("name", "hub")], "hub"),
            ("tag", false, &[("name", "r.io/hub")], "r.io/hub"),
            ("version", false, &[("image", "acme/app")], "acme/app"),
            ("version", true, &[("name", "hub")], "hub"),
            ("version", false, &[("image", "driver"), ("repository", "r.io/acme")], "r.io/acme/driver"),
            ("version", false, &[("image", "app"), ("docker.registry", "r.io/acme")], "r.io/acme/app"),
            ("imageTag", false, &[("image", "acme/app")], "acme/app"),
            ("imageTag", false, &[("imageRegistry", "r.io"), ("imageName", "app")], "r.io/app"),
            ("image_version", false, &[("image", "acme/app")], "acme/app"),
            ("sidecarImageTag", false, &[("sidecarImageRepository", "acme/app")], "acme/app"),
            ("sidecar_image_tag", false, &[("sidecar_image", "acme/app")], "acme/app"),
            ("IMAGE_TAG", false, &[("IMAGE_NAME", "acme/app")], "acme/app"),
            ("dockerTag", false, &[("dockerImage", "acme/app")], "acme/app"),
            ("backendTag", false, &[("backendImage", "acme/app")], "acme/app"),
            ("tag", false, &[("repository", "app"), ("global.imageRegistry", "r.io")], "r.io/app"),
            (
                "tag",
                false,
                &[("registry", "docker.io"), ("repository", "app"), ("global.imageRegistry", "r.io")],
                "r.io/app",
            ),
            ("tag", false, &[("repository", "q.io/app"), ("global.imageRegistry", "r.io")], "q.io/app"),
        ] {
            assert_eq!(name(tag_key, in_image, siblings).as_deref(), Some(wanted), "{tag_key} {siblings:?}");
        }
    }

    #[test]
    fn what_only_looks_alike_has_no_name() {
        for (tag_key, in_image, siblings) in [
            ("tag", false, &[("name", "release")][..]),
            ("version", false, &[("name", "redis"), ("repository", "https://charts.example.com")]),
            ("version", false, &[("name", "acme/app"), ("repository", "acme/app")]),
            ("version", false, &[("image", "debian")]),
            ("version", false, &[("repository", "r.io/acme/app")]),
            ("apiVersion", false, &[("image", "acme/app")]),
            ("kafkaVersion", false, &[("kafkaImage", "acme/kafka")]),
            ("stage", false, &[("image", "acme/app")]),
            ("tag", true, &[("name", "Not An Image")]),
        ] {
            assert_eq!(name(tag_key, in_image, siblings), None, "{tag_key} {siblings:?}");
        }
    }
}
