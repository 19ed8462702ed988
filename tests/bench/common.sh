# shellcheck shell=bash disable=SC2016,SC2034,SC2154 # Topics use what is set; backquotes are Markdown.
# What the topics share. Sourced by `run`, after which a topic finds:
#
#   $kv $kv_musl $kv_dynamic   the binaries; empty where one could not be built
#   $scratch                   a directory of its own, removed at the end
#   $cache                     a directory that outlives the run
#   $here                      this directory

die() {
    echo "bench: $*" >&2
    exit 1
}

# --- the binaries and the tools ---

prepare() {
    local base=${KV_BENCH_DIR:-$PWD/target/bench}
    mkdir -p "$base/cache"
    cache=$base/cache
    scratch=$(mktemp -d "$base/run.XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
    # Nothing of the user's settings reaches a kv that is measured.
    unset KV_STORE KV_NAMESPACE KV_SYNC KV_BUSY_TIMEOUT

    kv=$(build) || die "cargo build --release failed"
    kv_musl=
    # SQLite is C, and is compiled for musl by musl's own compiler.
    if rustc --print target-libdir --target x86_64-unknown-linux-musl 2>/dev/null | xargs -r test -d &&
        have musl-gcc:musl-tools; then
        kv_musl=$(build --target x86_64-unknown-linux-musl) || die "the musl build failed"
    else
        echo "bench: nothing can be built for x86_64-unknown-linux-musl: its rows are NOT MEASURED" >&2
    fi
    # RUSTFLAGS takes the place of what .cargo/config.toml says.
    kv_dynamic=$(RUSTFLAGS=" " build --target-dir "$cache/dynamic") || die "the dynamic build failed"
    local peer
    for peer in "$here"/*.c; do
        # What needs a library is compiled by its topic.
        [ "$peer" = "$here/lmdb_peer.c" ] || compile "$peer"
    done
}

# Builds the release binary and prints its path.
build() {
    cargo build --release --message-format=json-render-diagnostics "$@" |
        sed -n 's/.*"executable":"\([^"]*\/kv\)".*/\1/p' | tail -n 1
}

# compile PEER.c [LIBRARY…]: as $cache/PEER.
compile() {
    local out peer=$1
    shift
    out=$cache/$(basename "$peer" .c)
    if [ "$peer" -nt "$out" ]; then
        gcc -O2 -static -Wall -Wextra -Werror -o "$out" "$peer" "$@" || die "gcc could not compile $peer"
    fi
}

# have TOOL[:PACKAGE]…: tells whether all are installed, and says loudly which is not. The package is
# the one that has the tool, if its name is another.
have() {
    local tool missing=0
    for tool; do
        if ! command -v "${tool%%:*}" >/dev/null; then
            echo "bench: ${tool%%:*} IS NOT INSTALLED: what needs it is NOT MEASURED (apt-get install ${tool#*:})" >&2
            missing=1
        fi
    done
    return $missing
}

# --- the tables ---

machine() {
    local model
    model=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)
    printf 'Measured on %s by `tests/bench/run` (kv %s): %s, %s cores, Linux %s, %s.\n' \
        "$(date +%F)" "$("$kv" --version | cut -d' ' -f2)" "${model:-unknown processor}" "$(nproc)" \
        "$(uname -r)" "$(findmnt -no FSTYPE -T "$scratch")"
    # Where this is near the number of cores, or above it, others were at work and times are noisy.
    printf 'Load of the machine before: %s.\n' "$(cut -d' ' -f1-3 /proc/loadavg)"
}

# table TITLE COLUMN COLUMN: begins a table of kv, named and measured, against a peer.
table() {
    printf '\n### %s\n\n' "$1"
    printf '| what | kv | peer | ratio | goal | |\n|---|---:|---:|---:|---|---|\n'
}

# row WHAT KV PEER RATIO GOAL VERDICT
row() {
    printf '| %s | %s | %s | %s | %s | %s |\n' "$@"
}

# not_measured WHAT GOAL
not_measured() {
    row "$1" - - - "$2" 'not measured'
}

note() {
    printf '\n%s\n' "$*"
}

# --- the arithmetic ---

# calc EXPRESSION [FORMAT]
calc() {
    awk "BEGIN { printf \"${2:-%.2f}\", $1 }"
}

# verdict EXPRESSION: a goal that holds is met.
verdict() {
    if awk "BEGIN { exit !($1) }"; then echo met; else echo '**missed**'; fi
}

# judge BUILD EXPRESSION: as verdict; a dynamic build is shown beside the one that is released.
judge() {
    case $1 in
    dynamic*) echo 'for comparison' ;;
    *) verdict "$2" ;;
    esac
}

# The median of the numbers on standard input.
median() {
    sort -g | awk '{ n[NR] = $1 } END { print (n[int((NR + 1) / 2)] + n[int((NR + 2) / 2)]) / 2 }'
}

# The median of the quotients of two lists of numbers, pair by pair: what else the machine does in
# a round is in both of its numbers.
ratio() {
    paste -d' ' "$1" "$2" | awk '{ print $1 / $2 }' | median | xargs printf '%.2f'
}

# --- the measuring ---

# instructions LOCALE CMD…: how many the command executes. The environment is small and always the
# same, as the start of a program reads all of it.
instructions() {
    local locale=$1
    shift
    env -i PATH="$PATH" LANG="$locale" KV_STORE="${KV_STORE-}" \
        valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>&1 >/dev/null |
        sed -n 's/.*Collected : //p'
}

# short NAME CMD [NAME CMD]…: wall times of commands that take milliseconds, as hyperfine measures
# them without a shell, in interleaved rounds. Appends the median of each round to $scratch/NAME.us.
short() {
    local round i args=() names=()
    while [ $# -gt 0 ]; do
        names+=("$1")
        args+=("$2")
        shift 2
    done
    for name in "${names[@]}"; do
        : >"$scratch/$name.us"
    done
    for round in $(seq "${rounds:-9}"); do
        # The first command of a round is another one each time.
        local ordered=()
        for i in "${!args[@]}"; do
            ordered+=("${args[(i + round) % ${#args[@]}]}")
        done
        hyperfine -N --warmup 20 --runs "${runs:-200}" --export-csv "$scratch/round.csv" \
            "${ordered[@]}" >/dev/null 2>&1 || die "a measured command failed: ${args[*]}"
        for i in "${!names[@]}"; do
            # Columns are counted from the end: a command may hold commas.
            awk -F, -v line=$(((i - round % ${#args[@]} + ${#args[@]}) % ${#args[@]} + 2)) \
                'NR == line { print $(NF - 4) * 1e6 }' "$scratch/round.csv" >>"$scratch/${names[i]}.us"
        done
    done
}

# long NAME CMD…: appends the wall time of one run, in seconds, to $scratch/NAME.s.
long() {
    local name=$1 before after
    shift
    before=$EPOCHREALTIME
    "$@" || die "a measured command failed: $*"
    after=$EPOCHREALTIME
    calc "$after - $before" '%.6f\n' >>"$scratch/$name.s"
}

# peak FILE CMD…: runs the command and writes its largest resident set, in KiB, to FILE.
peak() {
    "$cache/peak" "$@"
}

# turn ROUND NAME…: the names, a line each; another one is the first each time.
turn() {
    local round=$1 i
    shift
    local names=("$@")
    for i in "${!names[@]}"; do
        echo "${names[(i + round) % ${#names[@]}]}"
    done
}

us() { printf '%.0f µs' "$(median <"$scratch/$1.us")"; }
ms() { calc "1000 * $(median <"$scratch/$1.s")" '%.0f ms'; }
