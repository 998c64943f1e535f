//! The source of `src`, read as text: modules by their path, without tests and comments, and what each names of others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A module: its path below the crate (`task::late`), none for `lib.rs` and `main.rs`.
pub type ModulePath = Vec<String>;

/// A file of `src`.
pub struct Module {
    /// Below `src`.
    pub file: PathBuf,
    /// The text without tests and comments.
    pub code: String,
    /// The first line of each doc comment, with its number.
    pub headlines: Vec<(usize, String)>,
    /// Names that stand for something of another module: by `use`, each with the path it was written with.
    uses: Vec<Use>,
}

struct Use {
    /// As written, with `self`, `super` or `crate` in front, or a name.
    path: Vec<String>,
    /// The name it has here; `*` for all.
    name: String,
    /// Only handed on.
    is_public: bool,
}

pub struct Source {
    pub modules: BTreeMap<ModulePath, Module>,
}

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

/// The first line of each doc comment of a text, with its number from 1.
fn headlines(text: &str) -> Vec<(usize, String)> {
    let doc = |line: &str| {
        let line = line.trim_start();
        line.strip_prefix("/// ").or_else(|| line.strip_prefix("//! ")).map(str::to_owned)
    };
    let is_doc = |line: &str| line.trim_start().starts_with("///") || line.trim_start().starts_with("//!");
    let lines: Vec<&str> = text.lines().collect();
    let begins = (0..lines.len()).filter(|at| *at == 0 || !is_doc(lines[at - 1]));
    begins.filter_map(|at| Some((at + 1, doc(lines[at])?))).collect()
}

impl Source {
    pub fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut paths = Vec::new();
        files(&root, &mut paths);
        let mut modules = BTreeMap::new();
        for path in paths {
            let file = path.strip_prefix(&root).expect("below src").to_owned();
            let text = std::fs::read_to_string(&path).expect("a source file");
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            let code = code.join("\n");
            let name = module_path(&file);
            modules.insert(name, Module { uses: uses(&code), file, code, headlines: headlines(text) });
        }
        Self { modules }
    }

    /// Every path a module names by `use` or in its code, from the crate on, as written.
    pub fn named(&self, module: &ModulePath) -> BTreeSet<Vec<String>> {
        let found = &self.modules[module];
        let from_uses = found.uses.iter().filter_map(|used| self.absolute(module, &used.path));
        let inline = inline(&found.code).into_iter().filter_map(|path| self.absolute(module, &path));
        from_uses.chain(inline).collect()
    }

    /// The modules a module needs something of. What it only hands on (`pub use`) it does not need.
    pub fn needs(&self, module: &ModulePath) -> BTreeSet<ModulePath> {
        let found = &self.modules[module];
        let from_uses = found.uses.iter().filter(|used| !used.is_public).map(|used| used.path.clone());
        let paths = from_uses.chain(inline(&found.code)).filter_map(|path| self.absolute(module, &path));
        paths.filter_map(|path| self.home(&path, 8)).filter(|home| home != module).collect()
    }

    /// From the crate on; none for what is not of this crate.
    fn absolute(&self, module: &ModulePath, path: &[String]) -> Option<Vec<String>> {
        let mut at = module.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => {
                at.clear();
                rest = &path[1..];
            }
            "self" => rest = &path[1..],
            "super" => {}
            // A child of this module, by its name.
            name => {
                at.push(name.to_owned());
                return self.modules.contains_key(&at).then(|| [module.as_slice(), path].concat());
            }
        }
        while rest.first().is_some_and(|part| part == "super") {
            at.pop();
            rest = &rest[1..];
        }
        at.extend(rest.iter().cloned());
        Some(at)
    }

    /// The module that defines what a path leads to: names that are handed on are followed.
    fn home(&self, path: &[String], depth: usize) -> Option<ModulePath> {
        let length = (1..=path.len()).rev().find(|length| self.modules.contains_key(&path[..*length]))?;
        let (module, rest) = path.split_at(length);
        let module = module.to_vec();
        let handed_on = rest.first().filter(|_| depth > 0).and_then(|name| {
            let used = self.modules[&module].uses.iter().find(|used| used.name == *name)?;
            self.home(&self.absolute(&module, &used.path)?, depth - 1)
        });
        Some(handed_on.unwrap_or(module))
    }
}

fn module_path(file: &Path) -> ModulePath {
    let mut parts: ModulePath =
        file.iter().map(|part| part.to_string_lossy().trim_end_matches(".rs").to_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// The `use` declarations of a file, one for each name.
fn uses(code: &str) -> Vec<Use> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("use ") {
        let line = rest[..at].rfind('\n').map_or(0, |end| end + 1);
        let before = rest[line..at].trim();
        let (declaration, after) = rest[at + 4..].split_once(';').unwrap_or((&rest[at + 4..], ""));
        if before.is_empty() || (before.starts_with("pub") && !before.contains(' ')) {
            tree(declaration, &[], !before.is_empty(), &mut found);
            rest = after;
        } else {
            rest = &rest[at + 4..];
        }
    }
    found
}

/// Takes a tree of `use` apart: `a::{b, c::{self, d as e}, *}`.
fn tree(text: &str, prefix: &[String], is_public: bool, found: &mut Vec<Use>) {
    let text = text.trim();
    let (path, group) = match text.split_once('{') {
        Some((path, group)) => (path, group.trim_end().strip_suffix('}')),
        None => (text, None),
    };
    let (path, alias) = path.split_once(" as ").map_or((path, None), |(path, alias)| (path, Some(alias.trim())));
    let parts = path.split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned);
    let mut full: Vec<String> = prefix.iter().cloned().chain(parts).collect();
    if let Some(group) = group {
        for part in top_level(group) {
            tree(part, &full, is_public, found);
        }
        return;
    }
    if full.len() > 1 && full.last().is_some_and(|last| last == "self") {
        full.pop();
    }
    if let Some(last) = full.last().cloned() {
        if last == "*" {
            full.pop();
        }
        found.push(Use { name: alias.map_or(last, str::to_owned), path: full, is_public });
    }
}

/// The parts between commas that stand in no braces.
fn top_level(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&group[start..]);
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect()
}

/// The paths in code outside of `use`: words joined by `::`.
fn inline(code: &str) -> Vec<Vec<String>> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for line in code.lines() {
        let trimmed = line.trim_start();
        if trimmed.starts_with("use ") || trimmed.starts_with("pub use ") {
            continue;
        }
        for token in line.split(|c: char| !is_word(c) && c != ':') {
            let parts: Vec<String> =
                token.split("::").filter(|part| !part.is_empty() && !part.contains(':')).map(str::to_owned).collect();
            if parts.len() > 1 && !token.starts_with(':') {
                found.push(parts);
            }
        }
    }
    found
}

/// The circles of a graph: sets of nodes each of which leads to every other.
pub fn circles(edges: &BTreeMap<ModulePath, BTreeSet<ModulePath>>) -> Vec<BTreeSet<ModulePath>> {
    let nodes: Vec<&ModulePath> = edges.keys().collect();
    let to: Vec<Vec<usize>> =
        edges.values().map(|to| to.iter().filter_map(|node| nodes.binary_search(&node).ok()).collect()).collect();
    let reached = |from: usize| {
        let (mut seen, mut open) = (vec![false; nodes.len()], vec![from]);
        while let Some(next) = open.pop() {
            for &node in &to[next] {
                if !std::mem::replace(&mut seen[node], true) {
                    open.push(node);
                }
            }
        }
        seen
    };
    let all: Vec<Vec<bool>> = (0..nodes.len()).map(reached).collect();
    let circle_of =
        |node: usize| (0..nodes.len()).filter(|&other| all[node][other] && all[other][node]).collect::<Vec<_>>();
    let circles: BTreeSet<BTreeSet<ModulePath>> =
        (0..nodes.len()).map(|node| circle_of(node).into_iter().map(|other| nodes[other].clone()).collect()).collect();
    circles.into_iter().filter(|circle| !circle.is_empty()).collect()
}

#[test]
fn paths_are_read_as_rust_reads_them() {
    let code = "use super::{a, b::{self, C as D}};\npub use self::e::F;\nfn f() { crate::g::H::new(); i::j() }\n";
    let found: Vec<(String, String, bool)> =
        uses(code).into_iter().map(|used| (used.path.join("::"), used.name, used.is_public)).collect();
    let expected =
        [("super::a", "a", false), ("super::b", "b", false), ("super::b::C", "D", false), ("self::e::F", "F", true)];
    assert_eq!(found, expected.map(|(path, name, public)| (path.to_owned(), name.to_owned(), public)));
    let inline: Vec<String> = inline(code).into_iter().map(|path| path.join("::")).collect();
    assert_eq!(inline, ["crate::g::H::new", "i::j"]);
    let node = |name: &str| vec![name.to_owned()];
    let edges =
        [("a", "b"), ("b", "c"), ("c", "b"), ("d", "a")].map(|(from, to)| (node(from), BTreeSet::from([node(to)])));
    assert_eq!(circles(&BTreeMap::from(edges)), [BTreeSet::from([node("b"), node("c")])]);
}
