# shellcheck shell=bash disable=SC2016,SC2154 # `run` sets the variables; backquotes are Markdown.
# A large value from standard input and back, against `cat`.

bytes=${KV_BENCH_LARGE:-4294967296}
pairs=5
size=$(calc "$bytes / 1048576" '%.0f MiB')

export KV_STORE=$scratch/store
free=$(df --output=avail -B1 "$scratch" | tail -n 1)
[ "$free" -gt $((3 * bytes)) ] || die "large needs $((3 * bytes)) bytes of disk; see KV_BENCH_LARGE"
# A generator would be measured as well: the value comes from a file in the page cache.
make_source() {
    # Any bytes will do, but not zeros, which some disks do not write.
    head -c 67108864 /dev/urandom >"$scratch/part"
    while cat "$scratch/part"; do :; done 2>/dev/null | head -c "$bytes" >"$scratch/source"
    rm "$scratch/part"
}
make_source
sync "$scratch/source"
"$kv" put warm up

kv_put() { "$binary" put big <"$scratch/source"; }
cat_put() { cat <"$scratch/source" >"$scratch/copy" && sync "$scratch/copy"; }
kv_back() { "$binary" get big >"$scratch/back" && sync "$scratch/back"; }
cat_back() { cat "$scratch/copy" >"$scratch/back" && sync "$scratch/back"; }
kv_show() { "$binary" get big >/dev/null; }
cat_show() { cat "$scratch/copy" >/dev/null; }

rate() { calc "$bytes / 1048576 / $(median <"$scratch/$1.s")" '%.0f MiB/s'; }

report() {
    local r
    # Rates: how fast kv is, as a part of its peer's speed.
    r=$(ratio "$scratch/cat-$1.s" "$scratch/kv-$1.s")
    row "$3, $2" "$(rate "kv-$1")" "$(rate "cat-$1")" "$r" "${4:-a rate within 10 %}" \
        "$(if [ -n "${4:-}" ]; then echo 'for comparison'; else verdict "$r >= 0.9"; fi)"
}

measure() {
    local binary=$2 pair what
    if [ -z "$2" ]; then
        not_measured "put and get, $1" 'a rate within 10 %'
        return
    fi
    rm -f "$scratch"/*.s
    for pair in $(seq "$pairs"); do
        # A disk that was just written to is slower for a while: who is first takes turns, and what
        # is removed is off the disk before the clock runs.
        for what in $([ $((pair % 2)) = 0 ] && echo kv cat || echo cat kv); do
            if [ "$what" = kv ]; then
                "$kv" rm -f big
            else
                rm -f "$scratch/copy"
            fi
            sync -f "$scratch"
            long "$what-put" "${what}_put"
        done
        for what in $([ $((pair % 2)) = 0 ] && echo kv cat || echo cat kv); do
            long "$what-show" "${what}_show"
            rm -f "$scratch/back"
            sync -f "$scratch"
            long "$what-back" "${what}_back"
        done
    done
    report put "$1" 'put < file, against `cat > file; sync file`'
    report back "$1" 'get > file; sync file, against `cat > file; sync file`'
    report show "$1" 'get > /dev/null from the page cache, against `cat file > /dev/null`' none
    rm -f "$scratch/back"
    "$binary" get big | cmp - "$scratch/source" || die "get printed another value"
    rm -f "$scratch/copy"

    local verb limit='a peak resident set under 16 MiB' kib
    for verb in put get; do
        if [ "$verb" = put ]; then
            peak "$scratch/kib" "$binary" put big <"$scratch/source"
        else
            peak "$scratch/kib" "$binary" get big >/dev/null
        fi
        kib=$(cat "$scratch/kib")
        row "memory of $verb, $1" "$(calc "$kib / 1024" '%.1f MiB')" - - "$limit" \
            "$(verdict "$kib < 16384")"
    done
    "$kv" rm big
}

table "large: a value of $size from standard input and back; the ratio is the speed of kv by its peer's"
measure 'static, glibc' "$kv"
measure 'static, musl' "$kv_musl"
note "Medians of $pairs interleaved pairs, sync full. The value comes from a file in the page cache. A" \
    'get verifies the checksum of all it prints, at some 25 GiB/s: no disk is that fast, but memory is.'
