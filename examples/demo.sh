#!/bin/sh
# demo.sh PAWL: plays examples/zone-census.json with a failure and its recovery, in a scratch home.
# Exit code 0 only when everything was as told.
set -eu

pawl=$(readlink -f "${1:?usage: demo.sh PAWL}")
cd "$(dirname "$0")/.."
scratch=$(mktemp -d "${TMPDIR:-/tmp}/pawl-demo.XXXXXX")
exec 2>&1  # progress and results in one stream, in their order
finish() {
  code=$?
  trap - EXIT INT TERM
  if [ "$code" -ne 0 ]; then
    echo "demo: something was not as told (exit code $code); all of it is in $scratch"
  else
    rm -rf "$scratch"
  fi
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

mkdir "$scratch/bin" "$scratch/work"
ln -s "$pawl" "$scratch/bin/pawl"
PATH=$scratch/bin:$PATH
PAWL_HOME=$scratch/home
work=$scratch/work
export PATH PAWL_HOME

tell() { printf '\n# %s\n' "$@"; }
shown() { printf '$ %s\n' "$*"; }
wrong() { echo "demo: $*"; exit 1; }

# play CODE COMMAND...: shows the command and what it prints, and insists on its exit code. What it
# printed to standard output stays in $scratch/printed; of commands that make runs that is the id,
# which people have seen in the first line of progress.
play() {
  wanted=$1
  shift
  shown "$*"
  code=0
  "$@" > "$scratch/printed" || code=$?
  case $2 in
    run | resume) ;;
    *) awk 1 "$scratch/printed" ;;  # ends the last line, too
  esac
  [ "$code" -eq "$wanted" ] || wrong "exit code $code instead of $wanted: $*"
}

# how_often: visits in the ledger, a line for each zone: how often, zone.
how_often() { awk '{ n[$2]++ } END { for (zone in n) print n[zone], zone }' "$work/ledger"; }

closed=Europe/Lisbon
zones=$(examples/zone-census/list | grep -c '"')
[ "$zones" -gt 100 ] || wrong "this machine has only $zones time zone files: is tzdata installed?"
examples/zone-census/list | grep -qF "\"$closed\"" || wrong "this machine has no $closed"

tell "A job file: list the time zone files, examine each one, report. Is it right? Silence is yes."
play 0 pawl validate examples/zone-census.json

tell "One zone is closed. Its visit will fail for good; zones that are only busy are tried again."
shown "echo $closed > \$WORK/closed"
echo "$closed" > "$work/closed"
play 1 pawl run examples/zone-census.json -p "work=$work"
run=$(head -n 1 "$scratch/printed")
[ -n "$run" ] || wrong "pawl run did not print the id of its run"

tell "What failed, with its reason, its error and its item? The same command for all runs and jobs."
play 0 pawl failed
grep -qF "$closed" "$scratch/printed" || wrong "pawl failed does not name $closed"
cp "$work/ledger" "$scratch/ledger-before"

tell "The reason goes away, and the run goes on: the one zone, then the report. Nothing else."
shown "rm \$WORK/closed"
rm "$work/closed"
play 0 pawl resume "$run" -y

tell "The report."
play 0 pawl output "$run/report"
grep -q "^$zones time zone files were visited" "$scratch/printed" ||
  wrong "the report does not speak of $zones files"

tell "Was anything repeated? Every visit left a line in the ledger. After the resume:"
tail -n +"$(($(wc -l < "$scratch/ledger-before") + 1))" "$work/ledger" > "$scratch/after"
cat "$scratch/after"
[ "$(cat "$scratch/after")" = "$run $closed 2" ] || wrong "the resume did not visit $closed alone"

tell "And over all:"
how_often > "$scratch/visits"
awk '{ n[$1]++ } END { for (times in n) printf "%5d zones were visited %s\n", n[times],
       times == 1 ? "once" : times == 2 ? "twice: busy or closed the first time" : times " times" }' \
  "$scratch/visits" | sort -rn
[ "$(wc -l < "$scratch/visits")" -eq "$zones" ] || wrong "not every zone was visited"
awk -v closed="$closed" '
  { name = $2; sub(/.*\//, "", name); wanted = (name ~ /^[FQVYZ]/ || $2 == closed) ? 2 : 1 }
  $1 != wanted { print "demo: " $2 " was visited " $1 " times"; bad = 1 }
  END { exit bad }' "$scratch/visits" || wrong "the ledger is not as it must be"

play 0 pawl runs
play 0 pawl failed
tell "All as told."
