#!/bin/bash
# tools/style.sh [TOOL...] -- is every file as it should be?
#
# The tools are clang-format, clang-tidy, cppcheck, gcc-analyzer, shellcheck and
# pyflakes. `make -f Makefile.mingw style` installs them and calls this. Every
# warning is a failure. The last line is `N passed, N failed`: a file with a
# tool counts as one.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

tools=(clang-format clang-tidy cppcheck gcc-analyzer shellcheck pyflakes)
if [ $# -gt 0 ]; then
    tools=("$@")
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

sources() {
    find . \( -name build -o -name .git \) -prune -o "$@" -print | sort |
        sed 's,^\./,,'
}
# The broken servers are broken on purpose; the sanitizers' file is for Linux.
mapfile -t c_files < <(sources -name '*.c' ! -path './tests/servers/sanitize/*' \
    ! -path './programs/contract/broken/*')
mapfile -t c_and_h < <(sources -name '*.[ch]')
mapfile -t scripts < <(sources \( -name '*.sh' -o -path './.ci/run' \
    -o -path './tools/pre-commit' \))
mapfile -t pythons < <(sources -name '*.py')

# Checks one file with one tool; whatever this prints is wrong with the file.
check_file() {
    local tool=$1 file=$2 flags="-I. -Ibuild/include -DTRACE"
    local compiler=x86_64-w64-mingw32-gcc
    local target="--target=x86_64-w64-mingw32"
    local platform="--platform=win64 --library=windows"
    # clang-tidy and cppcheck see a model as a reader sees it. To them the macro
    # around each call would be a pile of statements, and would hide what the
    # call writes. The twins are programs of Linux.
    case $tool:$file in
    *:extras/linux/*)
        compiler=gcc target="" platform="--platform=unix64 --library=posix"
        flags="-I."
        ;;
    clang-tidy:tests/* | cppcheck:tests/*) ;;
    clang-tidy:* | cppcheck:*)
        ! grep -q '"watch/watch.h"' "$file" || flags="-I."
        ;;
    esac
    case $tool in
    clang-format) clang-format --dry-run -Werror "$file" ;;
    clang-tidy)
        # shellcheck disable=SC2086
        clang-tidy --quiet "$file" -- $target \
            -std=c11 $flags 2>"$work/tidy.$$" || {
            grep error "$work/tidy.$$"
            false
        }
        ;;
    cppcheck)
        # It knows noreturn functions by the attribute, not by the keyword.
        # Not asked, because its answers are wrong or not wanted:
        #   uninitvar, shiftTooManyBits   knows few functions of Windows, and
        #                                 not the size of SOCKET; gcc does
        #   unreadVariable                a union: written here, read there
        #   unusedStructMember            what Windows lays out
        #   constParameter                callbacks have the type they have
        #   redundantContinue             how an empty body is written here
        #   doubleFree in one file        "if (x) close; ... if (!x) close"
        # shellcheck disable=SC2086
        cppcheck -q $platform \
            "-D_Noreturn=__attribute__((noreturn))" \
            --inline-suppr --std=c11 $flags \
            --enable=warning,style,performance,portability \
            --suppress=uninitvar --suppress=shiftTooManyBits \
            --suppress=unreadVariable --suppress=unusedStructMember \
            --suppress=constParameter --suppress=redundantContinue \
            --suppress=doubleFree:tests/unit/unit.c \
            --error-exitcode=1 "$file"
        ;;
    gcc-analyzer)
        # gcc 12 loses track of what is stored in a grown array, or moved by
        # realloc(). Then it reports leaks and double frees that do not exist,
        # and NULL where it cannot see that a size is never 0. The contract
        # suite counts handles and memory, the sanitizers check the rest.
        # shellcheck disable=SC2086
        $compiler -std=c11 $flags -O0 -fanalyzer -Werror \
            -Wno-analyzer-malloc-leak -Wno-analyzer-double-free \
            -Wno-analyzer-null-argument -c "$file" -o "$work/object.$$"
        ;;
    shellcheck) shellcheck "$file" ;;
    pyflakes) pyflakes3 "$file" ;;
    *)
        echo "no such tool"
        return 2
        ;;
    esac
}

check_and_tell() {
    local tool=$1 file=$2 said
    if said=$(check_file "$tool" "$file" 2>&1) &&
        { [ "$tool" = cppcheck ] || [ "$tool" = clang-tidy ] ||
            [ -z "$said" ]; }; then
        echo "ok $tool $file" >>"$work/passed"
    else
        echo "$tool $file" >>"$work/failed"
        printf 'FAILED %s %s\n%s\n' "$tool" "$file" "$said"
    fi
}
export -f check_file check_and_tell
export work flags

: >"$work/passed"
: >"$work/failed"
for tool in "${tools[@]}"; do
    case $tool in
    clang-format) files=("${c_and_h[@]}") ;;
    shellcheck) files=("${scripts[@]}") ;;
    pyflakes) files=("${pythons[@]}") ;;
    *) files=("${c_files[@]}") ;;
    esac
    before=$(wc -l <"$work/failed")
    # shellcheck disable=SC2016
    printf '%s\0' "${files[@]}" |
        xargs -0 -P "$(nproc)" -I{} bash -c 'check_and_tell "$1" "$2"' _ \
            "$tool" {}
    failures=$(($(wc -l <"$work/failed") - before))
    echo "$tool: ${#files[@]} files, $failures with warnings"
done

passed=$(wc -l <"$work/passed")
failed=$(wc -l <"$work/failed")
echo "$passed passed, $failed failed"
[ "$passed" -gt 0 ] && [ "$failed" -eq 0 ]
