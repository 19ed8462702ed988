//! `gc` and `info`.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use rusqlite::params;

use crate::store::{
    Check, Clock, Collect, Collected, Etag, Finding, Info, Key, Namespace, Progress, Result, Time,
    Upkeep,
};

use super::Sqlite;
use super::check::Checker;
use super::namespace_row::{Space, Tally};
use super::row::{COLUMNS, Found};
use super::schema::FORMAT;
use super::transaction::{run_to_end, shorten_log};

/// A collection pays when so many entries have expired, or a quarter of the file is free.
const MANY_EXPIRED: u64 = 1_000;

impl Upkeep for Sqlite {
    fn collect(
        &self,
        namespace: &Namespace,
        request: &Collect,
        clock: &dyn Clock,
        progress: &mut dyn Progress,
    ) -> Result<Collected> {
        let mut done = Collected::default();
        let now = clock.now();
        if request.dry_run {
            done.evicted = self.evict(namespace, request, clock, progress)?;
            return Ok(done);
        }
        if self.connect()?.is_none() {
            return Ok(done);
        }
        let mut swept = (0, Vec::new());
        while let Some(last) = self.sweep(namespace, now, &swept, &mut done.expired)? {
            swept = last;
        }
        let strays = self.read_in(namespace, |space| match space.is_first()? {
            true => self.stray_parts(space.connection),
            false => Ok(Vec::new()),
        })?;
        if let Some(strays) = strays.filter(|strays| !strays.is_empty()) {
            self.change_if_any(namespace, |space| {
                self.remove_parts(space.connection, &strays)
            })?;
        }
        done.evicted = self.evict(namespace, request, clock, progress)?;
        self.change_if_any(namespace, |space| {
            let sql = "UPDATE namespace SET collected = ?2 WHERE id = ?1";
            space.write_rows(sql, params![space.id, now.0.cast_signed()])
        })?;
        self.freeing(|| self.give_back())?;
        self.drop_reserve();
        self.sweep_locks();
        Ok(done)
    }

    fn remove_unchanged(
        &self,
        namespace: &Namespace,
        keys: &[(Key, Etag)],
        _clock: &dyn Clock,
    ) -> Result<u64> {
        self.in_steps(namespace, keys, |space, (key, etag)| {
            let sql = "DELETE FROM entry WHERE namespace = ?1 AND key = ?2 AND etag = ?3
                       RETURNING key, expires";
            let (id, etag) = (space.id, etag.0.cast_signed());
            space.delete_by(sql, params![id, key.as_bytes(), etag])
        })
    }

    fn check(
        &self,
        namespace: &Namespace,
        request: &Check,
        _clock: &dyn Clock,
        tell: &mut dyn FnMut(Finding),
    ) -> Result<()> {
        let store = self;
        Checker {
            store,
            namespace,
            request,
            tell,
        }
        .run()
    }

    fn info(&self, namespace: &Namespace, now: Time) -> Result<Option<Info>> {
        let told = self.read_in(namespace, |space| {
            let sql = "SELECT collected FROM namespace WHERE id = ?1";
            let collected: Option<Option<i64>> = space.first(sql, [space.id], |row| row.get(0))?;
            let collected = collected.flatten();
            let mut info = Info {
                format: FORMAT,
                collected: collected.map(|nanos| Time(nanos.cast_unsigned())),
                ..Info::default()
            };
            space.measure(now, &mut info)?;
            Ok(info)
        })?;
        let (Some(mut info), Some(lent)) = (told, self.connect()?) else {
            return Ok(None);
        };
        info.collection_pays = info.expired >= MANY_EXPIRED
            || self.number(&lent, "freelist_count")? * 4 > self.number(&lent, "page_count")?;
        let reserve = self.beside("-reserve");
        let files = self.files().into_iter();
        let files = files
            .chain([reserve.join("room"), reserve])
            .filter_map(|path| fs::metadata(path).ok());
        let (bytes, inodes) = files.fold((0, 0), |(bytes, inodes), meta| {
            // stat(2) counts blocks of 512 bytes, whatever those of the file system are.
            (bytes + meta.blocks() * 512, inodes + 1)
        });
        (info.disk_bytes, info.inodes) = (Some(bytes), Some(inodes));
        Ok(Some(info))
    }
}

impl Sqlite {
    /// Removes some of the entries that have expired, those behind an expiry and a key; returns the last
    /// that was looked at, if there may be more. What is damaged stays for `fsck`.
    fn sweep(
        &self,
        namespace: &Namespace,
        now: Time,
        (expiry, key): &(i64, Vec<u8>),
        expired: &mut u64,
    ) -> Result<Option<(i64, Vec<u8>)>> {
        let at_once = self.at_once();
        let done = self.change_if_any(namespace, |space| {
            let due: Vec<(i64, Vec<u8>)> = space
                .connection
                .prepare_cached(
                    "SELECT expires, key FROM entry WHERE namespace = ?1 AND expires <= ?2
                     AND (expires, key) > (?3, ?4) ORDER BY expires, key LIMIT ?5",
                )
                .and_then(|mut select| {
                    let now = now.as_millis().cast_signed();
                    let rows = params![space.id, now, expiry, key, at_once as i64];
                    select
                        .query_map(rows, |row| Ok((row.get(0)?, row.get(1)?)))?
                        .collect()
                })
                .map_err(self.cannot("change"))?;
            let mut gone = 0;
            for (_, key) in &due {
                let found = space.select_as_is(key)?;
                if found.is_some_and(|found| !found.is_live(now) && found.is_sound(space.id, key)) {
                    space.delete(key)?;
                    gone += 1;
                }
            }
            let is_last = due.len() < at_once;
            Ok((gone, due.into_iter().next_back().filter(|_| !is_last)))
        })?;
        let (gone, last) = done.unwrap_or_default();
        *expired += gone;
        Ok(last)
    }

    /// Gives free pages back to the disk. It goes on where others use the file, and does then what can be
    /// done.
    pub(super) fn give_back(&self) -> Result<()> {
        let Some(lent) = self.connect()? else {
            return Ok(());
        };
        let step = format!("PRAGMA incremental_vacuum({})", self.at_once());
        let mut last = i64::MAX;
        loop {
            let free = self.number(&lent, "freelist_count")?;
            if free == 0 || free >= last {
                break;
            }
            run_to_end(&lent, &step).map_err(self.cannot("make smaller"))?;
            last = free;
        }
        shorten_log(&lent, self.settings.busy_timeout).map_err(self.cannot("make smaller"))
    }
}

impl Space<'_> {
    /// Counts and measures what it holds.
    fn measure(&self, now: Time, info: &mut Info) -> Result<()> {
        let cannot = || self.store.cannot("read");
        let sql = format!("SELECT key, {COLUMNS} FROM entry WHERE namespace = ?1");
        let mut select = self.connection.prepare(&sql).map_err(cannot())?;
        let mut rows = select.query([self.id]).map_err(cannot())?;
        let mut tally = Tally::default();
        while let Some(row) = rows.next().map_err(cannot())? {
            let read =
                Found::read(row, 1).and_then(|found| Ok((row.get_ref(0)?.as_blob()?, found)));
            let (key, found) = read.map_err(cannot())?;
            if !found.is_sound(self.id, key) {
                return Err(self.store.unsound_row(key));
            }
            tally.add(key, found.meta.expires);
            if found.is_live(now) {
                info.count(key.len(), &found.meta, now);
            } else {
                info.expired += 1;
            }
        }
        self.judge(tally)
    }
}
