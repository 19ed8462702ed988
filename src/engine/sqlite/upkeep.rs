//! `gc` and `info`.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::store::evict;
use crate::store::{Clock, Collect, Collected, Info, Namespace, Progress, Result, Time};

use super::Sqlite;
use super::schema::FORMAT;

/// Rows that go in one transaction: others who write wait no longer than for these.
const AT_ONCE: usize = 10_000;
/// A collection pays when so many entries have expired, or a quarter of the file is free.
const MANY_EXPIRED: u64 = 1_000;

impl Sqlite {
    /// Sweeps what has expired, evicts, and gives free pages back; see
    /// [`crate::store::Store::collect`].
    pub(super) fn collect_garbage(
        &self,
        namespace: &Namespace,
        request: &Collect,
        clock: &dyn Clock,
        progress: &mut dyn Progress,
    ) -> Result<Collected> {
        let mut done = Collected::default();
        let now = clock.now();
        if request.dry_run {
            done.evicted = evict::tell(self, namespace, request, now, progress)?;
            return Ok(done);
        }
        if self.connect()?.is_none() {
            return Ok(done);
        }
        loop {
            let swept = self.sweep(namespace, now)?;
            done.expired += swept;
            if swept < AT_ONCE as u64 {
                break;
            }
        }
        if request.evicts() {
            done.evicted = self.evict(namespace, request, now, progress)?;
        }
        self.write_if_any(|tx| {
            tx.execute(
                "UPDATE namespace SET collected = ?2 WHERE name = ?1",
                params![namespace.as_str(), now.0.cast_signed()],
            )
            .map_err(self.cannot("change"))
        })?;
        if let Some(lent) = self.connect()? {
            // Both go on where others use the file, and do then what can be done.
            for pragma in [
                "PRAGMA incremental_vacuum",
                "PRAGMA wal_checkpoint(TRUNCATE)",
            ] {
                run_to_end(&lent, pragma).map_err(self.cannot("make smaller"))?;
            }
        }
        Ok(done)
    }

    /// Removes some of the entries that have expired.
    fn sweep(&self, namespace: &Namespace, now: Time) -> Result<u64> {
        let swept = self.write_if_any(|tx| {
            let Some(id) = self.id_of(tx, namespace)? else {
                return Ok(0);
            };
            tx.execute(
                "DELETE FROM entry WHERE namespace = ?1 AND key IN (SELECT key FROM entry
                 WHERE namespace = ?1 AND expires <= ?2 LIMIT ?3)",
                params![id, now.as_millis().cast_signed(), AT_ONCE as i64],
            )
            .map_err(self.cannot("change"))
        })?;
        Ok(swept.unwrap_or_default() as u64)
    }

    /// Removes the entries that are to go, unless they change meanwhile.
    fn evict(
        &self,
        namespace: &Namespace,
        request: &Collect,
        now: Time,
        progress: &mut dyn Progress,
    ) -> Result<u64> {
        evict::each_round(self, namespace, request, now, progress, AT_ONCE, |keys| {
            let removed = self.write_if_any(|tx| {
                let Some(id) = self.id_of(tx, namespace)? else {
                    return Ok(0);
                };
                let sql = "DELETE FROM entry WHERE namespace = ?1 AND key = ?2 AND etag = ?3";
                let mut delete = tx.prepare_cached(sql).map_err(self.cannot("change"))?;
                let mut removed = 0;
                for (key, etag) in keys {
                    let row = params![id, key.as_bytes(), etag.0.cast_signed()];
                    removed += delete.execute(row).map_err(self.cannot("change"))?;
                }
                Ok(removed)
            })?;
            Ok(removed.unwrap_or_default() as u64)
        })
    }

    /// Tells what is known; see [`crate::store::Store::info`].
    pub(super) fn tell_info(&self, namespace: &Namespace, now: Time) -> Result<Option<Info>> {
        let Some(lent) = self.connect()? else {
            return Ok(None);
        };
        let cannot = || self.cannot("read");
        let found: Option<(i64, Option<i64>)> = lent
            .query_row(
                "SELECT id, collected FROM namespace WHERE name = ?1",
                [namespace.as_str()],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()
            .map_err(cannot())?;
        let Some((id, collected)) = found else {
            return Ok(None);
        };
        let mut info = Info {
            format: FORMAT,
            collected: collected.map(|nanos| Time(nanos.cast_unsigned())),
            ..Info::default()
        };
        let sql = "SELECT length(key), size, modified, expires FROM entry WHERE namespace = ?1";
        let mut select = lent.prepare(sql).map_err(cannot())?;
        let mut rows = select.query([id]).map_err(cannot())?;
        while let Some(row) = rows.next().map_err(cannot())? {
            let number = |nth: usize| row.get::<_, i64>(nth).map(i64::cast_unsigned);
            let expires: Option<i64> = row.get(3).map_err(cannot())?;
            if expires.is_some_and(|expires| expires.cast_unsigned() <= now.as_millis()) {
                info.expired += 1;
                continue;
            }
            let modified = number(2).map_err(cannot())?;
            let age = Duration::from_nanos(now.0.saturating_sub(modified));
            let (key_len, size) = (number(0).map_err(cannot())?, number(1).map_err(cannot())?);
            info.count(key_len, size, age);
        }
        let pages = |pragma: &str| -> Result<i64> {
            let pragma = format!("PRAGMA {pragma}");
            lent.query_row(&pragma, [], |row| row.get(0))
                .map_err(cannot())
        };
        info.collection_pays =
            info.expired >= MANY_EXPIRED || pages("freelist_count")? * 4 > pages("page_count")?;
        let files = self.files();
        let files = files.iter().filter_map(|path| fs::metadata(path).ok());
        let (bytes, inodes) = files.fold((0, 0), |(bytes, inodes), meta| {
            // stat(2) counts blocks of 512 bytes, whatever those of the file system are.
            (bytes + meta.blocks() * 512, inodes + 1)
        });
        (info.disk_bytes, info.inodes) = (Some(bytes), Some(inodes));
        Ok(Some(info))
    }

    /// Names the files of a store: the database, its log, and the index of that.
    fn files(&self) -> [PathBuf; 3] {
        ["", "-wal", "-shm"].map(|suffix| {
            let mut path = OsString::from(&self.path);
            path.push(suffix);
            path.into()
        })
    }
}

/// Runs a pragma that works as long as it is asked for one more row.
fn run_to_end(connection: &Connection, pragma: &str) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(pragma)?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}
