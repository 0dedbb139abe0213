//! The program in a pod of each cloud: registries are recognized by their hosts, the services are at their real names, and
//! nothing secret is printed.

use std::fs;
use std::process::Command;

use serde_json::json;

use crate::support::certificates;
use crate::support::clouds::{
    self, ACCESS_KEY, CLIENT_ID, ROLE, SECRET_KEY, SESSION_TOKEN, TENANT, acr_exchange, entra, header, sts,
};
use crate::support::infra::Stage;
use crate::support::proxy::ConnectProxy;
use crate::support::scripted::{Answer, Asked, Scripted, json as answer};
use crate::support::tagalong::{self, Run};

const ECR: &str = "012345678901.dkr.ecr.eu-west-1.amazonaws.com";
const ACR: &str = "acme.azurecr.io";
const GAR: &str = "europe-west1-docker.pkg.dev";
const STS: &str = "sts.eu-west-1.amazonaws.com";
const ECR_API: &str = "api.ecr.eu-west-1.amazonaws.com";
const ENTRA: &str = "login.microsoftonline.com";
const GOOGLE_STS: &str = "sts.googleapis.com";

const WEB_TOKEN: &str = "web-token-5521";
const FEDERATED: &str = "federated-token-6632";
const CLUSTER: &str = "cluster-token-7743";
const ENTRA_ACCESS: &str = "entra-access-8854";
const REFRESH: &str = "acr-refresh-9965";
const ACR_TOKEN: &str = "acr-bearer-1076";
const GOOGLE_ACCESS: &str = "google-access-2187";
const ECR_PASSWORD: &str = "ecr-password-3298";

/// All hosts in one: they are told apart by the header `Host`.
fn serve(request: &Asked) -> Answer {
    let host = header(request, "host").unwrap_or_default();
    match (host.as_str(), request.target.as_str()) {
        (STS, _) => sts(request, WEB_TOKEN),
        (ECR_API, _) => clouds::ecr(request, (ACCESS_KEY, SECRET_KEY, Some(SESSION_TOKEN)), ECR_PASSWORD, 43_200),
        (ENTRA, _) => entra(request, FEDERATED, "https://containerregistry.azure.net/.default", ENTRA_ACCESS),
        (GOOGLE_STS, "/v1/token") => {
            let is_right = clouds::form(request).get("subject_token").is_some_and(|token| token == CLUSTER);
            match is_right {
                true => answer(200, json!({ "access_token": GOOGLE_ACCESS, "expires_in": 3599 }), &[]),
                false => answer(400, json!({ "error": "invalid_grant", "error_description": request.body }), &[]),
            }
        }
        (ACR, "/oauth2/exchange") => acr_exchange(request, ACR, ENTRA_ACCESS, REFRESH),
        (ACR, "/oauth2/token") => {
            let is_right = clouds::form(request).get("refresh_token").is_some_and(|token| token == REFRESH);
            answer(if is_right { 200 } else { 401 }, json!({ "access_token": ACR_TOKEN }), &[])
        }
        (ECR, target) => registry(request, target, "Basic realm=\"ecr\"", &basic("AWS", ECR_PASSWORD)),
        (GAR, target) => registry(request, target, "Basic realm=\"gar\"", &basic("oauth2accesstoken", GOOGLE_ACCESS)),
        (ACR, target) => {
            let challenge = format!("Bearer realm=\"https://{ACR}/oauth2/token\",service=\"{ACR}\"");
            registry(request, target, &challenge, &format!("Bearer {ACR_TOKEN}"))
        }
        _ => answer(404, json!({}), &[]),
    }
}

fn basic(user: &str, password: &str) -> String {
    use base64::Engine;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

/// A registry that accepts one header, and fails with what it was sent once it is asked for a manifest.
fn registry(request: &Asked, target: &str, challenge: &str, accepted: &str) -> Answer {
    match request.authorization.as_deref() {
        Some(sent) if sent == accepted && target.contains("/manifests/") => {
            answer(500, json!({ "errors": [{ "message": sent }] }), &[("X-Echo", sent)])
        }
        Some(sent) if sent == accepted && target.contains("/tags/list") => {
            answer(200, json!({ "name": "org/app", "tags": ["aaaaaa1", "aaaaaa2"] }), &[])
        }
        Some(sent) if sent == accepted => answer(200, json!({}), &[]),
        _ => answer(401, json!({}), &[("WWW-Authenticate", challenge)]),
    }
}

/// A repository with an image of each cloud's registry, and the world around it.
struct World {
    stage: Stage,
    server: Scripted,
    proxy: ConnectProxy,
    /// A proxy for plain HTTP, which nobody is to use.
    plain: Scripted,
}

impl World {
    fn start() -> World {
        let files = [ECR, ACR, GAR].map(|host| format!("image: {host}/org/app:aaaaaa1\n"));
        let stage = Stage::new(&[("aws.yaml", &files[0]), ("azure.yaml", &files[1]), ("google.yaml", &files[2])]);
        let home = stage.home().to_owned();
        certificates::make_for(&home, &[ECR, ACR, GAR, STS, ECR_API, ENTRA, GOOGLE_STS]);
        for (name, token) in [("web", WEB_TOKEN), ("federated", FEDERATED), ("cluster", CLUSTER)] {
            fs::write(home.join(name), token).expect("written");
        }
        let google = json!({
            "type": "external_account", "audience": "//iam.googleapis.com/x",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": format!("https://{GOOGLE_STS}/v1/token"),
            "credential_source": { "file": home.join("cluster") },
        });
        fs::write(home.join("google.json"), google.to_string()).expect("written");
        let server = Scripted::start_tls(&home, serve);
        let proxy = ConnectProxy::to(server.port());
        let plain = Scripted::start(|_| answer(502, json!({}), &[]));
        World { stage, server, proxy, plain }
    }

    /// A command with the variables that the webhooks of the clouds set.
    fn command(&self, command: &str, registries: &str) -> Command {
        let home = self.stage.home();
        let config = home.join("clouds.yaml");
        let git = self.stage.origin.path.display();
        let images = [ECR, ACR, GAR].map(|host| format!("\"{host}/org/app\"")).join(", ");
        let policies = format!("policies:\n- images: [{images}]\n  tags: {{ sha: {{}} }}\n");
        fs::write(&config, format!("git: {{ url: \"{git}\" }}\n{registries}{policies}")).expect("written");
        let file = |name: &str| home.join(name).display().to_string();
        let mut run = tagalong::command(home);
        run.args([command, "--log-level", "trace", "--config"]).arg(config);
        run.env("HTTPS_PROXY", format!("http://127.0.0.1:{}", self.proxy.port))
            .env("HTTP_PROXY", format!("http://{}", self.plain.host()))
            .env("SSL_CERT_FILE", file("ca.pem"))
            .env("AWS_WEB_IDENTITY_TOKEN_FILE", file("web"))
            .env("AWS_ROLE_ARN", ROLE)
            .env("AWS_REGION", "eu-west-1")
            .env("AZURE_FEDERATED_TOKEN_FILE", file("federated"))
            .env("AZURE_CLIENT_ID", CLIENT_ID)
            .env("AZURE_TENANT_ID", TENANT)
            .env("GOOGLE_APPLICATION_CREDENTIALS", file("google.json"));
        run
    }

    fn finish(command: &mut Command) -> Run {
        tagalong::finished(command.output().expect("it starts"))
    }
}

#[test]
fn registries_of_clouds_are_recognized_and_signed_in_to() {
    let world = World::start();
    let run = World::finish(&mut world.command("check", ""));
    for (host, identity) in [(ECR, ROLE), (ACR, CLIENT_ID), (GAR, "the federated identity at Google Cloud")] {
        let line = run.stdout.lines().find(|line| line.contains(&format!("registry {host}"))).unwrap_or_default();
        assert!(line.starts_with("ok") && line.contains(identity), "{host}: {run:#?}");
    }
    for target in [STS, ECR_API, ENTRA, GOOGLE_STS] {
        let count = world.proxy.asked().iter().filter(|asked| **asked == format!("{target}:443")).count();
        assert_eq!(count, 1, "{target}: {:#?}", world.proxy.asked());
    }
    // Switched off, they are as before: anonymous.
    let none = [ECR, ACR, GAR].map(|host| format!("- {{ host: {host}, provider: none }}\n")).concat();
    let before = world.proxy.asked().len();
    let run = World::finish(&mut world.command("check", &format!("registries:\n{none}")));
    assert!(run.stdout.contains("requires credentials"), "{run:#?}");
    let asked = &world.proxy.asked()[before..];
    assert!(
        [STS, ECR_API, ENTRA, GOOGLE_STS].iter().all(|host| !asked.iter().any(|one| one.starts_with(host))),
        "{asked:?}"
    );
}

#[test]
fn a_detected_identity_that_is_of_no_use_is_said_when_it_is_needed() {
    let world = World::start();
    let run = World::finish(world.command("check", "").env("AWS_ROLE_ARN", "arn:aws:iam::1:role/other"));
    let line = run.stdout.lines().find(|line| line.contains(&format!("registry {ECR}"))).unwrap_or_default();
    assert!(line.starts_with("failed") && line.contains(STS) && line.contains("AccessDenied"), "{run:#?}");
    assert!(run.stdout.contains("trust policy"), "{run:#?}");
    // A credential of the user's own comes first.
    let own = world.stage.home().join("docker.json");
    let text = json!({ "auths": { ECR: { "username": "AWS", "password": ECR_PASSWORD } } });
    fs::write(&own, text.to_string()).expect("written");
    let before = world.proxy.asked().len();
    let run = World::finish(world.command("check", "").env("REGISTRY_AUTH_FILE", &own));
    let line = run.stdout.lines().find(|line| line.contains(&format!("registry {ECR}"))).unwrap_or_default();
    assert!(line.starts_with("ok") && !line.contains(ROLE), "{run:#?}");
    assert!(!world.proxy.asked()[before..].iter().any(|asked| asked.starts_with(STS)), "{:?}", world.proxy.asked());
}

#[test]
fn nothing_secret_is_printed_and_no_proxy_sees_a_metadata_server() {
    let world = World::start();
    let mut seen = String::new();
    for command in ["check", "sync", "images"] {
        seen.push_str(&format!("{:?}", World::finish(&mut world.command(command, ""))));
    }
    // The services repeat what they are sent.
    fs::write(world.stage.home().join("cluster"), "cluster-token-unknown").expect("written");
    seen.push_str(&format!("{:?}", World::finish(&mut world.command("check", ""))));
    // Addresses on the link have no TLS, and are not reached through a proxy.
    let mut pod = world.command("check", "");
    pod.env_remove("AWS_WEB_IDENTITY_TOKEN_FILE").env_remove("GOOGLE_APPLICATION_CREDENTIALS");
    pod.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/v1/credentials");
    pod.env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", world.stage.home().join("web"));
    pod.env("GCE_METADATA_HOST", "127.0.0.1:9");
    let run = World::finish(&mut pod);
    assert!(run.stdout.contains("cannot reach 127.0.0.1:9"), "{run:#?}");
    seen.push_str(&format!("{run:?}"));
    assert!(world.plain.asked().is_empty(), "{:#?}", world.plain.asked());
    let used = |text: &str| world.server.asked().iter().any(|request| format!("{request:?}").contains(text));
    let headers = [basic("AWS", ECR_PASSWORD), basic("oauth2accesstoken", GOOGLE_ACCESS)];
    let headers = headers.iter().map(|header| header.trim_start_matches("Basic "));
    let secrets =
        [WEB_TOKEN, FEDERATED, CLUSTER, "cluster-token-unknown", ENTRA_ACCESS, REFRESH, ACR_TOKEN, SESSION_TOKEN];
    for secret in headers.chain(secrets) {
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        assert!(used(secret) || used(&encoded), "{secret} was not used");
        for form in [secret, &encoded] {
            let at = seen.find(form).map(|at| seen[at.saturating_sub(300)..(at + 60).min(seen.len())].to_owned());
            assert_eq!(at, None, "{secret} was printed");
        }
    }
    for secret in [SECRET_KEY, ECR_PASSWORD, GOOGLE_ACCESS, "Signature="] {
        let at = seen.find(secret).map(|at| seen[at.saturating_sub(300)..(at + 60).min(seen.len())].to_owned());
        assert_eq!(at, None, "{secret} was printed");
    }
}
