use proptest::prelude::*;

use super::*;

fn candidates(weights: &[u32]) -> Vec<Candidate> {
    weights.iter().enumerate().map(|(index, weight)| Candidate { index, weight: *weight, load: 0 }).collect()
}

proptest! {
    #[test]
    fn weights_keep_every_endpoint_reachable(weights in prop::collection::vec(1_u32..50, 1..8), seed: u64) {
        let (candidates, dice) = (candidates(&weights), Dice::new(seed));
        for balancer in [Balancer::LeastRequest, Balancer::RoundRobin, Balancer::Random] {
            let picker = Picker::new(&balancer, &[], &dice);

            let mut seen = vec![0_u32; weights.len()];
            for _ in 0..weights.iter().sum::<u32>() * 30 {
                seen[picker.pick(&candidates, None, &dice).expect("there are candidates")] += 1;
            }

            prop_assert!(seen.iter().all(|count| *count > 0), "{balancer:?}: {weights:?} gave {seen:?}");
        }
    }
}

#[test]
fn of_two_choices_the_less_loaded_is_taken() {
    let (mut candidates, dice) = (candidates(&[1, 1]), Dice::new(5));
    candidates[0].load = 10;

    let picks = (0..1000).filter(|_| Picker::LeastRequest.pick(&candidates, None, &dice) == Some(1)).count();

    // The loaded one is taken only when both draws name it: one time in four.
    assert!((690..810).contains(&picks), "{picks}");
}

#[test]
fn round_robin_gives_each_its_turn() {
    let (candidates, dice) = (candidates(&[1, 1, 1]), Dice::new(5));
    let picker = Picker::new(&Balancer::RoundRobin, &[], &dice);

    let mut seen = [0; 3];
    for _ in 0..300 {
        seen[picker.pick(&candidates, None, &dice).expect("there are candidates")] += 1;
    }

    assert_eq!(seen, [100, 100, 100]);
}

#[test]
fn round_robin_by_weight_is_exact_and_mixes() {
    for weights in [[100, 25, 50], [1, 100, 1], [2, 3, 7]] {
        let (candidates, dice) = (candidates(&weights), Dice::new(5));
        let picker = Picker::new(&Balancer::RoundRobin, &[], &dice);

        let total = weights.iter().sum::<u32>() as usize;
        let picks: Vec<usize> =
            (0..2 * total).map(|_| picker.pick(&candidates, None, &dice).expect("there are candidates")).collect();

        for (index, weight) in weights.iter().enumerate() {
            let mine = picks.iter().filter(|picked| **picked == index).count();
            assert_eq!(mine, 2 * *weight as usize, "{weights:?}");
            // In any stretch it gets about its share.
            for stretch in picks.windows(total / 2) {
                let mine = stretch.iter().filter(|picked| **picked == index).count() as f64;
                assert!((mine - f64::from(*weight) / 2.0).abs() <= 3.0, "{weights:?}: {mine} of {}", stretch.len());
            }
        }
    }
}

#[test]
fn nothing_is_picked_from_nothing() {
    assert_eq!(Picker::Random.pick(&[], None, &Dice::new(0)), None);
}
