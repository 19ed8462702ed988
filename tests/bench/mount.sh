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

# listing KIND: of a namespace of this name, whose keys are there.
listing() {
    local kind=$1 round at=$point/$1/many
    # shellcheck disable=SC2034 # It counts.
    for round in $(seq "$rounds"); do
        long "$kind-kv-ls" "$kv" -n "$kind" ls -l >/dev/null
        # Names are believed for a second.
        sleep 1.1
        long "$kind-kv-long" ls -l "$at" >"$scratch/listed"
        sleep 1.1
        long "$kind-kv-find" find "$at" -printf '%s %t\n' >/dev/null
        long "$kind-plain-long" ls -l "$plain/many" >/dev/null
        long "$kind-plain-find" find "$plain/many" -printf '%s %t\n' >/dev/null
    done
    [ "$(wc -l <"$scratch/listed")" = $((keys + 1)) ] || die "ls listed another number of files"
    r=$(ratio "$scratch/$kind-kv-long.s" "$scratch/$kind-kv-ls.s")
    row "$keys $kind keys: \`ls -l\`, against \`kv ls -l\`" "$(ms "$kind-kv-long")" \
        "$(ms "$kind-kv-ls")" "$r" 'within 3×' "$(verdict "$r <= 3")"
    for how in long find; do
        row "$keys $kind keys: \`${commands[$how]}\`, against a directory" "$(ms "$kind-kv-$how")" \
            "$(ms "$kind-plain-$how")" "$(ratio "$scratch/$kind-kv-$how.s" "$scratch/$kind-plain-$how.s")" '' \
            'for comparison'
    done
}

declare -A commands=([long]='ls -l' [find]='find -printf %s%t')

listings() {
    local from
    mkdir "$plain/many"
    (cd "$plain/many" && seq "$keys" | xargs touch)
    seq "$keys" | sed 's/.*/{"key":"many\/&","value":"a small value"}/' | "$kv" -n packed import
    # So few at a time that each becomes a file.
    for from in $(seq 1 500 "$keys"); do
        seq "$from" $((from + 499)) | sed 's/.*/put many\/& "a small value"/' |
            "$kv" -n loose --sync off batch >/dev/null
    done
    listing packed
    listing loose
}

table "mount: against a directory of the same disk, warm"
if ! "$kv" mount "$point"; then
    not_measured 'a store that is mounted' ''
    return 0
fi
small_files
large_file
listings
note 'The mount syncs each file when it is closed; the directory is synced once, at the end. `kv ls -l`' \
    'reads packed keys in one go; `ls -l` asks the kernel for each file, here as in a directory.'
unmount
