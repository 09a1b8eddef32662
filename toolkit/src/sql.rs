//! The database operations of the durable patterns, for SQLite and PostgreSQL, with `sqlx`.
//!
//! The patterns' statements are written once, in the SQL that both understand: `$1` parameters, `ON
//! CONFLICT`, `RETURNING`, texts and 64-bit integers. Tables begin with `toolkit_`; each pattern's `migrate`
//! creates its own.

use std::ops::DerefMut;

/// A pool of connections to a database: a [`sqlx::SqlitePool`] or a [`sqlx::PgPool`].
pub trait Database: Clone + Send + Sync + 'static {
    /// A connection. A sqlx transaction dereferences to it: pass `&mut tx`.
    type Connection: Send;
    /// A transaction; rolled back when dropped.
    type Transaction: DerefMut<Target = Self::Connection> + Send;

    /// The database's dialect of SQL.
    const DIALECT: Dialect;

    /// Begins a transaction that may write.
    fn begin(&self) -> impl Future<Output = Result<Self::Transaction, StoreError>> + Send;

    /// Commits a transaction.
    fn commit(transaction: Self::Transaction) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Runs a statement. Returns the number of changed rows.
    fn execute(
        connection: &mut Self::Connection,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Runs a query.
    fn query(
        connection: &mut Self::Connection,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send;

    /// Runs a query without changes, outside of any transaction. It does not wait for writers.
    fn read(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send;

    /// Runs a statement in a transaction of its own.
    fn execute_alone(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<u64, StoreError>> + Send {
        async move {
            let mut transaction = self.begin().await?;
            let changed = Self::execute(&mut transaction, sql, values).await?;
            Self::commit(transaction).await?;
            Ok(changed)
        }
    }
}

/// A statement that takes many rows at once, as a JSON array in the parameter `$1`: `from_json!(D, before, after)` is
/// `before`, the array's elements as a table with the one column `value`, and `after`. Read fields by `value ->> 'name'`, which
/// is text until it is cast.
///
/// One such statement for a thousand rows costs a small part of a thousand statements. On SQLite an `INSERT … SELECT` with
/// `ON CONFLICT` needs a `WHERE` between the two: `WHERE TRUE`.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # toolkit::testing::block_on(async {
/// use toolkit::sql::{Database, from_json};
///
/// async fn add<D: Database>(database: &D, names: &[&str]) -> Result<u64, toolkit::sql::StoreError> {
///     let sql = from_json!(D, "INSERT INTO shops (name) SELECT value ->> 'name' FROM ", "");
///     let rows: Vec<_> = names.iter().map(|name| serde_json::json!({ "name": name })).collect();
///     database.execute_alone(sql, &[serde_json::to_string(&rows)?.as_str().into()]).await
/// }
/// let pool = sqlx::SqlitePool::connect("sqlite::memory:").await?;
/// sqlx::query("CREATE TABLE shops (name TEXT)").execute(&pool).await?;
/// assert_eq!(add(&pool, &["north", "south"]).await?, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[macro_export]
#[doc(hidden)]
macro_rules! __from_json {
    ($database:ty, $before:expr, $after:expr) => {
        match <$database as $crate::sql::Database>::DIALECT {
            $crate::sql::Dialect::Sqlite => concat!($before, "json_each($1)", $after),
            $crate::sql::Dialect::Postgres => {
                concat!($before, "jsonb_array_elements(CAST($1 AS JSONB))", $after)
            }
        }
    };
}
#[doc(inline)]
pub use __from_json as from_json;

/// A dialect of SQL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// SQLite's.
    Sqlite,
    /// PostgreSQL's.
    Postgres,
}

/// A parameter.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// `BIGINT`.
    Int(i64),
    /// `TEXT`, or null.
    Text(Option<&'a str>),
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Value::Int(number)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(Some(text))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Value::Text(Some(text))
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Value::Text(text)
    }
}

/// A row of a result.
#[derive(Clone, Debug)]
pub struct Row(Vec<Cell>);

#[derive(Clone, Debug)]
enum Cell {
    Null,
    Int(i64),
    Text(String),
}

impl Row {
    /// Returns an integer column.
    ///
    /// # Errors
    /// The column has another type.
    pub fn int(&self, column: usize) -> Result<i64, StoreError> {
        match self.0.get(column) {
            Some(Cell::Int(number)) => Ok(*number),
            other => Err(StoreError::Shape(format!("column {column} is {other:?}, not a number"))),
        }
    }

    /// Returns a text column.
    ///
    /// # Errors
    /// The column has another type, or is null.
    pub fn text(&self, column: usize) -> Result<&str, StoreError> {
        match self.0.get(column) {
            Some(Cell::Text(text)) => Ok(text),
            other => Err(StoreError::Shape(format!("column {column} is {other:?}, not a text"))),
        }
    }

    /// Returns a text column or null.
    ///
    /// # Errors
    /// The column has another type.
    pub fn maybe_text(&self, column: usize) -> Result<Option<&str>, StoreError> {
        match self.0.get(column) {
            Some(Cell::Null) => Ok(None),
            _ => self.text(column).map(Some),
        }
    }
}

/// An error of a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database reported an error.
    #[error("database error: {0}")]
    Database(#[source] sqlx::Error),
    /// The stored data is not this program's, perhaps that of another version.
    #[error("stored data cannot be read: {0}")]
    Shape(String),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> StoreError {
        StoreError::Database(error)
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> StoreError {
        StoreError::Shape(error.to_string())
    }
}

/// Options for a SQLite file that many tasks and processes write: the file is created if it is missing, in
/// WAL mode, with full synchronisation (committed data is on the disk). A transaction waits up to
/// [`BUSY_TIMEOUT`] for the write lock.
#[cfg(feature = "sqlite")]
pub fn sqlite_options(file: impl AsRef<std::path::Path>) -> sqlx::sqlite::SqliteConnectOptions {
    sqlx::sqlite::SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
        .synchronous(sqlx::sqlite::SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
}

/// How long a transaction waits for the write lock: as long as sqlx's pools wait for a connection. SQLite
/// does not grant the lock in order, so under load a transaction may wait long.
#[cfg(feature = "sqlite")]
pub const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// Runs a schema's statements, all or none, one program at a time.
///
/// # Errors
/// Those of the database.
pub async fn migrate<D: Database>(database: &D, statements: &[&'static str]) -> Result<(), StoreError> {
    let mut transaction = database.begin().await?;
    // Two programs that start together would both find the table missing.
    take_turns::<D>(&mut transaction, "toolkit_migrate").await?;
    for statement in statements {
        D::execute(&mut transaction, statement, &[]).await?;
    }
    D::commit(transaction).await
}

/// Waits for an exclusive lock named `turn`, and holds it until the transaction ends. A transaction that
/// reads rows, decides, and writes others needs this: PostgreSQL would let two of them decide on data that
/// neither has written yet. (SQLite has one writer at a time anyway.)
///
/// Call it before reading the data for the decision. `turn` is a name within the current schema.
///
/// # Errors
/// Those of the database.
pub async fn take_turns<D: Database>(
    transaction: &mut D::Connection,
    turn: &'static str,
) -> Result<(), StoreError> {
    if D::DIALECT == Dialect::Postgres {
        let lock =
            "SELECT CAST(pg_advisory_xact_lock(hashtextextended(current_schema() || '.' || $1, 0)) AS TEXT)";
        D::query(transaction, lock, &[turn.into()]).await?;
    }
    Ok(())
}

/// Fails if a statement of this transaction has failed, even if its caller ignored the error. PostgreSQL
/// answers the commit of such a transaction by rolling it back, and reports success.
pub(crate) async fn is_whole<D: Database>(transaction: &mut D::Connection) -> Result<(), StoreError> {
    if D::DIALECT == Dialect::Postgres {
        D::execute(transaction, "SELECT", &[]).await?;
    }
    Ok(())
}

/// Returns milliseconds since 1970.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Returns the moment `time` from now, in milliseconds since 1970.
pub(crate) fn from_now(time: std::time::Duration) -> i64 {
    now().saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

/// The two implementations differ only in sqlx's types and in how a writing transaction begins.
macro_rules! database {
    ($feature:literal, $database:ty, $dialect:ident, $begin:literal) => {
        #[cfg(feature = $feature)]
        impl Database for sqlx::Pool<$database> {
            type Connection = <$database as sqlx::Database>::Connection;
            type Transaction = sqlx::Transaction<'static, $database>;

            const DIALECT: Dialect = Dialect::$dialect;

            async fn begin(&self) -> Result<Self::Transaction, StoreError> {
                Ok(self.begin_with($begin).await?)
            }

            async fn commit(transaction: Self::Transaction) -> Result<(), StoreError> {
                Ok(transaction.commit().await?)
            }

            async fn execute(
                connection: &mut Self::Connection,
                sql: &'static str,
                values: &[Value<'_>],
            ) -> Result<u64, StoreError> {
                let mut query = sqlx::query::<$database>(sql);
                for value in values {
                    query = match *value {
                        Value::Int(number) => query.bind(number),
                        Value::Text(text) => query.bind(text.map(str::to_owned)),
                    };
                }
                Ok(query.execute(connection).await?.rows_affected())
            }

            async fn read(&self, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
                let mut connection = self.acquire().await?;
                Self::query(&mut connection, sql, values).await
            }

            async fn query(
                connection: &mut Self::Connection,
                sql: &'static str,
                values: &[Value<'_>],
            ) -> Result<Vec<Row>, StoreError> {
                use sqlx::{Row as _, TypeInfo as _, ValueRef as _};
                let mut query = sqlx::query::<$database>(sql);
                for value in values {
                    query = match *value {
                        Value::Int(number) => query.bind(number),
                        Value::Text(text) => query.bind(text.map(str::to_owned)),
                    };
                }
                let rows = query.fetch_all(connection).await?;
                let read = |row: &<$database as sqlx::Database>::Row| {
                    let cell = |column| -> Result<Cell, StoreError> {
                        // Reading a text column as an integer would allocate an error in sqlx each time.
                        let is_text = row.try_get_raw(column)?.type_info().name() == "TEXT";
                        if !is_text && let Ok(number) = row.try_get::<Option<i64>, _>(column) {
                            return Ok(number.map_or(Cell::Null, Cell::Int));
                        }
                        let text: Option<String> = row.try_get(column)?;
                        Ok(text.map_or(Cell::Null, Cell::Text))
                    };
                    Ok(Row((0..row.len()).map(cell).collect::<Result<_, StoreError>>()?))
                };
                rows.iter().map(read).collect()
            }
        }
    };
}

// A deferred SQLite transaction that reads first and writes later would fail if another one wrote in between.
// This one waits at its start.
database!("sqlite", sqlx::Sqlite, Sqlite, "BEGIN IMMEDIATE");
database!("postgres", sqlx::Postgres, Postgres, "BEGIN");
