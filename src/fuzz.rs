//! Every parser of others' text and bytes, as a function of bytes that must neither panic, hang nor take memory without
//! measure, and must read back what it writes. `fuzz/` runs each without end, a test here runs the kept inputs and
//! changed ones. Nothing else uses it.

use std::collections::BTreeMap;

use crate::config;
use crate::config::document::Document;
use crate::convert::avro::decode;
use crate::convert::{protobuf, registry};
use crate::guard::{METHODS, fingerprint, sketch};
use crate::model::{Position, SourcePartition};
use crate::offsets::{format, server, standalone, table};
use crate::tls::{Certificates, Identity, Input};

/// A parser under its name, which is that of its folder of inputs.
pub struct Target {
    /// The name.
    pub name: &'static str,
    /// Parses; what is not one of its inputs is an error to the parser, and nothing here.
    pub run: fn(&[u8]),
}

/// All of them.
pub static TARGETS: &[Target] = &[
    Target { name: "connector_file", run: connector_file },
    Target { name: "url", run: url },
    Target { name: "stored_offset", run: stored_offset },
    Target { name: "offsets_document", run: offsets_document },
    Target { name: "standalone_offsets", run: standalone_offsets },
    Target { name: "guard_state", run: guard_state },
    Target { name: "position", run: position },
    Target { name: "registry_answer", run: registry_answer },
    Target { name: "record", run: record },
    Target { name: "protobuf_record", run: protobuf_record },
    Target { name: "tls_file", run: tls_file },
];

/// Runs a target by its name.
pub fn run(name: &str, bytes: &[u8]) {
    if let Some(target) = TARGETS.iter().find(|target| target.name == name) {
        (target.run)(bytes);
    }
}

/// Connectors as JSON, YAML or properties, and all that is judged of them.
fn connector_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for origin in ["fuzz", "fuzz.yaml"] {
        let documents = match Document::parse_all(origin, text) {
            Ok(documents) => documents,
            Err(report) => {
                let _ = report.to_string();
                continue;
            }
        };
        for document in documents {
            if let Err(report) = config::connector(document, Default::default()) {
                let _ = report.to_string();
            }
        }
    }
}

/// An address, with the parameters of its driver.
fn url(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let settings = [
        ("name", "c"),
        ("mode", "bulk"),
        ("topic.prefix", "t"),
        ("bootstrap.servers", "localhost:9092"),
        ("value.converter.schema.registry.url", "http://localhost:8081"),
        ("connection.url", text),
    ];
    let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
    if let Err(report) = config::connector(Document::from_map("fuzz", settings), Default::default()) {
        let _ = report.to_string();
    }
}

/// Key and value of the offsets topic, parted by a line end.
fn stored_offset(bytes: &[u8]) {
    let (key, value) = parted(bytes);
    let _ = format::connector_of(key);
    let (connector, partition) = format::parse_key(key).unwrap_or(("c".to_owned(), SourcePartition::query()));
    assert_eq!(format::parse_key(&format::key(&connector, &partition)), Some((connector.clone(), partition.clone())));
    let _ = server::parse(&connector, value);
    if let Ok(Some(mark)) = table::parse(&connector, &partition, value) {
        let again = table::parse(&connector, &partition, table::value(&mark).as_bytes());
        assert!(matches!(again, Ok(Some(_))), "what is remembered of a table goes round");
    }
    if let Ok(Some(offset)) = format::parse_value(&connector, &partition, value) {
        let again = format::parse_value(&connector, &partition, &format::value(&offset));
        assert_eq!(again.ok().flatten(), Some(offset));
    }
}

/// The parser of `offsets set`.
fn offsets_document(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(offsets) = format::from_rest("c", text) {
        let written = format::to_rest(offsets.iter().map(|(partition, offset)| (partition, offset.as_ref())));
        assert_eq!(format::from_rest("c", &written).ok(), Some(offsets));
    }
}

/// The file of a standalone worker.
fn standalone_offsets(bytes: &[u8]) {
    let Ok(entries) = standalone::parse(bytes) else { return };
    let _ = standalone::of_connector("c", &entries);
    let written = standalone::write(&entries);
    assert_eq!(standalone::parse(&written).ok().as_ref(), Some(&entries));
    let _ = standalone::replace(entries, "c", &BTreeMap::new());
}

/// The checkpoint of each method of the guard.
fn guard_state(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for method in METHODS.iter().filter(|method| method.words.is_some()) {
        let state = (method.resume)(Some(text)).and_then(|state| state.state());
        let written = state.map(|state| state.to_text());
        assert!(written.is_none_or(|text| (method.resume)(Some(&text)).is_some()), "what is stored can be read");
    }
    let _ = fingerprint::FingerprintBag::from_text(text).map(|rows| rows.to_text());
    let _ = sketch::Sketch::from_text(text).map(|sketch| sketch.to_text());
}

/// The place a table has been read to.
fn position(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(position) = Position::from_text(text) {
        assert_eq!(Position::from_text(&position.to_text()).ok(), Some(position));
    }
}

/// The answers of a registry.
fn registry_answer(bytes: &[u8]) {
    registry::read_any(bytes);
}

/// A schema of the registry and a record with it, parted by a line end.
fn record(bytes: &[u8]) {
    let (schema, payload) = parted(bytes);
    let Ok(schema) = std::str::from_utf8(schema) else { return };
    let _ = decode::decode_with(schema, payload);
}

/// The same of Protobuf.
fn protobuf_record(bytes: &[u8]) {
    let (schema, payload) = parted(bytes);
    let Ok(schema) = std::str::from_utf8(schema) else { return };
    let _ = protobuf::decode::decode_with(schema, payload);
}

/// Certificates and keys.
fn tls_file(bytes: &[u8]) {
    let _ = Certificates::read(&Input::text("fuzz", bytes).password("fuzz", Some("opens")));
    let _ = Identity::read(&[Input::text("fuzz", bytes).password("fuzz", Some("opens"))]);
    let _ = Identity::read(&[Input::text("fuzz", bytes)]);
}

fn parted(bytes: &[u8]) -> (&[u8], &[u8]) {
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    (&bytes[..at], bytes.get(at + 1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::{Duration, Instant};

    use fastrand::Rng;

    use super::*;

    /// The number of changed inputs for each target; or, by `ROWTIDE_FUZZ_SECONDS`, the time.
    const CHANGED: usize = 1_500;
    /// The longest time for any input, on a machine that has other things to do.
    const LONGEST: Duration = Duration::from_secs(5);

    fn kept(name: &str) -> Vec<Vec<u8>> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let mut files: Vec<_> = std::fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        files.iter().map(|file| std::fs::read(file).unwrap()).collect()
    }

    /// The tokens that grammars turn on.
    const TOKENS: &[&[u8]] = &[
        b"\"",
        b"'",
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b",",
        b"=",
        b"-",
        b".",
        b"/",
        b"?",
        b"&",
        b"%",
        b"\\",
        b"\n",
        b"\0",
        b"(",
        b")",
        b"null",
        b"-1",
        b"0",
        b"18446744073709551615",
        b"9223372036854775807",
        b"1e999",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"\x7f\xff\xff\xff",
        b"\xff\xff\xff\xff",
        b"\\u0000",
        b"-----BEGIN ",
        b"-----END ",
        "ü".as_bytes(),
    ];

    fn change(random: &mut Rng, inputs: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = inputs[random.usize(..inputs.len())].clone();
        for _ in 0..random.usize(1..=4) {
            let at = random.usize(..=bytes.len());
            let to = random.usize(at..=bytes.len().min(at + 32));
            match random.u8(..6) {
                0 => drop(bytes.drain(at..to)),
                1 => drop(bytes.splice(at..at, TOKENS[random.usize(..TOKENS.len())].iter().copied())),
                2 => bytes.extend_from_within(at..to),
                3 => bytes.truncate(at.max(1)),
                4 => {
                    let other = &inputs[random.usize(..inputs.len())];
                    let from = random.usize(..=other.len());
                    bytes.truncate(at);
                    bytes.extend_from_slice(&other[from..]);
                }
                _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << random.u8(..8)),
            }
        }
        bytes
    }

    #[test]
    fn no_input_breaks_a_parser() {
        let seed = std::env::var("ROWTIDE_TEST_SEED").ok().and_then(|text| text.parse().ok());
        let seed = seed.unwrap_or_else(|| fastrand::u64(..));
        let seconds = std::env::var("ROWTIDE_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
        let mut broken = Vec::new();
        for target in TARGETS {
            let inputs = kept(target.name);
            let mut random = Rng::with_seed(seed);
            let (begun, mut count) = (Instant::now(), 0);
            let mut changed = std::iter::from_fn(|| {
                count += 1;
                let goes_on =
                    seconds.map_or(count <= CHANGED, |seconds| begun.elapsed() < Duration::from_secs(seconds));
                goes_on.then(|| change(&mut random, &inputs))
            });
            let breaks = |input: &Vec<u8>| {
                let begun = Instant::now();
                let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
                outcome.is_err() || begun.elapsed() > LONGEST
            };
            let found = inputs.iter().find(|input| breaks(input)).cloned().or_else(|| changed.find(breaks));
            broken.extend(found.map(|input| format!("{}: {}", target.name, input.escape_ascii())));
        }
        assert!(broken.is_empty(), "ROWTIDE_TEST_SEED={seed}\n{}", broken.join("\n"));
    }
}
