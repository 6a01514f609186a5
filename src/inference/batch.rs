//! Which texts share a run of the model.
//!
//! Called by: `inference::embedder`. Talks to: nothing.
//! Invariants: every text is in exactly one batch; a batch's padded size stays within the budget
//! unless it is a single text.

/// Groups texts of similar length. `lengths` are in tokens, `budget` is the number of texts in a
/// batch times the longest of them; 0 gives every text its own batch.
pub(super) fn plan(lengths: &[usize], budget: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&index| lengths[index]);
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for index in order {
        match batches.last_mut() {
            // Ascending order: the text at hand is the longest of the batch it joins.
            Some(batch) if (batch.len() + 1) * lengths[index] <= budget => batch.push(index),
            _ => batches.push(vec![index]),
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_in_exactly_one_batch_within_the_budget() {
        let lengths = [256, 3, 40, 256, 12, 90, 3, 41];
        let batches = plan(&lengths, 256);
        let mut seen: Vec<usize> = batches.iter().flatten().copied().collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
        for batch in &batches {
            let longest = batch.iter().map(|&index| lengths[index]).max().unwrap();
            assert!(batch.len() == 1 || batch.len() * longest <= 256, "{batch:?}");
        }
    }

    #[test]
    fn short_texts_share_a_batch_and_long_ones_do_not() {
        assert_eq!(plan(&[10, 200, 10], 256), vec![vec![0, 2], vec![1]]);
    }

    #[test]
    fn without_a_budget_every_text_runs_alone() {
        assert_eq!(plan(&[5, 5, 5], 0), vec![vec![0], vec![1], vec![2]]);
    }
}
