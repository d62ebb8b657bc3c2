#!/bin/sh
# The tools that lay hands on a server, for some seconds: tools/serve_hostile.py and tools/serve_load.py.
# Usage: serve_test.sh hostile|load LINNET SOURCE_DIR
set -eu
command -v python3 > /dev/null || { echo "SKIPPED: python3 is missing (tools/setup.sh tests installs it)"; exit 77; }
case $1 in
  hostile) python3 "$3/tools/serve_hostile.py" --linnet "$2" --requests 1500 --seconds 20 ;;
  load) python3 "$3/tools/serve_load.py" check --linnet "$2" --seconds 10 --clients 8 --pool 24 ;;
esac
