//! Mounting, waiting for the end, and unmounting.

use std::io;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use fuser::{BackgroundSession, MountOption, Session, SessionACL};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::os;

use super::requests::Requests;
use super::{App, Config};

/// Threads that answer the kernel. Each may wait for the store.
const THREADS: usize = 16;
/// For how long files that are open may be used when it is to end.
const GRACE: Duration = Duration::from_secs(5);

/// A store that is mounted.
pub struct Mounted {
    /// Never dropped: it would unmount once more, whatever is mounted there by then.
    _session: ManuallyDrop<BackgroundSession>,
    end: oneshot::Receiver<()>,
    is_ending: Arc<AtomicBool>,
    point: PathBuf,
}

/// Mounts a store on a directory.
///
/// # Errors
///
/// Where the system has no FUSE, or does not let this user mount there.
pub fn mount(config: Config, point: &Path) -> io::Result<Mounted> {
    let point = point.canonicalize()?;
    let mut options = vec![
        MountOption::FSName(config.source.replace(',', "_")),
        MountOption::Subtype("kv".to_owned()),
        MountOption::NoAtime,
        MountOption::NoSuid,
        MountOption::NoDev,
    ];
    if config.read_only {
        options.push(MountOption::RO);
    }
    let mut how = fuser::Config::default();
    how.mount_options = options;
    how.acl = match config.allow_other {
        true => SessionACL::All,
        false => SessionACL::Owner,
    };
    how.n_threads = Some(THREADS);
    let app = App::new(config, point.clone());
    app.memory().keep_dir(&app.config.namespace, b"");
    let is_ending = Arc::clone(&app.is_ending);
    let (ended, end) = oneshot::channel();
    let session = Session::new(Requests::new(app, ended), &point, &how);
    let session = session.map_err(without_newline)?.spawn()?;
    Ok(Mounted {
        _session: ManuallyDrop::new(session),
        end,
        is_ending,
        point,
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
    /// Where the system does not tell of signals, or does not unmount.
    pub fn wait(self) -> io::Result<()> {
        let Self {
            mut end,
            is_ending,
            point,
            ..
        } = self;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut hangup = signal(SignalKind::hangup())?;
            tokio::select! {
                _ = &mut end => return Ok(()),
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hangup.recv() => {}
            }
            is_ending.store(true, SeqCst);
            os::unmount(&point)?;
            // What is open can be used until then, and what is being stored is stored.
            tokio::select! {
                _ = &mut end => {}
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = tokio::time::sleep(GRACE) => {}
            }
            Ok(())
        })
    }
}
