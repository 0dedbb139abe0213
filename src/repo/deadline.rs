//! Timeouts for the network: a server that accepts and says nothing must not hang the agent.

use std::time::Duration;

/// Sets how long libgit2 waits for a connection and for each read or write on it. The setting belongs to the whole
/// process: call this once, before any thread is started.
#[allow(unsafe_code)]
pub fn install(timeout: Duration) -> Result<(), git2::Error> {
    let milliseconds = timeout.as_millis().try_into().unwrap_or(i32::MAX);
    // SAFETY: libgit2 keeps the two values in plain globals; nothing else runs yet that could read them meanwhile.
    unsafe {
        git2::opts::set_server_connect_timeout_in_milliseconds(milliseconds)?;
        git2::opts::set_server_timeout_in_milliseconds(milliseconds)
    }
}
