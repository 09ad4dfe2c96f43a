#!/bin/sh
# Stands in for a C compiler where only types are checked: passes for clang, and makes an empty file of
# whatever it is asked to compile.
before=
for argument; do
  case $before$argument in
    -E) echo '"clang"'; exit ;;
    '-?') exit 1 ;;
    -o?*) : > "$argument" ;;
  esac
  before=
  if [ "$argument" = -o ]; then before=-o; fi
done
