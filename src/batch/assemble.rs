//! Rows of several requests into one batch, and parts of one request back into one answer.

use std::ops::Range;

use crate::model::Output;
use crate::tensor::Tensor;

use super::Job;

/// The feeds of a batch: every input's rows, job after job; `None` where they do not stack, which
/// [`Job::joins`] rules out.
pub(super) fn gather<R>(jobs: &[Job<R>]) -> Option<Vec<Tensor>> {
    let inputs = jobs.first()?.feeds.len();
    let mut parts = Vec::with_capacity(jobs.len());
    (0..inputs)
        .map(|input| {
            parts.clear();
            for job in jobs {
                parts.push(job.feeds.get(input)?);
            }
            Tensor::concat(&parts)
        })
        .collect()
}

/// Whether every output has one item for each of the batch's rows, so that it can be split.
pub(super) fn has_rows(outputs: &[Output], rows: usize) -> bool {
    outputs.iter().all(|output| output.rows() == Some(rows))
}

/// The rows of part `part`, of `parts` parts of nearly the same size.
pub(super) fn part_rows(rows: usize, parts: usize, part: usize) -> Range<usize> {
    rows * part / parts..rows * (part + 1) / parts
}

/// Outputs of all parts of a request, laid end to end; `None` where they do not stack.
pub(super) fn join(parts: Vec<Vec<Output>>) -> Option<Vec<Output>> {
    let outputs = parts.first()?.len();
    let mut parts: Vec<_> = parts.into_iter().map(Vec::into_iter).collect();
    (0..outputs)
        .map(|_| {
            let pieces = parts.iter_mut().map(Iterator::next).collect::<Option<Vec<_>>>()?;
            Output::concat(&pieces)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_all_rows_evenly() {
        for (rows, parts) in [(10, 3), (1000, 8), (7, 7), (129, 2)] {
            let ranges: Vec<_> = (0..parts).map(|part| part_rows(rows, parts, part)).collect();
            assert_eq!((ranges[0].start, ranges[parts - 1].end), (0, rows));
            assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
            let sizes = ranges.iter().map(Range::len);
            let (least, most) = (sizes.clone().min().unwrap(), sizes.max().unwrap());
            assert!(least > 0 && most - least <= 1, "{ranges:?}");
        }
    }

    #[test]
    fn parts_of_another_shape_do_not_join() {
        let output = |shape: &[usize]| {
            let values = vec![1.0_f32; shape.iter().product()];
            vec![Output::Tensor(Tensor::from_vec(shape, values).unwrap())]
        };
        assert_eq!(join(vec![output(&[2, 3]), output(&[1, 3])]), Some(output(&[3, 3])));
        assert_eq!(join(vec![output(&[2, 3]), output(&[1, 4])]), None);
        assert!(has_rows(&output(&[2, 3]), 2));
        assert!(!has_rows(&output(&[2, 3]), 3));
        assert!(!has_rows(&output(&[]), 1));
    }
}
