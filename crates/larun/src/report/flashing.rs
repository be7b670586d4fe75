//! How a model gets onto its board: commands for the tools that people have.

use std::path::Path;

use larun_device::{Board, Storage};
use serde::{Deserialize, Serialize};

/// A way to put a model on a board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// What it makes.
    pub name: String,
    /// What has to be there, and what is left to do by hand.
    pub note: String,
    /// The commands, in order.
    pub commands: Vec<String>,
    /// Lines of the program that call the model, where they have to be written.
    pub code: Option<String>,
}

/// The ways to put the model in the folder `out` on a board; `name` is what the model is called in sources.
pub fn routes(board: &Board, out: &Path, name: &str) -> Vec<Route> {
    let mut routes = vec![rust(board, out)];
    routes.extend(
        board
            .arduino
            .as_deref()
            .map(|fqbn| arduino(fqbn, out, name)),
    );
    routes.push(c99(out, name));
    routes
}

/// A firmware in Rust with the model compiled in.
fn rust(board: &Board, out: &Path) -> Route {
    let (target, flags) = board.core.rust_target();
    let program = format!("target/{target}/release/firmware");
    let is_xtensa = target.starts_with("xtensa");
    // Xtensa is no target of Rust's own toolchains: one by its maker compiles it, and `core` with it.
    let (toolchain, build) = match is_xtensa {
        true => (" +esp", "build -Z build-std=core"),
        false => ("", "build"),
    };
    let flags = match flags {
        "" => String::new(),
        flags => format!("RUSTFLAGS={} ", quoted(flags)),
    };
    let mut commands = vec![
        format!("cp {} firmware/src/model.rs", in_folder(out, "model.rs")),
        "cd firmware && cargo add larun-kernels --no-default-features".to_owned(),
    ];
    if is_xtensa {
        commands.push("cargo install espup && espup install".to_owned());
    } else {
        commands.push(format!("rustup target add {target}"));
    }
    commands.push(format!(
        "{flags}cargo{toolchain} {build} --release --target {target}"
    ));
    commands.extend(match (&board.flash, board.storage) {
        (Some(flash), _) => vec![format!("{flash} {program}")],
        (None, Storage::Card) => vec![
            format!("scp {program} pi@raspberrypi.local:"),
            "ssh pi@raspberrypi.local ./firmware".to_owned(),
        ],
        (None, Storage::Flash(_)) => Vec::new(),
    });
    let by_hand = match (&board.flash, board.storage) {
        (None, Storage::Flash(_)) => " Then load the program with the tool of the board's maker.",
        (None, Storage::Card) => " Needs a linker for the target.",
        _ => "",
    };
    Route {
        name: "Rust firmware".to_owned(),
        note: format!(
            "For a crate of yours in the folder firmware, or a copy of one of LARUN's examples. No interpreter, no allocator.{by_hand}"
        ),
        commands,
        code: Some(
            "mod model;\n\nlet mut network = model::Model::new();\nlet scores = network.predict(&samples);"
                .to_owned(),
        ),
    }
}

/// A sketch with TensorFlow Lite for Microcontrollers.
fn arduino(fqbn: &str, out: &Path, name: &str) -> Route {
    let sketch = larun_codegen::c_identifier(name);
    let folder = in_folder(out, &format!("arduino/{sketch}"));
    // The core is what the first two parts name.
    let core: Vec<&str> = fqbn.splitn(3, ':').take(2).collect();
    Route {
        name: "Arduino sketch".to_owned(),
        note: "Needs a TensorFlow Lite for Microcontrollers library for the board, and its port in place of /dev/ttyACM0. \
               The sketch registers only the operators that the model has; its two functions read samples and use scores."
            .to_owned(),
        commands: vec![
            format!(
                "larun export {} --format arduino --name {} -o {}",
                in_folder(out, "model.tflite"),
                quoted(name),
                in_folder(out, "arduino")
            ),
            format!("arduino-cli core install {}", core.join(":")),
            format!("arduino-cli compile --fqbn {fqbn} {folder}"),
            format!("arduino-cli upload --fqbn {fqbn} --port /dev/ttyACM0 {folder}"),
        ],
        code: None,
    }
}

/// Source for any C compiler.
fn c99(out: &Path, name: &str) -> Route {
    Route {
        name: "C99".to_owned(),
        note:
            "A source file and its header for any C compiler and build system, without a library."
                .to_owned(),
        commands: vec![format!(
            "larun export {} --format c --name {} -o {}",
            in_folder(out, "model.tflite"),
            quoted(name),
            in_folder(out, "c")
        )],
        code: None,
    }
}

fn in_folder(out: &Path, file: &str) -> String {
    quoted(&out.join(file).to_string_lossy())
}

/// A word as a POSIX shell reads it: as it is where nothing in it means anything to a shell.
#[must_use]
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./,:=+@%".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_board_has_commands() {
        for board in larun_device::boards() {
            let routes = routes(board, Path::new("out"), "my model");
            let (target, _) = board.core.rust_target();
            let builds = routes[0].commands.iter().any(|line| line.contains(target));
            assert!(builds, "{}", board.id);
            assert_eq!(board.arduino.is_some(), routes.len() == 3, "{}", board.id);
        }
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quoted("out/a-b_1.npz"), "out/a-b_1.npz");
        assert_eq!(quoted("my data.npz"), "'my data.npz'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("a;b$(c)"), "'a;b$(c)'");
    }
}
