"""A warm program in shell, as its protocol wants it (docs/plugins.md)."""


def warm_program(on_start, at_first=""):
    """What it does with an attempt, `$attempt`, is told by the lines of `on_start`; `$line` is the
    frame that asks for it. `at_first`: lines before it is ready."""
    return "#!/bin/sh\n" + at_first + '''echo '{"type":"ready","protocol":1}'
while read -r line; do
  case $line in
    '{"type":"shutdown"'*) exit 0 ;;
    '{"type":"start"'*) ;;
    *) continue ;;
  esac
  attempt=${line#*\\"attempt\\":}
  attempt=${attempt%%,*}
''' + on_start + "done\n"
