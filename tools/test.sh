#!/bin/bash
# tools/test.sh [PART...] -- run every test, or some parts of them
#
# `make -f Makefile.mingw test` builds first and then calls this. Each part
# prints a line per check and ends with `N passed, N failed`; the sum of them
# is the last line here. What a part printed is kept in build/reports.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

parts=(text docs shape imports cmd_shell dist unit echo_client echo_load
    real_clients window trace contract builds faults broken compare report)

part_command() {
    case $1 in
    text | docs | shape | imports | cmd_shell | dist | real_clients | contract)
        command=(python3 "tests/$1.py")
        ;;
    unit) command=(tools/wine.sh build/tests/unit.exe) ;;
    echo_client) command=(python3 tests/client/echo_client_test.py) ;;
    echo_load) command=(python3 tests/client/echo_load_test.py) ;;
    compare) command=(python3 tests/compare/compare_test.py) ;;
    report) command=(python3 tests/report/report.py) ;;
    trace) command=(python3 tests/trace/trace.py) ;;
    builds) command=(python3 tests/contract.py --builds) ;;
    faults) command=(python3 tests/faults/faults.py build/faults) ;;
    broken)
        command=(tools/wine.sh build/bin/contract.exe --prove
            --exe build/tests/broken.exe)
        ;;
    window) command=(python3 tests/window/window.py) ;;
    *)
        echo "test: no such part: $1; there are ${parts[*]}" >&2
        exit 2
        ;;
    esac
}

# No test needs this long; one that hangs must not hang the whole.
limit=${TEST_LIMIT:-1800}
passed=0
failed=0
reports=build/reports
mkdir -p "$reports"

if [ $# -gt 0 ]; then
    parts=("$@")
fi
for part in "${parts[@]}"; do
    part_command "$part"
done

# Output of a part as it comes, without the closing line.
show() {
    sed -u -E '/^[0-9]+ passed, [0-9]+ failed/d; s/^/  /'
}

export WINE="$PWD/tools/wine.sh"
export PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
trap 'tools/wine.sh --end' EXIT

for part in "${parts[@]}"; do
    part_command "$part"
    log=$reports/$part.log
    began=$SECONDS
    echo "== $part"
    tools/wine.sh --prepare || exit 1 # the part before may have ended it
    timeout -k 10 "$limit" "${command[@]}" </dev/null 2>&1 |
        tee "$log" | show
    status=${PIPESTATUS[0]}
    last=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1)
    if [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed ]]; then
        p=${BASH_REMATCH[1]} f=${BASH_REMATCH[2]}
    else
        p=0 f=0
    fi
    if [ "$status" -eq 124 ]; then
        echo "  FAILED $part: not done after $limit s"
        f=$((f + 1))
    elif [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then
        echo "  FAILED $part: exit status $status, no failure counted"
        f=1
    elif [ $((p + f)) -eq 0 ]; then
        echo "  FAILED $part: ran nothing"
        f=1
    fi
    echo "   $part: $p of $((p + f)) in $((SECONDS - began)) s"
    passed=$((passed + p))
    failed=$((failed + f))
done

echo "$passed passed, $failed failed"
[ "$passed" -gt 0 ] && [ "$failed" -eq 0 ]
