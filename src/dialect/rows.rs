//! The row loop that dialects share. Rows that have arrived are handed to the sink without awaiting; while none
//! come, the session's [`Vigil`] decides how long they are waited for. A dialect brings a [`RowReader`], bound to the
//! columns of one page, and row buffers keep their allocation from row to row.

use std::future::poll_fn;
use std::task::{Context, Poll};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use super::vigil::Vigil;
use super::{Flow, RowSink, RowStream, StreamEnd};
use crate::error::{Error, ErrorKind, Result};

/// Decodes the rows of one page.
pub(super) trait RowReader: Send {
    /// The driver's row.
    type Row: Send;

    /// Decodes one row and hands it to the sink.
    fn hand_out(&mut self, row: &Self::Row, sink: &mut dyn RowSink) -> Result<Flow>;

    /// Classifies an error of the driver.
    fn failed(&mut self, error: sqlx::Error) -> Error;

    /// Says of which relation an error is.
    fn located(&self, error: Error) -> Error;
}

/// The open result of a page.
pub(super) struct Rows<'a, R: RowReader> {
    stream: BoxStream<'a, sqlx::Result<R::Row>>,
    reader: R,
    vigil: Vigil,
    has_rows: bool,
    ended: bool,
}

/// What a TLS handshake that failed means, by OpenSSL's text. A certificate that does not hold, or a server without
/// TLS, does not pass by itself. A connection that broke meanwhile does, although what OpenSSL thought of the
/// certificate until then is said behind it in brackets, also where nobody wanted to know.
pub(super) fn handshake_failure(text: &str) -> ErrorKind {
    let broke = text.to_lowercase().contains("unexpected eof") || text.contains("(os error");
    let permanent = text.contains("certificate") || text.contains("does not support");
    if permanent && !broke { ErrorKind::Config } else { ErrorKind::Unreachable }
}

impl<'a, R: RowReader> Rows<'a, R> {
    /// The result of a statement that is sent now.
    pub(super) fn new(stream: BoxStream<'a, sqlx::Result<R::Row>>, reader: R, vigil: &Vigil) -> Self {
        vigil.begins();
        Self { stream, reader, vigil: vigil.clone(), has_rows: false, ended: false }
    }

    /// Ready when the sink pauses, at the end, and when no more rows have arrived behind those it has taken.
    fn poll_rows(&mut self, context: &mut Context<'_>, sink: &mut dyn RowSink) -> Poll<Result<Option<StreamEnd>>> {
        let mut progressed = false;
        loop {
            match self.stream.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(row))) => {
                    (progressed, self.has_rows) = (true, true);
                    match self.reader.hand_out(&row, sink) {
                        Ok(Flow::Continue) => {}
                        Ok(Flow::Pause) => return Poll::Ready(Ok(Some(StreamEnd::Paused))),
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    self.ended = true;
                    let error = self.reader.failed(error);
                    // Where the connection broke the server may not know yet.
                    if error.kind() != ErrorKind::Unreachable {
                        self.vigil.ends();
                    }
                    return Poll::Ready(Err(error));
                }
                Poll::Ready(None) => {
                    self.ended = true;
                    self.vigil.ends();
                    return Poll::Ready(Ok(Some(StreamEnd::Exhausted)));
                }
                Poll::Pending if progressed => return Poll::Ready(Ok(None)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<R: RowReader> RowStream for Rows<'_, R> {
    fn next_rows<'s>(&'s mut self, sink: &'s mut dyn RowSink) -> BoxFuture<'s, Result<StreamEnd>> {
        Box::pin(async move {
            if self.ended {
                return Ok(StreamEnd::Exhausted);
            }
            let vigil = self.vigil.clone();
            // Only the wait for rows is measured, never what their reader waits for.
            vigil.hears();
            loop {
                let has_rows = self.has_rows;
                let next = poll_fn(|context| self.poll_rows(context, sink));
                let answer = vigil.rows(has_rows, next).await;
                match answer {
                    Ok(Ok(Some(end))) => return Ok(end),
                    Ok(Ok(None)) => vigil.hears(),
                    Ok(Err(error)) => return Err(error),
                    Err(error) => {
                        self.ended = true;
                        return Err(self.reader.located(error));
                    }
                }
            }
        })
    }
}

/// An empty vector with the allocation of `used`. The element types differ in lifetime only, so the
/// standard library collects in place.
pub(super) fn recycle<A, B>(mut used: Vec<A>) -> Vec<B> {
    used.clear();
    used.into_iter().filter_map(|_| None).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;

    #[test]
    fn a_connection_that_breaks_in_a_handshake_is_tried_again() {
        for (text, kind) in [
            ("unexpected EOF (self-signed certificate in certificate chain)", ErrorKind::Unreachable),
            ("Connection reset by peer (os error 104) (self-signed certificate)", ErrorKind::Unreachable),
            ("error:0A000126:SSL routines::unexpected eof while reading", ErrorKind::Unreachable),
            (
                "error:0A000086:SSL routines:tls_post_process_server_certificate:certificate verify failed",
                ErrorKind::Config,
            ),
            ("server does not support TLS", ErrorKind::Config),
        ] {
            assert_eq!(handshake_failure(text), kind, "{text}");
        }
    }

    #[test]
    fn a_row_buffer_keeps_its_allocation() {
        let first: Vec<Value<'static>> = Vec::with_capacity(32);
        let place = first.as_ptr() as usize;
        let text = String::from("borrowed");
        let mut second: Vec<Value<'_>> = recycle(first);
        second.push(Value::Text(text.as_str().into()));
        assert_eq!((second.capacity(), second.as_ptr() as usize), (32, place));
    }
}
