//! Which networks are tried: at random, by evolution, by successive halving.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::SearchError;
use crate::pareto::{by_accuracy, ranked};
use crate::space::Architecture;
use crate::store::Store;
use crate::trial::{DRAWS, Setting, Trial};

/// What parents are chosen by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aim {
    /// Accuracy, flash, arena and cycles at once: for a front to choose from.
    #[default]
    Front,
    /// Accuracy alone: for the best network within the limits.
    Accuracy,
}

/// How networks are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Trial `i` is the network that `(space, seed, i)` draws.
    Random {
        /// Trials.
        trials: u64,
    },
    /// Generations of as many networks: the first at random, each other from pairs of the best so far, joined and changed. Which are
    /// the best in several things at once is as in NSGA-II (Deb et al. 2002).
    Evolution {
        /// Networks of a generation.
        population: u64,
        /// Generations, the random one included.
        generations: u64,
        /// What is best.
        #[serde(default)]
        aim: Aim,
    },
    /// All at random with a share of the epochs, then the better ones with more, to the last with all of them (Jamieson and Talwalkar
    /// 2016).
    Halving {
        /// Networks of the first round.
        trials: u64,
        /// Of so many networks one goes on, and gets so many times the epochs.
        factor: u64,
    },
}

/// Runs a strategy to its end. Trials that the store has are not done again; the others of a round are done in parallel and added in
/// order, so that the store is the same at any number of threads. `progress` is told of each.
///
/// # Errors
/// When a network cannot be built or trained, or the store not written; or a strategy asks for no trial.
pub fn run(
    strategy: Strategy,
    setting: &Setting<'_>,
    store: &mut Store,
    progress: &(dyn Fn(&Trial) + Sync),
) -> Result<(), SearchError> {
    setting.space.check()?;
    let search = Search { setting, progress };
    match strategy {
        Strategy::Random { trials } => {
            let round = search.drawn(trials)?;
            search.round(round, setting.training.epochs, store)
        }
        Strategy::Evolution {
            population,
            generations,
            aim,
        } => search.evolve(population, generations, aim, store),
        Strategy::Halving { trials, factor } => search.halve(trials, factor, store),
    }
}

struct Search<'s, 'd> {
    setting: &'s Setting<'d>,
    progress: &'s (dyn Fn(&Trial) + Sync),
}

impl Search<'_, '_> {
    /// The first trials, each with the network that it draws.
    fn drawn(&self, trials: u64) -> Result<Vec<(u64, Architecture)>, SearchError> {
        let indices: Vec<u64> = (0..trials).collect();
        let drawn = indices.into_par_iter();
        drawn
            .map(|index| Ok((index, self.setting.drawn(index)?)))
            .collect()
    }

    /// Does the trials that the store has not, a few at a time so that little is lost when the search is stopped.
    fn round(
        &self,
        wanted: Vec<(u64, Architecture)>,
        epochs: usize,
        store: &mut Store,
    ) -> Result<(), SearchError> {
        let missing: Vec<_> = wanted
            .into_iter()
            .filter(|(index, _)| store.find(*index, epochs).is_none())
            .collect();
        for few in missing.chunks(rayon::current_num_threads().max(1)) {
            let done: Vec<Result<Trial, SearchError>> = few
                .par_iter()
                .map(|(index, network)| {
                    let trial = self.setting.trial_of(*index, network.clone(), epochs)?;
                    (self.progress)(&trial);
                    Ok(trial)
                })
                .collect();
            for trial in done {
                store.add(trial?)?;
            }
        }
        Ok(())
    }

    fn evolve(
        &self,
        population: u64,
        generations: u64,
        aim: Aim,
        store: &mut Store,
    ) -> Result<(), SearchError> {
        if population < 2 || generations == 0 {
            return Err(SearchError::Usage(format!(
                "a population of {population} over {generations} generations: give 2 or more, and 1 or more"
            )));
        }
        let epochs = self.setting.training.epochs;
        for generation in 0..generations {
            let first = generation * population;
            // Parents are of earlier generations alone, however far the store has come.
            let earlier: Vec<Trial> = store
                .trials()
                .iter()
                .filter(|trial| trial.index < first)
                .cloned()
                .collect();
            let best = match aim {
                Aim::Front => ranked(&earlier),
                Aim::Accuracy => by_accuracy(&earlier),
            };
            let parents = best
                .get(..best.len().min(population as usize / 2 + 1))
                .unwrap_or_default();
            let mut known: Vec<Architecture> = earlier
                .iter()
                .map(|trial| trial.architecture.clone())
                .collect();
            let mut round = Vec::new();
            for index in first..first + population {
                let network = self.child(parents, index, &known)?;
                known.push(network.clone());
                round.push((index, network));
            }
            self.round(round, epochs, store)?;
        }
        Ok(())
    }

    /// A network from two parents that is not known yet and fits; at random where there are no parents.
    fn child(
        &self,
        parents: &[&Trial],
        index: u64,
        known: &[Architecture],
    ) -> Result<Architecture, SearchError> {
        let mut random = self.setting.random(index);
        let mut child = self.offspring(parents, &mut random);
        // A small space may have nothing new to give, and of a large one little may fit.
        for _ in 1..DRAWS {
            if !known.contains(&child) && self.setting.fits(&child)? {
                break;
            }
            child = self.offspring(parents, &mut random);
        }
        Ok(child)
    }

    fn offspring(&self, parents: &[&Trial], random: &mut ChaCha8Rng) -> Architecture {
        let space = &self.setting.space;
        if parents.is_empty() {
            return space.draw(random);
        }
        // The better of two, twice: parents are in order.
        let mut pick = || {
            let (a, b) = (
                random.random_range(0..parents.len()),
                random.random_range(0..parents.len()),
            );
            parents.get(a.min(b)).map(|trial| &trial.architecture)
        };
        match (pick(), pick()) {
            (Some(first), Some(second)) => {
                let joined = space.cross(first, second, random);
                space.mutate(&joined, random)
            }
            _ => space.draw(random),
        }
    }

    fn halve(&self, trials: u64, factor: u64, store: &mut Store) -> Result<(), SearchError> {
        if trials == 0 || factor < 2 {
            return Err(SearchError::Usage(format!(
                "{trials} trials of which one in {factor} goes on: give 1 or more, and 2 or more"
            )));
        }
        let most = self.setting.training.epochs;
        let mut rounds = 0;
        while factor.saturating_pow(rounds + 1) <= trials {
            rounds += 1;
        }
        let mut round = self.drawn(trials)?;
        for step in 0..=rounds {
            let share = factor.saturating_pow(rounds - step) as usize;
            let epochs = (most / share).max(1);
            self.round(round.clone(), epochs, store)?;
            let done = round
                .iter()
                .filter_map(|(index, _)| store.find(*index, epochs));
            let done = by_accuracy(done);
            let keep = (round.len() / factor as usize).max(1);
            let next = done.iter().take(keep);
            round = next
                .map(|trial| (trial.index, trial.architecture.clone()))
                .collect();
        }
        Ok(())
    }
}
