//! The types of MySQL, MariaDB and TiDB and their edge values, as SQL.

use super::matrix::{Column, of};

const MILLIS: &str = "left(concat({got}), 23) <=> left(concat({col}), 23)";
const TIME_MILLIS: &str = "left(concat({got}), 12) <=> left(concat({col}), 12)";
const NEW_YEAR: &str = "{got} <=> makedate({col}, 1)";
const SHOWN: &str = "{got} <=> cast({col} as char)";
const AS_TEXT: &str = "{got} <=> vec_as_text({col})";
/// A date that is none becomes null where the column may be null.
const NULL: &str = "{got} is null";

const TOO_LONG: &[(&str, &str)] =
    &[("'24:00:00'", "time.handling"), ("'-00:00:01'", "time.handling"), ("'838:59:59'", "time.handling")];
const ZERO: &[(&str, &str)] =
    &[("'0000-00-00'", "zero.date"), ("'2024-02-00'", "zero.date"), ("'2024-00-01'", "zero.date")];

/// Columns that all three have, under the default settings.
const COLUMNS: &[Column] = &[
    of("tinyint", "int8", &["-128", "127", "0"]),
    of("tinyint unsigned", "int16", &["255", "0"]),
    of("tinyint not null", "int8", &["-1"]),
    of("smallint", "int16", &["-32768", "32767"]),
    of("smallint unsigned", "int", &["65535", "0"]),
    of("mediumint", "int", &["-8388608", "8388607"]),
    of("mediumint unsigned", "long", &["16777215", "0"]),
    of("int", "int", &["-2147483648", "2147483647"]),
    of("int unsigned", "long", &["4294967295", "0"]),
    of("int(5) unsigned zerofill", "long", &["42", "4294967295"]),
    of("bigint", "long", &["-9223372036854775808", "9223372036854775807"]),
    of("bigint unsigned", "long", &["9223372036854775807", "0"])
        .refuses(&[("9223372036854775808", "unsigned.bigint"), ("18446744073709551615", "unsigned.bigint")]),
    of("float", "float", &["0.1", "-3.4028234e38", "1.17549435e-38", "16777217"]),
    of("float(7,3)", "float", &["1.2345", "-0.0005", "9999.999"]).same("round({got}, 3) <=> concat({col}) + 0"),
    of("double(10,3)", "double", &["-0.001", "1234567.0005", "0"]).same("{got} <=> concat({col}) + 0e0"),
    of("double", "double", &["0.1", "-1.7976931348623157e308", "2.2250738585072014e-308", "9007199254740993"]),
    of("decimal(10,2)", "decimal(2)", &["0", "-99999999.99", "99999999.99", "0.01"]),
    of("decimal(10,2) unsigned", "decimal(2)", &["99999999.99"]),
    of("decimal(1,0)", "decimal(0)", &["-9", "9"]),
    of(
        "decimal(65,30)",
        "decimal(30)",
        &["99999999999999999999999999999999999.999999999999999999999999999999", "-0.000000000000000000000000000001"],
    ),
    of("char(5)", "string", &["'ab'", "''", "'żółw'"]),
    of("varchar(5)", "string", &["'ab '", "''", "'a😀'"]),
    of("varchar(5) character set latin1", "string", &["'é'"]),
    of("tinytext", "string", &["''"]),
    of("text", "string", &["'\\0\\'\"\\\\\\n\\r'", "repeat('ż', 20000)", "'👩‍🚀'"]),
    of("mediumtext", "string", &["'a'"]),
    of("longtext", "string", &["repeat('x', 100000)"]),
    of("text character set utf8mb4 collate utf8mb4_bin", "string", &["'A'"]),
    of("binary(4)", "bytes", &["x'00ff'", "x'61626364'"]),
    of("binary(16)", "bytes", &["x'00112233445566778899aabbccddeeff'", "x'00000000000000000000000000000000'"]),
    of("varbinary(4)", "bytes", &["x''", "x'00ff'", "x'2020'"]),
    of("tinyblob", "bytes", &["x''", "x'00'"]),
    of("blob", "bytes", &["repeat(x'ff00', 20000)"]),
    of("mediumblob", "bytes", &["x'00'"]),
    of("longblob", "bytes", &["x'00'"]),
    of("enum('a','B','it''s','ż')", "string", &["'a'", "'B'", "'it''s'", "'ż'"]),
    of("set('a','b','c d')", "string", &["''", "'a,c d'", "'a,b,c d'"]),
    of(
        "date",
        "date",
        &["'1970-01-01'", "'2024-02-29'", "'9999-12-31'", "'1582-10-15'", "'1582-10-04'", "'0001-01-01'"],
    ),
    of("date not null", "date", &["'1970-01-01'"]).refuses(ZERO),
    of("datetime", "timestamp-millis", &["'1970-01-01'", "'9999-12-31 23:59:59'", "'1855-01-01 00:00:01'"]),
    of(
        "datetime(6)",
        "timestamp-millis",
        &["'2024-02-29 12:00:00.123456'", "'1969-12-31 23:59:59.999999'", "'1500-01-01 00:00:00.000001'"],
    )
    .same(MILLIS),
    of("datetime not null", "timestamp-millis", &["'2024-01-01'"]).refuses(ZERO),
    of("timestamp null", "timestamp-millis", &["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'"]),
    of("timestamp(6) null", "timestamp-millis", &["'2024-02-29 12:00:00.123456'"]).same(MILLIS),
    of("time", "time-millis", &["'00:00:00'", "'23:59:59'"]).refuses(TOO_LONG),
    of("time(6)", "time-millis", &["'23:59:59.999999'", "'00:00:00.000001'"]).same(TIME_MILLIS),
    of("year", "date", &["1901", "2155"]).same(NEW_YEAR),
    of("year not null", "date", &["1970"]).same(NEW_YEAR).refuses(&[("0", "zero.date")]),
];

const BITS: &[Column] = &[
    of("bit(7)", "int8", &["b'1111111'", "0"]),
    of("bit(8)", "int16", &["255", "0"]),
    of("bit(31)", "int", &["2147483647"]),
    of("bit(63)", "long", &["9223372036854775807"]),
    of("bit(64)", "long", &["9223372036854775807", "0"]).refuses(&[("18446744073709551615", "unsigned.bigint")]),
];

/// As the newest driver for MySQL has them.
const FLAGS: &[Column] = &[
    of("tinyint(1)", "int8", &["-128", "5", "1"]),
    of("bool", "int8", &["true", "false"]),
    of("tinyint(1) unsigned", "int16", &["255", "0"]),
    of("bit(1)", "int8", &["b'0'", "b'1'"]),
];

/// As the newest driver for MariaDB has them.
const BOOLEANS: &[Column] = &[
    of("tinyint(1)", "boolean", &["-128", "5", "1", "0"]).same("{got} <=> ({col} <> 0)"),
    of("bool", "boolean", &["true", "false"]),
    of("tinyint(1) unsigned", "boolean", &["255", "0"]).same("{got} <=> ({col} <> 0)"),
    of("bit(1)", "boolean", &["b'0'", "b'1'"]),
];

const GEOMETRY: &[Column] = &[
    of("geometry", "bytes", &["st_geomfromtext('POINT(1 2)')", "st_geomfromtext('GEOMETRYCOLLECTION(POINT(0.1 -2))')"]),
    of("point", "bytes", &["st_geomfromtext('POINT(0.1 -2)')", "st_geomfromtext('POINT(1 2)', 4326)"]),
    of("linestring", "bytes", &["st_geomfromtext('LINESTRING(0 0,1 1)')"]),
    of("polygon", "bytes", &["st_geomfromtext('POLYGON((0 0,1 0,1 1,0 0))')"]),
    of("multipoint", "bytes", &["st_geomfromtext('MULTIPOINT(0 0,1 1)')"]),
    of("multilinestring", "bytes", &["st_geomfromtext('MULTILINESTRING((0 0,1 1))')"]),
    of("multipolygon", "bytes", &["st_geomfromtext('MULTIPOLYGON(((0 0,1 0,1 1,0 0)))')"]),
    of("geometrycollection", "bytes", &["st_geomfromtext('GEOMETRYCOLLECTION(POINT(1 2))')"]),
];

const JSON: &[Column] =
    &[of("json", "string", &["'{\"b\": 1.10, \"a\": null}'", "'null'", "'\"😀\"'", "'[18446744073709551615, 1e300]'"])];

/// All of each server, in groups.
pub const OF_MYSQL: &[&[Column]] = &[
    COLUMNS,
    FLAGS,
    BITS,
    GEOMETRY,
    JSON,
    &[
        of("vector(3)", "bytes", &["string_to_vector('[1,-0.1,3.4e38]')"]),
        of("json not null", "string", &["'[]'"]),
        of("varchar(5) character set utf16", "string", &["'a😀'"]),
        of("char(5) character set gbk", "string", &["'中'"]),
    ],
];

pub const OF_MARIADB: &[&[Column]] = &[
    COLUMNS,
    BOOLEANS,
    BITS,
    GEOMETRY,
    JSON,
    &[
        of("uuid", "string", &["'00112233-4455-6677-8899-AABBCCDDEEFF'", "'00000000-0000-0000-0000-000000000000'"]),
        of("inet6", "string", &["'::'", "'2001:db8::ff00:42:8329'", "'::ffff:1.2.3.4'"]),
        of("inet4", "string", &["'0.0.0.0'", "'255.255.255.255'"]),
        of("varchar(9) compressed", "string", &["'abc'"]),
        of("varchar(5) character set utf16", "string", &["'a😀'"]),
        of("char(5) character set gbk", "string", &["'中'"]),
    ],
];

pub const OF_TIDB: &[&[Column]] = &[
    COLUMNS,
    FLAGS,
    BITS,
    JSON,
    &[
        of("char(5) character set gbk", "string", &["'中'"]),
        of("vector(3)", "string", &["'[1,-0.1,3.4e38]'"]).same(AS_TEXT),
        of("vector", "string", &["'[]'", "'[0.1]'"]),
    ],
];

/// Types of which the default settings lose or refuse something, under settings that do not.
pub const EXACT: &[Column] = &[
    of("bigint unsigned", "decimal(0)", &["18446744073709551615", "9223372036854775808", "0", "127", "128"]),
    of("bigint unsigned not null", "decimal(0)", &["18446744073709551615"]),
    of("time", "string", &["'838:59:59'", "'-838:59:59'", "'24:00:00'", "'00:00:00'"]),
    of("time(6)", "string", &["'-00:00:00.000001'", "'23:59:59.999999'"]),
    of("time(1)", "string", &["'01:02:03.4'"]),
    of(
        "datetime(6)",
        "long",
        &[
            "'2024-02-29 12:00:00.123456'",
            "'1969-12-31 23:59:59.999999'",
            "'1582-10-10 00:00:00.000001'",
            "'0001-01-01'",
            "'9999-12-31 23:59:59.999999'",
        ],
    ),
    of("timestamp(6) null", "long", &["'2024-02-29 12:00:00.123456'", "'2038-01-19 03:14:07.999999'"]),
    of("date", "date", &["'1582-10-10'", "'1582-10-04'", "'0001-01-01'"]),
];

/// Everything as the database's text, with `zero.date=string` and `unsigned.bigint=string`.
pub const TEXTS: &[Column] = &[
    of("date", "string", &["'0000-00-00'", "'2024-02-00'", "'2024-02-30'", "'9999-12-31'"]).same(SHOWN),
    of("date not null", "string", &["'0000-00-00'"]).same(SHOWN),
    of("datetime(6)", "string", &["'0000-00-00 00:00:00'", "'2024-02-00 12:00:00.000001'", "'0001-01-01'"]).same(SHOWN),
    of("timestamp(3) null", "string", &["'0000-00-00 00:00:00'", "'2024-02-29 12:00:00.123'"]).same(SHOWN),
    of("year", "string", &["0", "2155"]).same(SHOWN),
    of("bigint unsigned", "string", &["18446744073709551615", "0"]).same(SHOWN),
];

/// Dates that are none, in columns that may be null.
pub const ZERO_DATES: &[Column] = &[
    of("date", "date", &["'0000-00-00'", "'2024-00-00'", "'2024-02-00'", "'2024-02-30'"]).same(NULL),
    of("datetime(6)", "long", &["'0000-00-00 00:00:00'", "'2024-02-00 12:00:00'"]).same(NULL),
    of("timestamp null", "long", &["'0000-00-00 00:00:00'"]).same(NULL),
    of("year", "date", &["0"]).same(NULL),
];
