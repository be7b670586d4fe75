//! LARUN's four tasks, three more for the same networks, and the commands that trainings of them are made of.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde_json::Value;

use crate::bench::{Error, build_with, built_program};
use crate::workspace_root;

/// A network, its data, and how it is trained.
pub(crate) struct Task {
    /// What it is called where tasks are chosen, and its part of a page.
    pub(crate) name: &'static str,
    /// The network's name in the zoo.
    pub(crate) network: &'static str,
    /// Its name in a model card.
    pub(crate) title: &'static str,
    /// The set of labelled samples.
    pub(crate) set: &'static str,
    /// What the data are.
    pub(crate) what: &'static str,
    /// The accuracy that the INT8 model is to have on the test split, percent.
    pub(crate) wanted: u8,
    /// What `larun data convert` makes of the set first; nothing where it can be taken as it is.
    pub(crate) convert: &'static [&'static str],
    /// How networks learn.
    pub(crate) learn: &'static [&'static str],
    /// The network that teaches, trained from so many seeds.
    pub(crate) teacher: (&'static str, u64),
    /// A network smaller than `network` that it can teach.
    pub(crate) student: &'static str,
}

impl Task {
    /// The option `--augment` and what it is for the task.
    pub(crate) fn augmentation(&self) -> Vec<&'static str> {
        let learn = self.learn.iter().copied();
        let augment = learn.skip_while(|&option| option != "--augment");
        augment.take(2).collect()
    }
}

/// How teachers teach.
pub(crate) const LESSON: [&str; 4] = ["--temperature", "2", "--alpha", "0.3"];

pub(crate) const TASKS: [Task; 4] = [
    Task {
        name: "spectral",
        network: "spectral",
        title: "LarunNet-Spectral",
        set: "lc6_hybrid1024",
        what: "light curves of six classes: noise real (Kepler), shapes of eclipsing binaries real (TESS), the rest injected",
        wanted: 92,
        convert: &[],
        learn: &[
            "--epochs",
            "40",
            "--augment",
            "roll,reverse",
            "--label-smoothing",
            "0.02",
        ],
        teacher: ("spectral-wide", 2),
        student: "student",
    },
    Task {
        name: "galaxy",
        network: "galaxy",
        title: "LarunNet-Galaxy",
        set: "galaxy_gz64",
        what: "Galaxy Zoo 2 images, real, four classes (cigar-shaped with edge-on)",
        wanted: 88,
        convert: &[
            "--merge",
            "cigar_smooth=edge_on_disk",
            "--offset",
            "64",
            "--scale",
            "0.015625",
        ],
        learn: &[
            "--epochs",
            "40",
            "--augment",
            "reverse,flip,rotate,shift=4,zoom=0.1",
            "--label-smoothing",
            "0.05",
        ],
        teacher: ("galaxy-wide", 2),
        student: "galaxy-student",
    },
    Task {
        name: "transit",
        network: "transit",
        title: "LarunNet-Transit",
        set: "tess_triage",
        what: "TESS threshold crossings vetted by people, real, transit-like or junk",
        wanted: 95,
        convert: &[
            "--samples",
            "x_global,x_local",
            "--labels",
            "y_binary",
            "--class-names",
            "junk,transit_like",
            "--limits=-2,3",
        ],
        learn: &[
            "--epochs",
            "15",
            "--augment",
            "reverse",
            "--label-smoothing",
            "0.05",
        ],
        teacher: ("spectral-wide", 3),
        student: "student",
    },
    Task {
        name: "star",
        network: "star",
        title: "LarunNet-Star",
        set: "star_obafgkm1024",
        what: "spectra of stars, real, the training split augmented",
        wanted: 90,
        convert: &[],
        learn: &[
            "--epochs",
            "25",
            "--augment",
            "shift=2,noise=0.1,scale=0.2,blend=0.7",
            "--label-smoothing",
            "0.1",
            "--optimizer",
            "adamw",
            "--weight-decay",
            "0.05",
        ],
        teacher: ("star", 3),
        student: "student",
    },
];

/// Second sets of labelled samples for the same networks, learnt as the first ones.
pub(crate) const SECOND: [Task; 3] = [
    Task {
        name: "spectral-asas",
        set: "asas_folded1024",
        what: "light curves of variable stars of five classes, folded at periods that were found automatically, all real (ASAS)",
        wanted: 85,
        // Curves begin at one phase and run one way: neither is to be undone.
        learn: &[
            "--epochs",
            "40",
            "--augment",
            "shift=16,noise=0.05",
            "--label-smoothing",
            "0.02",
        ],
        ..TASKS[0]
    },
    Task {
        name: "transit-kepler",
        set: "kepler_folded1024",
        what: "folded light curves of Kepler's objects of interest, transit or not, real",
        wanted: 98,
        convert: &["--scale", "0.25"],
        // Of each curve the phase was drawn anew.
        learn: TASKS[0].learn,
        teacher: ("spectral-wide", 2),
        ..TASKS[2]
    },
    Task {
        name: "star-brown-dwarfs",
        set: "brown_dwarf_spex512",
        what: "near-infrared spectra of brown dwarfs of three classes, real (SpeX)",
        wanted: 97,
        convert: &["--offset", "0.5", "--scale", "2"],
        teacher: ("spectral-wide", 2),
        ..TASKS[3]
    },
];

/// Which tasks, with which program, on which data, and where results are kept.
#[derive(clap::Args)]
pub(crate) struct Selection {
    /// The folder of the labelled sets [default: what LARUN_DATA names]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Only these: spectral, galaxy, transit, star, or second sets of samples: spectral-asas, transit-kepler, star-brown-dwarfs
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// A larun program to use, in place of a release build
    #[arg(long, value_name = "PROGRAM")]
    larun: Option<PathBuf>,
    /// Where models and reports are kept: what is there is not made again, so that a stopped run goes on
    #[arg(long, value_name = "DIR", default_value = "target/models")]
    work: PathBuf,
}

impl Selection {
    /// The tasks chosen, the four where none is named.
    pub(crate) fn tasks(&self) -> Result<Vec<&'static Task>, Error> {
        if self.only.is_empty() {
            return Ok(TASKS.iter().collect());
        }
        let find = |name: &String| {
            let mut all = TASKS.iter().chain(&SECOND);
            all.find(|task| task.name == name)
                .ok_or_else(|| Error::NoTask(name.clone()))
        };
        self.only.iter().map(find).collect()
    }

    /// The program that does the work.
    pub(crate) fn program(&self) -> Result<PathBuf, Error> {
        match &self.larun {
            Some(program) => {
                std::path::absolute(program).map_err(|e| Error::File(program.clone(), e))
            }
            None => build(&workspace_root()),
        }
    }

    /// What runs a task's commands.
    pub(crate) fn runner(&self, task: &'static Task) -> Result<Runner, Error> {
        let root = workspace_root();
        let data = self.data.clone();
        let data = data.or_else(|| std::env::var_os("LARUN_DATA").map(PathBuf::from));
        let larun = self.program()?;
        let folder = root.join(&self.work).join(task.name);
        std::fs::create_dir_all(&folder).map_err(|error| Error::File(folder.clone(), error))?;
        let mut runner = Runner {
            larun,
            folder,
            samples: data.ok_or(Error::NoData)?.join(format!("{}.npz", task.set)),
            shown: Vec::new(),
        };
        runner.convert(task)?;
        Ok(runner)
    }
}

fn build(root: &Path) -> Result<PathBuf, Error> {
    match build_with(root, &["larun-cli"])? == ExitCode::SUCCESS {
        true => Ok(built_program(root, "larun")),
        false => Err(Error::Failed {
            command: "cargo build --release --package larun-cli".to_owned(),
            message: "what cargo printed says why".to_owned(),
        }),
    }
}

/// Runs commands in a task's folder, once each.
pub(crate) struct Runner {
    larun: PathBuf,
    /// Where commands run and what they write lies.
    pub(crate) folder: PathBuf,
    samples: PathBuf,
    /// The commands so far, as a reader would type them.
    pub(crate) shown: Vec<String>,
}

impl Runner {
    fn convert(&mut self, task: &Task) -> Result<(), Error> {
        if task.convert.is_empty() {
            return Ok(());
        }
        let converted = self.folder.join("samples.npz");
        let name = format!("{}.npz", task.set);
        let options = task.convert.join(" ");
        self.shown.push(format!(
            "larun data convert {name} {options} -o samples.npz"
        ));
        if !converted.exists() {
            let mut command = Command::new(&self.larun);
            command.args(["data", "convert"]).arg(&self.samples);
            command.args(task.convert).arg("-o").arg(&converted);
            output(&mut command)?;
        }
        self.samples = converted;
        Ok(())
    }

    /// Runs `larun ARGUMENTS --data SAMPLES --json -q -o NAME` unless its report is there already, and gives the report.
    pub(crate) fn train(&mut self, name: &str, arguments: &[&str]) -> Result<Value, Error> {
        self.shown.push(format!(
            "larun {} --data {} -o {name}",
            arguments.join(" "),
            file_name(&self.samples)
        ));
        let mut command = Command::new(&self.larun);
        command.args(arguments).arg("--data").arg(&self.samples);
        command.args(["--json", "-q", "-o", name]);
        self.report(name, &mut command)
    }

    /// The accuracy of a model on the test split, with all else that is measured of it.
    pub(crate) fn evaluate(&self, model: &str) -> Result<Value, Error> {
        let mut command = Command::new(&self.larun);
        command
            .args(["evaluate", "--json", model, "--data"])
            .arg(&self.samples);
        let report = self.report(&format!("{model}.evaluated"), &mut command)?;
        Ok(report.pointer("/models/0").cloned().unwrap_or_default())
    }

    /// Bytes, arena and MACs of a model.
    pub(crate) fn inspect(&self, model: &str) -> Result<Value, Error> {
        let mut command = Command::new(&self.larun);
        command.args(["inspect", "--json", model]);
        self.report(&format!("{model}.inspected"), &mut command)
    }

    fn report(&self, name: &str, command: &mut Command) -> Result<Value, Error> {
        let kept = self.folder.join(format!("{name}.json"));
        if let Ok(text) = std::fs::read(&kept)
            && let Ok(report) = serde_json::from_slice(&text)
        {
            return Ok(report);
        }
        eprintln!("{}: {name}", file_name(&self.folder));
        let text = output(command.current_dir(&self.folder))?;
        let report = serde_json::from_str(&text).map_err(|error| Error::Failed {
            command: format!("larun, for {name}"),
            message: error.to_string(),
        })?;
        std::fs::write(&kept, &text).map_err(|error| Error::File(kept, error))?;
        Ok(report)
    }
}

/// What a model takes on the board that the networks are for.
pub(crate) fn fit(larun: &Path, model: &Path) -> Result<Value, Error> {
    let mut command = Command::new(larun);
    command.args(["fit", "--json", "--device", "nano33ble"]);
    let text = output(command.arg(model))?;
    serde_json::from_str(&text).map_err(|error| Error::Failed {
        command: format!("larun fit {}", model.display()),
        message: error.to_string(),
    })
}

/// A number of a report; NaN where there is none.
pub(crate) fn real(report: &Value, path: &str) -> f64 {
    let number = report.pointer(path).and_then(Value::as_f64);
    number.unwrap_or(f64::NAN)
}

/// A count of a report; 0 where there is none.
pub(crate) fn whole(report: &Value, path: &str) -> u64 {
    report.pointer(path).and_then(Value::as_u64).unwrap_or(0)
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// Runs a command to its end and gives what it printed. A finding (exit status 1) is an end too.
fn output(command: &mut Command) -> Result<String, Error> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command.output().map_err(|source| Error::Start {
        program: name.clone(),
        source,
    })?;
    match done.status.code() {
        Some(0 | 1) => Ok(String::from_utf8_lossy(&done.stdout).into_owned()),
        _ => Err(Error::Failed {
            command: name,
            message: String::from_utf8_lossy(&done.stderr).trim().to_owned(),
        }),
    }
}
