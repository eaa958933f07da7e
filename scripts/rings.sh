# Sourced by the scripts that run many checks: each check is a ring that is shown, timed and counted.
# A ring's tests are counted from its runner's own summary. A ring without one, such as a lint, is one test.

logs=.tools/logs
mkdir -p "$logs"
passed=0 failed=0 broken=() logs_of_broken=()

# No ring takes longer than this, in seconds, on the slowest machine seen: what hangs is ended, and the others still run.
most=${RING_SECONDS:-1500}
running=
trap '[[ -z $running ]] || kill -TERM -- "-$running" 2>/dev/null; exit 130' INT TERM

# ring NAME COMMAND...: runs a command, shows and keeps what it prints; goes on if it fails.
ring() {
  local name=$1 log=$logs/${1// /-}.log status=0 start=$SECONDS watch
  shift
  printf '\n== %s\n' "$name"
  # A process group of its own, of which nothing is left behind. It prints into a file and not into a pipe: whoever reads a
  # pipe waits for everybody who has it, a server that a broken test has left behind, too.
  : >"$log"
  set -m
  "$@" >"$log" 2>&1 </dev/null &
  running=$!
  (sleep "$most" && echo "-- $name: ended after $most s" >>"$log" && kill -KILL -- "-$running") 2>/dev/null &
  watch=$!
  set +m
  tail -n +1 -s 0.2 --pid="$running" -f "$log"
  wait "$running" || status=$?
  kill -KILL -- "-$watch" "-$running" 2>/dev/null || true
  wait "$watch" 2>/dev/null || true
  running=
  count "$log" "$status"
  ((status == 0)) || broken+=("$name") logs_of_broken+=("$log")
  printf -- '-- %s: %s s\n' "$name" $((SECONDS - start))
  return 0
}

count() {
  local good bad
  read -r good bad < <(summaries <"$1")
  # What broke without a failed test, such as a build, is one failure.
  if (($2 != 0 && bad == 0)); then bad=1; fi
  if (($2 == 0 && good + bad == 0)); then good=1; fi
  passed=$((passed + good)) failed=$((failed + bad))
}

# Adds up the summary lines of cargo test, nextest, node --test and Vitest.
summaries() {
  sed 's/\x1b\[[0-9;]*m//g' | awk '
    /^test result: / { for (i = 1; i < NF; i++) { if ($(i + 1) == "passed;") good += $i; if ($(i + 1) == "failed;") bad += $i } }
    /^ +Summary \[/ { for (i = 1; i < NF; i++) { if ($(i + 1) ~ /^passed,?$/) good += $i; if ($(i + 1) ~ /^(failed|exec|timed),?$/) bad += $i } }
    /^[#ℹ]+ pass [0-9]+$/ { good += $NF }
    /^[#ℹ]+ (fail|cancelled) [0-9]+$/ { bad += $NF }
    /^ +Tests +[0-9]/ { for (i = 1; i < NF; i++) { if ($(i + 1) == "passed") good += $i; if ($(i + 1) == "failed") bad += $i } }
    END { print good + 0, bad + 0 }'
}

# What failed by name, and why: often all that is kept of a long run is its end.
failures() {
  sed 's/\x1b\[[0-9;]*m//g' | awk '
    /^ +(FAIL|SIGABRT|SIGSEGV|TIMEOUT|LEAK-FAIL) \[|^test .* FAILED$|^ *not ok |^ *✖ |^ *[×❯] | FAIL  |panicked at|^error(\[|:)|AssertionError/ { more = 4 }
    more > 0 && shown < 60 && !seen[$0]++ { print "  " substr($0, 1, 200); shown++ }
    { more-- }'
}

# closing: says what broke, and how many passed and failed; fails if anything did.
closing() {
  local ring
  printf '\n'
  for ring in "${!broken[@]}"; do
    printf 'broken: %s\n' "${broken[ring]}"
    failures <"${logs_of_broken[ring]}"
  done
  printf '%s passed, %s failed\n' "$passed" "$failed"
  ((failed == 0 && ${#broken[@]} == 0))
}

# They are no member of the workspace, and nobody would notice that what they call has changed.
fuzz_targets() {
  cargo fmt --manifest-path fuzz/Cargo.toml --check &&
    cargo clippy --manifest-path fuzz/Cargo.toml --locked --target-dir "${CARGO_TARGET_DIR:-target}/fuzz" -- -D warnings
}
