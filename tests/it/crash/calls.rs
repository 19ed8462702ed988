//! What strace writes of a run: its system calls, in the order in which they ended.

use std::collections::HashMap;

/// A system call that has returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub name: String,
    pub args: Vec<String>,
    /// What it returned; negative if it failed.
    pub ret: i64,
}

/// Reads a log of `strace -f -y -xx`. A call in which its process died has no result and is left
/// out: strace kills before the call is carried out.
///
/// # Panics
///
/// Where a line is none of strace's: nothing of the log may be passed over.
pub fn read(text: &str) -> Vec<Call> {
    let mut begun: HashMap<&str, String> = HashMap::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let (pid, rest) = line.split_once(' ').unwrap_or_else(|| no_call(line));
        let rest = rest.trim_start();
        if rest.starts_with("+++") || rest.starts_with("---") {
            continue;
        }
        if let Some(head) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(pid, head.to_owned());
            continue;
        }
        let whole = match rest.strip_prefix("<... ") {
            Some(resumed) => {
                let (_, tail) = resumed
                    .split_once(" resumed>")
                    .unwrap_or_else(|| no_call(line));
                begun.remove(pid).unwrap_or_else(|| no_call(line)) + tail
            }
            None => rest.to_owned(),
        };
        calls.extend(parse(&whole));
    }
    calls
}

fn no_call(line: &str) -> ! {
    panic!("no line of strace: {line}")
}

fn parse(line: &str) -> Option<Call> {
    let (name, rest) = line.split_once('(').unwrap_or_else(|| no_call(line));
    let (args, ret) = rest.rsplit_once(" = ").unwrap_or_else(|| no_call(line));
    let args = args.trim_end();
    let args = args.strip_suffix(')').unwrap_or_else(|| no_call(line));
    let number = ret.split([' ', '<']).next().unwrap_or_default();
    let ret = match number.strip_prefix("0x") {
        _ if number == "?" => return None,
        Some(digits) => i64::from_str_radix(digits, 16).unwrap_or(i64::MAX),
        None => number.parse().unwrap_or_else(|_| no_call(line)),
    };
    Some(Call {
        name: name.to_owned(),
        args: split(args),
        ret,
    })
}

/// Cuts arguments apart: at commas that are in no brackets. With `-xx` no string has any.
fn split(args: &str) -> Vec<String> {
    let mut depth = 0;
    let mut all = vec![String::new()];
    for c in args.chars() {
        match c {
            '{' | '[' | '(' | '<' => depth += 1,
            // What is shifted in a constant is no bracket.
            '}' | ']' | ')' | '>' => depth -= 1,
            ',' if depth == 0 => {
                all.push(String::new());
                continue;
            }
            _ => {}
        }
        all.last_mut().expect("there is a first").push(c);
    }
    all.iter().map(|arg| arg.trim().to_owned()).collect()
}

impl Call {
    pub fn arg(&self, n: usize) -> &str {
        self.args.get(n).unwrap_or_else(|| panic!("{n}: {self:?}"))
    }

    pub fn number(&self, n: usize) -> u64 {
        let arg = self.arg(n);
        arg.parse().unwrap_or_else(|_| panic!("{n}: {self:?}"))
    }

    /// Returns an argument that strace shows as octal digits.
    pub fn mode(&self, n: usize) -> u32 {
        let arg = self.arg(n);
        u32::from_str_radix(arg, 8).unwrap_or_else(|_| panic!("{n}: {self:?}"))
    }

    /// Returns the bytes of a string.
    pub fn bytes(&self, n: usize) -> Vec<u8> {
        let arg = self.arg(n);
        let inner = arg.strip_prefix('"').and_then(|arg| arg.strip_suffix('"'));
        unescape(inner.unwrap_or_else(|| panic!("{n} is not whole: {self:?}")))
    }

    /// Returns the number of a descriptor, and the path of what it stands for.
    pub fn fd(&self, n: usize) -> (&str, String) {
        let wrong = || -> ! { panic!("{n} is no descriptor: {self:?}") };
        let (number, rest) = self.arg(n).split_once('<').unwrap_or_else(|| wrong());
        let path = rest.trim_end_matches("(deleted)");
        let path = path.strip_suffix('>').unwrap_or_else(|| wrong());
        (number, String::from_utf8(unescape(path)).unwrap())
    }

    /// Returns the path that a directory and a path in it make.
    pub fn path(&self, dir: usize, path: usize) -> String {
        let path = String::from_utf8(self.bytes(path)).unwrap();
        if path.starts_with('/') {
            return path;
        }
        assert!(!self.arg(dir).ends_with("(deleted)"), "{self:?}");
        format!("{}/{path}", self.fd(dir).1)
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let Some(digits) = text.strip_prefix("\\x") else {
        return text.as_bytes().to_vec();
    };
    let byte = |digits| u8::from_str_radix(digits, 16).unwrap_or_else(|_| no_call(text));
    digits.split("\\x").map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_in_the_order_in_which_they_end() {
        let log = "7 write(3<\\x2f\\x61>, \"\\x68\\x69\", 2 <unfinished ...>\n\
                   8 unlinkat(4<\\x2f>, \"\\x62\", 0) = -1 ENOENT (No such file)\n\
                   7 <... write resumed>) = 2\n\
                   7 fsync(3<\\x2f\\x61>(deleted)) = ?\n\
                   7 +++ killed by SIGKILL +++\n";
        let calls = read(log);
        let names: Vec<_> = calls
            .iter()
            .map(|call| (&call.name[..], call.ret))
            .collect();
        assert_eq!(names, [("unlinkat", -1), ("write", 2)]);
        assert_eq!(calls[0].path(0, 1), "//b");
        assert_eq!(calls[1].bytes(1), b"hi");
        assert_eq!(calls[1].fd(0), ("3", "/a".to_owned()));
    }

    #[test]
    #[should_panic(expected = "no line of strace")]
    fn nothing_is_passed_over() {
        read("7 what is this");
    }
}
