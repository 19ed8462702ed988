//! A store of its own for every test, and a `kv` that can see nothing else.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kv::exit::Exit;

/// The binary under test.
pub const KV: &str = env!("CARGO_BIN_EXE_kv");

pub use crate::engines::{Engine, Service};
use crate::memory::Memory;

/// A directory of a test's own. It stays behind when the test fails: then it is the evidence.
pub struct Sandbox {
    root: PathBuf,
    engine: Engine,
    service: OnceLock<Service>,
    /// Where it is, if not in the build's own directory.
    memory: Option<Memory>,
}

impl Sandbox {
    pub fn new() -> Self {
        Self::below(Path::new(env!("CARGO_TARGET_TMPDIR")))
    }

    /// Makes a sandbox whose store is on this engine.
    pub fn on(engine: Engine) -> Self {
        let mut kv = Self::new();
        kv.engine = engine;
        kv
    }

    /// Makes a sandbox in a directory that the test has prepared, such as a mounted file system.
    pub fn below(dir: &Path) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let root = dir.join(format!("{}-{n}", process::id()));
        _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        Self {
            root,
            engine: Engine::current(),
            service: OnceLock::new(),
            memory: None,
        }
    }

    /// Makes a sandbox for one of very many tries. When the test fails it comes to the disk.
    pub fn in_memory() -> Self {
        let memory = Memory::new();
        let mut kv = Self::below(&memory.0);
        kv.memory = Some(memory);
        kv
    }

    /// Tells whether the store is a directory.
    pub fn is_directory(&self) -> bool {
        self.engine == Engine::Tree
    }

    /// Returns what `--store` takes to find this sandbox's store.
    pub fn location(&self) -> OsString {
        match self.engine {
            Engine::Tree => self.store().into(),
            Engine::Sqlite => {
                let mut location = OsString::from("sqlite:");
                location.push(self.store());
                location
            }
            Engine::Http | Engine::HttpSqlite => self.service().location(),
            Engine::Redis | Engine::Cluster => {
                let prefix = self.root.file_name().unwrap().to_str().unwrap();
                format!("redis://127.0.0.1:{}?prefix={prefix}", self.engine.port()).into()
            }
        }
    }

    /// Returns the service that the store is behind, which begins with the first use.
    fn service(&self) -> &Service {
        let start = || Service::of(self.engine, &self.root, &self.store());
        self.service.get_or_init(start)
    }

    /// Returns how many requests wait at the service that the store is behind, if there is one.
    pub fn waiting(&self) -> Option<usize> {
        self.service.get().map(Service::waiting)
    }

    /// Runs a command that is for the store itself, where it is served: such as `gc`.
    #[track_caller]
    pub fn at_home<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ran {
        let mut command = self.kv(args);
        if let Some(service) = self.service.get() {
            command.env("KV_STORE", service.behind());
        }
        Ran::of(&mut command)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    pub fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    /// Returns the directory of the namespace that is used unless another is named.
    pub fn space(&self) -> PathBuf {
        self.store().join("default")
    }

    /// Returns the path of the file that holds a key's entry, or would.
    pub fn file_of(&self, key: &[u8]) -> PathBuf {
        use sha1::Digest as _;
        let hash = hex::encode(sha1::Sha1::digest(key));
        self.space()
            .join("objects")
            .join(&hash[..2])
            .join(&hash[2..])
    }

    /// Prepares `kv ARGS…` in an environment that holds nothing of the developer's. Standard input
    /// is /dev/null.
    pub fn kv<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(KV);
        command.args(args).current_dir(&self.root);
        command
            .env_clear()
            .env("HOME", &self.root)
            .env("KV_STORE", self.location())
            .envs(self.engine.settings())
            .stdin(Stdio::null());
        command
    }

    /// Runs `kv ARGS…` to its end.
    #[must_use = "say how it ended: `.ends(Exit::…)`"]
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ran {
        Ran::of(&mut self.kv(args))
    }

    /// Runs `kv ARGS…` with these bytes on its standard input, through a pipe.
    #[must_use = "say how it ended: `.ends(Exit::…)`"]
    pub fn feed<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>, input: &[u8]) -> Ran {
        Ran::fed(&mut self.kv(args), input)
    }

    /// Runs a shell script that finds `kv` on its path, and the store as any command of the
    /// sandbox does.
    #[must_use = "say how it ended: `.ends(Exit::…)`"]
    pub fn shell(&self, shell: &str, script: &str) -> Ran {
        let mut command = Command::new(shell);
        command
            .arg("-c")
            .arg(script)
            .current_dir(&self.root)
            .env_clear()
            .env("HOME", &self.root)
            .env("KV_STORE", self.location())
            .envs(self.engine.settings())
            .env("PATH", path_with_kv())
            .stdin(Stdio::null());
        Ran::of(&mut command)
    }

    /// Stores a value that a test needs to be there.
    #[track_caller]
    pub fn put(&self, key: &str, value: &str) {
        let args = ["put", "--sync", "off", "--", key, value];
        self.run(args).ends(Exit::Success).is_silent();
    }

    /// Demands that a key holds exactly this value.
    #[track_caller]
    pub fn holds(&self, key: &str, value: impl AsRef<[u8]>) {
        let ran = self.run(["get", "--", key]).ends(Exit::Success);
        ran.prints(value).warns("");
    }

    /// Demands that there is no such key.
    #[track_caller]
    pub fn lacks(&self, key: &str) {
        self.run(["get", "--", key]).ends(Exit::No).is_silent();
    }

    /// Returns what `kv stat --field NAME KEY` prints, without the newline.
    #[track_caller]
    pub fn field(&self, name: &str, key: &str) -> String {
        let ran = self.run(["stat", "--field", name, "--", key]);
        ran.ends(Exit::Success).line()
    }

    /// Returns the names in a directory of the namespace, sorted.
    pub fn names_in(&self, below: &str) -> Vec<String> {
        names_in(&self.space().join(below))
    }

    /// Returns what is in `tmp/`, where nothing is left behind by whoever was not killed.
    pub fn litter(&self) -> Vec<String> {
        self.names_in("tmp")
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // Nobody is to write where all is removed.
        drop(self.service.take());
        if !thread::panicking() {
            _ = fs::remove_dir_all(&self.root);
        } else if let Some(memory) = &self.memory {
            let mut copy = Command::new("cp");
            let to = env!("CARGO_TARGET_TMPDIR");
            _ = copy.args(["-a", "-t", to]).arg(&memory.0).status();
        }
    }
}

/// Returns the system's search path with the directory of the binary under test in front.
pub fn path_with_kv() -> String {
    let bin = Path::new(KV).parent().unwrap().display();
    format!("{bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
}

/// Returns the names in a directory, sorted; none if it does not exist.
pub fn names_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Waits until something holds that will hold sooner or later.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        // It says that it hangs instead of hanging; on no machine does it take a part of this.
        assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Tells whether a program is on the system's search path.
pub fn has_program(name: &str) -> bool {
    let path = path_with_kv();
    path.split(':')
        .any(|dir| Path::new(dir).join(name).is_file())
}

/// Says loudly, with the test's name, that a check cannot run here.
#[track_caller]
pub fn cannot_run(why: &str) {
    tell("NOT RUN", why);
}

/// Says with the test's name how much it tried, so that a log shows that it was not nothing.
pub fn tell_count(what: &str) {
    tell("count", what);
}

fn tell(kind: &str, what: &str) {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("{kind}: {test}: {what}\n");
    // The test runner captures what the macros print, and not this.
    io::stderr().write_all(line.as_bytes()).unwrap();
}

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
        let want = i32::from(exit.row().0);
        assert_eq!(self.output.status.code(), Some(want), "{}", self.report());
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
