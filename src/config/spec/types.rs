//! The mapping of database types to field types (`connector-config.md`, 2.5; `querying.md`, 7 and 8): the settings of
//! all columns, and those of one by `column.TABLE.COLUMN.SETTING`. Pure.

use std::sync::Arc;

use std::borrow::Cow;

use super::TableRules;
use crate::model::Relation;
use crate::model::drivers::DriverTypes;
use crate::zone::{Overlap, Zone};

/// The mapping of types of one column, or of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeSpec {
    /// `numeric.mapping`.
    pub numeric: NumericMapping,
    /// `decimal.handling`: what becomes of a column that `numeric.mapping` leaves a decimal.
    pub decimal: DecimalHandling,
    /// True if decimals carry `connect.decimal.precision`: true for Confluent's connector, false for Aiven's.
    pub decimal_precision: bool,
    /// `unsigned.bigint`.
    pub unsigned_bigint: UnsignedBigint,
    /// `timestamp.granularity`.
    pub granularity: Granularity,
    /// `db.timezone`.
    pub zone: Zone,
    /// `dst.overlap`: of record values; cursors are read as Connect reads them.
    pub overlap: Overlap,
    /// `time.handling`.
    pub time: TimeHandling,
    /// `zero.date`; none: null where the column is nullable, else such a value stops the table.
    pub zero_date: Option<ZeroDate>,
    /// `type.unsupported`.
    pub unsupported: Unsupported,
    /// `type.mismatch`.
    pub mismatch: Mismatch,
    /// `driver.types`: MySQL, MariaDB and TiDB only.
    pub drivers: DriverTypes,
    /// `date.calendar.system`: dates before 1582-10-15 by the hybrid calendar (false: proleptic).
    pub legacy_calendar: bool,
}

/// The defaults.
impl Default for TypeSpec {
    fn default() -> Self {
        Self {
            numeric: NumericMapping::None,
            decimal: DecimalHandling::AvroDecimal,
            decimal_precision: true,
            unsigned_bigint: UnsignedBigint::LongOrFail,
            granularity: Granularity::ConnectLogical,
            zone: Zone::UTC,
            overlap: Overlap::Later,
            time: TimeHandling::Millis,
            zero_date: None,
            unsupported: Unsupported::Text,
            mismatch: Mismatch::Fail,
            drivers: DriverTypes::Auto,
            legacy_calendar: true,
        }
    }
}

/// `numeric.mapping`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumericMapping {
    /// Always Decimal.
    None,
    /// Integers by precision where the scale is 0.
    PrecisionOnly,
    /// Integers by precision, doubles for a scale up to 18 digits.
    BestFit,
    /// The same, doubles for any scale.
    BestFitEagerDouble,
}

/// `decimal.handling`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecimalHandling {
    /// Connect's Decimal.
    AvroDecimal,
    /// The exact number as plain text.
    Text,
    /// The nearest double.
    Double,
}

/// `unsigned.bigint`: what becomes of 64 bits without a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnsignedBigint {
    /// INT64; a value beyond 2^63-1 stops the table.
    LongOrFail,
    /// Connect's Decimal of scale 0.
    Decimal,
    /// The digits as text.
    Text,
}

/// `timestamp.granularity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granularity {
    /// Connect's Timestamp, milliseconds.
    ConnectLogical,
    /// INT64 microseconds.
    MicrosLong,
    /// STRING microseconds.
    MicrosString,
    /// `yyyy-MM-dd'T'HH:mm:ss` and 6 digits, wall clock in `db.timezone`.
    MicrosIso,
    /// INT64 nanoseconds.
    NanosLong,
    /// STRING nanoseconds.
    NanosString,
    /// The same with 9 digits.
    NanosIso,
}

/// `time.handling`: what becomes of a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeHandling {
    /// Connect's Time, milliseconds of the day.
    Millis,
    /// The database's text.
    Text,
}

/// `zero.date`: what becomes of a date that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZeroDate {
    /// Null; the field is optional whatever the column is.
    Null,
    /// 1970-01-01.
    Epoch,
    /// The whole column as the database's text.
    Text,
    /// The table stops.
    Fail,
    /// 0001-01-01: `zeroDateTimeBehavior=ROUND` of a MySQL URL, no word of this setting.
    Round,
    /// Null in columns that may be NULL, and only there: `zeroDateTimeBehavior=CONVERT_TO_NULL` of a MySQL URL, no word of
    /// this setting. The same as no setting, but for what is said of the others.
    IfNullable,
}

/// `type.unsupported`: what becomes of a column whose type Connect's source has no mapping for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsupported {
    /// The database's text form.
    Text,
    /// The table stops.
    Fail,
    /// The column is left out, as the reference does, and the status says so.
    Skip,
}

/// `type.mismatch`: what becomes of a value that is of another type than its column, which SQLite allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch {
    /// The table stops.
    Fail,
    /// The whole column as text.
    Text,
}

/// The type settings of every column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnTypes {
    /// The settings of a column that has none of its own.
    pub all: TypeSpec,
    columns: Arc<[ColumnSetting]>,
    tables: TableRules,
}

/// One `column.TABLE.COLUMN.SETTING`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnSetting {
    /// The key as it is written.
    pub key: String,
    /// `TABLE.COLUMN`; either may have dots of its own.
    pub column: String,
    /// The change it makes.
    pub change: TypeChange,
}

/// The value of a setting that one column can have for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeChange {
    /// `decimal.handling`.
    Decimal(DecimalHandling),
    /// `unsigned.bigint`.
    UnsignedBigint(UnsignedBigint),
    /// `zero.date`.
    ZeroDate(ZeroDate),
    /// `dst.overlap`.
    Overlap(Overlap),
    /// `time.handling`.
    Time(TimeHandling),
    /// `type.unsupported`.
    Unsupported(Unsupported),
    /// `type.mismatch`.
    Mismatch(Mismatch),
    /// `driver.types`.
    Drivers(DriverTypes),
}

impl TypeChange {
    /// Changes a specification.
    pub fn apply(self, types: &mut TypeSpec) {
        match self {
            TypeChange::Decimal(decimal) => types.decimal = decimal,
            TypeChange::UnsignedBigint(unsigned) => types.unsigned_bigint = unsigned,
            TypeChange::ZeroDate(zero_date) => types.zero_date = Some(zero_date),
            TypeChange::Overlap(overlap) => types.overlap = overlap,
            TypeChange::Time(time) => types.time = time,
            TypeChange::Unsupported(unsupported) => types.unsupported = unsupported,
            TypeChange::Mismatch(mismatch) => types.mismatch = mismatch,
            TypeChange::Drivers(drivers) => types.drivers = drivers,
        }
    }
}

/// The same for every column.
impl From<TypeSpec> for ColumnTypes {
    fn from(all: TypeSpec) -> Self {
        Self { all, columns: Arc::default(), tables: TableRules::default() }
    }
}

impl ColumnTypes {
    /// The settings of all columns, and those of single ones.
    pub fn new(all: TypeSpec, columns: Vec<ColumnSetting>) -> Self {
        Self { all, columns: columns.into(), tables: TableRules::default() }
    }

    /// The same, where a column that a table leaves out need not have a type that can be delivered.
    #[must_use]
    pub fn without_left_out(self, tables: TableRules) -> Self {
        Self { tables, ..self }
    }

    /// True if any column is to be as a certain driver delivers it.
    pub fn names_a_driver(&self) -> bool {
        let of_columns = self.columns.iter().any(|setting| matches!(setting.change, TypeChange::Drivers(_)));
        of_columns || self.all.drivers != DriverTypes::Auto
    }

    /// The settings of one column. A setting with the table's dotted name wins over one with its bare name.
    pub fn of<'a>(&'a self, relation: &Relation, column: &str) -> Cow<'a, TypeSpec> {
        let mut types = self.said_of(relation, column);
        if types.unsupported == Unsupported::Fail && self.tables.leave_out(relation, column) {
            types.to_mut().unsupported = Unsupported::Skip;
        }
        types
    }

    /// True if the records of a relation are not to have this column (`table.PATTERN.columns.include` and `exclude`).
    pub fn leaves_out(&self, relation: &Relation, column: &str) -> bool {
        self.tables.leave_out(relation, column)
    }

    /// The columns that `table.PATTERN.columns.exclude` names for a relation; none if all of its columns are wanted.
    pub fn exclusions(&self, relation: &Relation) -> Option<Vec<String>> {
        self.tables.exclusions(relation)
    }

    fn said_of<'a>(&'a self, relation: &Relation, column: &str) -> Cow<'a, TypeSpec> {
        let mut types = Cow::Borrowed(&self.all);
        if self.columns.is_empty() {
            return types;
        }
        let [dotted, bare] = names(relation);
        for table in [bare, dotted] {
            for setting in self.columns.iter().filter(|setting| setting.rest_after(&table) == Some(column)) {
                setting.change.apply(types.to_mut());
            }
        }
        types
    }

    /// Settings that name this relation and a column it does not have. A name with a dot may mean another
    /// relation and is left to [`ColumnTypes::unplaced`].
    pub fn without_column(&self, relation: &Relation, has: impl Fn(&str) -> bool) -> Option<(&ColumnSetting, &str)> {
        let names = names(relation);
        self.columns.iter().find_map(|setting| {
            let column = names.iter().find_map(|table| setting.rest_after(table))?;
            (!column.contains('.') && !has(column)).then_some((setting, column))
        })
    }

    /// Warnings about settings, given the relations that are polled: those that name none of them, and those that can
    /// only mean a column with a dot in its name.
    pub fn unplaced(&self, relations: &[Relation]) -> Vec<String> {
        let mut odd = Vec::new();
        for setting in self.columns.iter() {
            let meant: Vec<(String, &str)> = relations
                .iter()
                .flat_map(names)
                .filter_map(|table| setting.rest_after(&table).map(|column| (table, column)))
                .collect();
            match meant.first() {
                None => odd.push(format!("{}: no table that is polled is named so; it has no effect", setting.key)),
                Some((table, column)) if meant.iter().all(|(_, column)| column.contains('.')) => {
                    odd.push(format!("{}: taken as column `{column}` of table {table}", setting.key));
                }
                Some(_) => {}
            }
        }
        odd
    }
}

impl ColumnSetting {
    /// The column, if this is the table.
    fn rest_after(&self, table: &str) -> Option<&str> {
        self.column.strip_prefix(table)?.strip_prefix('.')
    }
}

/// The names a relation goes by in settings: dotted and bare.
fn names(relation: &Relation) -> [String; 2] {
    let bare = match relation {
        Relation::Table(id) => id.name.clone(),
        Relation::Query(_) => relation.to_string(),
    };
    [relation.to_string(), bare]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TableId;

    fn table(schema: &str, name: &str) -> Relation {
        Relation::Table(TableId { catalog: None, schema: Some(schema.to_owned()), name: name.to_owned() })
    }

    fn types(settings: &[(&str, DecimalHandling)]) -> ColumnTypes {
        let setting = |(column, decimal): &(&str, DecimalHandling)| ColumnSetting {
            key: format!("column.{column}.decimal.handling"),
            column: (*column).to_owned(),
            change: TypeChange::Decimal(*decimal),
        };
        ColumnTypes::new(TypeSpec::default(), settings.iter().map(setting).collect())
    }

    #[test]
    fn a_setting_of_a_column_wins_and_the_dotted_name_of_its_table_most_of_all() {
        let types = types(&[
            ("public.t.a", DecimalHandling::Text),
            ("t.a", DecimalHandling::Double),
            ("t.x.y", DecimalHandling::Double),
            ("query.a", DecimalHandling::Double),
        ]);
        let of = |relation: &Relation, column| types.of(relation, column).decimal;
        assert_eq!(of(&table("public", "t"), "a"), DecimalHandling::Text);
        assert_eq!(of(&table("other", "t"), "a"), DecimalHandling::Double);
        assert_eq!(of(&table("public", "t"), "b"), DecimalHandling::AvroDecimal);
        // Dots in names do no harm.
        assert_eq!(of(&table("public", "t.x"), "y"), DecimalHandling::Double);
        assert_eq!(of(&table("public", "t"), "x.y"), DecimalHandling::Double);
        assert_eq!(of(&Relation::Query("select 1".to_owned()), "a"), DecimalHandling::Double);
        assert_eq!(of(&table("t", "a"), "a"), DecimalHandling::AvroDecimal);
    }

    #[test]
    fn settings_of_what_is_not_there_are_found() {
        let text = DecimalHandling::Text;
        let types = types(&[("public.t.a", text), ("t.b", text), ("u.a", text), ("t.x.y", text)]);
        let t = table("public", "t");
        let (setting, column) = types.without_column(&t, |name| name == "a").unwrap();
        assert_eq!((setting.key.as_str(), column), ("column.t.b.decimal.handling", "b"));
        assert!(types.without_column(&t, |name| name == "a" || name == "b").is_none());
        let odd = types.unplaced(std::slice::from_ref(&t));
        assert_eq!(odd.len(), 2, "{odd:?}");
        assert!(odd[0].contains("column.u.a.decimal.handling"), "{odd:?}");
        assert!(odd[1].contains("column `x.y` of table t"), "{odd:?}");
        assert!(types.unplaced(&[t, table("t", "x"), table("public", "u")]).is_empty());
    }
}
