//! TOML with places: plain Python data, and for each key and value the line and column where it stands; and edits that keep comments.
//!
//! The site file's meaning is checked in Python (`edusense.site`); what Python's own `tomllib` cannot tell is *where* a value
//! stands, and it cannot write. `toml_edit` does both, limits nesting, and is fuzzed.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use toml_edit::{
    Array, ArrayOfTables, Datetime, Document, DocumentMut, InlineTable, Item, Key, Table,
    TableLike, Value,
};

use crate::errors::NativeError;
use crate::outside::Outside;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(parse_toml, module)?)?;
    module.add_function(wrap_pyfunction!(edit_toml, module)?)
}

/// Parses TOML.
///
/// Args:
///     text: the whole file.
///
/// Returns:
///     The data; the places of keys; the places of values. A place is (line, column), both from 1, columns in characters; its
///     key is the path as a tuple, as pydantic's `loc`: `("cameras", 3, "room")`.
///
/// Raises:
///     SiteSyntaxError: the text is not TOML; with line and column.
#[pyfunction]
fn parse_toml<'py>(
    py: Python<'py>,
    text: &str,
) -> PyResult<(Bound<'py, PyDict>, Bound<'py, PyDict>, Bound<'py, PyDict>)> {
    let (document, places) = py.outside(|| -> Result<_, NativeError> {
        let places = Places::new(text);
        let document = Document::parse(text).map_err(|error| syntax_error(&error, &places))?;
        Ok((document, places))
    })?;
    let mut walk = Walk {
        places: &places,
        keys: PyDict::new(py),
        values: PyDict::new(py),
        path: Vec::new(),
    };
    let data = walk.table(py, document.as_table())?;
    Ok((data, walk.keys, walk.values))
}

/// Changes TOML text and leaves every comment, blank line and untouched value as it was.
///
/// Args:
///     text: the whole file.
///     changes: in order: `("set", path, value)` replaces or adds one value; `("append", path, table)` adds a table at the end
///         of the array of tables at `path`, which is made when it is not there. A path is a sequence of keys and indices.
///
/// Returns:
///     The new text, with the line endings of the old.
///
/// Raises:
///     SiteSyntaxError: the text is not TOML.
///     ValueError: a path leads through something that is not a table, or to an index that is not there.
///     TypeError: a value that TOML has no word for.
#[pyfunction]
fn edit_toml(
    py: Python<'_>,
    text: &str,
    changes: Vec<(String, Vec<Bound<'_, PyAny>>, Bound<'_, PyAny>)>,
) -> PyResult<String> {
    let mut document = py.outside(|| {
        text.parse::<DocumentMut>()
            .map_err(|error| syntax_error(&error, &Places::new(text)))
    })?;
    for (kind, path, value) in &changes {
        let path = path.iter().map(Step::of).collect::<PyResult<Vec<_>>>()?;
        let Some((last, parents)) = path.split_last() else {
            return Err(PyValueError::new_err("a change needs a path"));
        };
        let parent = descend(document.as_item_mut(), parents)?;
        match kind.as_str() {
            "set" => set(parent, last, value)?,
            "append" => append(parent, last, value)?,
            other => {
                return Err(PyValueError::new_err(format!(
                    "no change is called `{other}`: set or append"
                )));
            }
        }
    }
    let edited = document.to_string();
    let crlf_only =
        text.contains('\n') && text.matches('\n').count() == text.matches("\r\n").count();
    Ok(if crlf_only {
        edited.replace("\r\n", "\n").replace('\n', "\r\n")
    } else {
        edited
    })
}

fn syntax_error(error: &toml_edit::TomlError, places: &Places<'_>) -> NativeError {
    // `message()` says what and never quotes the file: a password on the broken line must not reach a log.
    let message = error.message().trim().replace('\n', "; ");
    let hint = if message.contains("duplicate key") {
        "each key may stand once in its table; a list of things is written with double brackets, as `[[cameras]]`"
    } else {
        "text stands in double quotes, each `key = value` on its own line, a list of things begins with `[[…]]`"
    };
    let place = error.span().map(|span| places.of(span.start));
    NativeError::new("site-syntax", message, Some(hint.to_owned())).at(place)
}

/// Turns byte offsets into lines and columns in constant time, also where a hostile file is one line of megabytes.
struct Places<'a> {
    text: &'a str,
    line_starts: Vec<usize>,
    /// Characters before each block of [`Places::BLOCK`] bytes.
    characters: Vec<usize>,
}

impl<'a> Places<'a> {
    const BLOCK: usize = 256;

    fn new(text: &'a str) -> Self {
        let mut line_starts = vec![0];
        line_starts.extend(
            text.bytes()
                .enumerate()
                .filter(|(_, byte)| *byte == b'\n')
                .map(|(at, _)| at + 1),
        );
        let mut characters = vec![0];
        let mut seen = 0;
        for block in text.as_bytes().chunks(Self::BLOCK) {
            seen += Self::starts(block);
            characters.push(seen);
        }
        Self {
            text,
            line_starts,
            characters,
        }
    }

    /// How many characters begin in these bytes: all but UTF-8's continuation bytes.
    fn starts(bytes: &[u8]) -> usize {
        bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
    }

    fn characters_before(&self, offset: usize) -> usize {
        let block = offset / Self::BLOCK;
        self.characters[block] + Self::starts(&self.text.as_bytes()[block * Self::BLOCK..offset])
    }

    /// Line and column of a byte, both from 1.
    fn of(&self, offset: usize) -> (usize, usize) {
        let offset = offset.min(self.text.len());
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts[line - 1];
        // A byte order mark takes no column in an editor.
        let mark = usize::from(start == 0 && offset > 0 && self.text.starts_with('\u{feff}'));
        (
            line,
            self.characters_before(offset) - self.characters_before(start) + 1 - mark,
        )
    }
}

/// Builds the Python data and notes places on the way.
struct Walk<'a, 'py> {
    places: &'a Places<'a>,
    keys: Bound<'py, PyDict>,
    values: Bound<'py, PyDict>,
    path: Vec<Bound<'py, PyAny>>,
}

impl<'py> Walk<'_, 'py> {
    fn note(&self, py: Python<'py>, key: Option<usize>, value: Option<usize>) -> PyResult<()> {
        let path = PyTuple::new(py, &self.path)?;
        if let Some(offset) = key {
            self.keys.set_item(&path, self.places.of(offset))?;
        }
        if let Some(offset) = value.or(key) {
            self.values.set_item(&path, self.places.of(offset))?;
        }
        Ok(())
    }

    fn table(&mut self, py: Python<'py>, table: &dyn TableLike) -> PyResult<Bound<'py, PyDict>> {
        let data = PyDict::new(py);
        for (name, item) in table.iter() {
            let key = table.key(name).and_then(Key::span).map(|span| span.start);
            self.path.push(PyString::new(py, name).into_any());
            self.note(py, key, item.span().map(|span| span.start))?;
            data.set_item(name, self.item(py, item)?)?;
            self.path.pop();
        }
        Ok(data)
    }

    fn item(&mut self, py: Python<'py>, item: &Item) -> PyResult<Bound<'py, PyAny>> {
        match item {
            Item::None => Ok(py.None().into_bound(py)),
            Item::Value(value) => self.value(py, value),
            Item::Table(table) => Ok(self.table(py, table)?.into_any()),
            Item::ArrayOfTables(tables) => {
                let list = PyList::empty(py);
                for (index, table) in tables.iter().enumerate() {
                    self.path.push(index.into_pyobject(py)?.into_any());
                    self.note(py, None, table.span().map(|span| span.start))?;
                    list.append(self.table(py, table)?)?;
                    self.path.pop();
                }
                Ok(list.into_any())
            }
        }
    }

    fn value(&mut self, py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
        Ok(match value {
            Value::String(text) => PyString::new(py, text.value()).into_any(),
            Value::Integer(number) => number.value().into_pyobject(py)?.into_any(),
            Value::Float(number) => PyFloat::new(py, *number.value()).into_any(),
            Value::Boolean(truth) => PyBool::new(py, *truth.value()).to_owned().into_any(),
            Value::Datetime(time) => self.datetime(py, time.value(), value)?,
            Value::Array(array) => {
                let list = PyList::empty(py);
                for (index, element) in array.iter().enumerate() {
                    self.path.push(index.into_pyobject(py)?.into_any());
                    self.note(py, None, element.span().map(|span| span.start))?;
                    list.append(self.value(py, element)?)?;
                    self.path.pop();
                }
                list.into_any()
            }
            Value::InlineTable(table) => self.table(py, table)?.into_any(),
        })
    }

    /// A date or time as Python's; what TOML allows and Python has no word for (a leap second, the year 0) is refused.
    fn datetime(
        &self,
        py: Python<'py>,
        time: &Datetime,
        value: &Value,
    ) -> PyResult<Bound<'py, PyAny>> {
        let class = match (time.date, time.time) {
            (Some(_), Some(_)) => "datetime",
            (Some(_), None) => "date",
            _ => "time",
        };
        let made = py
            .import("datetime")?
            .getattr(class)?
            .call_method1("fromisoformat", (time.to_string(),));
        made.map_err(|_| {
            NativeError::new(
                "site-value",
                format!("`{time}` is no {class} that this computer can hold"),
                None,
            )
            .at(value.span().map(|span| self.places.of(span.start)))
            .into_python(py)
        })
    }
}

/// One step of a path: into a table by key, into a list by index.
enum Step {
    Key(String),
    Index(usize),
}

impl Step {
    fn of(step: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(key) = step.extract::<String>() {
            return Ok(Self::Key(key));
        }
        step.extract::<usize>()
            .map(Self::Index)
            .map_err(|_| PyTypeError::new_err("a path holds keys and indices"))
    }
}

fn descend<'a>(item: &'a mut Item, path: &[Step]) -> PyResult<&'a mut Item> {
    let Some((step, rest)) = path.split_first() else {
        return Ok(item);
    };
    let next = match step {
        Step::Key(key) => {
            let table = item.as_table_like_mut().ok_or_else(|| {
                PyValueError::new_err(format!(
                    "`{key}` is looked for in something that is no table"
                ))
            })?;
            if !table.contains_key(key) {
                let mut made = Table::new();
                made.set_implicit(true); // no bare `[meals]` above `[[meals.slots]]`
                table.insert(key, Item::Table(made));
            }
            table
                .get_mut(key)
                .ok_or_else(|| PyValueError::new_err(format!("`{key}` is not there")))?
        }
        Step::Index(index) => {
            let missing = || PyValueError::new_err(format!("there is no element {index}"));
            // An element of a plain array is a value, not an item: only arrays of tables are walked into.
            item.get_mut(*index).ok_or_else(missing)?
        }
    };
    descend(next, rest)
}

fn set(parent: &mut Item, last: &Step, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let mut new = to_value(value)?;
    match last {
        Step::Key(key) => {
            let table = parent.as_table_like_mut().ok_or_else(|| {
                PyValueError::new_err(format!(
                    "`{key}` cannot be set in something that is no table"
                ))
            })?;
            match table.get_mut(key) {
                Some(Item::Value(old)) => {
                    *new.decor_mut() = old.decor().clone();
                    *old = new;
                }
                Some(Item::None) | None => {
                    table.insert(key, Item::Value(new));
                }
                Some(_) => {
                    return Err(PyValueError::new_err(format!(
                        "`{key}` is a table, not a value"
                    )));
                }
            }
        }
        Step::Index(index) => {
            let array = parent
                .as_array_mut()
                .ok_or_else(|| PyValueError::new_err("only arrays have elements"))?;
            let old = array
                .get_mut(*index)
                .ok_or_else(|| PyValueError::new_err(format!("there is no element {index}")))?;
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
    }
    Ok(())
}

fn append(parent: &mut Item, last: &Step, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let Step::Key(key) = last else {
        return Err(PyValueError::new_err(
            "a table is appended to the array at a key",
        ));
    };
    let fields = value
        .cast::<PyDict>()
        .map_err(|_| PyTypeError::new_err("what is appended must be a dict"))?;
    let mut table = Table::new();
    for (name, field) in fields {
        table.insert(
            name.extract::<String>()?.as_str(),
            Item::Value(to_value(&field)?),
        );
    }
    table.decor_mut().set_prefix("\n");
    let parent = parent.as_table_mut().ok_or_else(|| {
        PyValueError::new_err(format!(
            "`[[{key}]]` cannot be added to something that is no table"
        ))
    })?;
    match parent
        .entry(key)
        .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()))
    {
        Item::ArrayOfTables(tables) => tables.push(table),
        _ => {
            return Err(PyValueError::new_err(format!(
                "`{key}` is not an array of tables"
            )));
        }
    }
    Ok(())
}

fn to_value(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    // A bool is an int in Python, so it is asked for first.
    if let Ok(truth) = value.cast::<PyBool>() {
        Ok(truth.is_true().into())
    } else if let Ok(number) = value.cast::<PyInt>() {
        Ok(number.extract::<i64>()?.into())
    } else if let Ok(number) = value.cast::<PyFloat>() {
        Ok(number.value().into())
    } else if let Ok(text) = value.cast::<PyString>() {
        Ok(text.to_str()?.into())
    } else if let Ok(list) = value.cast::<PyList>() {
        let elements = list
            .iter()
            .map(|element| to_value(&element))
            .collect::<PyResult<Array>>()?;
        Ok(Value::Array(elements))
    } else if let Ok(fields) = value.cast::<PyDict>() {
        let mut table = InlineTable::new();
        for (name, field) in fields {
            table.insert(name.extract::<String>()?.as_str(), to_value(&field)?);
        }
        Ok(Value::InlineTable(table))
    } else {
        Err(PyTypeError::new_err(format!(
            "TOML has no word for {}",
            value.get_type().name()?
        )))
    }
}
