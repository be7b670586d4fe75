//! Several memories: every region's plan is right, and what is used most lies where it costs least.

use larun_arena::{Buffer, Demand, Region, RegionError, check, plan_regions};
use proptest::prelude::*;

fn demand() -> impl Strategy<Value = Demand> {
    (
        0u32..200,
        0u32..20,
        0u32..8,
        0u64..10_000,
        prop::option::weighted(0.1, 0usize..3),
        prop::option::weighted(0.1, 0u32..8),
    )
        .prop_map(|(size, first, more, traffic, region, fixed)| Demand {
            buffer: Buffer {
                size,
                first,
                last: first + more,
                fixed: fixed.map(|k| k * 16),
            },
            traffic,
            region,
        })
}

proptest! {
    #[test]
    fn every_region_is_planned_right(
        demands in prop::collection::vec(demand(), 0..24),
        regions in prop::collection::vec((0u32..2000, 0u32..9), 0..4),
    ) {
        let regions: Vec<Region> = regions.into_iter().map(|(capacity, cost_per_byte)| Region { capacity, cost_per_byte }).collect();
        let Ok(plan) = plan_regions(&demands, &regions, 16) else { return Ok(()) };
        prop_assert!(plan.cost >= plan.cost_bound);
        let mut cost = 0;
        for (index, region) in regions.iter().enumerate() {
            let inside: Vec<usize> = (0..demands.len()).filter(|&id| plan.regions[id] == index).collect();
            let buffers: Vec<Buffer> = inside.iter().map(|&id| demands[id].buffer).collect();
            let offsets: Vec<u32> = inside.iter().map(|&id| plan.offsets[id]).collect();
            prop_assert_eq!(check(&buffers[..], &offsets, 16), Ok(plan.peaks[index]));
            prop_assert!(plan.peaks[index] <= region.capacity);
            cost += inside.iter().map(|&id| demands[id].traffic * u64::from(region.cost_per_byte)).sum::<u64>();
            prop_assert!(inside.iter().all(|&id| demands[id].region.is_none_or(|wanted| wanted == index)));
        }
        prop_assert_eq!(plan.cost, cost);
    }

    /// With room for all in the cheapest memory nothing lies elsewhere.
    #[test]
    fn a_large_cheap_memory_takes_everything(demands in prop::collection::vec((0u32..200, 0u32..20, 0u64..10_000), 0..24)) {
        let demands: Vec<Demand> = demands
            .into_iter()
            .map(|(size, first, traffic)| Demand { buffer: Buffer::new(size, first, first + 2), traffic, region: None })
            .collect();
        let regions = [Region { capacity: 64, cost_per_byte: 5 }, Region { capacity: 1 << 20, cost_per_byte: 2 }];
        let plan = plan_regions(&demands, &regions, 16).unwrap();
        prop_assert_eq!(plan.cost, plan.cost_bound);
        prop_assert!(plan.regions.iter().all(|&region| region == 1));
    }
}

#[test]
fn what_has_no_place_is_named() {
    let demand = |size, region| Demand {
        buffer: Buffer::new(size, 0, 1),
        traffic: 1,
        region,
    };
    let small = Region {
        capacity: 64,
        cost_per_byte: 1,
    };
    let error = plan_regions(&[demand(16, None), demand(100, None)], &[small], 16).unwrap_err();
    assert_eq!(
        error,
        RegionError::DoesNotFit {
            buffer: 1,
            size: 100
        }
    );
    let error = plan_regions(&[demand(16, Some(3))], &[small], 16).unwrap_err();
    assert_eq!(
        error,
        RegionError::UnknownRegion {
            buffer: 0,
            region: 3
        }
    );
    assert!(error.to_string().contains("region 3"));
    // The large one fits only when it goes before the two that matter more.
    let fits = plan_regions(&[demand(48, None), demand(16, None)], &[small], 16);
    assert!(fits.is_ok());
}
