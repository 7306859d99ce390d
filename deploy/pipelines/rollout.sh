#!/bin/sh
# A rollout with nothing but curl: starts it, waits for its end, and ends with the exit codes of the command line.
#
#   SLUICE_URL=https://sluice.example.com SLUICE_TOKEN=... sh rollout.sh PLAN KEY
#
# KEY names the run of the pipeline: the same key finds the same rollout again, however often this is called.
# SLUICE_TIMEOUT: seconds to wait (3600). SLUICE_UNTIL=paused: end with 6 when it waits for an approval.
set -u
plan=${1:?wanted the path of the plan}
key=$(printf %s "${2:?wanted a key that names the run of the pipeline}" | LC_ALL=C tr -c '[:graph:]' '-' | cut -c 1-255)
server=${SLUICE_URL:?} token=${SLUICE_TOKEN:?}
server=${server%/}
end=$(($(date +%s) + ${SLUICE_TIMEOUT:-3600}))

dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
# What is waited for is in the background: a shell hears nothing while a command of its own runs.
child=
trap 'kill "$child" 2>/dev/null; exit 130' INT
trap 'kill "$child" 2>/dev/null; exit 143' TERM
# In a file, because every process can read the arguments of curl.
(umask 077 && printf 'Authorization: Bearer %s\n' "$token" >"$dir/auth")

say() { printf '%s\n' "$*" >&2; }
left() { echo $((end - $(date +%s))); }
# The first field of that name; the rollout's own fields come before those of its parts.
text() { grep -oE "\"$1\":\"([^\"\\\\]|\\\\.)*\"" "$dir/body" | head -n 1 | cut -d '"' -f 4- | sed 's/"$//'; }
number() { grep -oE "\"$1\":[0-9]+" "$dir/body" | head -n 1 | cut -d : -f 2; }
header() { tr -d '\r' <"$dir/headers" | grep -i "^$1:" | tail -n 1 | sed 's/^[^:]*: *//'; }

# Asks once: status in $status (000: no answer), body and headers in files.
ask() {
  : >"$dir/body"
  : >"$dir/headers"
  curl -sS --max-time 75 -o "$dir/body" -D "$dir/headers" -w '%{http_code}' -H @"$dir/auth" "$@" \
    >"$dir/status" 2>"$dir/trouble" &
  child=$!
  if wait "$child"; then status=$(cat "$dir/status"); else status=000; fi
}

# Is it worth asking again? A server that restarts, an ingress without a back end, a limit on requests.
passes() {
  case $status in
    000 | 429 | 5??) return 0 ;;
    404) case $(header content-type) in application/problem+json*) return 1 ;; *) return 0 ;; esac ;;
    *) return 1 ;;
  esac
}

rest() {
  wait=$(header retry-after)
  case $wait in '' | *[!0-9]*) wait=2 ;; esac
  say "no answer ($status): $(head -n 1 "$dir/trouble"); again in $wait s"
  sleep "$wait" &
  child=$!
  wait "$child"
}

refused() {
  say "refused ($status): $(text title): $(text detail)"
  case $status in
    401 | 403) exit 8 ;;
    404) exit 12 ;;
    409 | 412) exit 9 ;;
    400 | 413 | 422) exit 11 ;;
    *) exit 1 ;;
  esac
}

case $plan in *.json) type=application/json ;; *) type=application/yaml ;; esac
while :; do
  ask -X POST "$server/rollouts" -H "Content-Type: $type" -H "Idempotency-Key: $key" --data-binary @"$plan"
  passes || break
  [ "$(left)" -gt 0 ] || { say 'the server did not answer'; exit 10; }
  rest
done
case $status in 2??) ;; *) refused ;; esac

# The id, not Location: the token goes to no other address than the one that was given.
id=$(text id)
say "$id: $server/ui/rollouts/$id"
echo "$id"
told=
while :; do
  now=$(text status) version=$(number version)
  [ "$now" = "$told" ] || say "$now"
  told=$now
  case $now in
    succeeded) say "$(text message)"; exit 0 ;;
    rolled_back) say "$(text message)"; exit 3 ;;
    aborted | superseded) say "$(text message)"; exit 4 ;;
    failed) say "$(text message)"; exit 7 ;;
  esac
  if [ "${SLUICE_UNTIL:-}" = paused ] && grep -q '"awaiting":"approval"' "$dir/body"; then
    say 'it waits for an approval'
    exit 6
  fi
  while :; do
    seconds=$(left)
    if [ "$seconds" -le 0 ]; then
      if [ "$now" = rolling_back ] && ! grep -q '"trouble":null' "$dir/body"; then exit 7; fi
      say "the wait is over, the rollout goes on: $server/ui/rollouts/$id"
      exit 5
    fi
    [ "$seconds" -le 30 ] || seconds=30
    ask "$server/rollouts/$id?wait=${seconds}s&sinceVersion=$version"
    passes || break
    rest
  done
  case $status in 2??) ;; *) refused ;; esac
done
