//! Settings of roles and databases of PostgreSQL, and what drops those of a session on the way.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use rowtide::error::ErrorKind;
use rowtide::model::TableId;

use super::{Administrator, Reader, Setting, assert_expected, culprits, parts};
use crate::support::address;
use crate::support::db::{Held, Postgres, Role};

const POSTGRES: &str = "
    create type \"Mood\" as enum ('sad', 'ok');
    create table t (id serial primary key, s varchar(20), n numeric(10,2), f double precision, r real, c char(6),
      i interval, b bytea, d date, tz timetz, ts timestamptz not null, w timestamp, a int[], at text[], m \"Mood\",
      x xml, j jsonb, mo money, bi bit(3), ra tstzrange, u uuid, ip inet, p point);
    insert into t (s, n, f, r, c, i, b, d, tz, ts, w, a, at, m, x, j, mo, bi, ra, u, ip, p)
      select 'row \\ ' || g, g / 3.0, g / 3.0, g / 7.0, 'c' || g, g * interval '1 month 3 days 04:05:06.789',
        decode('00ff5c', 'hex'), date '2024-02-28' + g, '01:02:03+02', timestamptz '2024-02-28 01:02:03Z' + g / 2 * interval '1 day',
        timestamp '2024-02-28 01:02:03', array[1, null, g], array['a\\b', 'c \"', null], 'ok', '<a>1</a>', '{\"a\": 1}',
        1234.5, B'101', tstzrange('2024-01-01Z', '2024-02-01Z'), 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '10.0.0.1/8', '(0.1,2)'
      from generate_series(1, 13) g;
    create table by_text (k text primary key, v interval); insert into by_text select 'k ' || g, '1 day 1 hour' from generate_series(1, 13) g;
    create table keyless (ts timestamptz, v text, i interval);
    insert into keyless select ts, s, i from t;
    create view v as select id, ts, i::text as i, f::text as f, b::text as b, ts::text as t, w::text as w, ra::text as ra, a::text as a from t;";

/// A role whose sessions get settings.
struct OfRole<'a> {
    database: &'a Postgres,
    role: &'a str,
}

impl Administrator for OfRole<'_> {
    fn set(&self, settings: &[Setting]) {
        let sql = settings.iter().map(|(name, value)| {
            format!("alter role {} set \"{name}\" to '{}';", self.role, value.replace('\'', "''"))
        });
        self.database.run(&sql.collect::<String>());
    }

    fn reset(&self, _: &[Setting]) {
        self.database.run(&format!("alter role {} reset all", self.role));
    }
}

/// Other values of everything that can be set for the sessions of a role.
fn candidates_of_postgres(database: &Postgres) -> Vec<Setting> {
    let rows = database.texts(
        "select name || '|' || v.value from pg_settings s, lateral (
           select case setting when 'on' then 'off' else 'on' end as value where vartype = 'bool'
           union select unnest(enumvals) where vartype = 'enum'
           union select min_val where vartype in ('integer', 'real')
           union select '1' where vartype in ('integer', 'real')
           union select max_val where vartype in ('integer', 'real')
         ) v where context in ('user', 'superuser') and v.value <> setting
           -- Of one transaction; sessions have defaults for them.
           and name not in ('transaction_isolation', 'transaction_read_only', 'transaction_deferrable') order by name",
    );
    let texts = [
        ("DateStyle", "SQL, DMY"),
        ("DateStyle", "German"),
        ("TimeZone", "Asia/Tokyo"),
        ("client_encoding", "LATIN1"),
        ("search_path", "pg_catalog"),
        ("search_path", ""),
        ("timezone_abbreviations", "Australia"),
        ("lc_messages", "C"),
        ("lc_monetary", "C"),
        ("lc_numeric", "C"),
        ("lc_time", "C"),
        ("default_text_search_config", "german"),
        ("default_table_access_method", "heap"),
        ("temp_tablespaces", "pg_default"),
        ("application_name", "other"),
        ("role", "pg_read_all_settings"),
    ];
    let mut candidates: Vec<Setting> =
        rows.iter().filter_map(|row| row.split_once('|')).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    candidates.extend(texts.map(|(name, value)| (name.to_owned(), value.to_owned())));
    candidates
}

/// A reader of the tables under a role, and what it reads by default.
async fn reader_of(role: &Role, database: &Postgres) -> (Reader, String) {
    database.run(POSTGRES);
    database.run(&format!("grant select on all tables in schema public to {}", role.0));
    let place = TableId { catalog: None, schema: Some("public".to_owned()), name: String::new() };
    let mut reader = Reader::new("postgresql", &database.url(), place, &role.0);
    reader.query = "select id, s, n, i::text, f::text, ts::text, b::text from public.t";
    let default = reader.records().await.unwrap();
    assert!(default.contains("3 days 04:05:06.789"), "{default}");
    (reader, default)
}

#[tokio::test]
async fn the_settings_of_a_role_that_change_texts_change_nothing_that_is_read_on_postgresql() {
    let (role, database) = (Role::new(), Postgres::new());
    let (reader, default) = reader_of(&role, &database).await;
    let administrator = OfRole { database: &database, role: &role.0 };
    let settings = [
        ("IntervalStyle", "iso_8601"),
        ("quote_all_identifiers", "on"),
        ("DateStyle", "German"),
        ("bytea_output", "escape"),
        ("extra_float_digits", "-15"),
        ("TimeZone", "Asia/Tokyo"),
        ("standard_conforming_strings", "off"),
        ("client_encoding", "LATIN1"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_expected(&culprits(&reader, &administrator, &settings, &default).await, &[]);
}

#[tokio::test]
#[ignore = "every setting, one by one: minutes; scripts/test --long"]
async fn no_setting_of_a_role_changes_what_is_read_on_postgresql() {
    let (role, database) = (Role::new(), Postgres::new());
    let (mut reader, default) = reader_of(&role, &database).await;
    let administrator = OfRole { database: &database, role: &role.0 };
    let mut session = Held::new(&database);
    let candidates: Vec<Setting> = candidates_of_postgres(&database)
        .into_iter()
        .filter(|(name, value)| session.tries(&format!("set \"{name}\" to '{value}'; reset \"{name}\"")))
        .collect();
    let names: BTreeSet<&str> = candidates.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.len() > 150 && names.contains("IntervalStyle"), "{names:?}");
    for threshold in ["5", "0"] {
        reader.source.url.parameters.insert("prepareThreshold".to_owned(), threshold.to_owned());
        let found = culprits(&reader, &administrator, &candidates, &default).await;
        assert_expected(&found, POSTGRES_FAILS);
    }
}

/// The program in between that does not pass the settings of a session on.
#[derive(Clone, Copy)]
enum Between {
    /// It drops them without a word.
    Drops,
    /// It refuses them in words and with a code of its own.
    Refuses,
}

/// A proxy of PostgreSQL's protocol; its port.
fn proxy(upstream: (String, u16), between: Between) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let upstream = upstream.clone();
            std::thread::spawn(move || pass_on(client, &upstream, between));
        }
    });
    port
}

fn pass_on(mut client: TcpStream, (host, port): &(String, u16), between: Between) -> Option<()> {
    let mut length = [0; 4];
    client.read_exact(&mut length).ok()?;
    let mut startup = vec![0; usize::try_from(u32::from_be_bytes(length)).ok()? - 4];
    client.read_exact(&mut startup).ok()?;
    // The version of the protocol, then names and values, each with a zero behind it.
    let words: Vec<&[u8]> = startup[4..].split(|byte| *byte == 0).collect();
    let pairs = words.chunks(2).filter(|pair| pair.len() == 2 && !pair[0].is_empty());
    let (settings, others) = pairs.partition::<Vec<_>, _>(|pair| pair[0] == b"options");
    if let (Between::Refuses, false) = (between, settings.is_empty()) {
        let refusal = b"SFATAL\0VFATAL\0C0A000\0MDieser Proxy kennt keine Startoptionen\0\0";
        let length = u32::try_from(refusal.len() + 4).ok()?.to_be_bytes();
        return client.write_all(&[&b"E"[..], &length[..], &refusal[..]].concat()).ok();
    }
    let mut rest = startup[..4].to_vec();
    others.iter().flat_map(|pair| pair.iter()).for_each(|word| rest.extend([*word, &b"\0"[..]].concat()));
    rest.push(0);
    let mut server = TcpStream::connect((host.as_str(), *port)).ok()?;
    server.write_all(&[&u32::try_from(rest.len() + 4).ok()?.to_be_bytes()[..], &rest].concat()).ok()?;
    let (mut back, mut to) = (server.try_clone().ok()?, client.try_clone().ok()?);
    std::thread::spawn(move || std::io::copy(&mut back, &mut to));
    std::io::copy(&mut client, &mut server).ok()?;
    server.shutdown(std::net::Shutdown::Both).ok()
}

/// Settings of this kind, for who stands between.
const SOME: &[(&str, &str)] = &[
    ("IntervalStyle", "iso_8601"),
    ("bytea_output", "escape"),
    ("quote_all_identifiers", "on"),
    ("default_transaction_isolation", "serializable"),
    ("default_transaction_deferrable", "on"),
    ("standard_conforming_strings", "off"),
];

#[tokio::test]
async fn who_drops_or_refuses_settings_changes_nothing_on_postgresql() {
    let (role, database) = (Role::new(), Postgres::new());
    database.run(POSTGRES);
    database.run(&format!("grant select on all tables in schema public to {}", role.0));
    let place = TableId { catalog: None, schema: Some("public".to_owned()), name: String::new() };
    let mut reader = Reader::new("postgresql", &database.url(), place, &role.0);
    reader.query = "select id, i::text, b::text, 'a\\' as c from public.t";
    let default = reader.records().await.unwrap();
    let settings: Vec<Setting> = SOME.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    OfRole { database: &database, role: &role.0 }.set(&settings);
    let upstream = reader.source.url.hosts[0].clone();
    for between in [Between::Drops, Between::Refuses] {
        reader.source.url.hosts = vec![("127.0.0.1".to_owned(), proxy(upstream.clone(), between))];
        assert_eq!(reader.differs(&default).await, None);
    }
    // A pooler; settings of the database, since it knows its users.
    let of_database =
        settings.iter().map(|(name, value)| format!("alter database {} set \"{name}\" to '{value}';", database.name));
    database.run(&of_database.collect::<String>());
    reader.source.url.hosts = vec![parts(&address("ROWTIDE_TEST_PGBOUNCER_URL")).1];
    reader.source.user = Some("postgres".to_owned());
    reader.source.url.parameters.insert("currentSchema".to_owned(), "public, pg_catalog".to_owned());
    assert_eq!(reader.differs(&default).await, None);
}

#[tokio::test]
async fn an_option_that_would_break_reading_is_refused_on_postgresql() {
    let database = Postgres::new();
    let place = TableId { catalog: None, schema: Some("public".to_owned()), name: String::new() };
    let mut reader = Reader::new("postgresql", &database.url(), place, "postgres");
    for (options, is_refused) in [
        ("-c quote_all_identifiers=on", true),
        ("--standard-conforming-strings=0", true),
        ("-c quote_all_identifiers=off -c IntervalStyle=iso_8601 -c TimeZone=Asia/Tokyo", false),
    ] {
        reader.source.url.parameters.insert("options".to_owned(), options.to_owned());
        let connected = reader.connect().await.map(drop);
        assert_eq!(
            connected.as_ref().is_err_and(|error| error.kind() == ErrorKind::Config),
            is_refused,
            "{connected:?}"
        );
    }
}

/// Settings that may stop a session from reading, and why that is left to the server.
const POSTGRES_FAILS: &[(&str, &str)] = &[
    ("role", "whoever the role becomes needs the privileges"),
    ("statement_timeout=1", "behind a pooler: the first statement of a session has no more than a millisecond"),
    ("idle_session_timeout=1", "behind a pooler: the session ends before the second statement"),
];
