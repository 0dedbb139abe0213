//! The paths in which Azure DevOps and Bitbucket Data Center put repositories.

use percent_encoding::percent_decode_str;
use url::Url;

use crate::http::encode_path_segment;

/// The folder of repositories in the paths of Azure DevOps, for https and for ssh.
const AZURE: [&str; 2] = ["_git", "_ssh"];
/// The folder of repositories in the paths of Bitbucket Data Center for https.
const DATA_CENTER: &str = "scm";

/// Where a repository is on its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The path of the collection, which is an organization in the cloud, with a slash before each part.
    pub collection: String,
    /// The project and the name of the repository.
    pub repository: String,
}

/// Returns the place of a repository on Azure DevOps: `COLLECTION/PROJECT/_git/NAME`. A project's own repository may have no
/// project in its path.
pub fn azure_devops(page: &Url) -> Option<Place> {
    let parts = parts(page);
    let [before @ .., folder, name] = parts.as_slice() else { return None };
    let is_organization = page.host_str().is_some_and(|host| host.ends_with(".visualstudio.com"));
    let (collection, project) = match before {
        [collection @ .., project] if is_organization || !collection.is_empty() => (collection, project),
        collection => (collection, name),
    };
    let is_known = AZURE.contains(&folder.as_str()) && (is_organization || !collection.is_empty());
    is_known.then(|| Place { collection: joined(collection), repository: format!("{project}/{name}") })
}

/// Returns the path that all pages of a Bitbucket Data Center have in common, with a slash before each part. Repositories
/// are at `scm/PROJECT/NAME` below it for https, and at `PROJECT/NAME` for ssh.
pub fn data_center(page: &Url) -> Option<String> {
    match parts(page).as_slice() {
        [context @ .., folder, _, _] if folder == DATA_CENTER => Some(joined(context)),
        [_, _] => Some(String::new()),
        _ => None,
    }
}

fn parts(page: &Url) -> Vec<String> {
    let parts = page.path().split('/').filter(|part| !part.is_empty());
    parts.map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned()).collect()
}

fn joined(parts: &[String]) -> String {
    parts.iter().map(|part| format!("/{}", encode_path_segment(part))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_may_be_left_out_of_paths_of_azure_devops() {
        let found = |text: &str| azure_devops(&Url::parse(text).expect("a URL"));
        let place = |collection: &str, repository: &str| {
            Some(Place { collection: collection.to_owned(), repository: repository.to_owned() })
        };
        assert_eq!(found("https://dev.azure.com/acme/_git/infra"), place("/acme", "infra/infra"));
        assert_eq!(found("https://acme.visualstudio.com/_git/infra"), place("", "infra/infra"));
        assert_eq!(
            found("https://acme.visualstudio.com/DefaultCollection/shop/_git/infra"),
            place("/DefaultCollection", "shop/infra")
        );
        for other in ["https://dev.azure.com/_git/infra", "https://dev.azure.com/acme/shop/infra", "https://x/"] {
            assert_eq!(found(other), None, "{other}");
        }
    }
}
