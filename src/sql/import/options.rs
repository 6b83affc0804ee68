//! How an import reads, and what it does about rows that are there already.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::Write;

use crate::error::Result;
use crate::records::record::Record;
use crate::sql::table::Processed;

/// What the input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Format {
    /// Text with a header line, cells separated by commas or another byte, quoted with `"` where needed.
    #[default]
    Csv,
    /// One JSON object a line.
    JsonLines,
}

/// What an import does about a row whose [`unique_fields`](ImportOptions::unique_fields) are there already, in
/// the table or earlier in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnConflict {
    /// Overwrites the columns that the input has; of rows of the input that are the same the last wins.
    #[default]
    Update,
    /// Leaves the row that is there; of rows of the input that are the same the first wins.
    Skip,
    /// Refuses the row.
    Fail,
}

/// How [`Table::import`](super::super::Table::import) reads, and what it does about rows that are there
/// already.
///
/// ```
/// use batchcall::sql::{ImportOptions, OnConflict};
///
/// let mut rejected = Vec::new();
/// let options = ImportOptions::csv()
///     .delimiter(b';')
///     .nulls(["", "NA"])
///     .map("Tail number", "tailnum")
///     .ignore("comment")
///     .unique_fields(["tailnum"])
///     .on_conflict(OnConflict::Skip)
///     .reject_to(&mut rejected)
///     .max_rejects(1000);
/// ```
#[must_use]
pub struct ImportOptions<'o> {
    pub(super) format: Format,
    pub(super) delimiter: u8,
    pub(super) reading: Reading,
    pub(super) unique: Vec<String>,
    pub(super) on_conflict: OnConflict,
    pub(super) reject_to: Option<Box<dyn Write + 'o>>,
    pub(super) max_rejects: Option<usize>,
    pub(super) before: Option<Box<Before<'o>>>,
}

/// What looks at rows before they are sent.
pub(super) type Before<'o> = dyn Fn(&Record) -> Result<Processed<Record>> + 'o;

/// What names and cells mean.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    pub(super) names: HashMap<String, String>,
    pub(super) ignored: HashSet<String>,
    pub(super) nulls: Vec<String>,
    /// Rows that begin on an earlier line are left alone.
    pub(super) from_line: u64,
}

impl<'o> ImportOptions<'o> {
    /// The defaults: [`csv`](Self::csv).
    pub fn new() -> Self {
        Self::csv()
    }

    /// CSV with a header, separated by commas.
    pub fn csv() -> Self {
        Self {
            format: Format::Csv,
            delimiter: b',',
            reading: Reading { nulls: vec![String::new()], ..Reading::default() },
            unique: Vec::new(),
            on_conflict: OnConflict::Update,
            reject_to: None,
            max_rejects: None,
            before: None,
        }
    }

    /// JSON Lines.
    pub fn json_lines() -> Self {
        Self::csv().format(Format::JsonLines)
    }

    /// What the input is. Defaults to [`Format::Csv`].
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// The byte between the cells of CSV. Defaults to `,`.
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// Says that a column of the input goes to a column of the table with another name. Defaults to the same
    /// names.
    pub fn map(mut self, name: impl Into<String>, column: impl Into<String>) -> Self {
        self.reading.names.insert(name.into(), column.into());
        self
    }

    /// Leaves a column of the input out. Columns that begin with `batchcall.`, which a reject file has, are
    /// always left out. Defaults to none: a column that the table does not have is refused.
    pub fn ignore(mut self, name: impl Into<String>) -> Self {
        self.reading.ignored.insert(name.into());
        self
    }

    /// The cells of CSV that stand for null, in place of the empty one. Defaults to `[""]`: `NA` is the code of
    /// Namibia too.
    ///
    /// A cell in quotation marks is text in a column of text, whatever it says: `""` is the empty text there.
    /// A null in a column that takes none but has a default is left to the default.
    pub fn nulls<I>(mut self, markers: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.reading.nulls = markers.into_iter().map(Into::into).collect();
        self
    }

    /// The columns of the table that tell rows apart; there must be a unique constraint on them. A row without
    /// a value in one of them is refused. Defaults to none: every row is new.
    ///
    /// With [`OnConflict::Update`] and [`OnConflict::Skip`] the import goes on one connection, whatever the
    /// strategy: on several the order of the input would be lost, and with it who wins.
    pub fn unique_fields<I>(mut self, columns: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.unique = columns.into_iter().map(Into::into).collect();
        self
    }

    /// What happens to a row whose unique fields are there already. Defaults to [`OnConflict::Update`].
    pub fn on_conflict(mut self, what: OnConflict) -> Self {
        self.on_conflict = what;
        self
    }

    /// Where rows go that were read and are not in the database: those that were refused, undone with their
    /// chunk, or not sent. They stand there as they were read, with the header of the input, after two columns
    /// that an import leaves out: `batchcall.line`, where the row was, and `batchcall.error`, why it is here.
    /// So the file can be corrected and imported. JSON Lines have them as fields, and a line that is no JSON
    /// object as text in `batchcall.raw`, which is read when the file is imported.
    ///
    /// Rows in doubt are there only with [`unique_fields`](Self::unique_fields) that update or skip, where
    /// importing them again does no harm; otherwise their lines are in
    /// [`in_doubt_lines`](super::ImportStats::in_doubt_lines). Of an import in one transaction that came to
    /// nothing only the rows are there that failed: begin again with the input. Defaults to nowhere.
    pub fn reject_to(mut self, to: impl Write + 'o) -> Self {
        self.reject_to = Some(Box::new(to));
        self
    }

    /// How many rows may be refused before the import ends; chunks that are under way then are still written.
    /// Defaults to any number.
    pub fn max_rejects(mut self, rows: usize) -> Self {
        self.max_rejects = Some(rows);
        self
    }

    /// Leaves rows alone that begin on an earlier line: where
    /// [`unread_from`](super::ImportStats::unread_from) says that an import ended. Lines count from 1, the
    /// header included. Defaults to the first.
    pub fn from_line(mut self, line: u64) -> Self {
        self.reading.from_line = line;
        self
    }

    /// Looks at each row before it is sent: keep it, change it, drop it, or refuse it. Fields have the names of
    /// columns; cells of CSV are text or null. Runs on the caller's thread. Defaults to keeping all.
    pub fn pre_process(mut self, process: impl Fn(&Record) -> Result<Processed<Record>> + 'o) -> Self {
        self.before = Some(Box::new(process));
        self
    }

    /// What is wrong with them, all at once.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if matches!(self.delimiter, b'"' | b'\n' | b'\r') || !self.delimiter.is_ascii() {
            problems.push("the delimiter is an ASCII character other than a quote or line end".to_owned());
        }
        for name in self.reading.names.keys().filter(|name| self.reading.ignored.contains(*name)) {
            problems.push(format!("{name} is both mapped and ignored"));
        }
        if self.on_conflict != OnConflict::Update && self.unique.is_empty() {
            problems.push("on_conflict needs unique_fields, which tell rows apart".to_owned());
        }
        problems
    }
}

impl Default for ImportOptions<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ImportOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImportOptions")
            .field("format", &self.format)
            .field("reading", &self.reading)
            .field("unique_fields", &self.unique)
            .field("on_conflict", &self.on_conflict)
            .finish_non_exhaustive()
    }
}
