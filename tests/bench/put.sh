# shellcheck shell=bash disable=SC2016,SC2154 # `run` sets the variables; backquotes are Markdown.
# `kv put` of a value of 100 bytes over a present one against a C program that makes the same system
# calls; and how often it syncs.

export KV_STORE=$scratch/store
value=$(printf '%0100d' 7)
"$kv" put color "$value"
"$kv" put color "$value"
hash=$(printf color | sha1sum | cut -d' ' -f1)

clock() {
    local goal='within 1.5× of the same system calls in C'
    if [ -z "$2" ] || ! have hyperfine gcc; then
        not_measured "wall time, $1, sync off" "$goal"
        return
    fi
    # The peer has a store of its own: what it leaves is no entry.
    rm -rf "$scratch/peer"
    cp -a "$KV_STORE" "$scratch/peer"
    short kv "$2 --sync off put color $value" \
        peer "$cache/put_peer $scratch/peer ${hash:0:2} ${hash:2} $value"
    local r
    r=$(ratio "$scratch/kv.us" "$scratch/peer.us")
    row "wall time, $1, sync off" "$(us kv)" "$(us peer)" "$r" "$goal" "$(judge "$1" "$r <= 1.5")"
}

table 'put: a value of 100 bytes over a present one, against a static C program'
clock 'static, glibc' "$kv"
clock 'static, musl' "$kv_musl"
clock 'dynamic, glibc' "$kv_dynamic"

goal='no more than two once the shard exists'
if have strace; then
    strace -f -qq -e trace=fsync,fdatasync,sync,syncfs,sync_file_range,msync -o "$scratch/syncs" \
        "$kv" --sync full put color "$value"
    syncs=$(wc -l <"$scratch/syncs")
    row 'syncs, sync full' "$syncs" 2 "$(calc "$syncs / 2")" "$goal" "$(verdict "$syncs <= 2")"
else
    not_measured 'syncs, sync full' "$goal"
fi
note 'The C program has no command line to read, computes no hash and no checksum, and links no' \
    'library but the C library: the rest is what kv costs beyond the kernel'"'"'s work.'
