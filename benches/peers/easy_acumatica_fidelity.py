"""Is the stand-in like the real thing? easy_acumatica 0.6.1 connects, builds its services and works with it.

    cargo run --release --example sandbox --all-features -- --port 8088 &
    benches/peers/.venv/bin/python benches/peers/easy_acumatica_fidelity.py http://127.0.0.1:8088

Exits with 0 if every check holds, and prints each.
"""

import logging
import sys
import tempfile
import time
from pathlib import Path

from easy_acumatica import AcumaticaClient, BatchCall
from easy_acumatica.batch import create_batch_from_ids
from easy_acumatica.exceptions import AcumaticaError
from easy_acumatica.odata import F, QueryOptions

failures = 0


def check(what, holds, seen=""):
    global failures
    failures += not holds
    print(f"{'ok  ' if holds else 'FAIL'} {what} {seen}".rstrip())


def main(url, with_files=True):
    logging.basicConfig(level=logging.WARNING)
    # Its cache directory is given, or it writes into its own package.
    client = AcumaticaClient(
        base_url=url,
        username="admin",
        password="admin",
        tenant="Company",
        endpoint_version="24.200.001",
        rate_limit_calls_per_second=100_000,
        cache_dir=Path(tempfile.mkdtemp()),
    )
    try:
        check("services", {"Customer", "SalesOrder", "StockItem", "Warehouse"} <= set(client.list_services())
              or hasattr(client, "customer"), client.list_services())
        check("models", hasattr(client.models, "Customer") and hasattr(client.models, "SalesOrderDetail"))

        one = client.customer.get_by_id("CUST001")
        check("get_by_id", one["CustomerID"]["value"] == "CUST001")
        options = QueryOptions(filter=(F.CreditLimit > 9900) & F.Status.startswith("Act"), select=["CustomerID"], top=5)
        rows = client.customer.get_list(options)
        check("get_list with a filter", [row["CustomerID"]["value"] for row in rows] == ["CUST100"], rows)
        order = client.sales_order.get_by_keys(OrderType="SO", OrderNbr="SO000001")
        check("get_by_keys", order["OrderNbr"]["value"] == "SO000001")
        schema = client.customer.get_ad_hoc_schema()
        check("custom fields", schema["custom"]["CurrentCustomer"]["UsrSegment"]["type"] == "CustomStringField")

        warehouse = client.models.Warehouse(WarehouseID="JFK", Description="John F Kennedy Intl",
                                            Altitude=13, TimeZone="America/New_York")
        put = client.warehouse.put_entity(warehouse)
        check("put_entity", put["WarehouseID"]["value"] == "JFK")
        try:
            client.warehouse.put_entity({"WarehouseID": {"value": "EEN"}, "Description": {"value": "Dillant Hopkins"},
                                         "TimeZone": {"value": "NA"}})
            check("422 is raised", False)
        except AcumaticaError as error:
            check("422 is raised", error.status_code == 422, type(error).__name__)

        action = client.models.ReleaseFromHold(
            entity=client.models.SalesOrder(OrderType="SO", OrderNbr="SO000001"))
        client.sales_order.invoke_action_release_from_hold(action)
        order = client.sales_order.get_by_keys(OrderType="SO", OrderNbr="SO000001")
        check("action", order["Status"]["value"] == "Open", order["Status"])

        if with_files:
            client.stock_item.put_file("ITEM001", "note.txt", b"hello", comment="a note")
            files = client.stock_item.get_files("ITEM001")
            check("files", len(files) == 1 and files[0]["filename"].endswith("note.txt"), files)

        rows = client.inquiries.Stock_Items(QueryOptions(top=3))["value"]
        check("inquiry over OData", len(rows) == 3, rows[:1])
        rows = client.stock_items.query_custom_endpoint(options=QueryOptions(expand=["Results"]))["Results"]
        check("inquiry on the endpoint", len(rows) == 20, rows[:1])
        try:
            client.inquiries.Payroll()
            check("an inquiry that is not exposed is refused", False)
        except AcumaticaError as error:
            check("an inquiry that is not exposed is refused", error.status_code == 403)

        ids = [f"CUST{i:03}" for i in range(1, 51)]
        started = time.time()
        batch = create_batch_from_ids(client.customer, ids, "get_by_id")
        results = batch.execute()
        check("BatchCall over 50 ids", [r["CustomerID"]["value"] for r in results] == ids,
              f"{batch.stats.successful_calls} of {batch.stats.total_calls} in {time.time() - started:.2f} s")
        mixed = BatchCall(client.customer.get_by_id.batch("CUST001"), client.customer.get_by_id.batch("NOBODY"),
                          max_concurrent=2) if hasattr(client.customer.get_by_id, "batch") else None
        if mixed:
            good, bad = mixed.execute()
            check("BatchCall with a failure", good["CustomerID"]["value"] == "CUST001" and isinstance(bad, AcumaticaError))
        client.warehouse.delete_by_id("JFK")
        check("delete_by_id", True)
    finally:
        client.close()
    return failures


if __name__ == "__main__":
    urls = [arg for arg in sys.argv[1:] if not arg.startswith("--")]
    sys.exit(1 if main(urls[0] if urls else "http://127.0.0.1:8088", "--no-files" not in sys.argv) else 0)
