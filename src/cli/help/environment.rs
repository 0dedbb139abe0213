//! The environment variables that are read.

use crate::identity::environment::{AWS, AZURE, GOOGLE};

/// Environment variables with the same meaning.
pub struct Variable {
    /// Their names.
    pub names: &'static [&'static str],
    /// What they are for.
    pub meaning: &'static str,
}

/// All variables that are read, by this program or by the libraries in it. `PLUGIN_*` are explained by `tagalong plugin`.
pub const VARIABLES: [Variable; 21] = [
    Variable { names: &["TAGALONG_CONFIG"], meaning: "configuration file; flag: --config" },
    Variable {
        names: &["TAGALONG_LOG"],
        meaning: "what to log: warn (the default; info for `run`), debug, tagalong=trace; flag: --log-level",
    },
    Variable { names: &["TAGALONG_ACTOR"], meaning: "person or system that commits name; flag: --actor" },
    Variable {
        names: &["GITHUB_ACTOR", "GITLAB_USER_LOGIN", "CI_PIPELINE_AUTHOR", "CI_COMMIT_AUTHOR", "USER"],
        meaning: "the same where TAGALONG_ACTOR is not set: the first of these that is",
    },
    Variable {
        names: &["HOME"],
        meaning: "base of the folders below where the XDG variables are not set, of .ssh/known_hosts and .docker",
    },
    Variable {
        names: &["XDG_CACHE_HOME"],
        meaning: "clones and caches are kept in `tagalong` below it; default: ~/.cache; flag: --cache-dir",
    },
    Variable { names: &["XDG_CONFIG_HOME"], meaning: "sops/age/keys.txt is read below it; default: ~/.config" },
    Variable {
        names: &["REGISTRY_AUTH_FILE", "DOCKER_CONFIG"],
        meaning: "Docker config file for registries, and the folder of Docker's own config.json; flag: --registry-auth-file",
    },
    Variable { names: &AWS, meaning: "identity at AWS, for its registries" },
    Variable { names: &AZURE, meaning: "identity at Azure, for its registries and Azure DevOps" },
    Variable { names: &GOOGLE, meaning: "identity at Google Cloud, for its registries" },
    Variable {
        names: &["SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE", "SOPS_AGE_SSH_PRIVATE_KEY_FILE"],
        meaning: "age identities: in the variable itself, in a file, and an SSH private key; flag: --age-key-file",
    },
    Variable { names: &["SSH_AUTH_SOCK"], meaning: "SSH agent, for repositories without a key file" },
    Variable { names: &["KUBECONFIG"], meaning: "the Kubernetes cluster to use outside of a cluster" },
    Variable { names: &["KUBERNETES_SERVICE_HOST"], meaning: "set in pods: the cluster is the one that it runs in" },
    Variable { names: &["POD_NAME"], meaning: "name of the replica in an election; default: the host name" },
    Variable {
        names: &["SSL_CERT_FILE", "SSL_CERT_DIR"],
        meaning: "certificate authorities to use instead of the system's, for git servers and registries",
    },
    Variable {
        names: &["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"],
        meaning: "proxies, and hosts without one",
    },
    Variable {
        names: &["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM"],
        meaning: "whether output has colors; flag: --color",
    },
    Variable {
        names: &[
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "OTEL_TRACES_EXPORTER",
            "OTEL_SDK_DISABLED",
        ],
        meaning: "a collector for traces, and whether to send any; other variables of OpenTelemetry apply as well",
    },
    Variable {
        names: &[
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
            "OTEL_SERVICE_NAME",
            "OTEL_RESOURCE_ATTRIBUTES",
        ],
        meaning: "the protocol of that collector, which must be http/protobuf, and the names in traces",
    },
];
