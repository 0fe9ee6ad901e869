#!/bin/sh
# An operator in a shell that stays warm: adds up numbers. One line comes in, one line goes out.
echo '{"type":"ready","protocol":1}'
while read -r line; do
  case $line in
    '{"type":"shutdown"'*) exit 0 ;;
    '{"type":"start"'*) ;;
    *) continue ;;
  esac
  attempt=${line#*\"attempt\":}
  attempt=${attempt%%,*}
  numbers=${line#*\"numbers\":[}
  numbers=${numbers%%]*}
  sum=0
  for number in $(echo "$numbers" | tr , ' '); do
    sum=$((sum + number))
  done
  printf '{"type":"log","attempt":%s,"text":"added up %s\\n"}\n' "$attempt" "$numbers"
  printf '{"type":"finish","attempt":%s,"outcome":"succeeded","output":%s}\n' "$attempt" "$sum"
done
