//! MLflow's database file, read directly: `sqlite:///mlflow.db`.
//!
//! Nothing is ever written. Every look opens the file anew, so that one which was replaced is seen,
//! and reads within one transaction, so that it sees one state. What the schema lacked when an
//! older MLflow made it is not asked for.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Params, Row};

use crate::model::{ModelName, Selector, VersionId};

use super::location::Locations;
use super::records::{self, DELETED, LOGGED_READY, LoggedRecord, READY, Records, VersionRecord};
use super::{Aspired, SourceError, Wanted};

/// Longest wait for a writer, who locks the whole file while it commits. The next look is not far.
const BUSY_WAIT_MAX: Duration = Duration::from_millis(50);
/// The folder beside the database where a tracking server keeps artifacts unless told otherwise.
const SERVED_ARTIFACTS: &str = "mlartifacts";
/// The workspace of everything that was never given one.
pub(super) const DEFAULT_WORKSPACE: &str = "default";

/// What a [`SqliteSource`] follows.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// `sqlite:///RELATIVE` or `sqlite:////ABSOLUTE`; a driver (`sqlite+pysqlite:`) is skipped.
    pub uri: String,
    pub wanted: Wanted,
    /// Without one: `default`.
    pub workspace: Option<String>,
    /// What `mlflow-artifacts:/` stands for, a path or URI; relative to the database's folder.
    /// Without one: `mlartifacts`.
    pub artifact_root: Option<String>,
}

/// Follows a model in MLflow's database file.
#[derive(Debug)]
pub struct SqliteSource {
    database: PathBuf,
    wanted: Wanted,
    workspace: String,
    locations: Locations,
}

impl SqliteSource {
    /// Prepares to read a database, which is not looked at yet.
    ///
    /// # Errors
    /// When the URI is not that of a database file.
    pub fn new(options: SqliteOptions) -> Result<Self, SourceError> {
        Ok(Self::at(database_path(&options.uri)?, options))
    }

    pub(super) fn at(database: PathBuf, options: SqliteOptions) -> Self {
        let base = database.parent().unwrap_or(Path::new("/")).to_owned();
        let root = options.artifact_root.unwrap_or_else(|| SERVED_ARTIFACTS.to_owned());
        Self {
            database,
            wanted: options.wanted,
            workspace: options.workspace.unwrap_or_else(|| DEFAULT_WORKSPACE.to_owned()),
            locations: Locations::new(base, root),
        }
    }

    /// The version that should serve now; `None` when nothing is selected. Blocks for a few
    /// milliseconds, and for 50 where someone is writing for so long.
    ///
    /// # Errors
    /// When the database cannot be read, or what it says leads nowhere.
    pub fn aspired(&mut self) -> Result<Option<Aspired>, SourceError> {
        let mut connection = self.open().map_err(|error| unreadable(&self.database, &error))?;
        let reader = Reader::begin(&mut connection, &self.database, &self.workspace)?;
        records::aspired(&reader, &self.locations, &self.wanted)
    }

    /// Where changes show, for a [`Hint`](super::Hint).
    pub fn places(&self) -> Vec<PathBuf> {
        vec![self.database.clone()]
    }

    fn open(&self) -> rusqlite::Result<Connection> {
        let read = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match unused_log(&self.database) {
            Some(uri) => Connection::open_with_flags(uri, read | OpenFlags::SQLITE_OPEN_URI)?,
            None => Connection::open_with_flags(&self.database, read)?,
        };
        connection.busy_timeout(BUSY_WAIT_MAX)?;
        Ok(connection)
    }
}

/// How a database is opened that is written through a log (WAL) while nobody has it open. The
/// library would make the log's files even for a reader: as this process's own they could keep the
/// writer out, and a read-only volume has no room for them. Should somebody begin to write in the
/// milliseconds of one look, the look may fail, and the next one sees the log.
fn unused_log(database: &Path) -> Option<String> {
    let mut header = [0; 20];
    File::open(database).and_then(|mut file| file.read_exact(&mut header)).ok()?;
    let is_logged = header.starts_with(b"SQLite format 3\0") && header[18..] == [2, 2];
    let path = database.to_str()?;
    if !is_logged || Path::new(&format!("{path}-wal")).exists() {
        return None;
    }
    let path = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    Some(format!("file:{path}?immutable=1"))
}

/// The file that an `SQLAlchemy` URI means. Absolute.
fn database_path(uri: &str) -> Result<PathBuf, SourceError> {
    let refuse = |reason: &str| {
        SourceError::Unreadable(format!(
            "`{uri}` is not the URI of a database file ({reason}); write sqlite:///PATH, or \
             sqlite:////PATH for an absolute one"
        ))
    };
    let (scheme, rest) = uri.split_once(':').ok_or_else(|| refuse("it has no scheme"))?;
    if scheme != "sqlite" && !scheme.starts_with("sqlite+") {
        return Err(refuse("its scheme is not sqlite"));
    }
    let path = rest.strip_prefix("///").ok_or_else(|| refuse("it names a host"))?;
    let path = path.split('?').next().unwrap_or_default();
    match path {
        "" | ":memory:" => Err(refuse("it means a database in memory")),
        path => std::path::absolute(path).map_err(|error| refuse(&error.to_string())),
    }
}

/// One state of the database.
struct Reader<'a> {
    transaction: rusqlite::Transaction<'a>,
    database: &'a Path,
    workspace: &'a str,
    has_workspaces: bool,
}

impl<'a> Reader<'a> {
    fn begin(
        connection: &'a mut Connection,
        database: &'a Path,
        workspace: &'a str,
    ) -> Result<Self, SourceError> {
        let failed = |error| unreadable(database, &error);
        let transaction = connection.transaction().map_err(failed)?;
        let has_workspaces =
            transaction.column_exists(None, "model_versions", "workspace").map_err(failed)?;
        let reader = Self { transaction, database, workspace, has_workspaces };
        if !reader.has_table("model_versions")? {
            return Err(SourceError::Unreadable(format!(
                "`{}` is not a database of MLflow with a model registry: it has no table \
                 model_versions",
                database.display()
            )));
        }
        if !has_workspaces && workspace != DEFAULT_WORKSPACE {
            return Err(SourceError::Unknown(format!(
                "`{}` is of an MLflow without workspaces, so it has no workspace {workspace}",
                database.display()
            )));
        }
        Ok(reader)
    }

    fn has_table(&self, table: &str) -> Result<bool, SourceError> {
        let exists = self.transaction.table_exists(None, table);
        exists.map_err(|error| unreadable(self.database, &error))
    }

    fn has_column(&self, table: &str, column: &str) -> Result<bool, SourceError> {
        let exists = self.transaction.column_exists(None, table, column);
        exists.map_err(|error| unreadable(self.database, &error))
    }

    /// The first row.
    fn first<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, SourceError> {
        let row = self.transaction.query_row(sql, parameters, read).optional();
        row.map_err(|error| unreadable(self.database, &error))
    }

    /// A condition on the workspace, for the parameter `?1`.
    fn here(&self) -> &'static str {
        if self.has_workspaces { "workspace = ?1" } else { "?1 = 'default'" }
    }

    fn knows(&self, name: &ModelName) -> Result<bool, SourceError> {
        let sql = format!("SELECT 1 FROM registered_models WHERE {} AND name = ?2", self.here());
        let found = self.first(&sql, (self.workspace, name.as_str()), |_| Ok(()))?;
        Ok(found.is_some())
    }

    /// The version that an alias is on; the selector in SQL otherwise.
    fn alias(&self, name: &ModelName, alias: &str) -> Result<Option<i64>, SourceError> {
        if !self.has_table("registered_model_aliases")? {
            return Ok(None);
        }
        let sql = format!(
            "SELECT version FROM registered_model_aliases WHERE {} AND name = ?2 AND alias = ?3",
            self.here()
        );
        self.first(&sql, (self.workspace, name.as_str(), alias), |row| row.get(0))
    }
}

impl Records for Reader<'_> {
    fn version(
        &self,
        name: &ModelName,
        selector: &Selector,
    ) -> Result<Option<VersionRecord>, SourceError> {
        if !self.knows(name)? {
            return Err(SourceError::Unknown(format!(
                "there is no model {name} in `{}` (workspace {})",
                self.database.display(),
                self.workspace
            )));
        }
        let (condition, value) = match selector {
            Selector::Version(version) => ("version = ?3", version.0.to_string()),
            Selector::Alias(alias) => match self.alias(name, alias)? {
                Some(version) => ("version = ?3", version.to_string()),
                None => return Ok(None),
            },
            Selector::Stage(stage) => {
                ("status = 'READY' AND current_stage = ?3 COLLATE NOCASE", stage.name().to_owned())
            }
            Selector::Latest => ("status = ?3", READY.to_owned()),
        };
        let location = if self.has_column("model_versions", "storage_location")? {
            "coalesce(nullif(storage_location, ''), source)"
        } else {
            "source"
        };
        let sql = format!(
            "SELECT version, status, {location}, last_updated_time FROM model_versions \
             WHERE {} AND name = ?2 AND {condition} AND current_stage IS NOT '{DELETED}' \
             ORDER BY version DESC LIMIT 1",
            self.here()
        );
        self.first(&sql, (self.workspace, name.as_str(), value), |row| {
            Ok(VersionRecord {
                version: VersionId(row.get::<_, i64>(0)?.try_into().unwrap_or_default()),
                status: row.get::<_, Option<String>>(1)?.unwrap_or_else(|| READY.to_owned()),
                location: row.get(2)?,
                updated: row.get::<_, Option<i64>>(3)?.unwrap_or_default().to_string(),
            })
        })
    }

    fn logged(&self, id: &str) -> Result<Option<LoggedRecord>, SourceError> {
        self.logged_where("model_id = ?1", (id,))
    }

    fn logged_by(&self, run_id: &str, name: &str) -> Result<Option<LoggedRecord>, SourceError> {
        self.logged_where("source_run_id = ?1 AND name = ?2", (run_id, name))
    }

    fn run_artifacts(&self, run_id: &str) -> Result<Option<String>, SourceError> {
        let sql = "SELECT artifact_uri FROM runs WHERE run_uuid = ?1 \
                   AND lifecycle_stage IS NOT 'deleted' AND artifact_uri IS NOT NULL";
        self.first(sql, (run_id,), |row| row.get(0))
    }
}

impl Reader<'_> {
    fn logged_where(
        &self,
        condition: &str,
        parameters: impl Params,
    ) -> Result<Option<LoggedRecord>, SourceError> {
        if !self.has_table("logged_models")? {
            return Ok(None);
        }
        let sql = format!(
            "SELECT artifact_location, last_updated_timestamp_ms FROM logged_models \
             WHERE {condition} AND lifecycle_stage IS NOT 'deleted' AND status = {LOGGED_READY} \
             ORDER BY creation_timestamp_ms DESC LIMIT 1"
        );
        self.first(&sql, parameters, |row| {
            let updated = row.get::<_, Option<i64>>(1)?.unwrap_or_default().to_string();
            Ok(LoggedRecord { location: row.get(0)?, updated })
        })
    }
}

fn unreadable(database: &Path, error: &rusqlite::Error) -> SourceError {
    let path = database.display();
    SourceError::Unreadable(match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
            format!("`{path}` is being written; it is read again later")
        }
        Some(rusqlite::ErrorCode::CannotOpen) => {
            format!(
                "`{path}` cannot be opened ({error}): it must exist, and be readable together with \
                 its folder"
            )
        }
        Some(rusqlite::ErrorCode::NotADatabase) => format!("`{path}` is not a SQLite database"),
        _ => format!("`{path}` cannot be read as a database of MLflow: {error}"),
    })
}
