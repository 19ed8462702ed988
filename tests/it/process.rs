//! Commands that are still running while a test goes on.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Ran, Sandbox, path_with_kv, until};

/// Waits until a program has made a file.
#[track_caller]
pub fn until_there(path: &Path) {
    until(&format!("{} is there", path.display()), || path.exists());
}

/// A command in the background. It is killed when the test is over, however that ends.
pub struct Started {
    command: Command,
    child: Option<Child>,
}

impl Started {
    pub fn new(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = Some(command.spawn().unwrap());
        Self { command, child }
    }

    /// Starts `kv ARGS… -- sh -c SCRIPT`, where the script finds `kv`.
    pub fn script(kv: &Sandbox, args: &[&str], script: &str) -> Self {
        Self::new(scripted(kv, args, script))
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.as_ref().unwrap().id().cast_signed())
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().unwrap().try_wait().unwrap().is_none()
    }

    /// Waits for its end. What it prints must fit a pipe.
    #[track_caller]
    #[must_use = "say how it ended: `.ends(Exit::…)`"]
    pub fn end(mut self) -> Ran {
        until(&format!("{:?} ends", self.command), || !self.is_running());
        let output = self.child.take().unwrap().wait_with_output().unwrap();
        Ran::with(&self.command, output)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            _ = child.kill();
            _ = child.wait();
        }
    }
}

/// Prepares `kv ARGS… -- sh -c SCRIPT`, where the script finds `kv`.
pub fn scripted(kv: &Sandbox, args: &[&str], script: &str) -> Command {
    let mut command = kv.kv(args.iter().copied().chain(["--", "sh", "-c", script]));
    command.env("PATH", path_with_kv());
    command
}

/// Lets a process write files of so many bytes at the most.
pub fn limit_files(pid: u32, bytes: u64) {
    limit(pid, rustix::process::Resource::Fsize, bytes, None);
}

/// Limits what a process may have of something.
#[cfg(target_os = "linux")]
pub fn limit(pid: u32, what: rustix::process::Resource, current: u64, maximum: Option<u64>) {
    use rustix::process::{Pid, Rlimit, prlimit};
    let current = Some(current);
    let pid = Pid::from_raw(pid.cast_signed());
    prlimit(pid, what, Rlimit { current, maximum }).unwrap();
}

#[cfg(not(target_os = "linux"))]
pub fn limit(_: u32, what: rustix::process::Resource, _: u64, _: Option<u64>) {
    panic!("only Linux limits another process, here its {what:?}");
}

/// Returns the state of a process as ps(1) shows it, such as `S`; nothing if there is none.
pub fn state(pid: Pid) -> Option<char> {
    stat_field(pid, 0)?.chars().next()
}

/// Tells whether a process is there and not merely waited for.
pub fn is_alive(pid: Pid) -> bool {
    !matches!(state(pid), None | Some('Z' | 'X'))
}

/// Returns the processor time that a process has used, in ticks.
pub fn ticks(pid: Pid) -> u64 {
    let field = |n| stat_field(pid, n).unwrap().parse::<u64>().unwrap();
    field(11) + field(12)
}

/// Returns a field of /proc/PID/stat, counted from the one behind the name.
fn stat_field(pid: Pid, n: usize) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, behind) = text.rsplit_once(") ")?;
    behind.split(' ').nth(n).map(str::to_owned)
}

/// Reads a process's number that a script has written to a file, and waits for it.
#[track_caller]
pub fn pid_in(path: &Path) -> Pid {
    let mut pid = None;
    until(&format!("a number is in {}", path.display()), || {
        let text = fs::read_to_string(path).unwrap_or_default();
        pid = text
            .strip_suffix('\n')
            .and_then(|text| text.trim().parse().ok());
        pid.is_some()
    });
    Pid::from_raw(pid.unwrap())
}

/// Serves whoever connects, each in a thread of its own, for as long as the tests run. Returns where.
pub fn serve(each: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let each = each.clone();
            thread::spawn(move || each(client));
        }
    });
    address
}

/// Returns how many connections a process has open.
pub fn sockets(pid: impl std::fmt::Display) -> usize {
    let fds = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten();
    let links = fds
        .flatten()
        .filter_map(|fd| std::fs::read_link(fd.path()).ok());
    links
        .filter(|to| to.to_string_lossy().starts_with("socket:"))
        .count()
}
