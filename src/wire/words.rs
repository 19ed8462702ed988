//! Command lines as a shell reads them: words, quotes, escapes and comments, but no expansion.
//!
//! ```text
//! 'text'      each character as it is, a newline too
//! "text"      the same, but \ quotes " \ $ ` and joins a line with the next
//! $'text'     \n \t \xff \377 \u20ac … as in bash, for any byte
//! \c          the character c as it is; at the end of a line, the next line goes on
//! # …         at the beginning of a word, a comment to the end of the line
//! ```
//!
//! Every other character stands for itself. The input may come in pieces of any size, and no byte
//! of it is looked at twice.

/// What stands in one command: its words, any bytes each.
pub type Words = Vec<Vec<u8>>;

/// Reads commands from pieces of input.
#[derive(Debug, Default)]
pub struct Splitter {
    state: State,
    words: Words,
    /// The word that was begun; quotes begin one even if nothing is in them.
    word: Option<Vec<u8>>,
    /// Newlines seen so far.
    lines: u64,
    /// The line on which the present command begins.
    begun: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Plain,
    Escape,
    Single,
    Double,
    DoubleEscape,
    Dollar,
    Ansi,
    AnsiEscape,
    /// Digits of an escape: the base, how many more there may be, and their value so far.
    Digits {
        base: u32,
        left: u8,
        value: u32,
        is_char: bool,
    },
    Control,
    Comment,
}

/// A command, and the number of the line on which it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Counted from 1.
    pub number: u64,
    /// At least one.
    pub words: Words,
}

impl Splitter {
    /// Reads on. Returns how many bytes were read, and a command if one ended with them; more may
    /// be in the rest.
    pub fn feed(&mut self, input: &[u8]) -> (usize, Option<Line>) {
        for (at, &byte) in input.iter().enumerate() {
            let ended = self.take(byte);
            self.lines += u64::from(byte == b'\n');
            if ended && let Some(line) = self.end() {
                return (at + 1, Some(line));
            }
        }
        (input.len(), None)
    }

    /// Ends the input. Returns the last command, if no newline ended it.
    ///
    /// # Errors
    ///
    /// [`Unclosed`] if a quote was not closed, or the last byte is a backslash.
    pub fn finish(&mut self) -> Result<Option<Line>, Unclosed> {
        match self.state {
            State::Plain | State::Comment | State::Dollar => {
                self.resolve_dollar();
                Ok(self.end())
            }
            state => Err(Unclosed {
                number: self.begun.unwrap_or(self.lines + 1),
                is_quote: state != State::Escape,
            }),
        }
    }

    fn end(&mut self) -> Option<Line> {
        self.state = State::Plain;
        self.words.extend(self.word.take());
        let number = self.begun.take().unwrap_or(self.lines);
        let words = std::mem::take(&mut self.words);
        (!words.is_empty()).then_some(Line { number, words })
    }

    fn word(&mut self) -> &mut Vec<u8> {
        self.begun.get_or_insert(self.lines + 1);
        self.word.get_or_insert_default()
    }

    /// Writes the dollar that turned out to begin nothing.
    fn resolve_dollar(&mut self) {
        if self.state == State::Dollar {
            self.word().push(b'$');
            self.state = State::Plain;
        }
    }

    /// Takes one byte; returns true if it ends a command.
    fn take(&mut self, byte: u8) -> bool {
        if self.state == State::Dollar {
            if byte == b'\'' {
                self.word();
                self.state = State::Ansi;
                return false;
            }
            self.resolve_dollar();
        }
        if let State::Digits {
            base,
            left,
            value,
            is_char,
        } = self.state
        {
            match char::from(byte).to_digit(base) {
                Some(digit) if left > 0 => {
                    let value = value.wrapping_mul(base).wrapping_add(digit);
                    self.state = State::Digits {
                        base,
                        left: left - 1,
                        value,
                        is_char,
                    };
                    return false;
                }
                _ => self.end_digits(value, is_char),
            }
        }
        match (self.state, byte) {
            (State::Plain, b'\n') => return true,
            (State::Plain, b' ' | b'\t' | b'\r') => self.words.extend(self.word.take()),
            (State::Plain, b'#') if self.word.is_none() => self.state = State::Comment,
            (State::Plain, b'\\') => self.state = State::Escape,
            (State::Plain, b'\'') => self.open(State::Single),
            (State::Plain, b'"') => self.open(State::Double),
            (State::Plain, b'$') => self.state = State::Dollar,
            (State::Escape | State::DoubleEscape, b'\n') => self.state = self.outside(),
            (State::Escape, _) => self.push(byte, State::Plain),
            (State::Single, b'\'') | (State::Double, b'"') | (State::Ansi, b'\'') => {
                self.state = State::Plain;
            }
            (State::Double, b'\\') => self.state = State::DoubleEscape,
            (State::DoubleEscape, b'"' | b'\\' | b'$' | b'`') => self.push(byte, State::Double),
            (State::DoubleEscape, _) => {
                self.word().push(b'\\');
                self.push(byte, State::Double);
            }
            (State::Ansi, b'\\') => self.state = State::AnsiEscape,
            (State::AnsiEscape, _) => self.ansi_escape(byte),
            (State::Control, _) => self.push(byte & 0x1f, State::Ansi),
            (State::Comment, b'\n') => return true,
            (State::Comment, _) => {}
            (state, _) => self.push(byte, state),
        }
        false
    }

    fn outside(&self) -> State {
        if self.state == State::Escape {
            State::Plain
        } else {
            State::Double
        }
    }

    fn open(&mut self, state: State) {
        self.word();
        self.state = state;
    }

    fn push(&mut self, byte: u8, next: State) {
        self.word().push(byte);
        self.state = next;
    }

    fn ansi_escape(&mut self, byte: u8) {
        let digits = |base, left, value, is_char| State::Digits {
            base,
            left,
            value,
            is_char,
        };
        let plain = match byte {
            b'a' => 0x07,
            b'b' => 0x08,
            b'e' | b'E' => 0x1b,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            b'\\' | b'\'' | b'"' | b'?' => byte,
            b'c' => return self.state = State::Control,
            b'x' => return self.state = digits(16, 2, 0, false),
            b'u' => return self.state = digits(16, 4, 0, true),
            b'U' => return self.state = digits(16, 8, 0, true),
            b'0'..=b'7' => return self.state = digits(8, 2, u32::from(byte - b'0'), false),
            _ => {
                self.word().push(b'\\');
                byte
            }
        };
        self.push(plain, State::Ansi);
    }

    /// Writes what digits stand for: one byte, or one character as UTF-8.
    fn end_digits(&mut self, value: u32, is_char: bool) {
        if is_char {
            let c = char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER);
            let mut utf8 = [0; 4];
            let utf8 = c.encode_utf8(&mut utf8).as_bytes();
            self.word().extend_from_slice(utf8);
        } else {
            self.word().push(value.to_le_bytes()[0]);
        }
        self.state = State::Ansi;
    }
}

/// A quote was not closed before the input ended, or nothing is behind a backslash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", if *.is_quote { "a quote is not closed" } else { "nothing is behind the backslash at its end" })]
pub struct Unclosed {
    /// The line on which the command begins, counted from 1.
    pub number: u64,
    is_quote: bool,
}
