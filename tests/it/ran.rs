//! A finished run of a command, and what a test demands of it.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::thread;

use kv::exit::Exit;

/// A finished run, and what it printed.
pub struct Ran {
    command: String,
    output: Output,
}

impl Ran {
    pub fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self::with(command, output)
    }

    /// Takes in a run that a test has started and awaited itself.
    pub fn with(command: &Command, output: Output) -> Self {
        Self {
            command: format!("{command:?}"),
            output,
        }
    }

    pub fn fed(command: &mut Command, input: &[u8]) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        // A command that does not want its input closes the pipe.
        let feeder = thread::spawn(move || _ = stdin.write_all(&input));
        let output = child.wait_with_output().unwrap();
        feeder.join().unwrap();
        Self {
            command: format!("{command:?}"),
            output,
        }
    }

    #[track_caller]
    pub fn ends(self, exit: Exit) -> Self {
        let status = self.output.status;
        let (ended, want) = match exit {
            Exit::Signal(signal) => (status.signal(), signal),
            _ => (status.code(), exit.row().0),
        };
        assert_eq!(ended, Some(i32::from(want)), "{}", self.report());
        self
    }

    #[track_caller]
    pub fn prints(self, want: impl AsRef<[u8]>) -> Self {
        assert!(
            self.output.stdout == want.as_ref(),
            "wanted on stdout:\n{}\n{}",
            String::from_utf8_lossy(want.as_ref()),
            self.report()
        );
        self
    }

    #[track_caller]
    pub fn warns(self, want: &str) -> Self {
        let stderr = String::from_utf8_lossy(&self.output.stderr);
        assert_eq!(stderr, want, "{}", self.report());
        self
    }

    /// Demands one line on standard error that holds all of these.
    #[track_caller]
    pub fn complains(self, wanted: &[&str]) -> Self {
        let stderr = String::from_utf8_lossy(&self.output.stderr);
        let is_line = stderr.starts_with("kv: ") && stderr.ends_with('\n');
        assert!(
            is_line && stderr.lines().count() == 1,
            "no single line: {}",
            self.report()
        );
        for part in wanted {
            assert!(stderr.contains(part), "wanted {part:?}: {}", self.report());
        }
        self
    }

    /// Demands that nothing was printed, to standard error neither.
    #[allow(clippy::wrong_self_convention)] // It reads on in a chain, as all of these do.
    #[track_caller]
    pub fn is_silent(self) -> Self {
        self.prints("").warns("")
    }

    pub fn stdout(&self) -> &[u8] {
        &self.output.stdout
    }

    pub fn stdout_text(&self) -> String {
        String::from_utf8(self.output.stdout.clone()).unwrap()
    }

    /// Returns the one line that was printed, without its newline.
    #[track_caller]
    pub fn line(&self) -> String {
        let text = self.stdout_text();
        let line = text.strip_suffix('\n').filter(|line| !line.contains('\n'));
        line.unwrap_or_else(|| panic!("no single line: {}", self.report()))
            .to_owned()
    }

    pub fn stderr(&self) -> &[u8] {
        &self.output.stderr
    }

    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    pub fn status(&self) -> ExitStatus {
        self.output.status
    }

    pub fn report(&self) -> String {
        let Output {
            status,
            stdout,
            stderr,
        } = &self.output;
        let (stdout, stderr) = (
            String::from_utf8_lossy(stdout),
            String::from_utf8_lossy(stderr),
        );
        format!(
            "{}\n{status}\n--- stdout\n{stdout}\n--- stderr\n{stderr}",
            self.command
        )
    }
}
