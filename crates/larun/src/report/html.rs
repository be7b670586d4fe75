//! A report as a page: one HTML file that needs nothing else, no network and no script.

use larun_device::Check;
use larun_device::advice::Change;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value, context};

use super::{OptimizeReport, curves};
use crate::evaluate::Classification;
use crate::numbers::{bytes, group, percent};
use crate::picture::escaped;
use crate::{Error, plan};

/// The ending tells minijinja to escape all that is filled in.
const NAME: &str = "report.html";
const TEMPLATE: &str = include_str!("report.html.jinja");
const STYLE: &str = include_str!("report.css");

/// So many changes that would help are shown.
const CHANGES: usize = 5;

impl OptimizeReport {
    /// The report as a page that needs nothing beside: no network, no fonts, no scripts. Equal reports give equal bytes.
    ///
    /// # Errors
    /// When the template cannot be filled in, which is a fault of LARUN.
    pub fn to_html(&self) -> Result<String, Error> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_syntax(
            SyntaxConfig::builder()
                .trim_blocks(true)
                .lstrip_blocks(true)
                .build()?,
        );
        environment.add_filter("bytes", bytes);
        environment.add_filter("group", group);
        environment.add_filter("percent", percent);
        environment.add_filter("decimals", decimals);
        environment.add_filter("points", points);
        environment.add_filter("shape", shape);
        environment.add_filter("whole", whole);
        environment.add_filter("breakable", breakable);
        environment.add_template(NAME, TEMPLATE)?;
        let page = environment.get_template(NAME)?;
        Ok(page.render(self.values())?)
    }

    /// What the template is filled in with, beside the report itself: pictures, and figures that follow from others.
    fn values(&self) -> Value {
        let figure = |svg: Option<String>| svg.map(Value::from_safe_string);
        let largest = |of: fn(&super::StepReport) -> u64| self.steps.iter().map(of).max();
        let cycles: f64 = self.per_layer.iter().map(|layer| layer.cycles).sum();
        context! {
            report => Value::from(Serde(self)),
            style => Value::from_safe_string(STYLE.to_owned()),
            pareto => figure(Some(curves::pareto(self))),
            memory => figure(Some(plan::small_svg(&self.memory))),
            loss => figure(curves::loss(self)),
            accuracy => figure(curves::accuracy(self)),
            matrices => [("float", &self.float), ("INT8", &self.int8)]
                .map(|(name, scores)| matrix(name, scores)),
            classes => self.classes(),
            checks => self.fit.checks.iter().map(check).collect::<Vec<_>>(),
            changes => self.changes.iter().take(CHANGES).map(change).collect::<Vec<_>>(),
            largest_file => largest(|step| step.file_bytes).unwrap_or(0).max(1),
            layer_cycles => cycles.max(1.0),
            guessed => self.per_layer.iter().any(|layer| !layer.counted),
            core => self.fit.board.core.name(),
            megahertz => (self.fit.board.clock_hz as f64 / 1e6).to_string(),
            trainings => self.trainings().into_iter().map(|(name, training)| context! {
                name,
                epochs => training.epochs,
                best => training.best.map(|best| best.epoch),
                seconds => training.seconds,
                learning_rate => training.config.learning_rate.to_string(),
                batch_size => training.config.batch_size,
            }).collect::<Vec<_>>(),
        }
    }

    /// Precision, recall and F1 of each class, float and INT8.
    fn classes(&self) -> Vec<Value> {
        let of = |values: &[f64], class: usize| values.get(class).copied().unwrap_or(0.0);
        let scores = |scores: &Classification, class: usize| {
            let (precision, recall) = (of(&scores.precision, class), of(&scores.recall, class));
            let sum = precision + recall;
            let f1 = if sum > 0.0 {
                2.0 * precision * recall / sum
            } else {
                0.0
            };
            context! { precision, recall, f1 }
        };
        let samples = |class: usize| {
            self.int8
                .confusion
                .get(class)
                .map_or(0, |row| row.iter().sum())
        };
        let names = self.dataset.classes.iter().enumerate();
        names
            .map(|(class, name)| {
                let samples: u64 = samples(class);
                context! {
                    name,
                    samples,
                    float => scores(&self.float, class),
                    int8 => scores(&self.int8, class),
                }
            })
            .collect()
    }
}

/// A confusion matrix: counts, and which share of its row each is.
fn matrix(name: &str, scores: &Classification) -> Value {
    let row = |row: &Vec<u64>| {
        let all = row.iter().sum::<u64>().max(1);
        let cell = |&count: &u64| context! { count, share => count as f64 / all as f64 };
        row.iter().map(cell).collect::<Vec<_>>()
    };
    context! { name, rows => scores.confusion.iter().map(row).collect::<Vec<_>>() }
}

/// A limit, with what is left or missing.
fn check(check: &Check) -> Value {
    let number = |value: f64| match check.limit.unit() {
        "ms" => format!("{value:.2} ms"),
        "bytes" => bytes(whole(value)),
        _ => group(whole(value)),
    };
    // A limit of nothing is used up by anything.
    let share = match check.maximum > 0.0 {
        true => check.value / check.maximum,
        false => 1.0,
    };
    context! {
        name => check.limit.name(),
        source => check.limit.source(),
        value => number(check.value),
        maximum => number(check.maximum),
        fits => check.fits(),
        share,
        left => check.over().map_or_else(
            || format!("{} left", number(check.maximum - check.value)),
            |over| format!("{} too much", number(over)),
        ),
    }
}

fn whole(value: f64) -> u64 {
    value.round().max(0.0) as u64
}

/// What a change would save.
fn change(change: &Change) -> Value {
    let bytes_saved = |saved: i64| match saved {
        0 => None,
        saved => Some(format!(
            "{}{}",
            if saved > 0 { '−' } else { '+' },
            bytes(saved.unsigned_abs())
        )),
    };
    let milliseconds = change.milliseconds_saved;
    let time = (milliseconds.abs() >= 0.005).then(|| signed(-milliseconds, 2) + " ms");
    context! {
        what => change.what.clone(),
        flash => bytes_saved(change.flash_saved),
        ram => bytes_saved(change.ram_saved),
        time,
    }
}

/// A number with so many digits behind the point.
fn decimals(value: f64, digits: usize) -> String {
    format!("{value:.digits$}")
}

/// A difference of two shares in percentage points, with its sign.
fn points(difference: f64) -> String {
    signed(100.0 * difference, 2)
}

/// A number with its sign, a true minus among them; 0 has none.
fn signed(value: f64, digits: usize) -> String {
    let text = format!("{:.digits$}", value.abs());
    match text.chars().any(|c| ('1'..='9').contains(&c)) {
        true if value < 0.0 => format!("−{text}"),
        true => format!("+{text}"),
        false => format!("±{text}"),
    }
}

/// A name that may be broken behind its parts.
fn breakable(name: &str) -> Value {
    let escaped = escaped(name);
    Value::from_safe_string(["_", "/", "-"].iter().fold(escaped, |name, part| {
        name.replace(part, &format!("{part}<wbr>"))
    }))
}

/// A shape as people write it: 1×32×32×8.
#[expect(clippy::needless_pass_by_value, reason = "a filter owns its arguments")]
fn shape(dims: Vec<usize>) -> String {
    let dims: Vec<String> = dims.iter().map(usize::to_string).collect();
    dims.join("×")
}
