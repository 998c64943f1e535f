//! Configurations changed at random: nothing panics, and what is said is about what was changed.

use proptest::prelude::*;

use super::*;

/// The entries of every connector in `configs/`, each with what makes it complete.
fn originals() -> Vec<BTreeMap<String, String>> {
    connector_files()
        .iter()
        .map(|file| {
            let document = read(&file.to_string_lossy()).unwrap();
            let entries = document.entries.into_iter().map(|(key, entry)| (key, entry.raw));
            let worker = Document::parse("w", WORKER).unwrap().entries;
            entries.chain(worker.into_iter().map(|(key, entry)| (key, entry.raw))).collect()
        })
        .collect()
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("-1".to_owned()),
        Just("99999999999999999999".to_owned()),
        Just("true".to_owned()),
        Just("bulk".to_owned()),
        Just("select * from t".to_owned()),
        Just("jdbc:sqlite:a".to_owned()),
        Just("${env:X}${file:/x:y}${a:b:c:d}".to_owned()),
        Just("a(,[b:[c|]:[d]".to_owned()),
        "\\PC{0,12}",
        "[a-z.:,;|*()\\[\\]\\\\%$?=&/@ ]{0,24}",
        "(jdbc:)?(postgresql|postgres|sqlite|mysql|mariadb|tidb):/{0,3}[a-z0-9:@,\\[\\]()=/]{0,12}[?]?[a-z=&%0-9]{0,12}",
    ]
}

#[derive(Debug, Clone)]
enum Change {
    Value(String),
    Key(String),
    Remove,
    Add(String, String),
}

fn change() -> impl Strategy<Value = Change> {
    let names: Vec<_> = keys::all().map(|definition| definition.name.replace('*', "x")).collect();
    prop_oneof![
        4 => value().prop_map(Change::Value),
        1 => "[a-z.]{0,12}".prop_map(Change::Key),
        1 => Just(Change::Remove),
        4 => (proptest::sample::select(names), value()).prop_map(|(key, value)| Change::Add(key, value)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_change_that_is_wrong_is_named(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), change in change()) {
        let originals = originals();
        let original = &originals[which.index(originals.len())];
        let key = original.keys().nth(at.index(original.len())).unwrap().clone();
        let mut map = original.clone();
        let changed = match change {
            Change::Value(value) => {
                map.insert(key.clone(), value);
                vec![key]
            }
            Change::Key(new) => {
                let value = map.remove(&key).unwrap();
                map.insert(new.clone(), value);
                vec![key, new]
            }
            Change::Remove => {
                map.remove(&key);
                vec![key]
            }
            Change::Add(new, value) => {
                map.insert(new.clone(), value);
                vec![new]
            }
        };
        match connector(Document::from_map("c", map.clone()), Surroundings::default()) {
            Ok(loaded) => {
                let shown = format!("{:?}", loaded.spec);
                prop_assert!(!shown.is_empty());
            }
            Err(report) => {
                let text = report.to_string();
                let is_named = changed.iter().any(|key| !key.is_empty() && text.contains(key.as_str()));
                prop_assert!(is_named, "{changed:?} is not named in {text}\n{map:?}");
            }
        }
    }

    #[test]
    fn broken_texts_never_panic(which in any::<prop::sample::Index>(), from in any::<prop::sample::Index>(), length in 0_usize..20, insert in "\\PC{0,6}") {
        let files = connector_files();
        let text = std::fs::read_to_string(&files[which.index(files.len())]).unwrap();
        let start = from.index(text.len());
        let end = (start + length).min(text.len());
        let broken = format!("{}{insert}{}", &text[..start], &text[end..]);
        match build(&broken) {
            Ok(loaded) => prop_assert!(!loaded.spec.name.is_empty()),
            Err(report) => prop_assert!(!report.problems.is_empty() && report.to_string().lines().count() > 1),
        }
    }
}
