-- The demo source table, with what the mode timestamp+incrementing needs of a table: an id that
-- grows, a timestamp that every write moves, and an index that serves the poll.
-- Safe to apply again, and to apply in several databases of one server at once.

create table if not exists test_table (
    -- See the end of the statement: without it, ids of different servers do not grow with time.
    seq int auto_increment primary key,
    -- The time of the statement, not of the transaction's start. TIMESTAMP is an instant: unlike
    -- DATETIME it does not depend on the zone of the session that writes. The update moves it only if
    -- another column gets a new value; commit.guard or timestamp.delay.interval.ms closes the gap
    -- between the write and its commit.
    ts timestamp(6) not null default current_timestamp(6) on update current_timestamp(6),
    item varchar(256),
    price int,
    category varchar(256),
    -- The poll reads `where (ts, seq) > (…) order by ts, seq`; without this index each poll sorts the table.
    index test_table_ts_seq (ts, seq)
) auto_id_cache 1;

-- The connector's user: it reads this table and nothing else.
create user if not exists connectuser identified by 'connectuser';

grant select on test_table to connectuser;
