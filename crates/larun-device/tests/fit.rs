//! Boards, budgets and the comparison.

use larun_device::{BOARDS, Budget, KB, Limit, MB, Storage, Usage, board, fit};
use proptest::prelude::*;

#[test]
fn the_boards_are_as_specified() {
    let specified = [
        ("nano33ble", 256 * KB, Storage::Flash(MB), 64),
        ("esp32", 520 * KB, Storage::Flash(4 * MB), 240),
        ("pico", 264 * KB, Storage::Flash(2 * MB), 133),
        ("stm32f4", 192 * KB, Storage::Flash(MB), 168),
        ("pizero", 512 * MB, Storage::Card, 1000),
    ];
    assert_eq!(BOARDS.len(), specified.len());
    for (id, ram, storage, megahertz) in specified {
        let board = board(id).unwrap();
        assert_eq!(
            (board.ram_bytes, board.storage, board.clock_hz),
            (ram, storage, megahertz * 1_000_000),
            "{id}"
        );
    }
    let unknown = board("arduino").unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "no device is called \"arduino\": there are nano33ble, esp32, pico, stm32f4, pizero"
    );
}

#[test]
fn every_limit_can_be_exceeded_by_itself() {
    let budget = Budget {
        milliseconds: 1000.0,
        ..Budget::LARUN
    };
    let within = Usage {
        flash_bytes: 100 * KB,
        ram_bytes: 50 * KB,
        parameters: 100_000,
        operations: 10_000_000,
    };
    let nano = board("nano33ble").unwrap();
    assert!(
        fit(&within, nano, &budget).fits(),
        "limits themselves are kept"
    );

    let exceeded = |usage: Usage, budget: Budget| -> Vec<Limit> {
        fit(&usage, nano, &budget)
            .exceeded()
            .map(|check| check.limit)
            .collect()
    };
    let more = |change: fn(&mut Usage)| {
        let mut usage = within;
        change(&mut usage);
        usage
    };
    assert_eq!(
        exceeded(more(|u| u.flash_bytes += 1), budget),
        [Limit::BudgetFlash]
    );
    assert_eq!(
        exceeded(more(|u| u.ram_bytes += 1), budget),
        [Limit::BudgetRam]
    );
    assert_eq!(
        exceeded(more(|u| u.parameters += 1), budget),
        [Limit::BudgetParameters]
    );
    assert_eq!(
        exceeded(more(|u| u.operations += 1), budget),
        [Limit::BudgetOperations]
    );
    assert_eq!(exceeded(within, Budget::LARUN), [Limit::BudgetLatency]);

    let generous = Budget {
        flash_bytes: u64::MAX,
        ram_bytes: u64::MAX,
        ..budget
    };
    assert_eq!(
        exceeded(more(|u| u.flash_bytes = MB + 1), generous),
        [Limit::BoardFlash]
    );
    assert_eq!(
        exceeded(more(|u| u.ram_bytes = 256 * KB + 1), generous),
        [Limit::BoardRam]
    );
    let zero = fit(
        &more(|u| u.flash_bytes = 1 << 40),
        board("pizero").unwrap(),
        &generous,
    );
    assert!(zero.fits(), "a card holds any model");
}

#[test]
fn checks_read_as_sentences() {
    let usage = Usage {
        flash_bytes: 9_000,
        ram_bytes: 8_192,
        parameters: 120_000,
        operations: 1_000_000,
    };
    let report = fit(&usage, board("nano33ble").unwrap(), &Budget::LARUN);
    let sentences: Vec<_> = report.checks.iter().map(ToString::to_string).collect();
    assert_eq!(
        sentences,
        [
            "flash: 9000 bytes, within the board's 1048576 bytes",
            "RAM: 8192 bytes, within the board's 262144 bytes",
            "flash: 9000 bytes, within the budget's 102400 bytes",
            "RAM: 8192 bytes, within the budget's 51200 bytes",
            "time (estimate): 59.375 ms, 49.375 ms over the budget's 10.000 ms",
            "parameters: 120000, 20000 over the budget's 100000",
            "operations: 1000000, within the budget's 10000000",
        ]
    );
    assert_eq!(
        report.latency.model,
        "estimate: 1000000 MACs at 3.8 cycles each (Cortex-M4F, INT8) and 64 MHz"
    );
}

#[test]
fn reports_are_json() {
    let report = fit(&Usage::default(), board("pico").unwrap(), &Budget::LARUN);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["board"]["id"], "pico");
    assert_eq!(json["board"]["core"], "cortex-m0-plus");
    assert_eq!(json["board"]["storage"]["flash"], 2 * MB);
    assert_eq!(json["checks"][0]["limit"], "board_flash");
    assert!(
        json["latency"]["model"]
            .as_str()
            .unwrap()
            .starts_with("estimate")
    );
}

proptest! {
    #[test]
    fn less_usage_never_fits_worse(flash in 0u64..4_000_000, ram in 0u64..1_000_000, parameters in 0u64..200_000, operations in 0u64..20_000_000) {
        let usage = Usage { flash_bytes: flash, ram_bytes: ram, parameters, operations };
        let half = Usage { flash_bytes: flash / 2, ram_bytes: ram / 2, parameters: parameters / 2, operations: operations / 2 };
        for board in BOARDS {
            let (all, less) = (fit(&usage, board, &Budget::LARUN), fit(&half, board, &Budget::LARUN));
            prop_assert!(less.fits() || !all.fits());
            prop_assert!(less.latency.milliseconds <= all.latency.milliseconds);
            for check in all.exceeded() {
                prop_assert!(check.over().is_some_and(|over| over > 0.0));
            }
        }
    }
}
