//! The connections of the HTTP server, limited in number, time and memory. Anybody in the cluster may be able to open some.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The number of open connections. When there is one more, the oldest is closed, so that a new one is always accepted: a
/// probe must be answered even if somebody holds all the others.
pub(super) const MAX_CONNECTIONS: usize = 64;
/// The time within which the head of a request must arrive, and for which an idle connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The time after which a connection is closed once its current response is sent.
const LIFETIME: Duration = Duration::from_secs(60);
/// The time that the last response may take after that.
const LAST_RESPONSE: Duration = Duration::from_secs(20);
/// The memory for the head of a request, in bytes; browsers send two kilobytes.
const HEAD_SIZE: usize = 16 << 10;
/// The delay after the system could not accept a connection, usually because too many files are open.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// Serves the connections of a listener until `stop`.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let mut open: VecDeque<JoinHandle<()>> = VecDeque::with_capacity(MAX_CONNECTIONS);
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) if is_of_the_client(&error) => continue,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(RETRY_DELAY).await;
                continue;
            }
        };
        open.retain(|connection| !connection.is_finished());
        if open.len() >= MAX_CONNECTIONS
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
            // Its socket is closed once the task has ended. Otherwise a burst could use up the files of the process.
            let _ = oldest.await;
        }
        let connection = serve_connection(stream, router.clone(), stop.clone());
        open.push_back(tokio::spawn(connection));
    }
}

/// Serves the requests of one connection.
async fn serve_connection(stream: TcpStream, router: Router, stop: CancellationToken) {
    // Without it, small responses wait for the client's acknowledgment of the ones before.
    let _ = stream.set_nodelay(true);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_SIZE);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let lasts = timeout(LIFETIME, stop.cancelled());
    let ended = tokio::select! {
        ended = &mut connection => ended,
        _ = lasts => {
            connection.as_mut().graceful_shutdown();
            match timeout(LAST_RESPONSE, connection).await {
                Ok(ended) => ended,
                Err(_) => return tracing::debug!("closed a connection that did not read its response"),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection has failed");
    }
}

fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
