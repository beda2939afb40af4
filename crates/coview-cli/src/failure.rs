//! Why the program ends without success, and with which exit code.

use std::io;
use std::process::ExitCode;

use coview::ErrorKind;

/// A message for the user and the exit code that goes with it. `Cli`'s help lists the codes.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// Something failed: exit code 1.
    pub(crate) fn new(message: impl Into<String>) -> Failure {
        Failure { code: 1, message: message.into() }
    }

    /// The command line makes no sense: exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Failure {
        Failure { code: 2, message: message.into() }
    }

    /// No such object: exit code 3.
    pub(crate) fn not_found(message: impl Into<String>) -> Failure {
        Failure { code: 3, message: message.into() }
    }

    /// The time allowed is over: exit code 7.
    pub(crate) fn timed_out(message: impl Into<String>) -> Failure {
        Failure { code: 7, message: message.into() }
    }

    /// Ctrl-C came before it was done: exit code 130, as shells have it.
    pub(crate) fn interrupted() -> Failure {
        Failure { code: 130, message: "interrupted".into() }
    }

    /// Something of that name is there already: exit code 4.
    pub(crate) fn exists(message: impl Into<String>) -> Failure {
        Failure { code: 4, message: message.into() }
    }

    /// Adds what was going on.
    pub(crate) fn while_doing(mut self, what: &str) -> Failure {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// Adds what follows from it.
    pub(crate) fn and(mut self, what: &str) -> Failure {
        self.message = format!("{}; {what}", self.message);
        self
    }

    /// Tells the user where the answers go; for parts of a demo, whose output is shown by the demo.
    pub(crate) fn report_in_line(&self) -> ExitCode {
        println!("{}", self.message);
        ExitCode::from(self.code)
    }

    /// Tells the user. A closed pipe is the reader's way to say "enough", not a failure.
    pub(crate) fn report(&self) -> ExitCode {
        if self.code == 0 {
            return ExitCode::SUCCESS;
        }
        let red = anstyle::AnsiColor::Red.on_default().bold();
        anstream::eprintln!("{red}coview:{red:#} {}", self.message);
        ExitCode::from(self.code)
    }
}

impl From<coview::Error> for Failure {
    fn from(error: coview::Error) -> Failure {
        let code = match error.kind() {
            ErrorKind::InvalidName | ErrorKind::InvalidInput => 2,
            ErrorKind::NotFound => 3,
            ErrorKind::AlreadyExists => 4,
            ErrorKind::AccessDenied => 5,
            ErrorKind::WrongKind => 6,
            ErrorKind::TimedOut => 7,
            _ => 1,
        };
        Failure { code, message: error.to_string() }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure { code: 0, message: String::new() };
        }
        match error.downcast::<coview::Error>() {
            Ok(ours) => ours.into(),
            Err(other) => Failure::new(other.to_string()),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Failure {
        io::Error::from(error).into()
    }
}
