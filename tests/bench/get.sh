# shellcheck shell=bash disable=SC2016,SC2154 # `run` sets the variables; backquotes are Markdown.
# `kv get` of a value of 100 bytes against `cat` of a file of that size.

export KV_STORE=$scratch/store
base64 -w0 /dev/urandom 2>/dev/null | head -c 100 >"$scratch/value" || true
"$kv" put color --file "$scratch/value"
[ "$("$kv" get color)" = "$(cat "$scratch/value")" ] || die "get prints another value"

fewer='not more instructions'
faster='not more wall time'

count() {
    local locale peer mine
    for locale in C.UTF-8 C; do
        if [ -z "$2" ] || ! have valgrind; then
            not_measured "instructions, $1, in the locale $locale" "$fewer"
            continue
        fi
        mine=$(instructions "$locale" "$2" get color)
        peer=$(instructions "$locale" cat "$scratch/value")
        row "instructions, $1, in the locale $locale" "$mine" "$peer" "$(calc "$mine / $peer")" \
            "$fewer" "$(judge "$1" "$mine <= $peer")"
    done
}

clock() {
    if [ -z "$2" ] || ! have hyperfine; then
        not_measured "wall time, $1" "$faster"
        return
    fi
    short kv "$2 get color" cat "cat $scratch/value"
    local r
    r=$(ratio "$scratch/kv.us" "$scratch/cat.us")
    row "wall time, $1" "$(us kv)" "$(us cat)" "$r" "$faster" "$(judge "$1" "$r <= 1")"
}

table 'get: a value of 100 bytes, against `cat` of such a file'
for measure in count clock; do
    $measure 'static, glibc' "$kv"
    $measure 'static, musl' "$kv_musl"
    $measure 'dynamic, glibc' "$kv_dynamic"
done
note 'Instructions: callgrind, which knows no openat2(2) in its older versions, so that kv may take' \
    'its longer way there. Wall time: medians of `hyperfine -N`, ratios the median of its rounds.' \
    'A static glibc program asks the processor for its features at start, as a dynamic one does;' \
    'in a virtual machine each such question costs microseconds, and musl asks none.'
