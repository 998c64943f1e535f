-- The demo source table, with what the mode timestamp+incrementing needs of a table: an id that
-- grows, a timestamp that every write moves, and an index that serves the poll.
-- Safe to apply again. Timestamps are text in UTC with milliseconds, the finest SQLite has.

create table if not exists test_table (
    -- autoincrement: without it SQLite may give the id of a deleted last row to a new one.
    seq integer primary key autoincrement not null,
    ts timestamp not null default (strftime('%Y-%m-%d %H:%M:%f', 'now')),
    item varchar(256),
    price integer,
    category varchar(256)
);

-- The poll reads `where (ts, seq) > (…) order by ts, seq`; without this index each poll sorts the table.
create index if not exists test_table_ts_seq on test_table (ts, seq);

-- SQLite has no BEFORE trigger that can change the row, so the trigger updates it once more. That
-- update must not start the trigger again (where recursive_triggers is on): it changes ts, so the
-- first condition stops it; where ts already is now it touches no row, so nothing is started.
create trigger if not exists test_table_touch
    after update on test_table
    for each row when new.ts is old.ts
begin
    update test_table
       set ts = strftime('%Y-%m-%d %H:%M:%f', 'now')
     where seq = new.seq and ts is not strftime('%Y-%m-%d %H:%M:%f', 'now');
end;
