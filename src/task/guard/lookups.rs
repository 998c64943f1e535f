//! Answers to the questions of a method about a relation.

use super::observer::family;
use super::stream::read_fingerprints;
use super::{At, Observer};
use crate::dialect::SourceConnection;
use crate::error::{Error, ErrorKind, Result};
use crate::guard::{self, Answer, Before, Facts, Poll, Question, ReadPlan, SeenView, Turn};
use crate::model::{CursorValue, Micros, PastView, Position};

/// The connection and the relation for the questions of a poll.
pub(super) struct Lookups<'a> {
    pub(super) at: At<'a>,
    pub(super) view: &'a SeenView,
    pub(super) facts: &'a Facts,
}

impl Lookups<'_> {
    /// The late queries of a poll, once its questions are answered.
    ///
    /// # Errors
    /// Those of the connection.
    pub(super) async fn plan(
        &self,
        here: &guard::At<'_>,
        poll: &mut dyn Poll,
        connection: &mut dyn SourceConnection,
        observer: &mut Observer,
    ) -> Result<ReadPlan> {
        let mut answer = None;
        loop {
            match poll.next(here, answer.take())? {
                Turn::Read(plan) => return Ok(plan),
                Turn::Ask(question) => answer = Some(self.answer(question, connection, observer).await?),
            }
        }
    }

    async fn answer(
        &self,
        question: Question,
        connection: &mut dyn SourceConnection,
        observer: &mut Observer,
    ) -> Result<Answer> {
        let Self { at, view, facts } = self;
        let (planner, definition) = (&at.binding.planner, &at.binding.definition);
        Ok(match question {
            Question::GreatestId => Answer::GreatestId(match planner.extreme_probe() {
                Some(probe) => connection.probe(&probe).await?,
                None => None,
            }),
            Question::Storage => {
                Answer::Storage(family(connection.snapshot_views())?.storage(&definition.relation).await?)
            }
            Question::Window { from } => {
                let query = at.position.and_then(|position| planner.window(&from, position));
                let query = query.ok_or_else(|| Error::internal("a window ends at a position"))?;
                Answer::Window(read_fingerprints(connection, definition, &query, facts.is_table).await?)
            }
            Question::WindowBefore { from, as_of, by_content } => {
                let (SeenView::AsOf(now), Some(upto)) = (view, at.position) else {
                    return Err(Error::internal("the past is asked for inside a view of now"));
                };
                let window = Window { from: &from, upto, by_content, now: *now, as_of };
                Answer::Before(before(*at, connection, observer, &window).await?)
            }
        })
    }
}

/// The part of a table where late rows can be.
struct Window<'a> {
    from: &'a CursorValue<'static>,
    upto: &'a Position,
    by_content: bool,
    /// The view that is open.
    now: PastView,
    /// The time that is asked for.
    as_of: Micros,
}

/// The window as it was at a time, unless it is the same as now. The view as of now is open before and after.
async fn before(
    at: At<'_>,
    connection: &mut dyn SourceConnection,
    observer: &mut Observer,
    window: &Window<'_>,
) -> Result<Before> {
    let (planner, definition) = (&at.binding.planner, &at.binding.definition);
    let checksum = planner.window_checksum(window.from, window.upto, (definition, window.by_content));
    let sum_now = match &checksum {
        Some(checksum) => connection.probe(checksum).await?,
        None => None,
    };
    observer.release(connection).await?;
    let read = async {
        let past = family(connection.past_reads())?.begin_past(Some(window.as_of)).await?;
        if past.as_of < past.horizon {
            return Ok(Before::Forgotten);
        }
        if let Some(checksum) = &checksum
            && connection.probe(checksum).await? == sum_now
        {
            return Ok(Before::Same);
        }
        let Some(query) = planner.window(window.from, window.upto) else { return Ok(Before::Rows(Default::default())) };
        Ok(Before::Rows(read_fingerprints(connection, definition, &query, window.by_content).await?))
    };
    let read: Result<Before> = read.await;
    let before = match read {
        Err(error) if is_another(&error) => Before::Forgotten,
        read => read?,
    };
    connection.end_view().await?;
    observer.reopen(connection, window.now).await?;
    Ok(before)
}

/// True if an error says that the table was another one then, or none at all.
pub(super) fn is_another(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::SourceSchema | ErrorKind::SchemaChanged)
}
