//! Relays on loopback between the program and a real server, which forward bytes and damage connections as configured.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The direction of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the program to the server.
    Up,
    /// From the server to the program.
    Down,
}

/// The damage to connections.
#[derive(Debug, Clone, Default)]
pub enum Harm {
    /// No damage.
    #[default]
    None,
    /// The connection with this number, from 0, is cut after this many bytes in this direction.
    Cut { connection: usize, way: Way, after: usize },
    /// The same, but it stays open and nothing passes anymore, in either direction.
    Stall { connection: usize, way: Way, after: usize },
    /// Every chunk of bytes is delayed by this much.
    Slow(Duration),
    /// After this many bytes, the server's bytes arrive one at a time with this delay: it is never silent and never done.
    Drip { after: usize, delay: Duration },
    /// Nothing passes anymore on existing connections; they stay open.
    StallOld,
    /// Existing connections drip.
    DripOld(Duration),
    /// Existing connections are cut.
    CutOld,
    /// Once the file exists, nothing reaches the program anymore and the connection ends; once.
    CutWhenThere(PathBuf),
    /// The same, and afterwards the server is dead.
    DeadWhenThere(PathBuf),
    /// The server is dead: new connections are closed at once, existing ones are cut.
    Dead,
}

#[derive(Default)]
struct State {
    harm: Mutex<Harm>,
    /// The bytes sent and received on each connection.
    passed: Mutex<Vec<[usize; 2]>>,
    accepted: AtomicUsize,
    /// Counts how often harm was set.
    generation: AtomicUsize,
    stop: AtomicBool,
}

/// A relay to one server, until this value is dropped.
pub struct Relay {
    pub port: u16,
    state: Arc<State>,
}

impl Relay {
    /// Starts a relay to a loopback port.
    pub fn to(port: u16) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let relay = Relay { port: listener.local_addr().expect("an address").port(), state: Arc::default() };
        let state = Arc::clone(&relay.state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if state.stop.load(Ordering::Relaxed) {
                    break;
                }
                let number = state.accepted.fetch_add(1, Ordering::Relaxed);
                state.passed.lock().expect("unpoisoned").push([0, 0]);
                if matches!(*state.harm.lock().expect("unpoisoned"), Harm::Dead) {
                    continue;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                // The parts of a response are not to wait for acknowledgments of the ones before.
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                for (way, from, to) in [(Way::Up, &client, &server), (Way::Down, &server, &client)] {
                    let (from, to) = (from.try_clone().expect("a handle"), to.try_clone().expect("a handle"));
                    let state = Arc::clone(&state);
                    std::thread::spawn(move || pump(&state, number, way, from, to));
                }
            }
        });
        relay
    }

    /// Its host and port.
    #[allow(dead_code, reason = "the soak tests use it")]
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts counting connections again, with this damage.
    pub fn set(&self, harm: Harm) {
        *self.state.harm.lock().expect("unpoisoned") = harm;
        self.state.generation.fetch_add(1, Ordering::Relaxed);
        self.state.passed.lock().expect("unpoisoned").clear();
        self.state.accepted.store(0, Ordering::Relaxed);
    }

    /// The bytes sent and received on each connection since then.
    pub fn passed(&self) -> Vec<[usize; 2]> {
        self.state.passed.lock().expect("unpoisoned").clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        *self.state.harm.lock().expect("unpoisoned") = Harm::Dead;
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Forwards bytes until one end closes or the connection is damaged. Everything before the damage is delivered.
fn pump(state: &State, number: usize, way: Way, mut from: TcpStream, mut to: TcpStream) {
    let end = |from: &TcpStream, to: &TcpStream| {
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    };
    let _ = from.set_read_timeout(Some(Duration::from_millis(20)));
    let generation = state.generation.load(Ordering::Relaxed);
    let mut sent = 0;
    let mut buffer = [0; 4096];
    loop {
        let harm = state.harm.lock().expect("unpoisoned").clone();
        let mut room = buffer.len();
        let is_old = state.generation.load(Ordering::Relaxed) != generation;
        match harm {
            Harm::StallOld if is_old => {
                std::thread::sleep(Duration::from_millis(20));
                if state.stop.load(Ordering::Relaxed) {
                    return end(&from, &to);
                }
                continue;
            }
            Harm::CutOld if is_old => return end(&from, &to),
            Harm::Drip { after, .. } if way == Way::Down && sent < after => room = room.min(after - sent),
            Harm::Drip { delay, .. } if way == Way::Down => {
                room = 1;
                std::thread::sleep(delay);
            }
            Harm::DripOld(delay) if is_old && way == Way::Down => {
                room = 1;
                std::thread::sleep(delay);
            }
            Harm::Cut { connection, way: hurt, after } if connection == number && hurt == way => {
                room = room.min(after.saturating_sub(sent));
                if room == 0 {
                    return end(&from, &to);
                }
            }
            Harm::Stall { connection, after, way: hurt } if connection == number => {
                let stalled = state.passed.lock().expect("unpoisoned").get(number).map(|p| p[hurt as usize] >= after);
                if stalled == Some(true) {
                    std::thread::sleep(Duration::from_millis(20));
                    if state.stop.load(Ordering::Relaxed) {
                        return end(&from, &to);
                    }
                    continue;
                }
                if hurt == way {
                    room = room.min(after - sent);
                }
            }
            Harm::CutWhenThere(file) if file.exists() => {
                *state.harm.lock().expect("unpoisoned") = Harm::None;
                return end(&from, &to);
            }
            Harm::DeadWhenThere(file) if file.exists() => {
                *state.harm.lock().expect("unpoisoned") = Harm::Dead;
                return end(&from, &to);
            }
            Harm::Dead => return end(&from, &to),
            Harm::Slow(delay) => {
                room = 512;
                std::thread::sleep(delay);
            }
            _ => {}
        }
        let count = match from.read(&mut buffer[..room]) {
            Ok(0) => return end(&from, &to),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                continue;
            }
            Err(_) => return end(&from, &to),
        };
        if to.write_all(&buffer[..count]).is_err() {
            return end(&from, &to);
        }
        sent += count;
        if let Some(passed) = state.passed.lock().expect("unpoisoned").get_mut(number) {
            passed[way as usize] += count;
        }
    }
}

/// A proxy for https, to be used with `HTTPS_PROXY`: it answers CONNECT and records the targets.
pub struct ConnectProxy {
    pub port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl ConnectProxy {
    pub fn start() -> ConnectProxy {
        ConnectProxy::leading_to(None)
    }

    /// A proxy that leads to one server on loopback, whatever the target: it serves hosts that are not there.
    pub fn to(port: u16) -> ConnectProxy {
        ConnectProxy::leading_to(Some(port))
    }

    fn leading_to(server: Option<u16>) -> ConnectProxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let proxy = ConnectProxy { port: listener.local_addr().expect("an address").port(), asked: Arc::default() };
        let asked = Arc::clone(&proxy.asked);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let asked = Arc::clone(&asked);
                std::thread::spawn(move || connect(client, server, &asked));
            }
        });
        proxy
    }

    /// The requested hosts and ports.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("unpoisoned").clone()
    }
}

fn connect(mut client: TcpStream, server: Option<u16>, asked: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte)? > 0 {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let server = match server {
        Some(port) => TcpStream::connect(("127.0.0.1", port))?,
        None => TcpStream::connect(target.replace("localhost", "127.0.0.1"))?,
    };
    asked.lock().expect("unpoisoned").push(target);
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let (mut up, mut down) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || std::io::copy(&mut up, &mut down));
    std::io::copy(&mut &server, &mut &client)?;
    client.shutdown(Shutdown::Both)
}
