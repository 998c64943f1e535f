//! Tables that a task meets for the first time, bound together: one after the other they are described, on the task's
//! connection, then their topics and schemas are asked for side by side. A table whose binding fails here is bound again
//! at its own turn, where its error counts.

use futures_util::StreamExt;
use futures_util::stream;

use super::polled::Polled;
use super::start::Described;
use super::step::Context;
use crate::error::{Directive, ErrorKind};

/// The number of tables that are bound together. The first record of the first one waits for them.
pub(super) const TOGETHER: usize = 16;

/// Binds tables that have never been polled. False if something that all of them need does not answer, so that it is not
/// worth to go on like this.
pub(super) async fn bind(tables: &mut [Polled], places: &[usize], cx: &mut Context<'_>) -> bool {
    let parts = cx.parts;
    let mut described = Vec::with_capacity(places.len());
    for place in places {
        let table = &mut tables[*place];
        if let Some(vigil) = cx.connection.vigil() {
            vigil.bound_for(&table.spec.relation, table.spec.statement_timeout);
        }
        match table.describe(cx).await {
            Ok(found) => described.push((*place, found)),
            Err(error) if error.kind() == ErrorKind::Unreachable => return false,
            Err(error) => {
                tracing::debug!(table = %table.name, error = %error.report(), "not bound with the others");
            }
        }
    }
    let shared: &[Polled] = tables;
    let outfit = |(place, described): (usize, Described)| async move {
        let encoder = shared[place].encoder(parts, &described).await;
        (place, described, encoder)
    };
    let outfitted: Vec<_> = stream::iter(described).map(outfit).buffer_unordered(TOGETHER).collect().await;
    let mut all_answer = true;
    for (place, described, encoder) in outfitted {
        let table = &mut tables[place];
        match encoder {
            Ok(encoder) => table.take(parts, described, encoder),
            Err(error) => {
                tracing::debug!(table = %table.name, error = %error.report(), "not bound with the others");
                all_answer &= error.kind().directive() != Directive::Retry;
            }
        }
    }
    all_answer
}
