//! Boards by name and from files.

use std::path::Path;

use larun_device::{Core, KB, MB, Storage, board, boards, find_board, read_board};

#[test]
fn the_boards_are_as_specified() {
    let specified = [
        ("nano33ble", Core::CortexM4F, 256, Some(1024), 64.0),
        ("esp32", Core::XtensaLx6, 520, Some(4096), 240.0),
        ("esp32s3", Core::XtensaLx7, 512 + 8192, Some(8192), 240.0),
        ("esp32c3", Core::RiscV32, 400, Some(4096), 160.0),
        ("pico", Core::CortexM0Plus, 264, Some(2048), 133.0),
        ("pico2", Core::CortexM33, 520, Some(4096), 150.0),
        ("stm32f4", Core::CortexM4F, 192, Some(1024), 168.0),
        ("stm32h7", Core::CortexM7, 992, Some(2048), 480.0),
        ("stm32u5", Core::CortexM33, 784, Some(2048), 160.0),
        ("alif-e7", Core::CortexM55, 7680, Some(5632), 400.0),
        ("ra8d1", Core::CortexM85, 960, Some(2048), 480.0),
        ("pizero", Core::Arm1176, 512 * 1024, None, 1000.0),
    ];
    for (id, core, ram, flash, megahertz) in specified {
        let board = board(id).unwrap();
        let storage = flash.map_or(Storage::Card, |kb| Storage::Flash(kb * KB));
        assert_eq!((board.core, board.storage), (core, storage), "{id}");
        assert_eq!(board.ram_bytes(), ram * KB, "{id}");
        assert_eq!(board.clock_hz as f64, megahertz * 1e6, "{id}");
        assert!(board.largest_region() <= board.ram_bytes());
    }
    let mut ids: Vec<_> = boards().iter().map(|board| &board.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), boards().len(), "every id is of one board");
}

#[test]
fn an_arena_lies_in_the_first_region_that_it_fits_into() {
    let h7 = board("stm32h7").unwrap();
    let region = |bytes| h7.region_for(bytes).map(|region| region.name.as_str());
    assert_eq!(region(128 * KB), Some("DTCM"));
    assert_eq!(region(128 * KB + 1), Some("AXI SRAM"));
    assert_eq!(
        region(MB),
        None,
        "no region is so large, whatever they are together"
    );
}

#[test]
fn an_unknown_board_is_told_what_there_is() {
    let message = board("arduino").unwrap_err().to_string();
    assert!(
        message.starts_with("no device is called \"arduino\": there are nano33ble, esp32,"),
        "{message}"
    );
    assert!(
        message.ends_with("or give the path of a .toml file"),
        "{message}"
    );
}

const MINE: &str = r#"
id = "mine"
name = "My board"
core = "cortex-m33"
clock_mhz = 80.5
flash_kb = 512
flash = "probe-rs run --chip MINE"

[[ram]]
name = "TCM"
kb = 16

[[ram]]
name = "SRAM"
kb = 64
wait_states = 1

[power]
milliwatts = 12.5
source = "measured"
"#;

fn file(dir: &Path, text: &str) -> std::path::PathBuf {
    let path = dir.join("board.toml");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_file_adds_a_board() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), MINE);
    let board = find_board(path.to_str().unwrap()).unwrap();
    assert_eq!((board.id.as_str(), board.core), ("mine", Core::CortexM33));
    assert_eq!(board.clock_hz, 80_500_000);
    assert_eq!(board.storage, Storage::Flash(512 * KB));
    assert_eq!(
        [board.wait_states(16 * KB), board.wait_states(17 * KB)],
        [0.0, 1.0]
    );
    assert_eq!(board.power.unwrap().milliwatts, 12.5);
    assert_eq!(board.flash.as_deref(), Some("probe-rs run --chip MINE"));
    assert_eq!(board.arduino, None);
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let cases: [(&str, &str, &[&str]); 7] = [
        ("clock_mhz = 80.5", "", &["missing field `clock_mhz`"]),
        (
            "clock_mhz = 80.5",
            "clock_mhz = \"fast\"",
            &["clock_mhz", "fast", "expected"],
        ),
        (
            "clock_mhz = 80.5",
            "clock_mhz = 0",
            &["`clock_mhz` is 0", "expected"],
        ),
        ("cortex-m33", "z80", &["z80", "cortex-m4f"]),
        (
            "flash_kb = 512",
            "flesh_kb = 512",
            &["flesh_kb", "flash_kb"],
        ),
        ("kb = 64", "kb = 0", &["`ram[1].kb` is 0", "expected"]),
        ("id = ", "id ", &["TOML parse error"]),
    ];
    for (from, to, parts) in cases {
        let path = file(dir.path(), &MINE.replace(from, to));
        let message = read_board(&path).unwrap_err().to_string();
        for part in parts.iter().chain(&["board.toml"]) {
            assert!(message.contains(part), "{to}: {part}: {message}");
        }
    }
    let missing = read_board(&dir.path().join("none.toml")).unwrap_err();
    assert!(missing.to_string().contains("none.toml"));
}
