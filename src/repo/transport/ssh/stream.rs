//! An exchange on a channel, as libgit2 reads and writes it.

use std::collections::VecDeque;
use std::io::{self, Cursor, Read, Write};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use git2::transport::{Service, SmartSubtransportStream};
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};

use crate::repo::error::{Outage, RepoError};
use crate::repo::words;

use super::address::Address;
use super::connection::Connection;
use super::kept::{self, Purpose};
use crate::repo::transport::operation::Operation;

/// How long a kept connection may take to open a channel before a new one is made.
const KEPT_ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// How long to wait for the server's error message after its last data.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(2);

/// How much of the server's stderr is kept.
const MOST_WORDS: usize = 4096;

/// The flush packet that libgit2 sends when it is done.
const GOODBYE: &[u8] = b"0000";

/// Opens a channel, on a kept connection or a new one, and runs the service there.
pub fn open(operation: &Arc<Operation>, service: Service) -> Result<Box<dyn SmartSubtransportStream>, RepoError> {
    let address = Address::of(operation.url());
    let purpose = Purpose::of(operation, &address)?;
    let (connection, channel) = connected(operation, &address, &purpose)?;
    let (reader, writer) = channel.split();
    let asked = operation.wait(writer.exec(true, address.command(service)))?;
    asked.map_err(|error| operation.broken(Outage::Cut(error.to_string())))?;
    Ok(Box::new(Stream {
        operation: Arc::clone(operation),
        kept: Some((purpose, connection)),
        reader,
        writer,
        ahead: VecDeque::new(),
        has_begun: false,
        printed: Vec::new(),
        end: End::None,
        status: None,
    }))
}

fn connected(
    operation: &Operation,
    address: &Address,
    purpose: &Purpose,
) -> Result<(Connection, Channel<Msg>), RepoError> {
    while let Some(connection) = kept::take(purpose) {
        // This is where a dead peer is noticed.
        match connection.channel(operation, KEPT_ANSWERS_WITHIN.min(operation.config.timeout)) {
            Ok(channel) => return Ok((connection, channel)),
            Err(error) => tracing::debug!(%error, "a kept connection does not work anymore; connecting again"),
        }
    }
    let connection = Connection::open(operation, address, purpose.keys().clone())?;
    let channel = connection.channel(operation, operation.config.timeout)?;
    Ok((connection, channel))
}

/// How the server has ended its side of a channel.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    None,
    /// There is no more data.
    Eof,
    /// The channel is closed.
    Closed,
    /// The connection is gone.
    Cut,
}

struct Stream {
    operation: Arc<Operation>,
    kept: Option<(Purpose, Connection)>,
    reader: ChannelReadHalf,
    writer: ChannelWriteHalf<Msg>,
    /// Data that has arrived but has not been read.
    ahead: VecDeque<Cursor<Vec<u8>>>,
    /// Whether the server has sent anything but blanks: Gitea sends a newline before it refuses.
    has_begun: bool,
    /// The server's stderr.
    printed: Vec<u8>,
    end: End,
    status: Option<u32>,
}

impl Stream {
    fn receive(&mut self, message: Option<ChannelMsg>) {
        match message {
            Some(ChannelMsg::Data { data }) => {
                self.has_begun |= !data.trim_ascii().is_empty();
                self.ahead.push_back(Cursor::new(data.to_vec()));
            }
            Some(ChannelMsg::ExtendedData { data, .. }) => {
                let room = MOST_WORDS.saturating_sub(self.printed.len());
                self.printed.extend_from_slice(&data[..data.len().min(room)]);
            }
            Some(ChannelMsg::Eof) => self.end = End::Eof,
            Some(ChannelMsg::ExitStatus { exit_status }) => self.status = Some(exit_status),
            Some(ChannelMsg::Failure) => self.printed.extend_from_slice(b"the server does not allow this command"),
            Some(ChannelMsg::Close) => self.end = End::Closed,
            None if self.end != End::Closed => self.end = End::Cut,
            _ => {}
        }
    }

    /// Waits for the server's error message after its last data, and returns the error for it.
    fn last_words(&mut self) -> RepoError {
        while matches!(self.end, End::None | End::Eof) {
            match self.operation.wait_for(LAST_WORDS_WITHIN, self.reader.wait()) {
                Ok(message) => self.receive(message),
                Err(_) => break,
            }
        }
        let message = String::from_utf8_lossy(&self.printed);
        let words = words::line(&message);
        if words.is_empty() || self.end == End::Cut && self.status.is_none() {
            return self.operation.broken(Outage::Cut("the server closed it".to_owned()));
        }
        // A server refuses before it begins; what it prints later is about its own troubles.
        let refused = (!self.has_begun).then(|| self.operation.refused(&message)).flatten();
        refused.unwrap_or_else(|| self.operation.broken(Outage::Answer(words)))
    }

    fn failed(&self, error: RepoError) -> io::Error {
        let words = error.to_string().replace('\0', "");
        self.operation.fail(error);
        io::Error::other(words)
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(data) = self.ahead.front_mut() {
                match data.read(buffer)? {
                    0 => self.ahead.pop_front(),
                    length => return Ok(length),
                };
                continue;
            }
            if self.operation.has_failed() {
                return Err(io::Error::other("the operation has failed"));
            }
            if self.end != End::None {
                // libgit2 decides whether this is too early; if so, this is the error.
                let error = self.last_words();
                self.operation.fail(error);
                return Ok(0);
            }
            match self.operation.wait(self.reader.wait()) {
                Ok(message) => self.receive(message),
                Err(error) => return Err(self.failed(error)),
            }
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        // libgit2 still writes after a failure, and would report that error instead.
        if self.operation.has_failed() {
            return Ok(buffer.len());
        }
        let Stream { operation, reader, writer, .. } = self;
        let mut arrived = Vec::new();
        // Data that arrives in the meantime is received, because a server that cannot send may not read either.
        let sent = operation.wait(async {
            let mut sending = pin!(writer.data_bytes(buffer.to_vec()));
            loop {
                match select(sending.as_mut(), pin!(reader.wait())).await {
                    Either::Left((sent, _)) => return sent.is_ok(),
                    Either::Right((message, _)) => {
                        let is_over = matches!(message, None | Some(ChannelMsg::Close));
                        arrived.push(message);
                        if is_over {
                            return false;
                        }
                    }
                }
            }
        });
        arrived.into_iter().for_each(|message| self.receive(message));
        match sent {
            Ok(true) => Ok(buffer.len()),
            // A server that is done may close the channel before libgit2's flush packet.
            Ok(false) if buffer == GOODBYE && self.end != End::Cut => Ok(buffer.len()),
            Ok(false) => {
                let error = self.last_words();
                Err(self.failed(error))
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // A connection is not reused if anything went wrong.
        if self.operation.has_failed() || self.end == End::Cut {
            return;
        }
        let ended = self.operation.wait_for(LAST_WORDS_WITHIN, async {
            let _ = self.writer.eof().await;
            self.writer.close().await
        });
        if let (Ok(Ok(())), Some((purpose, connection))) = (ended, self.kept.take()) {
            kept::put(purpose, connection);
        }
    }
}
