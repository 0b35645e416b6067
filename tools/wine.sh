#!/bin/bash
# tools/wine.sh PROGRAM.exe [ARGUMENTS] -- run a Windows program under Wine
#
#   tools/wine.sh build/bin/iocp.exe --port 5566
#
# Its own Wine folder (build/wine) is made at the first call, without a
# question and without touching ~/.wine. Standard input, output, Ctrl+C and the
# exit code are the program's own.
#
#   tools/wine.sh --alone PROGRAM.exe ...   afterwards end all that it left
#   tools/wine.sh --make                    only make the folder
#   tools/wine.sh --prepare                 make the folder, and keep its
#                                           wineserver until --end
#   tools/wine.sh --end                     end every process that runs in it
#
# MODELS_WINEPREFIX names another folder, for what must not share a Wine. A
# folder below build is a copy of the first one, which takes a moment and no
# disk space.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
first=$root/build/wine
export WINEPREFIX=${MODELS_WINEPREFIX:-$first}
export WINEDEBUG=${WINEDEBUG:--all}
# No offers to download Mono or Gecko, no entries in the desktop's menus. And no
# Wayland: Wine 10 looks for it first and complains in our output if it is not
# there; a desktop with Wayland shows X11 windows too.
export WINEDLLOVERRIDES="mscoree=;mshtml=;winemenubuilder.exe=;winewayland.drv="

# Wine takes the letters in the names of files from the locale. In the locale C
# it cannot even start a program if its path has a letter that is not ASCII.
if [ "$(locale charmap)" != UTF-8 ]; then
    export LC_ALL=C.UTF-8
fi

# Debian's wine is a script that complains when the 32 bit half is missing.
# The loader itself does not, and our programs have 64 bits.
if [ -x /usr/lib/wine/wine64 ]; then
    wine=/usr/lib/wine/wine64
elif wine=$(command -v wine64) || wine=$(command -v wine); then
    :
else
    echo "wine.sh: Wine is missing; run tools/setup.sh demo" >&2
    exit 127
fi

# Wine needs one fixed page, at 0x7ffe0000. The kernel puts a new program's heap
# anywhere within a gigabyte, and so onto that page once in some thousand
# starts. Then the program ends before it begins, and CreateProcess() says
# ERROR_INTERNAL_ERROR (1359). So this choice of the kernel is switched off,
# where that is allowed.
if setarch -R true 2>/dev/null; then
    loader=(setarch -R "$wine")
else
    loader=("$wine")
fi

if [ -x /usr/lib/wine/wineserver ]; then
    wineserver=/usr/lib/wine/wineserver
elif ! wineserver=$(command -v wineserver); then
    echo "wine.sh: no wineserver" >&2
    exit 127
fi

prepare() {
    [ ! -e "$WINEPREFIX/.ready" ] || return 0
    case $WINEPREFIX in
    "$first") make_folder ;;
    "$root"/build/*) copy_first ;;
    *) make_folder ;;
    esac
}

make_folder() {
    mkdir -p "$WINEPREFIX"
    local log=$WINEPREFIX/wineboot.log
    # DISPLAY is unset: a first run on a desktop would show a window. Only one
    # process makes the folder: a second one waits and finds the work done.
    (
        flock 9
        [ ! -e "$WINEPREFIX/.ready" ] || exit 0
        if ! env -u DISPLAY "${loader[@]}" wineboot.exe --init \
            </dev/null >"$log" 2>&1 9>&-; then
            cat "$log" >&2
            echo "wine.sh: could not make $WINEPREFIX" >&2
            exit 1
        fi
        "$wineserver" -w 9>&-
        : >"$WINEPREFIX/.ready"
    ) 9>"$WINEPREFIX/.lock"
}

# No program writes to the files of drive_c, so links are enough. The registry
# is written to, and so are the links that stand for drives.
copy_first() {
    MODELS_WINEPREFIX=$first "$0" --make
    local part
    part=$(mktemp -d "$root/build/wine-part-XXXXXX")
    cp -al "$first/drive_c" "$part"
    cp -a "$first/dosdevices" "$first/.update-timestamp" "$first"/*.reg "$part"
    : >"$part/.ready"
    # Two processes may have come here: the first one's copy stays.
    mv -T "$part" "$WINEPREFIX" 2>/dev/null || rm -rf "$part"
    [ -e "$WINEPREFIX/.ready" ]
}

# A program that is just starting brings a new server after the old one was
# killed, and to wait for that one could take for ever: so kill again.
end() {
    local left
    for left in 5 4 3 2 1 0; do
        # It calls it a failure to kill where nothing runs; we do not.
        "$wineserver" -k || true
        if timeout 10 "$wineserver" -w; then
            return 0
        fi
        echo "wine.sh: $WINEPREFIX is still in use; $left more attempts" >&2
    done
    return 1
}

# Call this before the first program, which would give its own output to Wine's
# server. The server outlives that program by some seconds, and a reader of that
# output would wait.
serve() {
    # It keeps every handle of every program: both ends of 4,000 connections.
    ulimit -n "$(ulimit -Hn)"
    # It prints only when it gives up. It may be there already.
    "$wineserver" "$@" </dev/null >/dev/null 2>>"$WINEPREFIX/server.log" || true
}

case ${1:-} in
"")
    echo "usage: tools/wine.sh PROGRAM.exe [ARGUMENTS]" >&2
    exit 2
    ;;
--make)
    prepare
    ;;
--prepare)
    prepare
    # Otherwise the server ends with each program, and a program that starts
    # just then may find none. Its services come with the first program, and
    # would keep that program's output open as long as they run. So the first
    # program gets no output.
    serve -p
    "${loader[@]}" cmd.exe /c exit </dev/null >/dev/null 2>&1
    ;;
--end)
    end
    ;;
--alone)
    shift
    prepare
    serve
    trap end EXIT
    "${loader[@]}" "$@"
    ;;
*)
    prepare
    serve
    # Only Wine gets the sanitizer (tests/servers/sanitize), not this shell.
    exec env ${WINE_PRELOAD:+LD_PRELOAD="$WINE_PRELOAD"} "${loader[@]}" "$@"
    ;;
esac
