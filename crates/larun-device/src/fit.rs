//! The comparison of a model with a board and a budget, limit by limit.

use core::fmt;

use serde::Serialize;

use crate::{Board, Budget, LatencyEstimate, Storage, Usage};

/// What is limited, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// The board's flash memory.
    BoardFlash,
    /// The board's RAM.
    BoardRam,
    /// The budget's flash.
    BudgetFlash,
    /// The budget's RAM.
    BudgetRam,
    /// The budget's time, against an estimate.
    BudgetLatency,
    /// The budget's parameters.
    BudgetParameters,
    /// The budget's operations.
    BudgetOperations,
}

impl Limit {
    /// What is limited, for a table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BoardFlash | Self::BudgetFlash => "flash",
            Self::BoardRam | Self::BudgetRam => "RAM",
            Self::BudgetLatency => "time (estimate)",
            Self::BudgetParameters => "parameters",
            Self::BudgetOperations => "operations",
        }
    }

    /// Who limits it: `board` or `budget`.
    #[must_use]
    pub const fn source(self) -> &'static str {
        match self {
            Self::BoardFlash | Self::BoardRam => "board",
            _ => "budget",
        }
    }

    /// The unit of the numbers, empty for a mere count.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::BoardFlash | Self::BoardRam | Self::BudgetFlash | Self::BudgetRam => "bytes",
            Self::BudgetLatency => "ms",
            Self::BudgetParameters | Self::BudgetOperations => "",
        }
    }
}

/// One limit and what the model uses of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Check {
    /// What is limited.
    pub limit: Limit,
    /// What the model uses, in the limit's unit.
    pub value: f64,
    /// What it may use.
    pub maximum: f64,
}

impl Check {
    /// Whether the limit is kept: a value equal to the limit keeps it.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.value <= self.maximum
    }

    /// By how much the limit is exceeded, `None` where it is kept.
    #[must_use]
    pub fn over(&self) -> Option<f64> {
        (!self.fits()).then_some(self.value - self.maximum)
    }
}

/// A sentence such as `RAM: 61440 bytes, 10240 bytes over the budget's 51200 bytes`.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, source) = (self.limit.name(), self.limit.source());
        let [value, maximum] = [self.value, self.maximum].map(|number| Amount(number, self.limit));
        match self.over() {
            None => write!(f, "{name}: {value}, within the {source}'s {maximum}"),
            Some(over) => write!(
                f,
                "{name}: {value}, {} over the {source}'s {maximum}",
                Amount(over, self.limit)
            ),
        }
    }
}

/// A number with its unit: whole, or milliseconds to three digits.
struct Amount(f64, Limit);

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number, limit) = *self;
        match limit.unit() {
            "" => write!(f, "{number}"),
            "ms" => write!(f, "{number:.3} ms"),
            unit => write!(f, "{number} {unit}"),
        }
    }
}

/// Whether a model fits, limit by limit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FitReport {
    /// The board.
    pub board: Board,
    /// Every limit, the board's first.
    pub checks: Vec<Check>,
    /// How long an inference takes, not measured.
    pub latency: LatencyEstimate,
}

impl FitReport {
    /// Whether every limit is kept.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.checks.iter().all(Check::fits)
    }

    /// The limits that are exceeded.
    pub fn exceeded(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| !check.fits())
    }
}

/// Compares what a model uses with a board and a budget.
///
/// An arena lies in one region of RAM, so that the board's limit is its largest.
#[must_use]
pub fn fit(usage: &Usage, latency: LatencyEstimate, board: &Board, budget: &Budget) -> FitReport {
    let check = |limit, value: u64, maximum: u64| Check {
        limit,
        value: value as f64,
        maximum: maximum as f64,
    };
    let mut checks = Vec::new();
    if let Storage::Flash(bytes) = board.storage {
        checks.push(check(Limit::BoardFlash, usage.flash_bytes, bytes));
    }
    checks.extend([
        check(Limit::BoardRam, usage.ram_bytes, board.largest_region()),
        check(Limit::BudgetFlash, usage.flash_bytes, budget.flash_bytes),
        check(Limit::BudgetRam, usage.ram_bytes, budget.ram_bytes),
        Check {
            limit: Limit::BudgetLatency,
            value: latency.milliseconds,
            maximum: budget.milliseconds,
        },
        check(Limit::BudgetParameters, usage.parameters, budget.parameters),
        check(Limit::BudgetOperations, usage.operations, budget.operations),
    ]);
    FitReport {
        board: board.clone(),
        checks,
        latency,
    }
}
