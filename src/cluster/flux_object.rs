//! An object of Flux, as far as it matters here.

use kube::core::Object;

use super::config::ObjectRef;

/// An object with the parts of its `spec` and `status` that matter.
#[derive(Debug, Clone)]
pub struct FluxObject<S, T> {
    /// Its namespace and name.
    pub name: ObjectRef,
    /// The generation of its `spec`.
    pub(super) generation: Option<i64>,
    pub(super) spec: S,
    pub(super) status: T,
}

impl<S: Clone, T: Clone + Default> FluxObject<S, T> {
    /// The object of a namespace that the API returned.
    pub fn of(namespace: &str, resource: Object<S, T>) -> FluxObject<S, T> {
        let name = resource.metadata.name.unwrap_or_default();
        FluxObject {
            name: ObjectRef { namespace: namespace.to_owned(), name },
            generation: resource.metadata.generation,
            spec: resource.spec,
            status: resource.status.unwrap_or_default(),
        }
    }
}
