# shellcheck shell=bash disable=SC2016,SC2034,SC2154 # `run` sets the variables; backquotes are Markdown.
# How cost grows: the same command on a store of twice as many keys, and a store to which something is
# written all the time.
#
#   KV_BENCH_KEYS   the keys of the first store; four times it is doubled (default: 25000)
#   KV_BENCH_HOURS  so long the trickle is (default: 120)

keys=${KV_BENCH_KEYS:-25000}
hours=${KV_BENCH_HOURS:-120}
rounds=${KV_BENCH_ROUNDS:-3}
goal='at most 2.5×' limit=2.5

# What asks something ends a group of puts, and a group as small leaves each in a file of its own.
puts() {
    awk -v from="$1" -v to="$2" 'BEGIN {
        for (i = from; i < to; i++) {
            printf "put user:%06d:name value-%d\n", i, i
            if (i % 400 == 399) print "has user"
        }
    }'
}

# fill STORE KEYS
fill() {
    puts 0 "$2" | "$kv" --store "$1" --sync off batch >"$scratch/replies" || [ $? = 1 ]
    [ "$("$kv" --store "$1" ls --count)" = "$2" ] || die "a store could not be filled"
}

# timed NAME CMD…: as many times as there are rounds; the first warms the caches.
timed() {
    local round name=$1
    shift
    for round in $(seq 0 "$rounds"); do
        [ "$round" != 1 ] || rm "$scratch/$name.s"
        long "$name" "$@" >"$scratch/out"
    done
}

# read_it KIND KEYS STORE
read_it() {
    timed "info $1.$2" "$kv" --store "$3" info
    timed "fsck $1.$2" "$kv" --store "$3" fsck
    timed "ls $1.$2" "$kv" --store "$3" ls
}

measure() {
    local n=$1 store=$scratch/store.$1
    fill "$store" "$n"
    read_it 'of files' "$n" "$store"
    long "evict a tenth, of files.$n" "$kv" --store "$store" -n default gc --max-entries $((n * 9 / 10))
    [ "$("$kv" --store "$store" ls --count)" = $((n * 9 / 10)) ] || die "another number was evicted"
    long "gc of all of them.$n" "$kv" --store "$store" gc --now
    read_it 'of packs' "$n" "$store"
    peak "$scratch/fsck.$n" "$kv" --store "$store" fsck >"$scratch/out"
    long "evict a tenth, of packs.$n" "$kv" --store "$store" -n default gc --max-entries $((n * 8 / 10))
    rm -r "$store"
}

# Each namespace is made by a put of its own.
namespaces() {
    local i
    for ((i = 0; i < $1; i++)); do
        "$kv" --store "$scratch/spaces" -n "space$1-$i" --sync off put k v
    done
}

seconds() { calc "$(median <"$scratch/$1.s")" '%.3f s'; }

# compare WHAT KEYS: against half as many.
compare() {
    local r
    r=$(calc "$(median <"$scratch/$1.$2.s") / $(median <"$scratch/$1.$(($2 / 2)).s")")
    row "$1, $2" "$(seconds "$1.$2")" "$(seconds "$1.$(($2 / 2))")" "$r" "$goal" "$(verdict "$r <= $limit")"
}

double() {
    local n what step
    for step in 0 1 2 3 4; do
        echo "measuring $((keys << step)) keys" >&2
        measure $((keys << step))
    done
    for n in 250 500 1000 2000; do
        long "making namespaces.$n" namespaces "$n"
    done
    table "growth: one command on twice as many keys, against itself on half of them"
    for what in 'info of files' 'fsck of files' 'ls of files' 'evict a tenth, of files' 'gc of all of them' \
        'info of packs' 'fsck of packs' 'ls of packs' 'evict a tenth, of packs'; do
        for step in 1 2 3 4; do
            compare "$what" $((keys << step))
        done
    done
    for n in 500 1000 2000; do
        compare 'making namespaces' "$n"
    done
    note "Peak memory of fsck of packs: $(for step in 0 1 2 3 4; do
        calc "$(cat "$scratch/fsck.$((keys << step))") / 1024" '%.0f MiB '
    done)"
}

# --- a put a second, and a gc each hour ---

# One hour: half of it changes what is there, half is new, and what is beyond 60,000 is evicted.
hour() {
    awk -v h="$1" 'BEGIN {
        srand(h)
        for (i = 0; i < 1800; i++) {
            printf "put sensor:%d value-%d-%f\n", int(rand() * 30000), i, rand()
            printf "put log:%06d:%04d line-%f\n", h, i, rand()
            if (i % 400 == 399) print "has x"
        }
    }' >"$scratch/hour"
    "$kv" --store "$scratch/trickle" --sync off batch <"$scratch/hour" >"$scratch/replies" || [ $? = 1 ]
}

# trickle FROM TO: these hours; notes for each what gc took, and the packs and the space after it.
trickle() {
    local h
    for ((h = $1; h < $2; h++)); do
        hour "$h"
        long "gc.$1" "$kv" --store "$scratch/trickle" -n default gc --now --max-entries 60000
        find "$scratch/trickle/default/packs" -name 'pack-*' | wc -l >>"$scratch/packs.$1"
        allocated "$scratch/trickle" >>"$scratch/space.$1"
    done
}

allocated() { du -s --block-size=1 "$1" | cut -f 1; }
most() { sort -g "$1" | tail -n 1; }

# Where nothing grows, a later part is as the one before it. The first fills the store.
steady() {
    local third=$((hours / 3)) before r
    before=$third
    for ((part = 0; part < 3; part++)); do
        echo "trickle, part $((part + 1)) of 3" >&2
        trickle $((part * third)) $(((part + 1) * third))
    done
    table "growth: $hours hours with 3,600 puts and a gc each, the last third against the one before it"
    r=$(calc "$(most "$scratch/packs.$((2 * third))") / $(most "$scratch/packs.$third")")
    row 'the most packs' "$(most "$scratch/packs.$((2 * third))")" "$(most "$scratch/packs.$third")" "$r" \
        'at most 1.2×' "$(verdict "$r <= 1.2")"
    r=$(calc "$(most "$scratch/space.$((2 * third))") / $(most "$scratch/space.$third")")
    row 'the most space' "$(calc "$(most "$scratch/space.$((2 * third))") / 1000000" '%.1f MB')" \
        "$(calc "$(most "$scratch/space.$third") / 1000000" '%.1f MB')" "$r" 'at most 1.2×' "$(verdict "$r <= 1.2")"
    r=$(calc "$(median <"$scratch/gc.$((2 * third)).s") / $(median <"$scratch/gc.$third.s")")
    row 'gc' "$(ms "gc.$((2 * third))")" "$(ms "gc.$third")" "$r" 'at most 1.2×' "$(verdict "$r <= 1.2")"
    row 'the longest gc' "$(calc "1000 * $(most "$scratch/gc.$((2 * third)).s")" '%.0f ms')" \
        "$(calc "1000 * $(most "$scratch/gc.$third.s")" '%.0f ms')" - - 'for comparison'
}

double
steady
note "Medians of $rounds rounds of what only reads; the rest was done once. The trickle's first third fills the store."
