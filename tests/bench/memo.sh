# shellcheck shell=bash disable=SC2016,SC2154 # `run` sets the variables; backquotes are Markdown.
# A result that is remembered, against bkt, on the same command.

export KV_STORE=$scratch/store
bkt=$cache/../tools/bin/bkt
[ -x "$bkt" ] || bkt=$(command -v bkt) || bkt=
if [ -z "$bkt" ]; then
    echo 'bench: bkt IS NOT INSTALLED: memo is NOT MEASURED (cargo install bkt --root target/bench/tools)' >&2
fi
program='date +%s'
# shellcheck disable=SC2086 # The program is words.
warm() { "$1" memo --ttl 1h -- $program; }
[ "$(warm "$kv")" = "$(sleep 1.1 && warm "$kv")" ] || die "memo does not remember"

clock() {
    local goal='not slower than bkt'
    if [ -z "$2" ] || [ -z "$bkt" ] || ! have hyperfine; then
        not_measured "wall time, $1" "$goal"
        return
    fi
    short kv "$2 memo --ttl 1h -- $program" bkt "$bkt --ttl 1h --cache-dir $scratch/bkt -- $program"
    local r
    r=$(ratio "$scratch/kv.us" "$scratch/bkt.us")
    row "wall time, $1" "$(us kv)" "$(us bkt)" "$r" "$goal" "$(judge "$1" "$r <= 1")"
}

table 'memo: a result that is remembered, against `bkt`'
clock 'static, glibc' "$kv"
clock 'static, musl' "$kv_musl"
clock 'dynamic, glibc' "$kv_dynamic"
note 'The command is `date +%s`, which neither runs again.'
