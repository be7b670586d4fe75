//! What instructions a program runs, from QEMU's log of translated and executed blocks.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use object::{Object, ObjectSymbol};
use serde::Serialize;

use super::Error;

/// Instructions of a node by kind, see `InstructionMix` of `larun-device`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Mix {
    pub(super) instructions: u64,
    loads: u64,
    loaded_words: u64,
    stores: u64,
    stored_words: u64,
    taken: u64,
    multiplications: u64,
    divisions: u64,
}

impl Mix {
    fn add(&mut self, other: &Self) {
        self.instructions += other.instructions;
        self.loads += other.loads;
        self.loaded_words += other.loaded_words;
        self.stores += other.stores;
        self.stored_words += other.stored_words;
        self.multiplications += other.multiplications;
        self.divisions += other.divisions;
    }
}

/// A block of instructions that run one after the other.
#[derive(Clone, Copy, Debug, Default)]
struct Block {
    mix: Mix,
    end: u64,
}

/// Runs QEMU with its log on the standard error stream; the mix of every node that ran, in order.
pub(super) fn mixes(command: &mut Command, image: &Path) -> Result<Vec<Mix>, Error> {
    let marks = Marks::read(image)?;
    let start = |source| Error::Start {
        program: "QEMU".to_owned(),
        source,
    };
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(start)?;
    let mut log = Log::new(marks);
    if let Some(stream) = child.stderr.take() {
        for line in BufReader::with_capacity(1 << 20, stream)
            .lines()
            .map_while(Result::ok)
        {
            log.line(&line);
        }
    }
    let status = child.wait().map_err(start)?;
    match status.success() {
        true => Ok(log.nodes),
        false => Err(Error::Failed {
            what: "the traced run".to_owned(),
            output: status.to_string(),
        }),
    }
}

/// Where the firmware says that a node begins and that it has ended.
struct Marks {
    begins: u64,
    ends: u64,
}

impl Marks {
    fn read(path: &Path) -> Result<Self, Error> {
        let data = std::fs::read(path).map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })?;
        let fault = |detail: String| Error::Malformed {
            what: path.display().to_string(),
            detail,
        };
        let file = object::File::parse(&*data).map_err(|error| fault(error.to_string()))?;
        let place = |name: &str| {
            let symbol = file.symbols().find(|symbol| symbol.name() == Ok(name));
            // The lowest bit says that it is Thumb code.
            let found = symbol.map(|symbol| symbol.address() & !1);
            found.ok_or_else(|| fault(format!("there is no function `{name}`")))
        };
        Ok(Self {
            begins: place("larun_node_begins")?,
            ends: place("larun_node_ended")?,
        })
    }
}

/// Reads the log line by line.
struct Log {
    marks: Marks,
    blocks: HashMap<u64, Block>,
    /// The block that is being listed.
    listed: Option<(u64, Block)>,
    counting: bool,
    last: Option<u64>,
    node: Mix,
    nodes: Vec<Mix>,
}

impl Log {
    fn new(marks: Marks) -> Self {
        Self {
            marks,
            blocks: HashMap::new(),
            listed: None,
            counting: false,
            last: None,
            node: Mix::default(),
            nodes: Vec::new(),
        }
    }

    fn line(&mut self, line: &str) {
        if line.starts_with("Trace ") {
            self.close();
            if let Some(place) = place_of(line) {
                self.runs(place);
            }
        } else if line.starts_with("0x") {
            if let Some((place, bytes, text)) = instruction(line) {
                let (_, block) = self.listed.get_or_insert((place, Block::default()));
                block.end = place + bytes;
                block.mix.add(&kind(text));
            }
        } else {
            self.close();
        }
    }

    fn close(&mut self) {
        if let Some((place, block)) = self.listed.take() {
            self.blocks.insert(place, block);
        }
    }

    fn runs(&mut self, place: u64) {
        if place == self.marks.begins {
            self.counting = true;
            self.node = Mix::default();
            self.last = None;
            return;
        }
        if place == self.marks.ends {
            if self.counting {
                self.nodes.push(self.node);
            }
            self.counting = false;
            return;
        }
        if !self.counting {
            return;
        }
        if let Some(end) = self.last
            && end != place
        {
            self.node.taken += 1;
        }
        if let Some(block) = self.blocks.get(&place) {
            self.node.add(&block.mix);
            self.last = Some(block.end);
        }
    }
}

/// The program counter of `Trace 0: 0x7f... [cs_base/pc/flags/cflags] name`.
fn place_of(line: &str) -> Option<u64> {
    let inside = line.split_once('[')?.1.split_once(']')?.0;
    u64::from_str_radix(inside.split('/').nth(1)?, 16).ok()
}

/// Address, bytes and text of `0x00000430:  f8d1 2000  ldr.w r2, [r1]`.
fn instruction(line: &str) -> Option<(u64, u64, &str)> {
    let (place, rest) = line.split_once(':')?;
    let place = u64::from_str_radix(place.trim_start_matches("0x"), 16).ok()?;
    let mut rest = rest.trim_start();
    let mut digits = 0;
    while let Some((word, behind)) = rest.split_once(char::is_whitespace) {
        let is_code = matches!(word.len(), 4 | 8) && word.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_code || digits >= 8 {
            break;
        }
        digits += word.len();
        rest = behind.trim_start();
    }
    Some((place, digits as u64 / 2, rest))
}

/// What an instruction counts as, by its mnemonic.
fn kind(text: &str) -> Mix {
    let (name, operands) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let words = words_moved(name, operands);
    let mut mix = Mix {
        instructions: 1,
        ..Mix::default()
    };
    let is = |names: &[&str]| names.iter().any(|other| name.starts_with(other));
    if is(&["ldm", "pop", "ldr", "vldr", "vldm", "vpop"])
        || matches!(name, "lw" | "lh" | "lb" | "lhu" | "lbu")
    {
        mix.loads = 1;
        mix.loaded_words = words;
    } else if is(&["stm", "push", "str", "vstr", "vstm", "vpush"])
        || matches!(name, "sw" | "sh" | "sb")
    {
        mix.stores = 1;
        mix.stored_words = words;
    } else if is(&["sdiv", "udiv", "div", "rem", "vdiv", "vsqrt"]) {
        mix.divisions = 1;
    } else if is(&[
        "mul", "mla", "mls", "smla", "smul", "smml", "umul", "umla", "smmul", "smu", "vmul",
        "vmla", "vfma",
    ]) {
        mix.multiplications = 1;
    }
    mix
}

/// Words of a load or a store: registers in braces, or two for a pair.
fn words_moved(name: &str, operands: &str) -> u64 {
    let Some((_, list)) = operands.split_once('{') else {
        return if name.starts_with("ldrd") || name.starts_with("strd") {
            2
        } else {
            1
        };
    };
    let list = list.split('}').next().unwrap_or_default();
    let number = |register: &str| -> Option<u64> {
        match register.trim() {
            "sb" => Some(9),
            "sl" => Some(10),
            "fp" => Some(11),
            "ip" => Some(12),
            "sp" => Some(13),
            "lr" => Some(14),
            "pc" => Some(15),
            other => other.get(1..)?.parse().ok(),
        }
    };
    let of_part = |part: &str| match part.split_once('-') {
        Some((first, last)) => match (number(first), number(last)) {
            (Some(first), Some(last)) => last.saturating_sub(first) + 1,
            _ => 1,
        },
        None => 1,
    };
    list.split(',').map(of_part).sum()
}

#[cfg(test)]
mod tests {
    use super::{instruction, kind, place_of};

    #[test]
    fn lines_of_the_log_are_understood() {
        let trace = "Trace 0: 0x7f8 [00000000/00000430/00000110/ff000200] main";
        assert_eq!(place_of(trace), Some(0x430));
        let wide = instruction("0x00000430:  f8d1 2000  ldr.w    r2, [r1]").unwrap();
        assert_eq!(wide, (0x430, 4, "ldr.w    r2, [r1]"));
        assert_eq!(
            instruction("0x80000000:  4501                mv  a0,zero")
                .unwrap()
                .1,
            2
        );
        assert_eq!(
            instruction("0x80000002:  00000297          auipc  t0,0")
                .unwrap()
                .1,
            4
        );
        let several = kind("ldm.w    r0!, {r8, sb, sl, fp}");
        assert_eq!((several.loads, several.loaded_words), (1, 4));
        assert_eq!(kind("pop {r4-r7, pc}").loaded_words, 5);
        assert_eq!(kind("smlad    r4, r8, ip, r4").multiplications, 1);
        assert_eq!(kind("lbu  a0,0(a1)").loads, 1);
        assert_eq!(kind("sw  a0,0(a1)").stores, 1);
    }
}
