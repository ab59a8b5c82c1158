//! A query's words, as Prometheus's lexer cuts them, and its complaints about what is none.

use super::Fault;

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    End,
    /// Brackets, comma, colon, `=`, `@`.
    Mark,
    Operator,
    Keyword,
    Aggregator,
    Identifier,
    /// An identifier with a colon.
    Metric,
    Number,
    Duration,
    Text,
}

/// A word and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    pub(super) at: usize,
}

impl Word<'_> {
    pub(super) fn is(&self, text: &str) -> bool {
        self.kind != Kind::Text && self.text.eq_ignore_ascii_case(text)
    }

    /// Names it as Prometheus's messages do.
    pub(super) fn description(&self) -> String {
        let text = self.text;
        let cut = || match text.char_indices().nth(10) {
            Some((end, _)) => format!("{:?}...", &text[..end]),
            None => format!("{text:?}"),
        };
        match self.kind {
            Kind::End => "end of input".to_owned(),
            Kind::Mark => format!("{text:?}"),
            Kind::Operator => format!("<op:{text}>"),
            Kind::Keyword => format!("<{text}>"),
            Kind::Aggregator => format!("<aggr:{text}>"),
            Kind::Identifier => format!("identifier {text:?}"),
            Kind::Metric => format!("metric identifier {text:?}"),
            Kind::Number => format!("number {}", cut()),
            Kind::Duration => format!("duration {}", cut()),
            Kind::Text => format!("string {}", cut()),
        }
    }
}

/// Cuts a query into words, one at a time.
pub(super) struct Words<'a> {
    query: &'a str,
    at: usize,
    parens: usize,
    in_braces: bool,
    in_bracket: bool,
    had_colon: bool,
}

const AGGREGATORS: [&str; 14] = [
    "sum",
    "avg",
    "count",
    "min",
    "max",
    "group",
    "stddev",
    "stdvar",
    "topk",
    "bottomk",
    "count_values",
    "quantile",
    "limitk",
    "limit_ratio",
];
const KEYWORDS: [&str; 8] = ["by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset"];

fn fault<T>(at: usize, text: impl Into<String>) -> Result<T, Fault> {
    Err(Fault { at, text: text.into() })
}

impl<'a> Words<'a> {
    pub(super) const fn new(query: &'a str) -> Self {
        Self { query, at: 0, parens: 0, in_braces: false, in_bracket: false, had_colon: false }
    }

    /// Gives the next word.
    pub(super) fn next(&mut self) -> Result<Word<'a>, Fault> {
        self.skip_blanks();
        let (at, query) = (self.at, self.query);
        let Some(char) = self.peek() else { return self.end() };
        match char {
            '"' | '\'' | '`' => self.quoted(char),
            _ if self.in_braces => self.inside_braces(char),
            ',' | '@' => Ok(self.word(Kind::Mark, 1)),
            '*' | '/' | '%' | '^' | '+' | '-' => Ok(self.word(Kind::Operator, 1)),
            '(' => {
                self.parens += 1;
                Ok(self.word(Kind::Mark, 1))
            }
            ')' if self.parens == 0 => fault(at + 1, "unexpected right parenthesis ')'"),
            ')' => {
                self.parens -= 1;
                Ok(self.word(Kind::Mark, 1))
            }
            ']' if self.in_bracket => {
                (self.in_bracket, self.had_colon) = (false, false);
                Ok(self.word(Kind::Mark, 1))
            }
            ']' => fault(at, "unexpected right bracket ']'"),
            '[' if self.in_bracket => fault(at, "unexpected left bracket '['"),
            '[' => {
                (self.in_bracket, self.had_colon) = (true, false);
                let word = self.word(Kind::Mark, 1);
                self.skip_blanks();
                match self.peek() {
                    None => fault(self.at, "unexpected end of input in duration expression"),
                    Some(char) if is_alpha(char) || !(char.is_ascii_digit() || "().]:+-*/%^,".contains(char)) => {
                        fault(self.at, format!("unexpected character in duration expression: {char:?}"))
                    }
                    Some(_) => Ok(word),
                }
            }
            ':' if self.in_bracket && !self.had_colon => {
                self.had_colon = true;
                Ok(self.word(Kind::Mark, 1))
            }
            _ if self.in_bracket && (is_alpha(char) || char == ':') => fault(at, format!("unexpected colon {char:?}")),
            '{' => {
                self.in_braces = true;
                Ok(self.word(Kind::Mark, 1))
            }
            '=' | '!' | '<' | '>' => self.comparison(char),
            _ if char.is_ascii_digit() => self.number(),
            '.' if query[at + 1..].starts_with(|next: char| next.is_ascii_digit()) => self.number(),
            _ if is_alpha(char) || char == ':' => Ok(self.name()),
            _ => fault(at, format!("unexpected character: {char:?}")),
        }
    }

    fn peek(&self) -> Option<char> {
        self.query[self.at..].chars().next()
    }

    fn word(&mut self, kind: Kind, length: usize) -> Word<'a> {
        let at = self.at;
        self.at += length;
        Word { kind, text: &self.query[at..self.at], at }
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = &self.query[self.at..];
            let blanks = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
            self.at += blanks;
            if self.in_braces || !self.query[self.at..].starts_with('#') {
                return;
            }
            let rest = &self.query[self.at..];
            self.at += rest.find('\n').unwrap_or(rest.len());
        }
    }

    fn end(&self) -> Result<Word<'a>, Fault> {
        if self.in_braces {
            return fault(self.at, "unexpected end of input inside braces");
        }
        if self.parens > 0 {
            return fault(self.at, "unclosed left parenthesis");
        }
        if self.in_bracket {
            return fault(self.at, "unclosed left bracket");
        }
        Ok(Word { kind: Kind::End, text: "", at: self.at })
    }

    fn comparison(&mut self, char: char) -> Result<Word<'a>, Fault> {
        let next = self.query[self.at + 1..].chars().next();
        match (char, next) {
            ('=' | '!' | '<' | '>', Some('=')) => Ok(self.word(Kind::Operator, 2)),
            ('=', Some('~')) => fault(self.at, "unexpected character after '=': '~'"),
            ('=', _) => Ok(self.word(Kind::Mark, 1)),
            ('<' | '>', _) => Ok(self.word(Kind::Operator, 1)),
            (_, next) => fault(self.at, format!("unexpected character after '!': {:?}", next.unwrap_or('\u{fffd}'))),
        }
    }

    fn inside_braces(&mut self, char: char) -> Result<Word<'a>, Fault> {
        let next = self.query[self.at + char.len_utf8()..].chars().next();
        match (char, next) {
            _ if is_alpha(char) => {
                let rest = &self.query[self.at..];
                let length = rest.find(|char| !is_alphanumeric(char)).unwrap_or(rest.len());
                Ok(self.word(Kind::Identifier, length))
            }
            (',', _) => Ok(self.word(Kind::Mark, 1)),
            ('=', Some('~')) | ('!', Some('~' | '=')) => Ok(self.word(Kind::Operator, 2)),
            ('=', _) => Ok(self.word(Kind::Mark, 1)),
            ('!', next) => {
                let next = next.unwrap_or('\u{fffd}');
                fault(self.at, format!("unexpected character after '!' inside braces: {next:?}"))
            }
            ('{', _) => fault(self.at, "unexpected left brace '{'"),
            ('}', _) => {
                self.in_braces = false;
                Ok(self.word(Kind::Mark, 1))
            }
            _ => fault(self.at, format!("unexpected character inside braces: {char:?}")),
        }
    }

    fn name(&mut self) -> Word<'a> {
        let rest = &self.query[self.at..];
        let length = rest.find(|char| !is_alphanumeric(char) && char != ':').unwrap_or(rest.len());
        let lower = rest[..length].to_ascii_lowercase();
        let kind = match lower.as_str() {
            "inf" | "nan" => Kind::Number,
            "and" | "or" | "unless" | "atan2" => Kind::Operator,
            "start" | "end" => Kind::Mark,
            name if AGGREGATORS.contains(&name) => Kind::Aggregator,
            name if KEYWORDS.contains(&name) => Kind::Keyword,
            name if name.contains(':') => Kind::Metric,
            _ => Kind::Identifier,
        };
        self.word(kind, length)
    }

    /// Reads a number or a span of time.
    fn number(&mut self) -> Result<Word<'a>, Fault> {
        let rest = &self.query[self.at..];
        let ends = |length: usize| !rest[length..].starts_with(is_alphanumeric);
        let length = numeral(rest);
        if ends(length) {
            if rest[..length].ends_with(['e', 'E', 'x', 'X']) {
                return fault(self.at, format!("bad number or duration syntax: {:?}", &rest[..length]));
            }
            if !rest.starts_with("0x")
                && !rest.starts_with("0X")
                && rest[..length].replace('_', "").parse::<f64>().is_err()
            {
                let reason = format!("strconv.ParseFloat: parsing {:?}: invalid syntax", &rest[..length]);
                return fault(self.at, format!("error parsing number: {reason}"));
            }
            return Ok(self.word(Kind::Number, length));
        }
        let mut at = length;
        // Units come in falling order, each once.
        let mut units = ["y", "w", "d", "h", "m", "s", "ms"].as_slice();
        loop {
            let fits = |unit: &&str| rest[at..].starts_with(*unit) && (*unit != "m" || !rest[at..].starts_with("ms"));
            let Some(place) = units.iter().position(fits) else {
                return fault(self.at, format!("bad number or duration syntax: {:?}", &rest[..at]));
            };
            at += units[place].len();
            units = &units[place + 1..];
            let digits = rest[at..].len() - rest[at..].trim_start_matches(|char: char| char.is_ascii_digit()).len();
            if digits == 0 {
                break;
            }
            at += digits;
        }
        if ends(at) {
            return Ok(self.word(Kind::Duration, at));
        }
        let beyond = rest[at..].chars().next().map_or(0, char::len_utf8);
        fault(self.at, format!("bad number or duration syntax: {:?}", &rest[..at + beyond]))
    }

    /// Reads a quoted text; the word has its quotes.
    fn quoted(&mut self, quote: char) -> Result<Word<'a>, Fault> {
        let rest = &self.query[self.at..];
        let mut chars = rest.char_indices().skip(1);
        while let Some((at, char)) = chars.next() {
            match char {
                _ if char == quote => return Ok(self.word(Kind::Text, at + 1)),
                '\n' if quote != '`' => break,
                '\\' if quote != '`' => {
                    if let Some(text) = wrong_escape(&rest[at + 1..], quote) {
                        return fault(self.at, text);
                    }
                    chars.next();
                }
                _ => {}
            }
        }
        fault(self.at, if quote == '`' { "unterminated raw string" } else { "unterminated quoted string" })
    }
}

/// Says what is wrong with what follows a backslash, if anything is.
fn wrong_escape(rest: &str, quote: char) -> Option<String> {
    let named = |char: char| format!("U+{:04X} {char:?}", u32::from(char));
    let Some(first) = rest.chars().next() else { return Some("escape sequence not terminated".to_owned()) };
    let (digits, radix, most) = match first {
        '0'..='7' => (rest, 8, 0xff),
        'x' => (&rest[1..], 16, 0xff),
        'u' | 'U' => (&rest[1..], 16, 0x0010_ffff),
        _ if "abfnrtv\\".contains(first) || first == quote => return None,
        _ => return Some(format!("unknown escape sequence {}", named(first))),
    };
    let length = match first {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => 3,
    };
    let mut value = 0_u32;
    for at in 0..length {
        let Some(char) = digits.chars().nth(at) else { return Some("escape sequence not terminated".to_owned()) };
        match char.to_digit(radix) {
            Some(digit) => value = value.saturating_mul(radix).saturating_add(digit),
            None => return Some(format!("illegal character {} in escape sequence", named(char))),
        }
    }
    (value > most).then(|| "escape sequence is an invalid Unicode code point".to_owned())
}

/// Gives how long the number at the start of a text is.
fn numeral(text: &str) -> usize {
    let bytes = text.as_bytes();
    let is_hex = bytes.len() > 1 && bytes[0] == b'0' && matches!(bytes[1], b'x' | b'X');
    let mut at = if is_hex { 2 } else { 0 };
    while let Some(&byte) = bytes.get(at) {
        let is_exponent = !is_hex && matches!(byte, b'e' | b'E');
        match byte {
            _ if is_exponent => at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-'))),
            b'0'..=b'9' | b'_' | b'.' => at += 1,
            _ if is_hex && byte.is_ascii_hexdigit() => at += 1,
            _ => break,
        }
    }
    at
}

const fn is_alpha(char: char) -> bool {
    char == '_' || char.is_ascii_alphabetic()
}

const fn is_alphanumeric(char: char) -> bool {
    is_alpha(char) || char.is_ascii_digit()
}
