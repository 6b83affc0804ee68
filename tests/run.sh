#!/bin/sh
# Runs everything that must hold, on a fresh machine with Rust and a C compiler: formatting, lints, docs,
# the core without features, each backend alone, all tests, all examples. The first failure ends it.
#
# PostgreSQL is looked for, or installed as Debian's package, and a private cluster of it runs for as long as
# the tests do; see postgres.sh.
#
#     sh tests/run.sh
set -eu
cd "$(dirname "$0")/.."

step() {
    printf '\n== %s\n' "$*"
    "$@"
}

export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-never}"

step cargo fmt --all --check
step cargo check --no-default-features
for feature in acumatica odoo postgres sqlite sandbox; do
    step cargo check --no-default-features --features "$feature"
done
step cargo clippy --all-targets --all-features -- -D warnings
step cargo clippy --no-default-features --lib -- -D warnings
RUSTDOCFLAGS="-D warnings" step cargo doc --no-deps --all-features

# `engine/` and `records/` name no backend and no HTTP.
for folder in src/engine src/records; do
    if [ -d "$folder" ] && grep -rnE 'crate::(acumatica|odoo|sql|http|sandbox)|ureq' "$folder"; then
        echo "$folder names a backend" >&2
        exit 1
    fi
done

step cargo build --examples --all-features
# A suite that cannot run fails here.
export BATCHCALL_REQUIRE_POSTGRES=1
step sh tests/postgres.sh cargo test --all-features
BATCHCALL_POSTGRES_TLS=1 step sh tests/postgres.sh cargo test --all-features --test sql tls
step cargo package --allow-dirty --no-verify --quiet --offline
echo
echo "everything holds"
