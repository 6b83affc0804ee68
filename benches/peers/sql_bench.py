"""The same rows as benches/postgres.rs, by what Python programs use: started by that benchmark.

    sql_bench.py URL ROWS METHOD

Writes ROWS rows into the table `items`, which is there, on one connection and in one transaction, and prints
the wall and CPU time. The connection is open before the time begins, and the rows are in memory, as each
client takes them.
"""

import asyncio
import datetime
import decimal
import json
import sys
import time

COLUMNS = ["id", "name", "city", "note", "quantity", "price", "weight", "active", "seen", "extra"]


def row(i):
    return (
        i,
        f"Customer number {i}",
        ("Namur", "Liege", "Bruxelles", "Antwerpen")[i % 4],
        f"a note of some length about row {i}" if i % 3 else None,
        i % 10_000,
        decimal.Decimal(f"{i % 100_000}.{i % 100:02}"),
        i * 0.37,
        i % 2 == 0,
        datetime.datetime(2024, i % 12 + 1, i % 28 + 1, i % 24, i // 7 % 60, i % 60, tzinfo=datetime.UTC),
        {"color": ("red", "green", "blue")[i % 3], "tags": ["a", f"t{i % 100}"], "rank": i % 1000},
    )


class Timed:
    def __enter__(self):
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def __exit__(self, *_):
        print(time.perf_counter() - self.wall, time.process_time() - self.cpu)


async def asyncpg_copy(url, rows):
    import asyncpg

    connection = await asyncpg.connect(url)
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + json.dumps(value).encode(),
        decoder=lambda raw: json.loads(raw[1:]),
    )
    with Timed():
        await connection.copy_records_to_table("items", records=rows, columns=COLUMNS)
    await connection.close()


def psycopg_copy(url, rows, upsert=False):
    import psycopg
    from psycopg.types.json import Jsonb

    rows = [(*each[:-1], Jsonb(each[-1])) for each in rows]
    names = ", ".join(COLUMNS)
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        with Timed():
            if upsert:
                cursor.execute("CREATE TEMP TABLE stage (LIKE items) ON COMMIT DROP")
            with cursor.copy(f"COPY {'stage' if upsert else 'items'} ({names}) FROM STDIN") as copy:
                for each in rows:
                    copy.write_row(each)
            if upsert:
                sets = ", ".join(f"{name} = EXCLUDED.{name}" for name in COLUMNS[1:])
                cursor.execute(f"INSERT INTO items SELECT * FROM stage ON CONFLICT (id) DO UPDATE SET {sets}")
            connection.commit()


def items():
    import sqlalchemy as sa
    from sqlalchemy.dialects.postgresql import JSONB

    types = [
        sa.BigInteger, sa.Text, sa.Text, sa.Text, sa.Integer, sa.Numeric(12, 2), sa.Float(53), sa.Boolean,
        sa.DateTime(timezone=True), JSONB,
    ]
    return sa.Table("items", sa.MetaData(), *(sa.Column(*each) for each in zip(COLUMNS, types)))


def sqlalchemy_psycopg(url, rows):
    import sqlalchemy as sa

    rows = [dict(zip(COLUMNS, each)) for each in rows]
    engine = sa.create_engine(url.replace("postgres:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        with Timed():
            connection.execute(sa.insert(items()), rows)
            connection.commit()


async def sqlalchemy_asyncpg(url, rows):
    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import create_async_engine

    rows = [dict(zip(COLUMNS, each)) for each in rows]
    engine = create_async_engine(url.replace("postgres:", "postgresql+asyncpg:"))
    async with engine.connect() as connection:
        with Timed():
            await connection.execute(sa.insert(items()), rows)
            await connection.commit()
    await engine.dispose()


def main(url, count, method):
    rows = [row(i) for i in range(count)]
    if method == "asyncpg-copy":
        asyncio.run(asyncpg_copy(url, rows))
    elif method == "psycopg-copy":
        psycopg_copy(url, rows)
    elif method == "psycopg-upsert":
        psycopg_copy(url, rows, upsert=True)
    elif method == "sqlalchemy-psycopg":
        sqlalchemy_psycopg(url, rows)
    elif method == "sqlalchemy-asyncpg":
        asyncio.run(sqlalchemy_asyncpg(url, rows))
    else:
        sys.exit(f"unknown method {method}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
