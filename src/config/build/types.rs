//! The mapping of database types to field types: of all columns, and of single ones.

use super::AIVEN;
use crate::config::judge::Judge;
use crate::config::keys;
use crate::config::spec::{
    ColumnSetting, ColumnTypes, DecimalHandling, Granularity, Mismatch, NumericMapping, Overlap, TimeHandling,
    TypeChange, TypeSpec, UnsignedBigint, Unsupported, ZeroDate,
};
use crate::model::drivers::DriverTypes;
use crate::zone::Zone;

pub(super) fn build(judge: &mut Judge) -> ColumnTypes {
    let mut all = TypeSpec {
        numeric: numeric(judge),
        decimal_precision: judge.text("connector.class") != AIVEN,
        granularity: granularity(judge.text("timestamp.granularity")),
        zone: judge.text("db.timezone").parse().unwrap_or(Zone::UTC),
        legacy_calendar: judge.text("date.calendar.system") == "LEGACY",
        ..TypeSpec::default()
    };
    for setting in keys::settings_of_columns() {
        if let Some(change) = change(setting, judge.text(setting)) {
            change.apply(&mut all);
        }
    }
    ColumnTypes::new(all, columns(judge))
}

fn numeric(judge: &Judge) -> NumericMapping {
    match judge.text("numeric.mapping").to_lowercase().as_str() {
        "precision_only" => NumericMapping::PrecisionOnly,
        "best_fit" => NumericMapping::BestFit,
        "best_fit_eager_double" => NumericMapping::BestFitEagerDouble,
        "" if judge.flag("numeric.precision.mapping") => NumericMapping::PrecisionOnly,
        _ => NumericMapping::None,
    }
}

fn granularity(text: &str) -> Granularity {
    match text.to_lowercase().as_str() {
        "micros_long" => Granularity::MicrosLong,
        "micros_string" => Granularity::MicrosString,
        "micros_iso_datetime_string" => Granularity::MicrosIso,
        "nanos_long" => Granularity::NanosLong,
        "nanos_string" => Granularity::NanosString,
        "nanos_iso_datetime_string" => Granularity::NanosIso,
        _ => Granularity::ConnectLogical,
    }
}

/// The change that a column's setting makes; none for a word it does not know.
fn change(setting: &str, text: &str) -> Option<TypeChange> {
    Some(match (setting, text.to_lowercase().as_str()) {
        ("decimal.handling", "avro-decimal") => TypeChange::Decimal(DecimalHandling::AvroDecimal),
        ("decimal.handling", "string") => TypeChange::Decimal(DecimalHandling::Text),
        ("decimal.handling", "double") => TypeChange::Decimal(DecimalHandling::Double),
        ("unsigned.bigint", "long-or-fail") => TypeChange::UnsignedBigint(UnsignedBigint::LongOrFail),
        ("unsigned.bigint", "decimal") => TypeChange::UnsignedBigint(UnsignedBigint::Decimal),
        ("unsigned.bigint", "string") => TypeChange::UnsignedBigint(UnsignedBigint::Text),
        ("time.handling", "millis") => TypeChange::Time(TimeHandling::Millis),
        ("time.handling", "string") => TypeChange::Time(TimeHandling::Text),
        ("zero.date", "null") => TypeChange::ZeroDate(ZeroDate::Null),
        ("zero.date", "epoch") => TypeChange::ZeroDate(ZeroDate::Epoch),
        ("zero.date", "string") => TypeChange::ZeroDate(ZeroDate::Text),
        ("zero.date", "fail") => TypeChange::ZeroDate(ZeroDate::Fail),
        ("dst.overlap", "later") => TypeChange::Overlap(Overlap::Later),
        ("dst.overlap", "earlier") => TypeChange::Overlap(Overlap::Earlier),
        ("dst.overlap", "fail") => TypeChange::Overlap(Overlap::Fail),
        ("type.unsupported", "text") => TypeChange::Unsupported(Unsupported::Text),
        ("type.unsupported", "fail") => TypeChange::Unsupported(Unsupported::Fail),
        ("type.unsupported", "skip") => TypeChange::Unsupported(Unsupported::Skip),
        ("type.mismatch", "fail") => TypeChange::Mismatch(Mismatch::Fail),
        ("type.mismatch", "text") => TypeChange::Mismatch(Mismatch::Text),
        ("driver.types", word) => TypeChange::Drivers(DriverTypes::of(word)?),
        _ => return None,
    })
}

/// `column.TABLE.COLUMN.SETTING`, in the order of the keys.
fn columns(judge: &mut Judge) -> Vec<ColumnSetting> {
    let keys: Vec<String> =
        judge.settings.connector.keys().filter(|key| keys::column_setting(key).is_some()).cloned().collect();
    let mut columns = Vec::new();
    for key in keys {
        let Some((column, setting)) = keys::column_setting(&key) else { continue };
        let parts: Vec<_> = column.split('.').collect();
        if parts.len() < 2 || parts.first() == Some(&"") || parts.last() == Some(&"") {
            judge.problem(&key, format!("must name table and column: column.TABLE.COLUMN.{setting}"), &[]);
            continue;
        }
        let Some(text) = judge.given(&key) else { continue };
        if let Some(change) = change(setting, text) {
            columns.push(ColumnSetting { column: column.to_owned(), change, key });
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::find;
    use crate::config::values::words;

    #[test]
    fn every_word_that_a_setting_of_a_column_takes_means_something_of_its_own() {
        let mut seen = Vec::new();
        for setting in keys::settings_of_columns() {
            for word in words(find(setting).unwrap().allowed) {
                let change = change(setting, word).unwrap_or_else(|| panic!("{setting}={word}"));
                assert!(!seen.contains(&change), "{setting}={word}");
                seen.push(change);
            }
        }
        assert_eq!(seen.len(), 29);
    }
}
