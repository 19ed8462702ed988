# shellcheck shell=bash disable=SC2016,SC2034,SC2154 # `run` sets the variables; backquotes are Markdown.
# 1,000,000 keys in one store: load, read, remove, collect, expire; against what Debian has of its kind.

# shellcheck source=many.sh
. "$here/many.sh"
keys=1000000
loose=100000
dead=1000
gets=1000000
rounds=${KV_BENCH_ROUNDS:-5}

have openssl || die "the entries cannot be made"
free=$(df --output=avail -B1 "$scratch" | tail -n 1)
[ "$free" -gt 4000000000 ] || die "million needs 4 GB of disk"
make_entries
# What is measured of kv, by the names that functions and files have.
builds=(kv ${kv_musl:+musl})
binary_of() { if [ "$1" = musl ]; then echo "$kv_musl"; else echo "$kv"; fi; }

# --- expired entries: written first, as their time has to come ---

# Two stores with many and with few packed entries, and in each as many that soon expire.
begin_to_expire() {
    local store
    "$kv" --store "$scratch/full" import --tsv <"$tsv"
    head -n 1000 "$tsv" | "$kv" --store "$scratch/bare" import --tsv 2>/dev/null
    # An import of a thousand stores each in a file of its own.
    "$kv" --store "$scratch/bare" gc --now
    for store in full bare; do
        seq -f "put --ttl 20s dead%.0f value" "$dead" |
            "$kv" --store "$scratch/$store" --sync off batch >"$scratch/replies"
    done
}

# Hints are kept by spans of time, and a sweep takes those whose span is over.
wait_for_expiry() {
    local store last
    for store in full bare; do
        last=$(find "$scratch/$store/default/expiry" -type f -printf '%f\n' | sort | tail -n 1)
        [ -n "$last" ] || die "there are no hints of what expires"
        until [ "$(date +%s%3N)" -gt "$last" ]; do sleep 1; done
        [ "$("$kv" --store "$scratch/$store" info --json | grep -o '"expired":[0-9]*')" = "\"expired\":$dead" ] ||
            die "there are not $dead entries that expired"
    done
}

# calls STORE CMD…: how many system calls it takes.
calls() {
    local store=$1
    shift
    strace -f -qq -c -o "$scratch/calls" "$kv" --store "$scratch/$store" "$@"
    awk '$NF == "total" { print $4 }' "$scratch/calls"
}

sweeps() {
    local goal='about 1: what is stored costs nothing' full bare r
    if ! have strace; then
        not_measured 'system calls of a sweep' "$goal"
        return
    fi
    wait_for_expiry
    full=$(calls full put --ttl 1h new value)
    bare=$(calls bare put --ttl 1h new value)
    r=$(calc "$full / $bare")
    row "system calls of \`put --ttl\` that sweeps 16, against the same beside 1,000 packed ones" \
        "$full" "$bare" "$r" "$goal" "$(verdict "$r <= 1.05")"
    full=$(calls full gc --now)
    bare=$(calls bare gc --now)
    r=$(calc "$full / $bare")
    row "system calls of \`gc\` that sweeps $((dead - 16)), against the same beside 1,000 packed ones" \
        "$full" "$bare" "$r" "$goal" "$(verdict "$r <= 1.05")"
    [ "$("$kv" --store "$scratch/full" ls --count)" = $((keys + 1)) ] || die "a sweep took living entries"
    "$kv" --store "$scratch/full" info --json | grep -q '"expired":0' || die "expired entries were left"
}

# --- removing all, against the import; collecting what was put one by one ---

import_again() { "$1" --store "$at/again" import --tsv <"$tsv"; }
remove_all() { peak "$scratch/remove-$2.kib" "$1" --store "$at/again" remove --stdin <"$entries/keys"; }

removals() {
    local round build binary
    for round in $(seq "$rounds"); do
        echo "removing, round $round of $rounds" >&2
        for build in $(turn "$round" "${builds[@]}"); do
            binary=$(binary_of "$build")
            sync -f "$scratch"
            long "import-$build" import_again "$binary"
            allocated "$at/again" >>"$scratch/before-$build"
            long "remove-$build" remove_all "$binary" "$build"
            allocated "$at/again" >>"$scratch/after-$build"
            [ "$("$kv" --store "$at/again" ls --count)" = 0 ] || die "not all was removed"
            rm -r "$at/again"
        done
    done
}

judge_removals() {
    local goal='takes less' grown='does not grow' r before after
    if [ ! -s "$scratch/remove-$1.s" ]; then
        not_measured "remove of all keys, $(named "$1")" "$goal"
        return
    fi
    r=$(ratio "$scratch/remove-$1.s" "$scratch/import-$1.s")
    row "remove --stdin of all keys, $(named "$1"), against their import" "$(seconds "remove-$1")" \
        "$(seconds "import-$1")" "$r" "$goal" "$(verdict "$r < 1")"
    before=$(median <"$scratch/before-$1") after=$(median <"$scratch/after-$1")
    row "disk after that, $(named "$1"), against before" "$(mb "$after")" "$(mb "$before")" \
        "$(calc "$after / $before" '%.4f')" "$grown" "$(verdict "$after <= $before")"
}

collect() { peak "$scratch/gc.kib" "$kv" --store "$at/again" gc --now; }
forget() { rm -r "$at/beside/default/objects"; }

# Most of this gc is the unlinking of files, which `rm` shows to cost the same here and now. One
# build tells all.
collections() {
    local round what
    # With an expiry each has a file of its own: plain puts at hand go into a pack at once.
    head -n "$loose" "$tsv" | sed 's/^/put --ttl 520w loose:/; s/\t/ /' >"$scratch/puts"
    for round in $(seq "$rounds"); do
        echo "collecting, round $round of $rounds" >&2
        "$kv" --store "$at/again" import --tsv <"$tsv"
        "$kv" --store "$at/again" --sync off batch <"$scratch/puts" >"$scratch/replies"
        "$kv" --store "$at/beside" --sync off batch <"$scratch/puts" >"$scratch/replies"
        for what in $(turn "$round" collect forget); do
            sync -f "$scratch"
            long "gc-$what" "$what"
        done
        [ "$("$kv" --store "$at/again" ls --count)" = $((keys + loose)) ] || die "gc changed the keys"
        rm -r "$at/again" "$at/beside"
    done
}

judge_collections() {
    local goal='under 10 s' what='gc after 100,000 loose puts beside them, static, glibc' median
    median=$(median <"$scratch/gc-collect.s")
    row "$what, against \`rm -r\` of as many entries" "$(seconds gc-collect)" "$(seconds gc-forget)" \
        "$(ratio "$scratch/gc-collect.s" "$scratch/gc-forget.s")" "$goal" "$(verdict "$median < 10")"
    judge_memory "$scratch/gc.kib" 'memory of that gc'
}

# --- reading, where peers may be better ---

values_kv() { "$kv" --store "$at/kv" ls --values; }
values_sqlite() { sqlite3 -separator $'\t' "$at/sqlite" 'SELECT key, value FROM kv ORDER BY key'; }
values_lmdb() { mdb_dump -n -p "$at/lmdb"; }
values_cdb() { cdb -d -m "$at/cdb"; }

gets_kv() { "$kv" --store "$at/kv" batch <"$scratch/gets"; }
gets_sqlite() { sqlite3 "$at/sqlite" <"$scratch/selects"; }
gets_one() { "$cache/lmdb_peer" get "$at/one" <"$scratch/some"; }

# there NAME…: those of the peers that were loaded.
there() {
    local name
    for name; do
        [ ! -e "$at/$name" ] || echo "$name"
    done
}

read_in_bulk() {
    local peer
    # shellcheck disable=SC2046 # These are words.
    read_all values kv $(there sqlite lmdb cdb)
    cmp "$sorted" "$scratch/values-kv.out" || die "ls --values lists other values"
    rm "$scratch"/values-*.out
    head -n "$gets" "$tsv" | cut -f 1 >"$scratch/some"
    head -n "$gets" "$tsv" | cut -f 2 >"$scratch/some.values"
    sed 's/^/get /' "$scratch/some" >"$scratch/gets"
    sed "s/.*/SELECT value FROM kv WHERE key = '&';/" "$scratch/some" >"$scratch/selects"
    # shellcheck disable=SC2046 # These are words.
    read_all gets kv $(there sqlite one)
    # Before each value there is a line with its length.
    sed -n '2~2p' "$scratch/gets-kv.out" | cmp - "$scratch/some.values" || die "batch prints other values"
    for peer in $(there sqlite one); do
        cmp "$scratch/gets-$peer.out" "$scratch/some.values" || die "$peer prints other values"
    done
}

# Against a file that cannot be changed once it is made.
get_constant() {
    local key what="one get, static, glibc, against \`cdb -q\`"
    read -r key <"$entries/keys"
    if [ ! -e "$at/cdb" ] || ! have hyperfine; then
        not_measured "$what" -
        return
    fi
    short kv "$kv --store $at/kv get $key" cdb "cdb -q $at/cdb $key"
    row "$what" "$(us kv)" "$(us cdb)" "$(ratio "$scratch/kv.us" "$scratch/cdb.us")" - \
        "$(ahead "$(ratio "$scratch/kv.us" "$scratch/cdb.us")")"
}

# takes WHAT FILE LABEL: what the store takes on the disk, against a file.
takes() {
    local mine theirs r
    if [ ! -e "$at/$1" ]; then
        not_measured "disk, against $2" -
        return
    fi
    mine=$(allocated "$at/kv") theirs=$(allocated "$at/$1")
    r=$(calc "$mine / $theirs")
    row "disk, against $2" "$(mb "$mine")" "$(mb "$theirs")" "$r" - "$(ahead "$r")"
}

needs() {
    local mine theirs r
    if [ ! -e "$at/sqlite.kib" ]; then
        not_measured 'memory of import, against `.import` of sqlite3' -
        return
    fi
    mine=$(cat "$at/kv.kib") theirs=$(cat "$at/sqlite.kib")
    r=$(calc "$mine / $theirs")
    row 'memory of import, static, glibc, against `.import` of sqlite3' "$(mb "$((1024 * mine))")" \
        "$(mb "$((1024 * theirs))")" "$r" - "$(ahead "$r")"
}

# --- all of it ---

peers=("${builds[@]}")
! have sqlite3 || peers+=(sqlite tuned)
if have mdb_load:lmdb-utils; then
    make_lmdb_form
    peers+=(lmdb)
fi
if [ -e /usr/include/lmdb.h ] && have gcc; then
    compile "$here/lmdb_peer.c" -llmdb
    peers+=(one)
else
    echo 'bench: lmdb.h IS NOT INSTALLED: what needs it is NOT MEASURED (apt-get install liblmdb-dev)' >&2
fi
! have cdb:tinycdb || peers+=(cdb)
tkrzw=hash tkrzw_name='' tkrzw_note=''
if have tkrzw_dbm_util:tkrzw-utils; then
    choose_tkrzw
    peers+=("$tkrzw")
fi
[ -z "$(type -t strace)" ] || begin_to_expire
load "${peers[@]}"
removals
collections

table "million: $keys keys with values of 90 bytes in one store"
for build in kv musl; do
    compare load import "$build" sqlite '`.import` of sqlite3' 'under 0.2×' '< 0.2'
    compare load import "$build" "$tkrzw" "tkrzw's $tkrzw_name, then sync" 'not slower' '<= 1'
done
for build in kv musl; do
    judge_memory "$at/$build.kib" "memory of import, $(named "$build")"
done
judge_disk
# shellcheck disable=SC2046 # These are words.
list_keys "${builds[@]}" $(there sqlite)
for build in kv musl; do
    compare keys 'ls of all keys' "$build" sqlite 'sqlite3, `ORDER BY key`' 'not slower' '<= 1'
done
list_prefix
get_one
for build in kv musl; do
    judge_removals "$build"
done
judge_collections
sweeps
note "Medians of $rounds rounds, ratios the median of the rounds'. The lines that are loaded are in no" \
    'order. Everything is on the disk at the end of a load: sqlite3 sees to it, and `sync FILE` is part' \
    "of what is measured of the others. $tkrzw_note A get is compared with that of the same key from" \
    'a store that holds nothing else, in a file of its own.'

read_in_bulk
table "million: where others may be better; no goals"
compare load import kv tuned 'sqlite3 with no journal and 16 GB of cache, then sync' -
compare load import kv one 'a C program with LMDB, one transaction' -
compare load import kv lmdb '`mdb_load`' -
compare load import kv cdb '`cdb -c -m`, then sync' -
needs
takes sqlite sqlite3
takes lmdb LMDB
takes "$tkrzw.$([ "$tkrzw" = tree ] && echo tkt || echo tkh)" "tkrzw's $tkrzw_name"
takes cdb '`cdb`'
get_constant
compare gets "$gets gets in one process (\`batch\`)" kv sqlite 'sqlite3 with as many SELECTs' -
compare gets "$gets gets in one process (\`batch\`)" kv one 'a C program with LMDB' 'within 8×' '<= 8'
compare values 'ls --values' kv sqlite 'sqlite3, `ORDER BY key`' -
compare values 'ls --values' kv lmdb '`mdb_dump -p`' -
compare values 'ls --values' kv cdb '`cdb -d -m`, in no order' -
note '`mdb_load` of this version commits, and syncs, every hundred entries. A cdb cannot be changed, and' \
    'a change to it makes all of it anew. Of these peers only sqlite3 and LMDB let processes write side by side.'
