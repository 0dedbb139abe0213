//! Processes that do not outlive their test.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server process, killed by its ID when dropped; the kernel kills it too if the test dies.
pub struct Server {
    child: Child,
}

impl Server {
    /// Starts `command` (`program` and its arguments) through setpriv, so that it dies with the calling thread.
    pub fn start(program: &str, configure: impl FnOnce(&mut Command) -> &mut Command) -> Server {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", program]).stdin(Stdio::null());
        let child = configure(&mut command).spawn().unwrap_or_else(|e| panic!("cannot start {program}: {e}"));
        Server { child }
    }

    /// Whether the process has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Polls every 20 ms until `ready` returns true; panics after 20 s with `what`.
pub fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    let start = Instant::now();
    while !ready() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited 20 s in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A loopback port that was free a moment ago, for servers that cannot choose one themselves. Start them again with
/// another port if they find it in use.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a loopback port").port()
}
