# shellcheck shell=bash disable=SC2016,SC2154 # `run` sets the variables; backquotes are Markdown.
# `kv lock` of a free lock against flock(1), both around a program that does nothing.

export KV_STORE=$scratch/store
program=/bin/true
: >"$scratch/file"
[ "$("$kv" lock job -- echo ran)" = ran ] || die "lock does not run the program"

clock() {
    local goal='within 1.3× of flock'
    if [ -z "$2" ] || ! have hyperfine flock; then
        not_measured "wall time, $1" "$goal"
        return
    fi
    short kv "$2 lock job -- $program" flock "flock $scratch/file $program"
    local r
    r=$(ratio "$scratch/kv.us" "$scratch/flock.us")
    row "wall time, $1" "$(us kv)" "$(us flock)" "$r" "$goal" "$(judge "$1" "$r <= 1.3")"
}

table 'lock: a free lock around `/bin/true`, against `flock FILE`'
clock 'static, glibc' "$kv"
clock 'static, musl' "$kv_musl"
clock 'dynamic, glibc' "$kv_dynamic"
note 'kv also writes down who holds the lock, passes signals on, and has the program killed with it.' \
    'Both figures hold the start of that program.'

work() {
    local goal='within 1.5× of `kv lock`' r
    if [ -z "$2" ] || ! have hyperfine; then
        not_measured "wall time, $1" "$goal"
        return
    fi
    seq 100000 | "$2" push jobs --lines --sync off
    short kv "$2 pop jobs --sync off -- $program" lock "$2 lock job -- $program"
    r=$(ratio "$scratch/kv.us" "$scratch/lock.us")
    row "wall time, $1" "$(us kv)" "$(us lock)" "$r" "$goal" "$(judge "work, $1" "$r <= 1.5")"
}

table 'work: an element of a list of 100,000 worked on by `/bin/true`, against `kv lock` around it'
work 'static, glibc' "$kv"
work 'static, musl' "$kv_musl"
