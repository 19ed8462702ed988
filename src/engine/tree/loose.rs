//! Reading one entry's file.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use rustix::buffer::spare_capacity;
use rustix::fs::{FileType, OFlags};
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

use crate::os;
use crate::store::{Entry, Key, OrCannot as _, Result, Source, StoreError, Value};

use super::codec::{self, Damage, Header, LINE_LEN};
use super::dir::{Dir, if_any, open_file};
use super::layout::{HashedKey, hash_of};
use super::percent;

/// A value of at most this many bytes is verified before any of it is handed out.
pub(super) const WHOLE_LEN: u64 = 64 * 1024;
/// An entry with a value of fewer bytes is read by one call, which shows its end too.
const USUAL_VALUE: usize = 4096;
/// How much is read at a time of a value that nobody wants.
const PART: usize = 256 * 1024;
/// What is read of an entry of unknown key at first: enough for all but long keys.
const USUAL_HEADER: usize = 512;
/// The two lines of the longest key with every byte encoded.
const LONGEST_HEADER: usize = LINE_LEN + 3 * crate::store::key::MAX_KEY_LEN + 1;

/// An entry's file, opened, its header read and found to be the key's.
#[derive(Debug)]
pub(super) struct Loose {
    pub(super) header: Header,
    file: File,
    path: PathBuf,
    /// What was read of the file so far, from its beginning.
    bytes: Vec<u8>,
    /// Where the value begins.
    value_at: usize,
}

/// Opens the file of a key's entry, by its path below a directory, and reads its header along with a
/// value of at most `with_value` bytes; `None` if there is no such file.
pub(super) fn open(
    dir: BorrowedFd<'_>,
    below: &str,
    path: PathBuf,
    hashed: &HashedKey<'_>,
    with_value: u64,
) -> Result<Option<Loose>> {
    let Some(file) = if_any(open_file(dir, below), &|| path.clone())? else {
        return Ok(None);
    };
    read(file, path, hashed, with_value, read_part).map(Some)
}

/// Opens the file of a key's entry in the directory of its shard, and reads its header.
pub(super) fn open_in(dir: &Dir, hashed: &HashedKey<'_>) -> Result<Option<Loose>> {
    let path = dir.path.join(hashed.name());
    open(dir.fd.as_fd(), hashed.name(), path, hashed, 0)
}

/// As [`open`], where all of it is in memory already and can be read from there; `None` says no more than
/// that this is not so.
pub(super) fn open_cached(
    dir: BorrowedFd<'_>,
    below: &str,
    path: PathBuf,
    hashed: &HashedKey<'_>,
    with_value: u64,
) -> Option<Loose> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    let file = os::open_cached(dir, below.as_ref(), flags).ok()?;
    let read_cached = |file: &File, bytes: &mut Vec<u8>| {
        let have = bytes.len();
        bytes.resize(bytes.capacity(), 0);
        let read = os::read_cached(file.as_fd(), &mut bytes[have..], have as u64);
        bytes.truncate(have + read.unwrap_or_default());
        Ok(read?)
    };
    read(File::from(file), path, hashed, with_value, read_cached).ok()
}

/// Reads the header of an entry's file, along with a value of at most `with_value` bytes, by calls that read
/// on once.
fn read(
    file: File,
    path: PathBuf,
    hashed: &HashedKey<'_>,
    with_value: u64,
    part: impl Fn(&File, &mut Vec<u8>) -> io::Result<usize>,
) -> Result<Loose> {
    let header_len = LINE_LEN + hashed.line.len() + 1;
    let mut bytes = Vec::new();
    if with_value > 0 {
        bytes.reserve_exact(header_len + USUAL_VALUE);
        let most = bytes.capacity();
        // A file ends where fewer bytes come than were asked for. Whatever else may have cut a read short, it
        // leaves no entry that is whole.
        if let Ok(size) = part(&file, &mut bytes)
            && size < most
            && let Ok((header, value_at)) = judge(&bytes, size as u64, hashed)
        {
            return Ok(Loose {
                header,
                file,
                path,
                bytes,
                value_at,
            });
        }
    }
    let stat = rustix::fs::fstat(&file).or_cannot("look at", &path)?;
    let size = stat.st_size.cast_unsigned();
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;

    let expected = if size <= header_len as u64 + with_value {
        usize::try_from(size).unwrap_or(header_len)
    } else {
        header_len
    };
    if !is_file {
        return Err(Damage::NotAFile.at(path));
    }
    fill(&file, &mut bytes, expected, &part).or_cannot("read", &path)?;
    match judge(&bytes, size, hashed) {
        Ok((header, value_at)) => Ok(Loose {
            header,
            file,
            path,
            bytes,
            value_at,
        }),
        Err(Verdict::Damage(damage)) => Err(damage.at(path)),
        Err(Verdict::LongerKey) => {
            // The entry of a key with a longer second line: damaged, or another key's.
            bytes.clear();
            let longest = LONGEST_HEADER.min(usize::try_from(size).unwrap_or(LONGEST_HEADER));
            fill(&file, &mut bytes, longest, part).or_cannot("read", &path)?;
            Err(match codec::decode(&bytes) {
                Ok((header, line, _)) if is_key(&header, line) => StoreError::OtherKey { path },
                Ok(_) => Damage::KeyLine.at(path),
                Err(damage) => damage.at(path),
            })
        }
        Err(Verdict::OtherKey) => Err(StoreError::OtherKey { path }),
    }
}

enum Verdict {
    Damage(Damage),
    OtherKey,
    /// The header goes on behind what was read.
    LongerKey,
}

/// Judges what was read of a file of `size` bytes: the header, and where the value begins.
fn judge(bytes: &[u8], size: u64, hashed: &HashedKey<'_>) -> Result<(Header, usize), Verdict> {
    let (header, line, value_at) = match codec::decode(bytes) {
        Err(Damage::Truncated) if (bytes.len() as u64) < size && bytes.len() > LINE_LEN => {
            return Err(Verdict::LongerKey);
        }
        decoded => decoded.map_err(Verdict::Damage)?,
    };
    if *line != *hashed.line || header.key_len != hashed.key.as_bytes().len() {
        return Err(if is_key(&header, line) {
            Verdict::OtherKey
        } else {
            Verdict::Damage(Damage::KeyLine)
        });
    }
    if (value_at as u64).checked_add(header.meta.size) != Some(size) {
        return Err(Verdict::Damage(Damage::Size));
    }
    Ok((header, value_at))
}

/// Tells whether a second line is the encoding of a key of the length that the first line says.
fn is_key(header: &Header, line: &[u8]) -> bool {
    percent::decode(line).is_some_and(|key| key.len() == header.key_len)
}

/// Reads the header of an entry whose key is not known, and the key, whose hash must be the shard's
/// name with the file's behind it.
pub(super) fn read_header(
    file: &File,
    (shard, name): (&str, &str),
    path: &dyn Fn() -> PathBuf,
) -> Result<(Header, Vec<u8>)> {
    let damaged = |damage: Damage| damage.at(path());
    let mut bytes = [0; USUAL_HEADER];
    let n = match rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut bytes, 0)) {
        Err(rustix::io::Errno::ISDIR | rustix::io::Errno::SPIPE | rustix::io::Errno::INVAL) => {
            return Err(damaged(Damage::NotAFile));
        }
        Err(err) => return Err(err).or_cannot("read", &path()),
        Ok(n) => n,
    };
    let mut longer = Vec::new();
    let mut decoded = codec::decode(&bytes[..n]);
    if decoded == Err(Damage::Truncated) && n == USUAL_HEADER {
        read_up_to(file, &mut longer, LONGEST_HEADER).or_cannot("read", &path())?;
        decoded = codec::decode(&longer);
    }
    let (header, line, _) = decoded.map_err(damaged)?;
    let is_sound = |key: &Cow<'_, [u8]>| key.len() == header.key_len && Key::check(key).is_ok();
    let key = percent::decode(line).filter(is_sound);
    let key = key.ok_or_else(|| damaged(Damage::KeyLine))?;
    if hash_of(&key).strip_prefix(shard.as_bytes()) != Some(name.as_bytes()) {
        return Err(StoreError::OtherKey { path: path() });
    }
    Ok((header, key.into_owned()))
}

/// Tells whether the file of a key, if there is one, is the entry of that key and no other's.
pub(super) fn check_owner(dir: &Dir, hashed: &HashedKey<'_>) -> Result<()> {
    let Some(file) = dir.open_if_any(hashed.name())? else {
        return Ok(());
    };
    let path = || dir.path.join(hashed.name());
    let (_, key) = read_header(&file, (hashed.shard(), hashed.name()), &path)?;
    match key == hashed.key.as_bytes() {
        true => Ok(()),
        false => Err(StoreError::OtherKey { path: path() }),
    }
}

/// Looks at all of an entry whose key is not known: its header, as [`read_header`] does, its size and
/// its value. The inner error is what is wrong behind a header that is sound.
pub(super) fn read_whole(
    file: File,
    names: (&str, &str),
    path: PathBuf,
) -> Result<(Header, Vec<u8>, Result<()>)> {
    let (header, key) = read_header(&file, names, &|| path.clone())?;
    let stat = rustix::fs::fstat(&file).or_cannot("look at", &path)?;
    let value_at = LINE_LEN + percent::encode(&key).len() + 1;
    let wanted = (value_at as u64).checked_add(header.meta.size);
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    if !is_file || wanted != Some(stat.st_size.cast_unsigned()) {
        let damage = match is_file {
            true => Damage::Size,
            false => Damage::NotAFile,
        };
        return Ok((header, key, Err(damage.at(path))));
    }
    let loose = Loose {
        header,
        file,
        path,
        bytes: Vec::new(),
        value_at,
    };
    let mut part = vec![0; usize::try_from(header.meta.size).map_or(PART, |len| PART.min(len + 1))];
    let mut value = loose.into_stream();
    loop {
        match value.read(&mut part) {
            Ok(0) => return Ok((header, key, Ok(()))),
            Ok(_) => {}
            Err(err @ StoreError::Io { .. }) => return Err(err),
            Err(err) => return Ok((header, key, Err(err))),
        }
    }
}

/// Reads from the beginning of a file until there are `len` bytes or the file ends.
pub(super) fn read_up_to(file: &File, bytes: &mut Vec<u8>, len: usize) -> io::Result<()> {
    fill(file, bytes, len, read_part)
}

fn fill(
    file: &File,
    bytes: &mut Vec<u8>,
    len: usize,
    part: impl Fn(&File, &mut Vec<u8>) -> io::Result<usize>,
) -> io::Result<()> {
    bytes.reserve_exact(len.saturating_sub(bytes.len()));
    while bytes.len() < len && part(file, bytes)? > 0 {}
    Ok(())
}

/// Reads on behind the bytes that were read, as much as there is room for.
pub(super) fn read_part(file: &File, bytes: &mut Vec<u8>) -> io::Result<usize> {
    let offset = bytes.len() as u64;
    let read = || rustix::io::pread(file, spare_capacity(bytes), offset);
    Ok(rustix::io::retry_on_intr(read)?)
}

impl Loose {
    /// Returns the entry. A small value, which was read along, is verified first.
    pub(super) fn into_entry(self) -> Result<Entry> {
        let meta = self.header.meta;
        let in_memory = &self.bytes[self.value_at.min(self.bytes.len())..];
        let value = if in_memory.len() as u64 == meta.size {
            if xxh3_64(in_memory) != self.header.value_sum {
                return Err(Damage::ValueSum.at(self.path));
            }
            Value::Whole {
                bytes: self.bytes,
                next: self.value_at,
            }
        } else {
            Value::Stream(Box::new(self.into_stream()))
        };
        Ok(Entry { meta, value })
    }

    /// As [`Loose::into_entry`], with a large value verified too. It is then read a second time.
    pub(super) fn into_verified_entry(self) -> Result<Entry> {
        let again = Self {
            header: self.header,
            file: self.file.try_clone().or_cannot("open", &self.path)?,
            path: self.path.clone(),
            bytes: self.bytes.clone(),
            value_at: self.value_at,
        };
        let mut entry = self.into_entry()?;
        // Nothing that is handed each part can fail.
        _ = entry.value.for_each(|_| Ok(()))?;
        again.into_entry()
    }

    fn into_stream(self) -> Stream {
        Stream {
            left: self.header.meta.size,
            offset: self.value_at as u64,
            sum: Xxh3Default::new(),
            expected: self.header.value_sum,
            file: self.file,
            path: self.path,
        }
    }
}

/// A large value, verified while it is read.
struct Stream {
    file: File,
    path: PathBuf,
    offset: u64,
    left: u64,
    sum: Xxh3Default,
    expected: u64,
}

impl Source for Stream {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        let most = usize::try_from(self.left).map_or(buf.len(), |left| left.min(buf.len()));
        let n = loop {
            match self.file.read_at(&mut buf[..most], self.offset) {
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                done => break done.or_cannot("read", &self.path)?,
            }
        };
        if n == 0 && most > 0 {
            return Err(Damage::Size.at(self.path.clone()));
        }
        self.sum.update(&buf[..n]);
        self.offset += n as u64;
        self.left -= n as u64;
        // The last bytes are given away when all of them are known to be right.
        if self.left == 0 && self.sum.digest() != self.expected {
            return Err(Damage::ValueSum.at(self.path.clone()));
        }
        Ok(n)
    }
}
