#!/bin/sh
# Makes the virtual environment in which the peers run: the Python client whose users we want, in the
# version that the comparison names.
set -eu
cd "$(dirname "$0")"
venv="${1:-.venv}"
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check "easy_acumatica==0.6.1"
"$venv/bin/python" -c 'from importlib.metadata import version; print("easy_acumatica", version("easy_acumatica"))'
