//! The reference of types: the schema of each database type by default and under the settings that change it, from the
//! tables by which the dialects map columns and from nothing else.

use std::fmt::Write as _;

use crate::config::spec::{
    DecimalHandling, Granularity, Mismatch, NumericMapping, TimeHandling, TypeSpec, UnsignedBigint, Unsupported,
    ZeroDate,
};
use crate::convert::avro::schema::{AvroSchema, SchemaStyle};
use crate::dialect::{DIALECTS, Dialect, DocumentedType};
use crate::error::{Error, Result};
use crate::model::drivers::{Driver, DriverTypes};
use crate::model::{Field, FieldType, Schema};

const INTRODUCTION: &str = "# Types

<!-- made by `rowtide docs types`; do not edit -->

The Avro type of a NOT NULL column; a column that may be null becomes a union with `null`. The settings are described in
[configuration.md](configuration.md#numeric.mapping); `decimal.handling`, `unsigned.bigint`, `time.handling`, `zero.date`,
`dst.overlap`, `type.unsupported`, `type.mismatch` and `driver.types` can be set for one column too, as
`column.TABLE.COLUMN.SETTING`.
`numeric.precision.mapping=true` is `numeric.mapping=precision_only`. Aiven's connector leaves the parameter
`connect.decimal.precision` out, and so does rowtide under its class name. A value that its field cannot hold stops its
table with a message that names table, column, row and setting. Connect's Timestamp and Time hold milliseconds and cut finer
digits here as there; `timestamp.granularity` and `time.handling` keep them.

Users of Kafka Connect bring their own JDBC driver, and drivers for MySQL and MariaDB differ. Where they do, the schema that
the subject has already says whose type a column goes on with (`driver.types=auto`): a table that Connect has delivered keeps
its types, whatever the driver was. The default below is what a new subject gets. `rowtide check` and `rowtide explain` name
each such column, its type and the reason. `tinyInt1isBit`, `transformedBitIsBoolean` and `yearIsDateType` in `connection.url` mean
what they mean to the driver.

The last column says where the default differs from Kafka Connect's source; where it is empty, schema and values are the
same.
";

/// A value of a setting, and its effect.
type Choice = (&'static str, &'static str, fn(&mut TypeSpec));

const CHOICES: &[Choice] = &[
    ("numeric.mapping", "precision_only", |types| types.numeric = NumericMapping::PrecisionOnly),
    ("numeric.mapping", "best_fit", |types| types.numeric = NumericMapping::BestFit),
    ("numeric.mapping", "best_fit_eager_double", |types| types.numeric = NumericMapping::BestFitEagerDouble),
    ("decimal.handling", "string", |types| types.decimal = DecimalHandling::Text),
    ("decimal.handling", "double", |types| types.decimal = DecimalHandling::Double),
    ("unsigned.bigint", "decimal", |types| types.unsigned_bigint = UnsignedBigint::Decimal),
    ("unsigned.bigint", "string", |types| types.unsigned_bigint = UnsignedBigint::Text),
    ("timestamp.granularity", "micros_long", |types| types.granularity = Granularity::MicrosLong),
    ("timestamp.granularity", "micros_string", |types| types.granularity = Granularity::MicrosString),
    ("timestamp.granularity", "micros_iso_datetime_string", |types| types.granularity = Granularity::MicrosIso),
    ("timestamp.granularity", "nanos_long", |types| types.granularity = Granularity::NanosLong),
    ("timestamp.granularity", "nanos_string", |types| types.granularity = Granularity::NanosString),
    ("timestamp.granularity", "nanos_iso_datetime_string", |types| types.granularity = Granularity::NanosIso),
    ("time.handling", "string", |types| types.time = TimeHandling::Text),
    ("zero.date", "null", |types| types.zero_date = Some(ZeroDate::Null)),
    ("zero.date", "epoch", |types| types.zero_date = Some(ZeroDate::Epoch)),
    ("zero.date", "string", |types| types.zero_date = Some(ZeroDate::Text)),
    ("zero.date", "fail", |types| types.zero_date = Some(ZeroDate::Fail)),
    ("type.unsupported", "fail", |types| types.unsupported = Unsupported::Fail),
    ("type.unsupported", "skip", |types| types.unsupported = Unsupported::Skip),
    ("type.mismatch", "text", |types| types.mismatch = Mismatch::Text),
    ("driver.types", "mysql-8.0", |types| types.drivers = DriverTypes::Named(Driver::MySql80)),
    ("driver.types", "mysql-8.4", |types| types.drivers = DriverTypes::Named(Driver::MySql84)),
    ("driver.types", "mysql-9.7", |types| types.drivers = DriverTypes::Named(Driver::MySql97)),
    ("driver.types", "mariadb-2.7", |types| types.drivers = DriverTypes::Named(Driver::MariaDb27)),
    ("driver.types", "mariadb-3.3", |types| types.drivers = DriverTypes::Named(Driver::MariaDb33)),
    ("driver.types", "mariadb-3.5", |types| types.drivers = DriverTypes::Named(Driver::MariaDb35)),
];

/// The page `rowtide docs types` prints.
pub(super) fn markdown() -> Result<String> {
    let mut page = INTRODUCTION.to_owned();
    for dialect in DIALECTS {
        section(*dialect, &mut page)?;
    }
    Ok(page)
}

fn section(dialect: &dyn Dialect, page: &mut String) -> Result<()> {
    // Writing to a string cannot fail.
    let _ = write!(page, "\n## {}\n\n", dialect.name());
    page.push_str("| database type | Avro by default | Avro under other settings | where Kafka Connect differs |\n");
    page.push_str("|---|---|---|---|\n");
    let usual = TypeSpec::default();
    let changed: Vec<(TypeSpec, Vec<DocumentedType>)> = CHOICES
        .iter()
        .map(|(_, _, change)| {
            let mut types = usual.clone();
            change(&mut types);
            let documented = dialect.documented_types(&types);
            (types, documented)
        })
        .collect();
    for (row, documented) in dialect.documented_types(&usual).iter().enumerate() {
        let by_default = schema(documented, &usual)?;
        let mut others: Vec<(String, &str, Vec<&str>)> = Vec::new();
        for ((setting, word, _), (types, rows)) in CHOICES.iter().zip(&changed) {
            let other = rows.get(row).ok_or_else(|| Error::internal("a type is not there under every setting"))?;
            let becomes = schema(other, types)?;
            match others.iter_mut().find(|(known, of, _)| *known == becomes && of == setting) {
                _ if becomes == by_default => {}
                Some((_, _, words)) => words.push(word),
                None => others.push((becomes, setting, vec![word])),
            }
        }
        let others: Vec<String> = others
            .into_iter()
            .map(|(becomes, setting, words)| format!("`{setting}` = `{}`: {becomes}", words.join("`, `")))
            .collect();
        let _ =
            writeln!(page, "| {} | {by_default} | {} | {} |", documented.name, others.join("<br>"), documented.note);
    }
    Ok(())
}

/// The schema of a type in a NOT NULL column.
fn schema(documented: &DocumentedType, types: &TypeSpec) -> Result<String> {
    let field_type = match (&documented.field, types.unsupported) {
        (Some(field_type), _) => field_type.clone(),
        (None, Unsupported::Text) => FieldType::String,
        (None, Unsupported::Skip) => return Ok("left out".to_owned()),
        (None, Unsupported::Fail) => return Ok("the table stops".to_owned()),
    };
    let field = Field { name: "column".to_owned(), field_type, optional: documented.optional, doc: None };
    Ok(format!("`{}`", AvroSchema::write(&Schema::Field(field), SchemaStyle::default())?.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_breaks_its_row_and_no_type_stands_twice() {
        let page = markdown().unwrap();
        let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| ")).collect();
        assert!(rows.iter().all(|row| row.matches('|').count() == 5), "{page}");
        for dialect in DIALECTS {
            let mut names: Vec<_> =
                dialect.documented_types(&TypeSpec::default()).into_iter().map(|documented| documented.name).collect();
            let count = names.len();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), count, "{}", dialect.name());
        }
    }
}
