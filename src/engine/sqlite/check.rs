//! `fsck`: SQLite's own check of the file, and beyond it whether each entry is what was written.

use rusqlite::{Connection, Row, params};

use crate::store::check::{Repair, Severity};
use crate::store::{Check, End, Finding, Key, Namespace, Result, Source as _, StoreError};

use super::Sqlite;
use super::row::{COLUMNS, Found, WIDTH};
use super::schema::{self, Difference, Kind};
use super::transaction::Transaction;

/// More than this many findings of SQLite say nothing new.
const MOST: usize = 100;

/// The columns of `entry` that `lost` has too.
const KEPT: &str = "key, etag, modified, expires, size, sum, large, value";

/// What a repair does to an entry.
const MOVED: &str = "moved to the table `lost`";

/// A row as it is: a number that is none is damage of this row, and others follow.
struct AsIs {
    found: rusqlite::Result<Found>,
    value: rusqlite::Result<Option<Vec<u8>>>,
}

impl AsIs {
    fn read(row: &Row<'_>) -> Self {
        Self {
            found: Found::read(row, 1),
            value: row.get(1 + WIDTH),
        }
    }
}

/// A check that is under way.
pub(super) struct Checker<'a> {
    pub(super) store: &'a Sqlite,
    pub(super) namespace: &'a Namespace,
    pub(super) request: &'a Check,
    pub(super) tell: &'a mut dyn FnMut(Finding),
}

impl Checker<'_> {
    /// Checks the namespace; see [`crate::store::Upkeep::check`].
    pub(super) fn run(&mut self) -> Result<()> {
        let (store, namespace) = (self.store, self.namespace);
        let Some(lent) = store.connect()? else {
            return Ok(());
        };
        // Where no namespace is left, or their table is not there, all entries are of none.
        let any = "SELECT EXISTS (SELECT 1 FROM namespace)";
        let has = || lent.query_row(any, [], |row| row.get::<_, bool>(0));
        if !has().is_ok_and(|any| any) {
            self.check_file(&lent)?;
            return match has() {
                Ok(_) => self.check_homeless(),
                Err(_) => Ok(()),
            };
        }
        let Some((space, _)) = store.row_as_is(&lent, namespace)? else {
            // It may be one whose row was lost.
            self.check_homeless()?;
            return store.check_names(&lent, u32::MAX);
        };
        // What concerns the file as a whole is told once.
        if space.is_first()? {
            self.check_file(&lent)?;
            self.check_homeless()?;
        }
        let damaged = self.check_entries(&lent, space.id)?;
        self.check_count(damaged)
    }

    fn check_file(&mut self, connection: &Connection) -> Result<()> {
        self.check_schema(connection)?;
        let pragma = format!("PRAGMA integrity_check({MOST})");
        let lines: Vec<String> = connection
            .prepare(&pragma)
            .and_then(|mut check| check.query_map([], |row| row.get(0))?.collect())
            .map_err(self.store.cannot("check"))?;
        for line in lines.into_iter().filter(|line| line != "ok") {
            self.damage(line, None);
        }
        // What no entry names cannot be told apart where the tables are not there.
        let store = self.store;
        let strays = store.stray_parts(connection).unwrap_or_default();
        if !strays.is_empty() {
            let remove = |tx: &Transaction<'_>| store.remove_parts(tx, &strays).map(|()| true);
            let repair = self.repair("removed", remove)?;
            let what = format!("values in parts that belong to no entry: {}", strays.len());
            self.find(Severity::Warning, what, repair);
        }
        Ok(())
    }

    /// Compares the tables, the indexes and the triggers with those that kv makes.
    fn check_schema(&mut self, connection: &Connection) -> Result<()> {
        let store = self.store;
        let differences = match schema::kind_of(connection) {
            // A repair brings its tables to this version.
            Ok(Kind::Old) => return Ok(()),
            _ => schema::differences(connection).map_err(store.cannot("check"))?,
        };
        for Difference {
            what,
            mend,
            is_damage,
        } in differences
        {
            let Some(mend) = mend else {
                let severity = match is_damage {
                    true => Severity::Damage,
                    false => Severity::Warning,
                };
                self.find(severity, what, None);
                continue;
            };
            let repair = self.repair("made anew", |tx| {
                tx.execute_batch(&mend).map_err(store.cannot("repair"))?;
                Ok(true)
            })?;
            self.damage(what, repair);
        }
        Ok(())
    }

    /// Finds entries of a namespace that is not there.
    fn check_homeless(&mut self) -> Result<()> {
        let store = self.store;
        let homeless = store.read(|moment| store.homeless(moment))?;
        for id in homeless.unwrap_or_default() {
            let repair = self.repair(MOVED, |tx| {
                let keep = format!(
                    "INSERT INTO lost SELECT '#' || namespace, {KEPT}, 'its namespace is not there'
                     FROM entry WHERE namespace = ?1"
                );
                store.write_rows(tx, &keep, [id])?;
                store.write_rows(tx, "DELETE FROM entry WHERE namespace = ?1", [id])?;
                Ok(true)
            })?;
            let what = format!("entries of a namespace that is not there, number {id}");
            self.damage(what, repair);
        }
        Ok(())
    }

    /// Reads every entry, expired ones too, in steps of one: nobody waits for a check. Returns how many
    /// are damaged.
    fn check_entries(&mut self, connection: &Connection, id: i64) -> Result<u64> {
        let (store, namespace) = (self.store, self.namespace);
        let mut damaged = 0;
        let mut last: Option<Vec<u8>> = None;
        loop {
            let after = if last.is_some() { ">" } else { ">=" };
            let sql = format!(
                "SELECT key, {COLUMNS}, value FROM entry WHERE namespace = ?1 AND key {after} ?2
                 ORDER BY key LIMIT 1"
            );
            let behind = last.as_deref().unwrap_or_default();
            let read = |row: &Row<'_>| Ok((row.get(0)?, AsIs::read(row)));
            let row = store.first(connection, &sql, params![id, behind], read)?;
            let Some((key, row)): Option<(Vec<u8>, _)> = row else {
                return Ok(damaged);
            };
            match store.check_entry(connection, id, &key, row) {
                Ok(()) => {}
                Err(StoreError::Damaged { source, .. }) => {
                    let what = source.to_string();
                    let mut is_still = true;
                    let repair = self.repair(MOVED, |tx| {
                        is_still = store.set_aside(tx, namespace, &key, &what)?;
                        Ok(is_still)
                    })?;
                    // Who has put another value there meanwhile has repaired it.
                    if is_still {
                        damaged += 1;
                        let finding = store.finding(Severity::Damage, what, repair);
                        (self.tell)(finding.of_key(&key));
                    }
                }
                Err(err) => return Err(err),
            }
            last = Some(key);
        }
    }

    /// Compares what is there with what the row of the namespace says.
    fn check_count(&mut self, damaged: u64) -> Result<()> {
        let (store, namespace) = (self.store, self.namespace);
        let counted = store.read(|moment| {
            let Some((space, is_sound)) = store.row_as_is(moment, namespace)? else {
                return Ok(None);
            };
            let found = space.count()?;
            let is_right = space.judge(found);
            Ok(Some((space.row, is_sound, found, is_right)))
        })?;
        let Some((space, is_sound, found, is_right)) = counted.flatten() else {
            return Ok(());
        };
        let what = match is_right {
            _ if !is_sound => {
                format!("the row of the namespace `{namespace}`: its checksum is wrong")
            }
            Err(StoreError::Damaged { source, .. }) => source.to_string(),
            _ => return Ok(()),
        };
        let repair = self.repair("counted again", |tx| {
            let Some((mut space, is_sound)) = store.row_as_is(tx, namespace)? else {
                return Ok(false);
            };
            if !is_sound {
                let last = space.end_of(End::Last)?;
                space.next = last.map_or(1, |(number, _)| number.saturating_add(1));
            }
            space.recount()?;
            Ok(true)
        })?;
        // Where the key or the expiry of a row is another now, that was told.
        let has_as_many = space
            .tally
            .is_some_and(|tally| tally.entries == found.entries);
        if !is_sound || damaged == 0 || !has_as_many {
            self.damage(what, repair);
        }
        Ok(())
    }

    /// Repairs something, if that is asked for, and says how. It says whether there was anything to
    /// repair.
    fn repair(
        &self,
        how: &str,
        work: impl FnOnce(&Transaction<'_>) -> Result<bool>,
    ) -> Result<Option<Repair>> {
        if !self.request.repair {
            return Ok(None);
        }
        let is_done = self.request.dry_run
            || match self.store.connect_to_change()? {
                Some(mut lent) => self.store.transact(&mut lent, work)?,
                None => false,
            };
        Ok(is_done.then(|| Repair {
            what: how.to_owned(),
            settles: true,
        }))
    }

    fn damage(&mut self, what: String, repair: Option<Repair>) {
        self.find(Severity::Damage, what, repair);
    }

    fn find(&mut self, severity: Severity, what: String, repair: Option<Repair>) {
        (self.tell)(self.store.finding(severity, what, repair));
    }
}

impl Sqlite {
    fn check_entry(&self, connection: &Connection, id: i64, key: &[u8], row: AsIs) -> Result<()> {
        Key::check(key).map_err(|err| self.damaged(key, &err.to_string()))?;
        let found = row.found.map_err(self.cannot("check"))?;
        let value = row.value.map_err(self.cannot("check"))?;
        if !found.is_sound(id, key) {
            return Err(self.unsound_row(key));
        }
        if found.large.is_some() && value.is_some() {
            return Err(self.damaged(key, "it has a value and parts of one"));
        }
        let Some(mut parts) = self.parts(connection, key, &found) else {
            return self
                .verified(key, &found, value.unwrap_or_default())
                .map(|_| ());
        };
        let mut part = vec![0; 64 * 1024];
        loop {
            match parts.read(&mut part) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                // Somebody may have put another value meanwhile, whose parts are others.
                Err(err) => {
                    let is_still = self.is_still(connection, id, key, &found)?;
                    return if is_still { Err(err) } else { Ok(()) };
                }
            }
        }
    }

    /// Tells whether the parts that were read are those of an entry still.
    fn is_still(
        &self,
        connection: &Connection,
        id: i64,
        key: &[u8],
        found: &Found,
    ) -> Result<bool> {
        let sql = "SELECT 1 FROM entry WHERE namespace = ?1 AND key = ?2 AND large = ?3";
        let found = self.first(connection, sql, params![id, key, found.large], |_| Ok(()))?;
        Ok(found.is_some())
    }

    /// Moves an entry to the table `lost` if it is damaged still, as somebody may have put another
    /// meanwhile; tells whether it was.
    fn set_aside(
        &self,
        tx: &Transaction<'_>,
        namespace: &Namespace,
        key: &[u8],
        why: &str,
    ) -> Result<bool> {
        let Some((mut space, _)) = self.row_as_is(tx, namespace)? else {
            return Ok(false);
        };
        let sql =
            format!("SELECT key, {COLUMNS}, value FROM entry WHERE namespace = ?1 AND key = ?2");
        let read = |row: &Row<'_>| Ok(AsIs::read(row));
        let Some(row) = self.first(tx, &sql, params![space.id, key], read)? else {
            return Ok(false);
        };
        let expires = row.found.as_ref().ok().and_then(|found| found.meta.expires);
        match self.check_entry(tx, space.id, key, row) {
            Ok(()) => return Ok(false),
            Err(StoreError::Damaged { .. }) => {}
            Err(err) => return Err(err),
        }
        let sql = format!(
            "INSERT INTO lost SELECT ?2, {KEPT}, ?4 FROM entry WHERE namespace = ?1 AND key = ?3"
        );
        let row = params![space.id, namespace.as_str(), key, why];
        let delete = "DELETE FROM entry WHERE namespace = ?1 AND key = ?2";
        self.write_rows(tx, &sql, row)?;
        self.write_rows(tx, delete, params![space.id, key])?;
        space.forget(key, expires);
        space.save()?;
        Ok(true)
    }

    fn finding(&self, severity: Severity, what: String, repair: Option<Repair>) -> Finding {
        Finding {
            repair,
            ..Finding::new(severity, &self.path, what)
        }
    }
}
