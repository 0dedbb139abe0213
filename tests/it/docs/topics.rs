//! Help topics and the tables in the documentation name every exit code, and every environment variable that is read.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};
use tagalong::cli::help::environment::VARIABLES;
use tagalong::cli::help::topics::TOPICS;
use tagalong::fault::Fault;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("text")
}

fn topic(name: &str) -> String {
    (TOPICS.iter().find(|topic| topic.name == name).expect("a topic").text)()
}

#[test]
fn every_exit_code_is_explained_in_the_same_words() {
    let (readme, topic) = (read("README.md"), topic("exit-codes"));
    for (code, meaning) in Fault::EXIT_CODES {
        assert!(readme.contains(&format!("| {code} | {meaning} |")), "README.md: {code}");
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words(&topic).contains(&format!("{code} {meaning}")), "{topic}");
    }
    for fault in Fault::ALL {
        assert!(Fault::EXIT_CODES.iter().any(|(code, _)| *code == fault.exit_code()), "{fault}");
    }
    assert!(readme.contains("the smallest from 2 on wins"), "README.md does not say which code wins");
}

/// Names in the sources that look like environment variables and are none.
const OTHERS: [&str; 12] = [
    "BLOB_UNKNOWN",
    "CARGO_PKG_VERSION",
    "CHANGES_REQUESTED",
    "IMAGE_NAME",
    "IMAGE_TAG",
    "MANIFEST_UNKNOWN",
    "NAME_UNKNOWN",
    "NEEDS_WORK",
    "PULL_ARTIFACT",
    "PUSH_ARTIFACT",
    "REQUEST_CHANGES",
    "SIDECAR_IMAGE",
];

/// Collects the texts in a file, without its tests.
#[derive(Default)]
struct Texts(BTreeSet<String>);

impl<'ast> Visit<'ast> for Texts {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if module.ident != "tests" {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
        self.0.insert(text.value());
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        // Attributes of arguments: `env = "NAME"`.
        if let syn::Meta::List(list) = &attribute.meta {
            let tokens = list.tokens.to_string();
            self.0.extend(tokens.split('"').skip(1).step_by(2).map(str::to_owned));
        }
    }
}

fn is_like_a_variable(text: &str) -> bool {
    let parts: Vec<&str> = text.split('_').collect();
    let is_upper = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    (parts.len() > 1 || ["HOME", "USER", "TERM", "KUBECONFIG"].contains(&text)) && parts.iter().all(is_upper)
}

#[test]
fn every_environment_variable_is_explained() {
    let sources = walkdir::WalkDir::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let files = sources.into_iter().map(|entry| entry.expect("readable").into_path());
    let mut texts = Texts::default();
    for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
        if file.ends_with("help/environment.rs") {
            continue;
        }
        texts.visit_file(&syn::parse_file(&fs::read_to_string(&file).expect("text")).expect("Rust"));
    }
    let read: BTreeSet<&str> =
        texts.0.iter().map(String::as_str).filter(|text| is_like_a_variable(text) && !OTHERS.contains(text)).collect();
    assert!(read.len() > 20 && read.contains("TAGALONG_LOG") && read.contains("HOME"), "{read:?}");
    let named: BTreeSet<&str> = VARIABLES.iter().flat_map(|variable| variable.names.iter().copied()).collect();
    let missing: Vec<&&str> = read.difference(&named).collect();
    assert!(missing.is_empty(), "`tagalong help environment` lacks {missing:?}");
    let (topic, table) = (topic("environment"), read_table());
    for name in named {
        assert!(topic.contains(name), "{name}");
        assert!(table.contains(&format!("`{name}`")), "docs/configuration.md lacks {name}");
    }
}

/// The section of the documentation about the environment.
fn read_table() -> String {
    let text = read("docs/configuration.md");
    let start = text.find("\n## Environment\n").expect("a section");
    text[start..].to_owned()
}
