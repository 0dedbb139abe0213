//! The pages of well-known registries about an image.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::image::Repository;

/// Returns the address of the page about an image, if the registry is known to have one.
pub fn registry_page(image: &Repository, git_host: Option<&str>) -> Option<String> {
    let (host, path) = (image.host(), image.path());
    if image.is_chart() && !image.as_str().starts_with("oci://") {
        return None;
    }
    match host {
        "docker.io" => Some(match path.strip_prefix("library/") {
            Some(official) => format!("https://hub.docker.com/_/{official}"),
            None => format!("https://hub.docker.com/r/{path}"),
        }),
        // It leads to the page of the package, whatever the name of its repository.
        "ghcr.io" => Some(format!("https://ghcr.io/{path}")),
        "quay.io" => Some(format!("https://quay.io/repository/{path}")),
        "registry.gitlab.com" => {
            let project: Vec<&str> = path.split('/').take(2).collect();
            Some(format!("https://gitlab.com/{}/container_registry", project.join("/")))
        }
        "codeberg.org" => forgejo(host, path),
        host if ["gitea.", "forgejo."].iter().any(|start| host.starts_with(start)) => forgejo(host, path),
        // A registry beside the repository is that of the forge.
        host if Some(host) == git_host && !host.contains("github") && !host.contains("gitlab") => forgejo(host, path),
        _ => None,
    }
}

/// The page of a package in Gitea and Forgejo.
fn forgejo(host: &str, path: &str) -> Option<String> {
    let (owner, package) = path.split_once('/')?;
    Some(format!("https://{host}/{owner}/-/packages/container/{}", utf8_percent_encode(package, NON_ALPHANUMERIC)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_registries_have_pages() {
        let page = |image: &str| registry_page(&image.parse().expect("an image"), Some("git.example.com"));
        assert_eq!(page("nginx").as_deref(), Some("https://hub.docker.com/_/nginx"));
        assert_eq!(page("org/app").as_deref(), Some("https://hub.docker.com/r/org/app"));
        assert_eq!(page("ghcr.io/org/app").as_deref(), Some("https://ghcr.io/org/app"));
        let gitea = Some("https://gitea.d-ma.be/mathias/-/packages/container/a%2Fb");
        assert_eq!(page("gitea.d-ma.be/mathias/a/b").as_deref(), gitea);
        let own = Some("https://git.example.com/org/-/packages/container/app");
        assert_eq!(page("git.example.com/org/app").as_deref(), own);
        assert_eq!(page("127.0.0.1:5000/org/app"), None);
    }
}
