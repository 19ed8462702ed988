# shellcheck shell=bash disable=SC2016,SC2154 # `run` sets the variables; backquotes are Markdown.
# A store that is mounted, against a directory of the same disk: many small files, a large one, and
# the listing of 100,000 keys.

files=10000
keys=100000
bytes=${KV_BENCH_MOUNT:-1073741824}
rounds=${KV_BENCH_ROUNDS:-5}
size=$(calc "$bytes / 1048576" '%.0f MiB')

export KV_STORE=$scratch/store
point=$scratch/mnt
plain=$scratch/plain
mkdir "$point" "$plain"

unmount() {
    if mountpoint -q "$point"; then umount "$point" 2>/dev/null || fusermount3 -u "$point"; fi
}
trap unmount EXIT

ms() { printf '%.0f ms' "$(calc "$(median <"$scratch/$1.s") * 1000")"; }
each() { printf '%.0f µs a file' "$(calc "$(median <"$scratch/$1.s") * 1e6 / $files")"; }
rate() { calc "$bytes / 1048576 / $(median <"$scratch/$1.s")" '%.0f MiB/s'; }

# compare WHAT HOW NAME: a row of times.
compare() {
    row "$1" "$("$2" "kv-$3")" "$("$2" "plain-$3")" \
        "$(ratio "$scratch/kv-$3.s" "$scratch/plain-$3.s")" '' 'for comparison'
}

copy_in() { cp -r "$scratch/small" "$1" && sync -f "$1"; }
read_all() { cat "$1"/small/* >/dev/null; }
write_big() { dd if="$scratch/source" of="$1/big" bs=1M conv=fsync status=none; }
read_big() { cat "$1/big" >/dev/null; }

small_files() {
    local n round
    mkdir "$scratch/small"
    for n in $(seq "$files"); do
        echo "a small value $n" >"$scratch/small/$n"
    done
    for round in $(seq "$rounds"); do
        rm -rf "$plain/small"
        rm -rf "$point/default/small"
        sync -f "$scratch"
        long plain-write copy_in "$plain"
        long kv-write copy_in "$point/default"
        long plain-read read_all "$plain"
        long kv-read read_all "$point/default"
    done
    [ "$("$kv" ls --count)" = "$files" ] || die "the mount did not store every file"
    compare "$files small files: \`cp -r\`" each write
    compare "$files small files: \`cat\`" each read
}

large_file() {
    local round
    head -c "$bytes" /dev/urandom >"$scratch/source"
    for round in $(seq "$rounds"); do
        rm -f "$plain/big" "$point/default/big"
        sync -f "$scratch"
        long plain-big write_big "$plain"
        long kv-big write_big "$point/default"
        long plain-show read_big "$plain"
        long kv-show read_big "$point/default"
    done
    cmp -s "$scratch/source" "$point/default/big" || die "the mount returned another value"
    compare "one file of $size: \`dd\` with fsync" rate big
    compare "one file of $size: \`cat\`" rate show
    rm -f "$scratch/source" "$plain/big" "$point/default/big"
}

listing() {
    local goal='within 3×' round r
    seq "$keys" | sed 's/.*/{"key":"many\/&","value":"a small value"}/' | "$kv" -n many import
    mkdir "$plain/many"
    (cd "$plain/many" && seq "$keys" | xargs touch)
    # shellcheck disable=SC2034 # It counts.
    for round in $(seq "$rounds"); do
        long kv-ls "$kv" -n many ls -l >/dev/null
        # Names are believed for a second.
        sleep 1.1
        long mount-ls ls -l "$point/many/many" >"$scratch/listed"
        long plain-ls ls -l "$plain/many" >/dev/null
    done
    [ "$(wc -l <"$scratch/listed")" = $((keys + 1)) ] || die "ls listed another number of files"
    r=$(ratio "$scratch/mount-ls.s" "$scratch/kv-ls.s")
    row "\`ls -l\` of $keys keys, against \`kv ls -l\`" "$(ms mount-ls)" "$(ms kv-ls)" "$r" "$goal" \
        "$(verdict "$r <= 3")"
    r=$(ratio "$scratch/mount-ls.s" "$scratch/plain-ls.s")
    row "\`ls -l\` of $keys keys, against a directory" "$(ms mount-ls)" "$(ms plain-ls)" "$r" "$goal" \
        "$(verdict "$r <= 3")"
}

table "mount: against a directory of the same disk, warm"
if ! "$kv" mount "$point"; then
    not_measured 'a store that is mounted' ''
    return 0
fi
small_files
large_file
listing
note "The mount syncs each file when it is closed; the directory is synced once, at the end. A part of" \
    'what `ls -l` takes of many files is its own: it sorts and asks for each.'
unmount
