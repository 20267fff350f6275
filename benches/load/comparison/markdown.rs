//! Tables in Markdown.

use std::fmt::Write;

/// Returns a table. The first row is the heading.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_table(&mut text, rows);
    text
}

fn write_table(text: &mut String, table: &[Vec<String>]) -> std::fmt::Result {
    let columns = table.first().map_or(0, Vec::len);
    let widths: Vec<usize> =
        (0..columns).map(|column| table.iter().map(|row| row[column].len()).max().unwrap_or(0)).collect();
    for (index, row) in table.iter().enumerate() {
        for (cell, &width) in row.iter().zip(&widths) {
            write!(text, "| {cell:width$} ")?;
        }
        writeln!(text, "|")?;
        if index == 0 {
            for width in &widths {
                write!(text, "| {:-<width$} ", "")?;
            }
            writeln!(text, "|")?;
        }
    }
    Ok(())
}
