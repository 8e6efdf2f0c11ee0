//! On which line of a JSON text a member stands that is named by a path such as `rules[3].if.currency`.

/// The line, from 1, of the member, or of the last one on the way to it. The text must be JSON.
pub(super) fn line_of(text: &str, path: &str) -> usize {
    let mut walk = Walk { text: text.as_bytes(), at: 0 };
    let mut found = 0;
    for step in steps(path) {
        let is_there = match step {
            Step::Member(name) => walk.member(name),
            Step::Item(number) => walk.item(number),
        };
        match is_there {
            Some(at) => found = at,
            None => break,
        }
    }
    1 + walk.text.iter().take(found).filter(|byte| **byte == b'\n').count()
}

enum Step<'a> {
    Member(&'a str),
    Item(usize),
}

fn steps(path: &str) -> impl Iterator<Item = Step<'_>> {
    path.split(['.', '[']).map(|part| match part.strip_suffix(']').and_then(|number| number.parse().ok()) {
        Some(number) => Step::Item(number),
        None => Step::Member(part),
    })
}

/// A place in the text: before a value.
struct Walk<'a> {
    text: &'a [u8],
    at: usize,
}

impl Walk<'_> {
    /// Goes before the value of an object's member; answers where its name stands.
    fn member(&mut self, name: &str) -> Option<usize> {
        self.open(b'{')?;
        while self.peek()? == b'"' {
            let begin = self.at;
            self.skip();
            let is_it = self.text.get(begin + 1..self.at - 1) == Some(name.as_bytes());
            self.open(b':')?;
            if is_it {
                return Some(begin);
            }
            self.peek()?;
            self.skip();
            self.open(b',')?;
        }
        None
    }

    /// Goes before an item of an array; answers where it begins.
    fn item(&mut self, number: usize) -> Option<usize> {
        self.open(b'[')?;
        for _ in 0..number {
            self.peek()?;
            self.skip();
            self.open(b',')?;
        }
        self.peek().filter(|byte| *byte != b']').map(|_| self.at)
    }

    /// Goes behind this sign.
    fn open(&mut self, sign: u8) -> Option<()> {
        let is_there = self.peek()? == sign;
        self.at += usize::from(is_there);
        is_there.then_some(())
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at)?.is_ascii_whitespace() {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    /// Goes behind the value that begins here.
    fn skip(&mut self) {
        let (mut depth, mut is_text) = (0usize, false);
        while let Some(byte) = self.text.get(self.at) {
            match byte {
                b'\\' if is_text => self.at += 1,
                b'"' => is_text = !is_text,
                _ if is_text => {}
                b'{' | b'[' => depth += 1,
                b',' | b'}' | b']' if depth == 0 => return,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            let is_over = matches!(byte, b'"' | b'}' | b']') && !is_text && depth == 0;
            if is_over {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{
  "fallback": ["a", "}\"]"],
  "rules": [
    {"if": {"currency": ["EUR"]},
     "use": {"order": ["a"]}},
    {
      "name": "rules",
      "use": {
        "split": [{"account": "a", "percent": 100}]
      }
    }
  ]
}"#;

    #[test]
    fn members_are_found_past_everything_before_them() {
        for (path, line) in [
            ("fallback", 2),
            ("rules", 3),
            ("rules[0]", 4),
            ("rules[0].if.currency", 4),
            ("rules[0].use", 5),
            ("rules[1].name", 7),
            ("rules[1].use.split", 9),
        ] {
            assert_eq!(line_of(TEXT, path), line, "{path}");
        }
    }

    #[test]
    fn what_is_not_there_is_told_by_the_last_that_is() {
        for (path, line) in [("nothing", 1), ("rules[2]", 3), ("rules[1].if.amount", 6), ("rules[0].use.split", 5)] {
            assert_eq!(line_of(TEXT, path), line, "{path}");
        }
        for broken in ["", "{", "{\"rules\"", "{\"rules\":", "[", "\"", "{\"a\":\"\\"] {
            assert_eq!(line_of(broken, "rules[0].use"), 1, "{broken}");
        }
    }
}
