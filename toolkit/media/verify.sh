#!/bin/sh
# Checks the files of this set against its manifests: HASHES ONLY.
# It shows that nothing changed since the set was written. It cannot show who wrote it:
# that needs the signed metadata and a root you already trust (ferry media verify).
# Needs a POSIX shell and sha256sum (Linux) or shasum (macOS); it writes nothing.
#
#   sh verify.sh
#
# Exit code: 0 all hashes match, 1 something is missing, different or not listed, or cannot be checked.
LC_ALL=C
export LC_ALL
unset CDPATH
cd -- "${1:-$(dirname -- "$0")}" || exit 1

if command -v sha256sum >/dev/null 2>&1; then
    digest() { sha256sum <"$1"; }
elif command -v shasum >/dev/null 2>&1; then
    digest() { shasum -a 256 <"$1"; }
else
    echo 'neither sha256sum nor shasum is here: nothing was checked' >&2
    exit 1
fi

cr=$(printf '\r')
bad=0
good=0
listed=
newline='
'

say() { # names come from the medium: no control characters to the terminal
    printf '%-10s %s' "$1" "$2" | tr -d '\000-\037\177'
    echo
}

wrong() {
    say "$1" "$2"
    bad=$((bad + 1))
}

check() { # the hash as listed, the name
    listed=$listed$2$newline
    if [ -L "./$2" ] || [ ! -f "./$2" ]; then
        wrong MISSING "$2"
    elif ! found=$(digest "./$2"); then
        wrong UNREADABLE "$2"
    elif [ "${found%% *}" != "$(printf '%s' "$1" | tr A-F a-f)" ]; then
        wrong DIFFERENT "$2"
    else
        say ok "$2"
        good=$((good + 1))
    fi
}

for list in tagmanifest-sha256.txt manifest-sha256.txt; do
    if [ ! -f "$list" ]; then
        wrong MISSING "$list"
        continue
    fi
    while IFS= read -r line || [ -n "$line" ]; do
        line=${line%"$cr"}
        [ -n "$line" ] && check "${line%% *}" "${line#*  }"
    done <"$list"
done

while IFS= read -r path; do
    [ -n "$path" ] || continue
    printf '%s' "$listed" | grep -Fqx -e "$path" || wrong 'NOT LISTED' "$path"
done <<END
$(find data ! -type d)
END

[ -f complete.json ] || wrong UNFINISHED 'this set was never completed: complete.json is missing'

echo
echo "$good files match, $bad do not. Hashes only: this does not show who wrote the set."
[ "$bad" -eq 0 ] && [ "$good" -gt 0 ]
