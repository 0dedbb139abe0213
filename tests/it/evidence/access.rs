//! Access to the forge that hosts the repository is checked like everything else that is configured.

use std::fs;

use serde_json::json;

use crate::support::infra::Stage;
use crate::support::scripted::{self, Scripted};
use crate::support::tagalong::run;

const TOKEN: &str = "open-sesame-host";

#[test]
fn check_reads_the_statuses_of_the_tip_and_reports_a_rejected_token() {
    let stage = Stage::new(&[("apps/app/x.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    let tip = stage.origin.tip();
    let forge = Scripted::start(move |asked| match asked.authorization.as_deref() == Some(&format!("token {TOKEN}")) {
        true if asked.target.contains(&format!("/commits/{tip}/status")) => {
            scripted::json(200, json!({ "statuses": [] }), &[])
        }
        true => scripted::json(404, json!({ "message": "Not Found" }), &[]),
        false => scripted::json(401, json!({ "message": "invalid username, password or token" }), &[]),
    });
    let token = stage.home().join("token");
    let text = format!("forge: {{ kind: gitea, url: 'http://{}', tokenFile: {} }}\n", forge.host(), token.display());
    let config = stage.config_with("stages.yaml", &text).display().to_string();
    let check = || run(stage.home(), &["check", "--config", &config]);

    fs::write(&token, TOKEN).expect("written");
    let said = check().ok().stdout;
    assert!(said.contains("reads the commit statuses of") && forge.asked().len() == 1, "{said}");
    fs::write(&token, "another-secret").expect("written");
    let refused = check();
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert_eq!(refused.code, 5, "{said}");
    assert!(said.contains("invalid username, password or token") && said.contains("git.forge.tokenFile"), "{said}");
    assert!(!said.contains("another-secret"), "{said}");
}
