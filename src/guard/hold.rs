//! The method `hold`: no row is read that an open transaction may still precede. For rows that nothing tells apart. Keeps
//! the state of `window`.

use super::facts::{Facts, Missing, OnTimeout, Supported, joined};
use super::holding::{MOST_REMEMBERED, blocker, refused};
use super::level::Level;
use super::method::{Bound, Holding, Needs};
use super::window::{WORDS, resume};
use super::{CursorNeed, MethodDefinition};
use crate::error::Result;
use crate::model::{Micros, micros_of};

/// The method.
pub(super) static DEFINITION: MethodDefinition = MethodDefinition {
    name: "hold",
    level: Level::Hold,
    words: Some(WORDS),
    needs: Needs::Transactions,
    cursor: CursorNeed::Time,
    tables_only: false,
    databases: &[],
    requirement,
    bound,
    resume,
};

/// The longest wait that is not told as one.
const LONG_WAIT: Micros = 2_000_000;

fn requirement(facts: &Facts) -> Result<Supported, Missing> {
    let except = facts.writers.clone()?;
    let waits = "rows wait until every transaction has ended that was open before them";
    Ok(Supported { except: joined(&[waits, &facts.of_times(), &except]), ..Supported::default() })
}

/// The page ends at the low watermark, unless that is waited for too long.
fn bound(holding: &Holding<'_>) -> Result<Bound> {
    let Holding { at, seen, remembered } = holding;
    let watermark = at.facts.watermark(&seen.low, None);
    let waits = seen.low.clock.saturating_sub(watermark);
    let blocker = blocker(holding);
    if waits > micros_of(at.facts.settings.max_wait) {
        match at.facts.settings.on_timeout {
            OnTimeout::Fail => return Err(refused(&blocker)),
            OnTimeout::Rescan if *remembered <= MOST_REMEMBERED => {
                return Ok(Bound { level: Some(Level::Rescan), despite: Some(blocker), ..Bound::default() });
            }
            OnTimeout::Rescan | OnTimeout::Hold => {}
        }
    }
    // A moment's wait is not told.
    let is_long = waits > LONG_WAIT && seen.low.oldest.is_some();
    let upper = Some(at.value(at.facts.clock.lowest_from(watermark))?);
    Ok(Bound { upper, blocker: is_long.then_some(blocker), ..Bound::default() })
}
