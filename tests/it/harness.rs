//! A store of its own for every test, and a `kv` that can see nothing else.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kv::exit::Exit;

/// The binary under test: the one of this build, or what `KV_TEST_BINARY` named when the tests were
/// built, such as a script of the name `kv` that has another processor's run by qemu.
pub const KV: &str = match option_env!("KV_TEST_BINARY") {
    Some(binary) => binary,
    None => env!("CARGO_BIN_EXE_kv"),
};

pub use crate::engines::{Engine, Service};
use crate::memory::Memory;
pub use crate::ran::Ran;

/// Returns the command that a command line is given to: `kv`, or a bash with the builtin that
/// KV_TEST_BUILTIN names.
fn program() -> Command {
    let Some(builtin) = env::var_os("KV_TEST_BUILTIN") else {
        return Command::new(KV);
    };
    let mut bash = Command::new("/bin/bash");
    let script = format!("enable -f \"$0\" kv || exit 99; KV_BIN='{KV}'; kv \"$@\"");
    bash.args(["--norc", "-c", &script]).arg(builtin);
    bash
}

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

    /// Tells whether another process does what is asked of the store.
    pub fn has_server(&self) -> bool {
        !matches!(self.engine, Engine::Tree | Engine::Sqlite)
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
            Engine::Http | Engine::HttpMemory | Engine::HttpSqlite | Engine::Nginx => {
                self.service().location()
            }
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

    /// Kills the service that the store is behind; the next use begins another.
    pub fn stop_service(&mut self) {
        self.service.take();
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

    /// Writes a file that is for its user alone.
    pub fn secret(&self, name: &str, text: &str) {
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(self.path(name));
        file.unwrap().write_all(text.as_bytes()).unwrap();
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
        let mut command = program();
        command.args(args).current_dir(&self.root);
        // What a test wrote is young, and it does not wait until that has rested.
        let has = |word: &str| command.get_args().any(|arg| arg == word);
        if has("gc") && !["--now", "-h", "--help", "help"].into_iter().any(has) {
            command.arg("--now");
        }
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

/// Tells whether system calls can be traced, and says loudly if not.
#[track_caller]
pub fn can_trace() -> bool {
    let can = has_program("strace");
    if !can {
        cannot_run("strace is missing: apt-get install strace");
    }
    can
}

/// Says loudly, with the test's name, that a check cannot run here; with `KV_TEST_REQUIRE` set, that is
/// a failure.
#[track_caller]
pub fn cannot_run(why: &str) {
    tell("NOT RUN", why);
    let is_required = std::env::var_os("KV_TEST_REQUIRE").is_some_and(|value| !value.is_empty());
    assert!(!is_required, "it has to run: {why}");
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
