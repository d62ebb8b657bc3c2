#!/bin/sh
# Shows Chick, the built-in model, at its four trades. Usage: demo.sh LINNET
set -eu
linnet=$1
cd "$(dirname "$0")/.."
case "$linnet" in /*) ;; *) linnet=./$linnet ;; esac

show() {
  title=$1
  shift
  printf '\n== %s\n$ linnet' "$title"
  for word in "$@"; do
    case "$word" in *[!A-Za-z0-9_./-]*) printf ' "%s"' "$word" ;; *) printf ' %s' "$word" ;; esac
  done
  printf '\n'
  "$linnet" "$@"
}

show "a question about a picture" run -p "what is in the picture" --image examples/shapes.png
show "writing down a spoken command" run -p "Transcribe the audio." --audio examples/command.wav
show "translation" run -p "Translate to French: turn on the kitchen light"
show "calling a tool" run -p "Use a tool. set a timer for 5 minutes"
printf '\nChick is small on purpose. README.md says how to get the 12B. A chat: %s run\n' "$linnet"
