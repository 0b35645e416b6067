#!/bin/bash
# tools/setup.sh GROUP... -- install what a make target needs (Debian, Ubuntu)
#
# Groups: demo, test, linux, sanitize, style, dist. It is quick when nothing is
# missing. It installs as root or through sudo; where neither works it prints
# the one line to run and exits 1. It never asks a question.
set -euo pipefail

# The only list of packages.
packages() {
    local build="make gcc-mingw-w64-x86-64"
    # Node is for npm packages. Debian's is not installed where npm is there
    # already.
    local node=""
    command -v npm >/dev/null || node="nodejs npm"
    local wine="wine wine64"
    local linux="gcc libc6-dev liburing-dev"
    case $1 in
    dist) echo "$build python3" ;;
    demo) echo "$build $wine" ;;
    test)
        # g++: calls in C++, whose places have to be found; nc, socat, curl: real
        # clients; haproxy: in front of servers; iproute2: a machine that
        # vanishes. The line after them: a window on a desktop that
        # nobody sees, and its picture. chromium: the report.
        echo "$build g++-mingw-w64-x86-64-win32" \
            "$wine python3 universal-ctags binutils" \
            "netcat-openbsd socat curl haproxy iproute2" \
            "xvfb xdotool imagemagick fonts-wine" "chromium $node" "$linux"
        ;;
    linux) echo "make $linux" ;;
    sanitize)
        # winegcc does not start without g++, which it does not use here
        echo "$build $wine g++ wine64-tools libwine-dev python3 $linux"
        ;;
    style)
        echo "$build clang-format clang-tidy cppcheck shellcheck pyflakes3"
        ;;
    *)
        echo "setup: no such group: $1" >&2
        return 2
        ;;
    esac
}

installed() {
    dpkg-query -W -f '${Package} ${db:Status-Status}\n' 2>/dev/null |
        awk '$2 == "installed" { print $1 }'
}

if [ $# -eq 0 ]; then
    echo "usage: tools/setup.sh GROUP... (demo, test, linux, sanitize, style," \
        "dist)" >&2
    exit 2
fi

wanted=
for group in "$@"; do
    list=$(packages "$group")
    wanted+=" $list"
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    # This is not Debian: a user who has the tools may go on, and the build says
    # which tool is missing.
    echo "setup: no apt here; needed are the tools of the Debian packages" \
        "$wanted" >&2
    exit 0
fi

have=$(installed)
missing=()
for package in $(tr ' ' '\n' <<<"$wanted" | sort -u); do
    grep -qx -- "$package" <<<"$have" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
    as_root=(env)
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=(sudo -n env)
else
    echo "setup: these packages are missing; install them with" >&2
    echo "    sudo apt-get update && sudo apt-get install -y" \
        "--no-install-recommends ${missing[*]}" >&2
    exit 1
fi

echo "setup: installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
    "${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -q -y \
        -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold \
        "$@" </dev/null >"$log" 2>&1
}

# An old list of packages may be enough. If a package is not in it, the install
# fails, and that is what counts.
apt update || echo "setup: apt-get update failed, trying the lists we have" >&2
if ! apt install --no-install-recommends "${missing[@]}"; then
    cat "$log" >&2
    echo "setup: apt-get could not install ${missing[*]}" >&2
    exit 1
fi
echo "setup: done"
