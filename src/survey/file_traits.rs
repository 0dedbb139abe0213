//! What a file says about the repository, apart from its image fields.

use memchr::memmem::find;

use super::flux::object::FluxObject;
use super::name_template::NameTemplate;

/// The information that a file has about the repository.
#[derive(Debug, Clone, Default)]
pub struct FileTraits {
    /// Names of images that it puts together.
    pub name_templates: Vec<NameTemplate>,
    /// Objects of Flux's image automation.
    pub flux_objects: Vec<FluxObject>,
    /// True if it has other objects of Flux.
    pub is_flux: bool,
    /// True if it has objects of Argo CD.
    pub is_argo_cd: bool,
    /// True if it is encrypted with SOPS.
    pub is_encrypted: bool,
}

impl FileTraits {
    /// Reads a file. Its bytes are searched first, and only what is needed is parsed.
    pub fn of(path: &str, bytes: &[u8]) -> FileTraits {
        let has = |word: &str| find(bytes, word.as_bytes()).is_some();
        let has_objects = has("image.toolkit.fluxcd.io/") || has("kind: GitRepository");
        FileTraits {
            name_templates: if has("/{{") { NameTemplate::find(path, bytes) } else { Vec::new() },
            flux_objects: if has_objects { FluxObject::read(bytes).unwrap_or_default() } else { Vec::new() },
            is_flux: has("toolkit.fluxcd.io/"),
            is_argo_cd: has("argoproj.io/v1alpha1") && (has("kind: Application") || has("kind: AppProject")),
            is_encrypted: has("ENC[AES256_GCM,") && has("lastmodified"),
        }
    }
}
