//! The comparison of a model with a board and a budget.

use larun_device::{Budget, KB, LatencyEstimate, Limit, MB, Usage, board, boards, fit};
use proptest::prelude::*;

/// An inference of so many milliseconds.
fn time(milliseconds: f64) -> LatencyEstimate {
    LatencyEstimate {
        milliseconds,
        model: "estimate: a test's".to_owned(),
    }
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
        fit(&within, time(1000.0), nano, &budget).fits(),
        "limits themselves are kept"
    );

    let exceeded = |usage: Usage, budget: Budget| -> Vec<Limit> {
        fit(&usage, time(1000.0), nano, &budget)
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
        time(1000.0),
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
    let report = fit(
        &usage,
        time(59.375),
        board("nano33ble").unwrap(),
        &Budget::LARUN,
    );
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
}

#[test]
fn reports_are_json() {
    let report = fit(
        &Usage::default(),
        time(1.0),
        board("pico").unwrap(),
        &Budget::LARUN,
    );
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["board"]["id"], "pico");
    assert_eq!(json["board"]["core"], "cortex-m0-plus");
    assert_eq!(json["board"]["ram"][0]["bytes"], 256 * KB);
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
    fn less_usage_never_fits_worse(flash in 0u64..4_000_000, ram in 0u64..1_000_000, parameters in 0u64..200_000, operations in 0u64..20_000_000, ms in 0.0..20.0) {
        let usage = Usage { flash_bytes: flash, ram_bytes: ram, parameters, operations };
        let half = Usage { flash_bytes: flash / 2, ram_bytes: ram / 2, parameters: parameters / 2, operations: operations / 2 };
        for board in boards() {
            let (all, less) = (fit(&usage, time(ms), board, &Budget::LARUN), fit(&half, time(ms / 2.0), board, &Budget::LARUN));
            prop_assert!(less.fits() || !all.fits());
            prop_assert!(less.latency.milliseconds <= all.latency.milliseconds);
            for check in all.exceeded() {
                prop_assert!(check.over().is_some_and(|over| over > 0.0));
            }
        }
    }
}
