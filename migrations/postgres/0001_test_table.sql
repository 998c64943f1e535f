-- The demo source table, with what the mode timestamp+incrementing needs of a table: an id that
-- grows, a timestamp that every write moves, and an index that serves the poll.
-- Safe to apply again, and to apply in several schemas or databases of one server at once.

create table if not exists test_table (
    seq serial primary key,
    ts timestamp not null default now(),
    item varchar(256),
    price integer,
    category varchar(256)
);

-- The poll reads `where (ts, seq) > (…) order by ts, seq`; without this index each poll sorts the table.
create index if not exists test_table_ts_seq on test_table (ts, seq);

-- clock_timestamp(), not now(): now() is the start of the transaction, so a long transaction would
-- write rows that are already behind the connector's position when they become visible. The time
-- of the write narrows that gap; commit.guard or timestamp.delay.interval.ms closes it.
-- A timestamp without zone takes the session's time zone here, as the default above does: keep all
-- writers in one zone, preferably UTC.
create or replace function test_table_touch() returns trigger language plpgsql as $$
begin
    new.ts := clock_timestamp();
    return new;
end
$$;

create or replace trigger test_table_touch
    before update on test_table
    for each row execute function test_table_touch();

-- The connector's user: it reads this table and nothing else. The sequence tells it whether rows at the
-- end were deleted or the table is an older copy.
do $$
begin
    create role connectuser login password 'connectuser';
exception
    -- Roles belong to the server, so another database may have made it, or be making it just now.
    when duplicate_object or unique_violation then null;
end
$$;

grant select on test_table to connectuser;
grant select on sequence test_table_seq_seq to connectuser;
