//! PostgreSQL's types and their edge values. What Kafka Connect's milliseconds cut off is compared cut off here, and
//! whole in [`MOMENTS`].

use super::matrix::{Column, of};

/// Types of the tests' own.
pub const PRELUDE: &str = "
    create type mood as enum ('sad', 'so so', 'it''s \"ok\"', 'żółw');
    create domain positive as int check (value > 0);
    create domain must as numeric(10,2) not null;
    create domain cents as numeric(6,2);
    create domain nested as cents check (value > 1);
    create type pair as (a int, b text);
    create type floats as range (subtype = float8, multirange_type_name = multifloats);
    create type spans as (a int4multirange, b int[]);
    create domain fenced as int4multirange;";

const MILLIS: &str = "{got} is not distinct from date_trunc('milliseconds', {col})";
const TIME_MILLIS: &str = "({got})::interval is not distinct from date_trunc('milliseconds', {col}::interval)";
/// Connect's Time has no offset: the time in UTC.
const UTC_MILLIS: &str = "({got})::interval is not distinct from
    date_trunc('milliseconds', ({col} at time zone 'UTC')::time::interval)";

/// A date that is none becomes null where the column may be null.
const NULL: &str = "{got} is null";

/// Every built-in type, under the settings that hold by default.
pub const COLUMNS: &[Column] = &[
    of("boolean", "boolean", &["true", "false"]),
    of("boolean not null", "boolean", &["false", "true"]),
    of("smallint", "int16", &["-32768", "32767", "0"]),
    of("integer", "int", &["-2147483648", "2147483647", "0"]),
    of("integer not null", "int", &["-1", "0"]),
    of("bigint", "long", &["-9223372036854775808", "9223372036854775807", "0"]),
    of("oid", "long", &["0", "4294967295"]),
    of("real", "float", &["0.1", "-0", "3.4028235e38", "1e-45", "16777217", "NaN", "Infinity", "-Infinity"]),
    of(
        "double precision",
        "double",
        &["0.1", "-0", "1.7976931348623157e308", "5e-324", "9007199254740993", "NaN", "Infinity", "-Infinity"],
    ),
    of("numeric(10,2)", "decimal(2)", &["0", "-99999999.99", "99999999.99", "0.01", "-0.01", "1.20"])
        .refuses(&[("NaN", "decimal.handling")]),
    of("numeric(1,0)", "decimal(0)", &["9", "-9", "0"]),
    of("numeric(38,10)", "decimal(10)", &["9999999999999999999999999999.9999999999", "-0.0000000001"]),
    of("numeric(3,5)", "decimal(5)", &["0.00999", "-0.00001"]),
    of("numeric(5,-2)", "decimal(0)", &["9999900", "-12300", "0"]),
    of("numeric(1000,500)", "decimal(500)", &["=(10::numeric(1000,500) ^ 499)", "=-(10::numeric(1000,500) ^ -499)"]),
    of("numeric", "decimal(127)", &["0", "12.12", "-1e-127", "1e50", "100.00", "123456789012345678901234567890.5"])
        .refuses(&[
            ("NaN", "decimal.handling"),
            ("Infinity", "decimal.handling"),
            ("-Infinity", "decimal.handling"),
            ("1e-128", "decimal.handling"),
        ]),
    of("money", "double", &["0", "1234.56", "-1234.56", "35184372088831.99", "-0.01"])
        .refuses(&[("92233720368547758.07", "decimal.handling")]),
    of("bit(1)", "boolean", &["0", "1"]),
    of("bit(8)", "string", &["10101010", "00000000", "11111111"]),
    of("bit(70)", "string", &["=repeat('10', 35)::bit(70)"]),
    of("varbit", "string", &["", "1", "0000000001", "=repeat('1', 300)::varbit"]),
    of("varbit(5)", "string", &["", "10101"]),
    of("bytea", "bytes", &["\\x", "\\x00", "\\xdeadbeef00ff", "=decode(repeat('ff00', 10000), 'hex')"]),
    of("\"char\"", "string", &["a", "", "\\", "'"]),
    of("name", "string", &["n", "=repeat('n', 63)::name", ""]),
    of("char(5)", "string", &["ab", "abcde", "", "  a  "]),
    of("varchar(5)", "string", &["ab", "", " a ", "żółw😀"]),
    of(
        "text",
        "string",
        &["", "😀 \u{1f469}\u{200d}\u{1f680} ẞ", "'\"\\\t\n\r", "\u{1}\u{7f}\u{feff}", "=repeat('ż', 100000)"],
    ),
    of(
        "date",
        "date",
        &[
            "1970-01-01",
            "2024-02-29",
            "9999-12-31",
            "1582-10-15",
            "1582-10-04",
            "0001-01-01",
            "0001-12-31 BC",
            "4713-01-01 BC",
            "5874897-12-31",
        ],
    ),
    of("date", "date", &["infinity", "-infinity"]).same(NULL),
    of("date not null", "date", &["2024-02-29"]).refuses(&[("infinity", "zero.date"), ("-infinity", "zero.date")]),
    of("time", "time-millis", &["00:00", "23:59:59.999999", "24:00", "12:34:56.789"]).same(TIME_MILLIS),
    of("time(0)", "time-millis", &["23:59:59", "24:00"]).same(TIME_MILLIS),
    of("timetz", "time-millis", &["01:00+02", "23:59:59.999999-15:59", "00:00+15:59", "12:00+00"]).same(UTC_MILLIS),
    of(
        "timestamp",
        "timestamp-millis",
        &[
            "1970-01-01",
            "2024-02-29 12:00:00.123456",
            "1969-12-31 23:59:59.9999",
            "1582-10-04 23:59:59.999999",
            "0001-01-01",
            "4713-01-01 00:00:00.000001 BC",
            "294247-01-07 23:59:59.999999",
            "infinity",
            "-infinity",
        ],
    )
    .same(MILLIS)
    .refuses(&[("294276-12-31 23:59:59.999999", "the year 294247")]),
    of("timestamp(0)", "timestamp-millis", &["1899-12-31 23:59:59", "9999-12-31 23:59:59"]).same(MILLIS),
    of(
        "timestamptz",
        "timestamp-millis",
        &[
            "1970-01-01 00:00+00",
            "2024-02-29 12:00:00.123456-08",
            "1855-03-01 00:00:00.0005+00",
            "0044-03-15 12:00:00+00 BC",
            "294247-01-07 23:59:59.999999+00",
            "infinity",
            "-infinity",
        ],
    )
    .same(MILLIS)
    .refuses(&[("294276-12-31 23:59:59.999999+00", "the year 294247")]),
    of(
        "interval",
        "string",
        &[
            "0",
            "-1 mons +2 days -03:04:05.000006",
            "30 days",
            "1 mon",
            "178000000 years",
            "-178000000 years",
            "24:00:00.000001",
            "-2562047788:00:54.775807",
        ],
    ),
    of("interval(0)", "string", &["1 day 02:03:04"]),
    of("interval year to month", "string", &["-1 year 2 months"]),
    of("uuid", "string", &["00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"]),
    of("json", "string", &["{\"a\":  1, \"a\": 2}", "null", "\"\\u0000\"", "[1e400, 1.0]"]),
    of("jsonb", "string", &["{\"b\": 1.10, \"a\": null}", "null", "\"x\"", "[123456789012345678901234567890]"]),
    of("xml", "string", &["<a>é</a>", "text", "<?xml version=\"1.0\"?><a b='1'/>"]),
    of("inet", "string", &["0.0.0.0", "10.0.0.1/8", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/127"]),
    of("cidr", "string", &["0.0.0.0/0", "10.0.0.0/8", "2001:db8::/32"]),
    of("macaddr", "string", &["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"]),
    of("macaddr8", "string", &["00:00:00:00:00:00:00:00", "08:00:2b:01:02:03:04:05"]),
    of("integer[]", "string", &["{}", "{1,NULL,-2147483648}", "{{1,2},{3,4}}", "[0:1]={5,6}"]),
    of("text[]", "string", &["{a,\"b c\",NULL,\"NULL\",\"\"}", "{\"\\\"\",\"\\\\\",\"{,}\",'}"]),
    of("numeric(10,2)[]", "string", &["{1.20,NaN}"]),
    of("bytea[]", "string", &["{\"\\\\x00ff\",NULL}"]),
    of("timestamptz[]", "string", &["{\"2024-02-29 12:00:00.123456-08\",infinity}"]),
    of("real[]", "string", &["{0.1,NaN,3.4028235e38}"]),
    of("mood", "string", &["sad", "so so", "it's \"ok\"", "żółw"]),
    of("mood[]", "string", &["{sad,\"so so\"}"]),
    of("positive", "int", &["1", "2147483647"]),
    of("cents", "decimal(2)", &["7.5", "-9999.99"]),
    of("nested", "decimal(2)", &["7.5"]).same("{got} is not distinct from {col}"),
    of("positive[]", "string", &["{1,2}"]),
    of("pair", "string", &["(1,x)", "(,)", "(-1,\"a \"\"b\"\" \\\\\")"]),
    of("pair[]", "string", &["{\"(1,x)\",NULL}"]),
    of("int4range", "string", &["empty", "[1,5)", "(,)", "[-2147483648,)"]),
    of("int8range", "string", &["[1,9223372036854775807)"]),
    of("numrange", "string", &["(1.10,2.20]", "[NaN,NaN]"]),
    of("tsrange", "string", &["[2024-01-01 00:00:00.000001,infinity]"]),
    of("tstzrange", "string", &["[2024-03-31 02:30:00+01,)"]),
    of("daterange", "string", &["[2024-01-01,infinity)", "[0044-03-15 BC,0001-01-01)"]),
    of("floats", "string", &["[0.1,Infinity)"]),
    of("int4multirange", "string", &["{}", "{[1,2),[5,)}"]),
    of("int8multirange", "string", &["{[1,2)}"]),
    of("nummultirange", "string", &["{(1.10,2.20]}"]),
    of("tsmultirange", "string", &["{[2024-01-01,2024-01-02)}"]),
    of("tstzmultirange", "string", &["{[2024-01-01 00:00+00,2024-01-02 00:00+00)}"]),
    of("datemultirange", "string", &["{[2024-01-01,2024-01-02)}"]),
    of("multifloats", "string", &["{[0.1,Infinity)}"]),
    of("int4multirange[]", "string", &["{\"{[1,2)}\"}"]),
    of("spans", "string", &["(\"{[1,2)}\",\"{1,2}\")"]),
    of("fenced", "string", &["{[1,2)}"]),
    of("point", "string", &["(0.1,-0)", "(NaN,Infinity)", "(5e-324,1.7976931348623157e308)"]),
    of("line", "string", &["{1,-1,0.1}"]),
    of("lseg", "string", &["[(0.1,0),(1,1)]"]),
    of("box", "string", &["(1,1),(0.1,0)"]),
    of("path", "string", &["((0.1,0),(1,1))", "[(0,0),(1,1)]"]),
    of("polygon", "string", &["((0.1,0),(1,1),(1,0))"]),
    of("circle", "string", &["<(0.1,0),5>", "<(0,0),0>"]),
    of("tsvector", "string", &["'a':1A,3 'it''s':2", ""]),
    of("tsquery", "string", &["'a' & !'b' <2> 'c':*A", ""]),
    of("pg_lsn", "string", &["0/0", "FFFFFFFF/FFFFFFFF"]),
    of("xid", "string", &["0", "4294967295"]),
    of("xid8", "string", &["0", "18446744073709551615"]),
    of("cid", "string", &["0", "4294967295"]),
    of("tid", "string", &["(0,1)", "(4294967295,65535)"]),
    of("regclass", "string", &["pg_class", "-", "4294967295"]),
    of("regtype", "string", &["timestamp with time zone", "integer[]"]),
    of("regproc", "string", &["now"]),
    of("regprocedure", "string", &["sum(integer)"]),
    of("regoper", "string", &["pg_catalog.||/", "0"]),
    of("regoperator", "string", &["+(integer,integer)"]),
    of("regrole", "string", &["postgres"]),
    of("regnamespace", "string", &["public"]),
    of("regcollation", "string", &["\"C\""]),
    of("regconfig", "string", &["english"]),
    of("regdictionary", "string", &["simple"]),
    of("jsonpath", "string", &["$.\"a\"[*]?(@ > 1)", "strict $"]),
    of("refcursor", "string", &["c", ""]),
    of("pg_snapshot", "string", &["10:20:10,14,15"]),
    of("txid_snapshot", "string", &["10:20:10,14,15"]),
    of("int2vector", "string", &["1 -2 3"]),
    of("oidvector", "string", &["1 4294967295"]),
    of("must not null", "decimal(2)", &["7.50"]).same("{got} is not distinct from {col}"),
];

/// Types that need an extension.
pub const EXTENSIONS: &[(&str, &[Column])] = &[
    ("hstore", &[of("hstore", "string", &["", "\"a\"=>\"1\", \"b c\"=>NULL", "\"\\\"\"=>\"\\\\\""])]),
    ("citext", &[of("citext", "string", &["aB", ""])]),
    ("ltree", &[of("ltree", "string", &["Top.Science_1", ""]), of("lquery", "string", &["*.foo|bar{1,2}"])]),
    ("cube", &[of("cube", "string", &["(0.1, -0),(1, 1)"])]),
    ("seg", &[of("seg", "string", &["1.50 .. 2"])]),
    ("isn", &[of("isbn13", "string", &["978-0-393-04002-9"])]),
];

/// Types of which the default settings lose or refuse something, under settings that do not.
pub const EXACT: &[Column] = &[
    of("numeric", "string", &["NaN", "Infinity", "-Infinity", "1e-300", "=10::numeric ^ 1000", "12.120", "0"]),
    of("numeric(10,2)", "string", &["NaN", "1.20", "-99999999.99"]),
    of("numeric(5,-2)", "string", &["12300", "NaN"]),
    of("cents", "string", &["-0.50"]),
    of("money", "string", &["92233720368547758.07", "-92233720368547758.08", "-0.01"]),
    of("time", "string", &["24:00", "23:59:59.999999"]),
    of("time(3)", "string", &["12:34:56.789"]),
    of("timetz", "string", &["01:00+02", "24:00-15:59:59", "00:00:00.000001+15:59"]),
    of("date", "string", &["infinity", "-infinity", "0044-03-15 BC", "1582-10-10", "5874897-12-31"]),
    of("date not null", "string", &["-infinity"]),
];

/// Dates and times where no digit and no day may be lost.
pub const MOMENTS: &[Column] = &[
    of(
        "timestamp",
        "",
        &[
            "1970-01-01",
            "2024-02-29 12:00:00.123456",
            "1969-12-31 23:59:59.999999",
            "1969-12-31 23:59:58.000001",
            "1677-09-21 00:12:43.145225",
            "2262-04-11 23:47:16.854776",
            "1582-10-15",
            "1582-10-14 23:59:59.999999",
            "1582-10-10",
            "1582-10-04 23:59:59.999999",
            "0001-01-01",
            "9999-12-31 23:59:59.999999",
            "294247-01-07 23:59:59.999999",
        ],
    ),
    of(
        "timestamptz",
        "",
        &[
            "2024-02-29 12:00:00.123456-08",
            "1855-01-01 00:00:00.000001+00",
            "1582-10-10 12:00+00",
            "0001-01-01 00:00+00",
            "294247-01-07 23:59:59.999999+00",
        ],
    ),
    of("date", "date", &["1582-10-04", "1582-10-05", "1582-10-14", "1582-10-15", "0001-01-01", "0001-12-31 BC"]),
];

/// Values that `nanos_long` holds, and values that it does not.
pub const NANOS: &[Column] = &[
    of(
        "timestamp",
        "long",
        &["1677-09-21 00:12:43.145225", "1969-12-31 23:59:59.999999", "2262-04-11 23:47:16.854775"],
    )
    .refuses(&[
        ("1677-09-21 00:12:43.145224", "timestamp.granularity"),
        ("2262-04-11 23:47:16.854776", "nanos_string"),
    ]),
    of("timestamptz", "long", &["1900-01-01 00:00+00"]).refuses(&[("9999-12-31 00:00+00", "timestamp.granularity")]),
];

/// Values that ISO text holds, which has no era.
pub const ERAS: &[Column] = &[
    of("timestamp", "string", &["0001-01-01"]).refuses(&[("0001-12-31 23:59:59.999999 BC", "timestamp.granularity")]),
    of("timestamptz", "string", &["0001-01-01 00:00+00"]).refuses(&[("0044-03-15 00:00+00 BC", "micros_string")]),
];

/// The hour that comes twice in New York, and its neighbours.
pub const OVERLAPS: &[Column] = &[of(
    "timestamp",
    "timestamp-millis",
    &["2024-11-03 00:59:59.999999", "2024-11-03 02:00:00", "2024-03-10 02:30:00"],
)
.refuses(&[("2024-11-03 01:00:00", "dst.overlap"), ("2024-11-03 01:59:59.999999", "dst.overlap")])];
