//! A file of cards as a stream of batches. Nothing is held but the batch that is read.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::Value;
use zeroize::Zeroizing;

use super::line::{Columns, Item, NOTE, Refused, Words};
use crate::failure::Failure;

/// So many lines in a row.
pub(super) struct Batch {
    /// From 0.
    pub(super) number: u64,
    /// How many lines it was cut from.
    pub(super) lines: u64,
    /// The first of them.
    pub(super) first: u64,
    /// Those that are cards.
    pub(super) cards: Vec<Item>,
    /// Those that are not.
    pub(super) refused: Vec<Refused>,
}

/// The lines of a file.
pub(super) struct Lines<'a> {
    source: Source,
    columns: &'a Columns,
    now_ms: u64,
    next: u64,
    line: u64,
}

enum Source {
    Csv { reader: Box<csv::Reader<File>>, header: HashMap<String, usize>, record: csv::StringRecord },
    Json { reader: BufReader<File>, position: u64, line: Zeroizing<Vec<u8>> },
}

impl<'a> Lines<'a> {
    /// Opens a file; one of CSV must have the columns that a card needs.
    pub(super) fn open(path: &Path, is_json: bool, columns: &'a Columns, now_ms: u64) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|error| unreadable(path, error.kind()))?;
        let source = if is_json {
            Source::Json { reader: BufReader::new(file), position: 0, line: Zeroizing::default() }
        } else {
            let mut reader = Box::new(csv::ReaderBuilder::new().flexible(true).from_reader(file));
            let header = reader.headers().map_err(|_| {
                Failure::new(format!("{} has no header of text", path.display()), "its first line names the columns")
            })?;
            let header: HashMap<String, usize> =
                header.iter().enumerate().map(|(place, name)| (name.trim().to_owned(), place)).collect();
            if let Some(missing) = columns.required().find(|column| !header.contains_key(*column)) {
                return Err(Failure::new(
                    format!("{} has no column `{missing}`", path.display()),
                    "say with --map which columns hold number, exp_month and exp_year",
                ));
            }
            Source::Csv { reader, header, record: csv::StringRecord::new() }
        };
        Ok(Self { source, columns, now_ms, next: 0, line: 0 })
    }

    /// How many bytes of the file are read.
    pub(super) fn position(&self) -> u64 {
        match &self.source {
            Source::Csv { reader, .. } => reader.position().byte(),
            Source::Json { position, .. } => *position,
        }
    }

    /// The next lines, at most so many; none at the end.
    pub(super) fn next_batch(&mut self, lines: usize) -> Result<Option<Batch>, Failure> {
        let mut batch =
            Batch { number: self.next, lines: 0, first: 0, cards: Vec::with_capacity(lines), refused: Vec::new() };
        while batch.lines < lines as u64 {
            let Some(read) = self.next_line()? else { break };
            let line = match &read {
                Ok(item) => item.line,
                Err(refused) => refused.line,
            };
            if batch.lines == 0 {
                batch.first = line;
            }
            batch.lines += 1;
            match read {
                Ok(item) => batch.cards.push(item),
                Err(refused) => batch.refused.push(refused),
            }
        }
        self.next += 1;
        Ok((batch.lines > 0).then_some(batch))
    }

    fn next_line(&mut self) -> Result<Option<super::Checked>, Failure> {
        match &mut self.source {
            Source::Csv { reader, header, record } => {
                let line = reader.position().line();
                let wrong = |why: &str| Ok(Some(Err(Refused { line, why: why.to_owned() })));
                match reader.read_record(record) {
                    Ok(false) => return Ok(None),
                    Ok(true) => {}
                    Err(error) if error.is_io_error() => return Err(Failure::of("the file cannot be read any more")),
                    Err(_) => return wrong("the line is not CSV in UTF-8"),
                }
                if record.as_slice().len() > LINE_BYTES_MAX {
                    return wrong("the line has more than 65536 bytes");
                }
                let line = record.position().map_or(line, csv::Position::line);
                Ok(Some(self.columns.item(line, &CsvWords { header, record }, self.now_ms)))
            }
            Source::Json { reader, position, line } => {
                let read = loop {
                    line.clear();
                    let (read, is_whole) = read_line(reader, line)?;
                    *position += read;
                    if read == 0 {
                        return Ok(None);
                    }
                    self.line += 1;
                    if !is_whole {
                        break None;
                    }
                    // An empty line is none.
                    if !line.iter().all(u8::is_ascii_whitespace) {
                        break Some(serde_json::from_slice::<Value>(line));
                    }
                };
                let line = self.line;
                let wrong = |why: &str| Ok(Some(Err(Refused { line, why: why.to_owned() })));
                match read {
                    None => wrong("the line has more than 65536 bytes"),
                    Some(Ok(object @ Value::Object(_))) => {
                        Ok(Some(self.columns.item(line, &JsonWords::of(&object), self.now_ms)))
                    }
                    Some(_) => wrong("the line is not a JSON object"),
                }
            }
        }
    }
}

/// Reads up to a line feed; says how many bytes and whether all of them were kept. What is too long is passed over.
fn read_line(reader: &mut BufReader<File>, line: &mut Zeroizing<Vec<u8>>) -> Result<(u64, bool), Failure> {
    let (mut read, mut is_whole) = (0, true);
    loop {
        let bytes = reader.fill_buf().map_err(|_| Failure::of("the file cannot be read any more"))?;
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let part = end.map_or(bytes, |end| &bytes[..end]);
        is_whole &= line.len() + part.len() <= LINE_BYTES_MAX;
        if is_whole {
            line.extend_from_slice(part);
        }
        let taken = end.map_or(bytes.len(), |end| end + 1);
        read += taken as u64;
        reader.consume(taken);
        if end.is_some() || taken == 0 {
            return Ok((read, is_whole));
        }
    }
}

struct CsvWords<'a> {
    header: &'a HashMap<String, usize>,
    record: &'a csv::StringRecord,
}

impl Words for CsvWords<'_> {
    fn word(&self, column: &str) -> Option<&str> {
        self.record.get(*self.header.get(column)?).map(str::trim).filter(|word| !word.is_empty())
    }

    fn notes(&self) -> Vec<(String, String)> {
        let named = self
            .header
            .keys()
            .filter_map(|column| Some((column.strip_prefix(NOTE)?.to_owned(), self.word(column)?.to_owned())));
        named.collect()
    }
}

/// The words of a JSON object. Numbers are written out, so that a month may be 3 or "3".
struct JsonWords<'a> {
    object: &'a Value,
    numbers: HashMap<String, String>,
}

impl<'a> JsonWords<'a> {
    fn of(object: &'a Value) -> Self {
        let mut numbers = HashMap::new();
        gather(object, String::new(), &mut numbers, 0);
        Self { object, numbers }
    }
}

fn gather(value: &Value, path: String, numbers: &mut HashMap<String, String>, depth: usize) {
    match value {
        Value::Number(number) => {
            numbers.insert(path, number.to_string());
        }
        Value::Object(members) if depth < DEPTH_MAX => {
            for (name, member) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                gather(member, path, numbers, depth + 1);
            }
        }
        _ => {}
    }
}

impl Words for JsonWords<'_> {
    fn word(&self, column: &str) -> Option<&str> {
        let value = column.split('.').try_fold(self.object, |value, name| value.get(name));
        match value.or_else(|| self.object.get(column))? {
            Value::String(text) => Some(text.trim()).filter(|text| !text.is_empty()),
            Value::Number(_) => self.numbers.get(column).map(String::as_str),
            _ => None,
        }
    }

    fn notes(&self) -> Vec<(String, String)> {
        let members = self.object.get("metadata").and_then(Value::as_object);
        let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
        members.into_iter().flatten().filter_map(text).collect()
    }
}

fn unreadable(path: &Path, kind: std::io::ErrorKind) -> Failure {
    Failure::new(format!("{} cannot be opened ({kind})", path.display()), "check the path and its owner")
}

/// Longest line that is looked at, in bytes.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Deepest path of a column.
const DEPTH_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const NOW: u64 = 1_773_532_800_000;

    fn batches(text: &str, is_json: bool, map: &[&str], lines: usize) -> Vec<Batch> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let map: Vec<String> = map.iter().map(|pair| (*pair).to_owned()).collect();
        let columns = Columns::of(&map).unwrap_or_else(|failure| panic!("{failure:?}"));
        let mut read = Lines::open(file.path(), is_json, &columns, NOW).unwrap_or_else(|failure| panic!("{failure:?}"));
        let mut all = Vec::new();
        while let Some(batch) = read.next_batch(lines).unwrap_or_else(|failure| panic!("{failure:?}")) {
            all.push(batch);
        }
        assert_eq!(read.position(), text.len() as u64);
        all
    }

    #[test]
    fn csv_is_cut_by_lines_whether_or_not_they_are_cards() {
        let text = "number,exp_month,exp_year,metadata.order\n4242424242424242,12,2030,7\nnone,12,2030,\n\
                    \"378282246310005\",1,31,\"a, b\"\n";
        let all = batches(text, false, &[], 2);
        let shape: Vec<_> = all.iter().map(|b| (b.number, b.first, b.lines, b.cards.len(), b.refused.len())).collect();
        assert_eq!(shape, [(0, 2, 2, 1, 1), (1, 4, 1, 1, 0)]);
        assert_eq!(all[0].refused[0].line, 3);
        let json = String::from_utf8(all[1].cards[0].json.to_vec()).unwrap();
        assert!(json.contains("\"order\":\"a, b\""), "{json}");
    }

    #[test]
    fn json_lines_may_nest_and_have_numbers() {
        let text = "{\"card\":{\"number\":\"4242424242424242\",\"exp_month\":3,\"exp_year\":2030},\"id\":\"a\",\
                    \"metadata\":{\"k\":\"v\"}}\n\n[1]\nnot json\n{}";
        let map = ["number=card.number", "exp_month=card.exp_month", "exp_year=card.exp_year"];
        let all = batches(text, true, &map, 10);
        assert_eq!((all.len(), all[0].lines, all[0].cards.len()), (1, 4, 1));
        assert_eq!(all[0].refused.iter().map(|refused| refused.line).collect::<Vec<_>>(), [3, 4, 5]);
        assert!(String::from_utf8_lossy(&all[0].cards[0].json).contains("\"k\":\"v\""));
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_and_counted() {
        let card = "{\"number\":\"4242424242424242\",\"exp_month\":3,\"exp_year\":2030}\n";
        let long = format!("{{\"x\":\"{}\"}}\n", "x".repeat(3 * LINE_BYTES_MAX));
        let all = batches(&format!("{card}{long}{card}"), true, &[], 10);
        assert_eq!((all[0].cards.len(), all[0].refused.len()), (2, 1));
        assert_eq!((all[0].refused[0].line, all[0].cards[1].line), (2, 3));
    }

    #[test]
    fn csv_without_a_needed_column_is_refused_at_once() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"pan,month,year\n").unwrap();
        let columns = Columns::of(&["number=pan".to_owned()]).ok().unwrap();
        let refused = Lines::open(file.path(), false, &columns, NOW).err().unwrap();
        assert!(refused.lines()[0].contains("exp_month"));
    }
}
