//! Files of the repository that hold what the binary prints; `UPDATE_GOLDEN=1` rewrites them.

use std::path::{Path, PathBuf};

/// A file of the repository.
pub fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// Compares a text with a file, whose path is that in the repository.
#[track_caller]
pub fn same_as_file(file: &str, text: &str) {
    let path = path(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("make the folder");
        std::fs::write(&path, text).expect("write");
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let line = known.lines().zip(text.lines()).position(|(one, other)| one != other);
    assert!(known == text, "{file} is stale from line {line:?} on; UPDATE_GOLDEN=1 rewrites it. Now:\n{text}");
}
