//! SQLite: the grammar of its URLs and the meaning of its parameters (`connector-config.md`, 12.1 and 12.4).
//! rowtide only reads, so what changes the file (journal mode and the like) has no effect.

use super::{Address, Meaning, Rules, decode, query_parameters};

/// Parameters that stay for the dialect.
const HONOURED: &[&str] = &[
    "busy_timeout",
    "cache",
    "cache_size",
    "date_class",
    "date_precision",
    "date_string_format",
    "immutable",
    "mmap_size",
    "mode",
    "read_uncommitted",
    "temp_store",
    "vfs",
];

/// Parameters that would change the file, or are the driver's own.
const IGNORED: &[&str] = &[
    "auto_vacuum",
    "case_sensitive_like",
    "count_changes",
    "default_cache_size",
    "encoding",
    "explicit_readonly",
    "foreign_keys",
    "full_column_names",
    "fullsync",
    "incremental_vacuum",
    "jdbc.explicit_readonly",
    "jdbc.get_generated_keys",
    "journal_mode",
    "journal_size_limit",
    "legacy_file_format",
    "locking_mode",
    "max_page_count",
    "nolock",
    "open_mode",
    "page_size",
    "password",
    "psow",
    "recursive_triggers",
    "reverse_unordered_selects",
    "secure_delete",
    "shared_cache",
    "short_column_names",
    "synchronous",
    "temp_store_directory",
    "transaction_mode",
    "user",
    "user_version",
];

/// Every name there is.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    HONOURED.iter().chain(IGNORED).copied()
}

/// The address after `sqlite:`: a path, `:memory:`, nothing, or a `file:` URI; natively also `//path`.
pub(super) fn address(rest: &str, is_jdbc: bool) -> Result<Address, String> {
    if rest.starts_with(":resource:") {
        return Err("`:resource:` is a file inside of a Java archive; give the path of a file".to_owned());
    }
    let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let path = match path.strip_prefix("file:") {
        Some(uri) => {
            let local = match uri.strip_prefix("//") {
                Some(after) => {
                    let after = after.strip_prefix("localhost").unwrap_or(after);
                    if !after.starts_with('/') {
                        return Err("a file: URI cannot name another host; write file:/path or file:///path".to_owned());
                    }
                    after
                }
                None => uri,
            };
            decode(local)?
        }
        None if is_jdbc => path.to_owned(),
        None => decode(path.strip_prefix("//").unwrap_or(path))?,
    };
    if path.contains('\0') {
        return Err("has a NUL byte in the path".to_owned());
    }
    let database = if path.is_empty() { ":memory:".to_owned() } else { path };
    let parameters = query_parameters(parameters, false)?;
    Ok(Address { dialect: "sqlite", rules: Rules::Sqlite, hosts: Vec::new(), database: Some(database), parameters })
}

/// The meaning of a parameter.
pub(super) fn meaning(name: &str, value: &str) -> Meaning {
    let lower = name.to_lowercase();
    let upper = value.to_uppercase();
    let one_of = |words: &[&str]| words.contains(&upper.as_str());
    match lower.as_str() {
        "date_class" if !one_of(&["INTEGER", "TEXT", "REAL"]) => {
            Meaning::Refuse("must be one of INTEGER, TEXT, REAL".to_owned())
        }
        "date_precision" if !one_of(&["SECONDS", "MILLISECONDS"]) => {
            Meaning::Refuse("must be one of SECONDS, MILLISECONDS".to_owned())
        }
        "date_class" => Meaning::Keep("date_class", upper),
        "date_precision" => Meaning::Keep("date_precision", upper),
        "busy_timeout" if value.trim().parse::<u32>().is_err() => {
            Meaning::Refuse("must be a number of milliseconds".to_owned())
        }
        "enable_load_extension" if upper == "TRUE" => {
            Meaning::Refuse("extensions are not loaded; remove it".to_owned())
        }
        "enable_load_extension" => Meaning::Ignore,
        _ => match HONOURED.iter().find(|known| **known == lower) {
            Some(known) => Meaning::Keep(known, value.to_owned()),
            None if IGNORED.contains(&lower.as_str()) || lower.starts_with("limit_") => Meaning::Ignore,
            None => Meaning::Unknown,
        },
    }
}
