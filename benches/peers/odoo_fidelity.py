"""Is the stand-in like the real thing? zenoo-rpc, odoorpc and odoo-client-lib log in to it and work with it.

    cargo run --release --example sandbox --all-features -- --odoo 19 --port 8069 --api-key admin:secret &
    benches/peers/.venv/bin/python benches/peers/odoo_fidelity.py http://127.0.0.1:8069 secret

Without a key the checks of JSON-2 are left out, as for Odoo 17. Exits with 0 if every check holds, and prints
each.
"""

import asyncio
import logging
import sys
from urllib.parse import urlsplit

import odoolib
import odoorpc
from zenoo_rpc import ZenooClient
from zenoo_rpc.batch.manager import BatchManager

failures = 0


def check(what, holds, seen=""):
    global failures
    failures += not holds
    print(f"{'ok  ' if holds else 'FAIL'} {what} {seen if not holds else ''}".rstrip())


def raises(what, kind, call, text=""):
    try:
        call()
        check(what, False, "nothing was raised")
    except kind as error:
        check(what, text in str(error), error)


async def zenoo(url):
    async with ZenooClient(url) as client:
        await client.login("odoo", "admin", "admin")
        check("zenoo: login", client.is_authenticated)
        one = await client.create("res.partner", {"name": "Zenoo", "email": "z@example.com"})
        check("zenoo: create", isinstance(one, int), one)
        rows = await client.read("res.partner", [one], ["name", "email", "country_id", "category_id"])
        check("zenoo: read", rows == [{"id": one, "name": "Zenoo", "email": "z@example.com",
                                       "country_id": False, "category_id": []}], rows)
        check("zenoo: write", await client.write("res.partner", [one], {"city": "Hanoi"}) is True)
        rows = await client.search_read("res.partner", [("city", "=", "Hanoi")], ["name"], limit=5)
        check("zenoo: search_read", rows == [{"id": one, "name": "Zenoo"}], rows)
        check("zenoo: search_count", await client.search_count("res.partner", [("id", "=", one)]) == 1)
        check("zenoo: unlink", await client.unlink("res.partner", [one]) is True)
        manager = BatchManager(client)
        ids = await manager.bulk_create("res.partner", [{"name": f"Row {i}"} for i in range(250)])
        check("zenoo: bulk_create of 250", len(set(ids)) == 250, len(ids))
        names = await client.search_count("res.partner", [("name", "=like", "Row %")])
        check("zenoo: all 250 are there, once", names == 250, names)
        check("zenoo: bulk_update", await manager.bulk_update("res.partner", {"ref": "b"}, record_ids=ids) is True)
        check("zenoo: bulk_delete", await manager.bulk_delete("res.partner", ids) is True)
        left = await client.search_count("res.partner", [("ref", "=", "b")])
        check("zenoo: none is left", left == 0, left)
        try:
            await client.execute_kw("res.partner", "create", [{"email": "nobody@example.com"}])
            check("zenoo: a missing name is refused", False)
        except Exception as error:
            check("zenoo: a missing name is refused", type(error).__name__ == "ValidationError", repr(error))


def orpc(host, port):
    odoo = odoorpc.ODOO(host, port=port)
    check("odoorpc: version", odoo.version.endswith(".0"), odoo.version)
    check("odoorpc: databases", odoo.db.list() == ["odoo"])
    odoo.login("odoo", "admin", "admin")
    check("odoorpc: user", odoo.env.user.name == "Mitchell Admin", odoo.env.user.name)
    check("odoorpc: a model is there", "res.partner" in odoo.env and "no.model" not in odoo.env)
    Partner = odoo.env["res.partner"]
    ids = Partner.create([{"name": "A"}, {"name": "B", "country_id": odoo.env.ref("base.be").id}])
    check("odoorpc: create", len(ids) == 2 and ids[0] < ids[1], ids)
    a, b = Partner.browse(ids)
    check("odoorpc: browse", (a.name, b.country_id.code) == ("A", "BE"), (a.name, b.country_id))
    a.email = "a@example.com"
    check("odoorpc: assign", Partner.read([a.id], ["email"])[0]["email"] == "a@example.com")
    b.category_id += odoo.env.ref("base.res_partner_category_vendor")
    tags = [tag.name for tag in Partner.browse(b.id).category_id]
    check("odoorpc: many2many", tags == ["Vendor"], tags)
    check("odoorpc: search", Partner.search([("id", "in", ids)], order="name desc") == ids[::-1])
    check("odoorpc: write", Partner.write(ids, {"city": "Namur"}) is True)
    raises("odoorpc: a wrong field is refused", odoorpc.error.RPCError,
           lambda: Partner.create({"name": "C", "bogus_field": 1}), "Invalid field 'bogus_field'")
    loaded = Partner.load(["id", "name", "parent_id/id"], [["peer_a", "P A", ""], ["peer_b", "P B", "peer_a"]])
    check("odoorpc: load", len(loaded["ids"]) == 2 and not loaded["messages"], loaded)
    check("odoorpc: load refers to a row of its own", Partner.browse(loaded["ids"][1]).parent_id.name == "P A")
    check("odoorpc: unlink", Partner.unlink(ids + loaded["ids"]) is True)
    raises("odoorpc: a missing record is refused", odoorpc.error.RPCError,
           lambda: Partner.unlink(ids), "does not exist or has been deleted")
    odoo.logout()
    raises("odoorpc: a wrong password is refused", odoorpc.error.RPCError,
           lambda: odoo.login("odoo", "admin", "wrong"), "Wrong login ID or password")


def client_lib(host, port, protocol, password):
    name = f"odoo-client-lib over {protocol}"
    connection = odoolib.get_connection(hostname=host, protocol=protocol, port=port, database="odoo",
                                        login="admin", password=password)
    connection.check_login()
    check(f"{name}: login", connection.get_user_context()["uid"] == 2)
    partner = connection.get_model("res.partner")
    one = partner.create({"name": "Lib"})
    ids = one if protocol == "json2" else [one]
    check(f"{name}: create", len(ids) == 1 and isinstance(ids[0], int), one)
    more = partner.create([{"name": "L1"}, {"name": "L2"}])
    check(f"{name}: create a list", len(more) == 2, more)
    check(f"{name}: write", partner.write(ids, {"city": "Liège"}) is True)
    read = partner.read(ids, ["name", "city"])
    read = read[0] if isinstance(read, list) else read
    check(f"{name}: read", read == {"id": ids[0], "name": "Lib", "city": "Liège"}, read)
    found = partner.search([("city", "=", "Liège")], 0, 5, "id")
    check(f"{name}: search by position", found == ids, found)
    rows = partner.search_read(domain=[("id", "in", more)], fields=["name"], order="id")
    check(f"{name}: search_read", [row["name"] for row in rows] == ["L1", "L2"], rows)
    check(f"{name}: unlink", partner.unlink(ids + more) is True)
    raises(f"{name}: a missing name is refused", Exception, lambda: partner.create({"email": "x"}),
           "" if protocol == "jsonrpc" else "Contacts require a name")


def main(url, key):
    logging.basicConfig(level=logging.CRITICAL)
    asyncio.run(zenoo(url))
    at = urlsplit(url)
    orpc(at.hostname, at.port)
    client_lib(at.hostname, at.port, "jsonrpc", "admin")
    if key:
        client_lib(at.hostname, at.port, "jsonrpc", key)
        client_lib(at.hostname, at.port, "json2", key)
    return failures


if __name__ == "__main__":
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8069"
    sys.exit(1 if main(url, sys.argv[2] if len(sys.argv) > 2 else None) else 0)
