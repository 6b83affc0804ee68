"""The same batch as benches/acumatica.rs, with easy_acumatica 0.6.1: started by that benchmark.

    easy_acumatica_bench.py URL CALLS [--no-limit]

Runs `get_by_id` on ten sessions, twice, and prints the wall and CPU time of each batch. Setting the client
up (its services and models) is not in them. Its rate limiter stands at 10 calls a second unless told
otherwise.
"""

import logging
import sys
import tempfile
import time
from pathlib import Path

from easy_acumatica import AcumaticaClient, BatchCall


def main(url, calls, limited):
    logging.basicConfig(level=logging.ERROR)
    limit = {} if limited else {"rate_limit_calls_per_second": 1_000_000}
    client = AcumaticaClient(
        base_url=url,
        username="admin",
        password="admin",
        tenant="Company",
        endpoint_version="24.200.001",
        # Its cache directory is given, or it writes into its own package.
        cache_dir=Path(tempfile.mkdtemp()),
        **limit,
    )
    try:
        ids = [f"CUST{i % 100 + 1:03}" for i in range(calls)]
        for _ in range(2):
            wall, cpu = time.perf_counter(), time.process_time()
            batch = BatchCall(*(client.customer.get_by_id.batch(id) for id in ids), max_concurrent=10)
            results = batch.execute()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            assert [result["CustomerID"]["value"] for result in results] == ids
            print(f"batch {wall} {cpu}", flush=True)
    finally:
        client.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), "--no-limit" not in sys.argv[3:])
