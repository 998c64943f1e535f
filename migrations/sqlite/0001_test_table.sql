-- The demo table: mode timestamp+incrementing, with the index it needs and the upkeep of ts.
create table test_table (
    seq integer primary key autoincrement not null,
    ts timestamp not null default (strftime('%Y-%m-%d %H:%M:%f', 'now')),
    item varchar(256),
    price integer,
    category varchar(256)
);

create index test_table_ts_seq on test_table (ts, seq);

-- Not on ts itself, so that the trigger's own update does not fire it again.
create trigger test_table_touch after update of seq, item, price, category on test_table
begin
    update test_table set ts = strftime('%Y-%m-%d %H:%M:%f', 'now') where seq = new.seq;
end;
