# shellcheck shell=bash disable=SC2016,SC2154 # `run` sets the variables; backquotes are Markdown.
# `kv push` and `kv pop` on a list of 100,000 elements against a list of 100.

short_len=100
long_len=100000
rounds=${KV_BENCH_ROUNDS:-7}
goal='about 1: the length costs nothing'

# The lists take a while to fill and are kept; a number in the store's name begins new ones.
fill() {
    local list=$1 len=$2
    if [ "$("$kv" -n "$list" ls --count)" != "$len" ]; then
        echo "filling a list with $len elements" >&2
        "$kv" namespaces --remove "$list" || :
        seq -f 'element %06.0f' "$len" | "$kv" --sync off push "$list" --lines
    fi
    [ "$("$kv" -n "$list" ls --count)" = "$len" ] || die "the list could not be filled"
}

# What one command adds the other takes, so that a list has the same length before each run.
other() { if [ "$1" = push ]; then echo 'pop LIST'; else echo 'push LIST element'; fi; }
verb() { if [ "$1" = push ]; then echo 'push LIST element'; else echo "$1 LIST"; fi; }

steady() {
    local list=$1 do=$2 undo=$3
    hyperfine -N --warmup 10 --runs 60 --prepare "$binary --sync off ${undo/LIST/$list}" \
        --export-csv "$scratch/steady.csv" "$binary --sync off ${do/LIST/$list}" \
        >"$scratch/steady.out" 2>&1 || die "a measured command failed: $(cat "$scratch/steady.out")"
    awk -F, 'NR == 2 { print $(NF - 4) * 1e6 }' "$scratch/steady.csv" >>"$scratch/$list.us"
}

clock() {
    local binary=$2 what=$3 r round
    if [ -z "$2" ] || ! have hyperfine; then
        not_measured "wall time of $what, $1" "$goal"
        return
    fi
    rm -f "$scratch"/*.us
    "$binary" --sync off push short element
    "$binary" --sync off push long element
    for round in $(seq "$rounds"); do
        # Who is first takes turns.
        for list in $([ $((round % 2)) = 0 ] && echo short long || echo long short); do
            steady "$list" "$(verb "$what")" "$(other "$what")"
        done
    done
    r=$(ratio "$scratch/long.us" "$scratch/short.us")
    row "wall time of $what, $1" "$(us long)" "$(us short)" "$r" "$goal" "$(judge "$1" "$r <= 1.1")"
    # Of a push and a pop in turns the last has left one more, or one less.
    trim short "$short_len"
    trim long "$long_len"
}

trim() {
    local list=$1 len=$2 now
    now=$("$kv" -n "$list" ls --count)
    while [ "$now" -gt "$len" ]; do
        "$kv" --sync off pop "$list" >/dev/null
        now=$((now - 1))
    done
    while [ "$now" -lt "$len" ]; do
        "$kv" --sync off push "$list" element
        now=$((now + 1))
    done
}

count() {
    local what=$3 list r command
    if [ -z "$2" ] || ! have valgrind; then
        not_measured "instructions of $what, $1" "$goal"
        return
    fi
    declare -A taken
    for list in short long; do
        command=$(verb "$what")
        # shellcheck disable=SC2086 # It is several words.
        taken[$list]=$(instructions C.UTF-8 "$2" --sync off ${command/LIST/$list})
    done
    trim short "$short_len"
    trim long "$long_len"
    r=$(calc "${taken[long]} / ${taken[short]}")
    row "instructions of $what, $1" "${taken[long]}" "${taken[short]}" "$r" "$goal" \
        "$(judge "$1" "$r <= 1.05")"
}

export KV_STORE=$cache/lists-1
fill short "$short_len"
fill long "$long_len"
table "push and pop: a list of $long_len elements, against one of $short_len (as the peer)"
for what in push pop 'pop --last'; do
    for measure in count clock; do
        $measure 'static, glibc' "$kv" "$what"
        $measure 'static, musl' "$kv_musl" "$what"
    done
done
note 'With `--sync off`. Medians of `hyperfine -N`, ratios the median of its rounds. A list is looked' \
    'through only when its range is not believed, as in a copy: the first push or pop then counts the' \
    'elements. The oldest of many elements was written long ago, so that the' \
    'kernel may have to read its directory and inode anew; `pop --last` takes what was just written.'
