//! The splitting of an arena.

use larun_kernels::{InvokeError, Io, Locate, Location, MAX_REGIONS, Memory};
use proptest::prelude::*;

/// Operands at given places.
struct Places {
    inputs: Vec<(usize, usize)>,
    outputs: Vec<(usize, usize)>,
    scratch: (usize, usize),
}

fn arena((offset, len): (usize, usize)) -> Location<'static> {
    Location::Arena { offset, len }
}

impl Locate for Places {
    fn input(&self, index: usize) -> Location<'_> {
        let place = self.inputs.get(index);
        place.map_or(Location::Absent, |&place| arena(place))
    }

    fn output(&self, index: usize) -> Location<'_> {
        let place = self.outputs.get(index);
        place.map_or(Location::Absent, |&place| arena(place))
    }

    fn scratch(&self) -> Location<'_> {
        arena(self.scratch)
    }
}

fn places() -> impl Strategy<Value = Vec<(usize, usize)>> {
    let offset = prop_oneof![9 => 0..70usize, 1 => any::<usize>()];
    let len = prop_oneof![9 => 0..24usize, 1 => any::<usize>()];
    prop::collection::vec((offset, len), 0..20)
}

fn overlap(a: (usize, usize), b: (usize, usize)) -> bool {
    let (a_end, b_end) = (a.0.saturating_add(a.1), b.0.saturating_add(b.1));
    a.1 > 0 && b.1 > 0 && a.0 < b_end && b.0 < a_end
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn regions_are_disjoint_and_faults_are_named(inputs in places(), outputs in places(), scratch in (0..70usize, 0..24usize)) {
        const LEN: usize = 64;
        let mut memory: Vec<u8> = (0..LEN as u8).collect();
        let places = Places { inputs, outputs, scratch };
        let mut io = Io::new(&mut memory, &places);
        let mut taken: Vec<(usize, usize)> = Vec::new();
        let mut written: Vec<&mut [u8]> = Vec::new();
        let wanted = places.outputs.iter().copied().enumerate();
        let wanted = wanted.map(|(i, place)| (Some(i), place));
        for (output, place) in wanted.chain([(None, places.scratch)]) {
            let (memory, found) = match output {
                Some(i) => (Memory::output(i), io.output::<u8>(i)),
                None => (Memory::Scratch, io.scratch::<u8>()),
            };
            let inside = place.0.checked_add(place.1).is_some_and(|end| end <= LEN);
            match found {
                Ok(bytes) => {
                    prop_assert_eq!(bytes.len(), place.1);
                    prop_assert!(bytes.is_empty() || inside);
                    prop_assert!(bytes.is_empty() || usize::from(bytes[0]) == place.0);
                    prop_assert!(!taken.iter().any(|&other| overlap(place, other)));
                    taken.push(place);
                    written.push(bytes);
                }
                Err(InvokeError::OutOfArena(at)) => prop_assert!(at == memory && !inside),
                Err(InvokeError::Overlap(at)) => {
                    prop_assert!(at == memory && taken.iter().any(|&other| overlap(place, other)));
                }
                Err(error) => {
                    prop_assert_eq!(error, InvokeError::TooManyRegions);
                    prop_assert!(taken.len() >= MAX_REGIONS);
                    return Ok(());
                }
            }
        }
        let io = io.freeze();
        for (i, &place) in places.inputs.iter().enumerate() {
            match io.input::<u8>(i) {
                Ok(bytes) => {
                    prop_assert_eq!(bytes.len(), place.1);
                    prop_assert!(!taken.iter().any(|&other| overlap(place, other)));
                    prop_assert!(bytes.is_empty() || usize::from(bytes[0]) == place.0);
                }
                Err(error) => {
                    let inside = place.0.checked_add(place.1).is_some_and(|end| end <= LEN);
                    let expected = if inside {
                        InvokeError::Overlap(Memory::input(i))
                    } else {
                        InvokeError::OutOfArena(Memory::input(i))
                    };
                    prop_assert_eq!(error, expected);
                }
            }
        }
        // All of them can be written while inputs are read.
        written.into_iter().for_each(|bytes| bytes.fill(0));
    }
}

#[test]
fn sixteen_regions_can_be_written() {
    let outputs: Vec<_> = (0..MAX_REGIONS - 1).map(|i| (8 * i + 4, 4)).collect();
    let places = Places {
        inputs: vec![(0, 4), (8, 4)],
        outputs,
        scratch: (256, 16),
    };
    let mut memory = vec![0u8; 300];
    let mut io = Io::new(&mut memory, &places);
    for i in 0..MAX_REGIONS - 1 {
        assert_eq!(io.output::<u8>(i).unwrap().len(), 4);
    }
    assert_eq!(io.scratch::<u8>().unwrap().len(), 16);
    let io = io.freeze();
    assert_eq!(io.input::<u8>(1).unwrap().len(), 4);
    assert_eq!(io.optional_input::<u8>(2).unwrap(), None);
    assert_eq!(
        io.input::<u8>(2),
        Err(InvokeError::Missing(Memory::input(2)))
    );
}

#[test]
fn misaligned_memory_is_refused() {
    let places = Places {
        inputs: vec![(16, 6)],
        outputs: vec![(2, 8)],
        scratch: (0, 0),
    };
    let mut memory = vec![0u32; 16];
    let mut io = Io::new(bytemuck::cast_slice_mut(&mut memory), &places);
    let error = io.output::<f32>(0).unwrap_err();
    assert_eq!(error, InvokeError::Misaligned(Memory::output(0)));
    assert!(error.to_string().starts_with("output 0 is not aligned"));
    let error = io.freeze().input::<i32>(0).unwrap_err();
    assert_eq!(error, InvokeError::Misaligned(Memory::input(0)));
}

/// A node with a variable, state of its own, and a handle of a resource variable that follows them in kept memory.
struct Kept;

impl Locate for Kept {
    fn input(&self, index: usize) -> Location<'_> {
        match index {
            0 => Location::State { offset: 0, len: 8 },
            1 => Location::Arena { offset: 0, len: 4 },
            2 => Location::Constant(&[7, 0, 0, 0]),
            _ => Location::Absent,
        }
    }

    fn output(&self, _: usize) -> Location<'_> {
        Location::Constant(&[0; 8])
    }

    fn scratch(&self) -> Location<'_> {
        Location::Absent
    }

    fn node_state(&self) -> Location<'_> {
        Location::State { offset: 8, len: 4 }
    }

    fn resource(&self, number: u32) -> Location<'_> {
        match number {
            7 => Location::State { offset: 12, len: 4 },
            8 => Location::State { offset: 16, len: 4 },
            _ => Location::Absent,
        }
    }
}

#[test]
fn kept_memory_is_written_where_it_may_be() {
    let (mut arena, mut state) = ([0u32; 4], [1u32, 2, 3, 4]);
    let arena: &mut [u8] = bytemuck::cast_slice_mut(&mut arena);
    arena[0] = 7;
    let mut io = Io::with_state(arena, bytemuck::cast_slice_mut(&mut state), &Kept);
    let not_variable = |i| Some(InvokeError::NotVariable(Memory::input(i)));
    assert_eq!(io.state::<u8>(1).err(), not_variable(1));
    assert_eq!(io.state::<u8>(2).err(), not_variable(2));
    let missing = InvokeError::Missing(Memory::input(3));
    assert_eq!(io.state::<u8>(3).err(), Some(missing));
    let missing = InvokeError::Missing(Memory::output(0));
    assert_eq!(io.output::<u8>(0).err(), Some(missing));

    let own = io.node_state::<u32>().unwrap();
    own[0] += 30;
    // A constant handle and one in the arena name the same variable; it is taken once.
    io.resource(1).unwrap()[0] += 40;
    let overlap = InvokeError::Overlap(Memory::resource(2));
    assert_eq!(io.resource(2).err(), Some(overlap));
    let variable = io.state::<u32>(0).unwrap();
    assert_eq!(variable, [1, 2]);
    variable[1] = 20;
    assert_eq!(
        io.freeze().input::<u8>(0),
        Err(InvokeError::Overlap(Memory::input(0)))
    );
    let io = Io::with_state(arena, bytemuck::cast_slice_mut(&mut state), &Kept);
    let frozen = io.freeze();
    assert_eq!(frozen.input::<u32>(0).unwrap(), [1, 20]);
    assert_eq!(frozen.resource(2).unwrap(), [44, 0, 0, 0]);
    arena[0] = 9;
    let io = Io::with_state(arena, bytemuck::cast_slice_mut(&mut state), &Kept);
    let frozen = io.freeze();
    let none = InvokeError::NoResource(Memory::input(1));
    assert_eq!(frozen.resource(1), Err(none));
    arena[0] = 8;
    let io = Io::with_state(arena, bytemuck::cast_slice_mut(&mut state), &Kept);
    let frozen = io.freeze();
    let out = InvokeError::OutOfArena(Memory::resource(1));
    assert_eq!(frozen.resource(1), Err(out));
    assert_eq!(state, [1, 20, 33, 44]);
}

#[test]
fn many_outputs_are_written_one_after_the_other() {
    let outputs: Vec<_> = (1..100).map(|i| (4 * i, 4)).collect();
    let places = Places {
        inputs: vec![(0, 4)],
        outputs,
        scratch: (0, 0),
    };
    let mut memory = vec![0u8; 400];
    memory[..4].copy_from_slice(b"copy");
    let mut io = Io::new(&mut memory, &places);
    for i in 0..99 {
        let mut io = io.lend();
        let output = io.output::<u8>(i).unwrap();
        output.copy_from_slice(io.freeze().input(0).unwrap());
    }
    assert_eq!(memory, b"copy".repeat(100));
}
