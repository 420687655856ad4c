//! Standard output: lines of JSON for programs; on a terminal laid out for people.

use std::io::{self, IsTerminal, StdoutLock, Write};

use comfy_table::{ContentArrangement, Table, presets};
use console::style;

use crate::failure::Failure;
use crate::pretty;

pub struct Output {
    out: StdoutLock<'static>,
    for_people: bool,
    wants_json: bool,
}

impl Output {
    pub fn new(wants_json: bool) -> Self {
        Self {
            out: io::stdout().lock(),
            for_people: io::stdout().is_terminal() && !wants_json,
            wants_json,
        }
    }

    pub fn is_for_people(&self) -> bool {
        self.for_people
    }

    /// Lines of JSON, also on a terminal.
    pub fn wants_json(&self) -> bool {
        self.wants_json
    }

    /// One line as it is.
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        writeln!(self.out, "{text}").map_err(Failure::output)
    }

    /// A reply, or an event: as it came for a program, indented for a person.
    pub fn json(&mut self, text: &str) -> Result<(), Failure> {
        match self.for_people {
            true => self.line(&pretty::json(text)),
            false => self.line(text),
        }
    }

    /// For people only.
    pub fn table(&mut self, heads: &[&str], rows: Vec<Vec<String>>) -> Result<(), Failure> {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width())
            .set_header(heads.iter().copied())
            .add_rows(rows.into_iter().map(|row| visible(&row)));
        let text = table.to_string();
        let (head, rest) = text.split_once('\n').unwrap_or((&text, ""));
        self.line(&style(head.trim_end()).bold().to_string())?;
        for row in rest.lines() {
            self.line(row.trim_end())?;
        }
        Ok(())
    }

    /// Names and values, one a line, for people only.
    pub fn facts(&mut self, facts: &[(&str, String)]) -> Result<(), Failure> {
        let wide = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in facts {
            let name = style(format!("{name:wide$}")).bold();
            self.line(&format!("{name}  {}", pretty::text(value)))?;
        }
        Ok(())
    }

    pub fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(Failure::output)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn visible(row: &[String]) -> Vec<String> {
    row.iter()
        .map(|cell| pretty::text(cell).into_owned())
        .collect()
}

fn width() -> u16 {
    console::Term::stdout()
        .size_checked()
        .map_or(80, |(_, columns)| columns.max(40))
}
