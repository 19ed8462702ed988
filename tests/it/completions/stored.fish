
# Completes what is in the store, keys and namespaces, and the fixed words that some arguments are.

# Finds out what the word at the cursor is. Prints, NUL behind each: its kind; the value typed so
# far; `bare` where a dash begins an option; and the options that name the same store.
function __kv_find
    set -l items (commandline -opc)
    set -l typed (__kv_unquote (commandline -ct))
    set -l command ''
    set -l place 1
    set -l pending ''
    set -l verbatim ''
    set -l store
    set -l space
    for item in $items[2..]
        set -l kind $pending
        set -l value $item
        if test -z "$pending"
            if test -z "$verbatim"; and string match -qr '^-([^0-9.]|0$)' -- $item
                if test "$item" = --
                    set verbatim yes
                    continue
                end
                set -l parts (__kv_option $item)
                set kind (__kv_kind "$command $parts[1]")
                if not set -q parts[2]
                    set pending $kind
                    continue
                end
                set value $parts[2]
            else if test -z "$command"
                set command $item
            else
                set place (math $place + 1)
            end
        end
        set pending ''
        switch "$kind"
            case store
                set store --store=(string replace -r '^~/' $HOME/ -- $value)
            case namespace
                set space --namespace=$value
        end
    end

    set -l kind $pending
    set -l bare bare
    if test -n "$pending"
    else if test -z "$verbatim"; and string match -q -- '-*' $typed
        set -l parts (__kv_option $typed)
        set -q parts[2]; or return
        set kind (__kv_kind "$command $parts[1]")
        set typed $parts[2]
        set bare ''
    else
        if test -n "$verbatim"
            set bare ''
            set kind (__kv_kind "$command --")
        end
        test -n "$kind"; or set kind (__kv_kind "$command $place")
        test -n "$kind"; or set kind (__kv_kind "$command +")
    end
    printf '%s\0' "$kind" "$typed" "$bare" $store $space
end

# Prints an option, and behind it its value if that is in the same word.
function __kv_option
    switch $argv[1]
        case '--*'
            string split -m 1 = -- $argv[1]
        case '*'
            string sub -l 2 -- $argv[1]
            set -l value (string sub -s 3 -- $argv[1])
            test -z "$value"; or string replace -r '^=' '' -- $value
    end
end

# Prints a word as the command would get it; its last quote may be open.
function __kv_unquote
    set -l word (string replace -r '(?<!\\\\)(?:\\\\\\\\)*\K\\\\$' '' -- "$argv")
    for end in '' \' '"'
        string unescape -- $word$end 2>/dev/null; and return
    end
end

function __kv_is_stored
    set -l found (__kv_find | string split0)
    string match -qr '^(key|namespace|one of .*)$' -- "$found[1]"
end

function __kv_stored
    set -l found (__kv_find | string split0)
    set -l typed $found[2]
    set -l program (commandline -opc)[1]
    string match -q '*/*' -- $program; or set program kv
    set program (string replace -r '^~/' $HOME/ -- $program) $found[4..]
    set -l answers
    switch $found[1]
        case key
            set answers (command $program ls -0 --prefix=$typed --limit 200 2>/dev/null | string split0)
            # The last key shows how far all of them agree, however many are left out.
            if test (count $answers) -ge 200
                set -a answers (command $program ls -0 --prefix=$typed --reverse --limit 1 2>/dev/null | string split0)
            end
        case namespace
            set answers (command $program namespaces -0 2>/dev/null | string split0)
        case '*'
            set answers (string split ' ' -- (string replace 'one of ' '' -- $found[1]))
    end
    set -q answers[1]; or return
    # An answer is a line here, and a tab would begin its description.
    set -l skipped '[\n\t]'
    test -z "$found[3]"; or set skipped '[\n\t]|^-'
    string match -rv $skipped -- $answers
end
