//! `fsck`: SQLite's own check of the file, and beyond it whether each entry is what was written.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::store::check::{Repair, Severity};
use crate::store::{Check, Finding, Key, Namespace, Result, Source as _, StoreError};

use super::Sqlite;
use super::row::{COLUMNS, Found};

/// More than this many findings of SQLite say nothing new.
const MOST: usize = 100;

impl Sqlite {
    /// Checks a namespace; see [`crate::store::Store::check`].
    pub(super) fn check_namespace(
        &self,
        namespace: &Namespace,
        request: &Check,
        tell: &mut dyn FnMut(Finding),
    ) -> Result<()> {
        let Some(lent) = self.connect()? else {
            return Ok(());
        };
        let Some(id) = self.id_of(&lent, namespace)? else {
            return Ok(());
        };
        let first: i64 = lent
            .query_row("SELECT min(id) FROM namespace", [], |row| row.get(0))
            .map_err(self.cannot("check"))?;
        // What concerns the file as a whole is told once.
        if id == first {
            self.check_file(&lent, tell)?;
        }
        self.check_entries(&lent, (namespace, id), request, tell)
    }

    fn check_file(&self, connection: &Connection, tell: &mut dyn FnMut(Finding)) -> Result<()> {
        let damage = |what: String| Finding {
            severity: Severity::Damage,
            path: self.path.clone(),
            what,
            key: None,
            repair: None,
        };
        let pragma = format!("PRAGMA integrity_check({MOST})");
        let lines: Vec<String> = connection
            .prepare(&pragma)
            .and_then(|mut check| check.query_map([], |row| row.get(0))?.collect())
            .map_err(self.cannot("check"))?;
        for line in lines.into_iter().filter(|line| line != "ok") {
            tell(damage(line));
        }
        let strays: i64 = connection
            .query_row(
                "SELECT count(*) FROM part WHERE large NOT IN (
                 SELECT large FROM entry WHERE large IS NOT NULL
                 UNION SELECT large FROM lost WHERE large IS NOT NULL)",
                [],
                |row| row.get(0),
            )
            .map_err(self.cannot("check"))?;
        if strays > 0 {
            tell(Finding {
                severity: Severity::Warning,
                ..damage(format!("{strays} parts of values belong to no entry"))
            });
        }
        Ok(())
    }

    /// Reads every entry, expired ones too, in steps of one: nobody waits for a check.
    fn check_entries(
        &self,
        connection: &Connection,
        (namespace, id): (&Namespace, i64),
        request: &Check,
        tell: &mut dyn FnMut(Finding),
    ) -> Result<()> {
        let sql = format!(
            "SELECT key, {COLUMNS}, value FROM entry WHERE namespace = ?1 AND key > ?2
             ORDER BY key LIMIT 1"
        );
        let mut select = connection.prepare(&sql).map_err(self.cannot("check"))?;
        let mut last = Vec::new();
        loop {
            let row = select
                .query_row(params![id, last], |row| {
                    let key: Vec<u8> = row.get(0)?;
                    // A number that is none is damage of this row, and others follow.
                    Ok((key, Found::read(row, 1), row.get::<_, Option<Vec<u8>>>(7)))
                })
                .optional()
                .map_err(self.cannot("check"))?;
            let Some((key, found, value)) = row else {
                return Ok(());
            };
            let checked = match (found, value) {
                (Ok(found), Ok(value)) => self.check_entry(connection, &key, &found, value),
                (Err(err), _) | (_, Err(err)) => Err(self.cannot("check")(err)),
            };
            match checked {
                Ok(()) => {}
                Err(StoreError::Damaged { source, .. }) => {
                    let what = source.to_string();
                    let repair = match request.repair {
                        true => Some(self.set_aside(namespace, &key, &what, request.dry_run)?),
                        false => None,
                    };
                    tell(Finding {
                        severity: Severity::Damage,
                        path: self.path.clone(),
                        what,
                        key: Some(key.clone()),
                        repair,
                    });
                }
                Err(err) => return Err(err),
            }
            last = key;
        }
    }

    fn check_entry(
        &self,
        connection: &Connection,
        key: &[u8],
        found: &Found,
        value: Option<Vec<u8>>,
    ) -> Result<()> {
        Key::check(key).map_err(|err| self.damaged(key, &err.to_string()))?;
        let Some(mut parts) = self.parts(connection, key, found) else {
            return self
                .verified(key, found, value.unwrap_or_default())
                .map(|_| ());
        };
        let mut part = vec![0; 64 * 1024];
        loop {
            match parts.read(&mut part) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                // Somebody may have put another value meanwhile, whose parts are others.
                Err(err) => {
                    let is_still = self.is_still(connection, key, found)?;
                    return if is_still { Err(err) } else { Ok(()) };
                }
            }
        }
    }

    /// Tells whether the parts that were read are those of an entry still.
    fn is_still(&self, connection: &Connection, key: &[u8], found: &Found) -> Result<bool> {
        connection
            .query_row(
                "SELECT count(*) FROM entry WHERE key = ?1 AND large = ?2",
                params![key, found.large],
                |row| row.get::<_, i64>(0),
            )
            .map(|count| count > 0)
            .map_err(self.cannot("check"))
    }

    /// Moves a damaged entry to the table `lost`.
    fn set_aside(
        &self,
        namespace: &Namespace,
        key: &[u8],
        why: &str,
        dry_run: bool,
    ) -> Result<Repair> {
        let repair = Repair {
            what: "moved to the table `lost`".to_owned(),
            settles: true,
        };
        if !dry_run {
            self.write_if_any(|tx| {
                let Some(id) = self.id_of(tx, namespace)? else {
                    return Ok(());
                };
                tx.execute(
                    "INSERT INTO lost SELECT ?2, key, etag, modified, expires, size, sum, large,
                     value, ?4 FROM entry WHERE namespace = ?1 AND key = ?3",
                    params![id, namespace.as_str(), key, why],
                )
                .map_err(self.cannot("repair"))?;
                self.delete(tx, id, key).map(|_| ())
            })?;
        }
        Ok(repair)
    }
}
