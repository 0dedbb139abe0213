//! Webhooks: an announced push is deployed at once, and nobody without the secret can cause anything.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use serde_json::json;

use crate::support;
use crate::support::agent::Agent;
use crate::support::infra::Stage;
use crate::support::process::wait_until;
use crate::support::registry::Registry;

const OLD: &str = "2026-04-01T10:00:00Z";
const NEW: &str = "2026-04-02T10:00:00Z";
const SECRET: &str = "open-sesame-9";

/// The configuration of an agent whose own schedule would take an hour.
fn config(stage: &Stage, host: &str, webhooks: &str) -> PathBuf {
    let secret = stage.home().join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).expect("written");
    let text = format!(
        "{}registries:\n- {{ host: \"{host}\", plainHttp: true }}\npolicies:\n- images: [\"{host}/org/*\"]\n  tags: {{ sha: {{}} }}\n\
         agent:\n  interval: 1h\n  listen: 127.0.0.1:0\n  webhooks:\n{}",
        stage.sshd.config(&stage.origin),
        webhooks.replace("SECRET", &secret.display().to_string())
    );
    let file = stage.home().join("agent.yaml");
    std::fs::write(&file, text).expect("written");
    file
}

/// Sends a raw request and returns the status of the response.
fn send(address: &str, head: &str, body: &[u8]) -> u16 {
    let text = answer(address, head, body);
    text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no answer: {text}"))
}

/// Sends a raw request and returns the response.
fn answer(address: &str, head: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    let head = format!("{head}\r\nHost: {address}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).expect("sent");
    // A server that rejects a large body does not read it to the end.
    let _ = stream.write_all(body);
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn signature(body: &[u8]) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key");
    mac.update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A signed generic event about images.
fn tell(address: &str, images: &[String]) -> u16 {
    let body = json!({ "images": images }).to_string();
    let head = format!("POST /webhooks/generic HTTP/1.1\r\nX-Hub-Signature-256: sha256={}", signature(body.as_bytes()));
    send(address, &head, body.as_bytes())
}

/// The number of finished cycles.
fn cycles(agent: &Agent) -> usize {
    agent.log().matches("cycle finished").count()
}

#[test]
fn a_push_to_the_registry_is_deployed_at_once() {
    let stage = Stage::new(&[("app.yaml", "image: none\n")]);
    // The registry needs the agent's address, and the agent the registry's.
    let secret = stage.home().join("secret");
    let port = support::process::free_port();
    let registry = Registry::start_notifying(
        &stage.home().join("notifying"),
        &format!("http://127.0.0.1:{port}/webhooks/distribution"),
        SECRET,
    );
    let host = registry.host();
    registry.push("org/app", "aaaaaa1", OLD);
    registry.push("org/other", "bbbbbb1", OLD);
    let files = [
        ("app.yaml", format!("image: {host}/org/app:aaaaaa1\n")),
        ("other.yaml", format!("image: {host}/org/other:bbbbbb1\n")),
    ];
    stage.origin.commit("two apps", &files.each_ref().map(|(name, text)| (*name, text.as_str())));
    let file = config(&stage, &host, "  - { kind: distribution, secretFile: SECRET }\n");
    let text = std::fs::read_to_string(&file).expect("there");
    std::fs::write(&file, text.replace("127.0.0.1:0", &format!("127.0.0.1:{port}"))).expect("written");
    assert!(secret.exists());
    let agent = Agent::start(stage.home(), &file);
    agent.wait_for("cycle finished");
    registry.push("org/app", "aaaaaa2", NEW);
    wait_until("the push is deployed", || stage.origin.read("app.yaml").ends_with("aaaaaa2\n"));
    registry.push("org/other", "bbbbbb2", NEW);
    wait_until("the other one, too", || stage.origin.read("other.yaml").ends_with("bbbbbb2\n"));
    // The registry also reported the agent's own pulls, which are ignored.
    let (code, log) = agent.stop();
    assert_eq!(code, 0, "{log}");
    assert!(!log.contains(SECRET));
}

#[test]
fn only_the_image_of_the_event_is_queried() {
    let stage =
        Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n"), ("other.yaml", "image: HOST/org/other:bbbbbb1\n")]);
    let push = |name: &str, tag: &str, at: &str| stage.registry.push(name, tag, at);
    push("org/app", "aaaaaa1", OLD);
    push("org/other", "bbbbbb1", OLD);
    let file = config(&stage, &stage.registry.host(), "  - { kind: generic, secretFile: SECRET }\n");
    let agent = Agent::start(stage.home(), &file);
    agent.wait_for("cycle finished");
    let address = agent.address();
    push("org/other", "bbbbbb2", NEW);
    push("org/app", "aaaaaa2", NEW);
    assert_eq!(tell(&address, &[format!("{}:aaaaaa2", stage.image("app"))]), 202);
    wait_until("the news is deployed", || stage.origin.read("app.yaml").ends_with("aaaaaa2\n"));
    wait_until("the cycle ends", || cycles(&agent) == 2);
    assert!(stage.origin.read("other.yaml").ends_with("bbbbbb1\n"), "nobody told of it");
    // The status still covers all images.
    let page = agent.get("/");
    assert!(page.body.contains("org/app") && page.body.contains("org/other"), "{page:?}");

    // A repeated event does no harm. If nothing moved, the image is looked at once more, in case the tag is listed a
    // moment later.
    assert_eq!(tell(&address, &[stage.image("app")]), 202);
    wait_until("the cycles end", || cycles(&agent) == 4);
    assert_eq!(stage.origin.subjects().len(), 2);
    // Images that nobody follows start no cycle.
    let strangers: Vec<String> = (0..20).map(|n| format!("ghcr.io/somebody/app-{n}")).collect();
    assert_eq!(tell(&address, &strangers), 202);
    assert_eq!(tell(&address, &[stage.image("other")]), 202);
    wait_until("the other one is deployed", || stage.origin.read("other.yaml").ends_with("bbbbbb2\n"));
    wait_until("the cycle ends", || cycles(&agent) == 5);
}

#[test]
fn a_burst_of_events_causes_few_cycles() {
    let names: Vec<String> = (0..8).map(|n| format!("app-{n}")).collect();
    let files: Vec<(String, String)> =
        names.iter().map(|name| (format!("{name}.yaml"), format!("image: HOST/org/{name}:aaaaaa1\n"))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let stage = Stage::new(&files);
    names.iter().for_each(|name| drop(stage.registry.push(&format!("org/{name}"), "aaaaaa1", OLD)));
    let file = config(&stage, &stage.registry.host(), "  - { kind: generic, secretFile: SECRET }\n");
    let agent = Agent::start(stage.home(), &file);
    agent.wait_for("cycle finished");
    let address = agent.address();
    names.iter().for_each(|name| drop(stage.registry.push(&format!("org/{name}"), "aaaaaa2", NEW)));
    std::thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| assert_eq!(tell(&address, &[stage.image(name)]), 202));
        }
    });
    let all_moved = || names.iter().all(|name| stage.origin.read(&format!("{name}.yaml")).ends_with("aaaaaa2\n"));
    wait_until("all are deployed", all_moved);
    // Each cycle takes longer than all of the events took to arrive.
    assert!(cycles(&agent) <= 6, "{}", agent.log());
}

#[test]
fn requests_without_the_secret_have_no_effect() {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", OLD);
    let webhooks = "  - { kind: generic, secretFile: SECRET }\n  - { kind: quay, secretFile: SECRET, registry: HOST }\n  - { kind: harbor, secretFile: SECRET.empty }\n";
    let file = config(&stage, &stage.registry.host(), &webhooks.replace("HOST", &stage.registry.host()));
    std::fs::write(stage.home().join("secret.empty"), "\n").expect("written");
    let agent = Agent::start(stage.home(), &file);
    agent.wait_for("cycle finished");
    let address = agent.address();
    stage.registry.push("org/app", "aaaaaa2", NEW);
    let body = json!({ "images": [stage.image("app")] }).to_string();
    let body = body.as_bytes();
    let signed = format!("X-Hub-Signature-256: sha256={}", signature(body));
    let post = |path: &str, headers: &str, body: &[u8]| {
        let joint = if headers.is_empty() { "" } else { "\r\n" };
        send(&address, &format!("POST /webhooks/{path} HTTP/1.1{joint}{headers}"), body)
    };
    assert_eq!(post("generic", "", body), 401);
    assert_eq!(post("generic", "Authorization: Bearer wrong", body), 401);
    assert_eq!(post("generic", "Authorization: Bearer ", body), 401);
    assert_eq!(post("generic", &signed, &[body, b" "].concat()), 401);
    assert_eq!(post("generic", &format!("{signed}0"), body), 401);
    assert_eq!(post(&format!("generic?token={SECRET}"), "", body), 401);
    assert_eq!(post("gitea", &signed, body), 404);
    assert_eq!(post("harbor", "Authorization: ", body), 503);
    assert_eq!(send(&address, "GET /webhooks/generic HTTP/1.1", b""), 405);
    let large = vec![b' '; 2 << 20];
    assert_eq!(post("generic", &format!("Authorization: Bearer {SECRET}"), &large), 413);
    assert_eq!(post("generic", &format!("Authorization: Bearer {SECRET}"), b"[]"), 400);
    assert_eq!(cycles(&agent), 1);
    // Senders with the secret, each in the way it can send it. Quay names the registry differently than deployments do.
    let quay = json!({ "docker_url": "quay.io/org/app" }).to_string();
    assert_eq!(post(&format!("quay?token={SECRET}"), "", quay.as_bytes()), 202);
    wait_until("the news is deployed", || stage.origin.read("app.yaml").ends_with("aaaaaa2\n"));
    let (_, log) = agent.stop();
    assert!(!log.contains(SECRET) && log.contains("rejected webhooks with an invalid secret or signature"), "{log}");
    assert!(log.contains("cannot read the webhook's secret"), "{log}");
}

/// A form with an event, encoded as browsers and forges do.
fn form(event: &serde_json::Value) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", &event.to_string()).finish()
}

#[test]
fn events_in_forms_are_understood_or_refused_with_the_reason() {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", OLD);
    let host = stage.registry.host();
    let kinds = ["gitea", "ghcr", "harbor"];
    let entry = |kind: &str| format!("  - {{ kind: {kind}, secretFile: SECRET, registry: '{host}' }}\n");
    let file = config(&stage, &host, &kinds.map(entry).concat());
    let agent = Agent::start(stage.home(), &file);
    agent.wait_for("cycle finished");
    let address = agent.address();
    let post = |kind: &str, header: &str, body: &str| {
        let head =
            format!("POST /webhooks/{kind} HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n{header}");
        answer(&address, &head, body.as_bytes())
    };
    let is = |answer: &str, code: u16| assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{code}: {answer}");

    // Gitea 1.26 signs the event in the form (its `newDefaultRequest` returns the payload to be signed).
    let gitea = json!({ "action": "created", "sender": { "login": "ci" }, "package": {
        "id": 13, "owner": { "login": "org" }, "type": "container", "name": "app", "version": "aaaaaa2",
        "html_url": "http://gitea.example.com/org/-/packages/container/app/aaaaaa2" } });
    let sent = form(&gitea);
    let of_event = signature(gitea.to_string().as_bytes());
    let other = form(&json!({ "action": "created", "package": {} }));
    is(&post("gitea", &format!("X-Gitea-Signature: {of_event}"), &other), 401);
    is(&post("gitea", &format!("X-Gitea-Signature: {}", signature(b"")), &sent), 401);
    is(&post("gitea", "X-Gitea-Event: package", &sent), 401);
    stage.registry.push("org/app", "aaaaaa2", NEW);
    let signed = format!("X-Gitea-Signature: {of_event}\r\nX-Hub-Signature-256: sha256={of_event}");
    is(&post("gitea", &signed, &sent), 202);
    wait_until("the push is deployed", || stage.origin.read("app.yaml").ends_with("aaaaaa2\n"));

    // GitHub signs the form as it is sent ("Validating webhook deliveries": the request's body).
    let github = json!({ "action": "published", "registry_package": {
        "name": "app", "namespace": "org", "package_type": "CONTAINER" } });
    let sent = form(&github);
    stage.registry.push("org/app", "aaaaaa3", "2026-04-03T10:00:00Z");
    let signed = format!("X-Hub-Signature-256: sha256={}", signature(sent.as_bytes()));
    is(&post("ghcr", &signed, &sent), 202);
    wait_until("the push is deployed", || stage.origin.read("app.yaml").ends_with("aaaaaa3\n"));

    // What is authentic and not understood is refused with the reason.
    let bearer = format!("Authorization: Bearer {SECRET}");
    let refused = post("harbor", &bearer, &sent);
    is(&refused, 415);
    assert!(refused.contains("webhooks of kind harbor are accepted as JSON, not as forms"), "{refused}");
    for without in ["", "event=1", &format!("{sent}&{sent}")] {
        let refused = post("gitea", &bearer, without);
        is(&refused, 400);
        assert!(refused.contains("exactly one field `payload`"), "{refused}");
    }
    is(&post("gitea", &bearer, "payload=%5B%5D"), 400);
    let (_, log) = agent.stop();
    let reason = "cannot read webhooks that were sent as forms";
    assert_eq!(log.matches(reason).count(), 1, "the first of a minute is logged: {log}");
    assert!(!log.contains(SECRET), "{log}");
}

#[test]
fn mistakes_in_webhooks_are_reported() {
    let stage = Stage::new(&[("app.yaml", "image: none\n")]);
    let file = config(
        &stage,
        "127.0.0.1:1",
        "  - { kind: gogs, secretFile: x }\n  - { kind: gitea }\n  - { kind: quay, secretFile: x, registry: 'a/b' }\n",
    );
    let run = support::tagalong::run(stage.home(), &["sync", "--config", &file.display().to_string()]).fails_with(2);
    for said in [
        "agent.webhooks[0].kind: invalid value `gogs`; expected one of distribution, gitea, harbor, dockerhub, ghcr, quay, gitlab, generic",
        "agent.webhooks[1]: `kind` and `secretFile` are required",
        "agent.webhooks[2].registry: `a/b` is not a registry host",
    ] {
        assert!(run.stderr.contains(said), "{said}: {run:#?}");
    }
}
