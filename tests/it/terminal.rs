//! Terminals: one to type at, which is tmux with a server of its own, and one that only shows.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{self, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Sandbox, cannot_run, has_program};

/// How long anything may take before it counts as never coming. Machines can be slow.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Terminal {
    socket: PathBuf,
}

impl Terminal {
    /// Runs a command in a new terminal, with its environment and in its directory.
    pub fn run(command: &Command) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        // The path of a socket must be short: that of a sandbox may not be.
        let socket = env::temp_dir().join(format!("kv-{}-{n}.tmux", process::id()));
        let terminal = Self { socket };
        let mut tmux = terminal.tmux();
        // What tmux gets it hands on.
        tmux.envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
        tmux.args(["new-session", "-d", "-x", "150", "-y", "50", "-c"]);
        tmux.arg(command.get_current_dir().unwrap());
        tmux.arg("--").arg(command.get_program());
        tmux.args(command.get_args());
        succeed(&mut tmux);
        terminal
    }

    /// Types a text as it is.
    pub fn text(&self, text: &str) {
        if !text.is_empty() {
            succeed(self.tmux().args(["send-keys", "-l", "--", text]));
        }
    }

    /// Types a key that has a name, such as `Tab`.
    pub fn key(&self, name: &str) {
        succeed(self.tmux().args(["send-keys", name]));
    }

    pub fn screen(&self) -> String {
        let output = succeed(self.tmux().args(["capture-pane", "-p"]));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until the text on the screen ends in this one.
    #[track_caller]
    pub fn wait_for_end(&self, text: &str) {
        self.wait(&format!("{text:?}"), || {
            self.screen().trim_end().ends_with(text)
        });
    }

    /// Waits for something to happen.
    #[track_caller]
    pub fn wait(&self, what: &str, mut happened: impl FnMut() -> bool) {
        let start = Instant::now();
        while !happened() {
            assert!(
                start.elapsed() < PATIENCE,
                "waited in vain for {what}; the screen:\n{}",
                self.screen().trim_end()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn tmux(&self) -> Command {
        let mut tmux = Command::new("tmux");
        tmux.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
        tmux.args(["-u", "-f", "/dev/null", "-S"]).arg(&self.socket);
        tmux.stdin(Stdio::null());
        tmux
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        _ = self.tmux().arg("kill-server").output();
        _ = fs::remove_file(&self.socket);
    }
}

#[track_caller]
fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    output
}

/// Runs a shell command, without single quotes, at a terminal of its own and returns what it shows, with
/// plain newlines.
pub fn at_a_terminal(kv: &Sandbox, command: &str, typed: &str) -> Option<String> {
    if !has_program("script") {
        cannot_run("there is no script(1) to make a terminal with");
        return None;
    }
    let typed = if typed.is_empty() {
        "sleep 0.2".to_owned()
    } else {
        format!("printf '{typed}'")
    };
    let run = format!("{{ {typed}; }} | script -qec '{command}' /dev/null");
    let ran = kv.shell("sh", &run);
    Some(ran.stdout_text().replace("\r\n", "\n"))
}
