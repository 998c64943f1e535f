//! Connectors as files of a folder (`--config-dir`): one `NAME.json` each, in the form in which a connector is given to
//! Kafka Connect, with the state it is meant to be in beside its settings. A file that somebody else has put there is taken
//! as well. A file is replaced at once or not at all; one worker at a time has the folder.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{Change, ConfigStore, Kept, SettingMap};
use crate::config::Document;
use crate::error::{Error, ErrorKind, Result};
use crate::herder::TargetState;
use crate::lock::locked;
use crate::model::Hash;

/// The characters that are not encoded in the name of a file.
const SAFE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');
/// Longer names of files do not exist on most systems.
const LONGEST: usize = 240;

/// The store in a folder.
pub struct FolderStore {
    folder: PathBuf,
    /// Held as long as the store lives.
    _lock: File,
    known: Mutex<BTreeMap<String, Entry>>,
}

struct Entry {
    file: PathBuf,
    settings: SettingMap,
    target: TargetState,
}

impl FolderStore {
    /// Takes possession of a folder, which is made if it is missing.
    ///
    /// # Errors
    /// `Io`; `Refused` if another worker has it.
    pub fn open(folder: &Path) -> Result<Self> {
        let failed = |what: &str, error: io::Error| {
            Error::new(ErrorKind::Io, what).with("folder", folder.display()).caused_by(error)
        };
        fs::create_dir_all(folder).map_err(|error| failed("the folder of connectors cannot be made", error))?;
        let lock = File::create(folder.join(".lock"))
            .map_err(|error| failed("the folder of connectors cannot be written", error))?;
        lock.try_lock().map_err(|_| {
            Error::new(ErrorKind::Refused, "another worker keeps its connectors in this folder")
                .with("folder", folder.display())
                .advise("give each worker a --config-dir of its own, or stop the other one")
        })?;
        Ok(Self { folder: folder.to_owned(), _lock: lock, known: Mutex::default() })
    }

    fn read(&self) -> io::Result<Vec<Kept>> {
        let mut files: Vec<PathBuf> =
            fs::read_dir(&self.folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
        files.retain(|file| file.extension().is_some_and(|extension| extension == "json") && file.is_file());
        files.sort();
        let mut kept: BTreeMap<String, Kept> = BTreeMap::new();
        for file in files {
            let one = self.read_file(&file);
            if kept.contains_key(&one.name) {
                tracing::warn!(file = %file.display(), connector = %one.name, "a second file of this connector is passed over");
                continue;
            }
            let (settings, target) = (one.settings.clone().unwrap_or_default(), one.target);
            locked(&self.known).insert(one.name.clone(), Entry { file, settings, target });
            kept.insert(one.name.clone(), one);
        }
        Ok(kept.into_values().collect())
    }

    /// A file that cannot be read is a connector that cannot run, under the file's name.
    fn read_file(&self, file: &Path) -> Kept {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let read = || -> Result<(String, SettingMap, TargetState), String> {
            let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
            let mut value: Value = serde_json::from_str(&text).unwrap_or_default();
            let target = value.as_object_mut().and_then(|object| object.shift_remove("initial_state"));
            let text = if value.is_object() { value.to_string() } else { text };
            let document = Document::parse(&file.display().to_string(), &text).map_err(|report| report.to_string())?;
            if let Some(problem) = document.problems.first() {
                return Err(problem.to_string());
            }
            let mut settings = raw(&document);
            let name = settings.entry("name".to_owned()).or_insert(stem.clone()).clone();
            Ok((name, settings, target_of(target.as_ref().and_then(Value::as_str))?))
        };
        match read() {
            Ok((name, settings, target)) => Kept { name, settings: Ok(settings), target },
            Err(reason) => Kept { name: stem, settings: Err(reason), target: TargetState::Running },
        }
    }

    fn change(&self, change: &Change) -> io::Result<()> {
        let mut known = locked(&self.known);
        let (name, entry) = match change {
            Change::Removed { name } => {
                if let Some(entry) = known.get(name) {
                    fs::remove_file(&entry.file)?;
                    self.persist()?;
                }
                known.remove(name);
                return Ok(());
            }
            Change::Settings { name, settings, target } => {
                let former = known.get(name);
                let target = target.or(former.map(|former| former.target)).unwrap_or(TargetState::Running);
                let file = former.map_or_else(|| self.file_of(name), |former| former.file.clone());
                (name, Entry { file, settings: settings.clone(), target })
            }
            Change::Target { name, target } => {
                let Some(former) = known.get(name) else { return Ok(()) };
                (name, Entry { file: former.file.clone(), settings: former.settings.clone(), target: *target })
            }
        };
        let state = word(entry.target);
        let document = json!({"name": name, "config": entry.settings, "initial_state": state});
        let beside = entry.file.with_extension("json.new");
        let text = serde_json::to_string_pretty(&document).map_err(io::Error::other)?;
        // It may hold passwords.
        let mut file = private(&beside)?;
        file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n"))?;
        file.sync_all()?;
        fs::rename(&beside, &entry.file)?;
        self.persist()?;
        known.insert(name.clone(), entry);
        Ok(())
    }

    fn file_of(&self, name: &str) -> PathBuf {
        let mut stem = utf8_percent_encode(name, SAFE).to_string();
        if stem.starts_with('.') {
            stem.replace_range(0..1, "%2E");
        }
        if stem.len() > LONGEST {
            // The name itself stands in the file.
            stem.truncate(LONGEST - 20);
            stem.push_str(&format!("-{:016x}", Hash::default().with(name.as_bytes()).whole()));
        }
        self.folder.join(format!("{stem}.json"))
    }

    /// The folder's entries, too, are to be there after a crash.
    fn persist(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

impl ConfigStore for FolderStore {
    fn load(&self) -> BoxFuture<'_, Result<Vec<Kept>>> {
        let read = self.read().map_err(|error| {
            Error::new(ErrorKind::Io, "the folder of connectors cannot be read")
                .with("folder", self.folder.display())
                .caused_by(error)
        });
        std::future::ready(read).boxed()
    }

    fn write(&self, change: Change) -> BoxFuture<'_, Result<()>> {
        let written = self.change(&change).map_err(|error| {
            Error::new(ErrorKind::Io, "a connector cannot be kept in its file")
                .with("folder", self.folder.display())
                .caused_by(error)
        });
        std::future::ready(written).boxed()
    }

    fn place(&self) -> String {
        format!("folder {}", self.folder.display())
    }
}

/// A new file that only its owner may read.
fn private(file: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)
}

/// Settings as they are written.
fn raw(document: &Document) -> SettingMap {
    document.entries.iter().map(|(key, entry)| (key.clone(), entry.raw.clone())).collect()
}

fn word(target: TargetState) -> &'static str {
    match target {
        TargetState::Running => "RUNNING",
        TargetState::Paused => "PAUSED",
        TargetState::Stopped => "STOPPED",
    }
}

fn target_of(word: Option<&str>) -> Result<TargetState, String> {
    match word {
        None | Some("RUNNING") => Ok(TargetState::Running),
        Some("PAUSED") => Ok(TargetState::Paused),
        Some("STOPPED") => Ok(TargetState::Stopped),
        Some(other) => Err(format!("initial_state is `{other}`; RUNNING, PAUSED and STOPPED are known")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(name: &str) -> SettingMap {
        [("name", name), ("mode", "bulk")].map(|(key, value)| (key.to_owned(), value.to_owned())).into()
    }

    fn load(store: &FolderStore) -> Vec<(String, Option<SettingMap>, TargetState)> {
        let kept = store.read().unwrap();
        kept.into_iter().map(|kept| (kept.name, kept.settings.ok(), kept.target)).collect()
    }

    #[test]
    fn what_was_said_last_is_found_again_whatever_the_names_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("connectors");
        let store = FolderStore::open(&path).unwrap();
        assert!(FolderStore::open(&path).is_err_and(|error| error.kind() == ErrorKind::Refused));
        let long = "ä".repeat(200);
        let names = ["a/b c", "..", "ä", long.as_str(), "gone"];
        for name in names {
            let target = Some(TargetState::Stopped);
            store.change(&Change::Settings { name: name.to_owned(), settings: settings(name), target }).unwrap();
        }
        store.change(&Change::Removed { name: "gone".to_owned() }).unwrap();
        store.change(&Change::Target { name: "ä".to_owned(), target: TargetState::Paused }).unwrap();
        // Other settings keep the state.
        store.change(&Change::Settings { name: "..".to_owned(), settings: settings(".."), target: None }).unwrap();
        drop(store);
        let mut expected: Vec<_> = names[..4]
            .iter()
            .map(|name| {
                let target = if *name == "ä" { TargetState::Paused } else { TargetState::Stopped };
                ((*name).to_owned(), Some(settings(name)), target)
            })
            .collect();
        expected.sort_by(|one, other| one.0.cmp(&other.0));
        let store = FolderStore::open(&path).unwrap();
        assert_eq!(load(&store), expected);
        assert!(fs::read_dir(&path).unwrap().all(|entry| entry.unwrap().path().parent() == Some(path.as_path())));
    }

    #[test]
    fn files_of_others_are_taken_and_a_broken_one_is_a_connector_that_cannot_run() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        put("given.json", r#"{"name": "orders", "config": {"mode": "bulk"}}"#);
        put("flat.json", r#"{"mode": "bulk"}"#);
        put("broken.json", r#"{"connection.password": "hush""#);
        put("notes.txt", "no connector");
        let store = FolderStore::open(folder.path()).unwrap();
        let kept = store.read().unwrap();
        let names: Vec<_> = kept.iter().map(|kept| (kept.name.as_str(), kept.settings.is_ok())).collect();
        assert_eq!(names, [("broken", false), ("flat", true), ("orders", true)]);
        let reason = kept[0].settings.clone().unwrap_err();
        assert!(reason.contains("not valid JSON") && !reason.contains("hush"), "{reason}");
        // A change goes to the file it came from.
        store.change(&Change::Target { name: "orders".to_owned(), target: TargetState::Paused }).unwrap();
        let text = fs::read_to_string(folder.path().join("given.json")).unwrap();
        assert!(text.contains("\"initial_state\": \"PAUSED\""), "{text}");
    }
}
