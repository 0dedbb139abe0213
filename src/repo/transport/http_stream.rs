//! An exchange over http, as libgit2 reads and writes it: the list of references, or a POST and its response.

use std::io::{self, Cursor, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use git2::transport::{Service, SmartSubtransportStream};
use reqwest::{Body, Response};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::http::client::{note_reach, send_within};
use crate::http::redirect::Route;
use crate::repo::error::{Outage, RepoError};

use super::http;
use super::http_client::{self, Client};
use super::operation::Operation;

/// How long a kept connection may take to respond before a new one is made.
const KEPT_ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// Bodies up to this size are sent with their length, like git does; more servers and proxies accept that.
const SENT_WHOLE: usize = 1 << 20;

/// How long to wait for the end of a response that is no longer needed, so that its connection can be reused.
const DRAINED_WITHIN: Duration = Duration::from_secs(1);

/// Starts an exchange. References are requested now; a POST is sent when its response is read, or when it grows large.
pub fn open(operation: &Arc<Operation>, service: Service) -> Result<Box<dyn SmartSubtransportStream>, RepoError> {
    let state = match service {
        Service::UploadPackLs | Service::ReceivePackLs => State::Answer(Answer::of(announced(operation, service)?)),
        Service::UploadPack | Service::ReceivePack => State::Gathering(Vec::new()),
    };
    let client = http_client::of(operation, false)?;
    Ok(Box::new(Stream { operation: Arc::clone(operation), client, service, state }))
}

/// Requests the references, following redirects. A kept connection gets a short try.
fn announced(operation: &Operation, service: Service) -> Result<Response, RepoError> {
    let client = http_client::of(operation, false)?;
    let mut route = Route::new(http::announcement(operation, service)?);
    let mut first = None;
    if client.is_used {
        let limit = KEPT_ANSWERS_WITHIN.min(operation.config.timeout);
        let sent = operation.wait_for(limit, http::get(operation, &client.http, service, &route).send());
        first = sent.ok().and_then(Result::ok);
    }
    let client = if client.is_used && first.is_none() { http_client::of(operation, true)? } else { client };
    loop {
        let response = match first.take() {
            Some(response) => response,
            None => {
                let request = http::get(operation, &client.http, service, &route);
                let sent = operation.wait(send_within(&route, &[], request))?;
                sent.map_err(|error| http::failed(operation, &error))?
            }
        };
        note_reach(&mut route, &client.resolver);
        if !http::follow(operation, &mut route, &response)? {
            if http::is_refused(&response) && route.carries_secrets() && operation.renew()? {
                continue;
            }
            http::remember(operation, &route);
            let expected = format!("application/x-{}-advertisement", http::name(service));
            return http::checked(operation, response, &expected);
        }
        tracing::debug!(host = route.url().host_str(), "the git server redirects");
    }
}

enum State {
    /// The body of a POST so far.
    Gathering(Vec<u8>),
    /// A large body, sent in chunks as it is written.
    Sending(mpsc::Sender<io::Result<Vec<u8>>>, JoinHandle<reqwest::Result<Response>>),
    Answer(Answer),
    /// The exchange has failed.
    Over,
}

/// A response, with the chunk that has not been read yet.
struct Answer {
    response: Response,
    piece: Cursor<Vec<u8>>,
    is_whole: bool,
}

impl Answer {
    fn of(response: Response) -> Answer {
        Answer { response, piece: Cursor::default(), is_whole: false }
    }
}

struct Stream {
    operation: Arc<Operation>,
    client: Arc<Client>,
    service: Service,
    state: State,
}

impl Stream {
    fn give_up(&mut self, error: RepoError) -> io::Error {
        let words = error.to_string().replace('\0', "");
        self.operation.fail(error);
        self.state = State::Over;
        // Its connections may be broken.
        http_client::forget(&self.operation);
        io::Error::other(words)
    }

    /// Sends the rest of the body and waits for the response.
    fn posted(&mut self) -> Result<Answer, RepoError> {
        let sent = match std::mem::replace(&mut self.state, State::Over) {
            State::Gathering(body) => {
                let send = |body| {
                    let request = http::post(&self.operation, &self.client.http, self.service)?.body(body);
                    self.operation.wait(request.send())
                };
                let sent = send(body.clone())?;
                let has_credentials = self.operation.base.lock().as_ref().is_none_or(|base| base.carries_secrets);
                let is_refused = has_credentials && sent.as_ref().is_ok_and(http::is_refused);
                if is_refused && self.operation.renew()? { send(body)? } else { sent }
            }
            State::Sending(pieces, answer) => {
                drop(pieces);
                let ended = self.operation.wait(answer)?;
                ended.map_err(|error| self.operation.broken(Outage::Cut(error.to_string())))?
            }
            State::Answer(answer) => return Ok(answer),
            State::Over => return Err(self.operation.broken(Outage::Cut("the exchange has failed".to_owned()))),
        };
        let response = sent.map_err(|error| http::failed(&self.operation, &error))?;
        let expected = format!("application/x-{}-result", http::name(self.service));
        http::checked(&self.operation, response, &expected).map(Answer::of)
    }

    fn begin_sending(&self, first: Vec<u8>) -> Result<State, RepoError> {
        let (pieces, mut taken) = mpsc::channel(4);
        let _ = pieces.try_send(Ok(first));
        let body = Body::wrap_stream(futures_util::stream::poll_fn(move |context| taken.poll_recv(context)));
        let request = http::post(&self.operation, &self.client.http, self.service)?.body(body);
        Ok(State::Sending(pieces, self.operation.runtime.spawn(request.send())))
    }

    fn send(&mut self, data: &[u8]) -> Result<(), RepoError> {
        match &mut self.state {
            State::Gathering(body) => {
                body.extend_from_slice(data);
                if body.len() > SENT_WHOLE {
                    let first = std::mem::take(body);
                    self.state = self.begin_sending(first)?;
                }
                Ok(())
            }
            State::Sending(pieces, _) => {
                let sent = self.operation.wait(pieces.send(Ok(data.to_vec())))?;
                if sent.is_err() {
                    // The server responded early, with the reason.
                    let answer = self.posted()?;
                    self.state = State::Answer(answer);
                }
                Ok(())
            }
            State::Answer(_) | State::Over => Ok(()),
        }
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, RepoError> {
        if !matches!(self.state, State::Answer(_)) {
            let answer = self.posted()?;
            self.state = State::Answer(answer);
        }
        let State::Answer(answer) = &mut self.state else { return Ok(0) };
        loop {
            let length = answer.piece.read(buffer).unwrap_or_default();
            if length > 0 || answer.is_whole {
                return Ok(length);
            }
            let piece = self.operation.wait(answer.response.chunk())?;
            match piece.map_err(|error| http::failed(&self.operation, &error))? {
                Some(piece) => answer.piece = Cursor::new(piece.to_vec()),
                None => answer.is_whole = true,
            }
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.operation.has_failed() {
            return Err(io::Error::other("the operation has failed"));
        }
        self.receive(buffer).map_err(|error| self.give_up(error))
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        // libgit2 still writes after a failure, and would report that error instead.
        if !self.operation.has_failed() {
            self.send(buffer).map_err(|error| self.give_up(error))?;
        }
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let State::Answer(answer) = &mut self.state
            && !answer.is_whole
            && !self.operation.has_failed()
        {
            let _ = self
                .operation
                .wait_for(DRAINED_WITHIN, async { while let Ok(Some(_)) = answer.response.chunk().await {} });
        }
    }
}
