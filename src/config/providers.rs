//! Config providers: `${env:NAME}`, `${file:/path:key}` and `${dir:/path:name}` in values, as Kafka's three
//! classes read them (`delivery-and-runtime.md`, 9). They are always there under these names;
//! `config.providers` adds others. What is missing is a problem with the key and the placeholder, where
//! Kafka would leave the text as it is. Reads the named files; never shows what it read.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::document::Entries;
use super::properties;
use super::report::Problem;
use super::values::list;

#[allow(clippy::expect_used, reason = "the pattern is constant and covered by every test of this file")]
static PLACEHOLDER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\$\{([^}:]*):((?:[^}:]*:)?)([^}]*)\}").expect("a valid pattern"));

/// Kafka's classes, by the last part of their names.
const CLASSES: &[(&str, Source)] = &[
    ("EnvVarConfigProvider", Source::Environment),
    ("FileConfigProvider", Source::File),
    ("DirectoryConfigProvider", Source::Directory),
];

#[derive(Debug, Clone, Copy)]
enum Source {
    Environment,
    File,
    Directory,
}

#[derive(Debug, Clone)]
struct Provider {
    source: Source,
    allowed_paths: Vec<PathBuf>,
    allowed_names: Option<Regex>,
}

/// The keys of a file, or why they cannot be had.
type FileContent = Result<BTreeMap<String, String>, String>;

/// The providers of one configuration.
pub(crate) struct Providers<'a> {
    environment: &'a BTreeMap<String, String>,
    named: BTreeMap<String, Provider>,
    files: RefCell<BTreeMap<PathBuf, FileContent>>,
}

impl<'a> Providers<'a> {
    /// The three that are always there, and those the worker's settings name.
    pub(crate) fn new(
        environment: &'a BTreeMap<String, String>,
        worker: &Entries,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let named =
            [("env", Source::Environment), ("file", Source::File), ("dir", Source::Directory)].map(|(name, source)| {
                (name.to_owned(), Provider { source, allowed_paths: Vec::new(), allowed_names: None })
            });
        let mut providers = Self { environment, named: named.into(), files: RefCell::default() };
        if let Some(names) = worker.get("config.providers") {
            for name in list(&names.raw).into_iter().filter(|name| !name.is_empty()) {
                providers.declare(name, worker, problems);
            }
        }
        providers
    }

    fn declare(&mut self, name: &str, worker: &Entries, problems: &mut Vec<Problem>) {
        let class_key = format!("config.providers.{name}.class");
        let class = worker.get(&class_key).map(|entry| entry.raw.trim());
        let known = CLASSES.iter().find(|(known, _)| class.and_then(|class| class.rsplit('.').next()) == Some(known));
        let source = match (known, class, self.named.get(name)) {
            (Some((_, source)), _, _) => *source,
            (None, None, Some(provider)) => provider.source,
            _ => {
                let message = "must be Kafka's EnvVarConfigProvider, FileConfigProvider or DirectoryConfigProvider";
                let problem = Problem::new(&class_key, message);
                problems.push(worker.get(&class_key).map_or(problem.clone(), |entry| problem.of(entry)));
                return;
            }
        };
        let parameter = |suffix: &str| worker.get(&format!("config.providers.{name}.param.{suffix}"));
        let allowed_paths = parameter("allowed.paths").map(|entry| list(&entry.raw)).unwrap_or_default();
        let allowed_names = parameter("allowlist.pattern").and_then(|entry| {
            let pattern = Regex::new(&format!("^(?:{})$", entry.raw.trim()));
            if pattern.is_err() {
                let key = format!("config.providers.{name}.param.allowlist.pattern");
                problems.push(Problem::new(&key, "is not a regular expression").of(entry));
            }
            pattern.ok()
        });
        let allowed_paths = allowed_paths.into_iter().map(PathBuf::from).collect();
        self.named.insert(name.to_owned(), Provider { source, allowed_paths, allowed_names });
    }

    /// Resolves the placeholders of all values.
    pub(crate) fn resolve(&self, entries: &mut Entries, problems: &mut Vec<Problem>, warnings: &mut Vec<Problem>) {
        for (key, entry) in entries {
            let mut failures = Vec::new();
            let text = PLACEHOLDER.replace_all(&entry.raw, |found: &Captures<'_>| {
                let whole = found[0].to_owned();
                let Some(provider) = self.named.get(&found[1]) else {
                    let message = format!("there is no provider for {whole}; the text is used as it is");
                    let known: Vec<_> = self.named.keys().map(String::as_str).collect();
                    let advice = format!("{message}; there are {}", known.join(", "));
                    warnings.push(Problem::new(key, advice).at(&entry.place));
                    return whole;
                };
                provider_value(self, provider, &found[2], &found[3]).unwrap_or_else(|reason| {
                    failures.push(format!("{whole}: {reason}"));
                    whole
                })
            });
            entry.text = text.into_owned();
            for failure in failures {
                problems.push(Problem::new(key, failure).at(&entry.place));
            }
        }
    }

    fn file(&self, path: &Path) -> FileContent {
        let read = || {
            let text =
                fs::read_to_string(path).map_err(|error| format!("the file cannot be read ({})", error.kind()))?;
            let pairs = properties::parse(&text)
                .map_err(|error| format!("the file is not valid .properties at line {}", error.line))?;
            Ok(pairs.into_iter().map(|pair| (pair.key, pair.value)).collect())
        };
        self.files.borrow_mut().entry(path.to_owned()).or_insert_with(read).clone()
    }
}

fn provider_value(providers: &Providers<'_>, provider: &Provider, path: &str, name: &str) -> Result<String, String> {
    let path = path.strip_suffix(':').unwrap_or(path);
    let path = Path::new(path);
    let allowed = provider.allowed_paths.is_empty()
        || (provider.allowed_paths.iter().any(|allowed| path.starts_with(allowed))
            && !path.components().any(|part| part.as_os_str() == ".."));
    match provider.source {
        Source::Environment if path.as_os_str().is_empty() => {
            if provider.allowed_names.as_ref().is_some_and(|pattern| !pattern.is_match(name)) {
                return Err("the provider's allowlist.pattern does not allow it".to_owned());
            }
            providers.environment.get(name).cloned().ok_or_else(|| "the environment variable is not set".to_owned())
        }
        Source::Environment => Err("an environment variable has no path; write ${env:NAME}".to_owned()),
        Source::File | Source::Directory if path.as_os_str().is_empty() => {
            Err("the path is missing; write ${file:/path:key} or ${dir:/path:name}".to_owned())
        }
        Source::File | Source::Directory if !allowed => Err("outside of the provider's allowed.paths".to_owned()),
        Source::File => providers.file(path)?.get(name).cloned().ok_or_else(|| "the file has no such key".to_owned()),
        Source::Directory => {
            let is_plain = !name.is_empty() && name != ".." && name != "." && !name.contains(['/', '\\']);
            if !is_plain {
                return Err("the name must be that of a file in the directory".to_owned());
            }
            fs::read_to_string(path.join(name)).map_err(|error| format!("the file cannot be read ({})", error.kind()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::Document;

    fn resolve(worker: &str, text: &str) -> (Vec<String>, Vec<String>) {
        let environment = BTreeMap::from([("PW".to_owned(), "hush".to_owned())]);
        let mut problems = Vec::new();
        let worker = Document::parse("w", worker).unwrap().entries;
        let providers = Providers::new(&environment, &worker, &mut problems);
        let mut entries = Document::from_map("c", [("k".to_owned(), text.to_owned())]).entries;
        providers.resolve(&mut entries, &mut problems, &mut Vec::new());
        (entries.into_values().map(|entry| entry.text).collect(), problems.iter().map(Problem::to_string).collect())
    }

    #[test]
    fn the_three_sources_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().display();
        fs::write(folder.path().join("s.properties"), "pass\\:word = a b\nother=1\n").unwrap();
        fs::write(folder.path().join("plain"), "line\n").unwrap();
        let text = format!("x${{env:PW}}-${{file:{dir}/s.properties:pass:word}}-${{dir:{dir}:plain}}");
        assert_eq!(resolve("", &text), (vec!["xhush-a b-line\n".to_owned()], vec![]));
        assert_eq!(resolve("", "${other:PW} ${HOME}").0, ["${other:PW} ${HOME}"]);
    }

    #[test]
    fn what_is_missing_is_a_problem_that_shows_the_placeholder_only() {
        for (text, phrase) in [
            ("${env:NONE}", "${env:NONE}: the environment variable is not set"),
            ("${env:/p:PW}", "has no path"),
            ("${file:/no/such/file:key}", "cannot be read"),
            ("${file:key}", "the path is missing"),
            ("${dir:/tmp:../etc/passwd}", "must be that of a file in the directory"),
        ] {
            let (_, problems) = resolve("", text);
            assert!(problems.len() == 1 && problems[0].contains(phrase), "{problems:?}");
        }
    }

    #[test]
    fn declared_providers_keep_to_their_limits() {
        let worker = "config.providers=vault,mine\nconfig.providers.vault.class=com.example.Vault\n\
            config.providers.mine.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider\n\
            config.providers.mine.param.allowlist.pattern=DB_.*\n";
        let (_, problems) = resolve(worker, "${mine:PW}");
        assert_eq!(problems.len(), 2);
        assert!(problems[0].contains("config.providers.vault.class") && problems[1].contains("allowlist.pattern"));
    }
}
