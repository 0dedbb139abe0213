//! Proxies on loopback that forward requests of clients: over HTTP (RFC 9110, section 9.3.6, and RFC 9112, section 3.2.2)
//! and SOCKS 5 (RFC 1928, with passwords as in RFC 1929).

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What a proxy permits.
#[derive(Debug, Clone, Default)]
pub enum Rule {
    /// Everything.
    #[default]
    Open,
    /// Everything, to a user with a password.
    Password(&'static str, &'static str),
    /// Nothing.
    Closed,
}

/// A proxy that records what it is asked for.
pub struct ForwardProxy {
    pub port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl ForwardProxy {
    /// Starts a proxy for HTTP.
    pub fn start() -> ForwardProxy {
        ForwardProxy::with_rule(Rule::Open)
    }

    /// Starts a proxy for HTTP.
    pub fn with_rule(rule: Rule) -> ForwardProxy {
        ForwardProxy::serve(move |client, asked| http(client, &rule, asked))
    }

    /// Starts a proxy for SOCKS 5.
    pub fn socks(rule: Rule) -> ForwardProxy {
        ForwardProxy::serve(move |client, asked| socks(client, &rule, asked))
    }

    fn serve(
        relay: impl Fn(TcpStream, &Mutex<Vec<String>>) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> ForwardProxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let proxy = ForwardProxy { port: listener.local_addr().expect("an address").port(), asked: Arc::default() };
        let (asked, relay) = (Arc::clone(&proxy.asked), Arc::new(relay));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (asked, relay) = (Arc::clone(&asked), Arc::clone(&relay));
                std::thread::spawn(move || relay(client, &asked));
            }
        });
        proxy
    }

    /// The requested hosts and ports, whether permitted or not.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("unpoisoned").clone()
    }
}

fn http(mut client: TcpStream, rule: &Rule, asked: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte)? > 0 {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut words = head.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    // `CONNECT host:port`, or `GET http://host:port/path`.
    let host = target.trim_start_matches("http://").split('/').next().unwrap_or_default();
    asked.lock().expect("unpoisoned").push(host.to_owned());
    let refusal = match rule {
        Rule::Open => None,
        Rule::Closed => Some("403 Forbidden\r\n"),
        Rule::Password(user, password) => {
            let expected = format!("Basic {}\r\n", STANDARD.encode(format!("{user}:{password}")));
            (!head.contains(&expected)).then_some("407 Authenticate\r\nProxy-Authenticate: Basic realm=\"tests\"\r\n")
        }
    };
    if let Some(refusal) = refusal {
        return client.write_all(format!("HTTP/1.1 {refusal}Content-Length: 0\r\n\r\n").as_bytes());
    }
    let mut server = TcpStream::connect(host.replace("localhost", "127.0.0.1"))?;
    if method == "CONNECT" {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    } else {
        let path = target.trim_start_matches("http://").trim_start_matches(host);
        let line = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        server.write_all((line + head.split_once("\r\n").unwrap_or_default().1).as_bytes())?;
    }
    splice(&client, &server)
}

fn socks(mut client: TcpStream, rule: &Rule, asked: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut greeting = [0; 2];
    client.read_exact(&mut greeting)?;
    let mut methods = vec![0; usize::from(greeting[1])];
    client.read_exact(&mut methods)?;
    let wanted = if matches!(rule, Rule::Password(..)) { 2 } else { 0 };
    if !methods.contains(&wanted) {
        return client.write_all(&[5, 0xff]);
    }
    client.write_all(&[5, wanted])?;
    if let Rule::Password(user, password) = rule {
        let text = |client: &mut TcpStream| -> std::io::Result<Vec<u8>> {
            let mut length = [0];
            client.read_exact(&mut length)?;
            let mut text = vec![0; usize::from(length[0])];
            client.read_exact(&mut text)?;
            Ok(text)
        };
        client.read_exact(&mut [0])?;
        let is_right =
            (text(&mut client)?, text(&mut client)?) == (user.as_bytes().to_vec(), password.as_bytes().to_vec());
        client.write_all(&[1, u8::from(!is_right)])?;
        if !is_right {
            return Ok(());
        }
    }
    let mut request = [0; 4];
    client.read_exact(&mut request)?;
    let host = match request[3] {
        1 => {
            let mut address = [0; 4];
            client.read_exact(&mut address)?;
            std::net::Ipv4Addr::from(address).to_string()
        }
        3 => {
            let mut length = [0];
            client.read_exact(&mut length)?;
            let mut name = vec![0; usize::from(length[0])];
            client.read_exact(&mut name)?;
            String::from_utf8_lossy(&name).into_owned()
        }
        _ => return client.write_all(&[5, 8, 0, 1, 0, 0, 0, 0, 0, 0]),
    };
    let mut port = [0; 2];
    client.read_exact(&mut port)?;
    let target = format!("{host}:{}", u16::from_be_bytes(port));
    asked.lock().expect("unpoisoned").push(target.clone());
    if matches!(rule, Rule::Closed) {
        return client.write_all(&[5, 2, 0, 1, 0, 0, 0, 0, 0, 0]);
    }
    let server = TcpStream::connect(target.replace("localhost", "127.0.0.1"))?;
    client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0])?;
    splice(&client, &server)
}

/// Forwards bytes in both directions until the server closes.
fn splice(client: &TcpStream, server: &TcpStream) -> std::io::Result<()> {
    let (mut up, mut down) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || std::io::copy(&mut up, &mut down));
    let (mut from, mut to) = (server, client);
    std::io::copy(&mut from, &mut to)?;
    client.shutdown(Shutdown::Both)
}
