# shellcheck shell=bash disable=SC2016,SC2154 # `run` sets the variables; backquotes are Markdown.
# `kv watch`: how long after a put its line is there, on a directory and over HTTP, against inotifywait(1) on
# the same directory; and what it costs while nothing changes.

export KV_STORE=$scratch/store
rounds=${KV_BENCH_ROUNDS:-7}
puts=100

# until_told NAME CMD…: puts keys, one after another, while CMD tells of changes; the time from the beginning of
# each put to its line, in µs, to $scratch/NAME.us. KV_PUT is the program that puts.
until_told() {
    local name=$1 n before after watcher
    shift
    mkfifo "$scratch/$name.lines"
    "$@" >"$scratch/$name.lines" 2>/dev/null &
    watcher=$!
    exec 7<"$scratch/$name.lines"
    # Until it stands.
    "$KV_PUT" put "begin" v --sync off
    until read -r -t 0.2 _ <&7; do "$KV_PUT" put begin v --sync off; done
    while read -r -t 0.5 _ <&7; do :; done
    for n in $(seq $puts); do
        before=$EPOCHREALTIME
        "$KV_PUT" put "key $n" v --sync off
        read -r -t 10 _ <&7 || die "$name has not told a put"
        after=$EPOCHREALTIME
        echo $((${after/./} - ${before/./})) >>"$scratch/$name.us"
        # A peer may tell more of it.
        while read -r -t 0.02 _ <&7; do :; done
    done
    kill $watcher
    wait $watcher 2>/dev/null || true
    exec 7<&-
    rm "$scratch/$name.lines"
}

# alone: the time that a put takes, in µs, to $scratch/alone.us.
alone() {
    local n before after
    for n in $(seq $puts); do
        before=$EPOCHREALTIME
        "$KV_PUT" put "key $n" v --sync off
        after=$EPOCHREALTIME
        echo $((${after/./} - ${before/./})) >>"$scratch/alone.us"
    done
}

# calls SECONDS: how many system calls a watch of that time makes.
calls() {
    strace -f -c -o "$scratch/calls" "$1" watch --timeout "$2" || true
    awk '$NF == "total" { print $(NF - 1) ~ /^[0-9]+$/ && NF == 5 ? $3 : $4 }' "$scratch/calls"
}

tell() {
    local goal='within 5 ms of the put' r over server
    if [ -z "$2" ] || ! have inotifywait:inotify-tools; then
        not_measured "a put and its line, $1" "$goal"
        return
    fi
    KV_PUT=$2
    rm -rf "$KV_STORE" "$scratch"/*.us
    "$2" put begin v --sync off
    for _ in $(seq "$rounds"); do
        alone
        until_told kv "$2" watch
        until_told peer inotifywait -q -m -r -e moved_to,create "$KV_STORE"
        "$2" serve --listen "unix:$scratch/socket" 2>/dev/null &
        server=$!
        until_told http "$2" --store "http+unix:$scratch/socket" watch
        kill $server
        wait $server 2>/dev/null || true
    done
    r=$(ratio "$scratch/kv.us" "$scratch/peer.us")
    over=$(calc "$(median <"$scratch/kv.us") - $(median <"$scratch/alone.us")" '%.0f')
    row "a put and its line, $1" "$(us kv)" "$(us peer)" "$r" "$goal" "$(judge "$1" "$over < 5000")"
    r=$(ratio "$scratch/http.us" "$scratch/peer.us")
    over=$(calc "$(median <"$scratch/http.us") - $(median <"$scratch/alone.us")" '%.0f')
    row "the same through \`kv serve\`, $1" "$(us http)" "$(us peer)" "$r" "$goal" "$(judge "$1" "$over < 5000")"
    row "the put alone, $1" "$(us alone)" - - - -
}

rest() {
    local goal='no system call' more
    if [ -z "$2" ] || ! have strace; then
        not_measured "3 s of rest, $1" "$goal"
        return
    fi
    more=$(($(calls "$2" 4s) - $(calls "$2" 1s)))
    row "3 s of rest, $1" "$more system calls" - - "$goal" "$(judge "$1" "$more <= 0")"
}

table 'watch: from the beginning of `kv put --sync off` to the line of `kv watch`, against `inotifywait -m -r` on the store'
for build in 'static, glibc' 'static, musl' 'dynamic, glibc'; do
    case $build in
    'static, glibc') binary=$kv ;;
    'static, musl') binary=$kv_musl ;;
    *) binary=$kv_dynamic ;;
    esac
    tell "$build" "$binary"
    rest "$build" "$binary"
done
note 'Both figures hold the start of `kv put`. What inotifywait tells first is that a file was made beside the key, of' \
    'which nobody learns the key; kv has read the entry when it prints the line.'
