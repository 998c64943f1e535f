//! JDBC drivers for MySQL, MariaDB and TiDB: their versions, and the table of the columns that they deliver
//! differently (`driver-types.md`, measured with real connectors, and once more with the drivers). Data only.

use std::fmt;

/// A JDBC driver, by the versions that deliver the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Driver {
    /// MySQL Connector/J 8.0, by its last versions.
    MySql80,
    /// MySQL Connector/J 8.4.
    MySql84,
    /// MySQL Connector/J 9.
    MySql97,
    /// MariaDB Connector/J 2.
    MariaDb27,
    /// MariaDB Connector/J 3.0 to 3.3.
    MariaDb33,
    /// MariaDB Connector/J 3.5.
    MariaDb35,
}

/// The maker of a JDBC driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Maker {
    /// MySQL Connector/J.
    MySql,
    /// MariaDB Connector/J.
    MariaDb,
}

/// `driver.types`: the driver whose types columns have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DriverTypes {
    /// The one that the registered schema is of, else the newest.
    #[default]
    Auto,
    /// The newest of a maker, whatever is registered.
    Newest(Maker),
    /// The types of this driver, whatever is registered.
    Named(Driver),
}

/// Every driver in the order of the table's cells: name in `driver.types`, maker and version.
pub const DRIVERS: [(&str, Driver, Maker, &str); 6] = [
    ("mysql-8.0", Driver::MySql80, Maker::MySql, "8.0"),
    ("mysql-8.4", Driver::MySql84, Maker::MySql, "8.4"),
    ("mysql-9.7", Driver::MySql97, Maker::MySql, "9.7"),
    ("mariadb-2.7", Driver::MariaDb27, Maker::MariaDb, "2.7"),
    ("mariadb-3.3", Driver::MariaDb33, Maker::MariaDb, "3.3"),
    ("mariadb-3.5", Driver::MariaDb35, Maker::MariaDb, "3.5"),
];

/// The values of `driver.types`.
pub const DRIVER_TYPES: [&str; 9] =
    ["auto", "mysql", DRIVERS[0].0, DRIVERS[1].0, DRIVERS[2].0, "mariadb", DRIVERS[3].0, DRIVERS[4].0, DRIVERS[5].0];

/// A form in which a driver delivers a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Connect BOOLEAN.
    Boolean,
    /// Connect INT8.
    Int8,
    /// Connect INT16.
    Int16,
    /// Connect INT32.
    Int32,
    /// Connect INT64.
    Int64,
    /// Connect BYTES.
    Bytes,
    /// Connect STRING.
    Text,
    /// The column is not delivered.
    LeftOut,
}

/// The columns that drivers deliver differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriverCase {
    /// `tinyint(1)` and `bool`.
    TinyInt1,
    /// `tinyint(1) unsigned`.
    TinyInt1Unsigned,
    /// `tinyint unsigned`.
    TinyIntUnsigned,
    /// `smallint unsigned`.
    SmallIntUnsigned,
    /// `bit(1)`.
    Bit1,
    /// `bit(n)` of more bits.
    Bits,
    /// `uuid` of MariaDB.
    Uuid,
}

/// Parameters of the URL that change what a driver delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DriverParameters {
    /// `tinyInt1isBit`, if it is given.
    pub tiny_is_bit: Option<bool>,
    /// `transformedBitIsBoolean`, if it is given.
    pub bit_is_boolean: Option<bool>,
}

/// The parameters under which a row of the table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// `transformedBitIsBoolean`.
    BitIsBoolean(bool),
    /// `tinyInt1isBit=false`, which makes the other parameter one of bits alone.
    TinyIsNoBit,
}

/// A row of the table.
struct Difference {
    case: DriverCase,
    when: When,
    /// The forms, in the order of [`DRIVERS`].
    forms: [Form; 6],
}

const fn row(case: DriverCase, when: When, forms: [Form; 6]) -> Difference {
    Difference { case, when, forms }
}

/// The table, as the drivers themselves answer on MySQL 9.7, MariaDB 10.11 and TiDB 8.5 (8.0.33, 8.4.0, 9.7.0, 2.7.12,
/// 3.3.3, 3.5.11). Where the page has something else of 8.0, an int8 for `tinyint(1) unsigned` and bytes for `bit(n)`,
/// it is what MySQL Connector/J 5.1 and 8.0.11, and MariaDB 2.7, have: the types of a subject of theirs are kept all
/// the same.
const TABLE: &[Difference] = {
    use DriverCase as C;
    use Form::{Boolean, Bytes, Int8, Int16, Int32, Int64, LeftOut, Text};
    use When::{Always, BitIsBoolean, TinyIsNoBit};
    &[
        //                                        mysql 8.0  8.4     9.7     mariadb 2.7  3.3  3.5
        row(C::TinyInt1, Always, [Int8, Int8, Int8, Int8, Boolean, Boolean]),
        row(C::TinyInt1, BitIsBoolean(true), [Boolean, Boolean, Boolean, Int8, Boolean, Boolean]),
        row(C::TinyInt1, BitIsBoolean(false), [Int8; 6]),
        row(C::TinyInt1, TinyIsNoBit, [Int8; 6]),
        row(C::TinyInt1Unsigned, Always, [Int16, Int16, Int16, Int8, Boolean, Boolean]),
        row(C::TinyInt1Unsigned, BitIsBoolean(true), [Int16, Int16, Int16, Int8, Boolean, Boolean]),
        row(C::TinyInt1Unsigned, BitIsBoolean(false), [Int16, Int16, Int16, Int8, Int8, Int8]),
        row(C::TinyInt1Unsigned, TinyIsNoBit, [Int16, Int16, Int16, Int16, Int32, Int16]),
        row(C::TinyIntUnsigned, Always, [Int16, Int16, Int16, Int16, Int32, Int16]),
        row(C::SmallIntUnsigned, Always, [Int32, Int32, Int32, Int32, Int64, Int32]),
        row(C::Bit1, Always, [Int8, Int8, Int8, Int8, Boolean, Boolean]),
        row(C::Bit1, BitIsBoolean(false), [Int8; 6]),
        // Every int8 of more than 7 bits fails its task beyond 127.
        row(C::Bits, Always, [Int8, Int8, Int8, Bytes, Int8, Int8]),
        row(C::Uuid, Always, [Text, Text, Text, Text, LeftOut, LeftOut]),
    ]
};

impl Driver {
    /// Its maker.
    pub fn maker(self) -> Maker {
        DRIVERS[self as usize].2
    }

    /// Its version.
    pub fn version(self) -> &'static str {
        DRIVERS[self as usize].3
    }

    /// The form in which it delivers a column.
    pub fn form(self, case: DriverCase, parameters: DriverParameters) -> Form {
        let is_bit = matches!(case, DriverCase::Bit1);
        let when = match parameters {
            DriverParameters { tiny_is_bit: Some(false), .. } if !is_bit => When::TinyIsNoBit,
            DriverParameters { bit_is_boolean: Some(is_boolean), .. } => When::BitIsBoolean(is_boolean),
            _ => When::Always,
        };
        let find = |when| TABLE.iter().find(|row| row.case == case && row.when == when);
        find(when).or_else(|| find(When::Always)).map_or(Form::LeftOut, |row| row.forms[self as usize])
    }
}

impl Maker {
    /// The drivers, the newest first, then those of the other maker.
    pub fn first(self) -> impl Iterator<Item = Driver> {
        let of = move |own: bool| {
            DRIVERS.iter().rev().filter(move |(_, _, maker, _)| (*maker == self) == own).map(|(_, driver, ..)| *driver)
        };
        of(true).chain(of(false))
    }

    fn product(self) -> &'static str {
        match self {
            Maker::MySql => "MySQL Connector/J",
            Maker::MariaDb => "MariaDB Connector/J",
        }
    }
}

impl DriverTypes {
    /// The types of the setting's word; none for a word it does not know.
    pub fn of(word: &str) -> Option<Self> {
        Some(match word {
            "auto" => DriverTypes::Auto,
            "mysql" => DriverTypes::Newest(Maker::MySql),
            "mariadb" => DriverTypes::Newest(Maker::MariaDb),
            word => DriverTypes::Named(DRIVERS.iter().find(|(name, ..)| *name == word)?.1),
        })
    }

    /// The driver that is to be taken, if one is named.
    pub fn named(self) -> Option<Driver> {
        match self {
            DriverTypes::Auto => None,
            DriverTypes::Newest(maker) => maker.first().next(),
            DriverTypes::Named(driver) => Some(driver),
        }
    }
}

/// The word of the setting.
impl fmt::Display for DriverTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DriverTypes::Auto => "auto",
            DriverTypes::Newest(Maker::MySql) => "mysql",
            DriverTypes::Newest(Maker::MariaDb) => "mariadb",
            DriverTypes::Named(driver) => DRIVERS[*driver as usize].0,
        })
    }
}

/// Drivers in words: `MySQL Connector/J 8.4 and 9.7`.
pub fn in_words(drivers: &[Driver]) -> String {
    let mut makers = Vec::new();
    for maker in [Maker::MySql, Maker::MariaDb] {
        let versions: Vec<&str> = DRIVERS
            .iter()
            .filter(|(_, driver, of, _)| *of == maker && drivers.contains(driver))
            .map(|(.., version)| *version)
            .collect();
        if let [others @ .., last] = versions.as_slice() {
            let versions =
                if others.is_empty() { (*last).to_owned() } else { format!("{} and {last}", others.join(", ")) };
            makers.push(format!("{} {versions}", maker.product()));
        }
    }
    makers.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_setting_is_understood_and_said_again() {
        for word in DRIVER_TYPES {
            assert_eq!(DriverTypes::of(word).map(|of| of.to_string()).as_deref(), Some(word));
        }
        assert_eq!(DriverTypes::of("mysql-5.1"), None);
        for (place, (_, driver, ..)) in DRIVERS.iter().enumerate() {
            assert_eq!(*driver as usize, place, "the order of cells is the order of drivers");
        }
        assert_eq!(DriverTypes::Newest(Maker::MariaDb).named(), Some(Driver::MariaDb35));
    }

    #[test]
    fn parameters_of_the_url_choose_the_row() {
        let form = |driver: Driver, case, tiny_is_bit, bit_is_boolean| {
            driver.form(case, DriverParameters { tiny_is_bit, bit_is_boolean })
        };
        let tiny = DriverCase::TinyInt1;
        assert_eq!(form(Driver::MySql97, tiny, None, None), Form::Int8);
        assert_eq!(form(Driver::MySql80, tiny, None, Some(true)), Form::Boolean);
        assert_eq!(form(Driver::MariaDb27, tiny, None, Some(true)), Form::Int8);
        assert_eq!(form(Driver::MariaDb35, tiny, Some(false), Some(true)), Form::Int8);
        assert_eq!(form(Driver::MariaDb35, DriverCase::Bit1, Some(false), None), Form::Boolean);
        let unsigned = DriverCase::TinyInt1Unsigned;
        assert_eq!(form(Driver::MariaDb33, unsigned, Some(false), None), Form::Int32);
        assert_eq!(form(Driver::MySql80, unsigned, Some(true), None), Form::Int16);
        assert_eq!(form(Driver::MariaDb33, DriverCase::SmallIntUnsigned, Some(false), None), Form::Int64);
    }

    #[test]
    fn drivers_are_said_by_maker_and_version() {
        let of = |drivers: &[Driver]| in_words(drivers);
        assert_eq!(of(&[Driver::MySql97, Driver::MySql80]), "MySQL Connector/J 8.0 and 9.7");
        let both = [Driver::MariaDb27, Driver::MySql97, Driver::MySql84, Driver::MySql80];
        assert_eq!(of(&both), "MySQL Connector/J 8.0, 8.4 and 9.7, MariaDB Connector/J 2.7");
    }
}
