//! Scores, remembered for a while: the same answers under the same bundle are the same score.

use crate::commons::Commons;
use crate::metrics::Metrics;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use vereda_scoring::{InputError, Inputs, Model, Score, Value};

/// Computes scores, or remembers them.
pub struct Predictions {
    /// Nothing is remembered without it.
    cache: Option<(Arc<dyn Commons>, Duration)>,
    metrics: Arc<Metrics>,
}

impl Predictions {
    /// Remembers for so long; not at all if that is nothing.
    pub fn new(cache: Arc<dyn Commons>, life: Duration, metrics: Arc<Metrics>) -> Predictions {
        Predictions { cache: (!life.is_zero()).then_some((cache, life)), metrics }
    }

    /// The score of these answers, to the bit.
    ///
    /// # Errors
    /// Everything that is wrong with the inputs.
    pub async fn score(&self, model: &Model, inputs: &Inputs) -> Result<Score, InputError> {
        let Some((cache, life)) = &self.cache else { return model.score(inputs) };
        let key = key(&model.reference().sha256, inputs);
        // Of what another machine says, numbers are taken; all that follows from them is made here.
        let remembered = cache.get(&key).await.and_then(|bytes| unpack(model, inputs, &bytes));
        self.metrics.prediction_cache(remembered.is_some());
        if let Some(score) = remembered {
            return Ok(score);
        }
        let score = model.score(inputs)?;
        cache.put(&key, pack(&score), *life).await;
        Ok(score)
    }
}

/// The margin and the contributions, eight bytes each; what is said of them in words is the bundle's.
fn pack(score: &Score) -> Vec<u8> {
    let parts = score.contributions.iter().map(|part| part.value);
    std::iter::once(score.margin).chain(parts).flat_map(f64::to_le_bytes).collect()
}

/// The score of what [`pack`] made; `None` for anything else.
fn unpack(model: &Model, inputs: &Inputs, bytes: &[u8]) -> Option<Score> {
    let (numbers, rest) = bytes.as_chunks::<8>();
    let mut numbers = numbers.iter().map(|number| f64::from_le_bytes(*number));
    let margin = numbers.next()?;
    let contributions: Vec<f64> = numbers.collect();
    if !rest.is_empty() || !margin.is_finite() || !contributions.iter().all(|part| part.is_finite()) {
        return None;
    }
    model.explained(inputs, margin, &contributions).ok().flatten()
}

/// Nothing of a client can be read from it.
fn key(bundle: &str, inputs: &Inputs) -> String {
    let mut hash = Sha256::new();
    hash.update(bundle);
    // A map by name: the same answers are the same bytes, and others are others.
    let length = |text: &str| u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes();
    for (name, value) in inputs {
        hash.update(length(name));
        hash.update(name);
        match value {
            Value::Number(number) => {
                hash.update(b"n");
                hash.update(number.to_bits().to_le_bytes());
            }
            Value::Boolean(yes) => hash.update([b'b', u8::from(*yes)]),
            Value::Category(code) => {
                hash.update(b"c");
                hash.update(length(code));
                hash.update(code);
            }
            Value::Missing => hash.update(b"-"),
        }
    }
    format!("score:{}", hex::encode(hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commons::Memory;

    const SCORECARD: &[u8] = include_bytes!("../../models/bundles/reference-scorecard-1.json");
    const BOOSTED: &[u8] = include_bytes!("../../models/bundles/reference-boosted-2.json");

    #[tokio::test]
    async fn a_remembered_score_is_the_same_to_the_bit_and_of_its_own_model() {
        let memory = Memory::new(1000);
        let metrics = Arc::new(Metrics::new().unwrap());
        let predictions =
            Predictions::new(Arc::new(memory.clone()), Duration::from_secs(60), metrics.clone());
        for bytes in [SCORECARD, BOOSTED] {
            let model = Model::load(bytes).unwrap();
            for golden in &model.bundle().golden {
                let expected = model.score(&golden.inputs).unwrap();
                for _ in 0..2 {
                    let score = predictions.score(&model, &golden.inputs).await.unwrap();
                    assert_eq!(score, expected);
                    assert_eq!(score.margin.to_bits(), expected.margin.to_bits());
                }
            }
        }
        let text = metrics.render();
        assert!(text.contains(r#"vereda_prediction_cache_total{result="hit"}"#), "{text}");
        let model = Model::load(SCORECARD).unwrap();
        let mut wrong = model.bundle().golden[0].inputs.clone();
        wrong.insert("job".into(), Value::Category("astronaut".into()));
        assert!(predictions.score(&model, &wrong).await.is_err());
        assert!(predictions.score(&model, &wrong).await.is_err(), "a refusal is not remembered as a score");
    }

    #[tokio::test]
    async fn what_does_not_fit_the_model_is_computed_again() {
        let memory = Memory::new(1000);
        let metrics = Arc::new(Metrics::new().unwrap());
        let model = Model::load(SCORECARD).unwrap();
        let inputs = &model.bundle().golden[0].inputs;
        let expected = model.score(inputs).unwrap();
        let mut forged = expected.clone();
        forged.margin = f64::NAN;
        let mut short = expected.clone();
        short.contributions.pop();
        let key = key(&model.reference().sha256, inputs);
        for value in [pack(&forged), pack(&short), b"nonsense".to_vec(), Vec::new()] {
            memory.put(&key, value, Duration::from_secs(60)).await;
            let predictions =
                Predictions::new(Arc::new(memory.clone()), Duration::from_secs(60), metrics.clone());
            assert_eq!(predictions.score(&model, inputs).await.unwrap(), expected);
        }
    }
}
