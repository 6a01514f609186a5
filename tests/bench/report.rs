//! The table the benchmark prints.
//!
//! Called by: `bench`. Talks to: standard output.
//! Invariants: rows come out in the order they were measured.

/// Measured rows.
#[derive(Default)]
pub struct Report {
    rows: Vec<(String, String)>,
}

impl Report {
    /// Adds a measured value and shows it at once, since the whole takes minutes.
    pub fn row(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        eprintln!("measured {name}: {value}");
        self.rows.push((name, value));
    }

    /// Prints the table.
    pub fn print(&self) {
        let width = self.rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, value) in &self.rows {
            println!("{name:width$}  {value}");
        }
        println!("not measured: scanned pages");
    }
}
