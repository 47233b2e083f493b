# shellcheck shell=sh
# Sourced by demo.sh and test.sh, from the root of the clone.
#
#   environment DIRECTORY EXTRAS
#
# leaves in $python an interpreter of the virtual environment DIRECTORY, with this project and its EXTRAS installed at
# the versions of constraints.txt. An environment that is complete and up to date is used as it is; any other is made anew.
# The variable PYTHON chooses the interpreter to make it with.

step() {
    printf '\n==> %s\n' "$*"
}

run() {
    printf '+ %s\n' "$*"
    "$@"
}

fail() {
    printf '%s: %s\n' "$0" "$*" >&2
    exit 1
}

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        "$PYTHON" -c '' 2>/dev/null || fail "PYTHON=$PYTHON is not a Python interpreter that runs."
        is_new_enough "$PYTHON" || fail "PYTHON=$PYTHON is $("$PYTHON" --version 2>&1): 3.10 or newer is needed."
        base_python=$PYTHON
    else
        base_python=
        for candidate in python3 python3.13 python3.12 python3.11 python3.10 python; do
            if is_new_enough "$candidate"; then
                base_python=$candidate
                break
            fi
        done
        [ -n "$base_python" ] || fail "Python 3.10 or newer is needed, and none was found" \
            "(python3 is $(python3 --version 2>&1)). Install one, or name it: PYTHON=/path/to/python3 sh $0"
    fi
    "$base_python" -c 'import ensurepip, venv' 2>/dev/null || fail "$base_python cannot make virtual environments" \
        "(no module venv or ensurepip). On Debian and Ubuntu: apt install python3-venv"
}

# The place is part of it because an environment does not survive being moved.
fingerprint() {
    pwd
    printf '%s\n' "$1"
    "$base_python" -c 'import sys; print(sys.version, sys.base_prefix)'
    cksum setup.cfg pyproject.toml constraints.txt
}

environment() {
    venv=$1
    extras=$2
    python=$venv/bin/python
    stamp=$venv/installed
    find_python
    wanted=$(fingerprint "$extras")
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && "$python" -c '' 2>/dev/null; then
        step "Using the environment $venv"
        return
    fi
    step "Making the environment $venv with $("$base_python" --version 2>&1) (a first time takes some minutes)"
    rm -rf "$venv"
    run "$base_python" -m venv "$venv"
    run "$python" -m pip install --constraint constraints.txt setuptools
    run "$python" -m pip install --constraint constraints.txt --no-build-isolation --editable ".[$extras]"
    # Written last: an interrupted installation leaves no stamp and is started again.
    printf '%s\n' "$wanted" >"$stamp"
}
