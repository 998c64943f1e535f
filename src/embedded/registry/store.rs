//! The registry's store: schemas by id, versions by subject, compatibility levels. Pure: requests come in as values,
//! refusals go out with the codes of Confluent's registry.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::formats::{Format, Parsed};

/// A refusal: HTTP status, error code, message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: u32,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, code: u32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    fn subject_not_found(subject: &str) -> Self {
        Self::new(404, 40401, format!("Subject '{subject}' not found."))
    }

    fn version_not_found(version: &str) -> Self {
        Self::new(404, 40402, format!("Version {version} not found."))
    }
}

type Answer<T> = Result<T, Refusal>;

/// `compatibility`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    None,
    Backward { transitive: bool },
    Forward { transitive: bool },
    Full { transitive: bool },
}

const LEVELS: [(&str, Level); 7] = [
    ("NONE", Level::None),
    ("BACKWARD", Level::Backward { transitive: false }),
    ("BACKWARD_TRANSITIVE", Level::Backward { transitive: true }),
    ("FORWARD", Level::Forward { transitive: false }),
    ("FORWARD_TRANSITIVE", Level::Forward { transitive: true }),
    ("FULL", Level::Full { transitive: false }),
    ("FULL_TRANSITIVE", Level::Full { transitive: true }),
];

impl Level {
    pub(super) fn as_str(self) -> &'static str {
        LEVELS.iter().find(|(_, level)| *level == self).map_or("NONE", |(word, _)| word)
    }
}

impl FromStr for Level {
    type Err = Refusal;

    fn from_str(text: &str) -> Answer<Self> {
        let known = LEVELS.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
        known.map(|(_, level)| *level).ok_or_else(|| {
            let words = LEVELS.map(|(word, _)| word).join(", ");
            Refusal::new(422, 42203, format!("Invalid compatibility level. Valid values are {words}"))
        })
    }
}

/// A version of a subject, as answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) subject: String,
    pub(super) version: usize,
    pub(super) id: usize,
    pub(super) format: Format,
    pub(super) schema: String,
}

/// All state of the registry.
#[derive(Debug)]
pub(super) struct Store {
    /// Position + 1 is the id.
    schemas: Vec<Parsed>,
    /// Ids by subject; position + 1 is the version.
    subjects: BTreeMap<String, Vec<usize>>,
    level: Level,
    levels: BTreeMap<String, Level>,
}

impl Default for Store {
    fn default() -> Self {
        let level = Level::Backward { transitive: false };
        Self { schemas: Vec::new(), subjects: BTreeMap::new(), level, levels: BTreeMap::new() }
    }
}

impl Store {
    /// Registers a schema under a subject: its id and version, old or new.
    pub(super) fn register(&mut self, subject: &str, (format, text): (Format, &str)) -> Answer<Version> {
        let stored = parse(format, text)?;
        let known = self.id_of(&stored);
        if let Some(version) = known.and_then(|id| self.version_of(subject, id)) {
            return Ok(version);
        }
        let complaints = self.incompatibilities(subject, &stored);
        if !complaints.is_empty() {
            let level = self.level(Some(subject)).as_str();
            let message = format!(
                "Schema being registered is incompatible with an earlier schema for subject \"{subject}\", \
                 details: [{}, {{compatibility: '{level}'}}]",
                complaints.join(", ")
            );
            return Err(Refusal::new(409, 40901, message));
        }
        let id = known.unwrap_or_else(|| {
            self.schemas.push(stored);
            self.schemas.len()
        });
        let ids = self.subjects.entry(subject.to_owned()).or_default();
        ids.push(id);
        let version = ids.len();
        Ok(self.version(subject, version, id))
    }

    /// The version of a subject that has this schema.
    pub(super) fn lookup(&self, subject: &str, (format, text): (Format, &str)) -> Answer<Version> {
        if !self.subjects.contains_key(subject) {
            return Err(Refusal::subject_not_found(subject));
        }
        let id = self.id_of(&parse(format, text)?);
        id.and_then(|id| self.version_of(subject, id)).ok_or_else(|| Refusal::new(404, 40403, "Schema not found"))
    }

    pub(super) fn subjects(&self) -> Vec<String> {
        self.subjects.keys().cloned().collect()
    }

    pub(super) fn versions(&self, subject: &str) -> Answer<Vec<usize>> {
        Ok((1..=self.ids(subject)?.len()).collect())
    }

    /// `version`: a number, `latest` or -1.
    pub(super) fn get(&self, subject: &str, version: &str) -> Answer<Version> {
        let ids = self.ids(subject)?;
        let number = match version {
            "latest" | "-1" => ids.len(),
            number => number.parse().ok().filter(|number| *number > 0).ok_or_else(|| {
                let message = format!(
                    "The specified version '{number}' is not a valid version id. Allowed values are between \
                     [1, 2^31-1] and the string \"latest\""
                );
                Refusal::new(422, 42202, message)
            })?,
        };
        let id = ids.get(number - 1).ok_or_else(|| Refusal::version_not_found(version))?;
        Ok(self.version(subject, number, *id))
    }

    pub(super) fn schema(&self, id: usize) -> Answer<&Parsed> {
        let stored = id.checked_sub(1).and_then(|index| self.schemas.get(index));
        stored.ok_or_else(|| Refusal::new(404, 40403, format!("Schema {id} not found")))
    }

    /// The subjects and versions that use an id.
    pub(super) fn uses(&self, id: usize) -> Answer<Vec<(String, usize)>> {
        self.schema(id)?;
        let uses = self.subjects.keys().filter_map(|subject| self.version_of(subject, id));
        Ok(uses.map(|found| (found.subject, found.version)).collect())
    }

    /// The reasons why a schema cannot be read together with a version (none: those the subject's level asks for).
    pub(super) fn check(
        &self,
        subject: &str,
        version: Option<&str>,
        (format, text): (Format, &str),
    ) -> Answer<Vec<String>> {
        let stored = parse(format, text)?;
        match version {
            None => Ok(self.incompatibilities(subject, &stored)),
            // A subject without versions is compatible with everything.
            Some("latest") if !self.subjects.contains_key(subject) => Ok(Vec::new()),
            Some(version) => {
                let id = self.get(subject, version)?.id;
                Ok(self.complaints(self.level(Some(subject)), &stored, id))
            }
        }
    }

    /// The level of a subject, its own or the global one.
    pub(super) fn level(&self, subject: Option<&str>) -> Level {
        self.own_level(subject).unwrap_or(self.level)
    }

    /// The level set for just this subject; the global one without a subject.
    pub(super) fn own_level(&self, subject: Option<&str>) -> Option<Level> {
        subject.map_or(Some(self.level), |subject| self.levels.get(subject).copied())
    }

    pub(super) fn set_level(&mut self, subject: Option<&str>, level: Level) {
        match subject {
            Some(subject) => {
                self.levels.insert(subject.to_owned(), level);
            }
            None => self.level = level,
        }
    }

    fn ids(&self, subject: &str) -> Answer<&[usize]> {
        self.subjects.get(subject).map(Vec::as_slice).ok_or_else(|| Refusal::subject_not_found(subject))
    }

    fn id_of(&self, schema: &Parsed) -> Option<usize> {
        self.schemas.iter().position(|stored| stored.is(schema)).map(|index| index + 1)
    }

    fn version_of(&self, subject: &str, id: usize) -> Option<Version> {
        let index = self.subjects.get(subject)?.iter().position(|known| *known == id)?;
        Some(self.version(subject, index + 1, id))
    }

    fn version(&self, subject: &str, version: usize, id: usize) -> Version {
        let Parsed { format, text, .. } = &self.schemas[id - 1];
        Version { subject: subject.to_owned(), version, id, format: *format, schema: text.clone() }
    }

    fn incompatibilities(&self, subject: &str, new: &Parsed) -> Vec<String> {
        let level = self.level(Some(subject));
        let transitive = match level {
            Level::None => return Vec::new(),
            Level::Backward { transitive } | Level::Forward { transitive } | Level::Full { transitive } => transitive,
        };
        let ids = self.subjects.get(subject).map_or(&[][..], Vec::as_slice);
        let checked = if transitive { ids } else { &ids[ids.len().saturating_sub(1)..] };
        checked.iter().rev().flat_map(|id| self.complaints(level, new, *id)).collect()
    }

    fn complaints(&self, level: Level, new: &Parsed, id: usize) -> Vec<String> {
        let (backward, forward) = match level {
            Level::None => (false, false),
            Level::Backward { .. } => (true, false),
            Level::Forward { .. } => (false, true),
            Level::Full { .. } => (true, true),
        };
        let old = &self.schemas[id - 1];
        let mut complaints = Vec::new();
        let mut check = |wanted: bool, writer: &Parsed, reader: &Parsed, who: &str| {
            if wanted && let Some(error) = writer.unreadable_by(reader) {
                complaints.push(format!("{{description: '{who}: {error}', oldSchemaVersion id: {id}}}"));
            }
        };
        check(backward, old, new, "the new schema cannot read data of the old one");
        check(forward, new, old, "the old schema cannot read data of the new one");
        complaints
    }
}

fn parse(format: Format, text: &str) -> Answer<Parsed> {
    Parsed::of(format, text)
        .map_err(|error| Refusal::new(422, 42201, format!("Invalid schema {text}, details: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: &str) -> String {
        format!(r#"{{"type":"record","name":"t","fields":[{fields}]}}"#)
    }

    fn avro(text: &str) -> (Format, &str) {
        (Format::Avro, text)
    }

    const SEQ: &str = r#"{"name":"seq","type":"int"}"#;
    const PRICE: &str = r#"{"name":"price","type":["null","int"],"default":null}"#;
    const AMOUNT: &str = r#"{"name":"amount","type":["null",{"type":"bytes","scale":2,"precision":64,
        "connect.version":1,"connect.parameters":{"scale":"2"},"connect.name":"org.apache.kafka.connect.data.Decimal",
        "logicalType":"decimal"}],"default":null}"#;

    #[test]
    fn one_schema_has_one_id_across_subjects_whatever_its_spelling() {
        let mut store = Store::default();
        assert_eq!(store.register("a-value", avro(&record(SEQ))).unwrap().id, 1);
        assert_eq!(store.register("a-key", avro(r#""string""#)).unwrap().id, 2);
        let spelled = r#"{ "fields": [{"type": {"type": "int"}, "name": "seq"}], "name": "t", "type": "record" }"#;
        let version = store.register("b-value", avro(spelled)).unwrap();
        assert_eq!((version.id, version.version), (1, 1));
        assert_eq!(store.lookup("a-value", avro(spelled)).unwrap().id, 1);
        assert_eq!(store.uses(1).unwrap(), [("a-value".to_owned(), 1), ("b-value".to_owned(), 1)]);
    }

    #[test]
    fn backward_takes_an_optional_field_and_refuses_a_required_one() {
        let mut store = Store::default();
        store.register("s", avro(&record(SEQ))).unwrap();
        assert_eq!(store.register("s", avro(&record(&format!("{SEQ},{PRICE}")))).unwrap().version, 2);
        assert_eq!(store.register("s", avro(&record(&format!("{SEQ},{PRICE},{AMOUNT}")))).unwrap().version, 3);
        // A field fewer is fine for BACKWARD; the decimal is compatible with itself.
        assert_eq!(store.register("s", avro(&record(&format!("{SEQ},{AMOUNT}")))).unwrap().version, 4);
        let required = record(&format!(r#"{SEQ},{{"name":"item","type":"string"}}"#));
        let refusal = store.register("s", avro(&required)).unwrap_err();
        assert_eq!((refusal.status, refusal.code), (409, 40901));
        assert!(refusal.message.contains("item"), "{}", refusal.message);
        assert_eq!(store.versions("s").unwrap(), [1, 2, 3, 4]);
    }

    #[test]
    fn becoming_nullable_is_compatible_and_the_reverse_or_another_name_is_not() {
        let mut store = Store::default();
        let nullable = record(r#"{"name":"seq","type":["null","int"],"default":null}"#);
        store.register("up", avro(&record(SEQ))).unwrap();
        assert!(store.check("up", None, avro(&nullable)).unwrap().is_empty());
        store.register("down", avro(&nullable)).unwrap();
        assert!(!store.check("down", None, avro(&record(SEQ))).unwrap().is_empty());
        let renamed = record(SEQ).replace(r#""name":"t""#, r#""name":"u""#);
        assert!(!store.check("up", Some("latest"), avro(&renamed)).unwrap().is_empty());
        assert!(store.check("unknown", Some("latest"), avro(&renamed)).unwrap().is_empty());
    }

    #[test]
    fn the_level_of_the_subject_decides_and_transitive_looks_at_every_version() {
        let mut store = Store::default();
        store.set_level(Some("s"), "none".parse().unwrap());
        store.register("s", avro(&record(SEQ))).unwrap();
        store.register("s", avro(r#"{"type":"string"}"#)).unwrap();
        store.set_level(Some("s"), "FULL".parse().unwrap());
        assert!(store.check("s", None, avro(r#"{"type":"string","x":1}"#)).unwrap().is_empty());
        store.set_level(Some("s"), "FULL_TRANSITIVE".parse().unwrap());
        assert!(!store.check("s", None, avro(r#"{"type":"string","x":1}"#)).unwrap().is_empty());
        assert_eq!("sideways".parse::<Level>().unwrap_err().code, 42203);
        assert_eq!((store.own_level(Some("t")), store.level(Some("t")).as_str()), (None, "BACKWARD"));
    }

    #[test]
    fn refusals_have_the_codes_of_the_protocol() {
        let mut store = Store::default();
        assert_eq!(store.register("s", avro(r#"{"type":"record"}"#)).unwrap_err().code, 42201);
        assert_eq!(store.versions("s").unwrap_err().code, 40401);
        store.register("s", avro("\"long\"")).unwrap();
        assert_eq!(store.get("s", "2").unwrap_err().code, 40402);
        assert_eq!(store.get("s", "0").unwrap_err().code, 42202);
        assert_eq!(store.get("s", "latest").unwrap().schema, "\"long\"");
        assert_eq!(store.lookup("s", avro("\"int\"")).unwrap_err().code, 40403);
        assert_eq!(store.schema(9).unwrap_err().code, 40403);
        assert_eq!(store.schema(0).unwrap_err().status, 404);
    }

    #[test]
    fn json_schemas_and_protobuf_have_ids_of_their_own_and_their_rules() {
        let mut store = Store::default();
        let object = |properties: &str| {
            format!(r#"{{"type":"object","additionalProperties":false,"properties":{{{properties}}}}}"#)
        };
        let json = |store: &mut Store, text: &str| store.register("j", (Format::Json, text));
        assert_eq!(json(&mut store, &object(r#""a":{"type":"integer"}"#)).unwrap().id, 1);
        let more = object(r#""a":{"type":"integer"},"b":{"type":"string"}"#);
        assert_eq!(json(&mut store, &more).unwrap().version, 2);
        assert_eq!(json(&mut store, &object(r#""a":{"type":"string"}"#)).unwrap_err().code, 40901);
        assert_eq!(json(&mut store, "[").unwrap_err().code, 42201);
        let message = |fields: &str| format!("syntax = \"proto3\";\n\nmessage t {{ {fields} }}\n");
        let proto = |store: &mut Store, text: &str| store.register("p", (Format::Protobuf, text));
        assert_eq!(proto(&mut store, &message("int32 a = 1;")).unwrap().id, 3);
        assert_eq!(
            proto(&mut store, &message("int32 a = 1;  \n").replace('\n', " ")).unwrap().id,
            3,
            "blanks mean nothing"
        );
        assert_eq!(proto(&mut store, &message("int64 a = 1; string b = 2;")).unwrap().version, 2);
        let refusal = proto(&mut store, &message("string a = 1;")).unwrap_err();
        assert_eq!(refusal.code, 40901);
        assert!(refusal.message.contains("field 1 of `t` is string now, it was int64"), "{}", refusal.message);
        assert_eq!(proto(&mut store, "message {").unwrap_err().code, 42201);
        // Another format is never compatible, and never the same schema.
        assert_eq!(store.register("p", avro("\"long\"")).unwrap_err().code, 40901);
        assert_eq!(
            (store.get("j", "1").unwrap().format, store.schema(3).unwrap().format),
            (Format::Json, Format::Protobuf)
        );
    }
}
