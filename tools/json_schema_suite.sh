#!/bin/sh
# How the JSON-Schema test suite, draft 2020-12, fares as grammars: what is refused, and how many instances are judged
# wrongly. The suite comes with the source package of the Python library jsonschema.
# Usage: json_schema_suite.sh [BUILD]; BUILD is build/release if not told otherwise.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build/release}
suite=build/json_schema_suite
if [ -z "$(find "$suite" -name draft2020-12 2>/dev/null)" ]; then
  mkdir -p "$suite"
  python3 -m venv "$suite/venv"
  "$suite/venv/bin/pip" -q install hatchling hatch-vcs hatch-fancy-pypi-readme
  "$suite/venv/bin/pip" -q download --no-deps --no-binary :all: --no-build-isolation -d "$suite" jsonschema==4.26.0
  tar -xzf "$suite"/jsonschema-*.tar.gz -C "$suite"
fi
ninja -C "$build" linnet_json_schema_suite > /dev/null
exec "$build/tests/linnet_json_schema_suite" "$(find "$suite" -path '*json/tests/draft2020-12' | head -n 1)"
