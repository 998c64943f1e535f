//! The row loop that dialects share. Rows that have arrived are handed to the sink without awaiting; while none
//! come, the session's [`Vigil`] decides how long they are waited for.

use std::future::poll_fn;
use std::task::{Context, Poll};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use super::page::{PageDecoder, PageReader};
use super::stream::{Flow, RowSink, RowStream, StreamEnd};
use super::vigil::Vigil;
use crate::error::{ErrorKind, Result};

/// The open result of a page.
pub(super) struct Rows<'a, D: PageDecoder> {
    stream: BoxStream<'a, sqlx::Result<D::Row>>,
    reader: PageReader<'a, D>,
    vigil: Vigil,
    has_rows: bool,
    ended: bool,
}

impl<'a, D: PageDecoder> Rows<'a, D> {
    /// The result of a statement that is sent now.
    pub(super) fn new(stream: BoxStream<'a, sqlx::Result<D::Row>>, reader: PageReader<'a, D>, vigil: &Vigil) -> Self {
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

impl<D: PageDecoder> RowStream for Rows<'_, D> {
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
