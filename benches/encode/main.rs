//! The cost of a record's encoding: each format, and chains of transforms before it, on rows in memory. Neither database nor
//! brokers take part. Every figure is a median of rounds that alternate between the variants, in nanoseconds a row, beside
//! its ratio to Avro without transforms in the same round. On a machine with other work, `ROWTIDE_BENCH_INSTRUCTIONS=1` counts
//! the instructions of a row instead, which valgrind does by running this program once per variant.
//!
//! The goals: a chain of three transforms takes at most a quarter of the throughput (a ratio of 1.33), JSON without schemas
//! at most the time of Avro, a chain that is not applied none.
//!
//! `cargo bench --bench encode`. `ROWTIDE_BENCH_ROWS` (default 200,000 a round) and `ROWTIDE_BENCH_ROUNDS` (default 9).

#![allow(clippy::print_stdout, clippy::disallowed_methods)]

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use rowtide::config::{Document, Surroundings, connector};
use rowtide::dialect::Dialect;
use rowtide::dialect::postgres::Postgres;
use rowtide::model::{
    ColumnDefinition, CursorKind, EncodedBatch, Field, FieldType, Projection, Relation, TableDefinition, TableId,
    UniqueKeys, Value,
};
use rowtide::task::binding::{Binding, Converters};
use rowtide::task::encoder::RecordEncoder;
use support::{Outcome, median, number};

/// Rows of a batch, as many as a page may have.
const BATCH: usize = 1_000;

/// A configuration to be measured: its name, and what it sets beside the defaults.
type Variant = (&'static str, &'static [(&'static str, &'static str)]);

const JSON: (&str, &str) = ("value.converter", "org.apache.kafka.connect.json.JsonConverter");
const BARE: (&str, &str) = ("value.converter.schemas.enable", "false");
const SMT: &str = "org.apache.kafka.connect.transforms.";

const VARIANTS: &[Variant] = &[
    ("Avro", &[]),
    (
        "Avro, a chain that is not applied",
        &[
            ("transforms", "a"),
            ("transforms.a.type", "InsertField$Value"),
            ("transforms.a.static.field", "source"),
            ("transforms.a.static.value", "shop"),
            ("transforms.a.predicate", "other"),
            ("predicates", "other"),
            ("predicates.other.type", "org.apache.kafka.connect.transforms.predicates.TopicNameMatches"),
            ("predicates.other.pattern", "another_topic"),
        ],
    ),
    ("JSON without schemas", &[JSON, BARE]),
    ("JSON with schemas", &[JSON]),
    (
        "Avro, key and topic by three transforms",
        &[
            ("transforms", "a,b,c"),
            ("transforms.a.type", "ValueToKey"),
            ("transforms.a.fields", "id"),
            ("transforms.b.type", "ExtractField$Key"),
            ("transforms.b.field", "id"),
            ("transforms.c.type", "RegexRouter"),
            ("transforms.c.regex", "(.*)"),
            ("transforms.c.replacement", "x_$1"),
        ],
    ),
    (
        "Avro, a field more, one cast, one masked",
        &[
            ("transforms", "a,b,c"),
            ("transforms.a.type", "InsertField$Value"),
            ("transforms.a.static.field", "source"),
            ("transforms.a.static.value", "shop"),
            ("transforms.b.type", "Cast$Value"),
            ("transforms.b.spec", "c1:string"),
            ("transforms.c.type", "MaskField$Value"),
            ("transforms.c.fields", "c2"),
        ],
    ),
    (
        "Avro, two headers",
        &[
            ("transforms", "a,b"),
            ("transforms.a.type", "InsertHeader"),
            ("transforms.a.header", "source"),
            ("transforms.a.value.literal", "shop"),
            ("transforms.b.type", "HeaderFrom$Value"),
            ("transforms.b.fields", "id"),
            ("transforms.b.headers", "id"),
            ("transforms.b.operation", "copy"),
        ],
    ),
];

const TABLES: [(&str, usize); 2] = [("narrow, 5 columns", 5), ("wide, 40 columns", 40)];
/// Tells a program under valgrind what it is to do: columns, the index of the variant, rows.
const ONE: &str = "ROWTIDE_BENCH_ONE";
/// Rows whose instructions are counted.
const COUNTED: usize = 20_000;

fn main() -> Outcome<()> {
    if let Ok(one) = std::env::var(ONE) {
        return run_one(&one);
    }
    let counts = number("ROWTIDE_BENCH_INSTRUCTIONS", 0)? > 0;
    let (rows, rounds) = (number("ROWTIDE_BENCH_ROWS", 200_000)?, number("ROWTIDE_BENCH_ROUNDS", 9)?);
    for (name, columns) in TABLES {
        let (unit, how, figures) = if counts {
            ("instructions a row", format!("of {COUNTED} rows"), counted(columns)?)
        } else {
            let how = format!("{rows} rows a round, medians of {rounds} rounds");
            ("ns a row", how, timed(columns, rows, rounds)?)
        };
        println!("\n{name}, {how}\n\n| | {unit} | to Avro |\n|---|--:|--:|");
        for ((name, _), (figure, ratio)) in VARIANTS.iter().zip(figures) {
            println!("| {name} | {figure:.0} | {ratio:.2} |");
        }
    }
    println!("\nappend to docs/performance.md, \"The cost of a record's encoding\"");
    Ok(())
}

/// Medians of each variant: nanoseconds a row, and the ratio to the first.
fn timed(columns: usize, rows: usize, rounds: usize) -> Outcome<Vec<(f64, f64)>> {
    let (definition, row) = table(columns);
    let encoders = VARIANTS.iter().map(|(_, settings)| encoder(&definition, settings)).collect::<Outcome<Vec<_>>>()?;
    let mut figures = vec![(Vec::new(), Vec::new()); encoders.len()];
    for _ in 0..rounds {
        let mut of_avro = 0.0;
        for (encoder, (nanos, ratios)) in encoders.iter().zip(&mut figures) {
            let took = encode(encoder, &row, rows)?;
            of_avro = if of_avro == 0.0 { took } else { of_avro };
            nanos.push(took);
            ratios.push(took / of_avro);
        }
    }
    Ok(figures.into_iter().map(|(nanos, ratios)| (median(nanos), median(ratios))).collect())
}

/// Instructions of each variant: those of a row, and the ratio to the first.
fn counted(columns: usize) -> Outcome<Vec<(f64, f64)>> {
    let of_row = |variant| {
        let more = instructions(columns, variant, 2 * COUNTED)? - instructions(columns, variant, COUNTED)?;
        Ok(more / COUNTED as f64)
    };
    let figures = (0..VARIANTS.len()).map(of_row).collect::<Outcome<Vec<f64>>>()?;
    Ok(figures.iter().map(|figure| (*figure, figure / figures[0])).collect())
}

/// All instructions of a process that encodes so many rows.
fn instructions(columns: usize, variant: usize, rows: usize) -> Outcome<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .env(ONE, format!("{columns} {variant} {rows}"))
        .output()
        .map_err(|error| format!("valgrind, of the package of that name: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let count = said.lines().find_map(|line| line.split_once("Collected : "));
    let (_, count) = count.ok_or_else(|| format!("valgrind counted nothing: {said}"))?;
    Ok(count.trim().parse()?)
}

fn run_one(one: &str) -> Outcome<()> {
    let numbers = one.split(' ').map(str::parse).collect::<Result<Vec<usize>, _>>()?;
    let [columns, variant, rows] = numbers[..] else { return Err(format!("{ONE} is not three numbers").into()) };
    let (definition, row) = table(columns);
    let (_, settings) = VARIANTS[variant];
    encode(&encoder(&definition, settings)?, &row, rows).map(drop)
}

/// Nanoseconds a row.
fn encode(encoder: &RecordEncoder, row: &[Value<'_>], rows: usize) -> Outcome<f64> {
    let topic: Arc<str> = "t".into();
    let began = Instant::now();
    for _ in 0..rows.div_ceil(BATCH) {
        let mut batch = EncodedBatch::new(Arc::clone(&topic), BATCH, 64 * row.len());
        for _ in 0..BATCH {
            encoder.encode(row, &[], &mut batch)?;
        }
        std::hint::black_box(&batch);
    }
    Ok(began.elapsed().as_nanos() as f64 / (rows.div_ceil(BATCH) * BATCH) as f64)
}

/// A table of so many columns, and a row of it, borrowed as from a driver: id, then integers, texts, times and decimals in
/// turn.
fn table(columns: usize) -> (TableDefinition, Vec<Value<'static>>) {
    let mut definitions = vec![column("id".to_owned(), FieldType::Int64, false)];
    let mut row = vec![Value::Integer(123_456_789)];
    for number in 1..columns {
        let (field_type, value) = match number % 4 {
            1 => (FieldType::Int32, Value::Integer(42_000)),
            2 => (FieldType::String, Value::Text("a text of usual size".into())),
            3 => (FieldType::Timestamp, Value::Integer(1_709_208_000_123)),
            _ => (FieldType::Decimal { precision: Some(10), scale: 2 }, Value::Decimal((&[1, 226, 64][..]).into())),
        };
        definitions.push(column(format!("c{number}"), field_type, true));
        row.push(value);
    }
    let definition = TableDefinition {
        relation: Relation::Table(TableId { catalog: None, schema: Some("public".to_owned()), name: "t".to_owned() }),
        columns: definitions,
        skipped: Vec::new(),
        by_driver: Vec::new(),
        primary_key: vec!["id".to_owned()],
        indexes: Vec::new(),
        unique: UniqueKeys { keys: vec![vec!["id".to_owned()]], none_because: None },
        comment: None,
    };
    (definition, row)
}

fn column(name: String, field_type: FieldType, optional: bool) -> ColumnDefinition {
    ColumnDefinition {
        field: Field { name, field_type, optional, doc: None },
        database_type: "bigint".to_owned(),
        collation: None,
        seen_in: None,
        projection: Projection::Column,
        not_null: !optional,
        is_visible: true,
        has_broken_dates: false,
        may_be_null: optional,
        auto_increment: false,
        cursor: Some(CursorKind::Integer),
    }
}

fn encoder(definition: &TableDefinition, settings: &[(&str, &str)]) -> Outcome<RecordEncoder> {
    let fixed = [
        ("name", "bench"),
        ("connection.url", "jdbc:postgresql://localhost/bench"),
        ("mode", "incrementing"),
        ("incrementing.column.name", "id"),
        ("topic.prefix", "p_"),
        ("bootstrap.servers", "localhost:9092"),
        ("value.converter", "io.confluent.connect.avro.AvroConverter"),
        ("value.converter.schema.registry.url", "http://localhost:8081"),
        ("key.converter", "org.apache.kafka.connect.storage.StringConverter"),
    ];
    let full = |(key, value): (&str, &str)| {
        let is_short = key.ends_with(".type") && !value.contains('.');
        (key.to_owned(), if is_short { format!("{SMT}{value}") } else { value.to_owned() })
    };
    let settings: BTreeMap<String, String> = fixed.into_iter().chain(settings.iter().copied()).map(full).collect();
    let loaded = connector(Document::from_map("bench", settings), Surroundings::default());
    let spec = loaded.map_err(|report| report.to_string())?.spec;
    let table = spec.for_table(&definition.relation);
    let binding = Binding::new(&table, Postgres.syntax(), definition.clone())?;
    let (keys, values, headers) =
        (spec.key_converter.create()?, spec.value_converter.create()?, spec.header_converter.create()?);
    let converters = Converters { keys: &*keys, values: &*values, headers: &*headers };
    Ok(binding.sample_encoder(converters)?)
}
