//! Where steps run, and how they start programs.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::step::Error;
use crate::workspace_root;

/// What a step knows of its surroundings.
pub(super) struct Context {
    root: PathBuf,
    /// This program, by the path it was started with: cargo may put another in its place.
    program: PathBuf,
    /// Where a step's output goes that runs beside others.
    log: Option<File>,
    publishing: bool,
}

impl Context {
    /// For steps that print to the terminal.
    pub(super) fn new(publishing: bool) -> Result<Self, Error> {
        let program = std::env::current_exe().map_err(Error::io("this program"))?;
        Ok(Self {
            root: workspace_root(),
            program,
            log: None,
            publishing,
        })
    }

    /// The same, but what is printed goes to a file.
    pub(super) fn logging_to(&self, log: File) -> Self {
        Self {
            root: self.root.clone(),
            program: self.program.clone(),
            log: Some(log),
            publishing: self.publishing,
        }
    }

    /// Whether a release will follow.
    pub(super) fn publishing(&self) -> bool {
        self.publishing
    }

    /// A path in the workspace.
    pub(super) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.join(path)
    }

    /// The folder that cargo builds into.
    pub(super) fn target(&self) -> PathBuf {
        match std::env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => self.root.join(folder),
            None => self.root.join("target"),
        }
    }

    /// Prints a line.
    pub(super) fn say(&self, text: &str) {
        use std::io::Write;
        match &self.log {
            // What cannot be written to the log is only output.
            Some(log) => {
                let mut log: &File = log;
                let _ = writeln!(log, "{text}");
            }
            None => println!("{text}"),
        }
    }

    /// Cargo, in the workspace.
    pub(super) fn cargo<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(arguments).current_dir(&self.root);
        command
    }

    /// Cargo of another toolchain: rustup's, which alone knows them.
    pub(super) fn cargo_of(&self, toolchain: &str) -> Command {
        let mut command = Command::new("cargo");
        // Cargo tells its children which toolchain it is of.
        command
            .env_remove("RUSTUP_TOOLCHAIN")
            .arg(format!("+{toolchain}"));
        command.current_dir(&self.root);
        command
    }

    /// Another of this program's commands.
    pub(super) fn xtask(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(&self.root);
        command
    }

    /// Python with TensorFlow's runtimes, as `.ci/run tools` installs it.
    pub(super) fn python(&self) -> PathBuf {
        self.path("target/ci/venv/bin/python")
    }

    /// Runs a program, shows what it prints, and returns its exit status.
    pub(super) fn status(&self, command: &mut Command) -> Result<Option<i32>, Error> {
        self.say(&format!("$ {}", line(command)));
        if let Some(log) = &self.log {
            let copy = || log.try_clone().map_err(Error::io("the step's log"));
            command.stdout(copy()?).stderr(copy()?);
        }
        let status = command.stdin(Stdio::null()).status();
        Ok(status.map_err(|source| start(command, source))?.code())
    }

    /// Runs a program that must end well.
    pub(super) fn run(&self, command: &mut Command) -> Result<(), Error> {
        match self.status(command)? {
            Some(0) => Ok(()),
            code => Err(failed(command, code)),
        }
    }

    /// What a program prints, which must end well.
    pub(super) fn output(&self, command: &mut Command) -> Result<String, Error> {
        let output = command.stdin(Stdio::null()).output();
        let output = output.map_err(|source| start(command, source))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => {
                self.say(&String::from_utf8_lossy(&output.stderr));
                Err(failed(command, output.status.code()))
            }
        }
    }

    /// Whether a program is there and answers.
    pub(super) fn has(&self, program: &str, arguments: &[&str]) -> bool {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.root);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }
}

/// A folder that an environment variable names.
pub(super) fn folder(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// Reads a text.
pub(super) fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(Error::io(path))
}

/// Writes a file, in a folder that is made where it is missing.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    }
    std::fs::write(path, bytes).map_err(Error::io(path))
}

/// Empties a folder, or makes it.
pub(super) fn empty(folder: &Path) -> Result<(), Error> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(Error::io(folder))?;
    }
    std::fs::create_dir_all(folder).map_err(Error::io(folder))
}

fn start(command: &Command, source: std::io::Error) -> Error {
    Error::Start {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    }
}

fn failed(command: &Command, code: Option<i32>) -> Error {
    Error::Failed {
        command: line(command),
        status: code.map_or_else(
            || "a signal".to_owned(),
            |code| format!("exit status {code}"),
        ),
    }
}

/// A command as it would be typed, its program by name.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name();
    let words = program.into_iter().chain(command.get_args());
    words
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}
