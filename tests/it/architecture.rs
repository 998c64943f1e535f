//! The house is held by a test (CONTRIBUTING.md, "Who may import whom"): imports run strictly downward, and
//! each driver crate is known in one module only.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Modules in order of their level; a module may import those of lower levels, and those named beside it.
const LEVELS: &[(&str, u8, &[&str])] = &[
    ("error", 0, &[]),
    ("zone", 0, &[]),
    ("sql", 0, &[]),
    ("model", 0, &["error", "zone"]),
    ("retry", 1, &[]),
    ("setting", 1, &[]),
    ("tls", 1, &[]),
    ("convert", 1, &["retry", "setting", "tls"]),
    ("transform", 1, &["convert"]),
    ("config", 1, &["convert", "retry", "setting", "transform"]),
    ("status", 1, &[]),
    ("telemetry", 1, &["status"]),
    ("dialect", 2, &[]),
    ("kafka", 2, &[]),
    ("plan", 3, &[]),
    ("guard", 3, &[]),
    ("reader", 3, &[]),
    ("offsets", 3, &[]),
    ("task", 4, &[]),
    ("connector", 5, &[]),
    ("http", 6, &[]),
    ("embedded", 6, &[]),
    ("cli", 6, &["http", "embedded"]),
    ("fuzz", 6, &[]),
    ("main", 7, &[]),
];

/// What a module of a lower level may still not touch.
const FORBIDDEN: &[(&str, &str)] = &[
    ("plan", "kafka"),
    ("plan", "convert"),
    ("plan", "config"),
    ("guard", "config"),
    ("guard", "dialect"),
    ("guard", "kafka"),
    ("reader", "kafka"),
    ("reader", "convert"),
    ("offsets", "dialect"),
    ("http", "connector"),
    ("http", "task"),
];

/// Where a crate may be named.
const CRATES: &[(&str, &[&str])] = &[
    ("sqlx", &["dialect", "embedded"]),
    ("rdkafka", &["kafka", "embedded"]),
    ("openssl", &["tls"]),
    ("apache_avro", &["convert", "embedded"]),
    ("schema_registry_converter", &["convert"]),
    ("reqwest", &["convert"]),
    ("axum", &["http", "embedded"]),
    ("clap", &["cli"]),
];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("src") {
        let path = entry.expect("an entry").path();
        if path.file_stem().is_some_and(|name| name == "tests") {
            // Tests in files of their own.
            continue;
        }
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Source text without tests and comments, by top-level module.
fn modules() -> BTreeMap<String, Vec<(PathBuf, String)>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    files(&root, &mut paths);
    let mut modules: BTreeMap<String, Vec<(PathBuf, String)>> = BTreeMap::new();
    for path in paths {
        let inside = path.strip_prefix(&root).expect("below src");
        if inside.components().any(|part| part.as_os_str().to_string_lossy().starts_with("tests")) {
            continue;
        }
        let first = inside.components().next().expect("a part").as_os_str().to_string_lossy();
        let module = first.trim_end_matches(".rs").to_owned();
        let text = std::fs::read_to_string(&path).expect("a source file");
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        modules.entry(module).or_default().push((inside.to_owned(), code.join("\n")));
    }
    modules
}

/// The names that follow a prefix such as `crate::`, also those in `crate::{a, b}`.
fn named_after(code: &str, prefix: &str) -> BTreeSet<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => {
                let group = group.split("};").next().unwrap_or_default();
                names.extend(group.split(',').map(|part| word(part.trim())));
            }
            None => {
                names.insert(word(rest));
            }
        }
    }
    names
}

#[test]
fn imports_run_strictly_downward() {
    let level: BTreeMap<&str, (u8, &[&str])> =
        LEVELS.iter().map(|(name, level, peers)| (*name, (*level, *peers))).collect();
    let mut wrong = Vec::new();
    for (module, files) in modules() {
        if module == "lib" {
            continue;
        }
        let (own, peers) = level.get(module.as_str()).unwrap_or_else(|| panic!("module {module} has no level"));
        for (path, code) in files {
            for used in named_after(&code, "crate::") {
                let Some((other, _)) = level.get(used.as_str()) else { continue };
                let downward = other < own || used == module || peers.contains(&used.as_str());
                if !downward || FORBIDDEN.contains(&(module.as_str(), used.as_str())) {
                    wrong.push(format!("{} names crate::{used}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_driver_crate_is_named_in_its_module_only() {
    let mut wrong = Vec::new();
    for (module, files) in modules() {
        for (path, code) in files {
            for (name, homes) in CRATES {
                let named = code.contains(&format!("{name}::")) || code.contains(&format!("use {name};"));
                if named && !homes.contains(&module.as_str()) {
                    wrong.push(format!("{} names {name}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Files outside of the rooms that spawn tasks which spawn one, and why it needs no supervision.
const SPAWN_TOO: &[(&str, &str)] = &[
    ("dialect/tunnel.rs", "it carries the bytes of one connection, and ends with it"),
    ("dialect/vigil.rs", "it cancels a statement that nobody waits for any more, within a deadline"),
];

#[test]
fn only_the_connector_and_the_commands_spawn_tasks() {
    let mut wrong = Vec::new();
    for (module, files) in modules() {
        for (path, code) in files {
            let spawns = ["tokio::spawn(", "runtime.spawn(", "JoinSet::new()"].iter().any(|call| code.contains(call));
            let is_known = SPAWN_TOO.iter().any(|(file, _)| path.ends_with(file));
            if spawns && !is_known && !["connector", "cli", "embedded", "http"].contains(&module.as_str()) {
                wrong.push(path.display().to_string());
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
