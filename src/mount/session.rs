//! Mounting, waiting for the end, and unmounting.

use std::io;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use fuser::{BackgroundSession, MountOption, Session, SessionACL};
use rustix::process::{Resource, getrlimit};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind};
use tokio::sync::oneshot;

use crate::os;

use super::requests::Requests;
use super::{App, Config, end};

/// Threads that answer the kernel. Each may wait for the store.
const THREADS: usize = 16;
/// Addresses that these take, most of them for nothing: without them it would die once it is mounted.
const ADDRESSES: u64 = 3 << 29;
/// For how long files that are open may be used when it is to end.
const GRACE: Duration = Duration::from_secs(5);

/// A store that is mounted.
pub struct Mounted {
    app: Arc<App>,
    /// Never dropped: it would unmount once more, whatever is mounted there by then.
    _session: ManuallyDrop<BackgroundSession>,
    end: oneshot::Receiver<()>,
    point: PathBuf,
    runtime: Runtime,
    /// Those that end it.
    signals: [Signal; 3],
}

fn signals() -> io::Result<[Signal; 3]> {
    Ok([
        os::hear(SignalKind::terminate())?,
        os::hear(SignalKind::interrupt())?,
        os::hear(SignalKind::hangup())?,
    ])
}

async fn any([terminate, interrupt, hangup]: &mut [Signal; 3]) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hangup.recv() => {}
    }
}

/// Mounts a store on a directory.
///
/// # Errors
///
/// Where the system has no FUSE, does not let this user mount there, or does not tell of signals.
pub fn mount(config: Config, point: &Path) -> io::Result<Mounted> {
    let point = point.canonicalize()?;
    let room = getrlimit(Resource::As).current;
    if room.is_some_and(|room| room < ADDRESSES) {
        let why = "a mount takes 1.5 GiB of addresses: raise the limit (ulimit -v)";
        return Err(io::Error::new(io::ErrorKind::OutOfMemory, why));
    }
    // Whatever is open there takes descriptors here.
    os::raise_limit();
    // Before it is mounted: whoever ends it as soon as it is must not leave the mount behind.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let signals = {
        let _inside = runtime.enter();
        signals()?
    };
    let mut options = vec![
        MountOption::FSName(config.source.replace(',', "_")),
        // By this name the kernel learns of it too, also where no other program mounts.
        MountOption::CUSTOM("subtype=kv".to_owned()),
        MountOption::NoAtime,
        MountOption::NoSuid,
        MountOption::NoDev,
    ];
    options.extend(config.read_only.then_some(MountOption::RO));
    options.extend(config.no_exec.then_some(MountOption::NoExec));
    options.extend(config.synchronous.then_some(MountOption::Sync));
    let mut how = fuser::Config::default();
    how.mount_options = options;
    how.acl = match config.allow_other {
        true => SessionACL::All,
        false => SessionACL::Owner,
    };
    how.n_threads = Some(THREADS);
    let app = App::new(config);
    app.memory.lock().keep_dir(&app.config.namespace, b"");
    let app = Arc::new(app);
    let (ended, end) = oneshot::channel();
    let session = Session::new(Requests::new(Arc::clone(&app), ended), &point, &how);
    let session = session.map_err(without_newline)?;
    _ = app.notifier.set(session.notifier());
    let session = session.spawn()?;
    app.device.store(
        rustix::fs::stat(&point).map_or(0, |told| os::identity(&told).0),
        SeqCst,
    );
    Ok(Mounted {
        app,
        _session: ManuallyDrop::new(session),
        end,
        point,
        runtime,
        signals,
    })
}

/// The program that mounts for users other than root says what is wrong in a line.
fn without_newline(err: io::Error) -> io::Error {
    match err.raw_os_error() {
        Some(_) => err,
        None => io::Error::new(err.kind(), err.to_string().trim().to_owned()),
    }
}

impl Mounted {
    /// Waits until somebody unmounts it, or for a signal to end, and unmounts it then.
    ///
    /// # Errors
    ///
    /// Where the system does not unmount.
    pub fn wait(self) -> io::Result<()> {
        let Self {
            app,
            mut end,
            point,
            runtime,
            mut signals,
            ..
        } = self;
        runtime.block_on(async {
            tokio::select! {
                _ = &mut end => return Ok(()),
                () = any(&mut signals) => {}
            }
            os::unmount(&point)?;
            // What is open can be used until then, and what is being stored is stored.
            tokio::select! {
                _ = &mut end => {}
                () = any(&mut signals) => {}
                () = tokio::time::sleep(GRACE) => {}
            }
            end::end(&app);
            Ok(())
        })
    }
}
