#!/bin/sh
# Makes the virtual environment in which the peers run: the Python clients whose users we want, in the
# versions that the comparisons name. zenoo-rpc asks for HTTP/2 and does not ask for h2.
set -eu
cd "$(dirname "$0")"
venv="${1:-.venv}"
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check "easy_acumatica==0.6.1" \
    "zenoo-rpc==0.2.3" "h2>=4" "odoorpc==0.10.1" "odoo-client-lib==2.0.1" \
    "asyncpg==0.32.0" "psycopg[binary]==3.3.9" "SQLAlchemy[asyncio]==2.1.9"
"$venv/bin/python" -c 'from importlib.metadata import version
for peer in ("easy_acumatica", "zenoo-rpc", "odoorpc", "odoo-client-lib", "asyncpg", "psycopg",
             "SQLAlchemy"):
    print(peer, version(peer))'
