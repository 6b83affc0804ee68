#!/bin/sh
# Runs a command with a PostgreSQL server of its own, and leaves nothing behind:
#
#     sh tests/postgres.sh cargo test --features postgres
#
# The server listens on loopback only, asks for a random password (SCRAM) and lives in a temporary folder;
# its URL is in BATCHCALL_TEST_POSTGRES. Where there is no server program and this is root on Debian, its
# package is installed. BATCHCALL_POSTGRES_BIN names the folder of another server's programs. With
# BATCHCALL_POSTGRES_TLS=1 it speaks TLS with a certificate of its own making, which is in the file that
# BATCHCALL_TEST_POSTGRES_CERTIFICATE names.
set -eu

[ $# -gt 0 ] || { echo "usage: sh tests/postgres.sh command [argument..]" >&2; exit 64; }

find_programs() {
    if [ -n "${BATCHCALL_POSTGRES_BIN:-}" ]; then
        echo "$BATCHCALL_POSTGRES_BIN"
        return
    fi
    for folder in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -t/ -k5 -rn) \
        /usr/pgsql-*/bin /opt/homebrew/opt/postgresql*/bin; do
        if [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ]; then
            echo "$folder"
            return
        fi
    done
    if command -v initdb >/dev/null && command -v postgres >/dev/null; then
        dirname "$(command -v initdb)"
    fi
}

programs=$(find_programs)
if [ -z "$programs" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq >&2
    # Without this the package makes and starts a cluster that nobody here needs.
    mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] ||
        echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >&2
    programs=$(find_programs)
fi
[ -n "$programs" ] || { echo "tests/postgres.sh: no initdb and postgres found" >&2; exit 69; }

# The server refuses to run as root.
user=
if [ "$(id -u)" = 0 ]; then
    for each in postgres nobody; do
        if id "$each" >/dev/null 2>&1; then
            user=$each
            break
        fi
    done
fi
# Becomes the program, so that its process is the shell's own child.
become() {
    if [ -n "$user" ]; then
        exec setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups "$@"
    fi
    exec "$@"
}

random() {
    od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'
}

home=$(mktemp -d "${TMPDIR:-/tmp}/batchcall-postgres.XXXXXX")
server=
clean() {
    trap - EXIT HUP INT TERM
    if [ -n "$server" ]; then
        kill -INT "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$home"
}
trap clean EXIT
trap 'clean; exit 129' HUP
trap 'clean; exit 130' INT
trap 'clean; exit 143' TERM

password=$(random 16)
printf '%s' "$password" >"$home/password"
tls=
if [ -n "${BATCHCALL_POSTGRES_TLS:-}" ]; then
    if ! command -v openssl >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq >&2
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends openssl >&2
    fi
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost \
        -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" -addext "basicConstraints=critical,CA:FALSE" \
        -keyout "$home/server.key" -out "$home/server.crt" 2>"$home/openssl.log" || {
        cat "$home/openssl.log" >&2
        exit 70
    }
    chmod 600 "$home/server.key"
    tls="-c ssl=on -c ssl_cert_file=$home/server.crt -c ssl_key_file=$home/server.key"
    BATCHCALL_TEST_POSTGRES_CERTIFICATE="$home/server.crt"
    export BATCHCALL_TEST_POSTGRES_CERTIFICATE
fi
[ -z "$user" ] || chown -R "$user" "$home"
if ! (cd "$home" && become "$programs/initdb" -D "$home/data" -U batchcall --pwfile="$home/password" \
    -A scram-sha-256 -E UTF8 --locale=C) >"$home/initdb.log" 2>&1; then
    cat "$home/initdb.log" >&2
    exit 70
fi

url=
for try in 1 2 3 4 5 6 7 8; do
    port=$((20000 + 0x$(random 2) % 30000))
    (cd "$home" && become "$programs/postgres" -D "$home/data" -p "$port" -c listen_addresses=127.0.0.1 \
        -c unix_socket_directories="$home" -c logging_collector=off $tls) >"$home/server.log" 2>&1 &
    server=$!
    waited=0
    while kill -0 "$server" 2>/dev/null && [ "$waited" -lt 300 ]; do
        # The last line of this file is the server's own word for "ready".
        if [ "$(tail -n 1 "$home/data/postmaster.pid" 2>/dev/null | tr -d ' ')" = ready ]; then
            url="postgres://batchcall:$password@127.0.0.1:$port/postgres"
            break
        fi
        sleep 0.1
        waited=$((waited + 1))
    done
    [ -z "$url" ] || break
    kill -INT "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
done
if [ -z "$url" ]; then
    cat "$home/server.log" >&2
    exit 70
fi

BATCHCALL_TEST_POSTGRES=$url
export BATCHCALL_TEST_POSTGRES
code=0
"$@" || code=$?
exit "$code"
