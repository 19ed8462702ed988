# Completes what is in the store, keys and namespaces, and the fixed words that some arguments are.
# Options, commands and files are left to the function further down.
#
# Bash cuts the line at each `:` and `=`, keeps the quotes in the pieces, and puts an answer in the
# place of the last piece as it is. So the line is read anew here, and answers are quoted for the
# place where they go.

_kv_stored() {
    local words word quote command kind lead bare store space answers answer
    local line=${COMP_LINE:0:COMP_POINT}
    _kv_split "$line"
    _kv_find "$word"
    local text=${word:${#lead}}
    case $kind in
        key | namespace | 'one of '*) ;;
        # The function further down knows no `--option=value`; Bash itself completes files there.
        *)
            COMPREPLY=()
            [[ $kind == command || -n $lead ]]
            return
            ;;
    esac
    if ((BASH_VERSINFO[0] >= 4)); then
        compopt +o default +o bashdefault
    fi

    COMPREPLY=()
    answers=()
    case $kind in
        key)
            _kv_ask ls -0 "--prefix=$text" --limit 200
            # The last key shows how far all of them agree, however many are left out.
            ((${#answers[@]} < 200)) || _kv_ask ls -0 "--prefix=$text" --reverse --limit 1
            ;;
        namespace) _kv_ask namespaces -0 ;;
        *) read -r -a answers <<<"${kind#one of }" ;;
    esac

    # $2 is the piece that an answer takes the place of; what stands before it stays.
    _kv_split "${line:0:${#line}-${#2}}"
    for answer in ${answers[@]+"${answers[@]}"}; do
        [[ $answer == "$text"* && $answer != *$'\n'* ]] || continue
        [[ -z $bare || $answer != -* ]] || continue
        answer=$lead$answer
        answer=${answer:${#word}}
        _kv_quote
        if [[ -n $quote ]]; then
            # Readline closes the quote, but not where an answer happens to end in the same; and
            # where one begins with the same, it takes the opening quote away.
            answer+=$quote
            [[ $line != *"$quote$2" || $answer != "$quote"* ]] || answer=$quote$answer
        fi
        COMPREPLY+=("$answer")
    done
    return 0
}

# Cuts LINE as the shell does: sets `words`, the last and unfinished `word`, and the `quote` that
# is open at its end.
_kv_split() {
    local rest=$1 part begun=''
    words=()
    word=''
    quote=''
    while [[ -n $rest ]]; do
        case $quote in
            \') part=${rest%%\'*} ;;
            \") part=${rest%%[\"\\]*} ;;
            *) part=${rest%%[[:space:]\'\"\\]*} ;;
        esac
        word+=$part
        rest=${rest:${#part}}
        [[ -z $part ]] || begun=1
        case $quote/$rest in
            */) ;;
            \'/* | \"/\"*) quote='' ;;
            \"/\\[\"\\\$\`]* | /\\?*)
                word+=${rest:1:1}
                rest=${rest:1}
                begun=1
                ;;
            \"/\\?*) word+=\\ ;;
            /[\'\"]*)
                quote=${rest:0:1}
                begun=1
                ;;
            /[[:space:]]*)
                [[ -z $begun ]] || words+=("$word")
                word=''
                begun=''
                ;;
        esac
        rest=${rest:1}
    done
}

# Finds out what TYPED is: sets its `kind`; the `lead` of it that is no part of the value, such as
# `--from=`; whether it stands `bare`, where a dash begins an option; and `store` and `space` as
# the line names them.
_kv_find() {
    local typed=$1 item pending='' verbatim='' place=1
    command='' kind='' lead='' bare='' store='' space=''
    for item in "${words[@]:1}"; do
        if [[ -n $pending ]]; then
            _kv_scope "$pending" "$item"
            pending=''
            continue
        fi
        case $verbatim$item in
            --) verbatim=1 ;;
            --*=*)
                _kv_kind "$command ${item%%=*}"
                _kv_scope "$kind" "${item#*=}"
                ;;
            --* | -[!0-9.])
                _kv_kind "$command $item"
                pending=$kind
                ;;
            -[!0-9.]?*)
                _kv_kind "$command ${item:0:2}"
                item=${item:2}
                _kv_scope "$kind" "${item#=}"
                ;;
            -0) ;;
            *)
                [[ -z $command ]] || ((place += 1))
                command=${command:-$item}
                ;;
        esac
    done

    kind=''
    case ${pending:+pending}/$verbatim$typed in
        pending/*)
            kind=$pending
            bare=1
            ;;
        /--*=*)
            lead=${typed%%=*}=
            _kv_kind "$command ${lead%=}"
            ;;
        /-[!-]?*)
            lead=${typed:0:2}
            _kv_kind "$command $lead"
            [[ $typed != "$lead="* ]] || lead+='='
            ;;
        /-*) ;;
        *)
            [[ -n $verbatim ]] || bare=1
            [[ -z $verbatim ]] || _kv_kind "$command --"
            [[ -n $kind ]] || _kv_kind "$command $place"
            [[ -n $kind ]] || _kv_kind "$command +"
            ;;
    esac
}

_kv_scope() {
    case $1 in
        store) store=${2/#~\//$HOME/} ;;
        namespace) space=$2 ;;
    esac
}

# Adds what kv prints, NUL behind each, to `answers`: the kv that the line runs.
_kv_ask() {
    local program=kv answer
    [[ ${words[0]} != */* ]] || program=${words[0]/#~\//$HOME/}
    set -- ${store:+"--store=$store"} ${space:+"--namespace=$space"} "$@"
    while IFS= read -r -d '' answer; do
        answers+=("$answer")
    done < <(command "$program" "$@" 2>/dev/null)
}

# Quotes `answer` for a place where `quote` is open.
_kv_quote() {
    local special
    case $quote in
        \') answer=${answer//\'/"'\\''"} ;;
        \")
            for special in \\ \" \$ \`; do
                answer=${answer//"$special"/"\\$special"}
            done
            # No other way keeps it from standing for a line of the history.
            answer=${answer//\!/'"\!"'}
            ;;
        *)
            [[ $answer == *[!a-zA-Z0-9_./:@%+=,-]* ]] || return 0
            for special in \\ ' ' $'\t' \' \" \$ \` \& \| \; \( \) \< \> \* \? \[ \] \{ \} \!; do
                answer=${answer//"$special"/"\\$special"}
            done
            # These mean something only where a word begins.
            [[ -n $word || $answer != [~#]* ]] || answer=\\$answer
            ;;
    esac
}
