//! The offsets file of a standalone worker, which its configuration names. Takes the file and the contents of the
//! offsets topic, and keeps a connector from reading rows again that were read already. Never writes, and no position
//! is read from the file but by an operator's `offsets import`.

use std::collections::HashMap;
use std::path::Path;

use crate::config::spec::ConnectorSpec;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Relation, SourceOffset, SourcePartition};
use crate::offsets::standalone::{self, Entry};
use crate::offsets::{OffsetStore, StoredOffset};
use crate::task::binding::stored_for;

/// The message of a start without the file and without offsets.
pub const NOT_THERE: &str =
    "the file of a standalone worker is not there; positions it may have elsewhere are not taken over";

/// The number of tables that a message names.
const SHOWN: usize = 5;

/// The entries of the file.
///
/// # Errors
/// `Io`, and those of [`standalone::parse`].
pub fn read(file: &Path) -> Result<Vec<Entry>> {
    let bytes = std::fs::read(file)
        .map_err(|error| Error::new(ErrorKind::Io, "cannot read the offsets of a standalone worker").caused_by(error));
    bytes.and_then(|bytes| standalone::parse(&bytes)).map_err(|error| error.with("file", file.display()))
}

/// The file the configuration names, if it is not there: a worker that has stored nothing yet, or one whose file
/// was left on another machine.
pub fn missing(spec: &ConnectorSpec) -> Option<&Path> {
    let file = spec.offsets.standalone_file.as_deref()?;
    let error = std::fs::metadata(file).err()?;
    (error.kind() == std::io::ErrorKind::NotFound).then_some(file)
}

/// A position in the file that the offsets topic does not have.
pub type Left<'a> = (&'a Relation, SourceOffset);

/// The selected relations that have a position in the file, if the configuration names one. A worker that has
/// stored nothing yet has no file, or an empty one.
///
/// # Errors
/// Those of [`read`]; `Offsets` if a position of the connector cannot be one.
pub fn positions<'a>(spec: &ConnectorSpec, relations: &'a [Relation]) -> Result<Vec<Left<'a>>> {
    let Some(file) = &spec.offsets.standalone_file else { return Ok(Vec::new()) };
    let is_empty = std::fs::metadata(file).is_ok_and(|about| about.len() == 0);
    if missing(spec).is_some() || is_empty || spec.is_bulk() {
        return Ok(Vec::new());
    }
    let found =
        standalone::of_connector(&spec.name, &read(file)?).map_err(|error| error.with("file", file.display()))?;
    let offsets: HashMap<_, _> = found.offsets.into_iter().collect();
    let position = |relation| Some((relation, stored_for(&spec.for_table(relation), &offsets)?.1.clone()));
    Ok(relations.iter().filter_map(position).collect())
}

/// The positions that would be passed over while the connector goes on with others. If it has no offset at all it would
/// read everything again, which nobody wants who names the file.
///
/// # Errors
/// `Refused`, with the command that takes the positions over.
pub fn passed_over<'a>(
    spec: &ConnectorSpec,
    left: Vec<Left<'a>>,
    stored: &HashMap<SourcePartition, StoredOffset>,
) -> Result<Vec<Left<'a>>> {
    let mut missing = left;
    missing.retain(|(relation, _)| stored_for(&spec.for_table(relation), stored).is_none());
    let Some(file) = spec.offsets.standalone_file.as_ref().filter(|_| stored.is_empty() && !missing.is_empty()) else {
        return Ok(missing);
    };
    let mut shown: Vec<String> =
        missing.iter().take(SHOWN).map(|(relation, offset)| format!("{relation} at {offset}")).collect();
    if missing.len() > SHOWN {
        shown.push(format!("{} more", missing.len() - SHOWN));
    }
    let what = format!("nothing is stored, but a standalone worker has read up to {}", shown.join("; "));
    let error = Error::new(ErrorKind::Refused, what).with("file", file.display()).with("topic", &spec.offsets.topic);
    Err(error.advise(format!(
        "`rowtide offsets import {} --from-file {}` (with the same --worker) continues from there; to read everything \
         again, take offset.storage.file.filename out of the configuration",
        spec.origin,
        file.display()
    )))
}

/// Looks at the file at the start of a connector, if there is one. Nothing has fenced yet, so the offsets read here
/// decide whether to start, never where (E2).
///
/// # Errors
/// Those of [`passed_over`] and of the store. A file that cannot be read at all is only said.
pub(super) async fn look(spec: &ConnectorSpec, store: &dyn OffsetStore, relations: &[Relation]) -> Result<()> {
    let left = match positions(spec, relations) {
        Ok(left) => left,
        Err(error) if error.kind() == ErrorKind::Offsets => return Err(error),
        Err(error) => {
            tracing::warn!(error = %error.report(), "offset.storage.file.filename is passed over");
            return Ok(());
        }
    };
    let missing = missing(spec);
    if left.is_empty() && missing.is_none() {
        return Ok(());
    }
    let stored = store.load(&spec.name).await?;
    if let Some(file) = missing.filter(|_| stored.offsets.is_empty() && !spec.is_bulk()) {
        tracing::warn!(file = %file.display(), "{}", NOT_THERE);
    }
    for (relation, position) in passed_over(spec, left, &stored.offsets)? {
        tracing::warn!(
            table = %relation, %position,
            "a standalone worker has a position of this table, the offsets topic has none: it is read as at a first run"
        );
    }
    Ok(())
}
