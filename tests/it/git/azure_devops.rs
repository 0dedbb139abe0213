//! Workload identity at Azure DevOps in place of a token for git.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::support::git::{HttpGit, git};
use crate::support::infra::Stage;
use crate::support::scripted::{self, Answer, Asked, Scripted};
use crate::support::tagalong::{self, Run};

const FEDERATED: &str = "eyJ.federated-sesame.x";

/// Microsoft Entra ID as documented in "OAuth 2.0 client credentials flow", third case. It tells the git server which token
/// is valid.
fn entra(git: &Arc<HttpGit>, refusal: Arc<Mutex<Option<&'static str>>>) -> Scripted {
    let git = Arc::clone(git);
    Scripted::start(move |asked| answer(&git, *refusal.lock().expect("unpoisoned"), asked))
}

fn answer(git: &HttpGit, refusal: Option<&str>, asked: &Asked) -> Answer {
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/tenant-1/oauth2/v2.0/token"));
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(asked.body.as_bytes()).into_owned().collect();
    let given = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    assert_eq!(given("grant_type"), "client_credentials");
    assert_eq!(given("scope"), "499b84ac-1321-427f-aa17-267ca6975798/.default");
    assert_eq!(given("client_assertion_type"), "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    assert_eq!((given("client_id"), given("client_assertion")), ("client-1", FEDERATED));
    if let Some(words) = refusal {
        return scripted::json(401, json!({ "error": "invalid_client", "error_description": words }), &[]);
    }
    git.set_token("Bearer eyJ.access-sesame.x");
    scripted::json(
        200,
        json!({ "token_type": "Bearer", "expires_in": 3599, "access_token": "eyJ.access-sesame.x" }),
        &[],
    )
}

fn config(stage: &Stage, http: &HttpGit, lines: &str) -> PathBuf {
    let text = fs::read_to_string(stage.config()).expect("there");
    let rest = &text[text.find("registries:").expect("a section")..];
    let file = stage.home().join("azure.yaml");
    fs::write(&file, format!("git:\n  url: {}\n{lines}{rest}", http.url("infra.git"))).expect("written");
    file
}

/// Runs a command with the variables that AKS sets.
fn run(home: &Path, arguments: &[&str], config: &Path, entra: &Scripted, federated: &Path) -> Run {
    let mut command = tagalong::command(home);
    command.args(arguments).arg("--config").arg(config).args(["--log-level", "trace"]);
    command.env("AZURE_AUTHORITY_HOST", format!("http://{}/", entra.host())).env("AZURE_TENANT_ID", "tenant-1");
    command.env("AZURE_CLIENT_ID", "client-1").env("AZURE_FEDERATED_TOKEN_FILE", federated);
    let run = tagalong::complete(&mut command);
    assert!(!format!("{run:?}").contains("sesame"), "{run:#?}");
    run
}

#[test]
fn a_federated_token_gets_a_bearer_token_for_git() {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", "2026-04-01T10:00:00Z");
    stage.registry.push("org/app", "bbbbbb1", "2026-04-02T10:00:00Z");
    git(&stage.origin.path, &["config", "http.receivepack", "true"]);
    let http = Arc::new(HttpGit::start(stage.home(), Some("nobody has this")));
    let refusal = Arc::new(Mutex::new(None));
    let entra = entra(&http, Arc::clone(&refusal));
    let federated = stage.home().join("federated");
    fs::write(&federated, FEDERATED).expect("written");
    let azure = config(&stage, &http, "  provider: azure\n");
    run(stage.home(), &["sync"], &azure, &entra, &federated).ok();
    assert!(stage.origin.read("app.yaml").ends_with("bbbbbb1\n"));
    let checked = run(stage.home(), &["check", "--output", "json"], &azure, &entra, &federated);
    assert!(checked.stdout.contains("; access as the workload identity client-1 at Azure"), "{checked:#?}");

    *refusal.lock().expect("unpoisoned") = Some("AADSTS70021: No matching federated identity record found.");
    let refused = run(stage.home(), &["sync"], &azure, &entra, &federated).fails_with(5);
    assert!(refused.stderr.contains("AADSTS70021") && refused.stderr.contains("help: "), "{refused:#?}");
    let missing = tagalong::run(stage.home(), &["sync", "--config", &azure.display().to_string()]).fails_with(2);
    assert!(missing.stderr.contains("git.provider: the environment variable AZURE_"), "{missing:#?}");
    let both = config(&stage, &http, "  provider: azure\n  https: { tokenFile: /t }\n");
    let both = tagalong::run(stage.home(), &["sync", "--config", &both.display().to_string()]).fails_with(2);
    assert!(both.stderr.contains("replace `https.tokenFile`"), "{both:#?}");
}

#[test]
fn the_same_token_is_for_pull_requests() {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", "2026-04-01T10:00:00Z");
    git(&stage.origin.path, &["config", "http.receivepack", "true"]);
    let project = stage.home().join("acme/shop/_git");
    fs::create_dir_all(&project).expect("a folder");
    std::os::unix::fs::symlink(&stage.origin.path, project.join("infra")).expect("a link");
    let http = Arc::new(HttpGit::start(stage.home(), Some("nobody has this")));
    let entra = entra(&http, Arc::default());
    let federated = stage.home().join("federated");
    fs::write(&federated, FEDERATED).expect("written");
    let api = Scripted::start(|_| scripted::json(200, json!({ "count": 0, "value": [] }), &[]));
    let lines = format!(
        "  provider: azure\n  pushBranch: proposals\n  pullRequest: {{ forge: azure-devops, url: 'http://{}/acme' }}\n",
        api.host()
    );
    let config = config(&stage, &http, &lines);
    let text = fs::read_to_string(&config).expect("there");
    fs::write(&config, text.replace("/infra.git", "/acme/shop/_git/infra")).expect("written");
    let checked = run(stage.home(), &["check", "--output", "json"], &config, &entra, &federated);
    assert!(checked.stdout.contains("lists the pull requests of shop/infra; access as the workload"), "{checked:#?}");
    let asked = api.asked();
    let bearer = Some("Bearer eyJ.access-sesame.x");
    assert!(!asked.is_empty() && asked.iter().all(|asked| asked.authorization.as_deref() == bearer), "{asked:#?}");
}
