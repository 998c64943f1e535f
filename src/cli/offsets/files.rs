//! Offsets in files: the JSON of Connect's REST interface, and the file of a standalone worker. Offsets go to the topic
//! like every other change; a file is replaced at once or not at all.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Change, ConfigArgs, Stop, apply, load, one, output};
use crate::connector::{self, offset_tools};
use crate::error::{Error, ErrorKind, Result};
use crate::herder::OffsetChanges;
use crate::near::likeness;
use crate::offsets::format;
use crate::offsets::standalone::{self, Found};

/// The kind of a file.
pub(super) enum Place {
    /// As of `GET /connectors/NAME/offsets`; `-` is a pipe.
    Document(PathBuf),
    /// `offset.storage.file.filename`.
    Standalone(PathBuf),
}

impl Place {
    /// The place of the two forms of the arguments, one of which is given.
    pub(super) fn of(document: Option<PathBuf>, standalone: Option<PathBuf>) -> Self {
        match standalone {
            Some(file) => Place::Standalone(file),
            None => Place::Document(document.unwrap_or_else(|| "-".into())),
        }
    }
}

pub(super) async fn export(connector: &str, to: &Place, config: &ConfigArgs) -> Result<(), Stop> {
    let spec = one(connector, config)?;
    let stored = load(&spec, config).await?;
    let file = match to {
        Place::Standalone(file) => file,
        Place::Document(file) => {
            let offsets = stored.offsets.iter().map(|(partition, stored)| (partition, Some(&stored.offset)));
            return Ok(write_document(file, &format::to_rest(offsets))?);
        }
    };
    if stored.offsets.is_empty() {
        let error = Error::config("no offset is stored for this connector").with("topic", &spec.offsets.topic);
        return Err(error.advise("the file was left as it is").into());
    }
    let has_entries = std::fs::metadata(file).is_ok_and(|about| about.len() > 0);
    let known = if has_entries { connector::standalone::read(file)? } else { Vec::new() };
    let offsets = stored.offsets.into_iter().map(|(partition, stored)| (partition, stored.offset)).collect();
    let entries = standalone::replace(known, &spec.name, &offsets);
    let others = entries.len() - offsets.len();
    replace_file(file, &standalone::write(&entries))?;
    let alive = offset_tools::holders(&spec, config.timeout).await?;
    if !alive.is_empty() {
        let who: Vec<String> = alive.iter().map(ToString::to_string).collect();
        let who = who.join(", ");
        output::say(&format!("connector {} is running ({who}): stop it, then export again", spec.name));
    }
    output::say(&format!(
        "written: {} of connector {}; {} of others kept",
        output::count(offsets.len(), "offset"),
        spec.name,
        others,
    ));
    Ok(())
}

pub(super) async fn import(connector: &str, from: &Place, change: &Change, config: &ConfigArgs) -> Result<(), Stop> {
    let spec = one(connector, config)?;
    let changes = match from {
        Place::Document(file) => of_document(&spec.name, file)?,
        Place::Standalone(file) => {
            let found = standalone::of_connector(&spec.name, &connector::standalone::read(file)?)
                .map_err(|error| error.with("file", file.display()))?;
            tell(&spec.name, &found);
            if found.offsets.is_empty() {
                return Err(nothing_of(&spec.name, &found).with("file", file.display()).into());
            }
            found.offsets.into_iter().map(|(partition, offset)| (partition, Some(offset))).collect()
        }
    };
    let stored = load(&spec, config).await?;
    apply(&spec, &stored, changes.into(), change, config).await
}

fn of_document(connector: &str, file: &Path) -> Result<OffsetChanges> {
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        std::io::Read::read_to_end(&mut std::io::stdin(), &mut bytes).map(drop)
    } else {
        std::fs::read(file).map(|read| bytes = read)
    };
    read.map_err(|error| {
        Error::new(ErrorKind::Io, "cannot read the offsets").with("file", file.display()).caused_by(error)
    })?;
    if bytes.starts_with(standalone::MAGIC) {
        let error = Error::config("this is the file of a standalone worker, not JSON").with("file", file.display());
        return Err(error.advise("give it with --from-file"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        Error::config("offsets document: not UTF-8 text").with("file", file.display()).caused_by(error.utf8_error())
    })?;
    let changes = format::from_rest(connector, &text).map_err(|error| error.with("file", file.display()))?;
    if changes.is_empty() {
        return Err(Error::config("the file holds no offsets").with("file", file.display()));
    }
    Ok(changes)
}

/// Reports the entries of the file that are not written, and why.
fn tell(connector: &str, found: &Found) {
    for partition in &found.without_offset {
        output::say(&format!("skipped: {partition} has no offset in the file: it was reset, or read in bulk mode"));
    }
    for key in &found.malformed {
        let key: String = key.chars().take(200).collect();
        output::say(&format!("skipped: an entry that no JDBC source connector would look for: {key}"));
    }
    if !found.others.is_empty() {
        let names = nearest_first(connector, found);
        let number = found.others.values().sum();
        output::say(&format!("left: {} of other connectors: {}", output::count(number, "offset"), names.join(", ")));
    }
}

fn nothing_of(connector: &str, found: &Found) -> Error {
    if !found.without_offset.is_empty() {
        let error = Error::config(format!("none of the entries of connector `{connector}` has an offset"));
        return error.advise("there is no position to go on from; the first run reads from the beginning");
    }
    let names = nearest_first(connector, found);
    let advice = match names.as_slice() {
        [] => "it holds no offsets of any connector".to_owned(),
        names => format!("it has those of {}; the `name` must be the one of Kafka Connect", names.join(", ")),
    };
    Error::config(format!("the file has no offsets of connector `{connector}`")).advise(advice)
}

fn nearest_first(connector: &str, found: &Found) -> Vec<String> {
    let mut names: Vec<String> = found.others.keys().cloned().collect();
    let nearness = |name: &String| likeness(connector, name);
    names.sort_by(|one, other| nearness(other).total_cmp(&nearness(one)));
    names
}

pub(super) fn write_document(file: &Path, document: &str) -> Result<()> {
    if file == Path::new("-") {
        return output::print(&format!("{document}\n"));
    }
    std::fs::write(file, format!("{document}\n")).map_err(|error| cannot_write(file, error))
}

/// A file with offsets of others must not be left half written.
fn replace_file(file: &Path, bytes: &[u8]) -> Result<()> {
    let place = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let mut name = place.file_name().unwrap_or_default().to_owned();
    name.push(".rowtide");
    let beside = place.with_file_name(name);
    let written = std::fs::write(&beside, bytes).and_then(|()| match std::fs::metadata(&place) {
        // The worker must still be able to write it.
        Ok(known) => {
            std::os::unix::fs::chown(&beside, Some(known.uid()), Some(known.gid()))?;
            std::fs::set_permissions(&beside, known.permissions())
        }
        Err(_) => Ok(()),
    });
    written.and_then(|()| std::fs::rename(&beside, &place)).map_err(|error| {
        let _ = std::fs::remove_file(&beside);
        cannot_write(file, error)
    })
}

fn cannot_write(file: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "cannot write the offsets").with("file", file.display()).caused_by(error)
}
