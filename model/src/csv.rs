//! Comma-separated values with a header line, read by the names of the columns.

use std::collections::HashMap;
use std::io::BufRead;

use crate::Error;

/// A table of text with named columns.
#[derive(Clone, Debug, Default)]
pub struct Csv {
    name: String,
    columns: HashMap<String, usize>,
    rows: Vec<Vec<String>>,
}

impl Csv {
    /// Reads a table; `name` is what errors call it.
    ///
    /// # Errors
    /// [`Error::Read`] when reading fails, [`Error::Import`] for a missing header or a line with another number of cells.
    pub fn read(name: &str, reader: impl BufRead) -> Result<Self, Error> {
        let mut csv = Self { name: name.to_owned(), ..Self::default() };
        let mut header = 0;
        for (line, text) in (1_u64..).zip(reader.lines()) {
            let text = text.map_err(|source| Error::Read { name: name.to_owned(), source })?;
            if text.trim().is_empty() {
                continue;
            }
            // Spreadsheets write a byte order mark before the first name.
            let cells = cells(text.strip_prefix('\u{feff}').unwrap_or(&text));
            if header == 0 {
                header = cells.len();
                csv.name_columns(cells)?;
            } else if cells.len() == header {
                csv.rows.push(cells);
            } else {
                let reason = format!("{} cells, the header has {header}", cells.len());
                return Err(Error::Import { name: csv.name, line, reason });
            }
        }
        if header == 0 {
            return Err(Error::Import {
                name: csv.name,
                line: 1,
                reason: "empty: a header line is expected".to_owned(),
            });
        }
        Ok(csv)
    }

    /// Takes a table that was read elsewhere; a row has a cell a column, an empty one for what is unknown.
    ///
    /// # Errors
    /// [`Error::Import`] for a column that is there twice or a row with another number of cells.
    pub fn from_rows(name: &str, columns: Vec<String>, rows: Vec<Vec<String>>) -> Result<Self, Error> {
        let mut csv = Self { name: name.to_owned(), ..Self::default() };
        let width = columns.len();
        csv.name_columns(columns)?;
        if let Some(at) = rows.iter().position(|row| row.len() != width) {
            return Err(csv.fault(at + 1, format!("{} cells, there are {width} columns", rows[at].len())));
        }
        Ok(Self { rows, ..csv })
    }

    fn name_columns(&mut self, names: Vec<String>) -> Result<(), Error> {
        for (at, name) in names.into_iter().enumerate() {
            let name = name.trim().to_owned();
            if self.columns.insert(name.clone(), at).is_some() {
                return Err(self.fault(0, format!("column {name:?} is there twice")));
            }
        }
        Ok(())
    }

    /// Gives the number of rows without the header.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Tells whether there are no rows.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Tells whether there is a column of that name.
    #[must_use]
    pub fn has(&self, column: &str) -> bool {
        self.columns.contains_key(column)
    }

    /// Gives the columns whose names begin with `prefix`, in the order of their names.
    #[must_use]
    pub fn names_with(&self, prefix: &str) -> Vec<String> {
        let mut names: Vec<String> = self.columns.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
        names.sort_unstable();
        names
    }

    /// Gives a column as text.
    ///
    /// # Errors
    /// [`Error::Import`] when there is no such column.
    pub fn text(&self, column: &str) -> Result<Vec<&str>, Error> {
        let at = *self.columns.get(column).ok_or_else(|| self.fault(0, format!("there is no column {column:?}")))?;
        Ok(self.rows.iter().map(|row| row[at].trim()).collect())
    }

    /// Gives a column as numbers; an empty cell is NaN.
    ///
    /// # Errors
    /// [`Error::Import`] when there is no such column, or a cell is neither empty nor a finite number.
    pub fn numbers(&self, column: &str) -> Result<Vec<f64>, Error> {
        let parse = |(row, cell): (usize, &str)| match cell {
            "" => Ok(f64::NAN),
            cell => cell.parse().ok().filter(|value: &f64| value.is_finite()).ok_or_else(|| {
                self.fault(row + 1, format!("{column} is {cell:?}, expected a finite number or nothing"))
            }),
        };
        self.text(column)?.into_iter().enumerate().map(parse).collect()
    }

    fn fault(&self, row: usize, reason: String) -> Error {
        Error::Import { name: self.name.clone(), line: row as u64 + 1, reason }
    }
}

/// Splits a line at commas that are not inside quotes; two quotes inside quotes are one.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        let last = cells.len() - 1;
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cells[last].push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            letter => cells[last].push(letter),
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_found_by_name_and_faults_by_line() {
        let text = "node,watts\n\"a, \"\"b\"\"\",12.5\nc,\nd,much\n";

        let csv = Csv::read("power.csv", text.as_bytes()).expect("a table");

        assert_eq!(csv.text("node").expect("a column")[0], "a, \"b\"");
        let fault = csv.numbers("watts").expect_err("not a number");
        assert_eq!(fault.to_string(), "power.csv, line 4: watts is \"much\", expected a finite number or nothing");
        assert!(
            Csv::read("x", "a,a\n1,2\n".as_bytes())
                .is_err_and(|e| e.to_string() == "x, line 1: column \"a\" is there twice")
        );
        assert!(Csv::read("x", "\u{feff}a,b\n1,2\n".as_bytes()).is_ok_and(|csv| csv.has("a")));
        assert!(Csv::read("x", "a,b\n1\n".as_bytes()).is_err() && Csv::read("x", "".as_bytes()).is_err());
    }
}
