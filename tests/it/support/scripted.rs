//! A server with scripted responses: for behavior that a real registry cannot be made to show, and for products that
//! cannot run here.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request of a client.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    pub target: String,
    pub authorization: Option<String>,
    pub private_token: Option<String>,
    pub if_none_match: Option<String>,
    pub accept: Option<String>,
    pub signature: Option<String>,
    pub body: String,
    /// All headers, as they were sent.
    pub head: String,
    /// The certificate that the client has shown.
    pub certificate: Option<Vec<u8>>,
}

/// A response: status, headers, body. `None` sends nothing and keeps the connection open.
pub type Answer = Option<(u16, Vec<(String, String)>, Vec<u8>)>;

/// A server on loopback that responds with a function and records requests.
pub struct Scripted {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    connections: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

/// A connection, with or without TLS.
trait Stream: Read + Write {
    /// The certificate that the client has shown.
    fn certificate(&self) -> Option<Vec<u8>>;
}

impl Stream for TcpStream {
    fn certificate(&self) -> Option<Vec<u8>> {
        None
    }
}

impl Stream for StreamOwned<ServerConnection, TcpStream> {
    fn certificate(&self) -> Option<Vec<u8>> {
        Some(self.conn.peer_certificates()?.first()?.to_vec())
    }
}

impl Scripted {
    pub fn start(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Scripted {
        Scripted::serve(None, script)
    }

    /// The same over TLS, for the name `localhost`, with a certificate by [`super::certificates`] in `folder`.
    pub fn start_tls(folder: &Path, script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Scripted {
        Scripted::serve(Some(super::certificates::server_config(folder)), script)
    }

    /// The same with TLS of the test's own.
    pub fn start_with(tls: Arc<ServerConfig>, script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Scripted {
        Scripted::serve(Some(tls), script)
    }

    fn serve(tls: Option<Arc<ServerConfig>>, script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (asked, stop, script) = (Arc::default(), Arc::new(AtomicBool::new(false)), Arc::new(script));
        let connections = Arc::new(AtomicUsize::new(0));
        let server = Scripted {
            port,
            asked: Arc::clone(&asked),
            connections: Arc::clone(&connections),
            stop: Arc::clone(&stop),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                connections.fetch_add(1, Ordering::Relaxed);
                let (asked, script, tls) = (Arc::clone(&asked), Arc::clone(&script), tls.clone());
                std::thread::spawn(move || -> std::io::Result<()> {
                    let stream: Box<dyn Stream> = match tls {
                        Some(config) => {
                            let session = ServerConnection::new(config).map_err(std::io::Error::other)?;
                            Box::new(StreamOwned::new(session, stream?))
                        }
                        None => Box::new(stream?),
                    };
                    serve(stream, &asked, script.as_ref())
                });
            }
        });
        server
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    #[allow(dead_code, reason = "the soak tests use it")]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The host with its port by the name in the certificate.
    pub fn tls_host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("unpoisoned").clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(stream: Box<dyn Stream>, asked: &Mutex<Vec<Asked>>, script: &dyn Fn(&Asked) -> Answer) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let mut request = Asked {
            method: words.next().unwrap_or_default(),
            target: words.next().unwrap_or_default(),
            authorization: None,
            private_token: None,
            if_none_match: None,
            accept: None,
            signature: None,
            body: String::new(),
            head: String::new(),
            certificate: reader.get_ref().certificate(),
        };
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            request.head.push_str(&line);
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                    request.authorization = Some(value.to_owned());
                }
                Some((name, value)) if name.eq_ignore_ascii_case("private-token") => {
                    request.private_token = Some(value.to_owned());
                }
                Some((name, value)) if name.eq_ignore_ascii_case("if-none-match") => {
                    request.if_none_match = Some(value.to_owned());
                }
                Some((name, value)) if name.eq_ignore_ascii_case("accept") => {
                    request.accept = Some(value.to_owned());
                }
                Some((name, value)) if name.eq_ignore_ascii_case("x-signature") => {
                    request.signature = Some(value.to_owned());
                }
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse().unwrap_or(0);
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        request.body = String::from_utf8_lossy(&body).into_owned();
        asked.lock().expect("unpoisoned").push(request.clone());
        let Some((status, headers, body)) = script(&request) else {
            // Keeps the connection open until the client gives up.
            let mut rest = String::new();
            let _ = reader.read_line(&mut rest);
            return Ok(());
        };
        let fields: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        // A script may send a length of its own.
        let says = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length = if says { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        // A single write: two would wait for the client's delayed acknowledgment, 40 ms each time.
        let mut bytes = format!("HTTP/1.1 {status} X\r\n{fields}{length}\r\n").into_bytes();
        if request.method != "HEAD" {
            bytes.extend_from_slice(&body);
        }
        reader.get_mut().write_all(&bytes)?;
        reader.get_mut().flush()?;
    }
}

/// A JSON response.
pub fn json(status: u16, body: serde_json::Value, headers: &[(&str, &str)]) -> Answer {
    let mut all = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Some((status, all, body.to_string().into_bytes()))
}

/// Forwards a request to a real registry.
pub fn forward(host: &str, request: &Asked) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let method = request.method.parse().expect("a method");
        let client = reqwest::Client::builder().tls_certs_only([]).build().expect("a client");
        let mut sent = client.request(method, format!("http://{host}{}", request.target));
        let passed = [
            ("accept", &request.accept),
            ("authorization", &request.authorization),
            ("if-none-match", &request.if_none_match),
        ];
        for (name, value) in passed {
            sent = value.iter().fold(sent, |sent, value| sent.header(name, value));
        }
        let answer = sent.send().await.expect("an answer");
        let kept = ["content-type", "docker-content-digest", "etag", "content-length", "www-authenticate"];
        let headers = kept
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), answer.headers().get(*name)?.to_str().ok()?.to_owned())));
        let (status, headers) = (answer.status().as_u16(), headers.collect());
        Some((status, headers, answer.bytes().await.expect("a body").to_vec()))
    })
}
