# shellcheck shell=bash disable=SC2016,SC2034,SC2154 # `run` sets the variables; backquotes are Markdown.
# 10,000,000 keys in one store: what holds for a million holds for ten. It takes an hour and 20 GB, so
# it is measured only if it is named.

# shellcheck source=many.sh
. "$here/many.sh"
keys=10000000
rounds=${KV_BENCH_ROUNDS:-3}

have openssl || die "the entries cannot be made"
free=$(df --output=avail -B1 "$scratch" | tail -n 1)
[ "$free" -gt 20000000000 ] || die "tenmillion needs 20 GB of disk"
make_entries

peers=(kv ${kv_musl:+musl})
! have sqlite3 || peers+=(sqlite)
tkrzw=hash tkrzw_name='' tkrzw_note=''
if have tkrzw_dbm_util:tkrzw-utils; then
    choose_tkrzw
    peers+=("$tkrzw")
fi
load "${peers[@]}"

table "tenmillion: $keys keys with values of 90 bytes in one store"
for build in kv musl; do
    compare load 'import' "$build" sqlite '`.import` of sqlite3' 'under 0.2×' '< 0.2'
    compare load 'import' "$build" "$tkrzw" "tkrzw $tkrzw_name, then sync" 'not slower' '<= 1'
done
judge_disk
judge_memory "$at/kv.kib" 'memory of import, static, glibc'
judge_memory "$at/musl.kib" 'memory of import, static, musl'
names=(kv ${kv_musl:+musl})
[ ! -e "$at/sqlite" ] || names+=(sqlite)
list_keys "${names[@]}"
for build in kv musl; do
    compare keys 'ls of all keys' "$build" sqlite 'sqlite3, `ORDER BY key`' 'not slower' '<= 1'
done
list_prefix
get_one
note "Medians of $rounds rounds. The lines are in no order. Everything is on the disk at the end of a" \
    "load. A get is compared with that of the same key from a store that holds nothing else. $tkrzw_note"
