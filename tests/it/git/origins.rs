//! Credentials go to the server that they were configured for, and to no other, wherever it redirects to.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::support::certificates;
use crate::support::git::{HttpGit, git};
use crate::support::infra::Stage;
use crate::support::scripted::{Asked, Scripted};
use crate::support::tagalong::{Run, run};

const TOKEN: &str = "token-of-ada-8812";

/// A configured server over TLS that redirects, and what it redirects to.
struct Scene {
    stage: Stage,
    server: Scripted,
    to: Arc<Mutex<String>>,
}

impl Scene {
    fn new(status: u16) -> Scene {
        let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
        stage.registry.push("org/app", "aaaaaa1", "2026-04-01T10:00:00Z");
        stage.registry.push("org/app", "bbbbbb1", "2026-04-02T10:00:00Z");
        git(&stage.origin.path, &["config", "http.receivepack", "true"]);
        certificates::make(stage.home());
        fs::write(stage.home().join("token"), TOKEN).expect("written");
        let to = Arc::new(Mutex::new(String::new()));
        let target = Arc::clone(&to);
        let server = Scripted::start_tls(stage.home(), move |asked: &Asked| {
            let (_, query) = asked.target.split_once('?').unwrap_or_default();
            let location = target.lock().expect("unpoisoned").replace("QUERY", query);
            Some((status, vec![("Location".to_owned(), location)], Vec::new()))
        });
        Scene { stage, server, to }
    }

    fn redirects_to(&self, location: String) -> Run {
        *self.to.lock().expect("unpoisoned") = location;
        let config = self.config();
        run(self.stage.home(), &["sync", "--output", "json", "--config", &config.display().to_string()])
    }

    fn config(&self) -> PathBuf {
        let text = fs::read_to_string(self.stage.config()).expect("there");
        let rest = &text[text.find("registries:").expect("a section")..];
        let home = self.stage.home().display();
        let section = format!(
            "git:\n  url: https://{}/infra.git\n  https: {{ tokenFile: {home}/token, caFile: {home}/ca.pem }}\n",
            self.server.tls_host()
        );
        let file = self.stage.home().join("redirected.yaml");
        fs::write(&file, section + rest).expect("written");
        file
    }
}

#[test]
fn a_stranger_who_is_redirected_to_never_sees_the_token() {
    for status in [301, 302, 303, 307, 308] {
        let scene = Scene::new(status);
        // It asks for credentials in every way that there is.
        let stranger = Scripted::start_tls(scene.stage.home(), |_| {
            let asks = ("WWW-Authenticate".to_owned(), "Basic realm=\"git\"".to_owned());
            Some((401, vec![asks], Vec::new()))
        });
        let run = scene.redirects_to(format!("https://{}/infra.git/info/refs?QUERY", stranger.tls_host()));
        let run = run.fails_with(2);
        assert!(run.stderr.contains("which requires credentials, and none were sent there"), "{run:#?}");
        assert!(!stranger.asked().is_empty());
        assert!(stranger.asked().iter().all(|asked| asked.authorization.is_none()), "{:?}", stranger.asked());
        assert!(scene.server.asked().iter().all(|asked| asked.authorization.is_some()));
    }
}

#[test]
fn redirects_are_followed_to_repositories_alone_and_never_in_the_clear() {
    let scene = Scene::new(302);
    let plain = HttpGit::start(scene.stage.home(), None);
    let stranger = Scripted::start_tls(scene.stage.home(), |_| Some((200, Vec::new(), b"hello".to_vec())));
    let refused = [
        (plain.url("infra.git/info/refs?QUERY"), "which is not https"),
        (format!("https://{}/login?QUERY", stranger.tls_host()), "which is not where a repository announces"),
        (
            format!("https://{}/infra.git/info/refs?service=git-other", stranger.tls_host()),
            "which is not where a repository announces",
        ),
        (format!("https://{}/infra.git/info/refs?QUERY", scene.server.tls_host()), "which is one redirect too many"),
        ("ftp://localhost/info/refs?QUERY".to_owned(), "which is not https"),
    ];
    for (location, why) in refused {
        let run = scene.redirects_to(location.clone()).fails_with(2);
        assert!(run.stderr.contains(why), "{location}: {run:#?}");
    }
    assert_eq!(stranger.asked().len(), 0);

    // A repository that has moved is found, and everything that follows goes there.
    let moved = HttpGit::start_tls(scene.stage.home(), None, scene.stage.home());
    scene.redirects_to(moved.url("infra.git/info/refs?QUERY")).ok();
    assert!(scene.stage.origin.read("app.yaml").ends_with("bbbbbb1\n"));
    scene.stage.origin.is_sound();
}
