//! `tagalong.yaml`, as the agent's own file and as the repository's: what is wrong is said with its place, and the
//! repository's file directs nothing to a host that is not allowed.

use tagalong::config::diagnostics::Diagnostics;
use tagalong::config::repository_file::TreeConfigReader;
use tagalong::config::{agent_file, document};
use tagalong::cycle::engine::Hosts;

const FILE: &str = "tagalong.yaml";
const ALLOWED: &str = "ghcr.io";

pub fn run(bytes: &[u8]) {
    match document::parse(bytes, FILE) {
        Ok(root) => {
            let diagnostics = Diagnostics::of(FILE);
            agent_file::read(root, &|name| (name == "HOME").then(|| "/home/me".to_owned()), &diagnostics);
            for error in diagnostics.into_result().err().into_iter().flatten() {
                assert!(error.text.starts_with("tagalong.yaml:"), "{error}");
            }
        }
        Err(error) => assert!(error.text.starts_with(FILE) && error.text.lines().count() == 1, "{error}"),
    }
    let reader = TreeConfigReader { allowed_hosts: [ALLOWED.to_owned()].into(), ..TreeConfigReader::default() };
    if let Ok(read) = reader.read(Some(bytes), Hosts::Allowed) {
        for pattern in read.policies.rules.iter().flat_map(|rule| &rule.images) {
            assert_eq!(pattern.host(), Some(ALLOWED));
        }
    }
}
