//! Strangers who can reach the agent's port cannot make it unhealthy, stop its cycles or fill its memory.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::support::agent::Agent;
use crate::support::infra::Stage;
use crate::support::process::wait_until;

const OLD: &str = "2026-04-01T10:00:00Z";
const NEW: &str = "2026-04-02T10:00:00Z";
const SECRET: &str = "open-sesame-9";

/// The memory that a pod has (`deploy/`), less what a cycle over a large repository needs, in kilobytes.
const ENOUGH: u64 = 128 << 10;

fn start(stage: &Stage) -> Agent {
    stage.registry.push("org/app", "aaaaaa1", OLD);
    let secret = stage.home().join("secret");
    std::fs::write(&secret, SECRET).expect("written");
    let config = stage.config();
    let text = std::fs::read_to_string(&config).expect("there");
    let webhooks = format!("webhooks: [{{ kind: generic, secretFile: {} }}], listen", secret.display());
    std::fs::write(&config, text.replace("listen", &webhooks)).expect("written");
    let agent = Agent::start(stage.home(), &config);
    agent.wait_for("cycle finished");
    agent
}

fn stage() -> Stage {
    Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")])
}

/// Opens a connection and sends what it can of some bytes. A server that closes the connection meanwhile is no failure.
fn connect(address: &str, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_write_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    let _ = stream.write_all(bytes);
    stream
}

/// Checks that the agent answers probes and goes on deploying, in bounded memory, and returns that memory in kilobytes.
#[track_caller]
fn works(stage: &Stage, agent: &Agent, tag: &str) -> u64 {
    for _ in 0..3 {
        assert_eq!((agent.get("/healthz").status, agent.get("/readyz").status), (200, 200));
    }
    stage.registry.push("org/app", tag, NEW);
    wait_until("the next image is deployed", || stage.origin.read("app.yaml").ends_with(&format!("{tag}\n")));
    let peak = agent.peak_memory();
    assert!(peak < ENOUGH, "{peak} kB");
    peak
}

#[test]
fn idle_connections_leave_room_for_probes_and_cycles() {
    let stage = stage();
    let agent = start(&stage);
    agent.limit_open_files(256);
    let address = agent.address();
    let idle: Vec<TcpStream> = (0..600).map(|_| connect(&address, b"")).collect();
    works(&stage, &agent, "aaaaaa2");
    assert!(agent.open_files() < 200, "{}", agent.open_files());
    assert!(!agent.log().contains("cannot accept a connection"), "{}", agent.log());
    drop(idle);
}

#[test]
#[expect(clippy::print_stdout, reason = "the figure is to be seen with --nocapture")]
fn unfinished_heads_take_little_memory_and_are_closed() {
    let stage = stage();
    let agent = start(&stage);
    let address = agent.address();
    let head = format!("GET / HTTP/1.1\r\nHost: x\r\n{}", format!("X: {}\r\n", "y".repeat(4_000)).repeat(100));
    let mut open: Vec<TcpStream> = (0..1_000).map(|_| connect(&address, &head.as_bytes()[..400_000])).collect();
    println!("1,000 unfinished heads: {} kB at most", works(&stage, &agent, "aaaaaa2"));
    // A head that fits in the limit, but never ends.
    open.push(connect(&address, b"GET / HTTP/1.1\r\nHost: x\r\n"));
    for mut stream in open {
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        // Either an error message, or nothing.
        match stream.read_to_end(&mut Vec::new()) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "it is still open"),
        }
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the figure is to be seen with --nocapture")]
fn bodies_of_strangers_take_little_memory_and_do_not_hold_up_senders_with_the_secret() {
    let stage = stage();
    let agent = start(&stage);
    let address = agent.address();
    let body = vec![b' '; 1_000_000];
    let post = |header: &str| {
        let head = format!("POST /webhooks/generic HTTP/1.1\r\nHost: x\r\n{header}\r\nContent-Length: 1048576\r\n\r\n");
        connect(&address, &[head.as_bytes(), &body].concat())
    };
    let signature = format!("X-Hub-Signature-256: sha256={}", "0".repeat(64));
    let open: Vec<TcpStream> = (0..300).flat_map(|_| [post(&signature), post("Authorization: Bearer wrong")]).collect();
    println!("600 unauthenticated bodies: {} kB at most", works(&stage, &agent, "aaaaaa2"));
    let event = json!({ "images": [stage.image("app")] }).to_string();
    assert_eq!(
        agent.ask("POST", "/webhooks/generic", &format!("Authorization: Bearer {SECRET}\r\n"), &event).status,
        202
    );
    // Refusals are counted, not logged one by one.
    assert_eq!(agent.log().matches("rejected webhooks").count(), 1, "{}", agent.log());
    drop(open);
}

#[test]
fn the_body_of_a_stranger_is_refused_before_it_has_arrived() {
    let stage = stage();
    let agent = start(&stage);
    let send = |header: &str| {
        let head = format!("POST /webhooks/generic HTTP/1.1\r\nHost: x\r\n{header}Content-Length: 1000\r\n\r\n");
        let mut stream = connect(&agent.address(), head.as_bytes());
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).expect("an answer");
        String::from_utf8_lossy(&answer).into_owned()
    };
    for header in ["", "Authorization: Bearer wrong\r\n", "X-Hub-Signature-256: sha256=0\r\n"] {
        assert_eq!(send(header), "HTTP/1.1 401", "{header}");
    }
}
