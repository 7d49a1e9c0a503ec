//! Translates the syntax of Java's regular expressions to that of the engine we use.
//!
//! In Java `\d`, `\w` and `\s` mean ASCII characters, `.` stops at more line ends, `$` also matches before a last line end, and
//! there are quotations, other escapes and names of classes.

use alloc::format;
use alloc::string::String;
use core::iter::Peekable;
use core::str::Chars;

/// How deep groups and classes may be nested.
const MAX_NESTING: usize = 40;

const LINE_ENDS: &str = r"\n\r\x{85}\x{2028}\x{2029}";
const HORIZONTAL_SPACE: &str = r" \t\x{A0}\x{1680}\x{180e}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}";

/// The pattern in the other syntax, or what is wrong with it.
pub(super) fn translate(source: &str) -> Result<String, String> {
    let mut translator = Translator {
        chars: source.chars().peekable(),
        out: String::with_capacity(source.len() + 16),
        classes: 0,
        groups: 0,
        dot_matches_all: has_flag(source, 's'),
        multiple_lines: has_flag(source, 'm'),
    };
    while let Some(c) = translator.chars.next() {
        translator.next(c)?;
    }
    Ok(translator.out)
}

/// Whether a flag is switched on somewhere; it is then taken to hold everywhere.
fn has_flag(source: &str, flag: char) -> bool {
    source.split("(?").skip(1).any(|rest| {
        let mut flags = rest.chars().take_while(char::is_ascii_alphabetic);
        flags.any(|c| c == flag)
            && rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).starts_with([')', ':', '-'])
    })
}

struct Translator<'a> {
    chars: Peekable<Chars<'a>>,
    out: String,
    /// Nesting of classes at this place.
    classes: usize,
    groups: usize,
    dot_matches_all: bool,
    multiple_lines: bool,
}

impl Translator<'_> {
    fn next(&mut self, c: char) -> Result<(), String> {
        match c {
            '\\' => return self.escape(),
            '[' => {
                self.classes += 1;
                if self.classes + self.groups > MAX_NESTING {
                    return Err(format!("it is nested deeper than {MAX_NESTING} levels"));
                }
                self.out.push('[');
                if self.chars.next_if_eq(&'^').is_some() {
                    self.out.push('^');
                }
                if self.chars.next_if_eq(&']').is_some() {
                    self.out.push_str(r"\]");
                }
            }
            ']' if self.classes > 0 => {
                self.classes -= 1;
                self.out.push(']');
            }
            '-' if self.classes > 0 => {
                self.out.push('-');
                if self.chars.next_if_eq(&'-').is_some() {
                    self.out.push_str(r"\-");
                }
            }
            '~' if self.classes > 0 => self.out.push_str(r"\~"),
            _ if self.classes > 0 => self.out.push(c),
            '(' => {
                self.groups += 1;
                if self.groups > MAX_NESTING {
                    return Err(format!("it is nested deeper than {MAX_NESTING} levels"));
                }
                self.out.push('(');
            }
            ')' => {
                self.groups = self.groups.saturating_sub(1);
                self.out.push(')');
            }
            '.' if !self.dot_matches_all => self.class("^", LINE_ENDS),
            '$' if !self.multiple_lines => {
                self.out.push_str(r"(?=(?:\r\n|[");
                self.out.push_str(LINE_ENDS);
                self.out.push_str(r"])?\z)");
            }
            _ => self.out.push(c),
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        let c = self.chars.next().ok_or("nothing follows the last backslash")?;
        match c {
            'Q' => self.quotation(),
            'd' => self.class("", "0-9"),
            'D' => self.class("^", "0-9"),
            'w' => self.class("", "a-zA-Z_0-9"),
            'W' => self.class("^", "a-zA-Z_0-9"),
            's' => self.class("", r" \t\n\x0B\x0C\r"),
            'S' => self.class("^", r" \t\n\x0B\x0C\r"),
            'h' => self.class("", HORIZONTAL_SPACE),
            'H' => self.class("^", HORIZONTAL_SPACE),
            'v' => self.class("", r"\n\x0B\x0C\r\x{85}\x{2028}\x{2029}"),
            'V' => self.class("^", r"\n\x0B\x0C\r\x{85}\x{2028}\x{2029}"),
            'p' | 'P' => return self.property(c == 'P'),
            't' | 'r' | 'n' => {
                self.out.push('\\');
                self.out.push(c);
            }
            'f' => self.out.push_str(r"\x0C"),
            'a' => self.out.push_str(r"\x07"),
            'e' => self.out.push_str(r"\x1B"),
            'u' => return self.code(4, 16),
            'x' if self.chars.next_if_eq(&'{').is_some() => {
                let digits: String = self.chars.by_ref().take_while(|c| *c != '}').collect();
                return self.character(&digits, 16);
            }
            'x' => return self.code(2, 16),
            '0' => {
                let mut digits = String::new();
                while let Some(digit) = self.chars.next_if(|c| ('0'..='7').contains(c) && digits.len() < 3) {
                    digits.push(digit);
                }
                return self.character(&digits, 8);
            }
            'c' => {
                let control = self.chars.next().ok_or("a character must follow \\c")?;
                return self.character(&format!("{:x}", u32::from(control) ^ 64), 16);
            }
            'R' | 'b' | 'B' | 'A' | 'z' | 'Z' | 'k' | '1'..='9' if self.classes > 0 => {
                return Err(format!("\\{c} has no meaning within brackets"));
            }
            'R' => self.out.push_str(r"(?:\r\n|[\n\x0B\x0C\r\x{85}\x{2028}\x{2029}])"),
            'Z' => {
                self.out.push_str(r"(?=(?:\r\n|[");
                self.out.push_str(LINE_ENDS);
                self.out.push_str(r"])?\z)");
            }
            'b' | 'B' | 'A' | 'z' | '1'..='9' => {
                self.out.push('\\');
                self.out.push(c);
            }
            'k' => self.out.push_str(r"\k"),
            c if c.is_ascii_alphanumeric() => return Err(format!("\\{c} is not supported")),
            c => self.literal(c),
        }
        Ok(())
    }

    /// A class of characters, within brackets or not.
    fn class(&mut self, negation: &str, members: &str) {
        self.out.push('[');
        self.out.push_str(negation);
        self.out.push_str(members);
        self.out.push(']');
    }

    fn quotation(&mut self) {
        while let Some(c) = self.chars.next() {
            if c == '\\' && self.chars.next_if_eq(&'E').is_some() {
                return;
            }
            self.literal(c);
        }
    }

    fn literal(&mut self, c: char) {
        if c.is_ascii_punctuation() || c == ' ' {
            self.out.push('\\');
        }
        self.out.push(c);
    }

    fn code(&mut self, length: usize, radix: u32) -> Result<(), String> {
        let digits: String = self.chars.by_ref().take(length).collect();
        if digits.len() < length {
            return Err(format!("{length} digits are expected instead of {digits:?}"));
        }
        self.character(&digits, radix)
    }

    fn character(&mut self, digits: &str, radix: u32) -> Result<(), String> {
        match u32::from_str_radix(digits, radix).ok().and_then(char::from_u32) {
            Some(c) => {
                self.out.push_str(&format!(r"\x{{{:x}}}", u32::from(c)));
                Ok(())
            }
            None => Err(format!("{digits:?} is no code of a character")),
        }
    }

    fn property(&mut self, negated: bool) -> Result<(), String> {
        let name: String = if self.chars.next_if_eq(&'{').is_some() {
            self.chars.by_ref().take_while(|c| *c != '}').collect()
        } else {
            self.chars.next().into_iter().collect()
        };
        let negation = if negated { "^" } else { "" };
        match name.as_str() {
            "Lower" => self.class(negation, "a-z"),
            "Upper" => self.class(negation, "A-Z"),
            "ASCII" => self.class(negation, r"\x00-\x7F"),
            "Alpha" => self.class(negation, "a-zA-Z"),
            "Digit" => self.class(negation, "0-9"),
            "Alnum" => self.class(negation, "a-zA-Z0-9"),
            "Punct" => self.class(negation, r"!-/:-@\[-`{-\~"),
            "Graph" => self.class(negation, r"!-\~"),
            "Print" => self.class(negation, r"\x20-\~"),
            "Blank" => self.class(negation, r" \t"),
            "Cntrl" => self.class(negation, r"\x00-\x1F\x7F"),
            "XDigit" => self.class(negation, "0-9a-fA-F"),
            "Space" => self.class(negation, r" \t\n\x0B\x0C\r"),
            "javaLowerCase" => self.class(negation, r"\p{Lowercase}"),
            "javaUpperCase" => self.class(negation, r"\p{Uppercase}"),
            "javaWhitespace" => self.class(negation, r"\p{White_Space}"),
            name => {
                let name = name.strip_prefix("Is").unwrap_or(name);
                if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '=') {
                    return Err(format!("{name:?} is no class of characters"));
                }
                self.class(negation, &format!(r"\p{{{name}}}"));
            }
        }
        Ok(())
    }
}
