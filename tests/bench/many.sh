# shellcheck shell=bash disable=SC2016,SC2034,SC2154 # Topics use what is set; backquotes are Markdown.
# What the topics `million` and `tenmillion` share: $keys keys in one store, against what Debian has
# of its kind. No topic of its own.

# --- the entries ---

# bytes NUMBER: any bytes without end, the same each time: a cipher that counts, under a fixed key.
bytes() {
    openssl enc -aes-128-ctr -K 6b762062656e63686d61726b20627974 -iv "$1" -in /dev/zero 2>/dev/null || :
}

# Keys are user:N:HEX, a thousandth of them of each user, values 90 hexadecimal digits; lines are in
# no order. They are kept; a number in the directory's name begins new ones.
make_entries() {
    entries=$cache/entries-$keys-1
    tsv=$entries/tsv sorted=$entries/sorted
    if [ ! -e "$entries/made" ]; then
        echo "making $keys entries" >&2
        mkdir -p "$entries"
        # In one user's keys an odd factor gives no number twice.
        seq 0 $((keys - 1)) | shuf --random-source=<(bytes 0) | awk '{
            user = $1 % 1000
            printf "user:%d:%06x\n", user, (int($1 / 1000) * 10368889 + user * 7340033) % 16777216
        }' >"$entries/keys"
        bytes 1 | head -c $((45 * keys)) | od -An -v -tx1 -w45 | tr -d ' ' |
            paste "$entries/keys" - >"$tsv"
        LC_ALL=C sort -S 512M "$tsv" >"$sorted"
        [ "$(wc -l <"$sorted")" = "$keys" ] || die "there are not $keys entries"
        [ "$(cut -f 1 "$sorted" | LC_ALL=C sort -uc && grep -c '^user:77:' "$sorted")" = $((keys / 1000)) ] ||
            die "keys are not what they should be"
        : >"$entries/made"
    fi
    sync "$entries"/*
    # All that is read is in the page cache before it is measured.
    cat "$entries"/* >/dev/null
}

# As mdb_load reads them: its -T, for lines without a header, leaves no room for more than 10 MB.
make_lmdb_form() {
    if [ ! -e "$entries/lmdb" ]; then
        {
            printf '%s\n' VERSION=3 format=print type=btree mapsize=17179869184 maxreaders=126 HEADER=END
            sed 's/^/ /; s/\t/\n /' "$tsv"
            echo DATA=END
        } >"$scratch/lmdb"
        mv "$scratch/lmdb" "$entries/lmdb"
    fi
}

# --- loading; everything lies in $at ---

sqlite_table='CREATE TABLE kv (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID'

load_kv() { peak "$at/kv.kib" "$kv" --store "$at/kv" import --tsv <"$tsv"; }
load_musl() { peak "$at/musl.kib" "$kv_musl" --store "$at/musl" import --tsv <"$tsv"; }
load_sqlite() {
    peak "$at/sqlite.kib" sqlite3 "$at/sqlite" "$sqlite_table" '.mode tabs' ".import \"$tsv\" kv"
}
# The same with all that makes it faster and less safe, and memory for all.
load_tuned() {
    sqlite3 "$at/tuned" 'PRAGMA journal_mode=OFF' 'PRAGMA synchronous=OFF' \
        'PRAGMA cache_size=-16000000' "$sqlite_table" '.mode tabs' ".import \"$tsv\" kv" >/dev/null &&
        sync "$at/tuned"
}
load_lmdb() { mdb_load -n -f "$entries/lmdb" "$at/lmdb"; }
load_one() { "$cache/lmdb_peer" load "$at/one" <"$tsv"; }
load_hash() { tkrzw "$at/hash.tkh" --buckets "$keys"; }
load_tree() { tkrzw "$at/tree.tkt"; }
load_cdb() { cdb -c -m "$at/cdb" "$tsv" && sync "$at/cdb"; }

tkrzw() {
    local file=$1
    shift
    tkrzw_dbm_util create "$@" "$file" >/dev/null && tkrzw_dbm_util import --tsv "$file" "$tsv" >/dev/null &&
        sync "$file"
}

# choose_tkrzw: sets $tkrzw to the kind of its databases that loads faster.
choose_tkrzw() {
    at=$scratch/pilot
    mkdir "$at"
    long pilot-hash load_hash
    long pilot-tree load_tree
    tkrzw=hash tkrzw_name=HashDBM
    if awk "BEGIN { exit !($(cat "$scratch/pilot-tree.s") < $(cat "$scratch/pilot-hash.s")) }"; then
        tkrzw=tree tkrzw_name=TreeDBM
    fi
    tkrzw_note="tkrzw's HashDBM loaded them in $(seconds pilot-hash) and its TreeDBM in $(seconds pilot-tree) beforehand; the faster one is the peer."
    rm -r "$at"
}

# load PEER…: each in each round, in a directory of the round; the last one stays, as $at.
load() {
    local round peer
    for round in $(seq "$rounds"); do
        [ "$round" = 1 ] || rm -r "$at"
        at=$scratch/round.$round
        mkdir "$at"
        echo "loading, round $round of $rounds" >&2
        for peer in $(turn "$round" "$@"); do
            # What was written and removed before is on the disk before the clock runs.
            sync -f "$scratch"
            long "load-$peer" "load_$peer"
        done
    done
    local store
    for store in kv musl; do
        [ ! -e "$at/$store" ] || "$kv" --store "$at/$store" ls --values | cmp - "$sorted" ||
            die "ls does not list what was imported"
    done
}

# --- what is printed ---

seconds() { calc "$(median <"$scratch/$1.s")" '%.2f s'; }
mb() { calc "$1 / 1000000" '%.1f MB'; }
allocated() { du -s --block-size=1 "$1" | cut -f 1; }

# compare VERB WHAT BUILD PEER LABEL GOAL LIMIT: a row of the times in $scratch/VERB-BUILD.s. LIMIT is
# such as '<= 1'; without one there is no goal, and the row tells who is ahead.
compare() {
    local r
    if [ ! -s "$scratch/$1-$3.s" ] || [ ! -s "$scratch/$1-$4.s" ]; then
        not_measured "$2, $(named "$3"), against $5" "$6"
        return
    fi
    r=$(ratio "$scratch/$1-$3.s" "$scratch/$1-$4.s")
    row "$2, $(named "$3"), against $5" "$(seconds "$1-$3")" "$(seconds "$1-$4")" "$r" "$6" \
        "$(if [ -n "${7:-}" ]; then verdict "$r $7"; else ahead "$r"; fi)"
}

named() { if [ "$1" = musl ]; then echo 'static, musl'; else echo 'static, glibc'; fi; }
ahead() { if awk "BEGIN { exit !($1 <= 1) }"; then echo 'kv is ahead'; else echo 'kv is behind'; fi; }

# judge_disk: what the store takes, of what the lines take.
judge_disk() {
    local mine raw r
    mine=$(allocated "$at/kv") raw=$(stat -c %s "$tsv")
    r=$(calc "$mine / $raw" '%.3f')
    row 'disk, against the lines that were loaded' "$(mb "$mine")" "$(mb "$raw")" "$r" \
        'at most 1.35×' "$(verdict "$r <= 1.35")"
}

# judge_memory FILE WHAT: KiB at the peak, which were written to FILE.
judge_memory() {
    local goal='under 200 MB' bytes
    if [ ! -e "$1" ]; then
        not_measured "$2" "$goal"
        return
    fi
    bytes=$(calc "1024 * $(cat "$1")" '%.0f')
    row "$2" "$(mb "$bytes")" - - "$goal" "$(verdict "$bytes < 200000000")"
}

# --- reading ---

# read_all VERB NAME…: times VERB_NAME in each round, once more before the first; what it prints is
# in $scratch/VERB-NAME.out.
read_all() {
    local verb=$1 round name
    shift
    for round in $(seq 0 "$rounds"); do
        # The first round warms the caches.
        [ "$round" != 1 ] || rm -f "$scratch/$verb"-*.s
        for name in $(turn "$round" "$@"); do
            long "$verb-$name" "${verb}_$name" >"$scratch/$verb-$name.out"
        done
    done
}

keys_kv() { "$kv" --store "$at/kv" ls; }
keys_musl() { "$kv_musl" --store "$at/kv" ls; }
keys_sqlite() { sqlite3 "$at/sqlite" 'SELECT key FROM kv ORDER BY key'; }

# list_keys NAME…: all keys, checked.
list_keys() {
    local name
    read_all keys "$@"
    cut -f 1 "$sorted" >"$scratch/keys"
    for name; do
        cmp "$scratch/keys" "$scratch/keys-$name.out" || die "$name lists other keys"
    done
}

# One user's keys, by processes of milliseconds.
list_prefix() {
    local goal="under 1.5×" what="ls 'user:77:*'" r build query
    query="SELECT key FROM kv WHERE key >= 'user:77:' AND key < 'user:77;' ORDER BY key"
    if [ ! -e "$at/sqlite" ] || ! have hyperfine; then
        not_measured "$what" "$goal"
        return
    fi
    "$kv" --store "$at/kv" ls 'user:77:*' >"$scratch/prefix"
    grep '^user:77:' "$scratch/keys" | cmp - "$scratch/prefix" || die "ls lists other keys of a user"
    sqlite3 "$at/sqlite" "$query" | cmp - "$scratch/prefix" || die "sqlite3 lists other keys"
    short kv "$kv --store $at/kv ls user:77:*" ${kv_musl:+musl "$kv_musl --store $at/kv ls user:77:*"} \
        sqlite "sqlite3 $at/sqlite \"$query\""
    for build in kv ${kv_musl:+musl}; do
        r=$(ratio "$scratch/$build.us" "$scratch/sqlite.us")
        row "$what: $(wc -l <"$scratch/prefix") keys, $(named "$build"), against sqlite3 by its index" \
            "$(us "$build")" "$(us sqlite)" "$r" "$goal" "$(verdict "$r < 1.5")"
    done
}

# get_one: one `kv get`, against the same from a store that holds nothing else; and what it reads.
get_one() {
    local goal='within 1.1×' exact='exactly 2' what build binary key value r few many
    IFS=$'\t' read -r key value <"$tsv"
    "$kv" --store "$at/k1" put "$key" "$value"
    [ "$("$kv" --store "$at/kv" get "$key")" = "$value" ] || die "get prints another value"
    for build in kv ${kv_musl:+musl}; do
        binary=$kv what="get, $(named "$build")"
        [ "$build" = kv ] || binary=$kv_musl
        if have hyperfine; then
            short many "$binary --store $at/kv get $key" few "$binary --store $at/k1 get $key"
            r=$(ratio "$scratch/many.us" "$scratch/few.us")
            row "wall time of $what" "$(us many)" "$(us few)" "$r" "$goal" "$(verdict "$r <= 1.1")"
        else
            not_measured "wall time of $what" "$goal"
        fi
        if have valgrind; then
            many=$(KV_STORE=$at/kv instructions C.UTF-8 "$binary" get "$key")
            few=$(KV_STORE=$at/k1 instructions C.UTF-8 "$binary" get "$key")
            row "instructions of $what" "$many" "$few" "$(calc "$many / $few")" - 'for comparison'
        else
            not_measured "instructions of $what" -
        fi
        if have strace; then
            reads_of_the_pack "$binary"
            row "reads of the pack by $what" 2 - - "$exact" met
        else
            not_measured "reads of the pack by $what" "$exact"
        fi
    done
}

# Two reads find an entry; any other number, or another way to read, fails the run.
reads_of_the_pack() {
    local key value calls
    head -n 20 "$tsv" >"$scratch/some"
    while IFS=$'\t' read -r key value; do
        [ "$(strace -f -y -qq -e trace=desc -o "$scratch/trace" "$1" --store "$at/kv" get "$key")" = "$value" ] ||
            die "get prints another value of $key"
        # What is done with the descriptor of a pack, except to close it and to ask for its size.
        calls=$(sed -n 's/^[0-9]* *\([a-z0-9_]*\)([^"]*<[^>]*\/packs\/pack-[^>]*>[^=]*.*/\1/p' "$scratch/trace" |
            grep -vxE 'close|fstat|statx|newfstatat' | paste -sd ' ')
        [ "$calls" = 'pread64 pread64' ] || die "get of $key does with packs: ${calls:-nothing}"
    done <"$scratch/some"
}
