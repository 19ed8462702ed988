# shellcheck shell=bash disable=SC2016,SC2154 # `run` sets the variables; backquotes are Markdown.
# `kv ls` of 100,000 loose keys, warm, against a C program that opens each entry and reads its
# beginning; and the memory it takes.

keys=100000
rounds=${KV_BENCH_ROUNDS:-7}

# The store takes minutes to fill and is kept; a number in its name begins a new one.
fill() {
    export KV_STORE=$cache/ls-1
    if [ "$("$kv" ls --count)" != "$keys" ]; then
        echo "filling a store with $keys keys" >&2
        rm -rf "$KV_STORE"
        seq -f 'user:%06.0f:name' "$keys" |
            xargs -P "$(nproc)" -I KEY "$kv" --sync off put KEY 'a small value'
        "$kv" -n empty --sync off put k v
        "$kv" -n empty rm k
    fi
    [ "$("$kv" ls --count)" = "$keys" ] || die "the store could not be filled"
}

clock() {
    local goal='within 1.3×' r round
    if [ -z "$2" ] || ! have gcc; then
        not_measured "wall time, $1" "$goal"
        return
    fi
    rm -f "$scratch"/*.s
    # The first round warms the caches.
    for round in $(seq 0 "$rounds"); do
        if [ "$round" = 1 ]; then
            rm "$scratch"/*.s
        fi
        long kv "$2" ls >"$scratch/keys"
        long peer "$cache/ls_peer" "$KV_STORE/default/objects" >"$scratch/peer.out"
    done
    [ "$(wc -l <"$scratch/keys")" = "$keys" ] || die "ls listed another number of keys"
    r=$(ratio "$scratch/kv.s" "$scratch/peer.s")
    row "wall time, $1" "$(ms kv)" "$(ms peer)" "$r" "$goal" "$(verdict "$r <= 1.3")"
}

memory() {
    local goal='at most 64 bytes a key beyond the key' none all each
    if [ -z "$2" ] || ! have gcc; then
        not_measured "memory, $1" "$goal"
        return
    fi
    peak "$scratch/none" "$2" -n empty ls
    peak "$scratch/all" "$2" ls >"$scratch/keys"
    none=$(cat "$scratch/none")
    all=$(cat "$scratch/all")
    # Each key's line has one byte more than the key.
    each=$(calc "(($all - $none) * 1024 - ($(wc -c <"$scratch/keys") - $keys)) / $keys" '%.1f')
    row "memory, $1" "$(calc "$all / 1024" '%.1f MiB')" \
        "$(calc "$none / 1024" '%.1f MiB') (no key)" "$each bytes a key" "$goal" \
        "$(verdict "$each <= 64")"
}

fill
table "ls: $keys keys, warm, against a C program that opens each entry and reads 512 bytes"
for measure in clock memory; do
    $measure 'static, glibc' "$kv"
    $measure 'static, musl' "$kv_musl"
done
note 'kv also verifies the checksum of each header, takes the SHA-1 of each key, sorts the keys and' \
    'writes them to a file.'
