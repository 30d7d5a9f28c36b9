# Sourced by the other scripts: steps with their times, and plain sentences for what can't go on.

# say TEXT…: what is being done, on standard error so that a command's own output stays clean.
say() { printf '%s\n' "$*" >&2; }

# give_up TEXT…: what is missing and what to do about it.
give_up() {
    printf '\nCannot go on: %s\n' "$1" >&2
    shift
    if (($#)); then printf '  %s\n' "$@" >&2; fi
    exit 1
}

# step TITLE COMMAND…: runs the command and tells how long it took; its status is the step's.
step() {
    local title=$1 began=$SECONDS status=0
    shift
    say "==> $title"
    "$@" || status=$?
    if ((status == 0)); then
        say "    done in $((SECONDS - began)) s: $title"
    else
        say "    failed after $((SECONDS - began)) s: $title"
    fi
    return "$status"
}
