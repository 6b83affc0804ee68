"""The same batches as benches/odoo.rs, with zenoo-rpc 0.2.3: started by that benchmark.

    odoo_bench.py URL ROWS CHUNK [BAD,BAD,...]

Creates ROWS partners of six fields by `bulk_create`, five chunks at once, twice, and prints the wall and CPU
time of each batch and whether the ids came in the order of the rows. Login is not in the times. With places
of bad rows: creates once, and prints how many ids came back.
"""

import asyncio
import logging
import sys
import time

from zenoo_rpc import ZenooClient
from zenoo_rpc.batch.manager import BatchManager


def row(i):
    return {
        "name": f"Partner {i}",
        "email": f"partner{i}@example.com",
        "phone": f"+32 2 {i:07}",
        "street": f"Main Street {i}",
        "city": "Namur",
        "ref": f"R{i}",
    }


async def in_order(client, ids):
    for first in range(0, len(ids), 1000):
        read = await client.read("res.partner", ids[first:first + 1000], ["ref"])
        if [one["ref"] for one in read] != [f"R{i}" for i in range(first, first + len(read))]:
            return False
    return True


async def main(url, count, chunk, bad):
    async with ZenooClient(url) as client:
        await client.login("odoo", "admin", "admin")
        manager = BatchManager(client, max_chunk_size=chunk, max_concurrency=5)
        rows = [row(i) for i in range(count)]
        for place in bad:
            del rows[place]["name"]
        if bad:
            print(f"created {len(await manager.bulk_create('res.partner', rows))}")
            return
        for _ in range(2):
            wall, cpu = time.perf_counter(), time.process_time()
            ids = await manager.bulk_create("res.partner", rows)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            assert len(set(ids)) == count
            print(f"batch {wall} {cpu} {'yes' if await in_order(client, ids) else 'no'}", flush=True)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    places = [int(place) for place in sys.argv[4].split(",")] if len(sys.argv) > 4 else []
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), places))
