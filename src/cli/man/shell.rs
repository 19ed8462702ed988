//! The pages of the commands about whole stores, and about kv itself.

use super::Block::{Code, Item, Text};
use super::Page;

pub(super) const PAGES: &[Page] = &[
    Page {
        command: "namespaces",
        notes: &[
            Item(
                "Names",
                "A name is 1 to 255 bytes of UTF-8 without a slash and control characters, and does \
                 not begin with a dot. The namespace that is used unless another is named is called \
                 `default`. A namespace is made by the first write to it.",
            ),
            Item(
                "Removal",
                "It waits for writers, then takes the namespace away in one step: a writer that \
                 comes later makes a new one. A namespace that does not exist ends with status 1.",
            ),
        ],
        examples: &[
            Text("Use a namespace for a while, look at it, and throw it away:"),
            Code(
                "kv -n scratch put a 1\n\
                 kv namespaces\n\
                 kv namespaces --remove scratch --dry-run\n\
                 kv namespaces --remove scratch",
            ),
            Text("Count the keys of each namespace:"),
            Code(
                "kv namespaces | while IFS= read -r name; do\n\
                 \x20   printf '%s %s\\n' \"$(kv -n \"$name\" ls --count)\" \"$name\"\n\
                 done",
            ),
        ],
        see_also: &["kv-ls(1)", "kv-remove(1)", "kv-format(5)"],
    },
    Page {
        command: "completions",
        notes: &[Text(
            "Keys are completed from the store and the namespace that the command line so far, or \
             the environment, names.",
        )],
        examples: &[
            Text("Install the script of your shell for yourself:"),
            Code(
                "mkdir -p ~/.local/share/bash-completion/completions\n\
                 kv completions bash > ~/.local/share/bash-completion/completions/kv\n\
                 mkdir -p ~/.config/fish/completions\n\
                 kv completions fish > ~/.config/fish/completions/kv.fish",
            ),
            Text("zsh reads it from any directory of its `fpath`:"),
            Code("mkdir -p ~/.zfunc\nkv completions zsh > ~/.zfunc/_kv"),
        ],
        see_also: &["bash(1)", "zsh(1)", "fish(1)"],
    },
    Page {
        command: "help",
        notes: &[Text(
            "It prints what `kv COMMAND --help` prints. `kv COMMAND -h` is shorter.",
        )],
        examples: &[Text("Explain a command:"), Code("kv help put")],
        see_also: &["man(1)"],
    },
];
