//! The pages of the commands that run a program, and of `wait`.

use super::Block::{Code, Item, Text};
use super::Page;

pub(super) const PAGES: &[Page] = &[
    Page {
        command: "update",
        notes: &[
            Item(
                "CMD must bear being run again",
                "No lock is held while CMD runs. If the key was changed meanwhile, by CMD itself \
                 too, what CMD has written is dropped and CMD is run again on what the key holds \
                 then, after a short random pause. So CMD should do nothing but turn its input into \
                 its output, or what else it does should do no harm when it is done twice. When \
                 `--busy-timeout` has passed since the first such conflict, the status is 124. A CMD \
                 that fails is not run again.",
            ),
            Item(
                "What is stored",
                "All that CMD writes until its standard output is closed by everybody who has it, \
                 if CMD ends with status 0; nothing written is the empty value. Otherwise the key \
                 stays as it is. Both input and output may be of any size.",
            ),
            Item(
                "Expiry",
                "It stays as it is. A key that is absent, or expired, is made without one.",
            ),
            Item(
                "Damage",
                "A value that is found damaged while CMD reads it ends with status 125, whatever CMD \
                 does, and nothing is stored. A large value is read to its end for that, also if \
                 CMD does not want all of it.",
            ),
            Item(
                "Other keys",
                "CMD may use `kv` on any key. It gets the environment of kv as it is: the options of \
                 `kv update` are not passed on, variables such as `KV_STORE` are.",
            ),
            Item(
                "Signals",
                "TERM, HUP, USR1 and USR2 are passed on to CMD. INT, QUIT and TSTP reach it from the \
                 terminal, while kv waits for it. If a signal kills CMD, kv dies of the same one, so \
                 that Ctrl-C ends a shell's loop.",
            ),
        ],
        examples: &[
            Text("Count in a way that `kv incr` does not know:"),
            Code(
                "kv put level 1\n\
                 kv update level -- sh -c 'read -r n; echo $((n * 2))'\n\
                 kv get level             # 2",
            ),
            Text("Keep a set of lines, sorted and without doubles:"),
            Code(
                "for name in bob alice bob; do\n\
                 \x20   kv update names -- sh -c '(cat; echo \"$0\") | sort -u' \"$name\"\n\
                 done\n\
                 kv get names",
            ),
            Text("Refuse a change by ending CMD with another status than 0:"),
            Code(
                "kv put left 3\n\
                 kv update left -- sh -c 'read -r n; [ $n -gt 0 ] && echo $((n-1))' ||\n\
                 \x20   echo 'nothing left'",
            ),
        ],
        see_also: &["kv-incr(1)", "kv-append(1)", "kv-put(1)", "kv-lock(1)"],
    },
    Page {
        command: "lock",
        notes: &[
            Item(
                "Names",
                "NAME is any bytes but NUL, as a key is, and belongs to its namespace. It has \
                 nothing to do with a key of the same name. A name is locked in one store on one \
                 machine, or on a file system that has locks between machines.",
            ),
            Item(
                "The end of a lock",
                "kv holds the lock until CMD has ended, and the kernel frees it if kv dies, however \
                 that happens: on one machine there are no stale locks. CMD itself does not have it. What CMD \
                 leaves running in the background lives on without the lock.",
            ),
            Item(
                "If kv is killed",
                "CMD is killed too, so that it does not go on without the lock, but not what CMD has \
                 started: if CMD is a shell, the command that it runs at that moment goes on, and \
                 the next holder may start beside it. Give `exec` before the last command of a script, \
                 or `--inherit`. The death of CMD is done by \
                 PR_SET_PDEATHSIG of prctl(2), which only Linux has, and which a program that changes \
                 its user, such as sudo(8), drops. Elsewhere CMD lives on when kv is killed with \
                 SIGKILL.",
            ),
            Item(
                "Inheriting",
                "With `--inherit` CMD and all that it starts have the lock too, as with flock(1): it \
                 is free when the last of them has ended, or has closed the descriptor. If kv is \
                 killed, CMD goes on, and so does the lock. A daemon that CMD leaves behind holds it \
                 for as long as it runs; `--show` names the kv that took it, which may have gone. \
                 Leases cannot be inherited: status 125.",
            ),
            Item(
                "Stores on other machines",
                "A store on Redis or Valkey, or behind a service, cannot see a holder die. A lock is a \
                 lease of 10 seconds there, which kv renews every 3 while CMD runs: it is given back at the end of CMD, \
                 and free at most 10 seconds after kv was killed with SIGKILL, or its machine died. \
                 It does not promise that two never run at once: a holder that is stopped, or cut \
                 off from the store, for longer than that goes on in the belief to hold it, as does \
                 one whose lock was lost with a server of which no replica had it, or with a service \
                 that was started anew. When kv learns of \
                 it, by an answer or by its own clock, a line says so at once and CMD is sent TERM, \
                 unless there is `--on-loss ignore`; the status is 125 in either case, also where CMD \
                 ended before kv learned of it. So CMD finds a number in `KV_LOCK_TOKEN` that grows \
                 each time that a lock is granted: what CMD changes elsewhere can note the largest \
                 that it has seen and refuse a smaller one. The removal of a namespace leaves its \
                 locks alone.",
            ),
            Item(
                "Waiting",
                "Without an option it waits without limit; `--busy-timeout` is about the store's \
                 own locks. With `--no-wait` a lock that is taken ends with status 124 in silence, \
                 as cron(8) mails what is printed. When the time of `--wait` runs out, a line says \
                 so. A lock that is asked for within itself never comes.",
            ),
            Item(
                "Sharing",
                "Those who give `--shared` run together, and with nobody who does not give it.",
            ),
            Item(
                "Looking",
                "`--show` prints pid, host, since and shared of the holder, one a line, and ends with \
                 status 1 in silence if there is none. It keeps nobody from the lock. Of several who \
                 share it, it names the one that came last, who may have gone.",
            ),
            Item(
                "Input, environment, signals",
                "CMD has the standard input and the environment of kv: options are not passed on. \
                 TERM, HUP, USR1 and USR2 are passed on to CMD. INT, QUIT and TSTP reach it from the \
                 terminal, while kv waits for it. If a signal kills CMD, kv dies of the same one, so \
                 that Ctrl-C ends a shell's loop.",
            ),
            Item(
                "Removal of the namespace",
                "`kv namespaces --remove` waits for locks that are held, and then ends with status 3.",
            ),
        ],
        examples: &[
            Text("Let one run at a time:"),
            Code("kv lock backup -- tar -cf etc.tar -C /etc passwd"),
            Text("The beginning of a script that cron(8) must not start twice:"),
            Code(
                "cat > job <<'end'\n\
                 #!/bin/sh\n\
                 [ \"$KV_LOCKED\" ] ||\n\
                 \x20   exec env KV_LOCKED=1 kv lock --no-wait job -- \"$0\" \"$@\"\n\
                 echo working\n\
                 end\n\
                 chmod +x job\n\
                 ./job",
            ),
            Text("Do something else if it is taken:"),
            Code(
                "status=0\n\
                 kv lock --no-wait printer -- echo printing || status=$?\n\
                 if [ \"$status\" -eq 124 ]; then echo 'the printer is busy'; fi",
            ),
            Text("Many readers or one writer:"),
            Code(
                "kv lock --shared page -- kv get color\n\
                 kv lock page -- kv put color red",
            ),
            Text("Hold it until all that a script starts has ended:"),
            Code(
                "kv lock --inherit build -- sh -c 'sleep 0.2 & echo begun'\n\
                 kv lock build -- echo 'nobody builds now'",
            ),
            Text("Ask who holds it:"),
            Code("kv lock --show backup || echo nobody"),
        ],
        see_also: &["flock(1)", "kv-update(1)", "kv-wait(1)"],
    },
    Page {
        command: "wait",
        notes: &[
            Item(
                "What it waits for",
                "Without an option, that the key is there; with `--gone`, that it is not; with \
                 `--changed`, that its etag is another one, or that it is gone. An expired key is \
                 gone, without anybody doing anything.",
            ),
            Item(
                "What it may miss",
                "It tells what holds when it looks: a key that comes and goes at once may not be \
                 seen. With `--changed` nothing is missed, as every write has an etag of its own.",
            ),
            Item(
                "How it waits",
                "The kernel wakes it when something changes, by inotify(7), and it uses no processor \
                 time meanwhile. Changes by another machine, on a network file system, are found \
                 within seconds, and where the system lets it watch no directory, it looks ten times a \
                 second. Neither key, namespace nor store need exist.",
            ),
            Item(
                "Timeouts",
                "`--timeout 0` looks once. When the time runs out the status is 1, in silence.",
            ),
        ],
        examples: &[
            Text("Wait for another process to say that it is ready:"),
            Code(
                "(sleep 0.1; kv put service/ready \"$$\") &\n\
                 kv wait service/ready --timeout 30 || echo 'it does not come up'",
            ),
            Text("Do something each time that a value changes:"),
            Code(
                "(sleep 0.1; kv put color red) &\n\
                 etag=$(kv stat --field etag color)\n\
                 if kv wait color --changed \"$etag\" --timeout 1m; then\n\
                 \x20   echo \"now it is $(kv get color)\"\n\
                 fi",
            ),
            Text("Wait until a lease is given back, or runs out:"),
            Code("kv put --ttl 200ms lease me\nkv wait lease --gone"),
        ],
        see_also: &["kv-stat(1)", "kv-pop(1)", "kv-lock(1)"],
    },
];
